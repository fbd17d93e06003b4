//! **hive**: a local Honeycomb. It takes batches of events over the Events API, answers as Honeycomb answers,
//! keeps the newest events in memory and shows them on a plain page.
//!
//! It serves three users: a person who develops an agent (`hive`, then a browser), a benchmark (`hive --sink`,
//! which counts events and stores none), and a test, which runs a [`Hive`] inside its own process and scripts
//! its [`Fault`]s.
//!
//! # Layout
//!
//! - `handle`: [`Hive`], the running receiver as a caller holds it, and its [`Options`].
//! - `shared`: the state behind it. `store` keeps events, `stats` counts, `fault` holds the script.
//! - `connection`: accepts connections and cuts the ones a fault wants cut.
//! - `routes`: the table of paths; `auth`, `batch` and `view` answer them, and `control`, which takes faults over HTTP.
//! - `body`: reads a request body and decompresses it under a cap.
//! - `batch::judge`: decides event by event; `event_time` reads their times.
//! - `limits` and `refusal`: Honeycomb's numbers and texts, each in one place.
//!
//! # Invariants
//!
//! - Every buffer has a bound: bodies, stored events, connections, datasets.
//! - An answer to a batch holds one status per event, in the order of the events, unless a fault was scripted.
//! - API keys are checked for presence and never kept or shown.

#![forbid(unsafe_code)]

mod auth;
mod batch;
mod body;
mod connection;
mod control;
mod event_time;
mod fault;
mod handle;
mod limits;
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
