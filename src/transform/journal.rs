//! The journal: what a transform has done to each event, for people who want to know what their rules do.
//!
//! Takes an event as it was left, gives what there is to tell of it. It is kept only where somebody asks for it.

use hivetail_parsers::{FILTERED, Timestamp, Value};

use super::state::Tallied;
use crate::encode::Event;

/// What was done to an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) tallied: Tallied,
    /// For how many it stands, or would have.
    pub(super) rate: u32,
    /// Whether it was shipped whatever the sampler says.
    pub(super) is_spared: bool,
    /// Which redaction rules have changed it.
    pub(super) redacted: u64,
}

impl Done {
    pub(super) const FILTERED: Self =
        Self { tallied: Tallied::Filtered, rate: 1, is_spared: false, redacted: 0 };
}

/// What there is to tell of an event.
#[derive(Clone, Debug)]
pub struct Told {
    /// The names of the rules that were for it, in order.
    pub rules: Vec<String>,
    /// What became of it.
    pub fate: Tallied,
    /// For how many it stands, or would have.
    pub rate: u32,
    /// Whether it was shipped whatever a sampler says.
    pub is_spared: bool,
    /// The redaction rules that have changed it.
    pub redactions: Vec<String>,
    /// The fields in which something is `[FILTERED]`.
    pub filtered: Vec<String>,
    /// Its text.
    pub body: String,
    /// Where its line begins.
    pub offset: Option<u64>,
    /// When it was written, if it tells.
    pub time: Option<Timestamp>,
}

impl Told {
    pub(super) fn of(event: &Event<'_, '_>, done: Done, rules: Vec<String>, redactions: Vec<String>) -> Self {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let is_filtered = |value: Value<'_>| matches!(value, Value::Text(text) if memchr::memmem::find(text, FILTERED).is_some());
        let fields = event.record.fields().iter();
        let filtered = fields.filter(|field| is_filtered(field.value)).map(|field| lossy(field.key.bytes()));
        let body = match event.record.get("body").or_else(|| event.record.get("name")) {
            Some(Value::Text(text)) => lossy(text),
            _ => String::new(),
        };
        Self {
            rules,
            fate: done.tallied,
            rate: done.rate,
            is_spared: done.is_spared,
            redactions,
            filtered: filtered.collect(),
            body,
            offset: event.offset,
            time: event.record.time.map(|time| time.at),
        }
    }
}
