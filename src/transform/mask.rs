//! What a redaction rule does to a field's value.
//!
//! Takes a text, gives it anew without what the rule is for, or nothing if there is nothing to change. `address`, `email`
//! and `card` know what such a thing looks like wherever it stands; `pattern` is told by a regular expression; `hash`
//! keeps only whether two values are the same.
//!
//! Invariant: work is linear in the text for all but patterns, whose library says the same of itself; a text without a
//! match is not copied. What was masked is left alone: the masks of addresses, e-mails and cards do nothing to their own
//! result.

use std::fmt;

use hivetail_parsers::{FILTERED, Scratch};

mod address;
mod card;
mod email;
mod hash;
mod pattern;

pub(crate) use hash::HashKey;
pub(crate) use pattern::Pattern;

/// What is to be masked, and how.
#[derive(Clone, Debug)]
pub(crate) enum Mask {
    /// IP addresses lose what tells a subscriber: IPv4 keeps 24 bits, IPv6 keeps 48.
    Ip,
    /// E-mail addresses go.
    Email,
    /// Numbers of payment cards go.
    Card,
    /// What matches goes, or only the group `secret` of it.
    Pattern(Pattern),
    /// The whole value becomes its keyed hash.
    Hash(HashKey),
}

impl Mask {
    /// The text after masking; `None` when nothing in it changes.
    #[must_use]
    pub(crate) fn apply<'a>(&self, text: &'a [u8], scratch: &'a Scratch) -> Option<&'a [u8]> {
        match self {
            Self::Ip => replaced(text, scratch, address::next),
            Self::Email => replaced(text, scratch, email::next),
            Self::Card => replaced(text, scratch, card::next),
            Self::Pattern(pattern) => pattern.apply(text, scratch),
            Self::Hash(key) => Some(scratch.copy(&key.hex(text))),
        }
    }
}

/// What takes the place of a part of the text: at least one byte.
#[derive(Debug)]
struct Edit {
    start: usize,
    end: usize,
    shown: Shown,
    /// From where on the next one is looked for: its end or later.
    resume: usize,
}

impl Edit {
    fn new(start: usize, end: usize, shown: Shown) -> Self {
        Self { start, end, shown, resume: end }
    }

    fn filtered(start: usize, end: usize) -> Self {
        let mut shown = Shown::default();
        shown.push(FILTERED);
        Self::new(start, end, shown)
    }
}

/// A short text: an IPv6 address of few groups, at the most.
#[derive(Debug, Default)]
struct Shown {
    bytes: [u8; 32],
    len: usize,
}

impl Shown {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Appends the bytes; answers whether there was room.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let room = self.bytes.get_mut(self.len..self.len + bytes.len());
        let Some(room) = room else { return false };
        room.copy_from_slice(bytes);
        self.len += bytes.len();
        true
    }
}

impl fmt::Write for Shown {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.push(text.as_bytes()) { Ok(()) } else { Err(fmt::Error) }
    }
}

/// The text with those edits made, one after the other; `None` if there are none. `next` is asked for the first edit that
/// begins at a position or after it. It is asked twice for each: a text with matches is rare, and then its length is known.
fn replaced<'a>(
    text: &'a [u8],
    scratch: &'a Scratch,
    next: impl Fn(&[u8], usize) -> Option<Edit>,
) -> Option<&'a [u8]> {
    let first = next(text, 0)?;
    let (mut len, mut edit) = (text.len(), Some(first));
    while let Some(Edit { start, end, shown, resume }) = edit {
        len = len - (end - start) + shown.len;
        edit = next(text, resume);
    }
    let write = |out: &mut [u8]| {
        let (mut copied, mut written, mut at) = (0, 0, 0);
        let mut put = |part: &[u8]| {
            out[written..written + part.len()].copy_from_slice(part);
            written += part.len();
        };
        while let Some(Edit { start, end, shown, resume }) = next(text, at) {
            put(&text[copied..start]);
            put(shown.as_bytes());
            (copied, at) = (end, resume);
        }
        put(&text[copied..]);
        written
    };
    Some(scratch.fill(len, write))
}

/// Whether a word begins at `at`, whatever it begins with: what is before is no letter or digit, or it is the end of an
/// escape, as in `%20x`, `\nx` and `\u0022x`.
fn begins_word(text: &[u8], at: usize) -> bool {
    let before = &text[..at];
    if !before.last().is_some_and(u8::is_ascii_alphanumeric) {
        return true;
    }
    let hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    matches!(before, [.., b'%', high, low] if hex(&[*high, *low]))
        || matches!(before, [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f'])
        || before.last_chunk::<6>().is_some_and(|last| last.starts_with(b"\\u") && hex(&last[2..]))
}

#[cfg(test)]
mod tests;
