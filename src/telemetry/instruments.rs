//! The instruments: where all numbers are read, at one moment.
//!
//! Takes the places where things are counted, gives a [`Snapshot`], which the summary, the admin endpoint and `hivetail
//! status` all show.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use hivetail_parsers::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Metrics, numbers::NUMBERS};
use crate::{
    ack::{Counts, SharedLedger},
    budget::Flow,
    checkpoint::{Register, StreamState},
    clock::Clock,
    spool::Spool,
    transform::Book,
};

/// So many streams are told one by one: those that are behind most.
const STREAMS_MAX: usize = 1_000;
const NS_PER_S: i64 = 1_000_000_000;

/// Where things are counted.
#[derive(Clone, Debug)]
pub struct Instruments {
    /// Lines' outcomes.
    pub ledger: Arc<SharedLedger>,
    /// All else.
    pub metrics: Arc<Metrics>,
    /// Rules.
    pub book: Arc<Book>,
    /// The files.
    pub register: Arc<Register>,
    /// The byte budget.
    pub flow: Flow,
    /// What waits on the disk.
    pub spool: Option<Arc<Spool>>,
    /// When it is.
    pub clock: Clock,
    /// When the agent was started.
    pub started: Timestamp,
}

/// All numbers at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The agent's version.
    pub version: String,
    /// What became of the lines.
    pub lines: Counts,
    /// Each of [`NUMBERS`] by its name.
    pub numbers: BTreeMap<String, u64>,
    /// Events that had to be sent again, by the cause.
    pub retried: BTreeMap<String, u64>,
    /// Events refused for good, by the status.
    pub refused: BTreeMap<String, u64>,
    /// Events that each rule was for, by what became of them.
    #[serde(default)]
    pub rules: BTreeMap<String, BTreeMap<String, u64>>,
    /// Events that each redaction rule has changed.
    #[serde(default)]
    pub redactions: BTreeMap<String, u64>,
    /// The files, those that are behind most first.
    pub streams: Vec<StreamState>,
    /// Why nothing was taken last, if nothing was.
    pub trouble: Option<String>,
    /// For how many seconds nothing was taken though there was something to send.
    pub stuck_s: Option<u64>,
}

/// What numbers are made of.
#[derive(Debug)]
pub struct Readings<'a> {
    /// Where most are.
    pub metrics: &'a Metrics,
    /// Rules.
    pub book: &'a Book,
    /// Lines' outcomes.
    pub lines: Counts,
    /// The byte budget.
    pub flow: &'a Flow,
    /// How many files are followed.
    pub streams: u64,
    /// How many bytes of them are not decided.
    pub lag_bytes: u64,
    /// How long the oldest line waits for its outcome, in seconds.
    pub lag_s: u64,
    /// How old the oldest batch in the spool is, in seconds.
    pub spool_age_s: u64,
    /// For how long the agent runs, in seconds.
    pub uptime_s: u64,
}

impl Instruments {
    /// Reads all of them.
    #[must_use]
    pub fn read(&self) -> Snapshot {
        let now = self.clock.now();
        let age = |since: Timestamp| u64::try_from((now.ns() - since.ns()) / NS_PER_S).unwrap_or(0);
        let (lines, oldest) = self.ledger.read(|ledger| (ledger.counts(), ledger.oldest_open()));
        let mut streams: Vec<StreamState> = self.register.streams(&self.ledger, age);
        streams.sort_by(|one, other| (other.lag_bytes, &one.path).cmp(&(one.lag_bytes, &other.path)));
        let readings = Readings {
            metrics: &self.metrics,
            book: &self.book,
            lines,
            flow: &self.flow,
            streams: streams.len() as u64,
            lag_bytes: streams.iter().map(|stream| stream.lag_bytes).sum(),
            lag_s: oldest.map_or(0, age),
            spool_age_s: self.spool.as_ref().and_then(|spool| spool.oldest()).map_or(0, age),
            uptime_s: age(self.started),
        };
        let numbers = NUMBERS.iter().map(|number| (number.key(), (number.of)(&readings))).collect();
        streams.truncate(STREAMS_MAX);
        Snapshot {
            version: crate::VERSION.to_owned(),
            lines,
            numbers,
            retried: self.metrics.retried.all(),
            refused: self.metrics.refused.all(),
            rules: self.book.tallies(),
            redactions: self.book.redactions(),
            streams,
            trouble: self.metrics.trouble.reason(),
            stuck_s: self.metrics.trouble.stuck_since().map(age),
        }
    }

    /// Logs how things stand.
    pub fn log_summary(&self) {
        let counts = self.ledger.read(crate::ack::Ledger::counts);
        let metrics = &*self.metrics;
        let get = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
        tracing::info!(
            read = counts.read,
            accepted = counts.accepted,
            filtered = counts.filtered,
            sampled = counts.sampled,
            joined = counts.joined,
            recovered = counts.recovered,
            unparsed = get(&metrics.unparsed),
            blank = counts.blank,
            cut = get(&metrics.cut),
            truncated = get(&metrics.truncated),
            fields_overflowed = self.book.fields_overflowed(),
            shapes_overflowed = self.book.shapes_overflowed(),
            evicted = get(&metrics.evicted),
            missed_bytes = get(&metrics.missed_bytes),
            nul_bytes = get(&metrics.nul_bytes),
            nats_lost = get(&metrics.nats_lost),
            damaged_checkpoints = get(&metrics.damaged_checkpoints),
            dead_lettered = counts.dead_lettered,
            dead_letters_removed = get(&metrics.dead_letters_removed),
            refused = counts.refused,
            spooled = counts.spooled,
            spool_bytes = get(&metrics.spool_bytes),
            spool_damaged = get(&metrics.spool_damaged),
            dropped_from_spool = counts.spool_dropped,
            dropped_at_shutdown = counts.shutdown,
            open = counts.open,
            retried = metrics.retried.sum(),
            requests = get(&metrics.requests),
            read_bytes = get(&metrics.read_bytes),
            wire_bytes = get(&metrics.wire_bytes),
            splits = get(&metrics.splits),
            batches_waiting = get(&metrics.batches_waiting),
            datasets_held = get(&metrics.datasets_held),
            held_bytes = get(&metrics.held_bytes),
            gate_closed = get(&metrics.gate_closed),
            tls_unverified = get(&metrics.tls_unverified),
            concurrency = get(&metrics.concurrency),
            "summary"
        );
    }
}
