//! Setting up delivery: the client, the spool with what an earlier process has left in it, and dead letters.

use std::sync::{Arc, atomic::Ordering};

use tokio::sync::watch;

use super::{Job, Shared, StartError};
use crate::{
    dead_letter::DeadLetters,
    deliver::{
        Courier, Desk, KeyWatch, Packer,
        client::{Client, ClientError, Settings},
        holds::Holder,
        shelf::Shelf,
    },
    spool::{self, Item, Spool},
    telemetry::Metrics,
};

/// Delivery, ready to run.
pub(super) struct Delivery {
    pub(super) courier: Courier,
    /// Tells when it is behind.
    pub(super) behind: watch::Receiver<bool>,
    pub(super) packer: Arc<Packer>,
    pub(super) spool: Option<Arc<Spool>>,
}

/// Sets it up.
pub(super) fn set_up(job: &Job, shared: &Shared, holder: Holder) -> Result<Delivery, StartError> {
    let packer = Arc::new(Packer::new(job.config.honeycomb.compression)?);
    let (spool, left) = open_spool(job, &shared.metrics);
    let desk = desk(job, shared, Arc::clone(&packer), spool.clone())?;
    let key = KeyWatch::new(job.api_key.key.clone(), job.api_key.file.clone());
    let (mut courier, behind) = Courier::new(desk, key, holder, job.config.deliver.concurrency.get());
    courier.inherit(left);
    Ok(Delivery { courier, behind, packer, spool })
}

/// The spool of the state directory, and the batches that are in it. Without one the agent runs all the same.
fn open_spool(job: &Job, metrics: &Metrics) -> (Option<Arc<Spool>>, Vec<Item>) {
    let config = &job.config;
    if !job.keeps_state {
        return (None, Vec::new());
    }
    if job.adopts {
        spool::adopt_siblings(&config.state.dir);
    }
    let url = config.honeycomb.api_url.0.as_str();
    match Spool::open(&config.state.dir, url, config.spool.max_bytes.get() as u64) {
        Ok((spool, found)) => {
            metrics.spool_damaged.store(found.damaged, Ordering::Relaxed);
            if !found.items.is_empty() {
                tracing::info!(batches = found.items.len(), "sending what is left in the spool");
            }
            (Some(Arc::new(spool)), found.items)
        }
        Err(error) => {
            tracing::error!(dir = %config.state.dir.display(), %error, "there can be no spool: what a pipe sends is lost with this process");
            (None, Vec::new())
        }
    }
}

/// The HTTP client.
pub(super) fn client(job: &Job) -> Result<Client, ClientError> {
    Client::new(&Settings {
        api_url: job.config.honeycomb.api_url.0.clone(),
        api_key: job.api_key.key.clone(),
        http: job.config.http(),
    })
}

fn desk(
    job: &Job,
    shared: &Shared,
    packer: Arc<Packer>,
    spool: Option<Arc<Spool>>,
) -> Result<Desk, StartError> {
    let config = &job.config;
    let shelf = Shelf {
        spool,
        drops: config.drops_from_spool(),
        api_url: config.honeycomb.api_url.0.to_string(),
        whose: Arc::default(),
        ledger: Arc::clone(&shared.ledger),
        metrics: Arc::clone(&shared.metrics),
        flow: shared.flow.clone(),
        failing: false.into(),
    };
    let client = client(job)?;
    if !config.deliver.tls_verify {
        shared.metrics.tls_unverified.store(1, Ordering::Relaxed);
        tracing::warn!(
            "certificates are not verified (`[deliver] tls_verify = false`): anyone on the way can read the key and the events"
        );
    }
    Ok(Desk {
        client,
        packer,
        ledger: Arc::clone(&shared.ledger),
        metrics: Arc::clone(&shared.metrics),
        shelf,
        dead_letters: job.keeps_state.then(|| Arc::new(DeadLetters::new(&config.state.dir))),
        clock: shared.clock,
        give_up: shared.give_up.clone(),
    })
}
