//! Conditions: whether a field of an event compares with a value as an operator says.
//!
//! The vocabulary and its meaning are those of Refinery's rules (its `rules.md`): a field that is not there meets nothing but
//! `not-exists`, and so does a value that can't be read as the condition's datatype. Unlike there, without a `datatype` the
//! field is read as what the condition's own value is.
//!
//! Invariant: compiled once; asking allocates nothing and takes time linear in the field's length.

use hivetail_parsers::{Scratch, Value};
use memchr::memmem::Finder;
use regex::bytes::Regex;

use super::{
    pattern,
    value::{number, text},
};
use crate::{
    config::rule::{Condition as Written, Datatype, Literal, Operand, OperatorName},
    encode::Event,
};

/// A condition, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    fields: Vec<String>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Exists,
    NotExists,
    Compared(Comparison, Scalar),
    StartsWith(Vec<u8>),
    Contains { text: Box<Finder<'static>>, is_wanted: bool },
    Matches(Box<Regex>),
    In { list: Vec<Scalar>, is_wanted: bool },
}

/// What a field is compared with, and as what.
#[derive(Clone, Debug, PartialEq)]
enum Scalar {
    Text(Vec<u8>),
    /// A number, of whatever kind.
    Int(i64),
    /// A whole number, as `datatype` asks for: floats lose what is behind the point, as in Refinery.
    Whole(i64),
    Float(f64),
    Bool(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            "=" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Condition {
    /// Compiles a condition as written.
    ///
    /// # Errors
    /// What is wrong, with the field and the operator.
    pub(crate) fn compile(written: &Written) -> Result<Self, String> {
        let fields: Vec<String> = written.field.iter().chain(&written.fields).cloned().collect();
        let operator = written.operator.0.as_str();
        let place = || format!("field `{}`, operator `{operator}`", fields.join("`, `"));
        if written.field.is_some() != written.fields.is_empty() {
            return Err(format!("operator `{operator}`: it needs either `field` or `fields`"));
        }
        if let Some(field) = fields
            .iter()
            .find(|field| field.is_empty() || field.starts_with("root.") || field.starts_with("?."))
        {
            return Err(format!("{}: `{field}` is no field of an event: there are no traces here", place()));
        }
        let test = test(operator, written).map_err(|wrong| format!("{}: {wrong}", place()))?;
        Ok(Self { fields, test })
    }

    /// Whether an event meets it.
    pub(crate) fn holds(&self, event: &Event<'_, '_>, scratch: &Scratch) -> bool {
        let value = self.fields.iter().find_map(|field| event.get(field));
        match (value, &self.test) {
            (value, Test::Exists) => value.is_some(),
            (value, Test::NotExists) => value.is_none(),
            (None, _) => false,
            (Some(value), Test::Compared(comparison, with)) => {
                order(value, with, scratch).is_some_and(|order| comparison.holds(order))
            }
            (Some(value), Test::StartsWith(prefix)) => text(value, scratch).starts_with(prefix),
            (Some(value), Test::Contains { text: part, is_wanted }) => {
                part.find(text(value, scratch)).is_some() == *is_wanted
            }
            (Some(value), Test::Matches(regex)) => regex.is_match(text(value, scratch)),
            (Some(value), Test::In { list, is_wanted }) => {
                let mut readable = false;
                let found = list.iter().any(|item| {
                    let order = order(value, item, scratch);
                    readable |= order.is_some();
                    order.is_some_and(std::cmp::Ordering::is_eq)
                });
                readable && found == *is_wanted
            }
        }
    }
}

/// How a field's value compares, read as what it is compared with.
fn order(value: Value<'_>, with: &Scalar, scratch: &Scratch) -> Option<std::cmp::Ordering> {
    match (value, with) {
        (Value::Int(value), Scalar::Int(with)) => Some(value.cmp(with)),
        (value, Scalar::Whole(with)) => Some(whole(value)?.cmp(with)),
        #[expect(clippy::cast_precision_loss, reason = "it is compared with a float")]
        (value, Scalar::Int(with)) => number(value)?.partial_cmp(&(*with as f64)),
        (value, Scalar::Float(with)) => number(value)?.partial_cmp(with),
        (value, Scalar::Text(with)) => Some(text(value, scratch).cmp(with)),
        (Value::Bool(value), Scalar::Bool(with)) => Some(value.cmp(with)),
        (value, Scalar::Bool(with)) => match text(value, scratch) {
            // As Go's `ParseBool`, by which Refinery reads them.
            b"1" | b"t" | b"T" | b"true" | b"True" | b"TRUE" => Some(true.cmp(with)),
            b"0" | b"f" | b"F" | b"false" | b"False" | b"FALSE" => Some(false.cmp(with)),
            _ => None,
        },
    }
}

/// A value as a whole number.
fn whole(value: Value<'_>) -> Option<i64> {
    let of_text = |text| std::str::from_utf8(text).ok();
    match value {
        Value::Int(value) => Some(value),
        #[expect(clippy::cast_possible_truncation, reason = "what is behind the point is left out")]
        Value::Float(value) => Some(value as i64),
        Value::Text(text) => of_text(text)?.parse().ok(),
        #[expect(clippy::cast_possible_truncation, reason = "what is behind the point is left out")]
        Value::Number(text) => {
            let text = of_text(text)?;
            text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|value| value as i64))
        }
        Value::Bool(_) => None,
    }
}

fn test(operator: &str, written: &Written) -> Result<Test, String> {
    if matches!(operator, "exists" | "not-exists") {
        if written.value.is_some() {
            return Err("it needs no `value`".to_owned());
        }
        return Ok(if operator == "exists" { Test::Exists } else { Test::NotExists });
    }
    if operator == "has-root-span" {
        return Err("there are no traces here: each event stands for itself".to_owned());
    }
    if !OperatorName::ALL.contains(&operator) {
        return Err(format!("no such operator; allowed: {}", OperatorName::ALL.join(", ")));
    }
    let operand = written.value.as_ref().ok_or("it needs a `value`")?;
    if matches!(operator, "in" | "not-in") {
        let Operand::Many(items) = operand else { return Err("`value` has to be a list".to_owned()) };
        if items.is_empty() {
            return Err("`value` is an empty list".to_owned());
        }
        let list = items.iter().map(|item| scalar(item, written.datatype)).collect::<Result<_, _>>()?;
        return Ok(Test::In { list, is_wanted: operator == "in" });
    }
    let Operand::One(literal) = operand else {
        return Err("`value` is a list, which `in` and `not-in` take".to_owned());
    };
    if let Some(comparison) = Comparison::of(operator) {
        let with = scalar(literal, written.datatype)?;
        let is_ordering = !matches!(comparison, Comparison::Equal | Comparison::Unequal);
        if is_ordering && matches!(with, Scalar::Bool(_)) {
            return Err("true and false have no order".to_owned());
        }
        return Ok(Test::Compared(comparison, with));
    }
    if written.datatype.is_some_and(|datatype| datatype != Datatype::String) {
        return Err("it compares text: `datatype` can only be string".to_owned());
    }
    let Scalar::Text(part) = scalar(literal, Some(Datatype::String))? else {
        return Err("`value` has to be text".to_owned());
    };
    Ok(match operator {
        "starts-with" => Test::StartsWith(part),
        "matches" => {
            let part = String::from_utf8(part).unwrap_or_default();
            Test::Matches(Box::new(pattern::compile(&part)?))
        }
        _ => Test::Contains {
            text: Box::new(Finder::new(&part).into_owned()),
            is_wanted: operator == "contains",
        },
    })
}

/// A value as what it is to be compared as.
fn scalar(literal: &Literal, datatype: Option<Datatype>) -> Result<Scalar, String> {
    let shown = match literal {
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::Float(value) => value.to_string(),
        Literal::Text(value) => value.clone(),
    };
    let own = match literal {
        Literal::Bool(_) => Datatype::Bool,
        Literal::Int(_) => Datatype::Int,
        Literal::Float(_) => Datatype::Float,
        Literal::Text(_) => Datatype::String,
    };
    let wrong = |wanted: &str| format!("`{shown}` is no {wanted}, which `datatype` asks for");
    Ok(match datatype.unwrap_or(own) {
        Datatype::String => Scalar::Text(shown.into_bytes()),
        Datatype::Int if datatype.is_none() => Scalar::Int(shown.parse().map_err(|_| wrong("whole number"))?),
        Datatype::Int => Scalar::Whole(shown.parse().map_err(|_| wrong("whole number"))?),
        Datatype::Float => {
            let value: f64 = shown.parse().map_err(|_| wrong("number"))?;
            Scalar::Float(Some(value).filter(|value| value.is_finite()).ok_or_else(|| wrong("number"))?)
        }
        Datatype::Bool => Scalar::Bool(shown.parse().map_err(|_| wrong("true or false"))?),
    })
}

#[cfg(test)]
mod tests {
    use hivetail_parsers::{Record, Timestamp};

    use super::*;
    use crate::encode::{Constants, Hidden};

    /// A condition of one field, as it would be written.
    fn written(text: &str) -> Written {
        toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn holds(text: &str) -> bool {
        let (mut record, mut constants) = (Record::new(), Constants::default());
        record.set("status", Value::Int(503));
        record.set("ms", Value::Float(12.5));
        record.set("path", Value::text("/Podcast/600"));
        record.set("code", Value::text("042"));
        record.set("big", Value::Number(b"1e3"));
        record.set("ok", Value::Bool(true));
        record.set("nothing", Value::text(""));
        record.error = true;
        constants.push("service.name", "web");
        constants.push_int("restarts", 3);
        let event = Event {
            record: &record,
            constants: &constants,
            offset: None,
            received: Timestamp::from_ns(0),
            line_cut: false,
            partial: false,
            incomplete: true,
            ambiguous: false,
            rate: 1,
            hidden: Hidden::default(),
        };
        Condition::compile(&written(text)).unwrap().holds(&event, &Scratch::new())
    }

    #[test]
    fn operators_compare_as_refinery_says() {
        for (text, expected) in [
            ("field = 'status'\noperator = '='\nvalue = 503", true),
            ("field = 'status'\noperator = '='\nvalue = '503'", true),
            ("field = 'status'\noperator = '!='\nvalue = 503", false),
            ("field = 'status'\noperator = '>='\nvalue = 500\ndatatype = 'int'", true),
            ("field = 'status'\noperator = '>='\nvalue = '500'\ndatatype = 'int'", true),
            ("field = 'status'\noperator = '<'\nvalue = 503.5", true),
            // As text nine is more than five.
            ("field = 'status'\noperator = '<'\nvalue = '9'", true),
            ("field = 'ms'\noperator = '>'\nvalue = 12", true),
            ("field = 'ms'\noperator = '='\nvalue = '12.5'", true),
            ("field = 'code'\noperator = '='\nvalue = 42", true),
            ("field = 'code'\noperator = '='\nvalue = 42\ndatatype = 'string'", false),
            ("field = 'ms'\noperator = '='\nvalue = 12\ndatatype = 'int'", true),
            ("field = 'big'\noperator = '>='\nvalue = 1000\ndatatype = 'int'", true),
            ("field = 'path'\noperator = '='\nvalue = 42", false),
            ("field = 'path'\noperator = '!='\nvalue = 42", false),
            ("field = 'big'\noperator = '='\nvalue = 1000.0", true),
            ("field = 'ok'\noperator = '='\nvalue = true", true),
            ("field = 'ok'\noperator = '='\nvalue = 'true'", true),
            ("field = 'ok'\noperator = '='\nvalue = 'false'\ndatatype = 'bool'", false),
            ("field = 'path'\noperator = 'starts-with'\nvalue = '/Pod'", true),
            ("field = 'path'\noperator = 'starts-with'\nvalue = '/pod'", false),
            ("field = 'status'\noperator = 'starts-with'\nvalue = 5", true),
            ("field = 'path'\noperator = 'contains'\nvalue = 'cast/6'", true),
            ("field = 'path'\noperator = 'does-not-contain'\nvalue = 'x'", true),
            ("field = 'absent'\noperator = 'does-not-contain'\nvalue = 'x'", false),
            ("field = 'absent'\noperator = '!='\nvalue = 'x'", false),
            ("field = 'absent'\noperator = 'exists'", false),
            ("field = 'absent'\noperator = 'not-exists'", true),
            ("field = 'nothing'\noperator = 'exists'", true),
            ("field = 'path'\noperator = 'matches'\nvalue = '^/(?i)PODCAST/\\d+$'", true),
            ("field = 'status'\noperator = 'matches'\nvalue = '^5'", true),
            ("field = 'status'\noperator = 'in'\nvalue = [500, 503]", true),
            ("field = 'status'\noperator = 'not-in'\nvalue = [500, 502]", true),
            ("field = 'path'\noperator = 'not-in'\nvalue = [500, 502]", false),
            ("field = 'status'\noperator = 'in'\nvalue = ['500', '503']\ndatatype = 'int'", true),
            ("fields = ['absent', 'status']\noperator = '='\nvalue = 503", true),
            ("fields = ['path', 'status']\noperator = '='\nvalue = 503", false),
            ("field = 'error'\noperator = '='\nvalue = true", true),
            ("field = 'meta.incomplete'\noperator = 'exists'", true),
            ("field = 'meta.partial'\noperator = 'exists'", false),
            ("field = 'service.name'\noperator = '='\nvalue = 'web'", true),
            ("field = 'restarts'\noperator = '<'\nvalue = 4", true),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_field_and_operator() {
        for (text, error) in [
            (
                "field = 'a'\noperator = '~'\nvalue = 1",
                "field `a`, operator `~`: no such operator; allowed: =, !=,",
            ),
            ("operator = '='\nvalue = 1", "operator `=`: it needs either `field` or `fields`"),
            ("field = 'a'\nfields = ['b']\noperator = 'exists'", "it needs either `field` or `fields`"),
            ("field = 'a'\noperator = '='", "field `a`, operator `=`: it needs a `value`"),
            ("field = 'a'\noperator = 'exists'\nvalue = 1", "it needs no `value`"),
            ("field = 'a'\noperator = 'in'\nvalue = 1", "`value` has to be a list"),
            ("field = 'a'\noperator = 'in'\nvalue = []", "`value` is an empty list"),
            ("field = 'a'\noperator = '='\nvalue = [1]", "`value` is a list, which `in` and `not-in` take"),
            ("field = 'a'\noperator = '='\nvalue = 'x'\ndatatype = 'int'", "`x` is no whole number, which"),
            ("field = 'a'\noperator = '<'\nvalue = true", "true and false have no order"),
            ("field = 'a'\noperator = 'matches'\nvalue = '('", "no regular expression: unclosed group"),
            ("field = 'a'\noperator = 'matches'\nvalue = '(\\d{100}){100}{100}'", "no regular expression: "),
            (
                "field = 'a'\noperator = 'contains'\nvalue = 'x'\ndatatype = 'int'",
                "`datatype` can only be string",
            ),
            ("field = 'root.a'\noperator = 'exists'", "there are no traces here"),
            ("field = 'a'\noperator = 'has-root-span'\nvalue = true", "there are no traces here"),
        ] {
            let said = Condition::compile(&written(text)).unwrap_err();
            assert!(said.contains(error), "{text}\n{said}");
        }
    }
}
