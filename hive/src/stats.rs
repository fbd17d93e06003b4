//! The receiver's counters since it started, and waiting for them to reach a number.
//!
//! The counters live in a watch channel, so that a change wakes those who wait and nobody polls. They only
//! grow. What they count is stored, or refused, before the counter moves: whoever sees the number sees the
//! events.

use serde::Serialize;
use tokio::sync::watch;

/// What a receiver has seen since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests with events begun, batches and single ones, those met by a fault or refused included.
    pub requests: u64,
    /// Events accepted with 202, those whose answer a fault withheld included.
    pub events_accepted: u64,
    /// Events refused one by one inside a batch. Events of a request refused as a whole are not known and not
    /// counted.
    pub events_refused: u64,
    /// Bytes of batch bodies as they came over the wire, refused ones included.
    pub body_bytes: u64,
    /// Bytes of batch bodies after decompression; only bodies read to their end count.
    pub body_bytes_uncompressed: u64,
    /// Accepted values longer than the 65,535 bytes that Honeycomb keeps: strings, and nested values as the
    /// JSON text they would be stored as. Always 0 in sink mode, which does not look inside events.
    pub strings_overlong: u64,
    /// Datasets that hold or held events. Always 0 in sink mode.
    pub datasets: u64,
}

/// The counters as the receiver holds them.
pub(crate) struct Counters(watch::Sender<Stats>);

impl Counters {
    pub(crate) fn new() -> Counters {
        Counters(watch::Sender::new(Stats::default()))
    }

    pub(crate) fn read(&self) -> Stats {
        *self.0.borrow()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Stats)) {
        self.0.send_modify(change);
    }

    /// Resolves once `reached` holds, at once if it holds already.
    pub(crate) async fn wait_for(&self, mut reached: impl FnMut(&Stats) -> bool) {
        // An error would mean that the sender is gone, and `self` holds it.
        self.0.subscribe().wait_for(|stats| reached(stats)).await.ok();
    }
}
