//! The entries of the journal's export format (systemd, `docs/JOURNAL_EXPORT_FORMATS.md`).
//!
//! An entry is fields up to a blank line. A field is a line `NAME=value`; or `NAME` alone on its line, the value's
//! length in eight bytes (little-endian), the value, which may hold newlines, and a newline. A line that is neither
//! is part of the entry that it is in; where an entry should begin it is a record of its own, as an entry in JSON is. An
//! entry in JSON ends one that has no blank line after it.

use memchr::memchr;

use super::{Found, Inside, Search, lines};

/// systemd's own limits, for a name (`journal_field_valid`) and for a value (`DATA_SIZE_MAX`).
const NAME_BYTES_MAX: usize = 64;
const VALUE_BYTES_MAX: u64 = 768 * 1024 * 1024;

/// What a field turns out to be.
enum Field {
    /// It ends with its line; so much of it has been seen.
    Text(usize),
    /// After so many bytes come so many that may be anything.
    Binary(usize, u64),
    /// It is a line of another kind.
    Line,
    /// It is the blank line after the last one.
    None,
    /// What was read ends first.
    Unknown,
}

/// The entry that `held` begins with.
pub(super) fn find(held: &[u8], search: Search) -> Result<Found<'_>, Search> {
    let Search { mut at, mut inside } = search;
    loop {
        let rest = &held[at..];
        match inside {
            Inside::Line => return lines::find(held, search),
            Inside::Field if rest.starts_with(b"{") => {
                return Ok(Found { text: held[..at].strip_suffix(b"\n").unwrap_or(&held[..at]), len: at });
            }
            Inside::Counted(left) => {
                let seen = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                at += seen;
                inside = match left - seen as u64 {
                    0 => Inside::Field,
                    left => return Err(Search { at, inside: Inside::Counted(left) }),
                };
            }
            Inside::Text => match memchr(b'\n', rest) {
                Some(newline) => (at, inside) = (at + newline + 1, Inside::Field),
                None => return Err(Search { at: held.len(), inside }),
            },
            Inside::Start | Inside::Field | Inside::Object(_) => match field(rest) {
                Field::Text(seen) => (at, inside) = (at + seen, Inside::Text),
                Field::Line if inside == Inside::Start => return lines::find_among_others(held, search),
                Field::Line => inside = Inside::Text,
                Field::Binary(seen, left) => (at, inside) = (at + seen, Inside::Counted(left)),
                Field::None => {
                    let fields = &held[..at];
                    return Ok(Found { text: fields.strip_suffix(b"\n").unwrap_or(fields), len: at + 1 });
                }
                Field::Unknown => return Err(Search { at, inside }),
            },
        }
    }
}

/// The field that `text` begins with.
fn field(text: &[u8]) -> Field {
    let start = &text[..text.len().min(NAME_BYTES_MAX + 1)];
    match start.iter().position(|byte| matches!(byte, b'=' | b'\n')) {
        None if start.len() <= NAME_BYTES_MAX => Field::Unknown,
        Some(0) if text[0] == b'\n' => Field::None,
        Some(end) if end > 0 && is_name(&text[..end]) && text[end] == b'=' => Field::Text(end),
        Some(end) if end == 0 || !is_name(&text[..end]) => Field::Line,
        None => Field::Line,
        Some(end) => match text[end + 1..].first_chunk::<8>().map(|len| u64::from_le_bytes(*len)) {
            None => Field::Unknown,
            Some(len) if len > VALUE_BYTES_MAX => Field::Text(end),
            // The newline after the value is counted with it.
            Some(len) => Field::Binary(end + 9, len + 1),
        },
    }
}

fn is_name(name: &[u8]) -> bool {
    name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
}
