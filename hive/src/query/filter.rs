//! Filters: take a filter of a query once, then the value of a column event by event, say whether it matches.
//!
//! The value of a filter is compared as the type of the event's value: people type numbers into forms, where they are
//! texts. An event without the column matches the negations (`!=`, `not-in`, `does-not-…`) and nothing else: an operator
//! and its negation divide the events between them. Honeycomb's query specification does not say what it does there.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::QueryError;
use super::plan::check_column;
use super::request::{Filter, FilterOp, HavingOp};
use super::scalar::{Scalar, Value};
use crate::limits::{FILTER_BYTES_MAX, FILTER_VALUES_MAX};

/// A filter, ready to be applied.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) column: String,
    test: Test,
    /// Whether the test must fail.
    negated: bool,
}

#[derive(Debug)]
enum Test {
    Exists,
    Equal(Operand),
    Less(Operand),
    AtMost(Operand),
    Greater(Operand),
    AtLeast(Operand),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    In(Vec<Operand>),
}

/// A filter's value as each of the types an event's may have.
#[derive(Debug)]
struct Operand {
    number: Option<Value>,
    bool: Option<bool>,
    text: String,
}

impl Operand {
    fn new(value: &Json) -> Result<Operand, QueryError> {
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(_) | Json::Bool(_) => value.to_string(),
            Json::Null => return Err(QueryError("value: there is none".to_owned())),
            Json::Array(_) | Json::Object(_) => {
                return Err(QueryError(format!("value: {value} is not a text, a number or a boolean")));
            }
        };
        if text.len() > FILTER_BYTES_MAX {
            return Err(QueryError(format!("value: it is longer than {FILTER_BYTES_MAX} bytes")));
        }
        Ok(Operand { number: Scalar::parse_number(text.trim()), bool: text.trim().parse().ok(), text })
    }

    /// How the value of an event compares to this: `None` if their types do not.
    fn compare(&self, value: &Scalar<'_>) -> Option<Ordering> {
        match value {
            Scalar::Null => None,
            Scalar::Bool(bool) => self.bool.map(|wanted| bool.cmp(&wanted)),
            Scalar::Int(_) | Scalar::Float(_) => self.number.as_ref().map(|wanted| value.cmp(wanted)),
            Scalar::Text(text) => Some(text.as_bytes().cmp(self.text.as_bytes())),
        }
    }
}

impl Condition {
    pub(super) fn new(filter: &Filter) -> Result<Condition, QueryError> {
        check_column(&filter.column)?;
        let operand = || Operand::new(&filter.value);
        let text = || operand().map(|operand| operand.text);
        let (test, negated) = match filter.op {
            FilterOp::Equal => (Test::Equal(operand()?), false),
            FilterOp::NotEqual => (Test::Equal(operand()?), true),
            FilterOp::Greater => (Test::Greater(operand()?), false),
            FilterOp::GreaterOrEqual => (Test::AtLeast(operand()?), false),
            FilterOp::Less => (Test::Less(operand()?), false),
            FilterOp::LessOrEqual => (Test::AtMost(operand()?), false),
            FilterOp::StartsWith => (Test::StartsWith(text()?), false),
            FilterOp::DoesNotStartWith => (Test::StartsWith(text()?), true),
            FilterOp::EndsWith => (Test::EndsWith(text()?), false),
            FilterOp::DoesNotEndWith => (Test::EndsWith(text()?), true),
            FilterOp::Contains => (Test::Contains(text()?), false),
            FilterOp::DoesNotContain => (Test::Contains(text()?), true),
            FilterOp::Exists => (Test::Exists, false),
            FilterOp::DoesNotExist => (Test::Exists, true),
            FilterOp::In => (Test::In(operands(&filter.value)?), false),
            FilterOp::NotIn => (Test::In(operands(&filter.value)?), true),
        };
        Ok(Condition { column: filter.column.clone(), test, negated })
    }

    pub(super) fn matches(&self, value: &Scalar<'_>) -> bool {
        let holds = match &self.test {
            Test::Exists => *value != Scalar::Null,
            Test::Equal(operand) => operand.compare(value) == Some(Ordering::Equal),
            Test::Less(operand) => operand.compare(value) == Some(Ordering::Less),
            Test::AtMost(operand) => operand.compare(value).is_some_and(Ordering::is_le),
            Test::Greater(operand) => operand.compare(value) == Some(Ordering::Greater),
            Test::AtLeast(operand) => operand.compare(value).is_some_and(Ordering::is_ge),
            Test::StartsWith(part) => text_of(value, |text| text.starts_with(part)),
            Test::EndsWith(part) => text_of(value, |text| text.ends_with(part)),
            Test::Contains(part) => text_of(value, |text| text.contains(part)),
            Test::In(operands) => {
                operands.iter().any(|operand| operand.compare(value) == Some(Ordering::Equal))
            }
        };
        holds != self.negated
    }
}

/// Whether the text of a value holds; that of a number is the number in digits.
fn text_of(value: &Scalar<'_>, holds: impl Fn(&str) -> bool) -> bool {
    match value {
        Scalar::Null => false,
        Scalar::Text(text) => holds(text),
        Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_) => holds(&value.to_string()),
    }
}

/// The values of a list, or of a text with commas, which is how a form has it.
fn operands(value: &Json) -> Result<Vec<Operand>, QueryError> {
    let values: Vec<Operand> = match value {
        Json::Array(values) if values.len() <= FILTER_VALUES_MAX => {
            values.iter().map(Operand::new).collect::<Result<_, _>>()?
        }
        Json::String(text) if text.split(',').count() <= FILTER_VALUES_MAX => {
            text.split(',').map(|part| Operand::new(&part.trim().into())).collect::<Result<_, _>>()?
        }
        Json::Array(_) | Json::String(_) => {
            return Err(QueryError(format!("value: there are more than {FILTER_VALUES_MAX}")));
        }
        _ => vec![Operand::new(value)?],
    };
    if values.is_empty() {
        return Err(QueryError("value: the list is empty".to_owned()));
    }
    Ok(values)
}

impl HavingOp {
    /// Whether a calculated value holds; one that is not there never does.
    pub(super) fn holds(self, value: &Scalar<'_>, wanted: &Scalar<'_>) -> bool {
        value.is_number()
            && match self {
                HavingOp::Equal => value == wanted,
                HavingOp::NotEqual => value != wanted,
                HavingOp::Greater => value > wanted,
                HavingOp::GreaterOrEqual => value >= wanted,
                HavingOp::Less => value < wanted,
                HavingOp::LessOrEqual => value <= wanted,
            }
    }
}
