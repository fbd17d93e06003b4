//! The journal's export format: `NAME=value` lines, and for a value that is not printable text the name on a line
//! of its own, the value's length as eight bytes, the value, and a newline.
//!
//! Takes one entry, with or without the blank line that ends it, calls back for each field.

use memchr::memchr;

use crate::ParseError;

/// systemd's own limit (`journal_field_valid`).
const NAME_BYTES_MAX: usize = 64;

const CUT: ParseError = ParseError("a journal field without its end");

/// Calls `each` with the name and the value of every field.
pub(super) fn fields<'a>(
    entry: &'a [u8],
    each: &mut impl FnMut(&'a [u8], &'a [u8]),
) -> Result<(), ParseError> {
    let mut rest = entry;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
        if line.is_empty() {
            return if after.is_empty() { Ok(()) } else { Err(ParseError("text after the journal entry")) };
        }
        let equals = memchr(b'=', line);
        let name = &line[..equals.unwrap_or(line.len())];
        if !is_name(name) {
            return Err(ParseError("not a journal field"));
        }
        if let Some(equals) = equals {
            each(name, &line[equals + 1..]);
            rest = after;
        } else {
            let (value, after) = binary(after).ok_or(CUT)?;
            each(name, value);
            rest = after;
        }
    }
    Ok(())
}

/// A length, as many bytes, and a newline unless the entry ends there.
fn binary(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = text.split_first_chunk::<8>()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    let (value, rest) = rest.split_at_checked(len)?;
    let rest = rest.strip_prefix(b"\n").or(rest.is_empty().then_some(rest))?;
    Some((value, rest))
}

fn is_name(name: &[u8]) -> bool {
    let sound = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.iter().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair<'a> = (&'a [u8], &'a [u8]);

    fn read(entry: &[u8]) -> Result<Vec<Pair<'_>>, ParseError> {
        let mut found = Vec::new();
        fields(entry, &mut |name, value| found.push((name, value))).map(|()| found)
    }

    #[test]
    fn text_and_binary_fields() {
        let entry = b"A=b=c\nB\n\x03\0\0\0\0\0\0\0x\n=\nC=\nD\n\0\0\0\0\0\0\0\0\n";
        let expected: [Pair<'_>; 4] = [(b"A", b"b=c"), (b"B", b"x\n="), (b"C", b""), (b"D", b"")];
        for end in [entry.len() - 1, entry.len()] {
            assert_eq!(read(&entry[..end]).as_deref(), Ok(&expected[..]));
        }
        assert_eq!(read(b"A=b\n\n"), read(b"A=b"));
    }

    #[test]
    fn other_texts_are_refused() {
        for entry in [
            &b"a=b"[..],
            b"=b",
            b"A",
            b"A\n\x01\0\0\0\0\0\0\0",
            b"A\n\x01\0\0\0\0\0\0\0bc",
            b"A\n\xff\xff\xff\xff\xff\xff\xff\xffb",
            b"A=b\n\nB=c",
            b"some text",
        ] {
            assert!(read(entry).is_err(), "{}", entry.escape_ascii());
        }
    }
}
