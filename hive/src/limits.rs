//! The limits of the receiver, as constants with units: first Honeycomb's own, then those that bound this
//! process. Every module that refuses or drops something takes its number from here.
//!
//! Sources of Honeycomb's numbers: its Events API reference (event size, fields, strings, names) and its own
//! open clients libhoney and Refinery (batch size), which cut their batches there.

use std::time::Duration;

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

/// Events listed by `/events` when no limit is asked for.
pub(crate) const EVENTS_LISTED_DEFAULT: usize = 50;

/// Events in full on a page of a query.
pub(crate) const EVENTS_ON_PAGE: usize = 100;

/// Names of columns that the query form suggests.
pub(crate) const COLUMNS_SUGGESTED_MAX: usize = 1_000;

/// Most events in one answer of `/events`, or of one trace.
pub(crate) const EVENTS_LISTED_MAX: usize = 1_000;

/// Longest field value on the page, in characters; `/events` gives values in full.
pub(crate) const VALUE_CHARS_SHOWN: usize = 2_000;

/// Largest body of a query that is kept, in bytes, as Honeycomb has it for all of its management API.
pub(crate) const QUERY_BYTES_MAX: usize = 100_000;

/// Longest column name of a query in characters, as of a column created over Honeycomb's API.
pub(crate) const COLUMN_CHARS_MAX: usize = 255;

/// Most breakdowns of a query.
pub(crate) const BREAKDOWNS_MAX: usize = 10;

/// Most calculations of a query.
pub(crate) const CALCULATIONS_MAX: usize = 20;

/// Most filters of a query. This one is Honeycomb's.
pub(crate) const FILTERS_MAX: usize = 100;

/// Most values of an `in` filter.
pub(crate) const FILTER_VALUES_MAX: usize = 1_000;

/// Longest value of a filter, in bytes.
pub(crate) const FILTER_BYTES_MAX: usize = 10_000;

/// Groups in a result, if the query does not say how many. This one and the next three are Honeycomb's.
pub(crate) const RESULTS_DEFAULT: usize = 100;

/// Most groups in a result.
pub(crate) const RESULTS_MAX: usize = 1_000;

/// Range of a query in seconds, if the query has none: two hours.
pub(crate) const TIME_RANGE_DEFAULT: i64 = 7_200;

/// Most buckets of a time series.
pub(crate) const BUCKETS_MAX: i64 = 1_000;

/// Most groups a query tells apart before it sorts and cuts them; a query of more is refused.
pub(crate) const GROUPS_MAX: usize = 100_000;

/// The longest a query may take, as at Honeycomb.
pub(crate) const QUERY_TIME_MAX: Duration = Duration::from_secs(10);

/// Most queries answered at a time; further ones wait.
pub(crate) const QUERIES_AT_ONCE: usize = 2;

/// Most queries, and most results, that are remembered for their ids; the oldest are forgotten beyond it.
pub(crate) const QUERIES_KEPT: usize = 1_000;

/// Most columns in a listing.
pub(crate) const COLUMNS_LISTED_MAX: usize = 10_000;
