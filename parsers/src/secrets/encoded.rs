//! Secrets in a query that stands encoded in another: `?to=%2Fa%3Ftoken%3Dx%26b%3D1`, once or several times over.
//!
//! Takes a text with a `%`, gives it with `[FILTERED]` for the value after each encoded `=` whose name is a secret's.

use memchr::memchr;

use super::{FILTERED, Secret, SecretNames, is_secret_parameter, key::parameter, plain, replaced};
use crate::record::Scratch;

/// The text without them.
pub(super) fn text<'a>(text: &'a [u8], names: &SecretNames, scratch: &'a Scratch) -> &'a [u8] {
    replaced(text, &Secrets { text, names, at: 0 }, scratch)
}

/// Whether the `%` there begins an encoded `=` after a secret's name.
pub(super) fn names_secret(text: &[u8], at: usize, names: &SecretNames) -> bool {
    encoded(&text[at..], b"3d").is_some() && is_secret_before(&text[..at], names)
}

fn is_secret_before(before: &[u8], names: &SecretNames) -> bool {
    parameter(before).is_some_and(|name| is_secret_parameter(own(name), names))
}

/// Where the values begin and end.
#[derive(Clone)]
struct Secrets<'t, 'p> {
    text: &'t [u8],
    names: &'p SecretNames,
    at: usize,
}

impl Iterator for Secrets<'_, '_> {
    type Item = Secret;

    fn next(&mut self) -> Option<Secret> {
        loop {
            let sign = self.at + memchr(b'%', self.text.get(self.at..)?)?;
            let (before, after) = self.text.split_at(sign);
            let Some(len) = encoded(after, b"3d") else {
                self.at = sign + 1;
                continue;
            };
            let start = sign + len;
            self.at = start;
            if !is_secret_before(before, self.names) {
                continue;
            }
            let value = &self.text[start..];
            let ends = |at: &usize| {
                let rest = &value[*at..];
                rest[0].is_ascii_whitespace()
                    || b"&;#\"',)>\\".contains(&rest[0])
                    || encoded(rest, b"26").or_else(|| encoded(rest, b"23")).is_some()
            };
            let end = (0..value.len()).find(ends).unwrap_or(value.len());
            self.at = start + end;
            if end > 0 && &value[..end] != FILTERED {
                return plain(start, start + end);
            }
        }
    }
}

/// What is the last parameter's of the encoded text that a name seems to be: all encoded signs may stand in a name.
fn own(name: &[u8]) -> &[u8] {
    let separators = [b"26", b"3f", b"2f", b"3b", b"23", b"20"];
    let ends = |at: usize| separators.iter().find_map(|code| encoded(&name[at..], code)).map(|len| at + len);
    let last = (0..name.len()).rev().filter(|at| name[*at] == b'%').find_map(ends);
    last.map_or(name, |end| &name[end..])
}

/// The length of the sign with that code that `text` begins with, encoded once or several times: `%3D`, `%253D`.
fn encoded(text: &[u8], code: &[u8; 2]) -> Option<usize> {
    let mut rest = text.strip_prefix(b"%")?;
    while let Some(more) = rest.strip_prefix(b"25") {
        rest = more;
    }
    rest.get(..2)?.eq_ignore_ascii_case(code).then_some(text.len() - rest.len() + 2)
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
            let cleaned = super::text(text.as_bytes(), &names, &scratch);
            assert_eq!(std::str::from_utf8(cleaned).unwrap(), expected);
            assert_eq!(super::text(cleaned, &names, &scratch), cleaned, "twice is once");
        }
    }
}
