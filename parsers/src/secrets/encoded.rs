//! Secrets in a query that stands encoded in another: `?to=%2Fa%3Ftoken%3Dx%26b%3D1`, once or several times over.
//!
//! Takes a text with a `%`, gives it with `[FILTERED]` for the value after each encoded `=` whose name is a secret's; and says what
//! each encoded sign tells.
//!
//! Invariant: no byte is looked at more often than a few times, however many signs there are.

use memchr::memchr;

use super::{
    FILTERED, Secret, SecretNames,
    key::{parameter, word},
    place::{Place, ends_in_prose, ends_in_url, url_in, without_tail},
    replaced,
};
use crate::record::Scratch;

/// The text without them.
pub(super) fn text<'a>(text: &'a [u8], place: Place, names: &SecretNames, scratch: &'a Scratch) -> &'a [u8] {
    let url = url_in(place, text);
    replaced(text, &Secrets { text, url, names, at: 0, signs: Signs::default() }, scratch)
}

/// What an encoded sign tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Told {
    Nothing,
    /// A secret begins there: the sign is a `=` after a secret's name.
    Value(usize),
    /// There may be a secret in what it stands in, once that is decoded (`decoded.rs`).
    Part,
}

/// The encoded signs of a text, asked for from left to right. A name begins behind the last sign of its kind before it, so that
/// all names together are not much longer than the text.
#[derive(Clone, Copy, Default)]
pub(super) struct Signs {
    name_from: usize,
    quoted_from: usize,
    has_scheme: bool,
}

impl Signs {
    /// What the `%` there tells.
    pub(super) fn told(&mut self, text: &[u8], at: usize, names: &SecretNames) -> Told {
        let Some((code, len)) = sign(&text[at..]) else { return Told::Nothing };
        let is_secret_from = |from: usize| {
            let name = text.get(from..at).and_then(|before| parameter(before, true));
            name.is_some_and(|(name, _)| names.is_secret_parameter(name))
        };
        let may_be_part = match &code {
            b"22" | b"27" => is_secret_from(std::mem::replace(&mut self.quoted_from, at + len)),
            b"3a" => {
                self.has_scheme |= sign(&text[at + len..]).is_some_and(|(code, _)| code == *b"2f");
                let name = word(&text[..at]);
                let is_code = text[..at - name.len()].ends_with(b"%") && name.len() > 2;
                names.is_secret(if is_code { &name[2..] } else { name })
            }
            b"40" => self.has_scheme,
            // What is escaped there may be a letter.
            b"5c" => matches!(text.get(at + len), Some(b'u' | b'x')),
            _ => false,
        };
        if may_be_part {
            return Told::Part;
        }
        // What ends a name before it: `&`, `?`, `/`, `;`, `#`, a blank and `=`.
        if !matches!(&code, b"26" | b"3f" | b"2f" | b"3b" | b"23" | b"20" | b"3d") {
            return Told::Nothing;
        }
        let from = std::mem::replace(&mut self.name_from, at + len);
        if code == *b"3d" && is_secret_from(from) { Told::Value(at + len) } else { Told::Nothing }
    }
}

/// Where the values begin and end.
#[derive(Clone)]
struct Secrets<'t, 'p> {
    text: &'t [u8],
    /// Where the text is a URL as a client wrote it.
    url: (usize, usize),
    names: &'p SecretNames,
    at: usize,
    signs: Signs,
}

impl Iterator for Secrets<'_, '_> {
    type Item = Secret;

    fn next(&mut self) -> Option<Secret> {
        loop {
            let sign = self.at + memchr(b'%', self.text.get(self.at..)?)?;
            self.at = sign + 1;
            let Told::Value(start) = self.signs.told(self.text, sign, self.names) else { continue };
            let in_url = (self.url.0..self.url.1).contains(&start);
            let end = value_len(&self.text[start..], start - sign, in_url);
            self.at = start + end;
            if &self.text[start..self.at] != FILTERED
                && let Some(secret) = Secret::plain(start, self.at)
            {
                return Some(secret);
            }
        }
    }
}

/// The length of the value behind a sign that is that long: up to where its query ends, or one of those that it stands in.
/// A longer `&` is of a query in the value.
fn value_len(value: &[u8], sign_len: usize, in_url: bool) -> usize {
    let is_separator =
        |at: usize| sign(&value[at..]).is_some_and(|(code, len)| code == *b"26" && len <= sign_len);
    let ends = |at: &usize| match value[*at] {
        b'%' => is_separator(*at),
        byte if in_url => ends_in_url(&byte),
        byte => ends_in_prose(&byte),
    };
    let len = (0..value.len()).find(ends).unwrap_or(value.len());
    let goes_on = in_url || matches!(value.get(len), Some(b'%' | b'&' | b'#'));
    if goes_on { len } else { without_tail(&value[..len]) }
}

/// The code that `text` begins with, encoded once or several times, and how long it is: `3d` of `%3D` and of `%253D`.
fn sign(text: &[u8]) -> Option<([u8; 2], usize)> {
    let mut rest = text.strip_prefix(b"%")?;
    while let Some(more) = rest.strip_prefix(b"25") {
        rest = more;
    }
    let code = rest.first_chunk::<2>()?.map(|letter| letter.to_ascii_lowercase());
    Some((code, text.len() - rest.len() + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_found() {
        for (text, expected) in [
            ("/?to=%2Fa%3Ftoken%3Dx%26b%3D1", "/?to=%2Fa%3Ftoken%3D[FILTERED]%26b%3D1"),
            ("/?to=%252Fa%253Fkey%253dx%2526b%253D1 x", "/?to=%252Fa%253Fkey%253d[FILTERED]%2526b%253D1 x"),
            ("a%3Dx%26my_password%3Dx%20y&c", "a%3Dx%26my_password%3D[FILTERED]&c"),
            ("100% sure, monkey%3D1 token%3", "100% sure, monkey%3D1 token%3"),
            ("token%3D", "token%3D"),
        ] {
            let (names, scratch) = (SecretNames::default(), Scratch::new());
            let cleaned = super::text(text.as_bytes(), Place::Prose, &names, &scratch);
            assert_eq!(std::str::from_utf8(cleaned).unwrap(), expected);
            assert_eq!(super::text(cleaned, Place::Prose, &names, &scratch), cleaned, "twice is once");
        }
    }
}
