//! What all passes share of a rule: its sampler and its counts.
//!
//! Takes an event, gives what a sampler is asked about it; counts what became of events.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use hivetail_parsers::{Scratch, Timestamp};

use super::{
    rule::Rule,
    sampler::{Sample, Sampler, Saved, Settings},
    value::{number, text},
};
use crate::{encode::Event, lock::lock};

/// The state of a rule.
#[derive(Debug)]
pub(crate) struct State {
    sampler: Mutex<Sampler>,
    settings: Settings,
    samples: bool,
    pub(crate) tally: Arc<Tally>,
}

/// What a sampler is asked about an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'k> {
    pub(crate) sample: Sample<'k>,
    pub(crate) fingerprint: Option<&'k [u8]>,
}

impl<'k> Asked<'k> {
    /// About that event, whose key is known.
    pub(crate) fn of(
        event: &Event<'_, '_>,
        now: Timestamp,
        rule: &Rule,
        scratch: &'k Scratch,
        key: &'k [u8],
    ) -> Self {
        // Copied, since the event may yet be changed.
        let copied = |name: &str| event.get(name).map(|value| scratch.copy(text(value, scratch)));
        let id = rule.deciding_field.as_deref().and_then(copied);
        let duration_ms = event.get("duration_ms").and_then(number);
        Self { sample: Sample { key, id, duration_ms, now }, fingerprint: copied("exception.fingerprint") }
    }
}

impl State {
    /// Of a rule with such a sampler, which goes on with what was saved of it, and counts on.
    pub(crate) fn new(
        settings: Settings,
        samples: bool,
        saved: Option<Saved>,
        tally: Arc<Tally>,
        seed: u64,
    ) -> Self {
        let mut sampler = Sampler::new(&settings, seed);
        if let Some(saved) = saved {
            sampler.restore(saved);
        }
        Self { sampler: Mutex::new(sampler), settings, samples, tally }
    }

    /// Whether it is that of a rule with such a sampler.
    pub(crate) fn is_for(&self, settings: &Settings) -> bool {
        self.settings == *settings
    }

    pub(crate) fn sampler(&self) -> MutexGuard<'_, Sampler> {
        lock(&self.sampler)
    }

    /// What its sampler has learnt.
    pub(crate) fn save(&self) -> Option<Saved> {
        self.samples.then(|| self.sampler().save())
    }
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tallied {
    /// It is shipped.
    Kept,
    /// A sampler leaves it out.
    Sampled,
    /// A rule drops it.
    Filtered,
}

/// How many events a rule was for, by what became of them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kept: AtomicU64,
    filtered: AtomicU64,
    sampled: AtomicU64,
}

impl Tally {
    pub(crate) fn add(&self, tallied: Tallied) {
        let count = match tallied {
            Tallied::Kept => &self.kept,
            Tallied::Filtered => &self.filtered,
            Tallied::Sampled => &self.sampled,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// By their names.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        let all = [("kept", &self.kept), ("filtered", &self.filtered), ("sampled", &self.sampled)];
        all.map(|(name, count)| (name.to_owned(), count.load(Ordering::Relaxed))).into()
    }
}
