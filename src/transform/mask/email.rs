//! E-mail addresses in text.
//!
//! Takes a text, gives the next address: `local@domain.tld`, where `@` may be percent-encoded. The local part has letters of
//! any script, digits and `._+-`; the last word of the domain has letters only, so that neither `@spec` nor `app@10.0.0.1`,
//! an Erlang node, is one; nor is a file's name like `logo@2x.png` or `vue@3.5.1.min.js`.
//!
//! Invariant: no byte belongs to two addresses, and each is looked at a bounded number of times.

use memchr::{memchr2, memrchr};

use super::Edit;

/// Endings of files that are named like a package and its version, or a picture and its scale; no domain ends so.
pub(super) const FILE_TYPES: [&[u8]; 13] = [
    b"avif", b"css", b"gif", b"heic", b"html", b"ico", b"jpeg", b"jpg", b"js", b"json", b"mjs", b"png",
    b"svg",
];

/// The next address at `from` or after it.
pub(super) fn next(text: &[u8], from: usize) -> Option<Edit> {
    let mut at = from;
    loop {
        let sign = at + memchr2(b'@', b'%', text.get(at..)?)?;
        let after = match text[sign..] {
            [b'@', ..] => sign + 1,
            [b'%', b'4', b'0', ..] => sign + 3,
            _ => {
                at = sign + 1;
                continue;
            }
        };
        at = after;
        let Some(end) = domain_end(text, after) else { continue };
        let start = local_start(text, from, sign);
        if start < sign {
            return Some(Edit::filtered(start, end));
        }
    }
}

/// Where the local part begins that ends at `end`.
fn local_start(text: &[u8], from: usize, end: usize) -> usize {
    let mut start = end;
    loop {
        start -= match text[from..start] {
            [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                if !is_local_escape(high, low) {
                    break;
                }
                3
            }
            [.., byte] if is_word(byte) || b"._+-".contains(&byte) => 1,
            _ => break,
        };
    }
    // In text within JSON, what follows a backslash is not the address's.
    let escape = match text[start..end] {
        _ if !text[from..start].ends_with(b"\\") => 0,
        [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => 5,
        [b'n' | b'r' | b't' | b'b' | b'f', ..] => 1,
        _ => 0,
    };
    end.min(start + escape)
}

/// Whether `%` and those digits stand for a letter that is not ASCII, or for one of `+-._`.
const fn is_local_escape(high: u8, low: u8) -> bool {
    matches!(
        (high, low.to_ascii_lowercase()),
        (b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', _) | (b'2', b'b' | b'd' | b'e') | (b'5', b'f')
    )
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// Where the domain ends that begins at `start`: after the last of its words that may be a top-level domain.
fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    let run = text.get(start..)?;
    let len = run.iter().take_while(|byte| is_word(**byte) || b".-".contains(byte)).count();
    let run = &run[..len];
    let mut rest = run;
    while let Some(dot) = memrchr(b'.', rest) {
        let (before, word) = (&rest[..dot], &rest[dot + 1..]);
        let is_file = FILE_TYPES.iter().any(|known| word.eq_ignore_ascii_case(known));
        if is_file && run[0].is_ascii_digit() {
            return None;
        }
        if let Some(len) = tld_len(word).filter(|_| !is_file && before.last().copied().is_some_and(is_word)) {
            return Some(start + dot + 1 + len);
        }
        rest = before;
    }
    None
}

/// How much of the word is a top-level domain: two letters at least, or such letters as ASCII has to write them.
fn tld_len(word: &[u8]) -> Option<usize> {
    if word.get(..4).is_some_and(|first| first.eq_ignore_ascii_case(b"xn--")) {
        return Some(word.len());
    }
    let len = word.iter().take_while(|byte| **byte != b'-').count();
    let letters = word[..len].iter().all(|byte| is_word(*byte) && !byte.is_ascii_digit());
    (letters && len >= 2).then_some(len)
}
