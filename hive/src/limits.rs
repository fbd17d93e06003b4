//! The limits of the receiver, as constants with units: first Honeycomb's own, then those that bound this
//! process. Every module that refuses or drops something takes its number from here.
//!
//! Sources of Honeycomb's numbers: its Events API reference (event size, fields, strings, names) and its own
//! open clients libhoney and Refinery (batch size), which cut their batches there.

use jiff::SignedDuration;

/// Largest batch body, in bytes after decompression.
pub(crate) const BODY_BYTES_MAX: usize = 5_000_000;

/// Largest single event as written in the batch, in bytes, envelope included.
pub(crate) const EVENT_BYTES_MAX: usize = 1_000_000;

/// Most fields in the data of one event.
pub(crate) const FIELDS_MAX: usize = 2_000;

/// Longest string value in bytes. Longer ones are accepted here and counted, since the sender should have cut
/// them.
pub(crate) const STRING_BYTES_MAX: usize = 65_535;

/// Longest dataset name in characters.
pub(crate) const DATASET_CHARS_MAX: usize = 255;

/// How far in the future an event's time may lie before receipt time replaces it.
pub(crate) const FUTURE_MAX: SignedDuration = SignedDuration::from_secs(3_600);

/// Largest body on the wire, in bytes. Compression of an incompressible body adds a few bytes per block; the
/// 64 KiB above [`BODY_BYTES_MAX`] are room for that.
pub(crate) const WIRE_BYTES_MAX: u64 = 5_065_536;

/// How much of a refused body is still read and thrown away, in bytes. Answering while the client is still
/// writing would reset the connection under the answer; above this bound it is reset anyway.
pub(crate) const DRAIN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Largest zstd window accepted, as a power of two: 8 MiB, what RFC 8878 asks every decoder to support, and
/// more than a body can use.
pub(crate) const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Most datasets the store distinguishes. Honeycomb has such a cap and does not publish it.
pub(crate) const DATASETS_MAX: usize = 10_000;

/// Most connections served at a time; further ones wait in the listen queue.
pub(crate) const CONNECTIONS_MAX: usize = 1_024;

/// Events shown on the page, and by `/events` when no limit is asked for.
pub(crate) const EVENTS_SHOWN: usize = 50;

/// Most events in one answer of `/events`.
pub(crate) const EVENTS_LISTED_MAX: usize = 1_000;

/// Longest field value on the page, in characters; `/events` gives values in full.
pub(crate) const VALUE_CHARS_SHOWN: usize = 2_000;
