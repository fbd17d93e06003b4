//! A record that outlives its chunk: the fields of an open join, copied into one piece of memory.
//!
//! Takes borrowed fields, gives them back as a [`Record`] that borrows from here. A field put again replaces the
//! one before, so that taking the same line twice changes nothing.

use hivetail_parsers::{Level, Record, Time, Value};

/// A record's own copy.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// For each field: a tag, the lengths of name and value, name, value.
    bytes: Vec<u8>,
    time: Option<Time>,
    severity: Option<&'static str>,
    error: bool,
}

/// The level's word stands among the fields under a name that no field has.
const LEVEL: &[u8] = b"";

/// How a value is kept.
const TEXT: u8 = 0;
const INT: u8 = 1;
const FLOAT: u8 = 2;
const BOOL: u8 = 3;
const NUMBER: u8 = 4;

/// What is taken in advance when there is no room for a field.
const GROWTH_BYTES: usize = 64;
/// A number or less.
const NUMBER_BYTES: usize = 8;
/// The tag and two lengths.
const HEAD_BYTES: usize = 7;
/// A longer name is not kept: Honeycomb has none longer than 255 bytes.
const NAME_BYTES_MAX: usize = u16::MAX as usize;

/// One field in the bytes.
struct Entry<'a> {
    start: usize,
    end: usize,
    name: &'a [u8],
    value: Option<Value<'a>>,
}

impl Kept {
    /// Begins anew with the record's time, level and fields.
    pub(super) fn begin(&mut self, record: &Record<'_>) {
        self.bytes.clear();
        (self.time, self.error) = (record.time, record.error);
        self.severity = record.level.map(|level| level.severity);
        let field_bytes = record.fields().iter().map(|field| {
            let value = if let Value::Text(text) | Value::Number(text) = field.value {
                text.len()
            } else {
                NUMBER_BYTES
            };
            HEAD_BYTES + field.key.bytes().len() + value
        });
        let level_bytes = record.level.map_or(0, |level| HEAD_BYTES + level.text.len());
        self.bytes.reserve_exact(field_bytes.sum::<usize>() + level_bytes);
        if let Some(level) = record.level {
            self.append(LEVEL, Value::Text(level.text));
        }
        for field in record.fields() {
            self.append(field.key.bytes(), field.value);
        }
    }

    /// The time of what was kept first.
    pub(super) const fn time(&self) -> Option<Time> {
        self.time
    }

    /// Puts a field in the place of one of that name, if there is one. Empty text is no field.
    pub(super) fn put(&mut self, name: &[u8], value: Value<'_>) {
        let found = self.entries().find(|entry| entry.name == name).map(|entry| entry.start..entry.end);
        if let Some(range) = found {
            self.bytes.drain(range);
        }
        if value != Value::Text(b"") {
            self.append(name, value);
        }
    }

    /// Whether there is a field of that name.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.entries().any(|entry| entry.name == name)
    }

    /// The record; of its fields those that `keep` picks.
    pub(super) fn fill<'a>(
        &'a self,
        record: &mut Record<'a>,
        mut keep: impl FnMut(&'a [u8], Value<'a>) -> bool,
    ) {
        record.time = self.time;
        record.error = self.error;
        for entry in self.entries() {
            match entry.value {
                Some(Value::Text(text)) if entry.name == LEVEL => {
                    record.level = self.severity.map(|severity| Level { severity, text });
                }
                Some(value) if keep(entry.name, value) => record.set_free(entry.name, value),
                _ => {}
            }
        }
    }

    /// The bytes that it takes.
    pub(super) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives memory back beyond what the next one will need.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(bytes);
    }

    fn append(&mut self, name: &[u8], value: Value<'_>) {
        let (number, flag);
        let (tag, bytes): (u8, &[u8]) = match value {
            Value::Text(text) => (TEXT, text),
            Value::Number(text) => (NUMBER, text),
            Value::Int(int) => {
                number = int.to_le_bytes();
                (INT, &number)
            }
            Value::Float(float) => {
                number = float.to_le_bytes();
                (FLOAT, &number)
            }
            Value::Bool(is_so) => {
                flag = [u8::from(is_so)];
                (BOOL, &flag)
            }
        };
        let name = &name[..name.len().min(NAME_BYTES_MAX)];
        // A line is shorter than 4 GiB, so its values are.
        let (Ok(name_len), Ok(len)) = (u16::try_from(name.len()), u32::try_from(bytes.len())) else { return };
        let ([name_0, name_1], [len_0, len_1, len_2, len_3]) = (name_len.to_le_bytes(), len.to_le_bytes());
        let needed = HEAD_BYTES + name.len() + bytes.len();
        if self.bytes.capacity() - self.bytes.len() < needed {
            // Many are kept at once: doubling would waste as much as they take.
            self.bytes.reserve_exact(needed + GROWTH_BYTES);
        }
        self.bytes.extend_from_slice(&[tag, name_0, name_1, len_0, len_1, len_2, len_3]);
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(bytes);
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let entry = entry(&self.bytes, start)?;
            start = entry.end;
            Some(entry)
        })
    }
}

fn entry(bytes: &[u8], start: usize) -> Option<Entry<'_>> {
    let (&[tag, name_0, name_1, len_0, len_1, len_2, len_3], rest) =
        bytes.get(start..)?.split_first_chunk::<HEAD_BYTES>()?;
    let name_len = usize::from(u16::from_le_bytes([name_0, name_1]));
    let len = u32::from_le_bytes([len_0, len_1, len_2, len_3]) as usize;
    let (name, rest) = rest.split_at_checked(name_len)?;
    let text = rest.get(..len)?;
    let value = match (tag, text) {
        (TEXT, text) => Some(Value::Text(text)),
        (NUMBER, text) => Some(Value::Number(text)),
        (INT, text) => text.first_chunk().map(|number| Value::Int(i64::from_le_bytes(*number))),
        (FLOAT, text) => text.first_chunk().map(|number| Value::Float(f64::from_le_bytes(*number))),
        (_, text) => text.first().map(|flag| Value::Bool(*flag > 0)),
    };
    Some(Entry { start, end: start + HEAD_BYTES + name_len + len, name, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_what_is_put_replaces() {
        let mut record = Record::new();
        record.level = Some(Level { severity: "warn", text: b"warning" });
        record.error = true;
        for (name, value) in [
            ("text", Value::text("a\"b")),
            ("int", Value::Int(-7)),
            ("float", Value::Float(0.5)),
            ("bool", Value::Bool(true)),
            ("number", Value::Number(b"1e9")),
            ("left", Value::text("out")),
        ] {
            record.set(name, value);
        }
        let mut kept = Kept::default();
        kept.begin(&record);
        kept.put(b"int", Value::Int(8));
        kept.put(b"new", Value::text("x"));
        kept.put(b"left", Value::text(""));
        kept.put(b"int", Value::Int(9));
        let mut back = Record::new();
        kept.fill(&mut back, |_, _| true);
        assert_eq!((back.level, back.error), (record.level, true));
        let names: Vec<_> = back.fields().iter().map(|field| field.key.bytes()).collect();
        assert_eq!(names, [&b"text"[..], b"float", b"bool", b"number", b"new", b"int"]);
        for (name, value) in [
            ("text", Value::text("a\"b")),
            ("int", Value::Int(9)),
            ("float", Value::Float(0.5)),
            ("bool", Value::Bool(true)),
            ("number", Value::Number(b"1e9")),
            ("new", Value::text("x")),
        ] {
            assert_eq!(back.get(name), Some(value), "{name}");
        }
        assert!(kept.has(b"new") && !kept.has(b"left"));
        kept.begin(&Record::new());
        assert!(!kept.has(b"text"), "nothing of the one before");
    }
}
