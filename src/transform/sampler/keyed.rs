//! Sampling by key: what keys there are, how often each comes, and what follows from it.
//!
//! Takes events' keys, durations and times; says which are kept, and at which rate. Each interval, the first event after
//! its end moves each key's average towards what came (an exponential moving average, as that of Honeycomb's
//! `dynsampler-go`) and the `goal` makes rates of the averages. As there, intervals in which nothing came change nothing:
//! after a quiet hour things go on as they were. When an interval brings much more than it should, rates are made at once.
//!
//! Invariants: deciding changes nothing, and what is committed is what was decided. So many keys are known at most;
//! all others are one key, so that whoever makes up keys gets no more through than one key does.

use std::collections::HashMap;

use hivetail_parsers::Timestamp;

use super::{
    Ema, Sample, Verdict,
    goal::{Goal, Load},
    interval::Interval,
    saved::{Saved, SavedKey, SavedRate},
    strata::{self, Strata},
};

/// A sampler by key.
#[derive(Debug)]
pub(super) struct Keyed {
    goal: Goal,
    ema: Ema,
    seed: u64,
    keys: HashMap<Box<[u8]>, Entry>,
    /// The keys that found no room.
    other: Entry,
    /// Whether rates were made of averages yet.
    has_rates: bool,
    interval: Interval,
    adjustments: u64,
    /// How many events of this interval may be sampled away.
    counted: f64,
    /// So many in one interval are a burst.
    burst: f64,
    /// How many of this interval are never sampled, and of an interval on average.
    spared: f64,
    spared_average: f64,
}

#[derive(Debug)]
struct Entry {
    /// In this interval.
    count: f64,
    /// Of an interval.
    average: f64,
    /// None before the first adjustment that knows of it.
    rate: Option<u32>,
    strata: Strata,
}

impl Entry {
    const fn new(seed: u64) -> Self {
        Self { count: 0.0, average: 0.0, rate: None, strata: Strata::new(seed) }
    }

    /// Whether there is still something to know.
    fn adjust(&mut self, ema: &Ema) -> bool {
        self.average = ema.next(self.average, self.count);
        self.count = 0.0;
        self.average >= ema.age_out()
    }

    fn restore(&mut self, saved: SavedRate, interval_s: f64) {
        self.average = believable(saved.average_per_s) * interval_s;
        self.rate = Some(saved.rate.max(1));
    }
}

/// What is read of a file; nothing comes more often than this.
const fn believable(per_s: f64) -> f64 {
    per_s.max(0.0).min(1e9)
}

impl Keyed {
    /// A sampler that knows nothing. Its choices follow from the seed.
    pub(super) fn new(goal: Goal, ema: Ema, seed: u64) -> Self {
        Self {
            interval: Interval::new(ema.adjustment_interval_s),
            goal,
            ema,
            seed,
            keys: HashMap::new(),
            other: Entry::new(strata::hash(!seed, b"")),
            has_rates: false,
            adjustments: 0,
            counted: 0.0,
            burst: f64::INFINITY,
            spared: 0.0,
            spared_average: 0.0,
        }
    }

    /// Whether an event is kept, and at which rate.
    pub(super) fn decide(&self, sample: &Sample<'_>) -> Verdict {
        let (keep, rate) = match self.keys.get(sample.key) {
            Some(entry) => self.decide_by(entry, sample, self.new_key_rate()),
            None if self.has_room() => {
                self.decide_by(&Entry::new(self.seed_of(sample.key)), sample, self.new_key_rate())
            }
            // Not at rate 1, as a new key's: who makes up enough keys would be shipped whole.
            None => self.decide_by(&self.other, sample, self.goal.initial_rate()),
        };
        Verdict { keep, rate }
    }

    fn decide_by(&self, entry: &Entry, sample: &Sample<'_>, new_rate: u32) -> (bool, u32) {
        let rate = entry.rate.unwrap_or(new_rate).max(1);
        (entry.strata.keeps(sample.duration_ms, rate), rate)
    }

    /// What was decided has happened. The event that ends an interval counts in it.
    pub(super) fn commit(&mut self, sample: &Sample<'_>, verdict: Verdict) {
        self.entry(sample.key, |entry| {
            entry.strata.advance(sample.duration_ms, verdict.rate);
            entry.count += 1.0;
        });
        self.counted += 1.0;
        if verdict.keep {
            self.goal.spend(sample.now);
        }
        self.end_interval(sample.now);
        if self.counted >= self.burst && self.interval.passed() >= u64::from(self.ema.burst_detection_delay) {
            self.interval.restart(sample.now);
            self.adjust(sample.now, 1);
        }
    }

    /// An event was shipped that is never sampled.
    pub(super) fn commit_spared(&mut self, now: Timestamp) {
        self.spared += 1.0;
        self.goal.spend(now);
        self.end_interval(now);
    }

    const fn new_key_rate(&self) -> u32 {
        if self.has_rates { self.goal.new_key_rate() } else { self.goal.initial_rate() }
    }

    fn has_room(&self) -> bool {
        self.keys.len() < self.ema.max_keys
    }

    /// A key that was forgotten and comes again chooses anew: always the same places would not be chances.
    fn seed_of(&self, key: &[u8]) -> u64 {
        strata::hash(self.seed.wrapping_add(self.adjustments), key)
    }

    fn entry(&mut self, key: &[u8], change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.keys.get_mut(key) {
            change(entry);
        } else if self.has_room() {
            let entry = Entry::new(self.seed_of(key));
            change(self.keys.entry(key.into()).or_insert(entry));
        } else {
            change(&mut self.other);
        }
    }

    fn end_interval(&mut self, now: Timestamp) {
        let ended = self.interval.ended(now);
        if ended > 0 {
            self.adjust(now, ended);
        }
    }

    /// Lets averages fall by the quiet ones of the intervals that have ended; answers how they are made of the last one. Those of
    /// a month are of hours: quiet intervals count, too, and until there were enough of them all count alike. Elsewhere quiet
    /// intervals change nothing, as in Refinery.
    fn decay(&mut self, ended: u64) -> Ema {
        let Some(all) = self.goal.end_intervals(ended) else { return self.ema };
        #[expect(clippy::cast_precision_loss, reason = "many is as good as very many")]
        let (quiet, all) = ((ended - 1) as f64, all as f64);
        let kept = (1.0 - self.ema.weight.clamp(0.0, 1.0)).powf(quiet);
        self.keys.values_mut().chain([&mut self.other]).for_each(|entry| entry.average *= kept);
        self.spared_average *= kept;
        Ema { weight: self.ema.weight.max(1.0 / all), ..self.ema }
    }

    fn adjust(&mut self, now: Timestamp, ended: u64) {
        let ema = self.decay(ended);
        let counted = std::mem::take(&mut self.counted);
        let spared = std::mem::take(&mut self.spared);
        if counted + spared <= 0.0 {
            return;
        }
        self.adjustments += 1;
        self.spared_average = ema.next(self.spared_average, spared);
        if counted > 0.0 {
            self.keys.retain(|_, entry| entry.adjust(&ema));
            if !self.other.adjust(&ema) {
                (self.other.average, self.other.rate) = (0.0, None);
            }
            self.has_rates = true;
        }
        self.set_rates(now);
    }

    fn set_rates(&mut self, now: Timestamp) {
        let mut keys: Vec<(&[u8], &mut Entry)> =
            self.keys.iter_mut().map(|(key, entry)| (&**key, entry)).collect();
        // What a key does not need goes to those after it, so the order must not change from one time to the next.
        keys.sort_unstable_by_key(|(key, _)| *key);
        let other = (self.other.average > 0.0).then_some(&mut self.other);
        let mut entries: Vec<&mut Entry> = keys.into_iter().map(|(_, entry)| entry).chain(other).collect();
        let averages: Vec<f64> = entries.iter().map(|entry| entry.average).collect();

        let load = Load { interval_s: self.ema.interval_s(), spared: self.spared_average };
        for (entry, rate) in entries.iter_mut().zip(self.goal.rates(&averages, load, now)) {
            entry.rate = Some(rate);
        }
        self.burst = self.ema.burst(averages.iter().map(|average| average.max(1.0)).sum());
    }

    /// What is worth knowing after a restart.
    pub(super) fn save(&self) -> Saved {
        if matches!(self.goal, Goal::Fixed(_)) {
            return Saved::default();
        }
        let saved = |entry: &Entry| {
            let average_per_s = entry.average / self.ema.interval_s();
            entry.rate.map(|rate| SavedRate { average_per_s, rate })
        };
        let keys = self.keys.iter().filter_map(|(key, entry)| {
            let rate = saved(entry)?;
            Some(SavedKey { key: key.to_vec(), rate })
        });
        Saved {
            keys: keys.collect(),
            other: saved(&self.other),
            spared_per_s: self.spared_average / self.ema.interval_s(),
            months: self.goal.save(),
        }
    }

    /// Knows what it knew, as far as there is room for it: the most frequent keys.
    pub(super) fn restore(&mut self, saved: Saved) {
        if matches!(self.goal, Goal::Fixed(_)) {
            return;
        }
        self.spared_average = believable(saved.spared_per_s) * self.ema.interval_s();
        let mut keys = saved.keys;
        keys.retain(|key| key.rate.average_per_s > 0.0);
        keys.sort_by(|one, other| other.rate.average_per_s.total_cmp(&one.rate.average_per_s));
        self.has_rates |= !keys.is_empty();
        self.goal.restore(&saved.months, self.has_rates);
        let interval_s = self.ema.interval_s();
        for key in keys.iter().take(self.ema.max_keys) {
            self.entry(&key.key, |entry| entry.restore(key.rate, interval_s));
        }
        if let Some(other) = saved.other {
            self.other.restore(other, interval_s);
        }
    }
}

#[cfg(test)]
mod tests;
