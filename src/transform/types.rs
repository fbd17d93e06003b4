//! Pinned types: `types = { user_id = "string" }` makes one type of a field that input writes now so, now so.
//!
//! Takes a record, changes the fields that input has named. What can't be read as its type is kept as text, under
//! `field.<name>`.

use std::collections::BTreeMap;

use hivetail_parsers::{Key, Record, Scratch, Value};

use super::value::{number, text};
use crate::config::rule::Datatype;

/// The pinned types of a source's fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Types(BTreeMap<Vec<u8>, Datatype>);

impl Types {
    pub(crate) fn new(types: &BTreeMap<String, Datatype>) -> Self {
        Self(types.iter().map(|(name, datatype)| (name.as_bytes().to_vec(), *datatype)).collect())
    }

    /// Whether any field of a record may have to change.
    pub(crate) fn concern(&self, record: &Record<'_>) -> bool {
        let is_pinned = |key: &Key<'_>| matches!(key, Key::Free(name) if self.0.contains_key(*name));
        !self.0.is_empty() && record.fields().iter().any(|field| is_pinned(&field.key))
    }

    /// Gives the fields their types.
    pub(crate) fn pin<'e>(&self, record: &mut Record<'e>, scratch: &'e Scratch) {
        for field in record.fields_mut() {
            let Key::Free(name) = field.key else { continue };
            let Some(datatype) = self.0.get(name) else { continue };
            match read(field.value, *datatype, scratch) {
                Some(value) => field.value = value,
                None => {
                    field.key = Key::Free(scratch.concat(&[b"field.", name]));
                    field.value = Value::Text(text(field.value, scratch));
                }
            }
        }
    }
}

/// A value as that type.
fn read<'e>(value: Value<'e>, datatype: Datatype, scratch: &'e Scratch) -> Option<Value<'e>> {
    let written = || std::str::from_utf8(text(value, scratch)).ok();
    match datatype {
        Datatype::String => Some(Value::Text(text(value, scratch))),
        Datatype::Int => written()?.trim().parse().ok().map(Value::Int),
        Datatype::Float => number(value).filter(|number| number.is_finite()).map(Value::Float),
        Datatype::Bool => match written()? {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
    }
}
