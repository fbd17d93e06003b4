//! The batcher's task: runs in, compressed parcels out.
//!
//! Seals by size as runs come, by age on a timer that runs only while a batch is open, under budget pressure, and
//! everything when the sources have ended.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{sync::mpsc, time::Instant};

use crate::{
    batch::{Batch, Batcher, Run},
    budget::Flow,
    dataset::Datasets,
    deliver::{Parcel, compress::Compressor},
    spare::Spares,
};

/// The batcher and what it needs to hand batches on.
#[derive(Debug)]
pub(super) struct Batching {
    pub(super) batcher: Batcher,
    pub(super) compressor: Compressor,
    pub(super) parcels: mpsc::Sender<Parcel>,
    pub(super) flow: Flow,
    pub(super) datasets: Arc<Mutex<Datasets>>,
    pub(super) spares: Spares,
}

impl Batching {
    /// Batches until all senders of `runs` are gone.
    pub(super) async fn run(mut self, mut runs: mpsc::Receiver<Run>) {
        let mut sealed = Vec::new();
        loop {
            let deadline = self.batcher.deadline();
            tokio::select! {
                run = runs.recv() => match run {
                    Some(run) => self.batcher.add(run, Instant::now(), |batch| sealed.push(batch)),
                    None => break,
                },
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.batcher.seal_old(Instant::now(), |batch| sealed.push(batch));
                    self.spares.clear();
                }
                () = self.flow.pressed() => {}
            }
            self.send(&mut sealed).await;
            if self.flow.must_seal() && runs.is_empty() {
                sealed.extend(self.batcher.seal_largest());
                self.send(&mut sealed).await;
            }
        }
        self.batcher.seal_all(|batch| sealed.push(batch));
        self.send(&mut sealed).await;
    }

    async fn send(&mut self, sealed: &mut Vec<Batch>) {
        for batch in sealed.drain(..) {
            let dataset =
                self.datasets.lock().unwrap_or_else(PoisonError::into_inner).name(batch.key.dataset);
            match Parcel::pack(batch, dataset, self.flow.sealed(), &mut self.compressor, &self.spares) {
                // Delivery ends after the batcher: it takes every parcel.
                Ok(parcel) => drop(self.parcels.send(parcel).await),
                Err(error) => {
                    tracing::error!(%error, "a batch could not be compressed; it stays unacknowledged");
                }
            }
        }
    }
}
