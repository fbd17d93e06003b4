//! Secrets that show only once a text is decoded: `?q=%7B%22token%22%3A%22x%22%7D`, and `"pass\u0077ord":"x"`.
//!
//! Takes a text whose plain secrets are out, or don't matter, and gives it without these. What is encoded can't be cut where the
//! secret ends, so a parameter goes whole; escaped letters are written as themselves.
//!
//! Invariant: text that tells no secret when decoded is given as it is, and no byte is decoded more than a few times.

use memchr::{memchr, memchr_iter};

use super::{
    Secret, SecretNames,
    encoded::{Signs, Told},
    key::separates,
    place::{Place, ends_in_prose, ends_in_url, url_in, without_tail},
    plain_text, replaced,
    search::Secrets,
};
use crate::{percent, record::Scratch};

/// How often text is taken to be encoded, one in the other.
const DEPTH_MAX: usize = 4;

/// The text without the parts that tell a secret once their `%22` and the like are decoded.
pub(super) fn parts<'a>(text: &'a [u8], place: Place, names: &SecretNames, scratch: &'a Scratch) -> &'a [u8] {
    let url = url_in(place, text);
    replaced(text, &Parts { text, url, names, scratch, at: 0, signs: Signs::default() }, scratch)
}

/// The parts to be taken out.
#[derive(Clone)]
struct Parts<'t, 'p> {
    text: &'t [u8],
    /// Where the text is a URL as a client wrote it.
    url: (usize, usize),
    names: &'p SecretNames,
    scratch: &'t Scratch,
    at: usize,
    signs: Signs,
}

impl Iterator for Parts<'_, '_> {
    type Item = Secret;

    fn next(&mut self) -> Option<Secret> {
        loop {
            let sign = self.at + memchr(b'%', self.text.get(self.at..)?)?;
            if self.signs.told(self.text, sign, self.names) != Told::Part {
                self.at = sign + 1;
                continue;
            }
            let in_url = (self.url.0..self.url.1).contains(&sign);
            let start = self.text[..sign].iter().rposition(separates).map_or(0, |before| before + 1);
            let rest = &self.text[sign..];
            let ends = |byte: &u8| if in_url { ends_in_url(byte) } else { ends_in_prose(byte) };
            let len = rest.iter().position(ends).unwrap_or(rest.len());
            self.at = sign + if in_url { len } else { without_tail(&rest[..len]).max(1) };
            if self.tells_secret(&self.text[start..self.at]) {
                return Secret::plain(start, self.at);
            }
        }
    }
}

impl Parts<'_, '_> {
    /// A `+` may be a blank or itself: who wrote the value is unknown.
    fn tells_secret(&self, part: &[u8]) -> bool {
        self.tells_secret_with(part, b' ')
            || (memchr(b'+', part).is_some() && self.tells_secret_with(part, b'+'))
    }

    fn tells_secret_with(&self, part: &[u8], plus: u8) -> bool {
        let mut text = part;
        for _ in 0..DEPTH_MAX {
            let decoded = self.scratch.fill(text.len(), |out| {
                out.iter_mut().zip(percent::bytes(text, plus)).map(|(slot, byte)| *slot = byte).count()
            });
            if Secrets::new(decoded, Place::Prose, self.names).next().is_some() {
                return true;
            }
            if decoded.len() == text.len() {
                break;
            }
            text = decoded;
        }
        false
    }
}

/// The text with its `\u0077` and `\x77` as letters, if it tells a secret so.
pub(super) fn letters<'a>(
    text: &'a [u8],
    place: Place,
    names: &SecretNames,
    scratch: &'a Scratch,
) -> &'a [u8] {
    let is_escape = |at: usize| matches!(&text[at + 1..], [b'u', b'0', b'0', ..] | [b'x', ..]);
    if !memchr_iter(b'\\', text).any(is_escape) {
        return text;
    }
    let decoded = scratch.fill(text.len(), |out| {
        let mut written = 0;
        let mut rest = text;
        while let Some((first, after)) = rest.split_first() {
            let (byte, after) = letter(rest).unwrap_or((*first, after));
            (out[written], rest) = (byte, after);
            written += 1;
        }
        written
    });
    let cleaned = plain_text(decoded, place, names, scratch);
    let is_same = std::ptr::eq(cleaned, decoded);
    if is_same { text } else { cleaned }
}

/// The ASCII letter that `text` begins with the escape of, however often its backslash is escaped.
fn letter(text: &[u8]) -> Option<(u8, &[u8])> {
    let run = text.iter().take_while(|byte| **byte == b'\\').count();
    let code = text[run..].strip_prefix(b"u00").or_else(|| text[run..].strip_prefix(b"x"));
    let (digits, after) = code.filter(|_| run > 0)?.split_first_chunk::<2>()?;
    let byte = percent::byte_of(*digits).filter(u8::is_ascii)?;
    Some((byte, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, clean: fn(&[u8], Place, &SecretNames, &Scratch) -> Vec<u8>) -> String {
        let (names, scratch) = (SecretNames::default(), Scratch::new());
        String::from_utf8(clean(text.as_bytes(), Place::Prose, &names, &scratch)).unwrap()
    }

    #[test]
    fn parts_that_tell_a_secret_go_whole() {
        let clean = |text: &[u8], place, names: &SecretNames, scratch: &Scratch| {
            parts(text, place, names, scratch).to_vec()
        };
        for (text, expected) in [
            ("/?a=1&q=%7B%22token%22%3A%22x%22%7D&b=2", "/?a=1&q=[FILTERED]&b=2"),
            ("/?q={%22token%22:%22x%22} b", "/?q=[FILTERED] b"),
            ("/?q=%257B%2522token%2522%253A%2522x%2522%257D", "/?q=[FILTERED]"),
            ("see /a/%22token%22%3A%22x%22, then", "see /a/[FILTERED], then"),
            ("h=Authorization%3A%20Bearer%20x", "h=[FILTERED]"),
            ("h=Authorization%3ABearer+x", "h=[FILTERED]"),
            ("db=postgres%3A%2F%2Fu%3Ax%40h&a", "db=[FILTERED]&a"),
            ("q=%22tokens%22+and+%27keys%27", "q=%22tokens%22+and+%27keys%27"),
            ("to=a%40b.test&q=%22", "to=a%40b.test&q=%22"),
            ("%22", "%22"),
        ] {
            assert_eq!(with(text, clean), expected);
        }
    }

    #[test]
    fn letters_that_tell_a_secret_are_written_out() {
        let clean = |text: &[u8], place, names: &SecretNames, scratch: &Scratch| {
            letters(text, place, names, scratch).to_vec()
        };
        for (text, expected) in [
            (r#"{"pass\u0077ord":"x","a":1}"#, r#"{"password":"[FILTERED]","a":1}"#),
            (r#"{\u0022token\u0022:\u0022x\u0022}"#, r#"{"token":"[FILTERED]"}"#),
            (r#"{\\x22token\\x22: \\x22x\\x22}"#, r#"{"token": "[FILTERED]"}"#),
            (r#"{"\u0061":"\u00e9 \x"}"#, r#"{"\u0061":"\u00e9 \x"}"#),
            (r"\u00", r"\u00"),
            (r"\x4", r"\x4"),
        ] {
            assert_eq!(with(text, clean), expected);
        }
    }
}
