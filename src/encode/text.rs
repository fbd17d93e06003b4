//! Text → a JSON string.
//!
//! Clean text is copied as it is, told sixteen bytes at a time; what needs care is rare in logs and takes
//! the slow path: quotes, backslashes, controls, and everything that is not ASCII, which must be valid UTF-8 or
//! become U+FFFD.

/// The most bytes that a string has once decoded (Honeycomb's storage takes 65,535; husky cuts there too).
pub const STRING_BYTES_MAX: usize = 65_535;

/// Appends `text` quoted; answers whether it had to be cut.
#[inline]
pub(super) fn write_string(out: &mut Vec<u8>, text: &[u8]) -> bool {
    write_string_up_to(out, text, STRING_BYTES_MAX)
}

/// Appends at most `bytes_max` of `text` quoted, cut between characters; answers whether it had to be cut.
#[inline]
pub(super) fn write_string_up_to(out: &mut Vec<u8>, text: &[u8], bytes_max: usize) -> bool {
    out.push(b'"');
    let clean = text.len() <= bytes_max && is_clean(text);
    let cut = if clean {
        out.extend_from_slice(text);
        false
    } else {
        write_with_care(out, text, bytes_max)
    };
    out.push(b'"');
    cut
}

/// Whether `text` can be copied into a JSON string as it is.
#[inline]
fn is_clean(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<BLOCK_BYTES>() else {
        let mut padded = [b' '; BLOCK_BYTES];
        padded[..text.len()].copy_from_slice(text);
        return !needs_care(&padded);
    };
    // The last block overlaps the one before it.
    !needs_care(last) && !text.as_chunks::<BLOCK_BYTES>().0.iter().any(needs_care)
}

/// So many bytes are compared at once, on any machine of today.
const BLOCK_BYTES: usize = 16;

/// Whether there is a control, a quote, a backslash or what is no ASCII (as a signed number, that is below the controls).
/// Without a branch between the bytes, so that they are compared at once.
#[inline]
fn needs_care(block: &[u8; BLOCK_BYTES]) -> bool {
    let care = |byte: u8| (byte.cast_signed() < 0x20) | (byte == b'"') | (byte == b'\\');
    block.iter().fold(0, |any, byte| any | u8::from(care(*byte))) > 0
}

/// The slow path: the same, for text with something special in it.
#[cold]
fn write_with_care(out: &mut Vec<u8>, text: &[u8], bytes_max: usize) -> bool {
    let mut room = bytes_max;
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid();
        let end = valid.floor_char_boundary(room);
        write_valid(out, &valid.as_bytes()[..end]);
        room -= end;
        if end < valid.len() {
            return true;
        }
        if !chunk.invalid().is_empty() {
            let replacement = "\u{fffd}".as_bytes();
            if room < replacement.len() {
                return true;
            }
            out.extend_from_slice(replacement);
            room -= replacement.len();
        }
    }
    false
}

fn write_valid(out: &mut Vec<u8>, mut text: &[u8]) {
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    while let Some(at) = text.iter().position(special) {
        out.extend_from_slice(&text[..at]);
        match text[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let [high, low] = [control >> 4, control & 15].map(|digit| HEX[usize::from(digit)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &[u8], bytes_max: usize) -> (String, bool) {
        let mut out = Vec::new();
        let cut = write_string_up_to(&mut out, text, bytes_max);
        (serde_json::from_slice(&out).unwrap(), cut)
    }

    proptest! {
        #[test]
        fn any_bytes_become_the_string_they_mean(text in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(written(&text, 1000), (String::from_utf8_lossy(&text).into_owned(), false));
        }

        #[test]
        fn a_cut_falls_between_characters(text in "[a-z\"\\\\\u{e9}\u{1f600}\n]{0,40}", bytes_max in 0_usize..60) {
            let (kept, cut) = written(text.as_bytes(), bytes_max);
            prop_assert!(text.starts_with(&kept) && kept.len() <= bytes_max);
            prop_assert_eq!(cut, kept.len() < text.len());
            prop_assert!(!cut || bytes_max - kept.len() < 4);
        }
    }

    #[test]
    fn every_byte_at_every_place_is_found() {
        for byte in 0..=255_u8 {
            for at in 0..20 {
                let mut text = [b'x'; 20];
                text[at] = byte;
                let clean = (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\';
                assert_eq!(is_clean(&text), clean, "{byte} at {at}");
                assert_eq!(is_clean(&text[..at + 1]), clean, "{byte} at the end of {at}");
            }
        }
    }
}
