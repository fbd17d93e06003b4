//! Regular expressions that configuration gives: over bytes, in linear time, of limited size. `\w`, `\d` and `(?i)`
//! are about ASCII, and `.` is one byte.

use regex::bytes::{Regex, RegexBuilder};

/// The most memory that a compiled expression takes, and the automaton that is made of it while it is used.
const BYTES_MAX: usize = 1_000_000;

/// Compiles one.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(text: &str) -> Result<Regex, String> {
    let built =
        RegexBuilder::new(text).unicode(false).size_limit(BYTES_MAX).dfa_size_limit(BYTES_MAX).build();
    built.map_err(|error| {
        // The library draws a picture of several lines; its last one says what is wrong.
        let picture = error.to_string();
        let last = picture.lines().last().unwrap_or_default().trim();
        format!("no regular expression: {}", last.strip_prefix("error: ").unwrap_or(last))
    })
}
