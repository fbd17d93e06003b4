//! What a text is, as far as it tells where a parameter's value ends: a URL as a client wrote it, or prose that may have some.
//!
//! Takes a field's name, or the text; and what stands behind a parameter's `=`, gives the value's length.

use memchr::{memchr, memmem};

use super::FILTERED;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A URL, a part of one, or a request's line.
    Url,
    /// Anything else.
    Prose,
}

/// What a field of that name and text is. A JSON text has quotes of its own, whatever its name.
pub(super) fn of_field(name: &[u8], text: &[u8]) -> Place {
    let leaf = name.rsplit(|byte| matches!(byte, b'.' | b'_')).next().unwrap_or(name);
    let is_ours = match name {
        b"http.request.line" | b"url.shape" => true,
        _ => name.starts_with(b"url."),
    };
    let is_usual = [
        &b"url"[..],
        b"uri",
        b"query",
        b"qs",
        b"args",
        b"referer",
        b"referrer",
        b"path",
        b"target",
        b"request",
        b"location",
    ]
    .iter()
    .any(|usual| leaf.eq_ignore_ascii_case(usual))
        || leaf.len() < name.len() && (name.ends_with(b"query_string") || name.ends_with(b"request_line"));
    let is_data = matches!(text.first(), Some(b'{' | b'[' | b'"'));
    if is_ours || (is_usual && !is_data) { Place::Url } else { Place::Prose }
}

/// Where a text has a request's target as the client wrote it: at its beginning, `GET /a?b HTTP/1.1` or `/a?b`, or in a crash's report;
/// an empty range if it has none.
pub(super) fn target(text: &[u8]) -> (usize, usize) {
    let method = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let blank = usize::from(method > 0);
    if text[method..].starts_with(&b" /"[1 - blank..]) {
        let from = method + blank;
        let len = text[from..].iter().position(u8::is_ascii_whitespace);
        return (from, len.map_or(text.len(), |len| from + len));
    }
    let line = memmem::find(text, b"\nRequest: ").map(|newline| newline + 1);
    line.map_or((0, 0), |from| (from, memchr(b'\n', &text[from..]).map_or(text.len(), |len| from + len)))
}

/// Where a text of that kind is a URL as a client wrote it.
pub(super) fn url_in(place: Place, text: &[u8]) -> (usize, usize) {
    if place == Place::Url { (0, text.len()) } else { target(text) }
}

/// Whether a parameter's value ends there in a URL as a client wrote it.
pub(super) const fn ends_in_url(byte: &u8) -> bool {
    matches!(byte, b'&' | b'#') || byte.is_ascii_whitespace()
}

/// The same of a URL in prose, where what quotes it ends it, too.
pub(super) const fn ends_in_prose(byte: &u8) -> bool {
    ends_in_url(byte) || matches!(byte, b'"' | b'<' | b'>')
}

/// The length of a parameter's value in a URL as a client wrote it.
pub(super) fn url_len(value: &[u8]) -> usize {
    value.iter().position(ends_in_url).unwrap_or(value.len())
}

/// The same of a URL in prose.
pub(super) fn prose_len(value: &[u8]) -> usize {
    let len = value.iter().position(ends_in_prose).unwrap_or(value.len());
    // Where the query goes on, the prose does not.
    if matches!(value.get(len), Some(b'&' | b'#')) { len } else { without_tail(&value[..len]) }
}

/// The value's length without what follows a URL in prose: a full stop, what closes brackets, and what escapes a quote.
/// These tell nothing of a secret.
pub(super) fn without_tail(value: &[u8]) -> usize {
    let mut len = value.len();
    while let [.., b'.' | b',' | b';' | b')' | b']' | b'}' | b'\'' | b'\\'] = &value[..len] {
        if &value[..len] == FILTERED {
            break;
        }
        len -= 1;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_urls() {
        for name in [
            "url.query",
            "url.param.to",
            "http.request.header.referer",
            "nginx.upstream.url",
            "request",
            "conn.qs",
        ] {
            assert_eq!(of_field(name.as_bytes(), b"/x"), Place::Url, "{name}");
        }
        for name in ["body", "message", "curl", "request_id", ""] {
            assert_eq!(of_field(name.as_bytes(), b"/x"), Place::Prose, "{name}");
        }
        assert_eq!(of_field(b"request", b"[1]"), Place::Prose);
        assert_eq!(of_field(b"url.query", b"[a]=1"), Place::Url);
    }

    #[test]
    fn targets() {
        for (text, expected) in [
            ("GET /a b", "/a"),
            ("GET /a", "/a"),
            ("GETS a", ""),
            (" /a", ""),
            ("x\nRequest: GET /b c\nd", "Request: GET /b c"),
            ("", ""),
        ] {
            let (from, to) = target(text.as_bytes());
            assert_eq!(&text[from..to], expected, "{text}");
        }
    }

    #[test]
    fn lengths() {
        for (value, url, prose) in [
            ("a", "a", "a"),
            ("it's,(a)&b", "it's,(a)", "it's,(a)"),
            ("a\"b>c#d", "a\"b>c", "a"),
            ("a). b", "a).", "a"),
            ("a\\\"", "a\\\"", "a"),
            ("[FILTERED]), b", "[FILTERED]),", "[FILTERED]"),
            (")", ")", ""),
        ] {
            assert_eq!(&value[..url_len(value.as_bytes())], url, "{value}");
            assert_eq!(&value[..prose_len(value.as_bytes())], prose, "{value}");
        }
    }
}
