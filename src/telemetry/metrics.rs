//! Numbers that are not lines' outcomes, which are in the ledger: counted where things happen, read by whoever asks.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, atomic::AtomicU64},
};

use hivetail_parsers::Timestamp;

use crate::lock::lock;

/// How many reasons are told apart; all beyond are `other`.
const REASONS_MAX: usize = 32;

/// What the stages count.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Bytes of lines framed.
    pub read_bytes: AtomicU64,
    /// Lines shipped raw since no parser understood them.
    pub unparsed: AtomicU64,
    /// Lines over the cap, of which only the head was kept.
    pub cut: AtomicU64,
    /// Events that were cut to what Honeycomb takes.
    pub truncated: AtomicU64,
    /// Joins that had to end early, since there were too many.
    pub evicted: AtomicU64,
    /// Bytes of files that were gone before they could be read.
    pub missed_bytes: AtomicU64,
    /// NULs where a line should begin.
    pub nul_bytes: AtomicU64,
    /// Checkpoint files that were damaged.
    pub damaged_checkpoints: AtomicU64,
    /// Connections to NATS, at the moment.
    pub nats_connected: AtomicU64,
    /// Messages that came faster than they could be taken.
    pub nats_lost: AtomicU64,
    /// How often a connection was made anew since nothing had come for long.
    pub nats_silences: AtomicU64,
    /// Requests answered or failed.
    pub requests: AtomicU64,
    /// Events that had to be sent again, each time counted, by what was the cause.
    pub retried: ByReason,
    /// Events refused for good, by the status they were refused with.
    pub refused: ByReason,
    /// Compressed bytes of bodies sent.
    pub wire_bytes: AtomicU64,
    /// Bodies that were not taken as a whole and were halved.
    pub splits: AtomicU64,
    /// Sealed batches that wait to be sent, at the moment.
    pub batches_waiting: AtomicU64,
    /// Requests under way, at the moment.
    pub in_flight: AtomicU64,
    /// Datasets that take nothing until a person acts, at the moment.
    pub datasets_held: AtomicU64,
    /// Flow bytes of events that wait for such datasets, at the moment.
    pub held_bytes: AtomicU64,
    /// 1 while nothing but a probe is sent, since the other end is out of order.
    pub gate_closed: AtomicU64,
    /// How many requests may run at once, at the moment.
    pub concurrency: AtomicU64,
    /// 1 if certificates are not verified.
    pub tls_unverified: AtomicU64,
    /// Bytes in the spool, at the moment.
    pub spool_bytes: AtomicU64,
    /// Batches in the spool that were damaged and set aside.
    pub spool_damaged: AtomicU64,
    /// Events among the dead letters that were removed, since there were too many.
    pub dead_letters_removed: AtomicU64,
    /// How delivery fares.
    pub trouble: Trouble,
}

/// A number for each of a few reasons.
#[derive(Debug, Default)]
pub struct ByReason(Mutex<BTreeMap<String, u64>>);

impl ByReason {
    fn numbers(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        lock(&self.0)
    }

    /// Counts.
    pub fn add(&self, reason: &str, count: u64) {
        let mut numbers = self.numbers();
        let is_known = numbers.contains_key(reason) || numbers.len() < REASONS_MAX;
        *numbers.entry(if is_known { reason } else { "other" }.to_owned()).or_default() += count;
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.numbers().clone()
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.numbers().values().sum()
    }
}

/// Since when there is something to send, when something was taken last, and why nothing is.
#[derive(Debug, Default)]
pub struct Trouble(Mutex<Fares>);

#[derive(Clone, Debug, Default)]
struct Fares {
    busy_since: Option<Timestamp>,
    taken_at: Option<Timestamp>,
    reason: Option<String>,
}

impl Trouble {
    fn fares(&self) -> MutexGuard<'_, Fares> {
        lock(&self.0)
    }

    /// There is something to send, or nothing any more.
    pub fn set_busy(&self, is_busy: bool, now: impl FnOnce() -> Timestamp) {
        let mut fares = self.fares();
        match (is_busy, fares.busy_since) {
            (true, None) => fares.busy_since = Some(now()),
            (false, Some(_)) => fares.busy_since = None,
            _ => {}
        }
    }

    /// Events were taken.
    pub fn end(&self, now: Timestamp) {
        let mut fares = self.fares();
        fares.taken_at = Some(now);
        fares.reason = None;
    }

    /// Nothing was taken, for that reason.
    pub fn set(&self, reason: &str) {
        self.fares().reason = Some(reason.to_owned());
    }

    /// Why nothing was taken last, if that is how it is.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.fares().reason.clone()
    }

    /// Since when nothing was taken though there was something to send.
    #[must_use]
    pub fn stuck_since(&self) -> Option<Timestamp> {
        let fares = self.fares();
        fares.busy_since.map(|busy| fares.taken_at.map_or(busy, |taken| taken.max(busy)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_beyond_some_are_one() {
        let numbers = ByReason::default();
        for status in 0..100 {
            numbers.add(&status.to_string(), 2);
        }
        numbers.add("1", 1);
        let all = numbers.all();
        assert_eq!((all["1"], all["other"], all.len()), (3, 136, REASONS_MAX + 1));
        assert_eq!(numbers.sum(), 201);
    }

    #[test]
    fn who_has_nothing_to_send_is_not_stuck() {
        let at = |s: i64| Timestamp::from_ns(s);
        let trouble = Trouble::default();
        assert_eq!(trouble.stuck_since(), None);
        trouble.set_busy(true, || at(5));
        trouble.set_busy(true, || at(6));
        assert_eq!(trouble.stuck_since(), Some(at(5)));
        trouble.end(at(7));
        assert_eq!(trouble.stuck_since(), Some(at(7)));
        trouble.set_busy(false, || at(8));
        assert_eq!(trouble.stuck_since(), None);
        trouble.set_busy(true, || at(9));
        assert_eq!(trouble.stuck_since(), Some(at(9)), "what was taken before does not count");
    }
}
