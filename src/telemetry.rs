//! The agent's own logs and numbers.
//!
//! Logs go to stderr: for people on a terminal, as JSON otherwise; `HIVETAIL_LOG` sets the level. Once a minute
//! and at exit a summary says what became of the lines.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicU64, Ordering},
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::ack::Counts;

/// Numbers that are not lines' outcomes; those are in the ledger.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Bytes of lines framed.
    pub read_bytes: AtomicU64,
    /// Lines shipped raw since no parser understood them.
    pub unparsed: AtomicU64,
    /// Lines over the cap, of which only the head was kept.
    pub cut: AtomicU64,
    /// Joins that had to end early, since there were too many.
    pub evicted: AtomicU64,
    /// Bytes of files that were gone before they could be read.
    pub missed_bytes: AtomicU64,
    /// NULs where a line should begin.
    pub nul_bytes: AtomicU64,
    /// Checkpoint files that were damaged.
    pub damaged_checkpoints: AtomicU64,
    /// Requests answered or failed.
    pub requests: AtomicU64,
    /// Events that had to be sent again, each time counted.
    pub retried: AtomicU64,
    /// Compressed bytes of bodies sent.
    pub wire_bytes: AtomicU64,
    /// Bodies that were not taken as a whole and were halved.
    pub splits: AtomicU64,
    /// Sealed batches that wait to be sent, at the moment.
    pub batches_waiting: AtomicU64,
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
}

impl Metrics {
    /// Logs how things stand.
    pub fn log_summary(&self, counts: &Counts) {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        tracing::info!(
            read = counts.read,
            accepted = counts.accepted,
            joined = counts.joined,
            recovered = counts.recovered,
            unparsed = get(&self.unparsed),
            blank = counts.blank,
            cut = get(&self.cut),
            evicted = get(&self.evicted),
            missed_bytes = get(&self.missed_bytes),
            nul_bytes = get(&self.nul_bytes),
            damaged_checkpoints = get(&self.damaged_checkpoints),
            dead_lettered = counts.dead_lettered,
            dead_letters_removed = get(&self.dead_letters_removed),
            refused = counts.refused,
            spooled = counts.spooled,
            spool_bytes = get(&self.spool_bytes),
            spool_damaged = get(&self.spool_damaged),
            dropped_from_spool = counts.spool_dropped,
            dropped_at_shutdown = counts.shutdown,
            open = counts.open,
            retried = get(&self.retried),
            requests = get(&self.requests),
            read_bytes = get(&self.read_bytes),
            wire_bytes = get(&self.wire_bytes),
            splits = get(&self.splits),
            batches_waiting = get(&self.batches_waiting),
            datasets_held = get(&self.datasets_held),
            held_bytes = get(&self.held_bytes),
            gate_closed = get(&self.gate_closed),
            tls_unverified = get(&self.tls_unverified),
            concurrency = get(&self.concurrency),
            "summary"
        );
    }
}

/// Starts logging. `level` is `HIVETAIL_LOG`: a level, or levels by module as in `hivetail=debug,hyper=warn`.
/// Answers what is wrong with it, to be said once logging works.
pub fn init(level: Option<&str>) -> Option<String> {
    let default =
        || Targets::new().with_default(LevelFilter::WARN).with_target("hivetail", LevelFilter::INFO);
    let (targets, complaint) = match level.filter(|level| !level.trim().is_empty()).map(str::parse::<Targets>)
    {
        Some(Ok(targets)) => (targets, None),
        Some(Err(error)) => (default(), Some(error.to_string())),
        None => (default(), None),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(targets);
    // A second call, as from tests, leaves the first in place.
    let _ = if std::io::stderr().is_terminal() {
        registry.with(layer.with_target(false)).try_init()
    } else {
        registry.with(layer.json().flatten_event(true).with_current_span(false)).try_init()
    };
    complaint
}
