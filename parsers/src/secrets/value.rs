//! What values look like from without: whether text is data at all, and how quotes have to be written at a place.
//!
//! Takes the text of a value, or the text up to it. Nothing here knows secrets.

use memchr::memchr;

use crate::inspected::{backslashes, constructor_len};

/// Shorter words with letters and digits in them are versions and the like.
const CODE_LEN_MIN: usize = 6;

/// What stands in `"[FILTERED]"`, however its quotes are escaped.
pub(super) fn without_quotes(value: &[u8]) -> &[u8] {
    let inner = |byte: &u8| !matches!(byte, b'"' | b'\'' | b'\\');
    let start = value.iter().position(inner).unwrap_or(value.len());
    let end = value.iter().rposition(inner).map_or(start, |last| last + 1);
    &value[start..end]
}

/// `{`, `[`, `<<`, `%{`, `%Mod{`; a query has other things after its per cent signs.
pub(super) fn opens_container(value: &[u8]) -> bool {
    match value {
        [b'{' | b'[' | b'(', ..] | [b'<', b'<', ..] => true,
        value if constructor_len(value).is_some() => true,
        [b'%', name @ ..] => {
            let after = name.iter().find(|byte| !byte.is_ascii_alphanumeric() && **byte != b'.');
            after == Some(&b'{')
        }
        _ => false,
    }
}

/// Whether what follows a keyword is data and not prose.
pub(super) fn is_literal(text: &[u8]) -> bool {
    let escapes = text.iter().take_while(|byte| **byte == b'\\').count();
    match &text[escapes..] {
        [b'"', ..] => true,
        _ if escapes > 0 => false,
        [b'\'' | b'[' | b'{' | b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..] | [b'<', b'<', ..] => true,
        [b'%', b'{' | b'A'..=b'Z', ..] => true,
        [b'~', next, ..] => next.is_ascii_alphabetic(),
        [b'b' | b'u' | b'r', b'"' | b'\'', ..] => true,
        text if constructor_len(text).is_some() => true,
        [b':', next, ..] => next.is_ascii_alphabetic() || matches!(next, b'_' | b'"' | b'\\'),
        text => [&b"nil"[..], b"null", b"true", b"false"].into_iter().any(|word| {
            let after = text.strip_prefix(word).map(<[u8]>::first);
            after.is_some_and(|after| after.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_'))
        }),
    }
}

/// Whether a text begins that is quoted, or a binary of Erlang's.
pub(super) fn opens_quote(text: &[u8]) -> bool {
    let escapes = text.iter().take_while(|byte| **byte == b'\\').count();
    matches!(&text[escapes..], [b'"', ..]) || (escapes == 0 && matches!(text, [b'\'', ..] | [b'<', b'<', ..]))
}

/// The length of the word that `text` begins with.
pub(super) fn word_len(text: &[u8]) -> usize {
    let ends = |byte: &u8| {
        byte.is_ascii_whitespace()
            || matches!(
                byte,
                b'"' | b'\'' | b'\\' | b'<' | b'>' | b',' | b';' | b'(' | b')' | b'[' | b']' | b'{' | b'}'
            )
    };
    let len = text.iter().position(ends).unwrap_or(text.len());
    len - usize::from(text[..len].ends_with(b".") || text[..len].ends_with(b":"))
}

/// Whether that is no word of prose: it has letters and digits.
pub(super) fn is_coded(word: &[u8]) -> bool {
    word.len() >= CODE_LEN_MIN
        && (word[0].is_ascii_alphanumeric() || matches!(word[0], b'$' | b'_' | b'+'))
        && word.iter().any(u8::is_ascii_digit)
        && word.iter().any(u8::is_ascii_alphabetic)
}

/// How authorization can begin, before what authorizes: <https://www.iana.org/assignments/http-authschemes>.
const SCHEMES: [&[u8]; 10] = [
    b"basic",
    b"bearer",
    b"digest",
    b"dpop",
    b"hawk",
    b"negotiate",
    b"oauth",
    b"token",
    b"apikey",
    b"aws4-hmac-sha256",
];

/// Whether that is a scheme of HTTP's authorization: the secret is the word after it.
pub(crate) fn is_scheme(word: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// In how many quoted texts, one in the other, a place stands, as far as has been read.
#[derive(Clone, Copy, Default)]
pub(super) struct Quotes {
    at: usize,
    depth: u32,
}

impl Quotes {
    /// How many backslashes a quote at that place has before it; places come in their order.
    pub(super) fn escapes_at(&mut self, text: &[u8], place: usize) -> usize {
        while let Some(len) = text.get(self.at..place).and_then(|text| memchr(b'"', text)) {
            let run = backslashes(&text[self.at..self.at + len]);
            // 0 backslashes before a quote of the outermost text, 1, 3, 7 before those of texts in it.
            let depth = (run + 1).trailing_zeros();
            self.depth = if depth == self.depth { depth + 1 } else { depth.min(self.depth) };
            self.at += len + 1;
        }
        self.at = self.at.max(place);
        (1 << self.depth) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_prose() {
        for data in [
            "\"x\"", "\\\"x", "'x'", "[1]", "{}", "5", "-5", "<<1>>", "%{}", "%A{}", "~c\"x\"", ":a",
            ":\"a b\"", "nil", "true}", "false,", "null",
        ] {
            assert!(is_literal(data.as_bytes()), "{data}");
        }
        for prose in ["", "foo", "nilly", "-x", "<a>", "%s", "~ 5", ": x", "\\x", "null_x", "(x)"] {
            assert!(!is_literal(prose.as_bytes()), "{prose}");
        }
        for (value, opens) in [("%41%42", false), ("%{}", true), ("%A.B{}", true), ("<1", false), ("", false)]
        {
            assert_eq!(opens_container(value.as_bytes()), opens, "{value}");
        }
    }

    #[test]
    fn quotes_are_escaped_once_for_each_text_round_them() {
        let text = r#"{"a":"b \"c \\\"d\\\" e\" f"} "#;
        let mut quotes = Quotes::default();
        for (before, escapes) in
            [("{", 0), ("b", 1), ("c", 3), ("d", 7), (" e", 3), (" f", 1), ("} ", 0), (" ", 0)]
        {
            let place = text.find(before).unwrap().max(quotes.at);
            assert_eq!(quotes.escapes_at(text.as_bytes(), place), escapes, "{before}");
        }
    }
}
