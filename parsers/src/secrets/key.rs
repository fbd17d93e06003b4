//! The names that values stand under in text: what stands before `=`, `=>` and `:`, and which of them are headers of secrets.
//!
//! Takes the text before the sign, gives the name at its end. Each looks back over the name only, and no name reaches
//! over another's sign or quote, so that a text full of signs is read no more than twice.

use memchr::memrchr;

use super::SecretNames;
use crate::inspected::backslashes;

/// A name of a map's, a tuple's or a keyword's value, or of a variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Key<'a> {
    pub(super) name: &'a [u8],
    pub(super) is_quoted: bool,
    /// How many backslashes stand before each of its quotes, which tells how its value's are escaped.
    pub(super) escapes: Option<usize>,
    /// The length of all that is written for it: quotes, backslashes, an atom's colon.
    pub(super) len: usize,
}

impl<'a> Key<'a> {
    const fn bare(name: &'a [u8]) -> Self {
        Self { name, is_quoted: false, escapes: None, len: name.len() }
    }
}

/// Headers whose names are one word, or that are secrets whatever stands in them.
const KNOWN_HEADERS: [&[u8]; 4] = [b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"];

/// `X-Api-Key`, as header lines have it before `:`.
pub(super) fn header(before: &[u8]) -> Option<&[u8]> {
    let name = word(before);
    Some(behind_escape(before, name)).filter(|own| stands(before, name.len()) && !own.is_empty())
}

/// The letters, digits, `_` and `-` that `text` begins with.
pub(super) fn first_word(text: &[u8]) -> &[u8] {
    &text[..text.iter().take_while(|byte| is_in_word(byte)).count()]
}

/// The name that `before` ends in without the letter of an escaped line break or tab: `\\nkey` is `key`.
fn behind_escape<'a>(before: &[u8], name: &'a [u8]) -> &'a [u8] {
    match (&before[..before.len() - name.len()], name) {
        ([.., b'\\'], [b'n' | b'r' | b't', own @ ..]) => own,
        _ => name,
    }
}

/// The letters, digits, `_` and `-` that `text` ends in.
pub(super) fn word(text: &[u8]) -> &[u8] {
    last(text, is_in_word)
}

const fn is_in_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether a header's name is that of a secret. A word of prose before a colon is none, nor a program that deals with secrets:
/// `auth-service`, but `Api-Key` and `Session-Id`.
pub(super) fn is_secret_header(name: &[u8], names: &SecretNames) -> bool {
    let is_extension = || name.first_chunk().is_some_and(|first: &[u8; 2]| first.eq_ignore_ascii_case(b"x-"));
    let ends_so = || {
        let mut parts = name.rsplit(|byte| *byte == b'-').filter(|part| !part.eq_ignore_ascii_case(b"id"));
        parts.next().is_some_and(|last| names.is_secret(last))
    };
    let is_header = is_known_header(name) || (name.contains(&b'-') && (is_extension() || ends_so()));
    is_header && names.is_secret(name)
}

pub(super) fn is_known_header(name: &[u8]) -> bool {
    KNOWN_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// `user[password]`, as queries have it: what stands right before `=`, and whether it stands in a query. There, and in a URL,
/// a name has whatever does not end it.
pub(super) fn parameter(before: &[u8], in_url: bool) -> Option<(&[u8], bool)> {
    let written = last(before, |byte| !separates(byte));
    let introduced = |name: &[u8]| before[..before.len() - name.len()].last().copied();
    let in_query = matches!(introduced(written), Some(b'?' | b'&' | b'#'));
    let in_name = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'%' | b'[' | b']' | b'+')
    };
    let name = if in_url || in_query { written } else { behind_escape(before, last(written, in_name)) };
    (!name.is_empty()).then(|| (name, in_query || introduced(name) == Some(b'/')))
}

/// `"password"`, `<<"password">>` or `:password`, as maps have it before ` =>`; a bare name, too, if the value shows
/// that it is one.
pub(super) fn of_map(before: &[u8], bare: bool) -> Option<Key<'_>> {
    let before = before.trim_ascii_end();
    if let Some(inner) = before.strip_suffix(b">>") {
        let key = quoted(inner)?;
        let opens = inner[..inner.len() - key.len].ends_with(b"<<");
        return opens.then_some(Key { len: key.len + b"<<>>".len(), ..key });
    }
    let atom = || {
        let name = last(before, is_in_atom);
        let is_atom = before[..before.len() - name.len()].ends_with(b":");
        let is_bare = bare && !name.is_empty() && stands(before, name.len());
        (is_atom || is_bare).then_some(Key { len: name.len() + usize::from(is_atom), ..Key::bare(name) })
    };
    quoted(before).or_else(atom)
}

/// Whether a name in a URL begins behind that.
pub(super) const fn separates(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'?' | b'&' | b';' | b'#' | b'/' | b'=' | b'"' | b'<' | b'>')
}

/// What stands before a name that has a comma behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Opening {
    /// `{`
    Tuple,
    /// `(`, or `[` within a list: the list is one of pairs.
    Pair,
    /// `[`
    List,
    /// `,`
    Between,
}

/// `{"password"`, `{:password` or `{:"pass-word"`, as tuples have it before `,`, and `["authorization"` as lists have it: what
/// opens it and the name. A bare name as in [`of_map`], but only right before its value.
pub(super) fn of_pair(before: &[u8], bare: bool) -> Option<(Opening, Key<'_>)> {
    // Blanks or a bracket before the comma: no name, and no reason to look back.
    before.last().filter(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'"' | b'\'' | b'_' | b'?' | b'!' | b'@' | b'>')
            || !byte.is_ascii()
    })?;
    let is_known = |key: &Key<'_>| !key.is_quoted || key.escapes.is_some() || before.ends_with(b"'");
    let key = of_map(before, bare).filter(is_known)?;
    let opening = &before[..before.len() - key.len];
    let prefixed = |prefix: &[u8]| opening.strip_suffix(prefix).filter(|_| key.is_quoted);
    match prefixed(b":").or_else(|| prefixed(b"~c")).or_else(|| prefixed(b"b")).unwrap_or(opening) {
        [.., b'{'] => Some((Opening::Tuple, key)),
        _ if !key.is_quoted => None,
        // Not a call: `getenv("TOKEN", "default")`.
        [.., b'[' | b',' | b' ', b'('] | [b'('] => Some((Opening::Pair, key)),
        opening => match opening.trim_ascii_end() {
            [outer @ .., b'['] if matches!(outer.trim_ascii_end(), [.., b'[' | b',']) => {
                Some((Opening::Pair, key))
            }
            [.., b'['] => Some((Opening::List, key)),
            [.., b','] => Some((Opening::Between, key)),
            _ => None,
        },
    }
}

/// `password` or `"password"`, as keywords, maps and JSON have it before `:`.
pub(super) fn of_keyword(before: &[u8]) -> Option<Key<'_>> {
    let before = before.trim_ascii_end();
    let atom = || {
        let written = last(before, is_in_atom);
        let name = behind_escape(before, written);
        let starts = name.first().is_some_and(|byte| !byte.is_ascii_digit());
        (starts && stands(before, written.len())).then_some(Key::bare(name))
    };
    quoted(before).or_else(atom)
}

/// `password` or `"password"`, as variables and columns have it before ` = `.
pub(super) fn of_variable(before: &[u8]) -> Option<Key<'_>> {
    let before = before.trim_ascii_end();
    let bare = || {
        let name = last(before, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'@')
        });
        let name = behind_escape(before, name);
        (!name.is_empty()).then_some(Key::bare(name))
    };
    quoted(before).or_else(bare)
}

/// The quoted text that `before` ends in.
pub(super) fn quoted(before: &[u8]) -> Option<Key<'_>> {
    let (quote, text) = before.split_last().filter(|(quote, _)| matches!(quote, b'"' | b'\'' | b'`'))?;
    let escapes = backslashes(text);
    let text = &text[..text.len() - escapes];
    let name = &text[memrchr(*quote, text)? + 1..];
    let is_nested = *quote == b'"' && (escapes + 1).is_power_of_two();
    let len = before.len().min(name.len() + 2 * (escapes + 1));
    Some(Key { name, is_quoted: true, escapes: is_nested.then_some(escapes), len })
}

/// Whether a name of that length stands at the end of `before` as a word: quoted text, an escaped line break in it, a bracket or
/// a blank is before it.
fn stands(before: &[u8], len: usize) -> bool {
    before[..before.len() - len].last().is_none_or(|byte| {
        byte.is_ascii_whitespace()
            || matches!(byte, b'{' | b'[' | b'(' | b'<' | b',' | b';' | b'"' | b'\'' | b'\\')
    })
}

/// What `text` ends in that consists of such bytes.
fn last(text: &[u8], is_in: impl Fn(&u8) -> bool) -> &[u8] {
    let len = text.iter().rev().take_while(|byte| is_in(byte)).count();
    &text[text.len() - len..]
}

fn is_in_atom(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'?' | b'!' | b'@') || !byte.is_ascii()
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
            (r"\ntoken", Some("token"), None, Some("token")),
            ("token ", None, None, Some("token")),
            ("", None, None, None),
            ("\"", None, None, None),
        ] {
            let before_bytes = before.as_bytes();
            let parameter = parameter(before_bytes, false).map(|(name, _)| name);
            assert_eq!(name(parameter), parameter_name, "{before}");
            assert_eq!(name(of_map(before_bytes, false).map(|key| key.name)), map, "{before}");
            assert_eq!(name(of_keyword(before_bytes).map(|key| key.name)), keyword, "{before}");
        }
        let key = |escapes, len| Some(Key { name: b"a", is_quoted: true, escapes, len });
        assert_eq!(of_map(br#"\"a\" "#, false), key(Some(1), 5));
        assert_eq!(of_map(br#"\\"a\\" "#, false), key(None, 7));
        assert_eq!(of_map(br#"<<"a">>"#, false), key(Some(0), 7));
        assert_eq!(of_map(b"{a", true), Some(Key { name: b"a", is_quoted: false, escapes: None, len: 1 }));
        assert_eq!(of_map(b"x.a", true), None);
    }
}
