//! JSON objects one after the other, each on one line or laid out over several.
//!
//! An object ends with the brace that closes its first one, and takes the line's end after it with it. It is damaged
//! if a line ends inside its text, and ends there; or if a line comes before its end that begins with anything but a
//! blank or its closing brace, which is the start of something else: whatever lays objects out indents what is in them.
//! What does not begin like an object is a line.

use memchr::memchr3;

use super::{Found, Inside, Search, lines};

/// Where in an object a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depth {
    /// Braces that are open.
    open: u32,
    /// Whether it is inside a string.
    quoted: bool,
}

/// The object, or else the line, that `held` begins with.
pub(super) fn find(held: &[u8], search: Search) -> Result<Found<'_>, Search> {
    match (search.inside, held) {
        (Inside::Object(depth), _) => find_end(held, search.at, depth),
        (Inside::Start, [] | [b'{']) => Err(search),
        (Inside::Start, [b'{', b'"' | b'}' | b' ' | b'\t' | b'\r' | b'\n', ..]) => {
            find_end(held, 1, Depth { open: 1, quoted: false })
        }
        _ => lines::find_among_others(held, search),
    }
}

/// The end of an object of which all before `from` has been seen.
fn find_end(held: &[u8], from: usize, depth: Depth) -> Result<Found<'_>, Search> {
    let Depth { mut open, mut quoted } = depth;
    let mut at = from;
    let undecided = loop {
        let Some(stop) = stop(&held[at..], quoted).map(|found| at + found) else { break held.len() };
        let after = &held[stop + 1..];
        at = stop + 1;
        match held[stop] {
            b'"' => quoted = !quoted,
            b'\n' if quoted => return Ok(lines::up_to(held, stop)),
            b'\n' => match after.first() {
                None => break stop,
                Some(b' ' | b'\t' | b'\r' | b'\n' | b'}') => {}
                Some(_) => return Ok(lines::up_to(held, stop)),
            },
            b'\\' => match after {
                [] => break stop,
                // A newline in a string is found next, escaped or not.
                [b'\n', ..] => {}
                _ => at += 1,
            },
            b'{' => open = open.saturating_add(1),
            _ if open > 1 => open -= 1,
            _ => match line_end(after) {
                LineEnd::Unknown => break stop,
                LineEnd::Here(len) => return Ok(Found { text: &held[..at], len: at + len }),
                LineEnd::Elsewhere => return Ok(Found { text: &held[..at], len: at }),
            },
        }
    };
    Err(Search { at: undecided, inside: Inside::Object(Depth { open, quoted }) })
}

/// The next byte that means something, inside a string or outside.
fn stop(text: &[u8], quoted: bool) -> Option<usize> {
    if quoted {
        memchr3(b'"', b'\\', b'\n', text)
    } else {
        text.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'\n'))
    }
}

/// Whether a line ends.
enum LineEnd {
    Here(usize),
    Elsewhere,
    /// What was read ends first.
    Unknown,
}

fn line_end(text: &[u8]) -> LineEnd {
    match text {
        [] | [b'\r'] => LineEnd::Unknown,
        [b'\n', ..] => LineEnd::Here(1),
        [b'\r', b'\n', ..] => LineEnd::Here(2),
        _ => LineEnd::Elsewhere,
    }
}
