//! Octet counting (RFC 6587, 3.4.1): a message's length in bytes, a blank, the message.
//!
//! The length includes a newline at the message's end if there is one; it is no part of the record. What begins with
//! no such length is a line, so that a stream that lost its count is in step again after the next newline. A number is
//! a length only if a message's `<` follows: a line may begin with a number, too.

use super::{Found, Inside, Search, lines};

/// A longer number counts no message.
const DIGITS_MAX: usize = 7;

/// What a record begins with.
enum Count {
    /// So many bytes after so many of the count and its blank.
    Of(u64, usize),
    None,
    /// What was read ends first.
    Unknown,
}

/// The message, or else the line, that `held` begins with.
pub(super) fn find(held: &[u8], search: Search) -> Result<Found<'_>, Search> {
    let (at, left) = match (search.inside, count(held)) {
        (Inside::Counted(left), _) => (search.at, left),
        (Inside::Start, Count::Of(left, len)) => (len, left),
        (Inside::Start, Count::Unknown) => return Err(search),
        _ => return lines::find_among_others(held, search),
    };
    let seen = (held.len() - at) as u64;
    let Some(end) = usize::try_from(left).ok().filter(|_| left <= seen).map(|left| at + left) else {
        return Err(Search { at: held.len(), inside: Inside::Counted(left - seen) });
    };
    let text = &held[..end];
    let text = text.strip_suffix(b"\n").map_or(text, |line| line.strip_suffix(b"\r").unwrap_or(line));
    Ok(Found { text: without_count(text), len: end })
}

/// What follows the count, if there is one.
pub(super) fn without_count(held: &[u8]) -> &[u8] {
    match count(held) {
        Count::Of(_, len) => &held[len..],
        Count::None | Count::Unknown => held,
    }
}

fn count(held: &[u8]) -> Count {
    let start = &held[..held.len().min(DIGITS_MAX + 1)];
    let digits = start.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match start.get(digits) {
        _ if start.first() == Some(&b'0') => Count::None,
        None if digits <= DIGITS_MAX => Count::Unknown,
        Some(b' ') if digits > 0 => {
            let value = start[..digits].iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
            match held.get(digits + 1) {
                None => Count::Unknown,
                Some(b'<') => Count::Of(value, digits + 1),
                Some(_) => Count::None,
            }
        }
        _ => Count::None,
    }
}
