//! Lines: a record ends at its newline. The hot path: one search for a byte, nothing else.

use memchr::memchr;

use super::{Found, Inside, Search};

/// The line that `held` begins with.
#[inline]
pub(super) fn find(held: &[u8], search: &mut Search) -> Option<Found> {
    match memchr(b'\n', &held[search.at..]) {
        Some(newline) => Some(up_to(held, search.at + newline)),
        None => {
            search.at = held.len();
            None
        }
    }
}

/// A record that is a line among others that are not.
pub(super) fn find_among_others(held: &[u8], search: &mut Search) -> Option<Found> {
    search.inside = Inside::Line;
    find(held, search)
}

/// The record that ends at that newline.
#[inline]
pub(super) fn up_to(held: &[u8], newline: usize) -> Found {
    let text = &held[..newline];
    Found { text: 0..text.strip_suffix(b"\r").unwrap_or(text).len(), end: newline + 1 }
}
