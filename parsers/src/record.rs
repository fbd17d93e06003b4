//! What a parser fills: an ordered list of borrowed fields, and the scratch that holds what had to be made.
//!
//! Invariant: nothing here allocates per line once warm. A [`Record`]'s list is handed from line to line by
//! [`Record::recycle`], a [`Scratch`] is an arena that [`Scratch::reset`] empties without giving memory back.

use bumpalo::Bump;

use crate::{json::scan, severity, timestamp::Timestamp};

/// A field's value, borrowed. Text is bytes: whoever prints it decides what to do with invalid UTF-8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Decoded text: escapes of the log's format are resolved.
    Text(&'a [u8]),
    /// A whole number.
    Int(i64),
    /// A measure; finite.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A number in JSON's grammar whose text is kept as written.
    Number(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Text from a string.
    #[must_use]
    pub const fn text(text: &'a str) -> Self {
        Self::Text(text.as_bytes())
    }
}

/// A field's name.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// One of ours: plain ASCII that needs no escaping in JSON.
    Known(&'static str),
    /// The input's: any bytes.
    Free(&'a [u8]),
}

impl Key<'_> {
    /// The name's bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        match self {
            Self::Known(name) => name.as_bytes(),
            Self::Free(name) => name,
        }
    }
}

/// A name and its value.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The name.
    pub key: Key<'a>,
    /// The value.
    pub value: Value<'a>,
}

/// Where an event's time comes from; all but [`TimeSource::Log`] show in `meta.timestamp_source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// Wholly the log's own.
    Log,
    /// The log's own, but the date, the year or the zone was supplied.
    Inferred,
    /// The envelope's.
    Envelope,
    /// The envelope's, but the date, the year or the zone was supplied.
    InferredEnvelope,
}

impl TimeSource {
    /// Whether the line inside knows better, if it has a time of its own.
    #[must_use]
    pub const fn is_envelopes(self) -> bool {
        matches!(self, Self::Envelope | Self::InferredEnvelope)
    }
}

/// An event's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// The instant.
    pub at: Timestamp,
    /// Who said so.
    pub source: TimeSource,
}

/// How bad it is: the innermost layer that has a level decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level<'a> {
    /// One of trace, debug, info, warn, error, fatal.
    pub severity: &'static str,
    /// The level as it was written.
    pub text: &'a [u8],
}

impl<'a> Level<'a> {
    /// The level that a word means; `None` for a word that is no level.
    pub(crate) fn of(text: &'a [u8]) -> Option<Self> {
        severity::of(text).map(|severity| Self { severity, text })
    }
}

/// What a line is to the lines around it: a join of requests asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Nothing but itself.
    #[default]
    Alone,
    /// An app has logged something.
    Logged,
    /// A request has begun: it tells the method and the path.
    Started,
    /// A request has found its controller.
    Routed,
    /// A database query was made.
    Queried,
    /// A request's answer was sent, or begun: it tells the status and the duration.
    Answered,
    /// An exception became a request's answer.
    Converted,
    /// A process crashed, or an exception was logged.
    Crashed,
}

/// One event in the making: its time, its level and its fields, in the order in which they were found.
#[derive(Debug, Default)]
pub struct Record<'a> {
    /// The event's time, when the line or its envelope told one.
    pub time: Option<Time>,
    /// The event's level, when the line or its envelope told one.
    pub level: Option<Level<'a>>,
    /// Whether something else than the level makes the event an error.
    pub error: bool,
    /// What the line is to those around it.
    pub role: Role,
    fields: Vec<Field<'a>>,
}

/// A point in a record's making to which [`Record::rewind`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    time: Option<Time>,
    level: Option<Level<'a>>,
    error: bool,
    role: Role,
    fields: usize,
}

impl<'a> Record<'a> {
    /// An empty record.
    #[must_use]
    pub const fn new() -> Self {
        Self { time: None, level: None, error: false, role: Role::Alone, fields: Vec::new() }
    }

    /// An empty record for the next line that keeps this one's memory.
    #[must_use]
    pub fn recycle<'b>(mut self) -> Record<'b> {
        self.fields.clear();
        // Collecting an emptied vector of the same layout reuses its buffer; a test of the agent counts.
        let fields = self.fields.into_iter().map(|_| unreachable!("it was emptied")).collect();
        Record { fields, ..Record::new() }
    }

    /// Becomes like another one, in its own memory.
    pub fn copy(&mut self, other: &Self) {
        (self.time, self.level) = (other.time, other.level);
        (self.error, self.role) = (other.error, other.role);
        self.fields.clear();
        self.fields.extend_from_slice(&other.fields);
    }

    /// Takes out the fields that are not to be kept.
    pub fn retain(&mut self, keep: impl FnMut(&Field<'a>) -> bool) {
        self.fields.retain(keep);
    }

    /// Appends a field of ours. The caller sets each name at most once.
    pub fn set(&mut self, name: &'static str, value: Value<'a>) {
        self.fields.push(Field { key: Key::Known(name), value });
    }

    /// Appends a text field, unless it is empty: a field is absent when unknown.
    pub fn set_text(&mut self, name: &'static str, text: &'a [u8]) {
        if !text.is_empty() {
            self.set(name, Value::Text(text));
        }
    }

    /// Appends a field that the input named.
    pub fn set_free(&mut self, name: &'a [u8], value: Value<'a>) {
        self.fields.push(Field { key: Key::Free(name), value });
    }

    /// Whether the event is an `error`: by its level (error or fatal) or by what else it says.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.error || self.level.is_some_and(|level| severity::is_error(level.severity))
    }

    /// Ties the event to the trace whose ids the line carries; nothing without a trace id.
    pub(crate) fn set_trace(&mut self, trace_id: Option<&'a [u8]>, span_id: Option<&'a [u8]>) {
        let Some(trace_id) = trace_id else { return };
        self.set("trace.trace_id", Value::Text(trace_id));
        if let Some(parent_id) = span_id {
            self.set("trace.parent_id", Value::Text(parent_id));
        }
        self.set("meta.annotation_type", Value::text("span_event"));
    }

    /// The same from a W3C `traceparent`: `00-<trace id>-<parent id>-<flags>`; nothing from any other text.
    pub(crate) fn set_traceparent(&mut self, text: &'a [u8]) {
        let mut parts = text.split(|byte| *byte == b'-');
        let (Some([_, _]), Some(trace_id), Some(parent_id)) = (parts.next(), parts.next(), parts.next())
        else {
            return;
        };
        if parts.next().is_some() {
            self.set_trace(hex_id(trace_id, 32), hex_id(parent_id, 16));
        }
    }

    /// The fields so far.
    #[must_use]
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The same, to change them.
    pub fn fields_mut(&mut self) -> &mut [Field<'a>] {
        &mut self.fields
    }

    /// The last value set under that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        let named = |field: &&Field<'a>| field.key.bytes() == name.as_bytes();
        self.fields.iter().rev().find(named).map(|field| field.value)
    }

    /// The present state, to return to if a parser fails half-way.
    #[must_use]
    pub const fn mark(&self) -> Mark<'a> {
        Mark {
            time: self.time,
            level: self.level,
            error: self.error,
            role: self.role,
            fields: self.fields.len(),
        }
    }

    /// Forgets all that came after the mark.
    pub fn rewind(&mut self, mark: Mark<'a>) {
        (self.time, self.level) = (mark.time, mark.level);
        (self.error, self.role) = (mark.error, mark.role);
        self.fields.truncate(mark.fields);
    }

    /// Takes out the fields of those names: they are not for input to set.
    pub fn remove(&mut self, names: &[String]) {
        self.fields.retain(|field| !names.iter().any(|name| name.as_bytes() == field.key.bytes()));
    }

    /// Gives a field another name, if there is one.
    pub(crate) fn rename(&mut self, name: &str, other: &'static str) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.key.bytes() == name.as_bytes()) {
            field.key = Key::Known(other);
        }
    }

    /// Takes out the field of that name, if there is one.
    pub(crate) fn take(&mut self, name: &str) {
        self.fields.retain(|field| field.key.bytes() != name.as_bytes());
    }

    /// Takes out, of the few fields before `first`, those that were set again since: the inner layer decides.
    pub(crate) fn keep_inner(&mut self, mut first: usize) {
        let mut at = 0;
        while at < first {
            let name = self.fields[at].key.bytes();
            if self.fields[first..].iter().any(|field| field.key.bytes() == name) {
                self.fields.remove(at);
                first -= 1;
            } else {
                at += 1;
            }
        }
    }

    /// Keeps, of the few fields from `first` on, only the first of each name.
    pub(crate) fn keep_first(&mut self, first: usize) {
        self.drop_repeated(first, first);
    }

    /// Drops, of the fields from `from` on, those whose name one before it has, from `first` on.
    pub(crate) fn drop_repeated(&mut self, first: usize, from: usize) {
        let mut at = from;
        while at < self.fields.len() {
            let repeated =
                self.fields[first..at].iter().any(|f| f.key.bytes() == self.fields[at].key.bytes());
            if repeated {
                self.fields.remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// Of the fields from `first` on, puts texts of one name together, as JSON's text of an array.
    pub(crate) fn join_repeated(&mut self, first: usize, scratch: &'a Scratch) {
        let mut at = first;
        while at < self.fields.len() {
            let name = self.fields[at].key.bytes();
            let same = |field: &Field<'a>| field.key.bytes() == name;
            if self.fields[at + 1..].iter().any(same) {
                let mut list = Vec::new();
                for field in self.fields[at..].iter().filter(|field| same(field)) {
                    if let Value::Text(text) = field.value {
                        list.push(if list.is_empty() { b'[' } else { b',' });
                        scan::quote(text, &mut list);
                    }
                }
                list.push(b']');
                self.fields[at].value = Value::Text(scratch.copy(&list));
                self.drop_repeated(at, at + 1);
            }
            at += 1;
        }
    }

    /// Keeps, of the fields from `first` on, only the last of each name.
    pub(crate) fn keep_last(&mut self, first: usize, scratch: &Scratch) {
        /// Up to here comparing all pairs is faster than sorting.
        const PAIRS_MAX: usize = 48;
        if self.fields.len() - first > PAIRS_MAX {
            return self.keep_last_of_many(first, scratch);
        }
        let mut at = first;
        while at < self.fields.len() {
            let name = self.fields[at].key.bytes();
            if self.fields[at + 1..].iter().any(|later| later.key.bytes() == name) {
                self.fields.remove(at);
            } else {
                at += 1;
            }
        }
    }

    fn keep_last_of_many(&mut self, first: usize, scratch: &Scratch) {
        let name = |index: usize| self.fields[index].key.bytes();
        let order = scratch.indices(first..self.fields.len());
        order.sort_unstable_by(|a, b| name(*a).cmp(name(*b)).then(a.cmp(b)));
        // Those that another of the same name follows, gathered at the front.
        let mut repeated = 0;
        for at in 1..order.len() {
            if name(order[at - 1]) == name(order[at]) {
                order[repeated] = order[at - 1];
                repeated += 1;
            }
        }
        let repeated = &mut order[..repeated];
        repeated.sort_unstable();
        let mut dropped = repeated.iter().copied().peekable();
        let mut index = 0;
        self.fields.retain(|_| {
            let drop = dropped.next_if_eq(&index).is_some();
            index += 1;
            !drop
        });
    }
}

/// An id as OpenTelemetry writes it: exactly that many hex digits, not all zero.
pub(crate) fn hex_id(text: &[u8], digits: usize) -> Option<&[u8]> {
    let hex = text.len() == digits && text.iter().all(u8::is_ascii_hexdigit);
    (hex && text.iter().any(|digit| *digit != b'0')).then_some(text)
}

/// Text that had to be made (unescaped, put together) for the line in hand, in memory that is used again.
#[derive(Debug, Default)]
pub struct Scratch {
    arena: Bump,
}

impl Scratch {
    /// An empty scratch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the last line's text.
    pub fn reset(&mut self) {
        self.arena.reset();
    }

    /// A copy of the bytes.
    #[must_use]
    pub fn copy(&self, bytes: &[u8]) -> &[u8] {
        self.arena.alloc_slice_copy(bytes)
    }

    /// The parts, one after the other.
    #[must_use]
    pub fn concat(&self, parts: &[&[u8]]) -> &[u8] {
        let text = self.arena.alloc_slice_fill_copy(parts.iter().map(|part| part.len()).sum(), 0);
        let mut rest = &mut *text;
        for part in parts {
            let (here, after) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = after;
        }
        text
    }

    /// A list of these indices.
    pub(crate) fn indices(&self, range: std::ops::Range<usize>) -> &mut [usize] {
        self.arena.alloc_slice_fill_iter(range)
    }

    /// A list of that many places in a line.
    pub(crate) fn places(&self, count: usize) -> &mut [(usize, usize)] {
        self.arena.alloc_slice_fill_copy(count, (0, 0))
    }

    /// Room for `len_max` bytes, filled from the front by `fill`, which answers how many it used.
    pub fn fill(&self, len_max: usize, fill: impl FnOnce(&mut [u8]) -> usize) -> &[u8] {
        let text = self.arena.alloc_slice_fill_copy(len_max, 0);
        let len = fill(text);
        &text[..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_wins_for_few_fields_and_for_many() {
        for extra in [0, 100] {
            let names: Vec<String> = (0..extra).map(|n| format!("k{n}")).collect();
            let mut record = Record::new();
            record.set_free(b"a", Value::Int(0));
            let first = record.fields().len();
            record.set_free(b"a", Value::Int(1));
            for name in &names {
                record.set_free(name.as_bytes(), Value::Bool(true));
            }
            record.set_free(b"a", Value::Int(2));
            record.keep_last(first, &Scratch::new());
            assert_eq!(record.fields().len(), extra + 2);
            assert_eq!(record.fields()[0].value, Value::Int(0), "what was there before stays");
            assert_eq!(record.get("a"), Some(Value::Int(2)));
        }
    }

    #[test]
    fn what_the_inner_layer_says_replaces_what_the_outer_said() {
        let mut record = Record::new();
        for (name, value) in [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("a", 5), ("c", 6)] {
            record.set(name, Value::Int(value));
        }
        record.keep_inner(3);
        let values: Vec<Value<'_>> = record.fields().iter().map(|field| field.value).collect();
        assert_eq!(values, [2, 4, 5, 6].map(Value::Int));
    }

    #[test]
    fn recycling_keeps_the_memory_and_drops_the_fields() {
        let mut record = Record::new();
        for _ in 0..100 {
            record.set("a", Value::Bool(true));
        }
        let record = record.recycle();
        assert!(record.fields().is_empty());
        assert!(record.fields.capacity() >= 100);
    }

    #[test]
    fn concat_joins_in_order() {
        let scratch = Scratch::new();
        assert_eq!(scratch.concat(&[b"ab", b"", b"c"]), b"abc");
    }
}
