//! Fields that are the same for all events of a stream: encoded once, and written into each event as they are, but for those
//! that a rule has changed in it.

use hivetail_parsers::{Key, Value};

use super::{Cuts, write_key, write_number, write_string};
use crate::dataset::Destination;

/// Fields that are the same for all events of a stream, encoded once.
#[derive(Clone, Debug, Default)]
pub struct Constants {
    json: Vec<u8>,
    fields: Vec<Constant>,
    /// Where the stream's events go, if they decide that.
    pub destination: Option<Destination>,
}

#[derive(Clone, Debug)]
struct Constant {
    name: String,
    value: ConstantValue,
    /// Where it ends in the JSON of all of them.
    end: usize,
}

#[derive(Clone, Debug)]
enum ConstantValue {
    Text(String),
    Int(i64),
}

/// Constants that an event does not have, since a rule has changed them: the bits of their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hidden(u128);

impl Constants {
    /// Adds a text field, unless it is empty.
    pub fn push(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.push_value(name, ConstantValue::Text(text.to_owned()));
        }
    }

    /// Adds a whole number.
    pub fn push_int(&mut self, name: &str, value: i64) {
        self.push_value(name, ConstantValue::Int(value));
    }

    fn push_value(&mut self, name: &str, value: ConstantValue) {
        write_key(&mut self.json, &Key::Free(name.as_bytes()), &mut Cuts::default());
        match &value {
            ConstantValue::Text(text) => drop(write_string(&mut self.json, text.as_bytes())),
            ConstantValue::Int(value) => write_number(&mut self.json, value),
        }
        self.fields.push(Constant { name: name.to_owned(), value, end: self.json.len() });
    }

    /// Their names and values, by their numbers.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.fields.iter().map(|field| (field.name.as_str(), field.value.as_value()))
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, hidden: Hidden) {
        if hidden == Hidden::default() {
            return out.extend_from_slice(&self.json);
        }
        let mut start = 0;
        for (index, field) in self.fields.iter().enumerate() {
            if !hidden.has(index) {
                out.extend_from_slice(&self.json[start..field.end]);
            }
            start = field.end;
        }
    }
}

impl ConstantValue {
    const fn as_value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text.as_bytes()),
            Self::Int(value) => Value::Int(*value),
        }
    }
}

impl Hidden {
    /// Hides one. There are hardly more than a hundred; those beyond the bits stay.
    pub const fn hide(&mut self, index: usize) {
        if index < u128::BITS as usize {
            self.0 |= 1 << index;
        }
    }

    pub(super) const fn has(self, index: usize) -> bool {
        index < u128::BITS as usize && self.0 & (1 << index) != 0
    }
}
