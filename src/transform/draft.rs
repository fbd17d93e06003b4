//! An event in the making: its record is copied before it is changed, since whoever gave it may need it as it was.

use hivetail_parsers::{Record, Scratch, Value};

use crate::encode::{Event, Hidden};

/// An event that may yet change.
#[derive(Debug)]
pub(crate) struct Draft<'d, 'e> {
    event: &'d Event<'d, 'e>,
    copy: &'d mut Record<'e>,
    is_changed: bool,
    hidden: Hidden,
}

impl<'d, 'e> Draft<'d, 'e> {
    /// Of that event; `copy` lends its memory.
    pub(crate) const fn new(event: &'d Event<'d, 'e>, copy: &'d mut Record<'e>) -> Self {
        Self { event, copy, is_changed: false, hidden: event.hidden }
    }

    /// The record as it is now.
    pub(crate) const fn record(&self) -> &Record<'e> {
        if self.is_changed { self.copy } else { self.event.record }
    }

    /// The event as it is now.
    pub(crate) const fn event(&self) -> Event<'_, 'e> {
        Event { record: self.record(), hidden: self.hidden, ..*self.event }
    }

    /// The record, to change it.
    pub(crate) fn change(&mut self) -> &mut Record<'e> {
        if !self.is_changed {
            self.copy.copy(self.event.record);
            self.is_changed = true;
        }
        self.copy
    }

    /// Takes out fields, whether the record or the stream has them; answers whether there were any.
    pub(crate) fn remove(&mut self, is_it: impl Fn(&[u8]) -> bool) -> bool {
        let (hidden, count) = (self.hidden, self.record().fields().len());
        for (index, (name, _)) in self.event.constants.fields().enumerate() {
            if is_it(name.as_bytes()) {
                self.hidden.hide(index);
            }
        }
        self.change().retain(|field| !is_it(field.key.bytes()));
        self.hidden != hidden || self.record().fields().len() < count
    }
}

/// A value in memory that lives as long as an event's.
pub(crate) fn kept<'e>(value: Value<'_>, scratch: &'e Scratch) -> Value<'e> {
    match value {
        Value::Text(text) => Value::Text(scratch.copy(text)),
        Value::Number(text) => Value::Number(scratch.copy(text)),
        Value::Int(value) => Value::Int(value),
        Value::Float(value) => Value::Float(value),
        Value::Bool(value) => Value::Bool(value),
    }
}
