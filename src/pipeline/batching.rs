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
};

/// Batches until all senders of `runs` are gone.
pub(super) async fn run(
    mut batcher: Batcher,
    mut compressor: Compressor,
    mut runs: mpsc::Receiver<Run>,
    parcels: mpsc::Sender<Parcel>,
    flow: Flow,
    datasets: Arc<Mutex<Datasets>>,
) {
    let mut sealed = Vec::new();
    loop {
        let deadline = batcher.deadline();
        tokio::select! {
            run = runs.recv() => match run {
                Some(run) => batcher.add(run, Instant::now(), |batch| sealed.push(batch)),
                None => break,
            },
            () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                batcher.seal_old(Instant::now(), |batch| sealed.push(batch));
            }
            () = flow.pressed() => {}
        }
        send(&mut sealed, &mut compressor, &parcels, &flow, &datasets).await;
        if flow.must_seal() && runs.is_empty() {
            sealed.extend(batcher.seal_largest());
            send(&mut sealed, &mut compressor, &parcels, &flow, &datasets).await;
        }
    }
    batcher.seal_all(|batch| sealed.push(batch));
    send(&mut sealed, &mut compressor, &parcels, &flow, &datasets).await;
}

async fn send(
    sealed: &mut Vec<Batch>,
    compressor: &mut Compressor,
    parcels: &mpsc::Sender<Parcel>,
    flow: &Flow,
    datasets: &Mutex<Datasets>,
) {
    for batch in sealed.drain(..) {
        let dataset = datasets.lock().unwrap_or_else(PoisonError::into_inner).name(batch.key.dataset);
        match Parcel::pack(batch, dataset, flow.sealed(), compressor) {
            // Delivery ends after the batcher: it takes every parcel.
            Ok(parcel) => drop(parcels.send(parcel).await),
            Err(error) => tracing::error!(%error, "a batch could not be compressed; it stays unacknowledged"),
        }
    }
}
