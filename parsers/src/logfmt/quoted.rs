//! Text in double quotes as Go writes it (strconv.Quote, encoding/json) and everyone after it: `\n`, `\"`, `\x1b`,
//! `\u00e9`, `\U0001f600`. An escape that is none of these stays as it is. And klog's text of several lines, which
//! has no escapes but a tab before each line.

use crate::record::Scratch;

/// Resolves the escapes.
pub(crate) fn unquote<'a>(text: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    if memchr::memchr(b'\\', text).is_none() {
        return text;
    }
    scratch.fill(text.len(), |out| {
        let (mut read, mut written) = (0, 0);
        while read < text.len() {
            // What an escape stands for is never longer than the escape.
            let (bytes, len) = match escape(&text[read..]) {
                Some((Meant::Byte(byte), len)) => {
                    out[written] = byte;
                    (1, len)
                }
                Some((Meant::Character(character), len)) => {
                    (character.encode_utf8(&mut out[written..]).len(), len)
                }
                None => {
                    out[written] = text[read];
                    (1, 1)
                }
            };
            written += bytes;
            read += len;
        }
        written
    })
}

/// Takes the tab before each line off.
pub(crate) fn unindent<'a>(text: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    scratch.fill(text.len(), |out| {
        let mut written = 0;
        let mut before = b'\n';
        for byte in text {
            if !(before == b'\n' && *byte == b'\t') {
                out[written] = *byte;
                written += 1;
            }
            before = *byte;
        }
        written
    })
}

enum Meant {
    Byte(u8),
    Character(char),
}

/// What the escape that `text` begins with means, and its length.
fn escape(text: &[u8]) -> Option<(Meant, usize)> {
    let [b'\\', kind, ..] = text else { return None };
    let byte = match kind {
        b'"' | b'\\' | b'/' | b'\'' => *kind,
        b'a' => 0x07,
        b'b' => 0x08,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 0x0b,
        b'f' => 0x0c,
        b'r' => b'\r',
        b'x' => u8::try_from(hex(text, 2, 2)?).ok()?,
        b'u' => return unit(text),
        b'U' => return Some((Meant::Character(char::from_u32(hex(text, 2, 8)?)?), 10)),
        _ => return None,
    };
    Some((Meant::Byte(byte), if *kind == b'x' { 4 } else { 2 }))
}

/// `\u00e9`, or two surrogates that make one character. A lone one becomes U+FFFD.
fn unit(text: &[u8]) -> Option<(Meant, usize)> {
    let first = u16::try_from(hex(text, 2, 4)?).ok()?;
    let second = text.get(6..8).filter(|start| *start == br"\u").and_then(|_| hex(text, 8, 4));
    let units = [Some(first), second.and_then(|unit| u16::try_from(unit).ok())];
    let character = char::decode_utf16(units.into_iter().flatten()).next()?.ok();
    let len = if character.is_some_and(|character| character.len_utf16() == 2) { 12 } else { 6 };
    Some((Meant::Character(character.unwrap_or(char::REPLACEMENT_CHARACTER)), len))
}

fn hex(text: &[u8], at: usize, digits: usize) -> Option<u32> {
    let digits = text.get(at..at + digits)?;
    digits.iter().try_fold(0_u32, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tab_a_line_is_taken_off() {
        let scratch = Scratch::new();
        assert_eq!(unindent(b"\ta\n\t\tb\n\n\tc\td", &scratch), b"a\n\tb\n\nc\td");
    }

    #[test]
    fn escapes_are_resolved() {
        let scratch = Scratch::new();
        for (text, expected) in [
            (r#"a\"b\\c\n"#, "a\"b\\c\n".as_bytes()),
            (r"\x1b[0m\xff\a", b"\x1b[0m\xff\x07"),
            (r"\u00e9\ud83d\ude00\U0001f600", "é😀😀".as_bytes()),
            (r"\ud800x\ud800\u0041", "\u{fffd}x\u{fffd}A".as_bytes()),
            (r"\q\x4\u12\U00110000\", r"\q\x4\u12\U00110000\".as_bytes()),
        ] {
            assert_eq!(unquote(text.as_bytes(), &scratch), expected, "{text}");
        }
    }
}
