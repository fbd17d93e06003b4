//! The request line, `$request`: `METHOD target HTTP/x` when the client is honest, anything otherwise.
//!
//! Takes its text as the log has it, with the log's way to resolve escapes (blanks are never escaped, so tokens
//! can be told first), and sets the method, the parts of the target and the protocol version. Never fails: a line
//! of any other shape is kept whole in `http.request.line`, beside whatever part of it is beyond doubt.

use memchr::{memchr, memmem, memrchr};

use super::log_format::Escape;
use crate::{
    number::whole,
    record::{Record, Scratch, Value},
};

/// A request's method and path, as far as they are beyond doubt.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told<'a> {
    pub(crate) method: Option<&'a [u8]>,
    pub(crate) path: Option<&'a [u8]>,
    /// Both with a blank between them, where the line has them so.
    pub(crate) side_by_side: Option<&'a [u8]>,
}

impl<'a> Told<'a> {
    /// What this tells, and of what it does not tell what the other does.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            method: self.method.or(other.method),
            path: self.path.or(other.path),
            side_by_side: self.side_by_side,
        }
    }
}

/// The parts of a request's target, as written; empty where it has none.
pub(crate) struct Target<'a> {
    pub(crate) scheme: &'a [u8],
    pub(crate) host: &'a [u8],
    pub(crate) port: Option<i64>,
    pub(crate) path: &'a [u8],
    pub(crate) query: &'a [u8],
}

/// Sets the fields of a request line; an absent or empty one sets none.
pub(crate) fn set<'a>(
    raw: &'a [u8],
    escape: Escape,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Told<'a> {
    if escape.is_missing(raw) {
        return Told::default();
    }
    let Some((method, target, version)) = split(raw) else {
        record.set_text("http.request.line", escape.resolve(raw, scratch));
        return set_parts_of_odd_line(raw, escape, scratch, record);
    };
    record.set("http.request.method", Value::Text(method));
    let target = if method == b"CONNECT" {
        let (host, port) = authority(target);
        Target { scheme: b"", host, port, path: b"", query: b"" }
    } else {
        Target::of(target)
    };
    let path = target.set(escape, scratch, record);
    record.set("network.protocol.version", Value::Text(canonical(version)));
    let plain = path.is_some_and(|path| target.scheme.is_empty() && path.len() == target.path.len());
    let side_by_side = plain.then(|| &raw[..method.len() + 1 + target.path.len()]);
    Told { method: Some(method), path, side_by_side }
}

/// `METHOD target HTTP/x` with single blanks → its three parts, the last one without `HTTP/`.
fn split(raw: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let method_end = raw.iter().position(|byte| !is_token(*byte)).filter(|len| *len > 0)?;
    let rest = raw[method_end..].strip_prefix(b" ")?;
    let target_end = memchr(b' ', rest).filter(|len| *len > 0)?;
    let version = rest[target_end + 1..].strip_prefix(b"HTTP/")?;
    is_version(version).then_some((&raw[..method_end], &rest[..target_end], version))
}

/// What can be told of `GET /x` (HTTP/0.9), of doubled or trailing blanks, of a target with blanks in it.
fn set_parts_of_odd_line<'a>(
    raw: &'a [u8],
    escape: Escape,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Told<'a> {
    let mut tokens = raw.split(|byte| *byte == b' ').filter(|token| !token.is_empty());
    let (Some(method), Some(target)) = (tokens.next(), tokens.next()) else { return Told::default() };
    if raw[0] == b' ' || !is_method(method) || !(target.starts_with(b"/") || absolute(target).is_some()) {
        return Told::default();
    }
    record.set("http.request.method", Value::Text(method));
    let third = tokens.next();
    let version = tokens.next_back().or(third).and_then(protocol_version);
    // Of a target with blanks in it the first word is a part only.
    let whole = third.is_none()
        || (version.is_some() && tokens.next().is_none() && third.and_then(protocol_version).is_some());
    let path = if whole { Target::of(target).set(escape, scratch, record) } else { None };
    if let Some(version) = version {
        record.set("network.protocol.version", Value::Text(version));
    }
    Told { method: Some(method), path, side_by_side: None }
}

impl<'a> Target<'a> {
    /// Origin-form, absolute-form or `*` (RFC 9112, 3.2); only CONNECT has an authority.
    pub(crate) fn of(target: &'a [u8]) -> Self {
        let (scheme, (host, port), path_and_query) = match absolute(target) {
            Some((scheme, rest)) => {
                let authority_end =
                    rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
                (scheme, authority(&rest[..authority_end]), &rest[authority_end..])
            }
            None => (&b""[..], (&b""[..], None), target),
        };
        let (path, query) = match memchr(b'?', path_and_query) {
            Some(mark) => (&path_and_query[..mark], &path_and_query[mark + 1..]),
            None => (path_and_query, &b""[..]),
        };
        // A whole URL without a path asks for the root (RFC 9110, 4.2.3).
        let path = if path.is_empty() && !scheme.is_empty() { b"/" } else { path };
        Self { scheme, host, port, path, query }
    }

    /// What the log said of the server before counts more than what the client wrote.
    /// Answers the path.
    pub(crate) fn set(
        &self,
        escape: Escape,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Option<&'a [u8]> {
        record.set_text("url.scheme", self.scheme);
        let named = !self.host.is_empty() && self.host != b"-";
        if (named || self.port.is_some()) && record.get("server.address").is_none() {
            record.set_text("server.address", if named { escape.resolve(self.host, scratch) } else { b"" });
            if let Some(port) = self.port {
                record.set("server.port", Value::Int(port));
            }
        }
        let path = escape.resolve(self.path, scratch);
        record.set_text("url.path", path);
        record.set_text("url.query", escape.resolve(self.query, scratch));
        (!path.is_empty()).then_some(path)
    }
}

/// `user@host:port` → the host and the port.
pub(crate) fn authority(text: &[u8]) -> (&[u8], Option<i64>) {
    let host_port = memrchr(b'@', text).map_or(text, |at| &text[at + 1..]);
    let after_brackets = memrchr(b']', host_port).unwrap_or(0);
    let port = memrchr(b':', &host_port[after_brackets..])
        .and_then(|colon| Some((after_brackets + colon, whole(&host_port[after_brackets + colon + 1..])?)));
    port.map_or((host_port, None), |(colon, port)| (&host_port[..colon], Some(port)))
}

/// `scheme://rest` → its two parts.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    if target.first() == Some(&b'/') {
        return None;
    }
    let scheme_end = memmem::find(target, b"://")?;
    let scheme = &target[..scheme_end];
    let named = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    (named && scheme.first().is_some_and(u8::is_ascii_alphabetic))
        .then(|| (scheme, &target[scheme_end + 3..]))
}

/// `HTTP/1.1` → `1.1`; nothing for what is no version.
pub(crate) fn protocol_version(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"HTTP/").filter(|version| is_version(version)).map(canonical)
}

/// 2.0 and 3.0 are nginx's spelling of what the convention calls 2 and 3.
fn canonical(version: &[u8]) -> &[u8] {
    match version {
        b"2.0" => b"2",
        b"3.0" => b"3",
        other => other,
    }
}

fn is_version(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_digit)
        && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// A method token (RFC 9110, 5.6.2).
pub(crate) fn is_method(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token(*byte))
}

const fn is_token(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9')
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
                | b'-'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(raw: &str) -> String {
        let scratch = Scratch::new();
        let mut record = Record::new();
        set(raw.as_bytes(), Escape::Default, &scratch, &mut record);
        let show = |value| match value {
            Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        let key = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        let fields = record.fields().iter();
        fields.map(|f| format!("{}={}", key(f.key.bytes()), show(f.value))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn well_formed_lines() {
        let expected = "http.request.method=GET url.path=/a url.query=b=%20&c network.protocol.version=1.1";
        assert_eq!(fields("GET /a?b=%20&c HTTP/1.1"), expected);
        assert_eq!(
            fields("OPTIONS * HTTP/2.0"),
            "http.request.method=OPTIONS url.path=* network.protocol.version=2"
        );
        assert_eq!(
            fields("GET http://u@[::1]:81/abs?q HTTP/1.1"),
            "http.request.method=GET url.scheme=http server.address=[::1] server.port=Int(81) url.path=/abs \
             url.query=q network.protocol.version=1.1"
        );
        assert_eq!(
            fields("GET http://a?q HTTP/1.0"),
            "http.request.method=GET url.scheme=http server.address=a url.path=/ url.query=q \
             network.protocol.version=1.0"
        );
        assert_eq!(
            fields("CONNECT a.test:443 HTTP/1.1"),
            "http.request.method=CONNECT server.address=a.test server.port=Int(443) network.protocol.version=1.1"
        );
        assert_eq!(
            fields(r"GET /\xC3\xBC HTTP/1.1"),
            "http.request.method=GET url.path=/ü network.protocol.version=1.1"
        );
    }

    #[test]
    fn odd_lines_are_kept_whole() {
        for (raw, expected) in [
            ("", ""),
            ("-", ""),
            (r"\x16\x03", "http.request.line=\u{16}\u{3}"),
            ("GET /?n=1", "http.request.line=GET /?n=1 http.request.method=GET url.path=/ url.query=n=1"),
            (" GET / HTTP/1.1", "http.request.line= GET / HTTP/1.1"),
            (
                "GET  /two HTTP/1.1 ",
                "http.request.line=GET  /two HTTP/1.1  http.request.method=GET url.path=/two \
                 network.protocol.version=1.1",
            ),
            (
                "GET /a b?c HTTP/1.1",
                "http.request.line=GET /a b?c HTTP/1.1 http.request.method=GET network.protocol.version=1.1",
            ),
            ("GET /a b", "http.request.line=GET /a b http.request.method=GET"),
            ("PROXY TCP4 1.2.3.4", "http.request.line=PROXY TCP4 1.2.3.4"),
        ] {
            assert_eq!(fields(raw), expected, "{raw:?}");
        }
    }
}
