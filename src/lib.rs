//! # hivetail: logs in, wide events at Honeycomb, nothing lost
//!
//! The life of a line, in the order of the modules below:
//!
//! ```text
//! source ─► frame ─► pass: envelope ─► join lines ─► parse ─► join requests ─► transform ─► encode ─►
//!                    batch ─► deliver ─► ack ─► checkpoint
//! ```
//!
//! A [`source`] reads a chunk, [`frame`] cuts it into lines, one synchronous [`pass`] opens each line's envelope,
//! parses it (crate `hivetail-parsers`), lets rules change, drop or sample it ([`transform`]) and [`encode`]s it straight into the bytes of a run for its [`dataset`].
//! Runs are concatenated to a [`batch`], which is compressed when it is sealed and delivered ([`deliver`]) until
//! each event has a verdict. The ledger ([`ack`]) knows which positions are decided, the [`checkpoint`] outlives
//! the process, and one byte [`budget`] bounds all that is between read and outcome.
//!
//! Time and randomness are arguments; I/O lives in the sources, the HTTP client and the checkpoint file.
//! [`pipeline`] is the only module that knows all stages.

#![forbid(unsafe_code)]

/// The agent's version; a release's with its commit, as `release/build` sets it.
pub const VERSION: &str = match option_env!("HIVETAIL_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

pub mod pipeline;

pub mod source;

pub mod frame;

pub mod pass;

pub mod join;

pub mod transform;

pub mod encode;

pub mod dataset;

pub mod batch;

pub mod deliver;

pub mod dead_letter;

pub mod spool;

pub mod ack;

pub mod checkpoint;

pub mod budget;

pub mod spare;

pub mod clock;

mod durable;

mod lock;

pub mod api_key;

pub mod cli;

pub mod config;

pub mod nginx_conf;

pub mod shutdown;

pub mod telemetry;

pub mod admin;

pub mod pulse;

pub mod service;
