//! Which names are secrets': the words that tell, and whether a name has one of them.
//!
//! Takes a list of words, tells of a name whether what stands under it is a secret. Long words count wherever a name
//! contains them, short ones only as words of their own: `key` tells `api_key` and `apiKey`, but not `monkey`.
//!
//! Invariant: a name is compared with a word only where the first two letters of the word stand, so that ordinary names
//! cost one look a letter, however long the list is.

use std::sync::LazyLock;

use memchr::memchr;

use crate::percent;

/// How many letters a word has at most that counts only as a word of its own.
const SHORT_LETTERS_MAX: usize = 4;
/// Longer, but part of no other words than its own either.
const LONG_WHOLE: &str = "oauth";
/// How much of an encoded name is decoded at once.
const DECODED: usize = 128;
/// Words with a secret's word in them, and where in them it stands.
const OTHER_WORDS: [(&[u8], usize); 6] = [
    (b"obsession", 2),
    (b"possession", 3),
    (b"secretar", 0),
    (b"tokeniz", 0),
    (b"passwordless", 0),
    (b"cookiecutter", 0),
];
/// How many slots first letters are told apart by: upper and lower case share one.
const SLOTS: usize = 32;

static OURS: LazyLock<SecretNames> = LazyLock::new(SecretNames::default);

/// The words by which names of secrets are told, whatever their case.
///
/// A word of up to four letters, and `oauth`, counts only as a word of its own in a name, also in the plural: `key` is in
/// `api_key`, `X-Api-Keys` and `apiKey`, but not in `monkey`. Longer words count wherever a name contains them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretNames {
    /// For each first letter, one bit for each letter that comes second in a word.
    seconds: [u32; SLOTS],
    words: [Vec<Word>; SLOTS],
    is_empty: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    text: Box<[u8]>,
    is_whole: bool,
}

impl SecretNames {
    /// The words that count where no others are given.
    pub const DEFAULT: &[&str] = &[
        "accesskey",
        "apikey",
        "auth",
        "authorization",
        "cookie",
        "credential",
        "jwt",
        "key",
        "oauth",
        "passphrase",
        "passwd",
        "password",
        "privatekey",
        "pwd",
        "secret",
        "session",
        "sig",
        "signature",
        "token",
    ];

    /// Those words and no others. An empty one counts for nothing; without any, no name is a secret's.
    #[must_use]
    pub fn new(words: &[String]) -> Self {
        Self::of(words.iter().map(String::as_str))
    }

    /// The same, and names that contain one of these, however short it is.
    pub(crate) fn and_containing(mut self, parameters: &[String]) -> Self {
        for parameter in parameters {
            self.add(parameter, false);
        }
        self
    }

    fn of<'w>(words: impl Iterator<Item = &'w str>) -> Self {
        let mut names = Self { seconds: [0; SLOTS], words: Default::default(), is_empty: true };
        for word in words {
            let is_short = word.chars().count() <= SHORT_LETTERS_MAX;
            names.add(word, is_short || word.eq_ignore_ascii_case(LONG_WHOLE));
        }
        names
    }

    fn add(&mut self, word: &str, is_whole: bool) {
        let (first, seconds) = match word.as_bytes() {
            [] => return,
            // Anything may follow it.
            [first] => (*first, u32::MAX),
            [first, second, ..] => (*first, 1 << slot(*second)),
        };
        self.seconds[slot(first)] |= seconds;
        self.words[slot(first)].push(Word { text: word.as_bytes().into(), is_whole });
        self.is_empty = false;
    }

    /// Whether no name is a secret's.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Whether what stands under that name is a secret.
    #[inline]
    pub(crate) fn is_secret(&self, name: &[u8]) -> bool {
        let mut rest = name;
        while let [first, after @ ..] = rest {
            let second = after.first().copied().unwrap_or_default();
            let may_begin = self.seconds[slot(*first)] >> slot(second) & 1 == 1;
            if may_begin && self.is_word_at(name, name.len() - rest.len()) {
                return true;
            }
            rest = after;
        }
        false
    }

    /// Whether a query's name is a secret's, also with letters of it written as `%77`.
    pub(super) fn is_secret_parameter(&self, name: &[u8]) -> bool {
        if self.is_secret(name) {
            return true;
        }
        if memchr(b'%', name).is_none() {
            return false;
        }
        let mut bytes = percent::bytes(name, b'+');
        let (mut decoded, mut kept) = ([0; DECODED], 0);
        loop {
            let filled =
                decoded.iter_mut().skip(kept).zip(&mut bytes).map(|(slot, byte)| *slot = byte).count();
            let len = kept + filled;
            if self.is_secret(decoded.get(..len).unwrap_or_default()) {
                return true;
            }
            if len < DECODED {
                return false;
            }
            // A word may stand across the end of what was decoded.
            kept = DECODED / 2;
            decoded.copy_within(DECODED - kept.., 0);
        }
    }

    fn is_word_at(&self, name: &[u8], at: usize) -> bool {
        self.words[slot(name[at])].iter().any(|Word { text, is_whole }| {
            let end = at + text.len();
            let has = name.get(at..end).is_some_and(|part| part.eq_ignore_ascii_case(text));
            has && (!is_whole || (begins_word(name, at) && ends_word(name, end)))
                && !is_in_other_word(name, at)
        })
    }
}

impl Default for SecretNames {
    fn default() -> Self {
        Self::of(Self::DEFAULT.iter().copied())
    }
}

impl Default for &SecretNames {
    fn default() -> Self {
        &OURS
    }
}

/// Whether a word is part of one that means something else: `session` of `obsession`.
fn is_in_other_word(name: &[u8], at: usize) -> bool {
    OTHER_WORDS.iter().any(|(word, offset)| {
        let from = at.checked_sub(*offset);
        let there = from.and_then(|from| name.get(from..from + word.len()));
        there.is_some_and(|there| there.eq_ignore_ascii_case(word))
    })
}

const fn slot(byte: u8) -> usize {
    byte as usize % SLOTS
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &SecretNames, secrets: &[&str], others: &[&str]) {
        for secret in secrets {
            assert!(names.is_secret(secret.as_bytes()), "{secret}");
        }
        for other in others {
            assert!(!names.is_secret(other.as_bytes()), "{other}");
        }
    }

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn secrets_are_told_by_a_word_in_their_name() {
        let names = SecretNames::default();
        let whole = ["key", "api_key", "apiKey", "X-Api-Key", "keys", "key2", "user%5Bkey%5D", "auth", "sig"];
        check(&names, &whole, &["monkey", "keyboard", "author", "signal", "design", "Keyed", "oauthx"]);
        let contained =
            ["password", "user[PassWord]", "_csrf_token", "secret_key_base", "APIKEY", "sessionid"];
        check(
            &names,
            &contained,
            &["", "pass", "word", "tok", "sec ret", "k", "card", "obsession", "tokenizer", "my_secretary"],
        );
        for word in SecretNames::DEFAULT {
            check(&names, &[word, &word.to_uppercase(), &format!("my_{word}_2")], &[]);
        }
    }

    #[test]
    fn a_list_of_ones_own_counts_instead_of_ours() {
        let names = SecretNames::new(&owned(&["PIN", "iban", "Credit", "oAuth", "", "ü"]));
        let secrets = ["pin", "user[pin]", "userPin", "my-iban", "CREDIT", "creditcard", "oauth", "x ü"];
        check(
            &names,
            &secrets,
            &["spin", "pinned", "xoauth", "password", "token", "key", "u", "\u{fc}b\u{fc}a"],
        );
        let letter = SecretNames::new(&owned(&["x"]));
        check(&letter, &["x", "a.x", "X_1", "xs"], &["ax", "xa", "y"]);
        assert!(SecretNames::new(&[]).is_empty() && SecretNames::new(&owned(&[""])).is_empty());
        check(&SecretNames::new(&[]), &[], &["password", "", "key"]);
    }

    #[test]
    fn parameters_count_wherever_they_are() {
        let names = SecretNames::default().and_containing(&owned(&["Card", "", "pi"]));
        check(&names, &["discard", "spin", "password", "CARD_number"], &["", "p", "ca"]);
        let alone = SecretNames::new(&[]).and_containing(&owned(&["card"]));
        check(&alone, &["discard"], &["password"]);
        assert!(!alone.is_empty());
    }
}
