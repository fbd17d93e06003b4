//! The batcher's task: runs in, compressed parcels out.
//!
//! Seals by size as runs come, by age on a timer that runs only while a batch is open, under budget pressure, and
//! everything when the sources have ended.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    batch::{Batch, Batcher, Run},
    budget::Flow,
    dataset::Datasets,
    deliver::{Packer, Parcel},
    lock::lock,
    spare::Spares,
};

/// How old a batch may be at least while delivery is behind: many small ones would only wait in line.
const AGE_MAX_BEHIND: Duration = Duration::from_secs(10);

/// The batcher and what it needs to hand batches on.
#[derive(Debug)]
pub(super) struct Batching {
    pub(super) batcher: Batcher,
    pub(super) packer: Arc<Packer>,
    /// Delivery takes them at once, whatever it can send; their bytes are reserved, which bounds them.
    pub(super) parcels: mpsc::Sender<Parcel>,
    pub(super) age_max: Duration,
    /// Whether delivery is behind.
    pub(super) behind: watch::Receiver<bool>,
    pub(super) flow: Flow,
    pub(super) datasets: Arc<Mutex<Datasets>>,
    pub(super) spares: Spares,
}

impl Batching {
    /// Batches until all senders of `runs` are gone.
    pub(super) async fn run(mut self, mut runs: mpsc::Receiver<Run>) {
        let mut sealed = Vec::new();
        loop {
            let is_behind = *self.behind.borrow_and_update();
            let age_max = if is_behind { self.age_max.max(AGE_MAX_BEHIND) } else { self.age_max };
            let deadline = self.batcher.deadline(age_max);
            tokio::select! {
                run = runs.recv() => match run {
                    Some(run) => self.batcher.add(run, Instant::now(), |batch| sealed.push(batch)),
                    None => break,
                },
                Ok(()) = self.behind.changed() => {}
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.batcher.seal_old(age_max, Instant::now(), |batch| sealed.push(batch));
                    self.spares.clear();
                }
                () = self.flow.pressed() => {}
            }
            if self.flow.must_seal() && runs.is_empty() && sealed.is_empty() {
                sealed.extend(self.batcher.seal_largest());
            }
            self.pack(&mut sealed).await;
        }
        self.batcher.seal_all(|batch| sealed.push(batch));
        self.pack(&mut sealed).await;
    }

    async fn pack(&self, sealed: &mut Vec<Batch>) {
        for batch in sealed.drain(..) {
            let dataset = lock(&self.datasets).name(batch.key.dataset);
            match self.packer.pack(batch, dataset, self.flow.sealed(), &self.spares) {
                // Delivery ends after the batcher: it takes every parcel.
                Ok(parcel) => drop(self.parcels.send(parcel).await),
                Err(error) => {
                    tracing::error!(%error, "a batch could not be compressed; it stays unacknowledged");
                }
            }
        }
    }
}
