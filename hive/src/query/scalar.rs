//! Scalars: the value of a column in one event, as a query compares, groups and shows it.
//!
//! Takes numbers as they were written, gives one form to each: a float without a fraction is the integer it equals, so
//! that 1 and 1.0 are one group, and integers keep all their digits. The order is total: null, false, true, numbers by
//! value, texts by bytes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Serialize, Serializer};

/// 2⁶³, the first float beyond all integers.
const INTEGERS_END: f64 = 9_223_372_036_854_775_808.0;

/// The value of a column in an event; `Null` where the event has none.
#[derive(Clone, Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Has a fraction or is beyond the integers: made by [`Scalar::from_float`] only.
    Float(f64),
    Text(Cow<'a, str>),
}

/// A scalar that outlives the events.
pub(crate) type Value = Scalar<'static>;

impl Scalar<'_> {
    /// The scalar of a finite number; there is none for the others.
    pub(crate) fn from_float(float: f64) -> Value {
        if !float.is_finite() {
            Scalar::Null
        } else if float.fract() == 0.0 && (-INTEGERS_END..INTEGERS_END).contains(&float) {
            Scalar::Int(float as i64)
        } else {
            Scalar::Float(float)
        }
    }

    /// Reads a number as JSON writes it: `None` if the text is not one.
    pub(crate) fn parse_number(text: &str) -> Option<Value> {
        if let Ok(integer) = text.parse() {
            return Some(Scalar::Int(integer));
        }
        let float: f64 = text.parse().ok()?;
        // The parser takes "inf" and "NaN", which are words.
        float.is_finite().then(|| Scalar::from_float(float))
    }

    /// The scalar that JSON writes like this; an array or an object is its own text, as in a column.
    pub(crate) fn from_json(json: serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Scalar::Null,
            serde_json::Value::Bool(bool) => Scalar::Bool(bool),
            serde_json::Value::Number(number) => {
                Scalar::parse_number(&number.to_string()).unwrap_or(Scalar::Null)
            }
            serde_json::Value::String(text) => Scalar::Text(Cow::Owned(text)),
            nested => Scalar::Text(Cow::Owned(nested.to_string())),
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Scalar::Int(_) | Scalar::Float(_))
    }

    /// The number as a float, near enough for an axis or a mean.
    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Scalar::Int(integer) => Some(*integer as f64),
            Scalar::Float(float) => Some(*float),
            Scalar::Null | Scalar::Bool(_) | Scalar::Text(_) => None,
        }
    }

    pub(crate) fn into_value(self) -> Value {
        match self {
            Scalar::Null => Scalar::Null,
            Scalar::Bool(bool) => Scalar::Bool(bool),
            Scalar::Int(integer) => Scalar::Int(integer),
            Scalar::Float(float) => Scalar::Float(float),
            Scalar::Text(text) => Scalar::Text(Cow::Owned(text.into_owned())),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Scalar::Null => 0,
            Scalar::Bool(_) => 1,
            Scalar::Int(_) | Scalar::Float(_) => 2,
            Scalar::Text(_) => 3,
        }
    }
}

/// Compares exactly: no integer is rounded to a float on the way.
fn compare(integer: i64, float: f64) -> Ordering {
    if float >= INTEGERS_END {
        Ordering::Less
    } else if float < -INTEGERS_END {
        Ordering::Greater
    } else {
        integer.cmp(&(float as i64)).then(0.0_f64.total_cmp(&float.fract()))
    }
}

impl Ord for Scalar<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Scalar::Bool(left), Scalar::Bool(right)) => left.cmp(right),
            (Scalar::Int(left), Scalar::Int(right)) => left.cmp(right),
            (Scalar::Float(left), Scalar::Float(right)) => left.total_cmp(right),
            (Scalar::Int(left), Scalar::Float(right)) => compare(*left, *right),
            (Scalar::Float(left), Scalar::Int(right)) => compare(*right, *left).reverse(),
            (Scalar::Text(left), Scalar::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar<'_> {}

impl Hash for Scalar<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Scalar::Null => state.write_u8(0),
            Scalar::Bool(bool) => bool.hash(state),
            Scalar::Int(integer) => integer.hash(state),
            Scalar::Float(float) => float.to_bits().hash(state),
            Scalar::Text(text) => text.hash(state),
        }
    }
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Null => Ok(()),
            Scalar::Bool(bool) => bool.fmt(formatter),
            Scalar::Int(integer) => integer.fmt(formatter),
            Scalar::Float(float) => float.fmt(formatter),
            Scalar::Text(text) => formatter.write_str(text),
        }
    }
}

impl Serialize for Scalar<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Scalar::Null => serializer.serialize_unit(),
            Scalar::Bool(bool) => serializer.serialize_bool(*bool),
            Scalar::Int(integer) => serializer.serialize_i64(*integer),
            Scalar::Float(float) => serializer.serialize_f64(*float),
            Scalar::Text(text) => serializer.serialize_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Value {
        Scalar::parse_number(text).unwrap()
    }

    #[test]
    fn numbers_compare_by_value_to_the_last_digit() {
        let ascending = [
            "-1e300",
            "-9223372036854775808",
            "-1.5",
            "-1",
            "-0.5",
            "0",
            "0.5",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551616",
        ];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
            assert!(number(pair[1]) > number(pair[0]), "{pair:?}");
        }
        for (left, right) in [("1", "1.0"), ("0", "-0.0"), ("100", "1e2")] {
            assert_eq!(number(left), number(right));
        }
    }

    #[test]
    fn words_are_no_numbers() {
        for text in ["", "NaN", "inf", "infinity", "1e999", "0x10", "1 "] {
            assert_eq!(Scalar::parse_number(text), None, "{text}");
        }
    }
}
