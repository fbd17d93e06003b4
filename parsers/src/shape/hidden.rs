//! Secrets that stand in paths: `/reset/:token` names one.
//!
//! Takes a text that may have URLs or paths in it, gives it with `[FILTERED]` for each segment that a pattern gives a secret's
//! name.
//!
//! Invariant: no path is looked through more than once, and a text without such a path is given as it is.

use memchr::memchr;

use super::{pattern::Pattern, urls::UrlShapes};
use crate::{
    record::{Field, Scratch, Value},
    secrets::{FILTERED, Secret, SecretNames, replaced},
};

impl UrlShapes {
    /// Whether some pattern gives a segment a secret's name.
    pub(crate) fn name_secrets(&self, names: &SecretNames) -> bool {
        self.patterns().iter().flat_map(Pattern::params).any(|param| names.is_secret(param.name().as_bytes()))
    }

    /// Takes the secrets out of the paths in fields.
    pub(crate) fn clean<'a>(&self, fields: &mut [Field<'a>], names: &SecretNames, scratch: &'a Scratch) {
        for field in fields {
            if let Value::Text(text) = field.value {
                let secrets = paths(text).flat_map(|(start, path)| self.secrets(start, path, names));
                field.value = Value::Text(replaced(text, &secrets, scratch));
            }
        }
    }

    /// Those of a path that begins at `start`.
    fn secrets<'p>(
        &'p self,
        start: usize,
        path: &'p [u8],
        names: &'p SecretNames,
    ) -> impl Iterator<Item = Secret> + Clone {
        let pattern = self.patterns().iter().find(|pattern| pattern.fits(path));
        let named = pattern.into_iter().flat_map(|pattern| pattern.named(path));
        named.filter_map(move |(param, at, part)| {
            // Shapes are such paths, too.
            let is_value = !part.starts_with(b":") && part != FILTERED;
            let is_secret = is_value && names.is_secret(param.name().as_bytes());
            if is_secret { Secret::plain(start + at, start + at + part.len()) } else { None }
        })
    }
}

/// The paths of a text, and where each begins: at a slash with nothing of a name before it, or behind a URL's authority.
fn paths(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> + Clone {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let slash = at + memchr(b'/', text.get(at..)?)?;
            let before = text[..slash].last();
            let rest = &text[slash..];
            if before == Some(&b':') && rest.starts_with(b"//") {
                let authority = &rest[2..];
                let len = authority.iter().position(|byte| ends_path(*byte) || *byte == b'/');
                let path = slash + 2 + len?;
                if text[path] == b'/' {
                    at = path + path_len(&text[path..]);
                    return Some((path, &text[path..at]));
                }
                at = path;
                continue;
            }
            at = slash + path_len(rest);
            if !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._-~%".contains(byte)) {
                return Some((slash, &text[slash..at]));
            }
        }
    })
}

fn path_len(text: &[u8]) -> usize {
    text.iter().position(|byte| ends_path(*byte)).unwrap_or(text.len())
}

const fn ends_path(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'?' | b'#' | b'&' | b'"' | b'<' | b'>' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Key;

    fn cleaned(text: &str) -> String {
        let patterns = ["/reset/:token", "/u/:user/keys/:key", "/news/:slug"].map(str::to_owned);
        let shapes = UrlShapes::parse(&patterns).unwrap();
        let (names, scratch) = (SecretNames::default(), Scratch::new());
        assert!(shapes.name_secrets(&names) && !shapes.name_secrets(&SecretNames::new(&[])));
        let mut fields = [Field { key: Key::Known("body"), value: Value::Text(text.as_bytes()) }];
        shapes.clean(&mut fields, &names, &scratch);
        let Value::Text(cleaned) = fields[0].value else { panic!("{fields:?}") };
        String::from_utf8(cleaned.to_vec()).unwrap()
    }

    #[test]
    fn segments_with_a_secret_s_name_are_hidden() {
        for (text, expected) in [
            ("/reset/abc", "/reset/[FILTERED]"),
            ("GET /reset/abc/ HTTP/1.1", "GET /reset/[FILTERED]/ HTTP/1.1"),
            ("see https://a.test:81/reset/abc?x=1, then", "see https://a.test:81/reset/[FILTERED]?x=1, then"),
            (
                "[\"/reset/a%20b\",\"//a\",\"/u/5/keys/7\"]",
                "[\"/reset/[FILTERED]\",\"//a\",\"/u/5/keys/[FILTERED]\"]",
            ),
            ("https://a.test", "https://a.test"),
            ("https:// /reset/a", "https:// /reset/[FILTERED]"),
            (
                "/reset/:token /reset/[FILTERED] /reset/ /reset",
                "/reset/:token /reset/[FILTERED] /reset/ /reset",
            ),
            ("/news/abc x/reset/abc /a/reset/abc", "/news/abc x/reset/abc /a/reset/abc"),
            ("", ""),
        ] {
            assert_eq!(cleaned(text), expected);
        }
    }
}
