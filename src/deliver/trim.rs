//! Trimming: an event that has too many fields for the other end → the same with fewer.
//!
//! Takes and gives an event as it is on the wire. The first fields stay, which are those that tell what it is and where it
//! comes from; the names of the others are told in `meta.truncated`, as many as fit. Pure.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// How many fields stay, if there are more than twice as many; otherwise half of them do.
const FIELDS_KEPT_MAX: usize = 1_000;
/// How much of the names is told.
const NAMES_BYTES_MAX: usize = 1_000;
/// Where they are told.
const TRUNCATED: &str = "meta.truncated";

#[derive(Deserialize)]
struct Wire<'e> {
    #[serde(borrow)]
    time: &'e RawValue,
    #[serde(borrow)]
    samplerate: &'e RawValue,
    #[serde(borrow)]
    data: Fields<'e>,
}

/// An object's fields in their order.
struct Fields<'e>(Vec<(Cow<'e, str>, &'e RawValue)>);

impl<'de: 'e, 'e> Deserialize<'de> for Fields<'e> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

/// Whether an event may have been trimmed.
pub(super) fn is_trimmed(event: &[u8]) -> bool {
    memchr::memmem::find(event, b"\"meta.truncated\":").is_some()
}

/// The event with fewer fields; as it is if it is no event.
pub(super) fn event(event: &[u8]) -> Cow<'_, [u8]> {
    let trimmed = serde_json::from_slice::<Wire<'_>>(event).ok().and_then(|wire| written(&wire).ok());
    trimmed.map_or(Cow::Borrowed(event), Cow::Owned)
}

fn written(wire: &Wire<'_>) -> serde_json::Result<Vec<u8>> {
    let Fields(fields) = &wire.data;
    let (kept, left) = fields.split_at(FIELDS_KEPT_MAX.min(fields.len() / 2));
    let mut names = String::new();
    let known = fields.iter().find(|(name, _)| name == TRUNCATED);
    if let Some(known) = known.and_then(|(_, value)| serde_json::from_str::<String>(value.get()).ok()) {
        names = known;
    }
    for (name, _) in left.iter().filter(|(name, _)| name != TRUNCATED) {
        if names.len() + name.len() + 1 > NAMES_BYTES_MAX {
            break;
        }
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(name);
    }
    let mut out =
        format!("{{\"time\":{},\"samplerate\":{},\"data\":{{", wire.time, wire.samplerate).into_bytes();
    for (name, value) in kept.iter().filter(|(name, _)| name != TRUNCATED) {
        serde_json::to_writer(&mut out, name)?;
        out.extend_from_slice(b":");
        out.extend_from_slice(value.get().as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(format!("\"{TRUNCATED}\":").as_bytes());
    serde_json::to_writer(&mut out, &names)?;
    out.extend_from_slice(b"}}");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(fields: usize) -> Vec<u8> {
        let fields: Vec<String> = (0..fields).map(|n| format!("\"f{n}\":1.50e2")).collect();
        format!("{{\"time\":\"t\",\"samplerate\":1,\"data\":{{{}}}}}", fields.join(",")).into_bytes()
    }

    #[test]
    fn the_first_fields_stay_as_they_are_and_the_others_are_named() {
        let trimmed = String::from_utf8(event(&wire(4)).into_owned()).unwrap();
        let expected =
            r#"{"time":"t","samplerate":1,"data":{"f0":1.50e2,"f1":1.50e2,"meta.truncated":"f2,f3"}}"#;
        assert_eq!(trimmed, expected);
        let again = String::from_utf8(event(trimmed.as_bytes()).into_owned()).unwrap();
        assert_eq!(again, r#"{"time":"t","samplerate":1,"data":{"f0":1.50e2,"meta.truncated":"f2,f3,f1"}}"#);
        let wide = wire(5_000);
        let wide = event(&wide);
        let value: serde_json::Value = serde_json::from_slice(&wide).unwrap();
        assert_eq!(value["data"].as_object().unwrap().len(), FIELDS_KEPT_MAX + 1);
        assert!(value["data"][TRUNCATED].as_str().unwrap().len() <= NAMES_BYTES_MAX);
    }

    #[test]
    fn what_is_no_event_stays_as_it_is() {
        assert_eq!(event(b"[1]"), Cow::Borrowed(b"[1]"));
    }
}
