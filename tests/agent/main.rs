//! The agent against `hive`: delivery, tailing, restart, shutdown, configuration, corpora, the command line.
//!
//! One binary, so that it is linked once. Most tests run the pipeline in process; a few run the real command and
//! kill it. Each ends by checking that every line read has exactly one outcome.

#![forbid(unsafe_code)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod admin;
mod changes;
mod cli;
mod commands;
mod config;
mod corpus;
mod delivery;
mod documents;
mod explain;
mod hostile;
mod interleavings;
mod joins;
mod journald;
mod kubernetes;
mod manifests;
mod nats;
mod refusals;
mod reload;
mod restart;
mod rotation;
mod shutdown;
mod soak;
mod spool;
mod support;
mod systemd;
mod tailing;
mod transform;
