//! What a sampler knows, as it outlives the process.
//!
//! Given by `Sampler::save`, taken by `Sampler::restore`, which believes nothing of it: settings may have changed since,
//! and files can be damaged.

use serde::{Deserialize, Serialize};

/// What a sampler knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// What it knows of each key.
    pub keys: Vec<SavedKey>,
    /// What it knows of all keys that found no room, if there are such.
    pub other: Option<SavedRate>,
    /// How many events a second were never sampled.
    pub spared_per_s: f64,
    /// What was spent of the budget, the current month first.
    pub months: Vec<SavedMonth>,
}

/// What it knows of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedKey {
    /// The key.
    pub key: Vec<u8>,
    /// Its average and rate.
    pub rate: SavedRate,
}

/// An average and what followed from it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedRate {
    /// How many events a second came; so it holds even if the interval is another one.
    pub average_per_s: f64,
    /// The rate at which they were kept.
    pub rate: u32,
}

/// What was spent in a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedMonth {
    /// A time in this month, in nanoseconds since the epoch.
    pub within_ns: i64,
    /// How many events were shipped.
    pub spent: u64,
}
