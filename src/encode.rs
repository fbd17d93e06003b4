//! Encoding: a record → the bytes of one wire event, appended to a run.
//!
//! ```text
//! {"time":"2026-11-21T20:52:42Z","samplerate":1,"data":{"service.name":"ingress",…}}
//! ```
//!
//! Takes borrowed fields, gives JSON that Honeycomb takes whatever the input was: bad UTF-8 becomes U+FFFD,
//! strings are cut at 65,535 bytes, events at 1,000,000 bytes and 2,000 fields (Honeycomb's limits), and what was
//! cut is named in `meta.truncated`. Nothing is allocated per event once the buffers are warm.

mod constants;
mod text;

use std::collections::BTreeMap;

use hivetail_parsers::{Field, Key, Record, TimeSource, Timestamp, Value, names::OVERFLOW};
use serde_json::value::RawValue;

pub use constants::{Constants, Hidden};
pub use text::STRING_BYTES_MAX;
use text::write_string;

/// The most bytes of one event, serialised (Honeycomb's limit).
pub const EVENT_BYTES_MAX: usize = 1_000_000;
/// The most fields of one event (Honeycomb's limit).
const FIELDS_MAX: usize = 2_000;
/// The longest name of a column (Honeycomb's limit).
const NAME_BYTES_MAX: usize = 255;
/// What fits into one string, its braces included: a cut one would be no JSON.
const OVERFLOW_BYTES_MAX: usize = STRING_BYTES_MAX - 2;
/// Room kept for what is said last: the names of cut fields and the closing braces.
const TAIL_BYTES: usize = 8_192;
/// How much of `meta.truncated` is names; more fields than that are cut only by hostile input.
const CUT_NAMES_BYTES_MAX: usize = 1_000;
/// Fields that [`Encoder::event`] adds to the record's own, at most.
const OWN_FIELDS_MAX: usize = 12;
/// A time further ahead than this is not believed: Honeycomb would replace it anyway.
const AHEAD_S_MAX: i64 = 3_600;

/// What an event is made from.
#[derive(Clone, Copy, Debug)]
pub struct Event<'e, 'a> {
    /// The parsed fields.
    pub record: &'e Record<'a>,
    /// The stream's fields.
    pub constants: &'e Constants,
    /// The record's byte offset, for streams that have one worth telling.
    pub offset: Option<u64>,
    /// When the line was read: the event's time if nothing else tells one.
    pub received: Timestamp,
    /// Whether the line itself was cut at the line cap.
    pub line_cut: bool,
    /// Whether the stream ended before the line did.
    pub partial: bool,
    /// Whether the end of what it was joined from never came.
    pub incomplete: bool,
    /// Whether it was joined first-in first-out, since nothing told which lines belong together.
    pub ambiguous: bool,
    /// How many events it stands for; at least 1.
    pub rate: u32,
    /// Which of the stream's fields it does not have.
    pub hidden: Hidden,
}

impl<'e> Event<'e, '_> {
    /// The value of a field as it is shipped: the record's own before the stream's, which `severity` and such are, too.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'e>> {
        if let Some(value) = self.record.get(name) {
            return Some(value);
        }
        let flag = |is_so: bool| is_so.then_some(Value::Bool(true));
        match name {
            "severity" => self.record.level.map(|level| Value::text(level.severity)),
            "severity_text" => self.record.level.map(|level| Value::Text(level.text)),
            "error" => flag(self.record.is_error()),
            "meta.incomplete" => flag(self.incomplete),
            "meta.partial" => flag(self.partial),
            "meta.ambiguous" => flag(self.ambiguous),
            "meta.signal_type" => Some(Value::text("log")),
            _ => {
                let mut constants = self.constants.fields().enumerate();
                constants
                    .find(|(index, (own, _))| *own == name && !self.hidden.has(*index))
                    .map(|(_, (_, value))| value)
            }
        }
    }
}

/// What becomes of a field that the input has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It has a column of its own.
    Column,
    /// It is put into `field.overflow`.
    Overflow,
}

/// The names of fields that did not fit.
#[derive(Debug, Default)]
struct Cuts {
    names: Vec<u8>,
}

impl Cuts {
    #[cold]
    fn add(&mut self, name: &[u8]) {
        if self.names.len() > CUT_NAMES_BYTES_MAX {
            return;
        }
        if !self.names.is_empty() {
            self.names.push(b',');
        }
        self.names.extend_from_slice(&name[..name.len().min(NAME_BYTES_MAX)]);
    }
}

/// Encodes events, with the little memory that this takes.
#[derive(Debug, Default)]
pub struct Encoder {
    cuts: Cuts,
    /// The fields that have no column, as members of a JSON object, each with a comma before it.
    overflow: Vec<u8>,
}

impl Encoder {
    /// Appends the event and a comma to `out`; answers whether anything of it was cut. `place` says what becomes of a field
    /// that the input has named.
    pub fn event(
        &mut self,
        out: &mut Vec<u8>,
        event: &Event<'_, '_>,
        mut place: impl FnMut(&[u8]) -> Place,
    ) -> bool {
        let start = out.len();
        self.cuts.names.clear();
        self.overflow.clear();
        let (time, source) = time(event);
        out.extend_from_slice(b"{\"time\":\"");
        time.write_rfc3339(out);
        // Since one field is always there, every other can begin with a comma.
        out.extend_from_slice(b"\",\"samplerate\":");
        if event.rate <= 1 {
            out.push(b'1');
        } else {
            write_number(out, event.rate);
        }
        out.extend_from_slice(b",\"data\":{\"meta.signal_type\":\"log\"");
        event.constants.write(out, event.hidden);
        write_own(out, event, source);
        let room = start + EVENT_BYTES_MAX - TAIL_BYTES;
        let fields_max = FIELDS_MAX - OWN_FIELDS_MAX - event.constants.count();
        let fields = event.record.fields();
        let (fitting, surplus) = fields.split_at(fields_max.min(fields.len()));
        for field in fitting {
            let place = match field.key {
                // The parser's own, of a line with very many names.
                Key::Known(OVERFLOW) => Place::Overflow,
                Key::Known(_) => Place::Column,
                Key::Free(name) => place(name),
            };
            match place {
                Place::Column => self.field(out, field, room),
                Place::Overflow => self.overflowing(field),
            }
        }
        surplus.iter().for_each(|field| self.cuts.add(field.key.bytes()));
        if !self.overflow.is_empty() {
            self.write_overflow(out, room);
        }
        if event.line_cut {
            self.cuts.add(b"line");
        }
        if !self.cuts.names.is_empty() {
            out.extend_from_slice(b",\"meta.truncated\":");
            write_string(out, &self.cuts.names);
        }
        out.extend_from_slice(b"}},");
        !self.cuts.names.is_empty()
    }

    #[inline(always)]
    fn field(&mut self, out: &mut Vec<u8>, field: &Field<'_>, room: usize) {
        let before = out.len();
        write_key(out, &field.key, &mut self.cuts);
        match field.value {
            Value::Text(text) => {
                if write_string(out, text) {
                    self.cuts.add(field.key.bytes());
                }
            }
            Value::Int(value) => write_number(out, value),
            Value::Float(value) => write_float(out, value),
            Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Value::Number(text) => out.extend_from_slice(text),
        }
        if out.len() > room {
            out.truncate(before);
            self.cuts.add(field.key.bytes());
        }
    }

    /// Keeps a field that has no column, unless the string that it goes into is full. What the parser has put together of a line
    /// with very many names is taken apart, so that there is one such string.
    #[cold]
    fn overflowing(&mut self, field: &Field<'_>) {
        let mut overflow = std::mem::take(&mut self.overflow);
        let members = match field {
            Field { key: Key::Known(OVERFLOW), value: Value::Text(text) } => {
                serde_json::from_slice::<BTreeMap<String, &RawValue>>(text).ok()
            }
            _ => None,
        };
        match members {
            Some(members) => {
                let fits = members.iter().all(|(name, value)| {
                    let before = overflow.len();
                    write_key(&mut overflow, &Key::Free(name.as_bytes()), &mut Cuts::default());
                    overflow.extend_from_slice(value.get().as_bytes());
                    let fits = overflow.len() <= OVERFLOW_BYTES_MAX;
                    overflow.truncate(if fits { overflow.len() } else { before });
                    fits
                });
                if !fits {
                    self.cuts.add(OVERFLOW.as_bytes());
                }
            }
            None => self.field(&mut overflow, field, OVERFLOW_BYTES_MAX),
        }
        self.overflow = overflow;
    }

    #[cold]
    fn write_overflow(&mut self, out: &mut Vec<u8>, room: usize) {
        let Some(first) = self.overflow.first_mut() else { return };
        *first = b'{';
        self.overflow.push(b'}');
        let mut overflow = std::mem::take(&mut self.overflow);
        let field = Field { key: Key::Known(OVERFLOW), value: Value::Text(&overflow) };
        self.field(out, &field, room);
        overflow.clear();
        self.overflow = overflow;
    }
}

fn time(event: &Event<'_, '_>) -> (Timestamp, Option<&'static str>) {
    match event.record.time {
        Some(time) if time.at > event.received.plus_seconds(AHEAD_S_MAX) => (event.received, Some("clamped")),
        Some(time) => {
            let source = match time.source {
                TimeSource::Log => None,
                TimeSource::Inferred | TimeSource::InferredEnvelope => Some("inferred"),
                TimeSource::Envelope => Some("envelope"),
            };
            (time.at, source)
        }
        None => (event.received, Some("received")),
    }
}

/// The fields that are neither the stream's nor the parser's.
fn write_own(out: &mut Vec<u8>, event: &Event<'_, '_>, time_source: Option<&str>) {
    if let Some(offset) = event.offset {
        out.extend_from_slice(b",\"log.file.offset\":");
        write_number(out, offset);
    }
    if let Some(source) = time_source {
        out.extend_from_slice(b",\"meta.timestamp_source\":\"");
        out.extend_from_slice(source.as_bytes());
        out.push(b'"');
    }
    if let Some(level) = event.record.level {
        out.extend_from_slice(b",\"severity\":\"");
        out.extend_from_slice(level.severity.as_bytes());
        out.extend_from_slice(b"\",\"severity_text\":");
        write_string(out, level.text);
    }
    if event.record.is_error() {
        out.extend_from_slice(b",\"error\":true");
    }
    for (name, is_so) in [
        ("meta.partial", event.partial),
        ("meta.incomplete", event.incomplete),
        ("meta.ambiguous", event.ambiguous),
    ] {
        if is_so {
            write_key(out, &Key::Known(name), &mut Cuts::default());
            out.extend_from_slice(b"true");
        }
    }
}

#[inline]
fn write_key(out: &mut Vec<u8>, key: &Key<'_>, cuts: &mut Cuts) {
    match key {
        Key::Known(name) => {
            out.reserve(name.len() + 4);
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
        }
        Key::Free(name) => {
            out.push(b',');
            if text::write_string_up_to(out, name, NAME_BYTES_MAX) {
                cuts.add(name);
            }
            out.push(b':');
        }
    }
}

/// A float in its shortest form. Most are whole: milliseconds.
#[inline(always)]
fn write_float(out: &mut Vec<u8>, value: f64) {
    const EXACT_MAX: f64 = 1e15;
    if value.trunc() == value && (0.0..EXACT_MAX).contains(&value) && value.is_sign_positive() {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and far from the borders of i64")]
        write_number(out, value as i64);
        out.extend_from_slice(b".0");
    } else {
        write_number(out, value);
    }
}

#[inline]
fn write_number(out: &mut Vec<u8>, value: impl serde::Serialize) {
    // Writing to memory can't fail, and a parser's floats are finite.
    let _ = serde_json::to_writer(out, &value);
}

#[cfg(test)]
mod tests {
    use hivetail_parsers::Time;
    use serde_json::{Value as Json, json};

    use super::*;

    fn encoded(record: &Record<'_>, line_cut: bool) -> Json {
        let mut out = Vec::new();
        let constants = Constants::default();
        let received = Timestamp::from_ns(0);
        let event = Event {
            record,
            constants: &constants,
            offset: None,
            received,
            line_cut,
            partial: false,
            incomplete: false,
            ambiguous: false,
            rate: 1,
            hidden: Hidden::default(),
        };
        Encoder::default().event(&mut out, &event, |_| Place::Column);
        assert_eq!(out.pop(), Some(b','));
        assert!(out.len() <= EVENT_BYTES_MAX);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn values_keep_their_types() {
        let mut record = Record::new();
        record.set("duration_ms", Value::Float(1.0));
        record.set("a", Value::Int(-1));
        record.set_free(b"b\"", Value::Number(b"1.50"));
        record.set("c", Value::Text(b"\xff"));
        let event = encoded(&record, false);
        assert_eq!(
            event["data"].to_string(),
            json!({
                "a": -1, "b\"": 1.5, "c": "\u{fffd}", "duration_ms": 1.0,
                "meta.signal_type": "log", "meta.timestamp_source": "received",
            })
            .to_string()
        );
        assert_eq!((&event["time"], &event["samplerate"]), (&json!("1970-01-01T00:00:00Z"), &json!(1)));
    }

    #[test]
    fn long_strings_and_long_events_are_cut_and_say_so() {
        let long = vec![b'x'; 70_000];
        let mut record = Record::new();
        record.set("body", Value::Text(&long));
        let event = encoded(&record, true);
        assert_eq!(event["data"]["body"].as_str().map(str::len), Some(STRING_BYTES_MAX));
        assert_eq!(event["data"]["meta.truncated"], "body,line");
        let names: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
        for name in &names {
            record.set_free(name.as_bytes(), Value::Text(&long[..65_000]));
        }
        let cut = encoded(&record, false)["data"]["meta.truncated"].as_str().unwrap().to_owned();
        assert!(cut.starts_with("body,k") && cut.ends_with("k19"), "{cut}");
    }

    #[test]
    fn at_most_2_000_fields() {
        let names: Vec<String> = (0..2_500).map(|n| format!("k{n}")).collect();
        let mut record = Record::new();
        for name in &names {
            record.set_free(name.as_bytes(), Value::Bool(true));
        }
        let event = encoded(&record, false);
        let fields = event["data"].as_object().unwrap().len();
        assert!((1_985..=2_000).contains(&fields), "{fields}");
    }

    #[test]
    fn a_time_far_ahead_is_clamped() {
        let mut record = Record::new();
        for (seconds, source) in [(3_600, Json::Null), (3_601, json!("clamped"))] {
            let at = Timestamp::from_ns(0).plus_seconds(seconds);
            record.time = Some(Time { at, source: TimeSource::Log });
            assert_eq!(encoded(&record, false)["data"]["meta.timestamp_source"], source);
        }
    }
}
