//! Samplers: which events are shipped for others like them, and for how many.
//!
//! Takes an event's key, duration, id and time; gives a verdict: it is kept, to count for N events, or sampled away.
//! `allocation` makes rates of counts, `goal` says what for, `keyed` keeps the counts, `strata` chooses the event of N,
//! `deterministic` chooses by an id, `budget` knows the month; `first_seen` spares the first of its kind.
//!
//! Invariants: the probability that a kept event was kept is one in the rate that it is shipped with. Deciding changes
//! nothing: an event is decided as often as it takes, then committed once. Seeds and times are arguments, and the clock
//! may jump.

mod allocation;
mod budget;
mod deterministic;
mod first_seen;
mod goal;
mod interval;
mod keyed;
mod saved;
#[cfg(test)]
mod statistics;
mod strata;

use hivetail_parsers::Timestamp;

use deterministic::Deterministic;
pub use deterministic::REFINERY_SALT;
pub use first_seen::FirstSeen;
use goal::Goal;
use keyed::Keyed;
pub use saved::{Saved, SavedKey, SavedMonth, SavedRate};

/// A key that was not seen for hours is forgotten, so that new ones find room.
const FIXED: Ema = Ema { age_out_value: Some(0.01), burst_multiple: 0.0, ..Ema::of_interval(3_600, 0.5) };

/// How events are sampled.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// One in so many of each key.
    Fixed {
        /// N.
        rate: u32,
    },
    /// One in so many, by an id, as other samplers do; events without an id as `Fixed`.
    Deterministic {
        /// N.
        rate: u32,
        /// What is put after the id: [`REFINERY_SALT`], or nothing for honeytail and the Beelines.
        salt: String,
    },
    /// One in so many on average; of rare keys more than of frequent ones.
    EmaDynamic {
        /// N, on average.
        goal_sample_rate: u32,
        /// How averages are made.
        ema: Ema,
    },
    /// So many a second; of rare keys more than of frequent ones.
    EmaThroughput {
        /// How many are shipped a second, those that are never sampled among them.
        goal_throughput_per_s: f64,
        /// N, until the first interval ends.
        initial_sample_rate: u32,
        /// How averages are made.
        ema: Ema,
    },
    /// So many a month; of rare keys more than of frequent ones. One of each key and hour is shipped beyond that.
    MonthlyBudget {
        /// How many are shipped in a calendar month (UTC), those that are never sampled among them.
        events_per_month: u64,
        /// N, until the first interval ends.
        initial_sample_rate: u32,
        /// How averages are made; see [`Ema::for_budget`].
        ema: Ema,
    },
}

/// How the averages of keys' counts are made: exponential moving averages, over intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ema {
    /// How long an interval is.
    pub adjustment_interval_s: u64,
    /// How much the last interval counts against all before it, in 0..1.
    pub weight: f64,
    /// Keys of a lower average are forgotten; by default that is the weight.
    pub age_out_value: Option<f64>,
    /// Rates are made at once when an interval brings so many times what it should; never if 0.
    pub burst_multiple: f64,
    /// So many intervals pass before bursts are looked for.
    pub burst_detection_delay: u32,
    /// So many keys are known at most; the others are one.
    pub max_keys: usize,
}

impl Default for Ema {
    fn default() -> Self {
        Self::of_interval(15, 0.5)
    }
}

impl Ema {
    /// What suits a month: averages over about an hour, so that traffic in bursts is not taken for a flood, and keys that are
    /// remembered for some hours.
    #[must_use]
    pub const fn for_budget() -> Self {
        Self { age_out_value: Some(1e-5), ..Self::of_interval(60, 1.0 / 60.0) }
    }

    const fn of_interval(adjustment_interval_s: u64, weight: f64) -> Self {
        Self {
            adjustment_interval_s,
            weight,
            age_out_value: None,
            burst_multiple: 2.0,
            burst_detection_delay: 3,
            max_keys: 500,
        }
    }

    fn next(&self, average: f64, count: f64) -> f64 {
        let weight = self.weight.clamp(0.0, 1.0);
        weight * count + (1.0 - weight) * average
    }

    fn age_out(&self) -> f64 {
        self.age_out_value.unwrap_or(self.weight)
    }

    const fn interval_s(&self) -> f64 {
        if self.adjustment_interval_s == 0 { 1.0 } else { self.adjustment_interval_s as f64 }
    }

    /// How many events of an interval are a burst, if so many are usual.
    fn burst(&self, usual: f64) -> f64 {
        if self.burst_multiple > 0.0 && usual > 0.0 { self.burst_multiple * usual } else { f64::INFINITY }
    }
}

/// How a sampler works.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How events are sampled.
    pub method: Method,
    /// Whether the first event of a key is known, and how long a key is not seen before it is new.
    pub first_window_s: Option<u64>,
}

/// What is known of an event before it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The sampling key.
    pub key: &'a [u8],
    /// The value of the field that a deterministic sampler goes by.
    pub id: Option<&'a [u8]>,
    /// How long it took.
    pub duration_ms: Option<f64>,
    /// The wall clock.
    pub now: Timestamp,
}

/// What is decided of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is shipped.
    pub keep: bool,
    /// For how many events it counts if it is: it was kept with a probability of one in so many.
    pub rate: u32,
}

/// A sampler.
#[derive(Debug)]
pub struct Sampler {
    deterministic: Option<Deterministic>,
    keyed: Keyed,
    first: Option<FirstSeen>,
}

impl Sampler {
    /// A sampler that has seen nothing. The seed is another one for each run and sampler, and nobody's business.
    #[must_use]
    pub fn new(settings: &Settings, seed: u64) -> Self {
        let (goal, ema) = match settings.method {
            Method::Fixed { rate } | Method::Deterministic { rate, .. } => (Goal::Fixed(rate.max(1)), FIXED),
            Method::EmaDynamic { goal_sample_rate, ema } => (Goal::SampleRate(goal_sample_rate.max(1)), ema),
            Method::EmaThroughput {
                goal_throughput_per_s: per_s,
                initial_sample_rate: initial_rate,
                ema,
            } => (Goal::Throughput { per_s, initial_rate }, ema),
            Method::MonthlyBudget { events_per_month, initial_sample_rate, ema } => {
                (Goal::month(events_per_month, initial_sample_rate), ema)
            }
        };
        let deterministic = match &settings.method {
            Method::Deterministic { rate, salt } => Some(Deterministic::new(*rate, salt)),
            _ => None,
        };
        let first = settings.first_window_s.map(FirstSeen::new);
        Self { deterministic, keyed: Keyed::new(goal, ema, seed), first }
    }

    /// Whether this event is the first of its key for a window; such events are shipped and counted as spared.
    #[must_use]
    pub fn is_first(&self, key: &[u8], now: Timestamp) -> bool {
        self.first.as_ref().is_some_and(|first| first.is_first(key, now))
    }

    /// Whether an event is kept, and at which rate. Changes nothing, and depends on the time only as commits tell it.
    #[must_use]
    pub fn decide(&self, sample: &Sample<'_>) -> Verdict {
        match self.by_id(sample) {
            Some((rule, id)) => Verdict { keep: rule.keeps(id), rate: rule.rate() },
            None => self.keyed.decide(sample),
        }
    }

    /// Counts an event of which that was decided, be it kept or not.
    pub fn commit(&mut self, sample: &Sample<'_>, verdict: Verdict) {
        self.note(sample.key, sample.now);
        if self.by_id(sample).is_none() {
            self.keyed.commit(sample, verdict);
        }
    }

    /// Counts an event that is shipped in any case, at rate 1.
    pub fn commit_spared(&mut self, key: &[u8], now: Timestamp) {
        self.note(key, now);
        self.keyed.commit_spared(now);
    }

    /// What is worth knowing after a restart.
    #[must_use]
    pub fn save(&self) -> Saved {
        self.keyed.save()
    }

    /// Knows what a sampler knew, as far as its settings, which may have been others, and its own allow.
    pub fn restore(&mut self, saved: Saved) {
        self.keyed.restore(saved);
    }

    fn by_id<'a>(&self, sample: &Sample<'a>) -> Option<(&Deterministic, &'a [u8])> {
        self.deterministic.as_ref().zip(sample.id)
    }

    fn note(&mut self, key: &[u8], now: Timestamp) {
        if let Some(first) = &mut self.first {
            first.note(key, now);
        }
    }
}
