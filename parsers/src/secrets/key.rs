//! The names that values stand under in text: what stands before `=`, `=>` and `:`, and which of them are headers of secrets.
//!
//! Takes the text before the sign, gives the name at its end. Each looks back over the name only, and no name reaches
//! over another's sign or quote, so that a text full of signs is read no more than twice.

use memchr::memrchr;

use super::SecretNames;
use crate::inspected::backslashes;

/// A name of a map's or a keyword's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Key<'a> {
    pub(super) name: &'a [u8],
    pub(super) is_quoted: bool,
    /// How many backslashes stand before each of its quotes, which tells how its value's are escaped.
    pub(super) escapes: Option<usize>,
}

impl<'a> Key<'a> {
    const fn of_atom(name: &'a [u8]) -> Self {
        Self { name, is_quoted: false, escapes: None }
    }
}

/// `X-Api-Key`, as header lines have it before `:`.
pub(super) fn header(before: &[u8]) -> Option<&[u8]> {
    let name = last(before, |byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte));
    let stands = before[..before.len() - name.len()].last();
    let stands = stands.is_none_or(|byte| byte.is_ascii_whitespace() || b"{[(<,;\"'\\".contains(byte));
    (stands && !name.is_empty()).then_some(name)
}

/// Whether a header's name is that of a secret. A word of prose before a colon is none.
pub(super) fn is_secret_header(name: &[u8], names: &SecretNames) -> bool {
    let known = [&b"authorization"[..], b"cookie"];
    let is_header = name.contains(&b'-') || known.iter().any(|known| name.eq_ignore_ascii_case(known));
    is_header && names.is_secret(name)
}

/// `user[password]`, as queries have it: what stands right before `=`.
pub(super) fn parameter(before: &[u8]) -> Option<&[u8]> {
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.%[]".contains(byte);
    let name = last(before, in_name);
    (!name.is_empty()).then_some(name)
}

/// `"password"` or `:password`, as maps have it before ` =>`.
pub(super) fn of_map(before: &[u8]) -> Option<Key<'_>> {
    let before = before.trim_ascii_end();
    let atom = || {
        let name = last(before, is_in_atom);
        before[..before.len() - name.len()].ends_with(b":").then_some(Key::of_atom(name))
    };
    quoted(before).or_else(atom)
}

/// `password` or `"password"`, as keywords, maps and JSON have it before `:`.
pub(super) fn of_keyword(before: &[u8]) -> Option<Key<'_>> {
    let atom = || {
        let name = last(before, is_in_atom);
        let starts = name.first().is_some_and(|byte| !byte.is_ascii_digit());
        let stands = match before[..before.len() - name.len()].last() {
            None => true,
            // What quoted text begins with, or an escaped line break in it.
            Some(byte) => byte.is_ascii_whitespace() || b"{[(<,;\"'\\".contains(byte),
        };
        (starts && stands).then_some(Key::of_atom(name))
    };
    quoted(before.trim_ascii_end()).or_else(atom)
}

/// The quoted text that `before` ends in.
fn quoted(before: &[u8]) -> Option<Key<'_>> {
    let (quote, text) = before.split_last().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    let escapes = backslashes(text);
    let text = &text[..text.len() - escapes];
    let name = &text[memrchr(*quote, text)? + 1..];
    let is_nested = *quote == b'"' && (escapes + 1).is_power_of_two();
    Some(Key { name, is_quoted: true, escapes: is_nested.then_some(escapes) })
}

/// What `text` ends in that consists of such bytes.
fn last(text: &[u8], is_in: impl Fn(&u8) -> bool) -> &[u8] {
    let len = text.iter().rev().take_while(|byte| is_in(byte)).count();
    &text[text.len() - len..]
}

fn is_in_atom(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_?!@".contains(byte) || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: Option<&[u8]>) -> Option<&str> {
        key.map(|name| std::str::from_utf8(name).unwrap())
    }

    #[test]
    fn names_before_a_sign() {
        for (before, parameter_name, map, keyword) in [
            ("GET /x?user[token]", Some("user[token]"), None, None),
            ("a: 1, b", Some("b"), None, Some("b")),
            ("%{:b ", None, Some("b"), None),
            (r#"{"a b" "#, None, Some("a b"), Some("a b")),
            ("lib/token.ex:12", Some("12"), Some("12"), None),
            ("lib/token.ex", Some("token.ex"), None, None),
            (r#""token"#, Some("token"), None, Some("token")),
            (r"\ntoken", Some("ntoken"), None, Some("ntoken")),
            ("", None, None, None),
            ("\"", None, None, None),
        ] {
            let before_bytes = before.as_bytes();
            assert_eq!(name(parameter(before_bytes)), parameter_name, "{before}");
            assert_eq!(name(of_map(before_bytes).map(|key| key.name)), map, "{before}");
            assert_eq!(name(of_keyword(before_bytes).map(|key| key.name)), keyword, "{before}");
        }
        assert_eq!(of_map(br#"\"a\" "#), Some(Key { name: b"a", is_quoted: true, escapes: Some(1) }));
        assert_eq!(of_map(br#"\\"a\\" "#), Some(Key { name: b"a", is_quoted: true, escapes: None }));
    }
}
