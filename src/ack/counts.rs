//! The counts: every line's one outcome, since the process began.
//!
//! Invariant: what goes in equals what came out and what is open ([`Counts::balance`]).

use serde::{Deserialize, Serialize};

/// What becomes of an event's line at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Honeycomb said 202.
    Accepted,
    /// Honeycomb refused it for good, and it is kept with the reason.
    DeadLettered,
    /// Honeycomb refused it for good, and there is no state directory to keep it in.
    Refused,
    /// A rule dropped it.
    Filtered,
    /// A sampler left it to others to stand for it.
    Sampled,
    /// It is in the spool, and will be counted again when it is taken from there.
    Spooled,
    /// It was removed from the spool to make room.
    SpoolDropped,
    /// The agent stopped before it could be delivered, and its input can't be read again.
    Shutdown,
}

/// Every line's one outcome, since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Lines framed.
    pub read: u64,
    /// Lines taken from the spool or a join's held ranges at start.
    pub recovered: u64,
    /// Lines whose event was accepted.
    pub accepted: u64,
    /// Lines whose event a rule dropped.
    pub filtered: u64,
    /// Lines whose event a sampler left out: others stand for it, with their `samplerate`.
    pub sampled: u64,
    /// Lines that became part of another line's event, which is decided.
    pub joined: u64,
    /// Lines with nothing in them.
    pub blank: u64,
    /// Lines whose event was refused for good and is kept as a dead letter.
    pub dead_lettered: u64,
    /// Lines whose event was refused for good and could not be kept: `dropped{refused}`.
    pub refused: u64,
    /// Lines whose event is in the spool.
    pub spooled: u64,
    /// Lines whose event was removed from the spool to make room: `dropped{spool_full}`.
    pub spool_dropped: u64,
    /// Lines lost at shutdown, their input being gone: `dropped{shutdown}`.
    pub shutdown: u64,
    /// Lines whose event has no outcome yet.
    pub open: u64,
}

impl Counts {
    /// What goes in minus what came out; always 0.
    #[must_use]
    pub fn balance(&self) -> i128 {
        let input = i128::from(self.read) + i128::from(self.recovered);
        let decided: i128 = self.outcomes().into_iter().map(|(_, count)| i128::from(count)).sum();
        input - decided - i128::from(self.open)
    }

    /// The outcomes by name, as metrics show them.
    #[must_use]
    pub const fn outcomes(&self) -> [(&'static str, u64); 10] {
        [
            ("accepted", self.accepted),
            ("dead_lettered", self.dead_lettered),
            ("filtered", self.filtered),
            ("sampled", self.sampled),
            ("joined", self.joined),
            ("blank", self.blank),
            ("spooled", self.spooled),
            ("dropped_refused", self.refused),
            ("dropped_spool_full", self.spool_dropped),
            ("dropped_shutdown", self.shutdown),
        ]
    }
}

impl Counts {
    pub(super) const fn of(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Accepted => &mut self.accepted,
            Outcome::DeadLettered => &mut self.dead_lettered,
            Outcome::Refused => &mut self.refused,
            Outcome::Filtered => &mut self.filtered,
            Outcome::Sampled => &mut self.sampled,
            Outcome::Spooled => &mut self.spooled,
            Outcome::SpoolDropped => &mut self.spool_dropped,
            Outcome::Shutdown => &mut self.shutdown,
        }
    }
}
