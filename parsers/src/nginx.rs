//! nginx's logs: access lines, and what the request line and the upstream variables in them mean; error lines.
//!
//! Variables of access lines are read as nginx writes them with `escape=default`: `"`, `\`, controls and everything
//! from 0x7F on stand as `\xHH`, a missing value as `-` (`ngx_http_log_module.c`, `ngx_http_log_escape`).

pub(crate) mod access;
pub mod config;
pub(crate) mod error;
mod fields;
pub(crate) mod log_format;
pub(crate) mod request;
mod search;
mod straight;
mod upstream;
mod variable;

use crate::record::Scratch;

/// Resolves `\xHH`. A backslash that begins no such escape stays.
fn unescape<'a>(raw: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    if memchr::memchr(b'\\', raw).is_none() {
        return raw;
    }
    scratch.fill(raw.len(), |out| {
        let (mut read, mut written) = (0, 0);
        while read < raw.len() {
            let escaped = match raw[read..] {
                [b'\\', b'x', high, low, ..] => hex(high).zip(hex(low)),
                _ => None,
            };
            out[written] = escaped.map_or(raw[read], |(high, low)| high << 4 | low);
            read += if escaped.is_some() { 4 } else { 1 };
            written += 1;
        }
        written
    })
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_bytes() {
        let scratch = Scratch::new();
        assert_eq!(unescape(br"a\x22b\x5Cx22\xC3\xBC\q\x4", &scratch), b"a\"b\\x22\xC3\xBC\\q\\x4");
    }
}
