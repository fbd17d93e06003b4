//! The shape of a path: `/podcast/600/comments` → `/podcast/:id/comments`, so that requests can be grouped.
//!
//! Takes a path, sets `url.shape` and, with the method, `name`. Segments that are numbers, UUIDs, long hex or long
//! tokens become `:id`; after eight segments the rest is `*`.

use crate::record::{Record, Scratch, Value};

/// How many segments a shape tells.
const SEGMENTS_MAX: usize = 8;
/// Hex this long is an id, not a word.
const HEX_LEN_MIN: usize = 16;
/// Letters and digits in one segment this long are an id, not a name.
const TOKEN_LEN_MIN: usize = 20;

/// Sets `url.shape`, and `name` to the method and the shape.
pub(crate) fn set<'a>(method: &'a [u8], path: &'a [u8], scratch: &'a Scratch, record: &mut Record<'a>) {
    let shape = of(path, scratch);
    record.set_text("url.shape", shape);
    record.set("name", Value::Text(scratch.concat(&[method, b" ", shape])));
}

/// The shape of a path.
pub(crate) fn of<'a>(path: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    let slashes = path.iter().filter(|byte| **byte == b'/').count();
    if slashes <= SEGMENTS_MAX && !path.split(|byte| *byte == b'/').any(is_id) {
        return path;
    }
    // `:id` is no longer than what it stands for, but for numbers of one or two digits.
    scratch.fill(path.len() + 2 * slashes.min(SEGMENTS_MAX) + 2, |out| {
        let mut written = 0;
        let mut write = |text: &[u8]| {
            out[written..written + text.len()].copy_from_slice(text);
            written += text.len();
        };
        for (index, segment) in path.split(|byte| *byte == b'/').enumerate() {
            if index > 0 {
                write(b"/");
            }
            if index > SEGMENTS_MAX {
                write(b"*");
                break;
            }
            write(if is_id(segment) { b":id" } else { segment });
        }
        written
    })
}

/// Whether a segment names one thing of many.
fn is_id(segment: &[u8]) -> bool {
    // Every kind has a digit, and most segments have none.
    if !segment.iter().any(u8::is_ascii_digit) {
        return false;
    }
    let number = segment.iter().all(u8::is_ascii_digit);
    let hex = segment.len() >= HEX_LEN_MIN && segment.iter().all(u8::is_ascii_hexdigit);
    let token = segment.len() >= TOKEN_LEN_MIN
        && segment.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && looks_random(segment);
    number || hex || token || is_uuid(segment)
}

/// Words with a number between dashes are a title; a token changes between letters and digits again and again.
fn looks_random(segment: &[u8]) -> bool {
    let changes = segment.windows(2).filter(|pair| {
        pair[0].is_ascii_alphanumeric()
            && pair[1].is_ascii_alphanumeric()
            && pair[0].is_ascii_digit() != pair[1].is_ascii_digit()
    });
    changes.count() >= 3
}

fn is_uuid(segment: &[u8]) -> bool {
    segment.len() == 36
        && segment.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_id_and_words_stay() {
        let scratch = Scratch::new();
        for (path, shape) in [
            ("/", "/"),
            ("*", "*"),
            ("/podcast/600/comments", "/podcast/:id/comments"),
            ("/1/2/3", "/:id/:id/:id"),
            ("/u/123e4567-e89b-12d3-a456-426614174000", "/u/:id"),
            ("/feeds/c62be51c", "/feeds/c62be51c"),
            ("/d/ca6b03eb21e472b5bebc66643a8ea4b4.js", "/d/ca6b03eb21e472b5bebc66643a8ea4b4.js"),
            ("/d/ca6b03eb21e472b5bebc66643a8ea4b4", "/d/:id"),
            ("/s/GOoqLfrUFdYueAY1AA2Ch3", "/s/:id"),
            (
                "/posts/ten-things-i-learned-in-2026-about-logs",
                "/posts/ten-things-i-learned-in-2026-about-logs",
            ),
            ("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/*"),
            ("//7//", "//:id//"),
        ] {
            assert_eq!(of(path.as_bytes(), &scratch), shape.as_bytes(), "{path}");
        }
    }
}
