//! What nginx appends to the message of an error line: who was connected and what was asked for.
//!
//! ```text
//! , client: A, server: S, request: "R", subrequest: "U", upstream: "X", host: "H", referrer: "F"
//! ```
//!
//! in that order, each optional (`src/http/ngx_http_request.c`, `ngx_http_log_error`; stream's
//! `ngx_stream_proxy_module.c` adds byte counts, Kong and APISIX a request id). Nothing is escaped, so a quoted value
//! holds quotes and even `", host: "`; the whole line is cut at 2,048 bytes, in the middle of anything.
//!
//! Takes the text after the line's head and answers where its tail begins and what is in it. What nginx itself
//! says comes first in the line, so the first place where a whole tail fits is the true one, unless it lies inside
//! quotes of the message.

use memchr::{memchr_iter, memmem, memrchr};

/// The keys in nginx's order; those with a quote have quoted values.
const KEYS: [&[u8]; COUNT] = [
    b"client: ",
    b"server: ",
    b"request: \"",
    b"subrequest: \"",
    b"upstream: \"",
    b"host: \"",
    b"referrer: \"",
    b"request_id: \"",
    b"bytes from/to client:",
];
const COUNT: usize = 9;
const SERVER: usize = 1;
const REQUEST: usize = 2;
const BYTE_COUNTS: usize = 8;

/// The values as written; empty where a key is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tail<'a> {
    pub(super) client: &'a [u8],
    pub(super) server: &'a [u8],
    pub(super) request: &'a [u8],
    pub(super) subrequest: &'a [u8],
    pub(super) upstream: &'a [u8],
    pub(super) host: &'a [u8],
    pub(super) referrer: &'a [u8],
    pub(super) request_id: &'a [u8],
    pub(super) byte_counts: &'a [u8],
}

/// The message and its tail.
pub(super) fn split(text: &[u8]) -> (&[u8], Tail<'_>) {
    let fits = |start: usize| Some((start, values(&text[start..])?));
    // A message with an odd number of quotes (a user's name may hold one) tells nothing; then the last place fits.
    let of_key = |key: &[u8]| {
        outside_quotes(text, key).find_map(fits).or_else(|| last_first(text, key).find_map(fits))
    };
    let Some((start, values)) = KEYS[..BYTE_COUNTS].iter().find_map(|key| of_key(key)) else {
        return (text, Tail::default());
    };
    let [client, server, request, subrequest, upstream, host, referrer, request_id, byte_counts] = values;
    let tail =
        Tail { client, server, request, subrequest, upstream, host, referrer, request_id, byte_counts };
    (&text[..start], tail)
}

/// Where `, key` stands with an even number of quotes before it.
fn outside_quotes<'t>(text: &'t [u8], key: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    let (mut counted, mut open) = (0, false);
    memmem::find_iter(text, key).filter_map(move |at| separator(text, at)).filter(move |start| {
        open ^= memchr_iter(b'"', &text[counted..*start]).count() % 2 == 1;
        counted = *start;
        !open
    })
}

/// Where `, key` stands, from the right.
fn last_first<'t>(text: &'t [u8], key: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    memmem::rfind_iter(text, key).filter_map(move |at| separator(text, at))
}

/// The place of the `, ` before the key at `at`.
fn separator(text: &[u8], at: usize) -> Option<usize> {
    at.checked_sub(2).filter(|start| text[*start..].starts_with(b", "))
}

/// The values of a text that is nothing but a tail, perhaps cut.
fn values(text: &[u8]) -> Option<[&[u8]; COUNT]> {
    let mut values = [&b""[..]; COUNT];
    let mut rest = text;
    let mut next = 0;
    while !rest.is_empty() && !is_cut_key(rest, next) {
        let text = rest.strip_prefix(b", ")?;
        let key = (next..COUNT).find(|key| text.starts_with(KEYS[*key]))?;
        let value_and_more = &text[KEYS[key].len()..];
        (values[key], rest) = if KEYS[key].ends_with(b"\"") {
            quoted(value_and_more, key)
        } else if key == BYTE_COUNTS {
            (value_and_more, &b""[..])
        } else {
            bare(value_and_more, key)?
        };
        next = key + 1;
    }
    Some(values)
}

/// An address or a server's name: no blanks, no quotes. A comma before a blank is the separator, not the name's.
fn bare(text: &[u8], key: usize) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte <= b' ' || *byte == b'"').unwrap_or(text.len());
    let value = &text[..end];
    let separated = value.strip_suffix(b",");
    let value = if end < text.len() { separated? } else { separated.unwrap_or(value) };
    (key == SERVER || is_address(value)).then(|| (value, &text[value.len()..]))
}

fn is_address(text: &[u8]) -> bool {
    text == b"unix:" || text.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':'))
}

/// A quoted value, without its quotes, and what follows. It ends where another key of the tail follows its quote;
/// a request at the first such place behind its protocol version, if there is one.
fn quoted(text: &[u8], key: usize) -> (&[u8], &[u8]) {
    let followed = |quote: &usize| {
        let after = text[quote + 1..].strip_prefix(b", ");
        after.is_some_and(|after| KEYS[key + 1..].iter().any(|later| after.starts_with(later)))
    };
    let mut ends = memchr_iter(b'"', text).filter(followed);
    let first = ends.next();
    let honest = |end: &usize| key == REQUEST && ends_with_version(&text[..*end]);
    let end = first.filter(honest).or_else(|| ends.find(honest)).or(first);
    if let Some(end) = end {
        return (&text[..end], &text[end + 1..]);
    }
    // The last one: closed, or cut inside, or cut inside the next key.
    let end = memrchr(b'"', text).filter(|quote| {
        let after = &text[quote + 1..];
        after.is_empty() || is_cut_key(after, key + 1)
    });
    end.map_or((text, &b""[..]), |end| (&text[..end], &b""[..]))
}

/// ` HTTP/1.1`
fn ends_with_version(request: &[u8]) -> bool {
    let version = memrchr(b' ', request).and_then(|blank| request[blank + 1..].strip_prefix(b"HTTP/"));
    version.is_some_and(|version| version.first().is_some_and(u8::is_ascii_digit))
}

/// Whether `text` is the beginning of a key that may come at this place, and ends within it.
fn is_cut_key(text: &[u8], next: usize) -> bool {
    let key = if text == b"," { Some(&b""[..]) } else { text.strip_prefix(b", ") };
    key.is_some_and(|cut| KEYS[next..].iter().any(|key| key.len() > cut.len() && key.starts_with(cut)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let (message, tail) = split(text.as_bytes());
        let values = [
            ("m", message),
            ("c", tail.client),
            ("s", tail.server),
            ("r", tail.request),
            ("sub", tail.subrequest),
            ("u", tail.upstream),
            ("h", tail.host),
            ("ref", tail.referrer),
            ("id", tail.request_id),
            ("b", tail.byte_counts),
        ];
        let present = values.into_iter().filter(|(_, value)| !value.is_empty());
        let shown = present.map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)));
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn any_part_may_be_missing() {
        for (text, expected) in [
            ("signal process started", "m=signal process started"),
            ("x, client: 10.0.0.1, server: 0.0.0.0:443", "m=x c=10.0.0.1 s=0.0.0.0:443"),
            (r#"x, client: ::1, server: , request: "GET / HTTP/1.1""#, "m=x c=::1 r=GET / HTTP/1.1"),
            (r#"x, client: unix:, server: _, host: "h""#, "m=x c=unix: s=_ h=h"),
            (r#"x, server: ~^a{1,3}$, referrer: "f""#, "m=x s=~^a{1,3}$ ref=f"),
            (r#"x, request: "G""#, "m=x r=G"),
            (
                r#"x, client: 1.1.1.1, server: a, request: "G", subrequest: "/s", upstream: "http://u/", host: "h", referrer: "f", request_id: "i""#,
                "m=x c=1.1.1.1 s=a r=G sub=/s u=http://u/ h=h ref=f id=i",
            ),
            (
                r#"x, udp client: 1.1.1.1, server: a, upstream: "b:1", bytes from/to client:1/2, bytes from/to upstream:3/4"#,
                "m=x, udp client: 1.1.1.1 s=a u=b:1 b=1/2, bytes from/to upstream:3/4",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn quotes_and_commas_inside_values() {
        for (text, expected) in [
            (
                r#"x, client: 1.1.1.1, server: a, request: "GET /say "hi" HTTP/1.1", host: "say "hi"""#,
                r#"m=x c=1.1.1.1 s=a r=GET /say "hi" HTTP/1.1 h=say "hi""#,
            ),
            (
                r#"x, client: 1.1.1.1, server: a, request: "G", host: "ends with \""#,
                r"m=x c=1.1.1.1 s=a r=G h=ends with \",
            ),
            (
                r#"x, client: 1.1.1.1, server: a, request: "GET /", host: "forged" HTTP/1.1", host: "h""#,
                r#"m=x c=1.1.1.1 s=a r=GET /", host: "forged" HTTP/1.1 h=h"#,
            ),
            (
                r#"x, client: 1.1.1.1, server: a, request: "GET / HTTP/1.1", host: "h", referrer: "f", client: 6.6.6.6, server: b, host: "c""#,
                r#"m=x c=1.1.1.1 s=a r=GET / HTTP/1.1 h=h ref=f", client: 6.6.6.6, server: b, host: "c"#,
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_message_that_looks_like_a_tail() {
        for (text, expected) in [
            (
                r#"user "a, client: 6.6.6.6, server: b" was not found, client: 1.1.1.1, server: c"#,
                r#"m=user "a, client: 6.6.6.6, server: b" was not found c=1.1.1.1 s=c"#,
            ),
            (
                r#"user "a"b" was not found, client: 1.1.1.1, server: c"#,
                r#"m=user "a"b" was not found c=1.1.1.1 s=c"#,
            ),
            (
                r#"user "a"b" was not found, client: 1.1.1.1, server: c, request: "GET /"x HTTP/1.1", host: "h""#,
                r#"m=user "a"b" was not found c=1.1.1.1 s=c r=GET /"x HTTP/1.1 h=h"#,
            ),
            ("lost, client: of mine, sorry, client: 1.1.1.1", "m=lost, client: of mine, sorry c=1.1.1.1"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_line_is_cut_anywhere() {
        let line = r#"x, client: 10.0.0.1, server: pods, request: "GET /a HTTP/1.1", upstream: "http://u:1/", host: "h""#;
        for end in line.find(", client: ").unwrap() + 10..line.len() {
            let shown = shown(&line[..end]);
            assert!(shown.starts_with("m=x"), "{shown}");
            assert!(!shown.contains(", "), "a cut key is in no value: {shown}");
        }
    }

    #[test]
    fn hostile_lines_take_no_more_than_linear_time() {
        for piece in
            [", client: 1", "\"\", client: 1, request: \"\"", "\", host: \"", ", server: a, request: \""]
        {
            let line = format!("\"{}", piece.repeat(100_000));
            let _ = split(line.as_bytes());
        }
    }
}
