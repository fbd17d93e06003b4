//! The batcher's task: runs in, compressed parcels out.
//!
//! Seals by size as runs come, by age on a timer that runs only while a batch is open, under budget pressure, and
//! everything when the sources have ended.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::mpsc, time::Instant};

use crate::{
    batch::{Batch, Batcher, Run},
    budget::Flow,
    dataset::Datasets,
    deliver::{Packer, Parcel},
    spare::Spares,
};

/// The batcher and what it needs to hand batches on.
#[derive(Debug)]
pub(super) struct Batching {
    pub(super) batcher: Batcher,
    pub(super) packer: Arc<Packer>,
    pub(super) parcels: mpsc::Sender<Parcel>,
    pub(super) flow: Flow,
    pub(super) datasets: Arc<Mutex<Datasets>>,
    pub(super) spares: Spares,
    /// Parcels that delivery has not taken yet. Their bytes are reserved, which bounds them; a queue with a bound
    /// of its own would make sources wait where they can't look after their files.
    pub(super) queue: VecDeque<Parcel>,
}

impl Batching {
    /// Batches until all senders of `runs` are gone.
    pub(super) async fn run(mut self, mut runs: mpsc::Receiver<Run>) {
        let mut sealed = Vec::new();
        loop {
            // While delivery is behind, batches wait to be full: many small ones would only wait in line.
            let deadline = self.batcher.deadline().filter(|_| self.queue.is_empty());
            tokio::select! {
                run = runs.recv() => match run {
                    Some(run) => self.batcher.add(run, Instant::now(), |batch| sealed.push(batch)),
                    None => break,
                },
                Ok(slot) = self.parcels.reserve(), if !self.queue.is_empty() => {
                    if let Some(parcel) = self.queue.pop_front() {
                        slot.send(parcel);
                    }
                }
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.batcher.seal_old(Instant::now(), |batch| sealed.push(batch));
                    self.spares.clear();
                }
                () = self.flow.pressed() => {}
            }
            if self.flow.must_seal() && runs.is_empty() && sealed.is_empty() {
                sealed.extend(self.batcher.seal_largest());
            }
            self.pack(&mut sealed);
        }
        self.batcher.seal_all(|batch| sealed.push(batch));
        self.pack(&mut sealed);
        for parcel in self.queue {
            // Delivery ends after the batcher: it takes every parcel.
            let _ = self.parcels.send(parcel).await;
        }
    }

    fn pack(&mut self, sealed: &mut Vec<Batch>) {
        for batch in sealed.drain(..) {
            let dataset =
                self.datasets.lock().unwrap_or_else(PoisonError::into_inner).name(batch.key.dataset);
            match self.packer.pack(batch, dataset, self.flow.sealed(), &self.spares) {
                Ok(parcel) => self.queue.push_back(parcel),
                Err(error) => {
                    tracing::error!(%error, "a batch could not be compressed; it stays unacknowledged");
                }
            }
        }
    }
}
