//! JSON's grammar (RFC 8259) over bytes, one value at a time.
//!
//! Text need not be valid UTF-8 and may hold raw control characters, since nginx and others write both; all else
//! is strict. Nesting is limited, so that hostile input can't exhaust the stack.

use memchr::{memchr, memchr2};
use nom::{
    IResult,
    error::{Error, ErrorKind},
};

/// Deeper nesting than this is an error (`serde_json` draws the line at the same place).
const DEPTH_MAX: usize = 128;

/// One value. Text and numbers are as written, containers are the whole of their text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Null,
    Bool(bool),
    Number(&'a [u8]),
    /// What stands between the quotes, and whether there are escapes in it.
    Text(&'a [u8], bool),
    Array(&'a [u8]),
    Object(&'a [u8]),
}

fn fail<T>(input: &[u8], kind: ErrorKind) -> IResult<&[u8], T> {
    Err(nom::Err::Error(Error::new(input, kind)))
}

/// What follows blanks.
#[inline]
pub(crate) fn skip_blanks(input: &[u8]) -> &[u8] {
    if input.first().is_some_and(|byte| *byte > b' ') {
        return input;
    }
    let blanks = input.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    &input[blanks..]
}

/// That byte, with blanks round it.
pub(crate) fn punctuation(byte: u8) -> impl Fn(&[u8]) -> IResult<&[u8], ()> {
    move |input| match skip_blanks(input) {
        [first, rest @ ..] if *first == byte => Ok((skip_blanks(rest), ())),
        _ => fail(input, ErrorKind::Char),
    }
}

/// `"…"` → what stands between the quotes, and whether there are escapes in it.
pub(crate) fn string(input: &[u8]) -> IResult<&[u8], (&[u8], bool)> {
    let [b'"', text @ ..] = input else { return fail(input, ErrorKind::Char) };
    let (mut at, mut escaped) = (0, false);
    loop {
        match memchr2(b'"', b'\\', &text[at..]).map(|found| at + found) {
            Some(end) if text[end] == b'"' => return Ok((&text[end + 1..], (&text[..end], escaped))),
            Some(backslash) => {
                escaped = true;
                at = backslash
                    + escape_len(&text[backslash..]).unwrap_or(usize::MAX).min(text.len() - backslash);
            }
            None => return fail(input, ErrorKind::Eof),
        }
    }
}

/// The length of the escape that `text` begins with, if it is one.
fn escape_len(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => text.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// Any value.
pub(crate) fn value(input: &[u8]) -> IResult<&[u8], Token<'_>> {
    value_at(input, 0)
}

fn value_at(input: &[u8], depth: usize) -> IResult<&[u8], Token<'_>> {
    match input.first() {
        Some(b'"') => string(input).map(|(rest, (text, escaped))| (rest, Token::Text(text, escaped))),
        Some(b'{' | b'[') => container(input, depth),
        Some(b'-' | b'0'..=b'9') => number(input),
        _ => [(&b"null"[..], Token::Null), (b"true", Token::Bool(true)), (b"false", Token::Bool(false))]
            .into_iter()
            .find_map(|(word, token)| Some((input.strip_prefix(word)?, token)))
            .map_or_else(|| fail(input, ErrorKind::Alt), Ok),
    }
}

fn container(input: &[u8], depth: usize) -> IResult<&[u8], Token<'_>> {
    if depth == DEPTH_MAX {
        return fail(input, ErrorKind::TooLarge);
    }
    let object = input[0] == b'{';
    let close = if object { b'}' } else { b']' };
    let mut rest = skip_blanks(&input[1..]);
    if rest.first() != Some(&close) {
        loop {
            if object {
                rest = punctuation(b':')(string(rest)?.0)?.0;
            }
            rest = skip_blanks(value_at(rest, depth + 1)?.0);
            match punctuation(b',')(rest) {
                Ok((next, ())) => rest = next,
                Err(_) => break,
            }
        }
    }
    let [byte, after @ ..] = rest else { return fail(input, ErrorKind::Eof) };
    if *byte != close {
        return fail(rest, ErrorKind::Char);
    }
    let text = &input[..input.len() - after.len()];
    Ok((after, if object { Token::Object(text) } else { Token::Array(text) }))
}

fn number(input: &[u8]) -> IResult<&[u8], Token<'_>> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut len = usize::from(input[0] == b'-');
    let whole = digits(&input[len..]);
    if whole == 0 || (whole > 1 && input[len] == b'0') {
        return fail(input, ErrorKind::Digit);
    }
    len += whole;
    if input.get(len) == Some(&b'.') {
        let decimals = digits(&input[len + 1..]);
        if decimals == 0 {
            return fail(input, ErrorKind::Digit);
        }
        len += 1 + decimals;
    }
    if let [b'e' | b'E', rest @ ..] = &input[len..] {
        let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
        let exponent = digits(&rest[sign..]);
        if exponent == 0 {
            return fail(input, ErrorKind::Digit);
        }
        len += 1 + sign + exponent;
    }
    Ok((&input[len..], Token::Number(&input[..len])))
}

/// Resolves the escapes of a string's text into `out`, which is at least as long; answers the length used.
/// A lone surrogate becomes U+FFFD.
pub(crate) fn unescape(text: &[u8], out: &mut [u8]) -> usize {
    let (mut rest, mut written) = (text, 0);
    while !rest.is_empty() {
        let plain = memchr(b'\\', rest).unwrap_or(rest.len());
        out[written..written + plain].copy_from_slice(&rest[..plain]);
        written += plain;
        rest = match rest[plain..] {
            [_, b'u', ..] => {
                let (character, len) = code_point(&rest[plain..]);
                written += character.encode_utf8(&mut out[written..]).len();
                rest.get(plain + len..).unwrap_or_default()
            }
            [_, escape, ..] => {
                out[written] = escape_byte(escape);
                written += 1;
                &rest[plain + 2..]
            }
            // A backslash at the end escapes nothing.
            [backslash] => {
                out[written] = backslash;
                written += 1;
                &[]
            }
            [] => &[],
        };
    }
    written
}

/// Appends `text` as a JSON string.
pub(crate) fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

fn escape_byte(escape: u8) -> u8 {
    match escape {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        other => other,
    }
}

/// `\uHHHH`, or two of them that make one character → the character and the escapes' length.
fn code_point(text: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(0).unwrap_or(0xfffd);
    let pair = unit(6).and_then(|second| char::decode_utf16([first, second]).next()?.ok());
    match (char::from_u32(u32::from(first)), pair) {
        (Some(character), _) => (character, 6),
        (None, Some(character)) => (character, 12),
        (None, None) => (char::REPLACEMENT_CHARACTER, 6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_resolve_even_where_they_are_cut() {
        for (text, resolved) in [
            (r#"a\"b\\\n\u00e9"#, "a\"b\\\n\u{e9}"),
            (r"\ud83d\ude00\ud83d", "\u{1f600}\u{fffd}"),
            (r"x\u1", "x\u{fffd}"),
            (r"x\", "x\\"),
            ("", ""),
        ] {
            let mut out = [0; 40];
            let len = unescape(text.as_bytes(), &mut out);
            assert_eq!(&out[..len], resolved.as_bytes(), "{text}");
        }
    }

    #[test]
    fn values_end_where_they_end() {
        for (input, token, rest) in [
            ("null,", Token::Null, ","),
            ("-0.5e+3]", Token::Number(b"-0.5e+3"), "]"),
            (r#""a\"b"x"#, Token::Text(br#"a\"b"#, true), "x"),
            (r#"[1,{"a":[]}] "#, Token::Array(br#"[1,{"a":[]}]"#), " "),
            (r#"{"a" : 1}}"#, Token::Object(br#"{"a" : 1}"#), "}"),
        ] {
            assert_eq!(value(input.as_bytes()), Ok((rest.as_bytes(), token)), "{input}");
        }
    }

    #[test]
    fn what_is_not_json_fails() {
        for input in [
            "",
            "nul",
            "01",
            "1.",
            "1e",
            "-",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{a:1}",
            "\"\\x\"",
            "\"\\u12\"",
            "\"a",
        ] {
            let strict = value(input.as_bytes()).is_ok_and(|(rest, _)| rest.is_empty());
            assert!(!strict, "{input}");
        }
        assert!(value("[".repeat(100_000).as_bytes()).is_err());
        let deep = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert!(value(deep.as_bytes()).is_ok());
    }

    #[test]
    fn escapes_are_resolved() {
        let mut out = [0; 64];
        let text = br"a\n\u00e9\ud83d\ude00\ud800x\/";
        let len = unescape(text, &mut out);
        assert_eq!(std::str::from_utf8(&out[..len]), Ok("a\né😀\u{fffd}x/"));
    }
}
