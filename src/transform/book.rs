//! The book of rules: what holds for the events of all sources, and what all passes share of it.
//!
//! Takes the configuration's sections, gives each pass its rules, whose samplers and counts live here: by the rule's name, so
//! that a source that is begun anew goes on with them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use hivetail_parsers::SecretNames;
use toml::Spanned;

use super::{
    columns::ColumnGuard,
    mask::HashKey,
    names::Names,
    redact::Redaction,
    rule::Rule,
    sampler::{FirstSeen, Saved, Settings},
    state::State,
};
use crate::{
    config::{
        rule::Rule as WrittenRule,
        transform::{Columns, Redaction as WrittenRedaction, Transform as Section},
    },
    lock::lock,
};

/// What has been left to the samplers of a run before, by their rules' names.
pub type SavedSamplers = BTreeMap<String, Saved>;

/// The book.
#[derive(Debug)]
pub struct Book {
    /// `[transform]`.
    pub(crate) section: Section,
    /// Each with what it was made of.
    rules: Vec<(Rule, WrittenRule)>,
    pub(crate) redaction: Redaction,
    /// Whose values are secrets.
    pub(crate) secret_names: SecretNames,
    pub(crate) columns: Mutex<ColumnGuard>,
    /// Fields that are not shipped.
    pub(crate) denied: Names,
    /// The exceptions that were seen lately.
    pub(crate) fingerprints: Mutex<FirstSeen>,
    /// Events whose shape was one too many.
    pub(crate) shapes_overflowed: AtomicU64,
    states: Mutex<BTreeMap<String, Arc<State>>>,
    /// For samplers that are yet to be asked for.
    saved: Mutex<SavedSamplers>,
    seed: u64,
}

impl Default for Book {
    fn default() -> Self {
        let section = Section::default();
        Self {
            fingerprints: Mutex::new(FirstSeen::new(first_window_s(&section))),
            section,
            rules: Vec::new(),
            redaction: Redaction::default(),
            secret_names: SecretNames::default(),
            columns: Mutex::default(),
            denied: Names::default(),
            shapes_overflowed: AtomicU64::default(),
            states: Mutex::default(),
            saved: Mutex::default(),
            seed: 0,
        }
    }
}

/// The sections that a book is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sections<'c> {
    /// `[transform]`
    pub(crate) transform: &'c Section,
    /// `[[rule]]`
    pub(crate) rules: &'c [WrittenRule],
    /// `[redaction]`
    pub(crate) redaction: &'c WrittenRedaction,
    /// `[columns]`
    pub(crate) columns: &'c Columns,
}

impl Book {
    /// Of a configuration. `hash_key` is what is in `hash_key_file`.
    ///
    /// # Errors
    /// What is wrong with a rule.
    pub(crate) fn new(sections: Sections<'_>, hash_key: Option<&HashKey>) -> Result<Self, String> {
        let Sections { transform, rules, redaction, columns } = sections;
        let compile = |rule: &WrittenRule| Ok((Rule::compile(rule)?, rule.clone()));
        Ok(Self {
            section: transform.clone(),
            redaction: Redaction::compile(redaction.rule.iter().map(Spanned::get_ref), hash_key)?,
            rules: rules.iter().map(compile).collect::<Result<_, String>>()?,
            secret_names: SecretNames::new(&redaction.names),
            columns: Mutex::new(ColumnGuard::new(columns)),
            denied: Names::new(&columns.deny),
            fingerprints: Mutex::new(FirstSeen::new(first_window_s(transform))),
            ..Self::default()
        })
    }

    /// The same book, whose samplers choose as that seed says.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Goes on with what samplers have learnt in a run before.
    pub fn restore(&self, saved: SavedSamplers) {
        *lock(&self.saved) = saved;
    }

    /// What samplers have learnt, those included that nobody has asked for yet.
    #[must_use]
    pub fn save(&self) -> SavedSamplers {
        let mut saved = lock(&self.saved).clone();
        for (name, state) in &*lock(&self.states) {
            if let Some(learnt) = state.save() {
                saved.insert(name.clone(), learnt);
            }
        }
        saved
    }

    /// The rules of a source, its own first, with what all passes share of each.
    pub(crate) fn rules_of(&self, own: &[WrittenRule]) -> Vec<(Rule, Arc<State>)> {
        let own = own.iter().filter_map(|rule| Some((Rule::compile(rule).ok()?, rule)));
        let all = self.rules.iter().map(|(rule, written)| (rule.clone(), written));
        own.chain(all).map(|(rule, written)| (rule, self.state(written))).collect()
    }

    fn state(&self, written: &WrittenRule) -> Arc<State> {
        let settings = Settings::of(written, first_window_s(&self.section));
        let mut states = lock(&self.states);
        if let Some(state) = states.get(&written.name).filter(|state| state.is_for(&settings)) {
            return Arc::clone(state);
        }
        // A rule that has changed goes on with what it knew.
        let before = states.get(&written.name);
        let saved = before.and_then(|state| state.save()).or_else(|| lock(&self.saved).remove(&written.name));
        let tally = before.map(|state| Arc::clone(&state.tally)).unwrap_or_default();
        let samples = written.sample.is_some() || written.sampler.is_some();
        let state = Arc::new(State::new(settings, samples, saved, tally, self.seed));
        states.insert(written.name.clone(), Arc::clone(&state));
        state
    }

    /// How many events each rule was for, by what became of them.
    #[must_use]
    pub fn tallies(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        lock(&self.states).iter().map(|(name, state)| (name.clone(), state.tally.counts())).collect()
    }

    /// How many events each redaction rule has changed.
    #[must_use]
    pub fn redactions(&self) -> BTreeMap<String, u64> {
        self.redaction.counts().map(|(name, count)| (name.to_owned(), count)).collect()
    }

    /// How many fields found no column.
    #[must_use]
    pub fn fields_overflowed(&self) -> u64 {
        lock(&self.columns).overflowed
    }

    /// How many events had a shape that was one too many.
    #[must_use]
    pub fn shapes_overflowed(&self) -> u64 {
        self.shapes_overflowed.load(Ordering::Relaxed)
    }
}

fn first_window_s(section: &Section) -> u64 {
    section.first_window_s.get() as u64
}
