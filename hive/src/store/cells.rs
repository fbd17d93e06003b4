//! Cells: takes the JSON text of an event, gives for each field a tag and 64 bits from which a query reads its value.
//!
//! A number stands in the bits itself; a text stands there as its place inside the event's own JSON, so nothing is
//! copied. Offsets fit because no event is longer than `EVENT_BYTES_MAX`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::query::Scalar;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No value: what an event without the field reads as, too.
    Null,
    Bool,
    Int,
    Float,
    /// A text that is written as it reads.
    Text,
    /// A text with escapes in it, quotes included.
    Escaped,
    /// An array or an object, which reads as its JSON.
    Nested,
}

/// A value of an event, readable beside the event's text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    pub(crate) bits: u64,
}

impl Cell {
    pub(crate) const NULL: Cell = Cell { kind: Kind::Null, bits: 0 };

    /// The cell of `value`, which is a part of `text`.
    fn new(value: &str, text: &str) -> Cell {
        let start = value.as_ptr().addr() - text.as_ptr().addr();
        let place = |start: usize, len: usize| ((start as u64) << 32) | len as u64;
        let (kind, bits) = match value.as_bytes() {
            [b'n', ..] | [] => return Cell::NULL,
            [b't' | b'f', ..] => (Kind::Bool, u64::from(value == "true")),
            [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
                (Kind::Text, place(start + 1, inner.len()))
            }
            [b'"', ..] => (Kind::Escaped, place(start, value.len())),
            [b'[' | b'{', ..] => (Kind::Nested, place(start, value.len())),
            _ => match value.parse::<i64>() {
                Ok(integer) => (Kind::Int, integer.cast_unsigned()),
                // Only JSON that parses is stored, so this is a number, and one with a value.
                Err(_) => (Kind::Float, value.parse::<f64>().unwrap_or_default().to_bits()),
            },
        };
        Cell { kind, bits }
    }

    /// The value, whose event has this JSON text.
    pub(crate) fn read(self, text: &str) -> Scalar<'_> {
        match self.kind {
            Kind::Null => Scalar::Null,
            Kind::Bool => Scalar::Bool(self.bits == 1),
            Kind::Int => Scalar::Int(self.bits.cast_signed()),
            Kind::Float => Scalar::from_float(f64::from_bits(self.bits)),
            Kind::Text | Kind::Nested => Scalar::Text(Cow::Borrowed(self.slice(text))),
            Kind::Escaped => {
                // Only JSON that parses is stored, so the default is out of reach.
                Scalar::Text(Cow::Owned(serde_json::from_str(self.slice(text)).unwrap_or_default()))
            }
        }
    }

    fn slice(self, text: &str) -> &str {
        let (start, len) = ((self.bits >> 32) as usize, (self.bits & u64::from(u32::MAX)) as usize);
        text.get(start..start + len).unwrap_or_default()
    }
}

/// Hands the fields of a JSON object to `take`, in the order they are written, repeated names included.
pub(crate) fn split(text: &str, take: impl FnMut(&str, Cell)) {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // Only JSON objects are stored; of anything else there is no field to hand over.
    deserializer.deserialize_map(Fields { text, take }).ok();
}

struct Fields<'t, F> {
    text: &'t str,
    take: F,
}

impl<'de, F: FnMut(&str, Cell)> Visitor<'de> for Fields<'de, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the fields of an event")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        while let Some((Name(name), value)) = fields.next_entry::<Name<'de>, &'de RawValue>()? {
            (self.take)(&name, Cell::new(value.get(), self.text));
        }
        Ok(())
    }
}

/// A field's name, borrowed unless it is written with escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct Borrowing;

        impl<'de> Visitor<'de> for Borrowing {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrowing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_reads_as_it_was_written() {
        let text = r#" {"i": -7, "f":1.5 , "one":1.0,"t":"ü x","e\n":"a\"b\u00e9","b":true,"n":null,
            "o":{"a": [1]}, "l":[], "u":18446744073709551615, "i":8, "p":9007199254740993}"#;
        let mut fields = Vec::new();
        split(text, |name, cell| fields.push((name.to_owned(), cell.read(text).into_value())));
        let text = |text: &str| Scalar::Text(Cow::Owned(text.to_owned()));
        let expected = [
            ("i", Scalar::Int(-7)),
            ("f", Scalar::Float(1.5)),
            ("one", Scalar::Int(1)),
            ("t", text("ü x")),
            ("e\n", text("a\"bé")),
            ("b", Scalar::Bool(true)),
            ("n", Scalar::Null),
            ("o", text(r#"{"a": [1]}"#)),
            ("l", text("[]")),
            ("u", Scalar::Float(18_446_744_073_709_551_615.0)),
            ("i", Scalar::Int(8)),
            ("p", Scalar::Int(9_007_199_254_740_993)),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
