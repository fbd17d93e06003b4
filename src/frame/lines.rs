//! Lines: a record ends at its newline. The hot path: one search for a byte, nothing else.

use memchr::memchr;

use super::{Found, Inside, Search};

/// The line that `held` begins with.
#[inline]
pub(super) fn find(held: &[u8], search: Search) -> Result<Found<'_>, Search> {
    match memchr(b'\n', &held[search.at..]) {
        Some(newline) => Ok(up_to(held, search.at + newline)),
        None => Err(Search { at: held.len(), ..search }),
    }
}

/// A record that is a line among others that are not.
pub(super) fn find_among_others(held: &[u8], search: Search) -> Result<Found<'_>, Search> {
    find(held, Search { inside: Inside::Line, ..search })
}

/// The record that ends at that newline.
#[inline]
pub(super) fn up_to(held: &[u8], newline: usize) -> Found<'_> {
    let text = &held[..newline];
    Found { text: text.strip_suffix(b"\r").unwrap_or(text), len: newline + 1 }
}
