//! Values as rules see them: as numbers, and as the text that would be shipped.

use hivetail_parsers::{Scratch, Value};

/// A value as a number.
pub(super) fn number(value: Value<'_>) -> Option<f64> {
    let of_text = |text: &[u8]| std::str::from_utf8(text).ok()?.trim().parse().ok();
    match value {
        #[expect(clippy::cast_precision_loss, reason = "numbers are compared as floats where one of them is")]
        Value::Int(value) => Some(value as f64),
        Value::Float(value) => Some(value),
        Value::Text(text) | Value::Number(text) => of_text(text),
        Value::Bool(_) => None,
    }
}

/// A value as text, as it would be shipped.
pub(super) fn text<'v>(value: Value<'v>, scratch: &'v Scratch) -> &'v [u8] {
    /// No whole number, and no float in its shortest form, is longer.
    const NUMBER_LEN_MAX: usize = 32;
    let written = |number: &dyn Fn(&mut &mut [u8]) -> serde_json::Result<()>| {
        scratch.fill(NUMBER_LEN_MAX, |room| {
            let mut rest = &mut *room;
            let result = number(&mut rest);
            let left = rest.len();
            if result.is_ok() { NUMBER_LEN_MAX - left } else { 0 }
        })
    };
    match value {
        Value::Text(text) | Value::Number(text) => text,
        Value::Bool(true) => b"true",
        Value::Bool(false) => b"false",
        Value::Int(value) => written(&|room| serde_json::to_writer(room, &value)),
        Value::Float(value) => written(&|room| serde_json::to_writer(room, &value)),
    }
}
