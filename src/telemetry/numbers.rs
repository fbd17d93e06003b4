//! The table of numbers: name, unit, meaning and where each is read. What is shown anywhere is shown from here.
//!
//! Names follow Prometheus' conventions: a unit ends a name, and `_total` ends a counter's; both are added when they are
//! exposed.

use std::sync::atomic::{AtomicU64, Ordering};

use self::Unit::{Bytes, Count, Seconds};
use super::instruments::Readings;

/// What a number does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the start.
    Counter,
    /// It is what it is at the moment.
    Gauge,
}

/// What a number counts, when that is not in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

/// A number.
#[derive(Debug)]
pub struct Number {
    /// Without prefix, unit and `_total`.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// What it does.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
    /// Reads it.
    pub of: fn(&Readings<'_>) -> u64,
}

impl Number {
    /// Its name with its unit: what tells it from all others.
    #[must_use]
    pub fn key(&self) -> String {
        match self.unit {
            Count => self.name.to_owned(),
            Bytes => format!("{}_bytes", self.name),
            Seconds => format!("{}_seconds", self.name),
        }
    }
}

const fn counter(name: &'static str, unit: Unit, help: &'static str, of: fn(&Readings<'_>) -> u64) -> Number {
    Number { name, unit, kind: Kind::Counter, help, of }
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str, of: fn(&Readings<'_>) -> u64) -> Number {
    Number { name, unit, kind: Kind::Gauge, help, of }
}

fn get(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

/// All of them, but for lines by outcome, events by reason, and what is told of each stream.
pub const NUMBERS: &[Number] = &[
    gauge("uptime", Seconds, "since the agent was started", |now| now.uptime_s),
    counter("lines_read", Count, "lines read", |now| now.lines.read),
    counter(
        "lines_recovered",
        Count,
        "lines taken from the spool, from dead letters that are sent again, or from open joins of the run before",
        |now| now.lines.recovered,
    ),
    gauge("lines_open", Count, "lines that have no outcome yet", |now| now.lines.open),
    counter("read", Bytes, "bytes of the lines read", |now| get(&now.metrics.read_bytes)),
    counter("lines_unparsed", Count, "lines shipped as they are, since no parser understood them", |now| {
        get(&now.metrics.unparsed)
    }),
    counter(
        "lines_cut",
        Count,
        "lines over `limits.line_bytes`, of which the beginning was shipped",
        |now| get(&now.metrics.cut),
    ),
    counter(
        "events_truncated",
        Count,
        "events cut to what Honeycomb takes; `meta.truncated` names the fields",
        |now| get(&now.metrics.truncated),
    ),
    counter(
        "fields_overflowed",
        Count,
        "fields put into `field.overflow`, since `[columns]` gives them no column of their own",
        |now| now.book.fields_overflowed(),
    ),
    counter(
        "shapes_overflowed",
        Count,
        "events whose `url.shape` is `/…`, since there are as many as `transform.url_shapes_max` allows",
        |now| now.book.shapes_overflowed(),
    ),
    counter(
        "joins_evicted",
        Count,
        "events of several lines that had to end early, since too many were open",
        |now| get(&now.metrics.evicted),
    ),
    counter("missed", Bytes, "bytes of files that were gone before they could be read", |now| {
        get(&now.metrics.missed_bytes)
    }),
    counter("nul", Bytes, "NULs where a line should begin", |now| get(&now.metrics.nul_bytes)),
    gauge("checkpoints_damaged", Count, "checkpoint files found damaged at the start", |now| {
        get(&now.metrics.damaged_checkpoints)
    }),
    gauge("nats_connected", Count, "connections to NATS", |now| get(&now.metrics.nats_connected)),
    counter("nats_messages_lost", Count, "messages that came faster than they could be taken", |now| {
        get(&now.metrics.nats_lost)
    }),
    counter(
        "nats_silences",
        Count,
        "how often NATS was connected to anew, since nothing had come for long",
        |now| get(&now.metrics.nats_silences),
    ),
    gauge("streams", Count, "files that are followed", |now| now.streams),
    gauge("lag", Bytes, "bytes of files that are followed and have no outcome", |now| now.lag_bytes),
    gauge("lag", Seconds, "for how long the oldest line that was read waits for its outcome", |now| {
        now.lag_s
    }),
    gauge("budget", Bytes, "memory for what is between read and outcome", |now| now.flow.total() as u64),
    gauge("budget_used", Bytes, "how much of it is in use", |now| now.flow.in_use() as u64),
    gauge(
        "batches_waiting",
        Count,
        "sealed batches that wait to be sent, those in the spool included",
        |now| get(&now.metrics.batches_waiting),
    ),
    gauge("requests_in_flight", Count, "requests that wait for their answer", |now| {
        get(&now.metrics.in_flight)
    }),
    gauge(
        "requests_limit",
        Count,
        "how many requests may run at once, as the other end seems to bear",
        |now| get(&now.metrics.concurrency),
    ),
    counter("requests", Count, "requests that were answered or failed", |now| get(&now.metrics.requests)),
    counter("sent", Bytes, "bytes of the bodies sent, as compressed", |now| get(&now.metrics.wire_bytes)),
    counter("splits", Count, "bodies that were not taken as a whole and were halved", |now| {
        get(&now.metrics.splits)
    }),
    gauge("gate_closed", Count, "1 while only a probe is sent, since the other end is out of order", |now| {
        get(&now.metrics.gate_closed)
    }),
    gauge("datasets_held", Count, "datasets that take nothing until a person acts", |now| {
        get(&now.metrics.datasets_held)
    }),
    gauge("held", Bytes, "memory of events that wait for such a dataset", |now| get(&now.metrics.held_bytes)),
    gauge("spool", Bytes, "bytes in the spool", |now| get(&now.metrics.spool_bytes)),
    gauge("spool_age", Seconds, "how old the oldest batch in the spool is", |now| now.spool_age_s),
    counter("spool_batches_damaged", Count, "batches in the spool that were damaged and set aside", |now| {
        get(&now.metrics.spool_damaged)
    }),
    counter("dead_letters_removed", Count, "dead letters removed, since there were too many", |now| {
        get(&now.metrics.dead_letters_removed)
    }),
    gauge("tls_unverified", Count, "1 if certificates are not verified", |now| {
        get(&now.metrics.tls_unverified)
    }),
];
