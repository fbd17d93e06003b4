//! Cursors: what journald knows each entry again by, and which of them has to be kept.
//!
//! Takes what is read, and the ledger's mark; gives the cursor of the last entry before which everything has its outcome. A
//! line that an open join holds pins it: there is no cheap way to read one entry again. Pure.

use std::collections::VecDeque;

use memchr::memmem;

use crate::ack::Mark;

const FIELD: &[u8] = b"\"__CURSOR\"";

/// The cursors of a stream.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    /// With where their entries end, in order.
    read: VecDeque<(u64, String)>,
}

impl Cursors {
    /// Whole lines were read, the last of which ends there.
    pub(super) fn push(&mut self, lines: &[u8], end: u64) {
        if let Some(cursor) = last_cursor(lines) {
            self.read.push_back((end, cursor.to_owned()));
        }
    }

    /// The last that was read.
    pub(super) fn last(&self) -> Option<&str> {
        self.read.back().map(|(_, cursor)| cursor.as_str())
    }

    /// The cursor to be kept, if there is a new one.
    pub(super) fn decided(&mut self, mark: &Mark) -> Option<String> {
        let held = mark.held.iter().find(|held| !held.is_context()).map(|held| held.position);
        let decided = held.map_or(mark.resume, |held| held.min(mark.resume));
        let mut last = None;
        while let Some((_, cursor)) = self.read.pop_front_if(|(end, _)| *end <= decided) {
            last = Some(cursor);
        }
        last
    }
}

/// The cursor of the last line that tells one. The quotes of texts are escaped: only a field's name looks like this.
fn last_cursor(lines: &[u8]) -> Option<&str> {
    let after = &lines[memmem::rfind(lines, FIELD)? + FIELD.len()..];
    let value = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', value)?;
    std::str::from_utf8(&value[..end]).ok().filter(|cursor| !cursor.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ack::Held;

    #[test]
    fn the_cursor_is_that_of_the_last_entry() {
        let lines = br#"{"__CURSOR":"s=1;i=2","MESSAGE":"a"}
{"MESSAGE":"\"__CURSOR\":\"no\"","__CURSOR" : "s=1;i=3"}
"#;
        assert_eq!(last_cursor(lines), Some("s=1;i=3"));
        assert_eq!(last_cursor(br#"{"MESSAGE":"\"__CURSOR\":\"no\""}"#), None);
        assert_eq!(last_cursor(b"{\"__CURSOR\":\"s=1"), None);
        assert_eq!(last_cursor(b"-- No entries --\n"), None);
    }

    #[test]
    fn a_cursor_is_kept_when_everything_before_it_has_its_outcome() {
        let mut cursors = Cursors::default();
        for n in 1..=4_u64 {
            cursors.push(format!("{{\"__CURSOR\":\"{n}\"}}\n").as_bytes(), n * 10);
        }
        let mark = |resume, held: &[u64]| Mark {
            resume,
            tail: None,
            held: held.iter().map(|position| Held { position: *position, len: 10, flags: 0 }).collect(),
        };
        assert_eq!(cursors.last(), Some("4"));
        assert_eq!(cursors.decided(&mark(9, &[])), None);
        assert_eq!(cursors.decided(&mark(40, &[20])).as_deref(), Some("2"), "an open join has the third");
        assert_eq!(cursors.decided(&mark(40, &[20])), None);
        assert_eq!(cursors.decided(&mark(40, &[])).as_deref(), Some("4"));
    }
}
