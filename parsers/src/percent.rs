//! Percent-encoding, as URLs have it: `%41` for `A`.
//!
//! Takes text as written, gives it decoded. Invariant: text that has nothing encoded is given as it is.

use memchr::{memchr_iter, memchr2};

use crate::record::Scratch;

/// The bytes, each code as the one byte that it stands for, and `+` as `plus`. What is no code stays.
pub(crate) fn bytes(text: &[u8], plus: u8) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        let (byte, after) = match first {
            b'%' => hex(after).unwrap_or((b'%', after)),
            b'+' => (plus, after),
            _ => (*first, after),
        };
        rest = after;
        Some(byte)
    })
}

/// The text decoded, with `+` as `plus`; as written where a `%` begins no code or the codes are not of UTF-8.
pub(crate) fn decoded<'a>(text: &'a [u8], plus: u8, scratch: &'a Scratch) -> &'a [u8] {
    if memchr2(b'%', b'+', text).is_none() || memchr_iter(b'%', text).any(|at| hex(&text[at + 1..]).is_none())
    {
        return text;
    }
    let decoded = scratch.fill(text.len(), |out| {
        out.iter_mut().zip(bytes(text, plus)).map(|(slot, byte)| *slot = byte).count()
    });
    if std::str::from_utf8(decoded).is_ok() { decoded } else { text }
}

/// The byte that two hexadecimal digits stand for, and what comes after them.
fn hex(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, after) = text.split_first_chunk::<2>()?;
    Some((byte_of(*digits)?, after))
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn byte_of(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_once_or_not_at_all() {
        let scratch = Scratch::new();
        for (text, expected) in [
            ("", ""),
            ("a-b", "a-b"),
            ("%41+%2b%2B", "A ++"),
            ("caf%C3%A9", "café"),
            ("%2541", "%41"),
            ("a+%zz", "a+%zz"),
            ("%4", "%4"),
            ("%", "%"),
            ("+%E9", "+%E9"),
            ("+", " "),
        ] {
            assert_eq!(decoded(text.as_bytes(), b' ', &scratch), expected.as_bytes(), "{text}");
        }
        assert_eq!(decoded(b"%41+", b'+', &scratch), b"A+");
        assert!(bytes(b"%zz%4%41+", b'+').eq(*b"%zz%4A+"));
    }
}
