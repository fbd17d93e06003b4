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
    rules: Vec<Rule>,
    written: Vec<WrittenRule>,
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
        Self::with(
            Section::default(),
            &[],
            Redaction::default(),
            SecretNames::default(),
            ColumnGuard::default(),
        )
    }
}

/// The sections that a book is made of.
#[derive(Clone, Copy, Debug)]
pub struct Sections<'c> {
    /// `[transform]`
    pub transform: &'c Section,
    /// `[[rule]]`
    pub rules: &'c [WrittenRule],
    /// `[redaction]`
    pub redaction: &'c WrittenRedaction,
    /// `[columns]`
    pub columns: &'c Columns,
}

impl Book {
    /// Of a configuration. `hash_key` is the text of `hash_key_file`.
    ///
    /// # Errors
    /// What is wrong with a rule or the key.
    pub fn new(sections: Sections<'_>, hash_key: Option<&[u8]>) -> Result<Self, String> {
        let Sections { transform, rules, redaction, columns } = sections;
        let key = hash_key.map(key_of).transpose()?;
        let secret_names = SecretNames::new(&redaction.names);
        let redaction = Redaction::compile(redaction.rule.iter().map(Spanned::get_ref), key.as_ref())?;
        for rule in rules {
            Rule::compile(rule)?;
        }
        let guard = ColumnGuard::new(columns);
        let book = Self::with(transform.clone(), rules, redaction, secret_names, guard);
        Ok(Self { denied: Names::new(&columns.deny), ..book })
    }

    fn with(
        section: Section,
        rules: &[WrittenRule],
        redaction: Redaction,
        secret_names: SecretNames,
        columns: ColumnGuard,
    ) -> Self {
        Self {
            fingerprints: Mutex::new(FirstSeen::new(section.first_window_s.get() as u64)),
            section,
            rules: rules.iter().filter_map(|rule| Rule::compile(rule).ok()).collect(),
            written: rules.to_vec(),
            redaction,
            secret_names,
            columns: Mutex::new(columns),
            denied: Names::default(),
            shapes_overflowed: AtomicU64::default(),
            states: Mutex::default(),
            saved: Mutex::default(),
            seed: 0,
        }
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
        let rules = own.iter().filter_map(|rule| Some((Rule::compile(rule).ok()?, rule)));
        let rules = rules.chain(self.rules.iter().cloned().zip(&self.written));
        rules.map(|(rule, written)| (rule, self.state(written))).collect()
    }

    fn state(&self, written: &WrittenRule) -> Arc<State> {
        let settings = Settings::of(written, self.section.first_window_s.get() as u64);
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

/// The key that is in such a file.
pub(super) fn key_of(text: &[u8]) -> Result<HashKey, &'static str> {
    HashKey::new(text.trim_ascii_end())
}
