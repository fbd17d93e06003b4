//! **hive**: a local Honeycomb. It takes batches of events over the Events API, answers as Honeycomb answers,
//! keeps the newest events in memory and answers questions about them, on pages and as Honeycomb's JSON.
//!
//! It serves three users: a person who develops an agent (`hive`, then a browser), a benchmark (`hive --sink`,
//! which counts events and stores none), and a test, which runs a [`Hive`] inside its own process and scripts
//! its [`Fault`]s.
//!
//! # Layout
//!
//! - `handle`: [`Hive`], the running receiver as a caller holds it, and its [`Options`].
//! - `shared`: the state behind it. `store` keeps events, `stats` counts, `fault` holds the script.
//! - `store`: events as JSON text in segments (`store::segment`) that have a column of `store::cells` per field.
//! - `query`: questions in Honeycomb's terms, answered from a `store::snapshot`.
//! - `connection`: accepts connections and cuts the ones a fault wants cut.
//! - `routes`: the table of paths. `auth`, `batch`, `event` and `api` answer those of Honeycomb; `view`, the pages for
//!   people, and `control`, which takes faults, are hive's own. `host` refuses what comes from other sites.
//! - `body`: reads a request body and decompresses it under a cap.
//! - `batch::judge`: decides event by event; `event_time` reads their times.
//! - `limits` and `refusal`: Honeycomb's numbers and texts, each in one place.
//!
//! # Invariants
//!
//! - Every buffer has a bound: bodies, stored events, connections, datasets, queries and what they remember.
//! - A query holds no lock while it runs, and ends at a deadline.
//! - An answer to a batch holds one status per event, in the order of the events, unless a fault was scripted.
//! - API keys are checked for presence and never kept or shown.

#![forbid(unsafe_code)]

mod api;
mod auth;
mod batch;
mod body;
mod connection;
mod control;
mod event;
mod event_time;
mod fault;
mod handle;
mod host;
mod limits;
mod query;
mod refusal;
mod routes;
mod shared;
mod stats;
mod store;
mod view;

pub use fault::Fault;
pub use handle::{Hive, Options};
pub use stats::Stats;
pub use store::Event;
