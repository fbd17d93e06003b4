//! Fastly's `cstr_escape` in JSON: `\xHH` for bytes and `\v`, which JSON does not know.
//!
//! Takes a line, gives the same with the bytes themselves; borrowed as it is when it has no such escape. Where the
//! byte would end the string or escape something, it stays escaped, in JSON's way.

use memchr::memchr_iter;

use crate::record::Scratch;

/// The line with escapes that JSON knows.
pub(super) fn repair<'a>(line: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    if !memchr_iter(b'\\', line).any(|at| matches!(line.get(at + 1), Some(b'x' | b'v'))) {
        return line;
    }
    scratch.fill(line.len(), |out| {
        let (mut read, mut written) = (0, 0);
        let mut push = |byte: u8| {
            out[written] = byte;
            written += 1;
        };
        while read < line.len() {
            let (byte, len) = match line[read..] {
                [b'\\', b'v', ..] => (0x0b, 2),
                [b'\\', b'x', high, low, ..] => match (digit(high), digit(low)) {
                    (Some(high), Some(low)) => (high << 4 | low, 4),
                    _ => (b'\\', 1),
                },
                [b'\\', escaped, ..] => {
                    push(b'\\');
                    push(escaped);
                    read += 2;
                    continue;
                }
                [byte, ..] => (byte, 1),
                [] => break,
            };
            if len > 1 && matches!(byte, b'"' | b'\\') {
                push(b'\\');
            }
            push(byte);
            read += len;
        }
        written
    })
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_json_does_not_know_changes() {
        let scratch = Scratch::new();
        for (line, expected) in [
            (r#"{"a":"\"\\x41\n"}"#, &br#"{"a":"\"\\x41\n"}"#[..]),
            (r#"{"a":"\xC3\xbc\v"}"#, b"{\"a\":\"\xC3\xBC\x0b\"}"),
            (r#"{"a":"\x22\x5c\xg1"}"#, br#"{"a":"\"\\\xg1"}"#),
            (r"\x", br"\x"),
        ] {
            assert_eq!(repair(line.as_bytes(), &scratch), expected, "{line}");
        }
    }
}
