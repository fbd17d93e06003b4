//! What a regular expression finds in text.
//!
//! Takes the expression as it was written, then texts; gives each with `[FILTERED]` for every match, or, if the expression has
//! a group named `secret`, for what that group caught. Bytes are matched: `\w` and `.` know ASCII, as they do in `join.start`.
//!
//! Invariant: nothing is allocated once warm, the expression's size is bounded, and what is already `[FILTERED]`, or within
//! it, is left alone.

use std::sync::Mutex;

use hivetail_parsers::{FILTERED, Scratch};
use regex::bytes::{CaptureLocations, Regex};

use super::{Edit, replaced};
use crate::{lock::lock, transform::pattern::compile};

/// The group that is replaced instead of the whole match.
const GROUP: &str = "secret";

/// What is to be replaced.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    group: Option<Group>,
}

/// The group that is replaced, and room for where all of them are: without it, each text would allocate some. Sources have
/// patterns of their own, so that nobody waits for the lock.
#[derive(Debug)]
struct Group {
    index: usize,
    places: Mutex<CaptureLocations>,
}

impl Group {
    fn of(regex: &Regex) -> Option<Self> {
        let index = regex.capture_names().position(|name| name == Some(GROUP))?;
        Some(Self { index, places: Mutex::new(regex.capture_locations()) })
    }
}

impl Clone for Pattern {
    fn clone(&self) -> Self {
        Self { regex: self.regex.clone(), group: Group::of(&self.regex) }
    }
}

impl Pattern {
    /// What that regular expression finds.
    ///
    /// # Errors
    /// When it is none, or matches where nothing is.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let regex = compile(text)?;
        if regex.is_match(b"") {
            return Err("it matches the empty text".to_owned());
        }
        let group = Group::of(&regex);
        Ok(Self { regex, group })
    }

    /// The text after replacing; `None` if nothing is replaced.
    pub(super) fn apply<'a>(&self, text: &'a [u8], scratch: &'a Scratch) -> Option<&'a [u8]> {
        replaced(text, scratch, |text, from| self.next(text, from))
    }

    fn next(&self, text: &[u8], from: usize) -> Option<Edit> {
        let mut at = from;
        loop {
            let (start, end, after) = self.find(text, at)?;
            // A match of nothing is not found again at the same place.
            at = after.max(at + 1);
            if start < end && !is_filtered(text, start, end) {
                return Some(Edit { resume: at, ..Edit::filtered(start, end) });
            }
        }
    }

    /// Where the next match's part to replace is, maybe empty, and where the match ends.
    fn find(&self, text: &[u8], at: usize) -> Option<(usize, usize, usize)> {
        if at > text.len() {
            return None;
        }
        let Some(group) = &self.group else {
            let found = self.regex.find_at(text, at)?;
            return Some((found.start(), found.end(), found.end()));
        };
        let mut places = lock(&group.places);
        let after = self.regex.captures_read_at(&mut places, text, at)?.end();
        let (start, end) = places.get(group.index).unwrap_or((after, after));
        Some((start, end, after))
    }
}

/// Whether a part of the text is what is put in the place of others, or lies within it.
fn is_filtered(text: &[u8], start: usize, end: usize) -> bool {
    let begins = start.saturating_sub(FILTERED.len() - 1)..=start;
    begins.into_iter().any(|at| at + FILTERED.len() >= end && text[at..].starts_with(FILTERED))
}
