//! Fields that the input names: which names are the input's to set, and what becomes of the others.
//!
//! Takes a name and a value, sets the field under that name, or as `field.<name>` where the name is ours: `meta.*`
//! and `log.*`, what configuration or the envelope set, what events have from elsewhere, and a contract name with
//! a value of another type. A contract name is never set to empty text or a
//! dash: its field is absent then.

use crate::{
    Context,
    names::{self, Type},
    record::{Record, Scratch, Value},
};

/// How many fields a line may have of its own (Honeycomb takes 2,000 an event).
pub(crate) const FIELDS_MAX: usize = 1_900;

/// Sets the field. `first` is how many fields the envelope had set before.
pub(crate) fn set<'a>(
    name: &'a [u8],
    value: Value<'a>,
    first: usize,
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) {
    let envelope = record.fields()[..first].iter().any(|field| field.key.bytes() == name);
    let taken = envelope || is_filled_otherwise(name) || is_reserved(name, context);
    match contract(name, value).filter(|_| !taken) {
        Some(Value::Text(b"" | b"-")) if names::type_of(name).is_some() => {}
        Some(value) => record.set_free(name, value),
        None => record.set_free(scratch.concat(&[b"field.", name]), value),
    }
}

/// Whether a name is configuration's, or the agent's own.
pub(crate) fn is_reserved(name: &[u8], context: &Context<'_>) -> bool {
    context.reserved.iter().any(|reserved| reserved.as_bytes() == name) || names::is_reserved(name)
}

/// Names that events have from elsewhere (a trace's from real ids only), or that other names are moved to; and a name
/// has to be one.
fn is_filled_otherwise(name: &[u8]) -> bool {
    matches!(
        name,
        b"" | b"body"
            | b"error"
            | b"severity"
            | b"severity_text"
            | b"trace.trace_id"
            | b"trace.parent_id"
            | b"trace.span_id"
    ) || name.starts_with(b"field.")
}

/// The value under a contract name, if it has the contract's type; any value under a free name.
pub(crate) fn contract<'a>(name: &[u8], value: Value<'a>) -> Option<Value<'a>> {
    match (names::type_of(name), value) {
        (None, _) | (Some(Type::String), Value::Text(_)) | (Some(Type::Int), Value::Int(_)) => Some(value),
        #[expect(
            clippy::cast_precision_loss,
            reason = "a measure above 2^53 has lost its last digits anyway"
        )]
        (Some(Type::Float), Value::Int(whole)) => Some(Value::Float(whole as f64)),
        (Some(Type::Float), Value::Number(_)) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours_are_not_the_inputs_to_set() {
        let scratch = Scratch::new();
        let reserved = ["service.name".to_owned()];
        let context = Context { reserved: &reserved, ..Context::default() };
        let mut record = Record::new();
        record.set("fly.region", Value::text("sin"));
        for (name, value) in [
            ("meta.x", Value::Int(1)),
            ("service.name", Value::text("x")),
            ("fly.region", Value::text("x")),
            ("body", Value::text("x")),
            ("process.pid", Value::text("1")),
        ] {
            set(name.as_bytes(), value, 1, &context, &scratch, &mut record);
            assert_eq!(record.get(&format!("field.{name}")), Some(value));
        }
        set(b"duration_ms", Value::Int(7), 1, &context, &scratch, &mut record);
        set(b"host.name", Value::text(""), 1, &context, &scratch, &mut record);
        set(b"request_id", Value::text("-"), 1, &context, &scratch, &mut record);
        set(b"field.meta.x", Value::Int(2), 1, &context, &scratch, &mut record);
        assert_eq!(record.get("request_id"), None);
        assert_eq!(record.get("field.field.meta.x"), Some(Value::Int(2)));
        assert_eq!(record.get("duration_ms"), Some(Value::Float(7.0)));
        assert_eq!(record.get("host.name"), None);
    }
}
