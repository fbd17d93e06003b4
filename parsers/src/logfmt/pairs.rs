//! `key=value` pairs with blanks between them: the grammar that logfmt and klog share.
//!
//! Takes text, gives one pair after the other, borrowed and still escaped, or says why there is none. A value is in
//! double quotes, or ends at a blank; one that begins like Go's print of a list, a map or a struct (`[a b]`,
//! `map[a:1 b:2]`, `{A:1 B:2}`) ends at its closing bracket, and klog's text of several lines at ` >`
//! (klog/internal/serialize/keyvalues.go). A key without `=` stands alone. Every byte up to the blank separates.

use memchr::memmem;

use crate::{ParseError, json::scan};

/// A pair as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Written<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Form<'a>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form<'a> {
    /// No value at all: the key alone.
    Missing,
    /// What stands after the `=`.
    Plain(&'a [u8]),
    /// What stands between the quotes, escapes unresolved.
    Quoted(&'a [u8]),
}

/// The pairs of a text.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<'a> {
    rest: &'a [u8],
    /// Whether a bracket was opened that nothing closes: others need not be looked at.
    unclosed: bool,
}

impl<'a> Pairs<'a> {
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text, unclosed: false }
    }

    fn pair(&mut self) -> Result<Written<'a>, ParseError> {
        let key_end = self.rest.iter().position(|byte| is_blank(*byte) || matches!(byte, b'=' | b'"'));
        let (key, rest) = self.rest.split_at(key_end.unwrap_or(self.rest.len()));
        self.rest = rest;
        if key.is_empty() {
            return Err(ParseError("a value without a key"));
        }
        let Some((b'=', rest)) = rest.split_first() else {
            return match rest.first() {
                Some(b'"') => Err(ParseError("a quote inside a key")),
                _ => Ok(Written { key, value: Form::Missing }),
            };
        };
        let value = match rest {
            [b'"', text @ ..] => {
                let end = closing_quote(text).ok_or(ParseError("a quote that is never closed"))?;
                self.rest = &text[end + 1..];
                Form::Quoted(&text[..end])
            }
            _ => {
                let end = self.enclosed_end(rest).unwrap_or_else(|| blank_or_end(rest));
                self.rest = &rest[end..];
                Form::Plain(&rest[..end])
            }
        };
        match self.rest.first() {
            Some(byte) if !is_blank(*byte) => Err(ParseError("text right after a value")),
            _ => Ok(Written { key, value }),
        }
    }

    /// The end of a plain value that has blanks inside; `None` for one that ends at its first blank.
    fn enclosed_end(&mut self, text: &[u8]) -> Option<usize> {
        if self.unclosed {
            return None;
        }
        let end = if text.starts_with(b"<\n") {
            memmem::find(text, b"\n >").map(|end| end + 3)
        } else {
            let open = [&b"["[..], b"{", b"map[", b"&{"].into_iter().find(|open| text.starts_with(open))?;
            json_end(text).or_else(|| closing_bracket(text, open.len() - 1))
        };
        let end = end.filter(|end| text.get(*end).is_none_or(|byte| is_blank(*byte)));
        self.unclosed = end.is_none();
        end
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Written<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let blanks = self.rest.iter().take_while(|byte| is_blank(**byte)).count();
        self.rest = &self.rest[blanks..];
        if self.rest.is_empty() {
            return None;
        }
        let pair = self.pair();
        if pair.is_err() {
            self.rest = &[];
        }
        Some(pair)
    }
}

const fn is_blank(byte: u8) -> bool {
    byte <= b' '
}

/// The place of the quote that ends a text whose first one is taken off.
pub(crate) fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

fn blank_or_end(text: &[u8]) -> usize {
    text.iter().position(|byte| is_blank(*byte)).unwrap_or(text.len())
}

fn json_end(text: &[u8]) -> Option<usize> {
    scan::value(text).ok().map(|(rest, _)| text.len() - rest.len())
}

/// Where the bracket at `at` is closed, if those inside are too.
fn closing_bracket(text: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in text.iter().enumerate().skip(at) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(&str, Form<'_>)>, ParseError> {
        let name = |key| std::str::from_utf8(key).unwrap();
        Pairs::new(text.as_bytes()).map(|pair| pair.map(|pair| (name(pair.key), pair.value))).collect()
    }

    #[test]
    fn pairs_end_where_they_end() {
        for (text, expected) in [
            ("", vec![]),
            (" a=1  b", vec![("a", Form::Plain(b"1")), ("b", Form::Missing)]),
            (
                "a= b=\tc=\"\"",
                vec![("a", Form::Plain(b"")), ("b", Form::Plain(b"")), ("c", Form::Quoted(b""))],
            ),
            (
                r#"a="x \"y\" \\" b=/?q=1&r="z""#,
                vec![("a", Form::Quoted(br#"x \"y\" \\"#)), ("b", Form::Plain(br#"/?q=1&r="z""#))],
            ),
            (
                r#"a=[x, y] b={"c":"d e"} c=map[a:1 b:[2]] d=&{A:1 B:2}"#,
                vec![
                    ("a", Form::Plain(b"[x, y]")),
                    ("b", Form::Plain(br#"{"c":"d e"}"#)),
                    ("c", Form::Plain(b"map[a:1 b:[2]]")),
                    ("d", Form::Plain(b"&{A:1 B:2}")),
                ],
            ),
            (
                "a=[x b=y c=[1, 2]",
                vec![
                    ("a", Form::Plain(b"[x")),
                    ("b", Form::Plain(b"y")),
                    ("c", Form::Plain(b"[1,")),
                    ("2]", Form::Missing),
                ],
            ),
            ("a=<\n\tx\n\ty\n > b=<", vec![("a", Form::Plain(b"<\n\tx\n\ty\n >")), ("b", Form::Plain(b"<"))]),
        ] {
            assert_eq!(all(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_pair() {
        for text in [
            "=",
            "a=1 =b",
            "a=\"x",
            "a=\"x\\\"",
            "a=\"x\"y",
            "a\"b=1",
            "level=error field=\"no quote here \"\"",
        ] {
            assert!(all(text).is_err(), "{text}");
        }
    }
}
