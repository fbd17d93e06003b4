//! Colour codes in text: ECMA-48 "select graphic rendition" sequences, `ESC [ … m` with
//! digits, semicolons and colons between.
//!
//! Takes bytes, gives the same bytes without the sequences; borrowed as they are when there are none.

use crate::record::Scratch;

const ESC: u8 = 0x1b;

/// The length of the sequence that `text` begins with; 0 when it begins with none.
pub(crate) fn sequence_len(text: &[u8]) -> usize {
    let [ESC, b'[', rest @ ..] = text else { return 0 };
    let codes = rest.iter().take_while(|byte| byte.is_ascii_digit() || matches!(**byte, b';' | b':')).count();
    if rest.get(codes) == Some(&b'm') { codes + 3 } else { 0 }
}

/// `text` without its colour codes.
pub(crate) fn strip<'a>(text: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    if memchr::memchr(ESC, text).is_none() {
        return text;
    }
    scratch.fill(text.len(), |out| {
        let (mut read, mut written) = (0, 0);
        while read < text.len() {
            let skip = sequence_len(&text[read..]);
            if skip == 0 {
                out[written] = text[read];
                written += 1;
            }
            read += skip.max(1);
        }
        written
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_colours_and_nothing_else() {
        let scratch = Scratch::new();
        assert_eq!(strip(b"\x1b[2mts\x1b[0m [\x1b[1;34minfo\x1b[0m]", &scratch), b"ts [info]");
        assert_eq!(strip(b"plain", &scratch), b"plain");
        assert_eq!(strip(b"\x1b[2K\x1b x\x1b[", &scratch), b"\x1b[2K\x1b x\x1b[");
    }
}
