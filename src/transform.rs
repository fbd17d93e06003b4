//! Transform: what becomes of an event between its parsing and its encoding.
//!
//! Takes an event, gives it as it is to be shipped, with the number of events that it stands for, or says that a rule dropped
//! it or a sampler left it out. In this order: the rate that the input carries, pinned types, the cap on shapes, what client
//! it is from, rules, samplers, redaction.
//!
//! Invariants: whatever finds no room is decided again as it was, and counted once: samplers and counts are told only when it
//! is settled. A rate is the exact inverse of the probability with which an event was kept. An event that no rule is for
//! costs no allocation and no copy.

mod book;
mod columns;
mod condition;
mod draft;
mod hash;
mod journal;
mod kind;
mod mask;
mod names;
pub(crate) mod pattern;
mod redact;
mod rule;
pub mod sampler;
mod settings;
mod shapes;
mod state;
mod types;
mod value;

use std::sync::{Arc, atomic::Ordering};

pub(crate) use book::Sections;
pub use book::{Book, SavedSamplers};
pub(crate) use columns::Places;
use hivetail_parsers::{Record, Scratch, Timestamp, Value, names::is_reserved};
pub use journal::Told;
pub use kind::Kind;
pub(crate) use mask::HashKey;
pub use state::Tallied;

use self::{
    draft::Draft,
    journal::Done,
    kind::Kinds,
    redact::Redaction,
    rule::{Outcome, Rule, Spares},
    sampler::{Sampler, Verdict},
    shapes::Shapes,
    state::{Asked, State},
    types::Types,
    value::number,
};
use crate::{
    config::{self, Source},
    dataset::Template,
    encode::Event,
    lock::lock,
};

/// From this status on a response tells of an error.
const ERROR_STATUS_MIN: f64 = 500.0;

/// What becomes of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate<'r, 'e> {
    /// It is shipped.
    Shipped {
        /// As it is now, with the number of events that it stands for.
        event: Event<'r, 'e>,
        /// Where it goes, instead of its source's dataset.
        dataset: Option<&'r Template>,
    },
    /// A rule dropped it.
    Filtered,
    /// A sampler left it out.
    Sampled,
}

/// What the rule says that is to sample an event.
struct Sampling {
    by: usize,
    spares: Spares,
    /// The rate that the input carries.
    carried: u32,
}

/// Transforms the events of one pass.
#[derive(Debug)]
pub(crate) struct Transform {
    book: Arc<Book>,
    rules: Vec<(Rule, Arc<State>)>,
    kinds: Kinds,
    shapes: Shapes,
    types: Types,
    /// Which field holds the rate that the input carries.
    presampled: Option<String>,
    slow_ms: f64,
    /// The rules that were for the event in hand.
    matched: Vec<usize>,
    /// The sampling key of the event in hand.
    key: Vec<u8>,
    /// What was done, if anybody wants to know.
    journal: Option<Vec<Told>>,
    /// Whether nobody has asked for anything.
    is_plain: bool,
}

/// What is looked at of every request.
struct Request<'e> {
    shape: Option<&'e [u8]>,
    path: Option<&'e [u8]>,
    agent: Option<&'e [u8]>,
}

impl<'e> Request<'e> {
    #[inline]
    fn of(record: &Record<'e>) -> Self {
        let mut request = Self { shape: None, path: None, agent: None };
        for field in record.fields() {
            let name = field.key.bytes();
            // Most names are told by their length.
            let part = match name.len() {
                8 if name == b"url.path" => &mut request.path,
                9 if name == b"url.shape" => &mut request.shape,
                19 if name == b"user_agent.original" => &mut request.agent,
                _ => continue,
            };
            if let Value::Text(text) = field.value {
                *part = Some(text);
            }
        }
        request
    }
}

impl Transform {
    /// What a source's configuration and the book ask for.
    pub(crate) fn new(source: &Source, book: Arc<Book>) -> Self {
        let rules = book.rules_of(&source.rules());
        let asks = !rules.is_empty() || !source.types.is_empty() || source.presampled.is_some();
        Self {
            is_plain: !asks && book.redaction.is_empty() && book.denied.is_empty(),
            rules,
            kinds: Kinds::new(&book.section.kinds()),
            shapes: Shapes::new(book.section.url_shapes_max.get()),
            types: Types::new(&source.types),
            presampled: source.presampled.clone(),
            #[expect(clippy::cast_precision_loss, reason = "it is a day at most")]
            slow_ms: book.section.slow_ms.get() as f64,
            matched: Vec::new(),
            key: Vec::new(),
            journal: None,
            book,
        }
    }

    /// The names of its rules, in their order.
    pub(crate) fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|(rule, _)| rule.name.as_str())
    }

    /// Takes what was done since the last call, and goes on noting it.
    pub(crate) fn take_journal(&mut self) -> Vec<Told> {
        self.journal.replace(Vec::new()).unwrap_or_default()
    }

    /// Whether an event is to be shipped as it is, which is so of most where no rule is written.
    #[inline]
    pub(crate) fn leaves_alone(&mut self, event: &Event<'_, '_>) -> bool {
        if !self.is_plain || self.journal.is_some() {
            return false;
        }
        let Request { shape, path, agent } = Request::of(event.record);
        shape.is_none_or(|shape| self.shapes.admits(shape)) && self.kinds.kind_of(agent, path).is_none()
    }

    /// Transforms an event. `settle` takes what becomes of it, and answers whether there was room for that; if not, the
    /// event has to come again. `draft` is where the event's record is changed.
    pub(crate) fn apply<'e>(
        &mut self,
        event: &Event<'_, 'e>,
        scratch: &'e Scratch,
        draft: &mut Record<'e>,
        settle: impl FnOnce(Fate<'_, 'e>) -> bool,
    ) -> bool {
        let mut draft = Draft::new(event, draft);
        let carried = self.carried_rate(&mut draft);
        self.prepare(&mut draft, scratch);
        let (outcome, by) = self.rule(&mut draft, scratch);
        let (settled, done) = match (outcome, by) {
            (Outcome::Drop, _) => (settle(Fate::Filtered), Done::FILTERED),
            (Outcome::Sample(spares), Some(by)) => {
                self.sample(&mut draft, scratch, &Sampling { by, spares, carried }, settle)
            }
            _ => self.ship(&mut draft, scratch, carried, settle),
        };
        if settled {
            self.matched.iter().for_each(|index| self.rules[*index].1.tally.add(done.tallied));
            if self.journal.is_some() {
                self.tell(&draft.event(), done);
            }
        }
        settled
    }

    /// Writes into the journal what was done, if there is one.
    fn tell(&mut self, event: &Event<'_, '_>, done: Done) {
        let Some(journal) = &mut self.journal else { return };
        let rules = self.matched.iter().map(|index| self.rules[*index].0.name.clone()).collect();
        let redactions = self.book.redaction.names(done.redacted).map(str::to_owned).collect();
        journal.push(Told::of(event, done, rules, redactions));
    }

    /// How many events the input says that this one stands for. The field is taken out: the rate is the event's own.
    fn carried_rate(&self, draft: &mut Draft<'_, '_>) -> u32 {
        let Some(name) = &self.presampled else { return 1 };
        let rate = draft.record().get(name).and_then(number).filter(|rate| rate.fract() == 0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and in range"
        )]
        let rate = rate.filter(|rate| (1.0..=f64::from(u32::MAX)).contains(rate)).map(|rate| rate as u32);
        let Some(rate) = rate else { return 1 };
        draft.change().retain(|field| field.key.bytes() != name.as_bytes());
        rate
    }

    /// Gives fields their pinned types, keeps the number of shapes in its bounds, and says what client a request is from.
    fn prepare<'e>(&mut self, draft: &mut Draft<'_, 'e>, scratch: &'e Scratch) {
        if self.types.concern(draft.record()) {
            self.types.pin(draft.change(), scratch);
        }
        let Request { shape, path, agent } = Request::of(draft.record());
        if let Some(shape) = shape.filter(|shape| !self.shapes.admits(shape)) {
            Shapes::overflow(draft.change(), shape, scratch);
            self.book.shapes_overflowed.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(kind) = self.kinds.kind_of(agent, path) {
            let record = draft.change();
            record.retain(|field| field.key.bytes() != b"client.kind");
            record.set("client.kind", Value::text(kind.name()));
        }
    }

    /// Asks the rules, which may change the event; answers what the last one that was for it says, and which that was.
    fn rule<'e>(&mut self, draft: &mut Draft<'_, 'e>, scratch: &'e Scratch) -> (Outcome, Option<usize>) {
        self.matched.clear();
        for (index, (rule, _)) in self.rules.iter().enumerate() {
            if !rule.is_for(&draft.event(), scratch) {
                continue;
            }
            self.matched.push(index);
            if rule.changes() {
                rule.change(draft, scratch);
            }
            if !rule.goes_on {
                return (rule.outcome, Some(index));
            }
        }
        (Outcome::Keep, None)
    }

    /// Ships an event, unless the sampler of its rule leaves it out. Nobody else asks that sampler meanwhile: what it
    /// decides and what it counts are about the same event.
    fn sample<'e>(
        &mut self,
        draft: &mut Draft<'_, 'e>,
        scratch: &'e Scratch,
        said: &Sampling,
        settle: impl FnOnce(Fate<'_, 'e>) -> bool,
    ) -> (bool, Done) {
        let mut key = std::mem::take(&mut self.key);
        let (rule, state) = &self.rules[said.by];
        let event = draft.event();
        rule.sampling_key(&event, scratch, &mut key);
        let asked = Asked::of(&event, self.now(&event), rule, scratch, &key);
        let mut sampler = state.sampler();
        let is_spared = self.is_spared(&event, said.spares, &asked, &sampler);
        let verdict = if is_spared { Verdict { keep: true, rate: 1 } } else { sampler.decide(&asked.sample) };
        let rate = said.carried.saturating_mul(verdict.rate);
        let (settled, done) = if verdict.keep {
            self.ship(draft, scratch, rate, settle)
        } else {
            (settle(Fate::Sampled), Done { tallied: Tallied::Sampled, rate, ..Done::FILTERED })
        };
        if settled {
            if is_spared {
                sampler.commit_spared(&key, asked.sample.now);
            } else {
                sampler.commit(&asked.sample, verdict);
            }
            if let Some(fingerprint) = asked.fingerprint {
                lock(&self.book.fingerprints).note(fingerprint, asked.sample.now);
            }
        }
        drop(sampler);
        self.key = key;
        (settled, Done { is_spared, ..done })
    }

    /// When an event is sampled. Where the journal is kept, a log is read as fast as it can be: then it is when it was written.
    fn now(&self, event: &Event<'_, '_>) -> Timestamp {
        let written = event.record.time.filter(|_| self.journal.is_some());
        written.map_or(event.received, |time| time.at)
    }

    /// Whether an event is shipped whatever a sampler says.
    fn is_spared(&self, event: &Event<'_, '_>, spares: Spares, asked: &Asked<'_>, sampler: &Sampler) -> bool {
        let is_error = || {
            let status = event.get("http.response.status_code").and_then(number);
            event.record.is_error() || status.is_some_and(|status| status >= ERROR_STATUS_MIN)
        };
        let is_new = |fingerprint| lock(&self.book.fingerprints).is_first(fingerprint, asked.sample.now);
        let is_slow = || asked.sample.duration_ms.is_some_and(|duration_ms| duration_ms > self.slow_ms);
        (spares.errors && is_error())
            || (spares.slow && is_slow())
            || (spares.first
                && (asked.fingerprint.is_some_and(is_new)
                    || sampler.is_first(asked.sample.key, asked.sample.now)))
    }

    /// Ships an event without what redaction takes out.
    fn ship<'e>(
        &self,
        draft: &mut Draft<'_, 'e>,
        scratch: &'e Scratch,
        rate: u32,
        settle: impl FnOnce(Fate<'_, 'e>) -> bool,
    ) -> (bool, Done) {
        let Book { redaction, denied, .. } = &*self.book;
        if !denied.is_empty() {
            draft.remove(|name| denied.has(name) && !is_reserved(name));
        }
        let redacted = if redaction.is_empty() { 0 } else { redaction.apply(draft, scratch) };
        let dataset = self.matched.iter().rev().find_map(|index| self.rules[*index].0.dataset.as_ref());
        let settled = settle(Fate::Shipped { event: Event { rate, ..draft.event() }, dataset });
        if settled {
            redaction.count(redacted);
        }
        (settled, Done { tallied: Tallied::Kept, rate, is_spared: false, redacted })
    }
}

/// Whether a rule makes sense.
///
/// # Errors
/// What is wrong, beginning with the rule's name.
pub(crate) fn check_rule(written: &config::Rule) -> Result<(), String> {
    Rule::compile(written).map(|_| ())
}

/// Whether a redaction rule makes sense; `has_key` says that there is a key to hash with.
///
/// # Errors
/// What is wrong, beginning with the rule's name.
pub(crate) fn check_redaction(written: &config::RedactionRule, has_key: bool) -> Result<(), String> {
    let key = if has_key { HashKey::new(&[0; HashKey::BYTES_MIN]).ok() } else { None };
    Redaction::compile(std::iter::once(written), key.as_ref()).map(|_| ())
}
