//! Delivery: sealed batches → Honeycomb, until every event has a verdict.
//!
//! Takes compressed parcels, sends a few at a time, reads a verdict for each event and tells the ledger. What
//! has to be sent again is packed again and tried for as long as it takes, or until the agent has to stop.
//!
//! Invariant: a parcel's flow bytes are held until its last event is decided or given up.

pub mod client;
pub mod compress;
pub mod pack;
pub mod retry;
pub mod verdict;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ack::{Claim, Outcome, SharedLedger},
    clock::Clock,
    telemetry::Metrics,
};
use client::{Client, Reply};
pub use pack::{Packer, Parcel};
use retry::Backoff;
use verdict::{Answer, Verdict};

/// A slot is kept through waits up to this long.
const SLOT_KEPT_MAX: Duration = Duration::from_secs(15);

/// How many verdicts of each kind a claim got.
fn tally<'c>(claims: &'c [Claim], verdicts: &[Verdict]) -> Vec<(&'c Claim, [u32; 3])> {
    let mut rest = verdicts.iter();
    let count = |claim: &'c Claim| {
        let mut counts = [0; 3];
        for verdict in rest.by_ref().take(claim.events as usize) {
            counts[*verdict as usize] += 1;
        }
        (claim, counts)
    };
    claims.iter().map(count).collect()
}

/// What delivery needs of the rest.
#[derive(Debug)]
pub struct Courier {
    /// Talks to the API.
    pub client: Client,
    /// Packs again what has to be sent again.
    pub packer: Arc<Packer>,
    /// Is told each verdict.
    pub ledger: Arc<SharedLedger>,
    /// Counts attempts.
    pub metrics: Arc<Metrics>,
    /// When it is.
    pub clock: Clock,
    /// Cancelled when delivery has to stop trying.
    pub give_up: CancellationToken,
}

/// How an attempt ended.
enum Attempt {
    /// Every event is decided.
    Done,
    /// Some events have to be sent again, the server asking to be left alone for so long. What a person has to
    /// mend is an alarm.
    Again { retry_after: Option<Duration>, alarm: bool },
    /// Delivery has to stop.
    GivenUp,
}

impl Courier {
    /// Delivers parcels, `concurrency` at a time, until there are no more.
    pub async fn run(self, mut parcels: mpsc::Receiver<Parcel>, concurrency: usize) {
        let slots = Arc::new(Semaphore::new(concurrency));
        let courier = Arc::new(self);
        let tasks = TaskTracker::new();
        while let Some(parcel) = parcels.recv().await {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
            let courier = Arc::clone(&courier);
            tasks.spawn(async move { courier.deliver(parcel, slot).await });
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Tries until every event is decided. The slot is kept through a passing failure, so that an outage is tried by
    /// few; it is given up while the wait is long or only a person can help, so that one dataset stops no other.
    async fn deliver(&self, mut parcel: Parcel, slot: OwnedSemaphorePermit) {
        let slots = Arc::clone(slot.semaphore());
        let mut slot = Some(slot);
        let mut backoff = Backoff::default();
        loop {
            let (retry_after, alarm) = match self.attempt(&mut parcel).await {
                Attempt::Done => return,
                Attempt::GivenUp => return self.abandon(&parcel),
                Attempt::Again { retry_after, alarm } => (retry_after, alarm),
            };
            self.metrics.retried.fetch_add(parcel.ends.len() as u64, Ordering::Relaxed);
            let delay = backoff.next_delay(retry_after, fastrand::f64());
            if alarm || delay > SLOT_KEPT_MAX {
                slot = None;
            }
            if !self.wait(delay).await {
                return self.abandon(&parcel);
            }
            if slot.is_none() {
                slot = Arc::clone(&slots).acquire_owned().await.ok();
            }
        }
    }

    async fn attempt(&self, parcel: &mut Parcel) -> Attempt {
        let (body, events) = (parcel.body.clone(), parcel.ends.len());
        let reply = tokio::select! {
            reply = self.client.send(&parcel.dataset, body, events, self.clock.now()) => reply,
            () = self.give_up.cancelled() => return Attempt::GivenUp,
        };
        self.metrics.requests.fetch_add(1, Ordering::Relaxed);
        self.metrics.wire_bytes.fetch_add(parcel.body.len() as u64, Ordering::Relaxed);
        let Reply { status, retry_after, body } = match reply {
            Ok(reply) => reply,
            Err(error) => {
                self.say_retry(parcel, &error.to_string());
                return Attempt::Again { retry_after: None, alarm: false };
            }
        };
        let alarm = match verdict::judge(status, &body, events) {
            Answer::Events(verdicts, reasons) => {
                if self.settle(parcel, &verdicts, &reasons) {
                    return Attempt::Done;
                }
                false
            }
            Answer::Retry(reason) => {
                self.say_retry(parcel, &reason);
                false
            }
            Answer::Alarm(reason) => {
                self.say_alarm(parcel, &reason);
                true
            }
        };
        Attempt::Again { retry_after, alarm }
    }

    /// Tells the ledger; answers whether no event is left.
    fn settle(&self, parcel: &mut Parcel, verdicts: &[Verdict], reasons: &[String]) -> bool {
        let tallies = tally(&parcel.claims, verdicts);
        let mut retries = 0;
        self.ledger.with(|ledger| {
            for (claim, [accepted, refused, retry]) in &tallies {
                ledger.decide(claim, *accepted, Outcome::Accepted);
                ledger.decide(claim, *refused, Outcome::Refused);
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
        let left = |(claim, counts): &(&Claim, [u32; 3])| {
            let events = counts[Verdict::Retry as usize];
            (events > 0).then(|| Claim { events, ..(*claim).clone() })
        };
        parcel.claims = tallies.iter().filter_map(left).collect();
        if let Err(error) = self.packer.keep_retries(parcel, verdicts) {
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
                    ledger.decide(claim, claim.events, Outcome::Shutdown);
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
        let stream = ledger.open_stream(crate::ack::End::default());
        let mut claim = |end, events| {
            let span = ledger.open_span(stream, end, Passed { lines: events, blank: 0 }, &[]);
            Claim { span, events, lines: 1, held: Box::default() }
        };
        let claims = [claim(1, 2), claim(2, 3)];
        use Verdict::{Accepted, Refused, Retry};
        let tallies = tally(&claims, &[Accepted, Retry, Refused, Retry, Retry]);
        assert_eq!(tallies, [(&claims[0], [1, 0, 1]), (&claims[1], [0, 1, 2])]);
    }
}
