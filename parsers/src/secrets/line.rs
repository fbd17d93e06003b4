//! Whether a line names any secret at all. Most don't, which has to be cheap to tell: whatever has a value has a sign, and few bytes
//! are signs.
//!
//! Takes the line, says whether a secret may stand in what is parsed of it.
//!
//! Invariant: it says so of every line in which something would be found (`search.rs`, `encoded.rs`, `decoded.rs`, `sibling.rs`).

use std::sync::LazyLock;

use memchr::{memchr, memchr2_iter, memchr3_iter, memmem};

use super::{
    SecretNames,
    encoded::{Signs, Told},
    key::{Key, first_word, header, of_keyword, of_map, of_variable, parameter, word},
    search::LOGIN_BYTES_MAX,
    sibling,
};

/// How a list of texts begins.
static LIST: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"[\""));

/// Whether a secret may stand in what is parsed of a line.
pub(crate) fn may_stand_in(line: &[u8], names: &SecretNames) -> bool {
    !names.is_empty() && (is_assigned_in(line, names) || has_keyword(line, names) || has_pair(line, names))
}

/// Whether a secret may stand behind a `=`, or in what is encoded or escaped.
fn is_assigned_in(line: &[u8], names: &SecretNames) -> bool {
    let mut signs = Signs::default();
    memchr3_iter(b'=', b'%', b'\\', line).any(|sign| {
        let (before, after) = (&line[..sign], &line[sign + 1..]);
        match line[sign] {
            b'=' => is_assigned(before, after, names),
            b'%' => signs.told(line, sign, names) != Told::Nothing,
            // Letters, quotes and slashes may be escaped: `\u0022`, `\x22`, `[\"`, `:\/\/`.
            _ if matches!(before, [.., b'[' | b':']) => true,
            _ => match after {
                [b'u' | b'x', ..] => true,
                // What is written `\\nkey` is no `nkey`.
                [b'n' | b'r' | b't', text @ ..] => names.is_secret(first_word(text)),
                _ => false,
            },
        }
    })
}

fn is_assigned(before: &[u8], after: &[u8], names: &SecretNames) -> bool {
    let is_secret = |key: Option<Key<'_>>| key.is_some_and(|key| names.is_secret(key.name));
    let is_apart =
        || before.last().is_some_and(|byte| matches!(byte, b'"' | b'\'') || byte.is_ascii_whitespace());
    parameter(before, true).is_some_and(|(name, _)| names.is_secret_parameter(name))
        || (after.starts_with(b">") && is_secret(of_map(before, true)))
        || (is_apart() && is_secret(of_variable(before)))
}

/// Whether a secret may stand behind a `:`. Most lines have several: in times, addresses and URLs.
fn has_keyword(line: &[u8], names: &SecretNames) -> bool {
    let mut at = 0;
    while let Some(len) = memchr(b':', &line[at..]) {
        let (before, mut after) = (&line[..at + len], &line[at + len + 1..]);
        if is_keyword(before, after, names) {
            return true;
        }
        // A clock's other colons.
        while let [b'0'..=b'9', b'0'..=b'9', b':', rest @ ..] = after {
            after = rest;
        }
        at = line.len() - after.len();
    }
    false
}

fn is_keyword(before: &[u8], after: &[u8], names: &SecretNames) -> bool {
    let word = word(before);
    let rest = &before[..before.len() - word.len()];
    let is_part = matches!(rest, [.., b':' | b'.' | b'/']) && !word.is_empty();
    if is_part || (after.starts_with(b"//") && matches!(word, b"http" | b"https")) {
        return false;
    }
    let name = header(before).or_else(|| of_keyword(before).map(|key| key.name));
    name.is_some_and(|name| names.is_secret(name) || sibling::is_value(name))
}

/// Whether there may be a pair that has no sign of its own, one that is about another, or a URL with a user.
fn has_pair(line: &[u8], names: &SecretNames) -> bool {
    let is_document = begins_document(line);
    let tells = |at: usize| match line[at] {
        b'@' => ends_login(&line[..at]),
        // Of tuples and Erlang's maps nothing else tells; a document's own names have their `:`.
        _ => !is_document || !matches!(line.get(at + 1), Some(b'"' | b'}' | b' ')),
    };
    memchr2_iter(b'{', b'@', line).any(tells) || has_listed(line, names)
}

/// Whether a secret's name begins a list, or one of a header that is a secret wherever it stands may be in a list.
fn has_listed(line: &[u8], names: &SecretNames) -> bool {
    let mut lists = LIST.find_iter(line).peekable();
    let has_header = |end: &[u8]| memmem::find(line, end).is_some();
    lists.peek().is_some()
        && (has_header(b"horization\"")
            || has_header(b"ookie\"")
            || lists.any(|at| names.is_secret(quoted(&line[at + 2..]))))
}

/// Whether that is JSON, and no tuple: the first name has a colon.
fn begins_document(line: &[u8]) -> bool {
    let name = line.strip_prefix(b"{").and_then(|inner| inner.trim_ascii_start().strip_prefix(b"\""));
    let end = name.and_then(|name| Some(&name[memchr(b'"', name)? + 1..]));
    end.is_some_and(|after| after.trim_ascii_start().starts_with(b":"))
}

/// Whether that ends in a URL's user and password.
fn ends_login(before: &[u8]) -> bool {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\\');
    let near = before.iter().rev().take(LOGIN_BYTES_MAX);
    let len = near.take_while(|byte| !ends(byte)).count();
    let url = &before[before.len() - len..];
    memmem::find(url, b"://").is_some_and(|scheme| url[scheme + 3..].contains(&b':'))
}

/// What stands before the closing quote.
fn quoted(text: &[u8]) -> &[u8] {
    &text[..memchr(b'"', text).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_without_secrets_are_told() {
        let names = SecretNames::default();
        for line in [
            r#"1.2.3.4 - - [21/Nov/2026:20:52:42 +0000] "GET /a?b=c%20d HTTP/1.1" 200 2 "http://a.test:80/" "a@b rv:1.2; k: v" [x]"#,
            r#"{"a":{"b":["c","d"]},"e": "f","g":1}"#,
            "level=info msg=\"a b\" took=5 x = 5",
            "",
        ] {
            assert!(!may_stand_in(line.as_bytes(), &names), "{line}");
            assert!(!may_stand_in(line.as_bytes(), &SecretNames::new(&[])), "{line}");
        }
    }

    proptest! {
        #[test]
        fn where_something_is_found_it_may_stand(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "token", "authorization", "a", "=", ":", " ", "=>", "\"", "\\\"", "[", "]", "{", "}", "<<", ">>", ",", "1", "'",
                    "?", "&", "%3D", "%22", "%3A", "://", "@", "\\u0022", "name", "value", "Bearer ", "abc123",
                ]),
                0..16,
            ),
        ) {
            let line = parts.concat();
            let (names, scratch) = (SecretNames::default(), crate::Scratch::new());
            let cleaned = crate::secrets::text(line.as_bytes(), &names, &scratch);
            prop_assert!(cleaned == line.as_bytes() || may_stand_in(line.as_bytes(), &names), "{line}");
        }
    }
}
