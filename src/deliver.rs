//! Delivery: sealed batches → Honeycomb, until every event has a verdict.
//!
//! Takes compressed parcels, sends a few at a time, reads a verdict for each event and tells the ledger. What
//! has to be sent again is packed again and tried for as long as it takes, or until the agent has to stop.
//!
//! Invariant: a parcel's flow bytes are held until its last event is decided or given up.

pub mod client;
pub mod compress;
pub mod retry;
pub mod verdict;

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ack::{Claim, Outcome},
    batch::Batch,
    budget::{Reservation, Sealed},
    clock::Clock,
    spare::Spares,
    telemetry::Metrics,
};
use client::{Client, Reply};
use compress::Compressor;
use retry::Backoff;
use verdict::{Answer, Verdict};

/// A sealed batch, compressed.
#[derive(Debug)]
pub struct Parcel {
    dataset: Arc<str>,
    replayable: bool,
    body: Bytes,
    /// Where each event ends in the uncompressed body, its separator included.
    ends: Vec<u32>,
    claims: Vec<Claim>,
    reservation: Reservation,
    _sealed: Sealed,
}

impl Parcel {
    /// Compresses a sealed batch; the flow bytes that this saves go back, the body's buffer to `spares`.
    ///
    /// # Errors
    /// What the compressor fails with.
    pub fn pack(
        mut batch: Batch,
        dataset: Arc<str>,
        sealed: Sealed,
        compressor: &mut Compressor,
        spares: &Spares,
    ) -> std::io::Result<Self> {
        let body = compressor.compress(&batch.body)?;
        spares.give(std::mem::take(&mut batch.body));
        let Batch { key, ends, claims, mut reservation, .. } = batch;
        reservation.shrink_to(body.len() + ends.len() * size_of::<u32>());
        Ok(Self { dataset, replayable: key.replayable, body, ends, claims, reservation, _sealed: sealed })
    }
}

/// Packs again what has to be sent again, in buffers that all parcels share.
#[derive(Debug)]
struct Repacker {
    compressor: Compressor,
    body: Vec<u8>,
}

impl Repacker {
    /// Keeps, of the parcel's events, those whose verdict is to retry.
    fn keep_retries(&mut self, parcel: &mut Parcel, verdicts: &[Verdict]) -> std::io::Result<()> {
        self.compressor.decompress(&parcel.body, &mut self.body)?;
        let (mut start, mut written) = (1, 1);
        let mut ends = Vec::new();
        for (end, verdict) in parcel.ends.iter().zip(verdicts) {
            let end = *end as usize;
            if *verdict == Verdict::Retry {
                self.body.copy_within(start..end, written);
                written += end - start;
                self.body[written - 1] = b',';
                ends.push(u32::try_from(written).unwrap_or(u32::MAX));
            }
            start = end;
        }
        self.body[written - 1] = b']';
        parcel.body = self.compressor.compress(&self.body[..written])?;
        parcel.ends = ends;
        parcel.reservation.shrink_to(parcel.body.len() + parcel.ends.len() * size_of::<u32>());
        Ok(())
    }
}

/// How many verdicts of each kind a claim got.
fn tally(claims: &[Claim], verdicts: &[Verdict]) -> Vec<(Claim, [u32; 3])> {
    let mut rest = verdicts.iter();
    let count = |claim: &Claim| {
        let mut counts = [0; 3];
        for verdict in rest.by_ref().take(claim.events as usize) {
            counts[*verdict as usize] += 1;
        }
        (*claim, counts)
    };
    claims.iter().map(count).collect()
}

/// What delivery needs of the rest.
#[derive(Debug)]
pub struct Courier {
    client: Client,
    ledger: Arc<crate::ack::SharedLedger>,
    metrics: Arc<Metrics>,
    clock: Clock,
    repacker: Mutex<Repacker>,
    give_up: CancellationToken,
}

impl Courier {
    /// A courier that stops trying when `give_up` is cancelled.
    #[must_use]
    pub fn new(
        client: Client,
        compressor: Compressor,
        ledger: Arc<crate::ack::SharedLedger>,
        metrics: Arc<Metrics>,
        clock: Clock,
        give_up: CancellationToken,
    ) -> Self {
        let repacker = Mutex::new(Repacker { compressor, body: Vec::new() });
        Self { client, ledger, metrics, clock, repacker, give_up }
    }

    /// Delivers parcels, `concurrency` at a time, until there are no more.
    pub async fn run(self, mut parcels: mpsc::Receiver<Parcel>, concurrency: usize) {
        let slots = Arc::new(Semaphore::new(concurrency));
        let courier = Arc::new(self);
        let tasks = TaskTracker::new();
        while let Some(parcel) = parcels.recv().await {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
            let courier = Arc::clone(&courier);
            tasks.spawn(async move {
                courier.deliver(parcel).await;
                drop(slot);
            });
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn deliver(&self, mut parcel: Parcel) {
        let mut backoff = Backoff::default();
        loop {
            let attempt =
                self.client.send(&parcel.dataset, parcel.body.clone(), parcel.ends.len(), self.clock.now());
            let reply = tokio::select! {
                reply = attempt => reply,
                () = self.give_up.cancelled() => return self.abandon(&parcel),
            };
            self.metrics.requests.fetch_add(1, Ordering::Relaxed);
            self.metrics.wire_bytes.fetch_add(parcel.body.len() as u64, Ordering::Relaxed);
            let mut retry_after = None;
            match reply {
                Ok(Reply { status, retry_after: after, body }) => {
                    retry_after = after;
                    match verdict::judge(status, &body, parcel.ends.len()) {
                        Answer::Events(verdicts, reasons) => {
                            if self.settle(&mut parcel, &verdicts, &reasons) {
                                return;
                            }
                        }
                        Answer::Retry(reason) => self.say_retry(&parcel, &reason),
                        Answer::Alarm(reason) => self.say_alarm(&parcel, &reason),
                    }
                }
                Err(error) => self.say_retry(&parcel, &error.to_string()),
            }
            self.metrics.retried.fetch_add(parcel.ends.len() as u64, Ordering::Relaxed);
            if !self.wait(backoff.next_delay(retry_after, fastrand::f64())).await {
                return self.abandon(&parcel);
            }
        }
    }

    /// Tells the ledger; answers whether no event is left.
    fn settle(&self, parcel: &mut Parcel, verdicts: &[Verdict], reasons: &[String]) -> bool {
        let tallies = tally(&parcel.claims, verdicts);
        let mut retries = 0;
        self.ledger.with(|ledger| {
            for (claim, [accepted, refused, retry]) in &tallies {
                ledger.decide(Claim { events: *accepted, ..*claim }, Outcome::Accepted);
                ledger.decide(Claim { events: *refused, ..*claim }, Outcome::Refused);
                retries += retry;
            }
        });
        if !reasons.is_empty() {
            let refused: u32 = tallies.iter().map(|(_, counts)| counts[Verdict::Refused as usize]).sum();
            tracing::error!(dataset = %parcel.dataset, events = refused, ?reasons, "refused for good");
        }
        if retries == 0 {
            return true;
        }
        tracing::warn!(dataset = %parcel.dataset, events = retries, "some events were not taken, trying them again");
        let left =
            |(claim, counts): &(Claim, [u32; 3])| Claim { events: counts[Verdict::Retry as usize], ..*claim };
        parcel.claims = tallies.iter().map(left).filter(|claim| claim.events > 0).collect();
        let mut repacker = self.repacker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = repacker.keep_retries(parcel, verdicts) {
            // Claims and events would no longer match: leave the rest to a restart, which reads it again.
            tracing::error!(%error, "a batch could not be packed again");
            return true;
        }
        false
    }

    fn say_retry(&self, parcel: &Parcel, reason: &str) {
        tracing::warn!(dataset = %parcel.dataset, events = parcel.ends.len(), reason, "not delivered, trying again");
    }

    fn say_alarm(&self, parcel: &Parcel, reason: &str) {
        tracing::error!(
            dataset = %parcel.dataset, events = parcel.ends.len(), reason,
            "not delivered, and will not be until someone mends it; keeping the events and trying again"
        );
    }

    /// Answers whether to go on.
    async fn wait(&self, delay: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(delay) => true,
            () = self.give_up.cancelled() => false,
        }
    }

    /// What can be read again stays undecided and will be; the rest is lost, and counted.
    fn abandon(&self, parcel: &Parcel) {
        if !parcel.replayable {
            self.ledger.with(|ledger| {
                for claim in &parcel.claims {
                    ledger.decide(*claim, Outcome::Shutdown);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ack::{Ledger, Passed};

    #[test]
    fn verdicts_are_tallied_by_claim() {
        let mut ledger = Ledger::default();
        let stream = ledger.open_stream(0);
        let mut claim =
            |end, events| Claim { span: ledger.open_span(stream, end, Passed { events, blank: 0 }), events };
        let claims = [claim(1, 2), claim(2, 3)];
        use Verdict::{Accepted, Refused, Retry};
        let tallies = tally(&claims, &[Accepted, Retry, Refused, Retry, Retry]);
        assert_eq!(tallies, [(claims[0], [1, 0, 1]), (claims[1], [0, 1, 2])]);
    }
}
