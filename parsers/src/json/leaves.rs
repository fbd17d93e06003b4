//! The leaves of a JSON object with their dotted names, for envelopes: objects whose meaning is known.
//!
//! Takes an object's text, calls back for each leaf in the order in which they are written. Flattens as JSON lines
//! are flattened, and refuses an object with more leaves than an event has columns.

use super::{
    DEPTH_MAX, MALFORMED, NAME_BYTES_MAX, number, opens_object,
    scan::{self, Token, punctuation},
};
use crate::{
    ParseError, free,
    number::whole,
    record::{Scratch, Value},
};

/// A leaf's value; text is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Leaf<'a> {
    Null,
    Bool(bool),
    Number(&'a [u8]),
    Text(&'a [u8]),
    /// The whole of its text.
    Array(&'a [u8]),
    /// The whole of its text: it is empty, or too deep to be flattened.
    Object(&'a [u8]),
}

impl<'a> Leaf<'a> {
    fn of(token: Token<'a>, scratch: &'a Scratch) -> Self {
        match token {
            Token::Null => Self::Null,
            Token::Bool(value) => Self::Bool(value),
            Token::Number(text) => Self::Number(text),
            Token::Text(text, false) => Self::Text(text),
            Token::Text(text, true) => Self::Text(scratch.fill(text.len(), |out| scan::unescape(text, out))),
            Token::Array(text) => Self::Array(text),
            Token::Object(text) => Self::Object(text),
        }
    }

    /// The value as a field has it; nothing for null.
    pub(crate) fn value(self) -> Option<Value<'a>> {
        match self {
            Self::Null => None,
            Self::Bool(value) => Some(Value::Bool(value)),
            Self::Number(text) => Some(number(text)),
            Self::Text(text) | Self::Array(text) | Self::Object(text) => Some(Value::Text(text)),
        }
    }

    /// The text, if it is one.
    pub(crate) const fn text(self) -> Option<&'a [u8]> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The whole number, written as a number or as text.
    pub(crate) fn int(self) -> Option<i64> {
        if let Self::Number(text) | Self::Text(text) = self { whole(text) } else { None }
    }
}

/// Calls `each` with the name and the value of every leaf of the object that is all of `text`.
pub(crate) fn leaves<'a>(
    text: &'a [u8],
    scratch: &'a Scratch,
    each: &mut impl FnMut(&'a [u8], Leaf<'a>),
) -> Result<(), ParseError> {
    let text = scan::skip_blanks(text);
    if text.first() != Some(&b'{') {
        return Err(ParseError("not a JSON object"));
    }
    let mut names = 0;
    let rest = object(b"", text, 1, &mut names, scratch, each)?;
    if !scan::skip_blanks(rest).is_empty() {
        return Err(ParseError("text after the JSON object"));
    }
    Ok(())
}

/// The object that `text` begins with; answers what follows it.
fn object<'a>(
    prefix: &'a [u8],
    text: &'a [u8],
    depth: usize,
    names: &mut usize,
    scratch: &'a Scratch,
    each: &mut impl FnMut(&'a [u8], Leaf<'a>),
) -> Result<&'a [u8], ParseError> {
    let (mut rest, ()) = punctuation(b'{')(text).map_err(|_| MALFORMED)?;
    if let [b'}', after @ ..] = rest {
        return Ok(after);
    }
    loop {
        // Names take memory that the line's length does not bound.
        *names += 1;
        if *names > free::FIELDS_MAX {
            return Err(ParseError("too many keys for an envelope"));
        }
        let (after, (key, escaped)) = scan::string(rest).map_err(|_| MALFORMED)?;
        let (value, ()) = punctuation(b':')(after).map_err(|_| MALFORMED)?;
        let key = if escaped { scratch.fill(key.len(), |out| scan::unescape(key, out)) } else { key };
        let name = if prefix.is_empty() { key } else { scratch.concat(&[prefix, b".", key]) };
        rest = if depth < DEPTH_MAX && name.len() <= NAME_BYTES_MAX && opens_object(value) {
            object(name, value, depth + 1, names, scratch, each)?
        } else {
            let (after, token) = scan::value(value).map_err(|_| MALFORMED)?;
            each(name, Leaf::of(token, scratch));
            after
        };
        match scan::skip_blanks(rest) {
            [b',', after @ ..] => rest = scan::skip_blanks(after),
            [b'}', after @ ..] => return Ok(after),
            _ => return Err(MALFORMED),
        }
    }
}

/// The bytes that an array of byte numbers stands for; `None` for an array of anything else.
pub(crate) fn bytes<'a>(array: &[u8], scratch: &'a Scratch) -> Option<&'a [u8]> {
    let inside = array.strip_prefix(b"[")?.strip_suffix(b"]")?.trim_ascii();
    if inside.is_empty() {
        return Some(b"");
    }
    let mut sound = true;
    let bytes = scratch.fill(inside.len() / 2 + 1, |out| {
        let mut written = 0;
        for (number, room) in inside.split(|byte| *byte == b',').zip(out) {
            match whole(number.trim_ascii()).and_then(|number| u8::try_from(number).ok()) {
                Some(byte) => *room = byte,
                None => sound = false,
            }
            written += 1;
        }
        written
    });
    sound.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_have_dotted_names() {
        let scratch = Scratch::new();
        let mut found = Vec::new();
        let text = br#" {"a" : {"b":"x\ny","c":{}}, "d":[1, 2], "e":null,"f":-1.5} "#;
        leaves(text, &scratch, &mut |name, leaf| found.push((name, leaf))).unwrap();
        let expected: [(&[u8], Leaf<'_>); 5] = [
            (b"a.b", Leaf::Text(b"x\ny")),
            (b"a.c", Leaf::Object(b"{}")),
            (b"d", Leaf::Array(b"[1, 2]")),
            (b"e", Leaf::Null),
            (b"f", Leaf::Number(b"-1.5")),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let scratch = Scratch::new();
        let keys = vec!["\"k\":1"; free::FIELDS_MAX + 1].join(",");
        for text in ["", "[]", "{", "{\"a\":1", "{\"a\":1}x", "{\"a\" 1}", &format!("{{{keys}}}")] {
            assert!(leaves(text.as_bytes(), &scratch, &mut |_, _| {}).is_err(), "{text}");
        }
    }

    #[test]
    fn arrays_of_bytes_and_of_anything_else() {
        let scratch = Scratch::new();
        assert_eq!(bytes(b"[27, 91,255]", &scratch), Some(&[27, 91, 255][..]));
        assert_eq!(bytes(b"[ ]", &scratch), Some(&b""[..]));
        for array in ["[256]", "[-1]", "[\"a\"]", "[1,[2]]", "[1.0]"] {
            assert_eq!(bytes(array.as_bytes(), &scratch), None, "{array}");
        }
    }
}
