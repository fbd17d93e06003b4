//! What is prose although a secret's name stands in it: `auth-service: no such host`, `KeyError: 'a'`, `unexpected token: 5`.
//!
//! Takes a name and the text round it, says whether what follows is no value of it. Nothing here looks further than a line.

use super::value::{is_coded, is_scheme};

/// From so many words on, without any that looks like code, a header's value is a sentence.
const SENTENCE_WORDS_MIN: usize = 3;
/// How much of a line, or of what an error says of a form, is looked at.
const LOOKED_AT_BYTES: usize = 256;

/// Whether that is a sentence and no header's value. Some values have blanks: those of schemes, and of parameters.
pub(super) fn begins_sentence(text: &[u8]) -> bool {
    let near = &text[..text.len().min(LOOKED_AT_BYTES)];
    let ends = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'"' | b'\\');
    let value = &near[..near.iter().position(ends).unwrap_or(near.len())];
    let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let is_said = words.next().is_none_or(|first| !is_scheme(first) && !is_coded(first));
    is_said
        && words.clone().count() + 1 >= SENTENCE_WORDS_MIN
        && !words.any(is_coded)
        && !value.iter().any(|byte| matches!(byte, b'=' | b';'))
}

/// Whether that number is one of something: `Session: 5 users`.
pub(super) fn is_count(value: &[u8]) -> bool {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && matches!(&value[digits..], [b' ', after, ..] if after.is_ascii_alphabetic())
}

/// Whether a sentence speaks of the name, and tells no value: `Missing key: 'a'`, or an exception has it: `KeyError`.
pub(super) fn is_spoken_of(before: &[u8], name: &[u8]) -> bool {
    let verdicts = [
        &b"unexpected"[..],
        b"missing",
        b"unknown",
        b"invalid",
        b"foreign",
        b"primary",
        b"duplicate",
        b"expired",
        b"fetch",
        b"no",
    ];
    let sentence = &before[..before.len() - name.len()];
    let last =
        sentence.strip_suffix(b" ").and_then(|said| said.rsplit(|byte| !byte.is_ascii_alphabetic()).next());
    last.is_some_and(|last| verdicts.iter().any(|verdict| last.eq_ignore_ascii_case(verdict)))
        || name.ends_with(b"Error")
        || name.ends_with(b"Exception")
}

/// Whether that is what Ecto says of a form's field: `{"can't be blank", [validation: :required]}`.
pub(super) fn is_about_a_form(term: &[u8]) -> bool {
    let has = |part: &[u8]| memchr::memmem::find(term, part).is_some();
    term.len() <= LOOKED_AT_BYTES
        && term.starts_with(b"{")
        && (has(b"validation: :") || has(b"constraint: :"))
}

/// Whether that is where a program works, as shells and sudo name it.
pub(super) fn is_folder(name: &[u8], value: &[u8]) -> bool {
    matches!(name, b"PWD" | b"OLDPWD" | b"pwd") && value.starts_with(b"/")
}

/// The length of an assigned value in prose. Punctuation ends it unless a word goes on behind it that is no other name, and an
/// escaped line break if one is.
pub(super) fn assigned_len(value: &[u8]) -> usize {
    let mut len = 0;
    loop {
        let rest = &value[len..];
        let Some(at) = rest.iter().position(may_end) else { return value.len() };
        let next = match rest[at..] {
            [b'\\', b'n' | b'r' | b't', ref next @ ..] => next,
            [_, ref next @ ..] => next,
            [] => rest,
        };
        let word = &next[..next.iter().position(may_end).unwrap_or(next.len())];
        let is_name = word.iter().any(|byte| matches!(byte, b'=' | b':'));
        let goes_on = match rest[at] {
            b'\\' => !is_name,
            b';' | b'\'' | b',' | b')' | b'>' | b'}' => {
                !is_name && word.first().is_some_and(u8::is_ascii_alphanumeric)
            }
            _ => false,
        };
        if !goes_on {
            return len + at;
        }
        len += at + 1;
    }
}

const fn may_end(byte: &u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(byte, b'&' | b'#' | b'"' | b';' | b'\'' | b',' | b')' | b'>' | b'}' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        for (value, sentence) in [
            ("connection refused by peer", true),
            ("user 5 is not allowed", true),
            ("Bearer x y z", false),
            ("a=b; c=d e f", false),
            ("sk_live_1 and more", false),
            ("Custom abc", false),
            ("", false),
        ] {
            assert_eq!(begins_sentence(value.as_bytes()), sentence, "{value}");
        }
        for (value, count) in
            [("5 users", true), ("5, a", false), ("5", false), ("a 5", false), ("400 Bad", true)]
        {
            assert_eq!(is_count(value.as_bytes()), count, "{value}");
        }
        for (before, name, spoken) in [
            ("Missing key", "key", true),
            ("x: unexpected token", "token", true),
            ("a KeyError", "KeyError", true),
            ("with password", "password", false),
            ("key", "key", false),
        ] {
            assert_eq!(is_spoken_of(before.as_bytes(), name.as_bytes()), spoken, "{before}");
        }
    }

    #[test]
    fn assigned_values() {
        for (value, len) in [
            ("abc,X a=1", 5),
            ("abc,b=1", 3),
            ("it's me", 4),
            ("a)b;c&d", 5),
            ("a), b", 1),
            ("a' b", 1),
            ("a\"b", 1),
            ("a;b:c", 1),
            (r"a\nb=c", 1),
            (r"a\nb\tc d", 7),
            ("", 0),
        ] {
            assert_eq!(assigned_len(value.as_bytes()), len, "{value}");
        }
    }
}
