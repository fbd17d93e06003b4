//! The shape of a path: `/podcast/600/comments` → `/podcast/:id/comments`, so that requests can be grouped.
//!
//! Takes a path, sets `url.shape` and, with the method, `name`. A pattern that the source's configuration has is the
//! shape of the paths that fit it. In other paths, segments that are numbers, UUIDs, long hex or long tokens become `:id`;
//! after eight segments the rest is `*`.

mod hidden;
mod pattern;
mod urls;

pub use urls::UrlShapes;

use crate::{
    Context,
    record::{Record, Scratch, Value},
};

/// How many segments a shape tells.
const SEGMENTS_MAX: usize = 8;
/// Hex this long is an id, not a word.
const HEX_LEN_MIN: usize = 16;
/// Letters and digits in one segment this long are an id, not a name.
const TOKEN_LEN_MIN: usize = 20;

/// Sets `url.shape`, and `name` to the method and the shape. `side_by_side` is method and path with a blank between
/// them, where the line has them so: mostly that is the name already.
pub(crate) fn set<'a>(
    method: &'a [u8],
    path: &'a [u8],
    side_by_side: Option<&'a [u8]>,
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) {
    let shape = told(path, context, scratch, record);
    record.set_text("url.shape", shape);
    let name = match side_by_side {
        Some(name) if std::ptr::eq(shape, path) => name,
        _ => scratch.concat(&[method, b" ", shape]),
    };
    record.set("name", Value::Text(name));
}

/// The same from the method and the path of a record that has both, but for what it has already. A route that the framework
/// has told names the request better than the path's shape does.
pub(crate) fn set_from_fields<'a>(context: &Context<'_>, scratch: &'a Scratch, record: &mut Record<'a>) {
    let text = |name: &str| match record.get(name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    let (Some(method), Some(path)) = (text("http.request.method"), text("url.path")) else { return };
    let (route, before) = (text("http.route"), record.fields().len());
    let shape = told(path, context, scratch, record);
    record.set_text("url.shape", shape);
    record.set("name", Value::Text(scratch.concat(&[method, b" ", route.unwrap_or(shape)])));
    record.drop_repeated(0, before);
}

/// The shape of a path, be it a pattern of the source's or one of ours; sets the fields that URLs of the source become.
pub(crate) fn told<'a>(
    path: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> &'a [u8] {
    let pattern = context.url_shapes.and_then(|urls| urls.set(path, context.secret_names, scratch, record));
    pattern.map_or_else(|| of(path, scratch), |pattern| scratch.copy(pattern.as_bytes()))
}

/// The shape of a path by our rules.
fn of<'a>(path: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    let mut segments = Segments { path, at: 0, index: 0 };
    let Some(first) = segments.find(Segment::changes) else { return path };
    // Every segment from here on may be a number of one digit, which `:id` is longer than.
    scratch.fill(path.len() + 2 * SEGMENTS_MAX + 2, |out| {
        let mut written = first.start;
        out[..written].copy_from_slice(&path[..written]);
        let mut write = |text: &[u8]| {
            out[written..written + text.len()].copy_from_slice(text);
            written += text.len();
        };
        for segment in std::iter::once(first).chain(segments) {
            if segment.index > first.index {
                write(b"/");
            }
            if segment.index > SEGMENTS_MAX {
                write(b"*");
                break;
            }
            write(if segment.is_id() { b":id" } else { segment.text });
        }
        written
    })
}

/// What stands between two slashes.
#[derive(Clone, Copy)]
struct Segment<'a> {
    text: &'a [u8],
    /// Where it begins in the path.
    start: usize,
    index: usize,
    digits: usize,
}

/// The segments of a path, looked at byte by byte but once.
struct Segments<'a> {
    path: &'a [u8],
    at: usize,
    index: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    #[inline]
    fn next(&mut self) -> Option<Segment<'a>> {
        let rest = self.path.get(self.at..)?;
        let (mut len, mut digits) = (0, 0);
        for byte in rest {
            if *byte == b'/' {
                break;
            }
            digits += usize::from(byte.is_ascii_digit());
            len += 1;
        }
        let segment = Segment { text: &rest[..len], start: self.at, index: self.index, digits };
        self.at += len + 1;
        self.index += 1;
        Some(segment)
    }
}

impl Segment<'_> {
    /// Whether the shape has something else in its place.
    fn changes(&self) -> bool {
        self.index > SEGMENTS_MAX || self.is_id()
    }

    /// Whether it names one thing of many.
    #[inline]
    fn is_id(&self) -> bool {
        // Every kind has a digit, and most segments have none.
        self.digits > 0 && (self.digits == self.text.len() || is_long_id(self.text))
    }
}

/// Whether text with a digit in it is an id, though no number.
fn is_long_id(segment: &[u8]) -> bool {
    if segment.len() < HEX_LEN_MIN {
        return false;
    }
    let hex = segment.iter().all(u8::is_ascii_hexdigit);
    let token = segment.len() >= TOKEN_LEN_MIN
        && segment.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && looks_random(segment);
    hex || token || is_uuid(segment)
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
    fn a_route_that_is_told_names_the_request() {
        let (scratch, mut record) = (Scratch::default(), Record::default());
        for (name, text) in
            [("http.request.method", "GET"), ("url.path", "/podcast/a"), ("http.route", "/podcast/:slug")]
        {
            record.set_text(name, text.as_bytes());
        }
        set_from_fields(&Context::default(), &scratch, &mut record);
        assert_eq!(record.get("name"), Some(Value::text("GET /podcast/:slug")));
        assert_eq!(record.get("url.shape"), Some(Value::text("/podcast/a")));
    }

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
