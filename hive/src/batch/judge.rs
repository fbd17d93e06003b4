//! Judging a batch: takes its decompressed text, gives one verdict per event in the order of the events.
//!
//! An event is `{"time": …, "samplerate": …, "data": {…}}`, of which only `data` is required. Text that is not
//! a JSON array of at least one element refuses the whole request; everything inside an element concerns that
//! element alone. The `data` of an accepted event is known to parse, so it can be kept as text.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::reply::Status;
use crate::event_time::EventTime;
use crate::limits::{EVENT_BYTES_MAX, FIELDS_MAX, STRING_BYTES_MAX};
use crate::refusal::Refusal;

/// An event to store. Its `data` is a non-empty JSON object.
#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    pub(crate) data: &'a RawValue,
    pub(crate) time: EventTime,
    /// How many events this one stands for, at least 1.
    pub(crate) samplerate: u64,
    /// Values longer than Honeycomb keeps.
    pub(crate) strings_overlong: u64,
}

/// Judges the events of a batch received at `received_at`.
pub(crate) fn judge(
    text: &[u8],
    received_at: Timestamp,
) -> Result<Vec<Result<Accepted<'_>, Status>>, Refusal> {
    if text.trim_ascii().is_empty() {
        return Err(Refusal::body_empty());
    }
    let events: Vec<&RawValue> = serde_json::from_slice(text).map_err(|_| Refusal::body_malformed())?;
    if events.is_empty() {
        return Err(Refusal::body_empty());
    }
    Ok(events.into_iter().map(|event| judge_event(event, received_at)).collect())
}

/// Counts the events of a batch without looking at them; refuses what [`judge`] refuses as a whole.
pub(crate) fn count(text: &[u8]) -> Result<usize, Refusal> {
    if text.trim_ascii().is_empty() {
        return Err(Refusal::body_empty());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let counted = deserializer.deserialize_seq(ElementCount);
    match counted.and_then(|count| deserializer.end().map(|()| count)) {
        Ok(0) => Err(Refusal::body_empty()),
        Ok(count) => Ok(count),
        Err(_) => Err(Refusal::body_malformed()),
    }
}

fn judge_event(event: &RawValue, received_at: Timestamp) -> Result<Accepted<'_>, Status> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        time: Option<&'a RawValue>,
        samplerate: Option<u64>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }

    if event.get().len() > EVENT_BYTES_MAX {
        return Err(Status::TOO_LARGE);
    }
    // The derived reader would take an array of the three values as well.
    if !event.get().starts_with('{') {
        return Err(Status::MALFORMED);
    }
    let envelope: Envelope<'_> = serde_json::from_str(event.get()).map_err(|_| Status::MALFORMED)?;
    let data = envelope.data.ok_or(Status::EMPTY)?;
    let time = EventTime::read(envelope.time, received_at);
    judge_data(data, time, envelope.samplerate.unwrap_or(1))
}

/// Judges an event that came alone: its data, and what its headers say.
pub(crate) fn judge_single<'a>(
    text: &'a [u8],
    time: Option<&str>,
    samplerate: u64,
    received_at: Timestamp,
) -> Result<Accepted<'a>, Refusal> {
    if text.trim_ascii().is_empty() {
        return Err(Refusal::body_empty());
    }
    if text.len() > EVENT_BYTES_MAX {
        return Err(Refusal::body_too_large());
    }
    let data: &RawValue = serde_json::from_slice(text).map_err(|_| Refusal::body_malformed())?;
    judge_data(data, EventTime::read_text(time, received_at), samplerate).map_err(Refusal::from)
}

fn judge_data(data: &RawValue, time: EventTime, samplerate: u64) -> Result<Accepted<'_>, Status> {
    let fields: Map<String, Value> = serde_json::from_str(data.get()).map_err(|_| Status::MALFORMED)?;
    if fields.is_empty() {
        return Err(Status::EMPTY);
    }
    if fields.len() > FIELDS_MAX {
        return Err(Status::TOO_MANY_COLUMNS);
    }
    Ok(Accepted {
        data,
        time,
        samplerate: samplerate.max(1),
        strings_overlong: count_overlong(data, &fields),
    })
}

/// Counts the values that Honeycomb would cut: strings, and nested values, which it stores as strings.
fn count_overlong(data: &RawValue, fields: &Map<String, Value>) -> u64 {
    // No value is longer than the text it stands in, escapes only shorten it: most events end here.
    if data.get().len() <= STRING_BYTES_MAX {
        return 0;
    }
    let stored_bytes = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::Array(_) | Value::Object(_) => value.to_string().len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    fields.values().filter(|value| stored_bytes(value) > STRING_BYTES_MAX).count() as u64
}

struct ElementCount;

impl<'de> Visitor<'de> for ElementCount {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while events.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status of each event of a batch, as it would be answered.
    fn statuses(text: &str) -> Vec<Status> {
        let verdicts = judge(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        verdicts.into_iter().map(|verdict| verdict.err().unwrap_or(Status::ACCEPTED)).collect()
    }

    fn status(event: &str) -> Status {
        statuses(&format!("[{event}]"))[0]
    }

    fn fields(count: usize) -> String {
        let fields: Vec<_> = (0..count).map(|n| format!(r#""f{n}":{n}"#)).collect();
        format!(r#"{{"data":{{{}}}}}"#, fields.join(","))
    }

    #[test]
    fn whole_batches_are_refused_the_same_way_judged_or_counted() {
        let cases: [(&[u8], Refusal); 9] = [
            (b"", Refusal::body_empty()),
            (b" \n", Refusal::body_empty()),
            (b"[]", Refusal::body_empty()),
            (b"[{}", Refusal::body_malformed()),
            (b"[{}] []", Refusal::body_malformed()),
            (b"{\"data\":{}}", Refusal::body_malformed()),
            (b"null", Refusal::body_malformed()),
            (b"hello", Refusal::body_malformed()),
            (b"\x91\x81\xa4data\x80", Refusal::body_malformed()),
        ];
        for (text, refusal) in cases {
            assert_eq!(judge(text, Timestamp::UNIX_EPOCH).unwrap_err(), refusal, "{}", text.escape_ascii());
            assert_eq!(count(text).unwrap_err(), refusal, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn each_event_is_judged_alone_and_in_order() {
        let text = r#"[{"data":{"a":1}}, {"data":{}}, 7, {"data":[1]}, {"time":1}, {"data":null}, {"data":{"b":null}}]"#;
        assert_eq!(
            statuses(text),
            [
                Status::ACCEPTED,
                Status::EMPTY,
                Status::MALFORMED,
                Status::MALFORMED,
                Status::EMPTY,
                Status::EMPTY,
                Status::ACCEPTED,
            ]
        );
        assert_eq!(count(text.as_bytes()).unwrap(), 7);
    }

    #[test]
    fn an_envelope_must_be_an_object_with_a_whole_samplerate() {
        for event in [
            r#"[null, 1, {"a":1}]"#,
            r#"{"samplerate":-1,"data":{"a":1}}"#,
            r#"{"samplerate":1.5,"data":{"a":1}}"#,
            r#"{"samplerate":"2","data":{"a":1}}"#,
        ] {
            assert_eq!(status(event), Status::MALFORMED, "{event}");
        }
    }

    #[test]
    fn data_that_could_not_be_shown_again_is_malformed() {
        let deep = format!(r#"{{"data":{{"a":{}{}}}}}"#, "[".repeat(500), "]".repeat(500));
        for event in [r#"{"data":{"a":1e999}}"#, r#"{"data":{"a":"\ud800"}}"#, &deep] {
            assert_eq!(status(event), Status::MALFORMED, "{event}");
        }
    }

    #[test]
    fn two_thousand_fields_fit() {
        assert_eq!(status(&fields(FIELDS_MAX)), Status::ACCEPTED);
        assert_eq!(status(&fields(FIELDS_MAX + 1)), Status::TOO_MANY_COLUMNS);
    }

    #[test]
    fn a_million_bytes_fit() {
        let event = |bytes: usize| {
            let frame = r#"{"data":{"a":""}}"#;
            format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(bytes - frame.len()))
        };
        assert_eq!(event(EVENT_BYTES_MAX).len(), EVENT_BYTES_MAX);
        assert_eq!(status(&event(EVENT_BYTES_MAX)), Status::ACCEPTED);
        assert_eq!(status(&event(EVENT_BYTES_MAX + 1)), Status::TOO_LARGE);
    }

    #[test]
    fn overlong_values_are_counted_and_accepted() {
        let long = "x".repeat(STRING_BYTES_MAX);
        let escaped = r"\u00e9".repeat(STRING_BYTES_MAX / 2);
        let text =
            format!(r#"[{{"data":{{"a":"{long}x","b":"{long}","c":["{long}"],"d":"{escaped}","e":1}}}}]"#);
        let verdicts = judge(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(verdicts[0].as_ref().unwrap().strings_overlong, 2, "a and c");
    }

    #[test]
    fn a_missing_or_zero_samplerate_is_one() {
        for (event, samplerate) in [
            (r#"{"data":{"a":1}}"#, 1),
            (r#"{"samplerate":null,"data":{"a":1}}"#, 1),
            (r#"{"samplerate":0,"data":{"a":1}}"#, 1),
            (r#"{"samplerate":20,"data":{"a":1}}"#, 20),
        ] {
            let text = format!("[{event}]");
            let verdicts = judge(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(verdicts[0].as_ref().unwrap().samplerate, samplerate, "{event}");
        }
    }
}
