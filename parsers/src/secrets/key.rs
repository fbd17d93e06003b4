//! The names that values stand under in text: which of them are secrets', and what stands before `=`, `=>` and `:`.
//!
//! Takes the text before the sign, gives the name at its end. Each looks back over the name only, and no name reaches
//! over another's sign or quote, so that a text full of signs is read no more than twice.

use memchr::memrchr;

use crate::inspected::backslashes;

/// Words that a secret's name contains, and words that it has as a whole, by their first letters; beside those that the
/// source's configuration adds.
const fn words(first: u8) -> (&'static [&'static [u8]], &'static [&'static [u8]]) {
    match first {
        b'a' => (&[b"apikey", b"accesskey", b"authorization"], &[b"auth"]),
        b'c' => (&[b"cookie", b"credential"], &[]),
        b'j' => (&[], &[b"jwt"]),
        b'k' => (&[], &[b"key"]),
        b'o' => (&[], &[b"oauth"]),
        b'p' => (&[b"password", b"passwd", b"passphrase", b"privatekey"], &[b"pwd"]),
        b's' => (&[b"secret", b"session", b"signature"], &[b"sig"]),
        b't' => (&[b"token"], &[]),
        _ => (&[], &[]),
    }
}

/// Whether what stands under that name is a secret.
pub(crate) fn is_secret(name: &[u8], parameters: &[String]) -> bool {
    let ours = name.iter().enumerate().any(|(at, first)| {
        let (contained, whole) = words(first.to_ascii_lowercase());
        let has =
            |word: &&[u8]| name.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
        contained.iter().any(has)
            || whole.iter().any(|word| has(word) && begins_word(name, at) && ends_word(name, at + word.len()))
    });
    let added = parameters.iter().map(String::as_bytes).filter(|word| !word.is_empty());
    ours || added.into_iter().any(|word| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
}

/// Whether a word of a name begins there, as in `api_key`, `api-key`, `apiKey` and `%5Bkey`.
fn begins_word(name: &[u8], at: usize) -> bool {
    let (before, here) = (&name[..at], &name[at..]);
    let humped = before.last().is_some_and(u8::is_ascii_lowercase) && here[0].is_ascii_uppercase();
    let encoded =
        matches!(before, [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    humped || encoded || !before.last().is_some_and(u8::is_ascii_alphanumeric)
}

/// Whether one ends there, be there several: `keys`.
fn ends_word(name: &[u8], at: usize) -> bool {
    let after = &name[at..];
    let after = if let [b's' | b'S', rest @ ..] = after { rest } else { after };
    let humped = name[at - 1].is_ascii_lowercase() && after.first().is_some_and(u8::is_ascii_uppercase);
    humped || !after.first().is_some_and(u8::is_ascii_alphabetic)
}

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
pub(super) fn is_secret_header(name: &[u8], parameters: &[String]) -> bool {
    let known = [&b"authorization"[..], b"cookie"];
    known.iter().any(|known| name.eq_ignore_ascii_case(known))
        || (name.contains(&b'-') && is_secret(name, parameters))
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
    fn secrets_are_told_by_a_word_in_their_name() {
        let own = ["Card".to_owned(), String::new()];
        for secret in
            ["password", "user[PassWord]", "_csrf_token", "secret_key_base", "discard", "user%5Btoken%5D"]
        {
            assert!(is_secret(secret.as_bytes(), &own), "{secret}");
        }
        for secret in [
            "key",
            "api_key",
            "apiKey",
            "X-Api-Key",
            "keys",
            "key2",
            "APIKEY",
            "user%5Bkey%5D",
            "auth",
            "sessionid",
            "sig",
        ] {
            assert!(is_secret(secret.as_bytes(), &[]), "{secret}");
        }
        for other in [
            "", "pass", "word", "tok", "sec ret", "monkey", "keyboard", "author", "signal", "design", "Keyed",
        ] {
            assert!(!is_secret(other.as_bytes(), &own), "{other}");
        }
        assert!(!is_secret(b"card", &[]));
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
