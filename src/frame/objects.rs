//! JSON objects one after the other, each on one line or laid out over several.
//!
//! An object ends with the brace that closes its first one, and takes the line's end after it with it. It is damaged
//! if a line ends inside its text, and ends there; or if a line that is exactly `{` comes before its end, which is
//! the start of another: nothing that lays objects out puts an inner brace alone at a line's start. What does not
//! begin like an object is a line.

use memchr::memchr3;

use super::{Found, Inside, Search, lines};

/// Where in an object a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depth {
    /// Braces that are open.
    open: u32,
    /// Whether it is inside a string.
    quoted: bool,
    /// Whether the byte before was a newline.
    after_newline: bool,
}

/// The object, or else the line, that `held` begins with.
pub(super) fn find(held: &[u8], search: Search) -> Result<Found<'_>, Search> {
    match (search.inside, held) {
        (Inside::Object(depth), _) => find_end(held, search.at, depth),
        (Inside::Start, [] | [b'{']) => Err(search),
        (Inside::Start, [b'{', b'"' | b'}' | b' ' | b'\t' | b'\r' | b'\n', ..]) => {
            find_end(held, 1, Depth { open: 1, quoted: false, after_newline: false })
        }
        _ => lines::find_among_others(held, search),
    }
}

/// The end of an object of which all before `from` has been seen.
fn find_end(held: &[u8], from: usize, depth: Depth) -> Result<Found<'_>, Search> {
    let Depth { mut open, mut quoted, .. } = depth;
    let after_newline = |at: usize| if at == from { depth.after_newline } else { held[at - 1] == b'\n' };
    let mut at = from;
    let undecided = loop {
        let stops = if quoted { [b'"', b'\\', b'\n'] } else { [b'"', b'{', b'}'] };
        let Some(found) = memchr3(stops[0], stops[1], stops[2], &held[at..]) else { break held.len() };
        let stop = at + found;
        let after = &held[stop + 1..];
        at = stop + 1;
        match held[stop] {
            b'"' => quoted = !quoted,
            b'\n' => return Ok(lines::up_to(held, stop)),
            b'\\' => match after {
                [] => break stop,
                // A newline in a string is found next, escaped or not.
                [b'\n', ..] => {}
                _ => at += 1,
            },
            b'{' if after_newline(stop) => match line_end(after) {
                LineEnd::Unknown => break stop,
                LineEnd::Here(_) => return Ok(Found { len: stop, ..lines::up_to(held, stop - 1) }),
                LineEnd::Elsewhere => open = open.saturating_add(1),
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
    let depth = Depth { open, quoted, after_newline: after_newline(undecided) };
    Err(Search { at: undecided, inside: Inside::Object(depth) })
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
