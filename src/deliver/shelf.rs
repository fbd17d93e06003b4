//! The shelf: where delivery puts what would be lost with the process, and takes it from.
//!
//! Takes parcels of inputs that can't be read again, gives loads that are in the spool; and back. A parcel that the spool
//! has no room for stays in memory, which in the end makes its input wait; or the oldest batch makes room, if the
//! configuration says so.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    owner::Whose,
    pack::Parcel,
    queue::{Load, Spooled},
};
use crate::{
    ack::{Outcome, SharedLedger},
    budget::Flow,
    spool::{Item, Spool, SpoolError, Stored},
    telemetry::Metrics,
};

/// What the spool needs of the rest.
#[derive(Debug)]
pub struct Shelf {
    /// The spool; `None` without a state directory.
    pub spool: Option<Arc<Spool>>,
    /// Whether the oldest batch makes room when it is full.
    pub drops: bool,
    /// Where batches go.
    pub api_url: String,
    /// Whose they are there.
    pub whose: Arc<Whose>,
    /// Is told what is spooled and what is dropped.
    pub ledger: Arc<SharedLedger>,
    /// Counts what is damaged.
    pub metrics: Arc<Metrics>,
    /// Counts batches on their way.
    pub flow: Flow,
    /// Whether it was said that the spool can't be written.
    pub failing: AtomicBool,
}

/// What came of taking a batch from the spool.
pub(super) enum Taken {
    /// It is to be sent.
    Parcel(Parcel),
    /// It is there no more.
    Gone,
    /// It can't be read at the moment.
    Unreadable(Spooled),
}

impl Shelf {
    /// Takes a batch from the spool.
    pub(super) async fn take(&self, spooled: Spooled) -> Taken {
        let Some(spool) = &self.spool else { return Taken::Gone };
        let (from, item) = (Arc::clone(spool), spooled.item.clone());
        let read = tokio::task::spawn_blocking(move || from.get(&item)).await;
        match read.unwrap_or_else(|error| Err(std::io::Error::other(error).into())) {
            Ok(Some(stored)) if self.is_foreign(&stored) => {
                spool.disown(&spooled.item);
                Taken::Gone
            }
            Ok(Some(stored)) => Taken::Parcel(Parcel::of_spool(spooled, stored, self.flow.sealed())),
            Ok(None) => Taken::Gone,
            Err(SpoolError::Damaged(_)) => {
                self.metrics.spool_damaged.fetch_add(1, Ordering::Relaxed);
                Taken::Gone
            }
            Err(error) => {
                tracing::error!(%error, "a spooled batch can't be read, trying again");
                Taken::Unreadable(spooled)
            }
        }
    }

    /// Whether a batch was made for another team or environment than the key is for.
    fn is_foreign(&self, stored: &Stored) -> bool {
        let Some((theirs, ours)) = stored.header.owner.as_ref().zip(self.whose.owner()) else { return false };
        if *theirs != ours {
            tracing::error!(
                %theirs, %ours, dataset = stored.header.dataset,
                "a spooled batch is for another team or environment: held, not sent; a start with the key that it was made with sends it"
            );
        }
        *theirs != ours
    }

    /// Keeps a parcel as it is until it is sent again.
    pub(super) async fn keep(&self, parcel: Parcel) -> Load {
        match (&parcel.spooled, &self.spool) {
            (Some(item), Some(spool)) if !parcel.changed => {
                spool.put_back(item);
                let item = item.clone();
                spooled(parcel, item)
            }
            _ => self.put(parcel).await,
        }
    }

    /// Keeps a parcel that is not what it was: in memory if its input can be read again.
    pub(super) async fn put(&self, parcel: Parcel) -> Load {
        if parcel.replayable { Load::Parcel(parcel) } else { self.spool(parcel).await }
    }

    /// Puts a parcel into the spool, if there is one and room in it.
    pub(super) async fn spool(&self, parcel: Parcel) -> Load {
        let Some(spool) = &self.spool else { return Load::Parcel(parcel) };
        let stored = Arc::new(parcel.stored(&self.api_url, self.whose.owner()));
        loop {
            let (to, stored, instead) = (Arc::clone(spool), Arc::clone(&stored), parcel.spooled.clone());
            // What was there already has room.
            let is_new = !parcel.from_spool;
            let put = tokio::task::spawn_blocking(move || to.put(&stored, instead.as_ref(), is_new)).await;
            match put.unwrap_or_else(|error| Err(std::io::Error::other(error).into())) {
                Ok(item) => {
                    if self.failing.swap(false, Ordering::Relaxed) {
                        tracing::info!("batches go to the spool again");
                    }
                    self.decide(&parcel, Outcome::Spooled);
                    return spooled(parcel, item);
                }
                Err(SpoolError::Full(bytes)) if self.drops => {
                    let Some(events) = spool.drop_oldest() else { return Load::Parcel(parcel) };
                    tracing::error!(events, bytes, "the spool is full: its oldest batch is dropped");
                    self.ledger.with(|ledger| ledger.take_from_spool(events, Outcome::SpoolDropped));
                }
                Err(error) => {
                    if !self.failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "batches can't go to the spool: keeping them in memory, the input may have to wait");
                    }
                    return Load::Parcel(parcel);
                }
            }
        }
    }

    /// A batch that was taken from the spool is decided.
    pub(super) fn done(&self, parcel: &Parcel) {
        if let (Some(spool), Some(item)) = (&self.spool, &parcel.spooled) {
            spool.remove(item);
        }
    }

    /// The agent stops: what can be read again stays undecided and will be; the rest is spooled, or lost and counted.
    pub(super) async fn abandon(&self, load: Load) {
        if let Load::Parcel(parcel) = load
            && !parcel.replayable
            && let Load::Parcel(parcel) = self.keep(parcel).await
        {
            self.decide(&parcel, Outcome::Shutdown);
            if parcel.from_spool && parcel.spooled.is_none() {
                let events = u32::try_from(parcel.ends.len()).unwrap_or(u32::MAX);
                self.ledger.with(|ledger| ledger.take_from_spool(events, Outcome::Shutdown));
            }
        }
    }

    /// What was taken from the spool has no claims: it was counted when it was put there.
    fn decide(&self, parcel: &Parcel, outcome: Outcome) {
        self.ledger.with(|ledger| {
            parcel.claims.iter().for_each(|claim| ledger.decide(claim, claim.events, outcome));
        });
    }
}

/// A parcel that is in the spool now.
fn spooled(parcel: Parcel, item: Item) -> Load {
    let Parcel { number, trimmed, backoff, .. } = parcel;
    Load::Spooled(Spooled { item, number, backoff, trimmed })
}
