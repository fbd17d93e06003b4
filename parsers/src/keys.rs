//! The rules by which a line's own keys become fields: the same for JSON, logfmt and all that stands on them.
//!
//! The usual time, level and message keys fill the event's time, severity and `body`; other keys ship as written,
//! but none can set what is ours (`meta.*`, `log.*`, what configuration or the envelope set, a contract name with
//! a value of another type): those become `field.<key>`. Of a repeated key the last counts. What is over the limit
//! of fields goes into `field.overflow` as JSON text.

use crate::{
    Context, free,
    names::{self, Type},
    number::whole,
    record::{Level, Record, Scratch, Time, TimeSource, Value, hex_id},
    timestamp::{self, Timestamp},
};

/// A key and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: Value<'a>,
    /// What the line has for the value: a number's digits, a container's whole text.
    pub(crate) written: &'a [u8],
    /// Whether the value is the text of an array or an object, which is no time, level or message.
    pub(crate) container: bool,
}

impl<'a> Pair<'a> {
    /// The value as text, whatever its type.
    pub(crate) fn text(&self) -> &'a [u8] {
        match self.value {
            Value::Text(text) => text,
            _ => self.written,
        }
    }
}

/// A line's keys on their way into its record.
pub(crate) struct Keys<'p, 'a> {
    pub(crate) context: &'p Context<'p>,
    pub(crate) scratch: &'a Scratch,
    pub(crate) record: &'p mut Record<'a>,
    /// How many fields the envelope had set before.
    first: usize,
    has_level: bool,
    has_body: bool,
    /// The pairs beyond the limit, as JSON text without its last brace; not allocated unless there are some.
    overflow: Vec<u8>,
}

impl<'p, 'a> Keys<'p, 'a> {
    pub(crate) fn new(context: &'p Context<'p>, scratch: &'a Scratch, record: &'p mut Record<'a>) -> Self {
        let first = record.fields().len();
        Self { context, scratch, record, first, has_level: false, has_body: false, overflow: Vec::new() }
    }

    /// Any key.
    pub(crate) fn set(&mut self, pair: Pair<'a>) {
        let known = match (pair.name, pair.value) {
            (b"time" | b"@timestamp" | b"timestamp" | b"ts" | b"msec", _) => self.time(pair),
            (b"level" | b"severity" | b"log.level" | b"lvl", _) => self.level(pair),
            (b"msg" | b"message" | b"body", _) => self.message(pair),
            (b"error", Value::Bool(error)) => {
                self.record.error |= error;
                true
            }
            _ => false,
        };
        if !known {
            self.free(pair.name, pair.value);
        }
    }

    /// A key that fills the event's time; answers whether it did.
    pub(crate) fn time(&mut self, pair: Pair<'a>) -> bool {
        if pair.container || self.record.time.is_some_and(|time| !time.source.is_envelopes()) {
            return false;
        }
        let (at, source) = match pair.value {
            Value::Text(text) => text_time(text, self.context),
            Value::Int(_) | Value::Number(_) => (timestamp::epoch(pair.written), TimeSource::Log),
            Value::Float(_) | Value::Bool(_) => (None, TimeSource::Log),
        };
        if let Some(at) = at {
            self.record.time = Some(Time { at, source });
        }
        at.is_some()
    }

    /// A key that fills the event's level, the line's first; answers whether it did.
    pub(crate) fn level(&mut self, pair: Pair<'a>) -> bool {
        !self.has_level && self.true_level(pair)
    }

    /// A key that says better than any other what the level is; answers whether it did.
    pub(crate) fn true_level(&mut self, pair: Pair<'a>) -> bool {
        let level = match pair.value {
            Value::Text(text) if !pair.container => Level::of(text),
            _ => None,
        };
        self.record.level = level.or(self.record.level);
        self.has_level |= level.is_some();
        level.is_some()
    }

    /// A key that fills the event's body; answers whether it did.
    pub(crate) fn message(&mut self, pair: Pair<'a>) -> bool {
        match pair.value {
            Value::Text(text) if !pair.container => self.body(text),
            _ => false,
        }
    }

    /// Sets the body, unless there is one; an empty one is none. Answers whether that text is done with.
    pub(crate) fn body(&mut self, text: &'a [u8]) -> bool {
        if text.is_empty() || self.has_body {
            return text.is_empty();
        }
        self.record.set_text("body", text);
        self.has_body = true;
        true
    }

    /// A field of ours from a key of another name, which a preset knows to mean it; a number may have been
    /// written as text. Answers whether that key is done with: if not, its value has to stay under its own name.
    pub(crate) fn rename(&mut self, name: &'static str, pair: Pair<'a>) -> bool {
        pair.text().is_empty() || typed(name, pair).is_some_and(|value| self.put(name, value))
    }

    /// A field of ours; answers whether there is that value now, and no one else's.
    pub(crate) fn put(&mut self, name: &'static str, value: Value<'a>) -> bool {
        if value == Value::Text(b"") {
            return true;
        }
        if let Some(before) = self.record.get(name) {
            return before == value;
        }
        let ours = !free::is_reserved(name.as_bytes(), self.context);
        if ours {
            self.record.error |= is_server_error(name.as_bytes(), value);
            self.record.set(name, value);
        }
        ours
    }

    /// A key that means nothing to us: kept under its own name unless that name is taken for something else.
    pub(crate) fn free(&mut self, name: &'a [u8], value: Value<'a>) {
        self.record.error |= is_server_error(name, value);
        free::set(name, value, self.first, self.context, self.scratch, self.record);
    }

    /// The JSON text of the pairs beyond the limit, to which a `"key":value` can now be added.
    #[cold]
    pub(crate) fn overflow(&mut self) -> &mut Vec<u8> {
        self.overflow.push(if self.overflow.is_empty() { b'{' } else { b',' });
        &mut self.overflow
    }

    /// Puts the text that `change` makes of the pairs beyond the limit in their place.
    pub(crate) fn change_overflow(&mut self, change: impl FnOnce(&'a [u8]) -> &'a [u8]) {
        if !self.overflow.is_empty() {
            self.overflow = change(self.scratch.copy(&self.overflow)).to_vec();
        }
    }

    /// Completes the record after the last key.
    pub(crate) fn finish(mut self) {
        if !self.overflow.is_empty() {
            self.overflow.push(b'}');
            self.record.set(names::OVERFLOW, Value::Text(self.scratch.copy(&self.overflow)));
        }
        self.trace_ids();
        self.record.keep_last(self.first, self.scratch);
    }

    /// `trace_id` and `span_id`, alone or in an object `trace`, or `traceparent` tie the event to its trace, if they are
    /// real ids.
    fn trace_ids(&mut self) {
        let text = |names: [&str; 2]| {
            names.into_iter().find_map(|name| match self.record.get(name) {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            })
        };
        let trace_id = text(["trace_id", "field.trace.trace_id"]).and_then(|id| hex_id(id, 32));
        let span_id = text(["span_id", "field.trace.span_id"]).and_then(|id| hex_id(id, 16));
        let traceparent = text(["traceparent", "http.request.header.traceparent"]);
        match (trace_id, traceparent) {
            (None, Some(traceparent)) => self.record.set_traceparent(traceparent),
            (trace_id, _) => self.record.set_trace(trace_id, span_id),
        }
    }
}

/// What text means that stands for a number, if it is one: whole numbers stay exact, and what neither 64-bit kind
/// holds stays text. The text is in JSON's grammar.
pub(crate) fn number(text: &[u8]) -> Value<'_> {
    let is_whole = !text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    if is_whole {
        return match whole(digits) {
            Some(value) => Value::Int(if negative { -value } else { value }),
            // The smallest of all has no positive counterpart.
            None if text == b"-9223372036854775808" => Value::Int(i64::MIN),
            None => Value::Text(text),
        };
    }
    let finite =
        std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_finite);
    if finite { Value::Number(text) } else { Value::Text(text) }
}

fn is_server_error(name: &[u8], value: Value<'_>) -> bool {
    name == b"http.response.status_code" && matches!(value, Value::Int(500..))
}

/// A value as the contract's type for that name, from any way to write it.
fn typed<'a>(name: &str, pair: Pair<'a>) -> Option<Value<'a>> {
    let value = match (names::type_of(name.as_bytes())?, pair.value) {
        (Type::String, Value::Float(_)) => return None,
        (Type::String, _) => Value::Text(pair.text()),
        (Type::Int, Value::Text(text)) => Value::Int(whole(text)?),
        (Type::Float, Value::Text(text)) => Value::Float(
            std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| value.is_finite())?,
        ),
        (_, value) => value,
    };
    free::contract(name.as_bytes(), value)
}

fn text_time(text: &[u8], context: &Context<'_>) -> (Option<Timestamp>, TimeSource) {
    let own = timestamp::rfc3339(text).or_else(|| timestamp::epoch(text)).or_else(|| timestamp::clf(text));
    match own {
        Some(at) => (Some(at), TimeSource::Log),
        None => (timestamp::date_time(text, context.zone_offset_s), TimeSource::Inferred),
    }
}
