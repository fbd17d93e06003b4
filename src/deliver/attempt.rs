//! One attempt: a parcel is sent, its answer read, and each event that has a final outcome is decided.
//!
//! Takes a parcel, gives what is to become of it. What was refused for good is on the disk as a dead letter before the
//! ledger hears of it; if that can't be written, the events stay and are tried again.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

use super::{
    client::{Client, ClientError, Reply},
    gate::Failure,
    pack::{Packer, Parcel},
    queue::Load,
    shelf::{Shelf, Taken},
    trim,
    verdict::{self, Answer, Scope, Verdict},
};
use crate::{
    ack::{Claim, Outcome, SharedLedger},
    clock::Clock,
    dead_letter::{self, DeadLetters},
    telemetry::Metrics,
};

/// When events are tried again that should have become dead letters, or can't be taken from the spool.
const DISK_DELAY: Duration = Duration::from_secs(30);

/// What attempts need of the rest.
#[derive(Debug)]
pub struct Desk {
    /// Talks to the API.
    pub client: Client,
    /// Packs again what has to be sent again.
    pub packer: Arc<Packer>,
    /// Is told each outcome.
    pub ledger: Arc<SharedLedger>,
    /// Counts attempts.
    pub metrics: Arc<Metrics>,
    /// Keeps what is refused; `None` without a state directory.
    pub dead_letters: Option<Arc<DeadLetters>>,
    /// Keeps what would be lost with the process.
    pub shelf: Shelf,
    /// When it is.
    pub clock: Clock,
    /// Cancelled when delivery has to stop trying.
    pub give_up: CancellationToken,
}

/// What is to become of a batch.
pub(super) enum Next {
    /// Every event is decided.
    Done,
    /// The other end is well, but some events have to be sent again, not before that delay if there is one.
    Again(Load, Option<Duration>),
    /// The body was not taken as a whole: its halves are to be sent.
    Halves(Box<[Load; 2]>),
    /// All of it has to be sent again.
    Failed(Load, Failure),
    /// All of it has to be sent again when a person has acted.
    Held(Load, Scope, Option<Duration>),
    /// Nothing was sent: it is not in the spool any more, or can't be taken from there now.
    Unsent(Option<(Load, Duration)>),
    /// Delivery has to stop.
    GivenUp(Load),
}

/// How many verdicts of each kind a claim got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    accepted: u32,
    refused: u32,
    again: u32,
}

fn tally<'c>(claims: &'c [Claim], verdicts: &[Verdict]) -> Vec<(&'c Claim, Tally)> {
    let mut rest = verdicts;
    let tally = |claim: &'c Claim| {
        let (its, others) = rest.split_at(rest.len().min(claim.events as usize));
        rest = others;
        (claim, count(its))
    };
    claims.iter().map(tally).collect()
}

fn count(verdicts: &[Verdict]) -> Tally {
    let mut tally = Tally::default();
    for verdict in verdicts {
        match verdict {
            Verdict::Accepted => tally.accepted += 1,
            Verdict::Refused(_) => tally.refused += 1,
            Verdict::Retry | Verdict::Trim => tally.again += 1,
        }
    }
    tally
}

impl Desk {
    /// Sends a batch and does what its answer says.
    pub(super) async fn attempt(&self, load: Load) -> Next {
        let parcel = match load {
            Load::Parcel(parcel) => parcel,
            Load::Spooled(spooled) if !self.knows_whose().await => {
                return Next::GivenUp(Load::Spooled(spooled));
            }
            Load::Spooled(spooled) => match self.shelf.take(spooled).await {
                Taken::Parcel(parcel) => parcel,
                Taken::Gone => return Next::Unsent(None),
                Taken::Unreadable(spooled) => {
                    return Next::Unsent(Some((Load::Spooled(spooled), DISK_DELAY)));
                }
            },
        };
        let (body, events) = ((parcel.body.clone(), parcel.compression), parcel.ends.len());
        let reply = tokio::select! {
            reply = self.client.send(&parcel.dataset, body, events, self.clock.now()) => reply,
            () = self.give_up.cancelled() => return Next::GivenUp(Load::Parcel(parcel)),
        };
        self.metrics.requests.fetch_add(1, Ordering::Relaxed);
        self.metrics.wire_bytes.fetch_add(parcel.body.len() as u64, Ordering::Relaxed);
        let Reply { status, retry_after, body } = match reply {
            Ok(reply) => reply,
            Err(error) => return self.unanswered(parcel, &error).await,
        };
        let cause = if (200..=299).contains(&status) { "reply".to_owned() } else { status.to_string() };
        match verdict::judge(status, &body, events) {
            Answer::Events(verdicts, reasons) => self.settle(parcel, verdicts, reasons, retry_after).await,
            Answer::Retry { reason, limited } => {
                let failure = Failure { for_all: false, limited, retry_after };
                self.failed(parcel, failure, &cause, &reason).await
            }
            Answer::Split(reason) => self.split(parcel, reason).await,
            Answer::Hold(scope, reason) => {
                self.metrics.retried.add(&cause, events as u64);
                self.say_held(&parcel, scope, &reason);
                Next::Held(self.shelf.keep(parcel).await, scope, retry_after)
            }
        }
    }

    /// Waits until it is known whose the key is, or that nobody says; not when delivery gives up.
    async fn knows_whose(&self) -> bool {
        tokio::select! {
            () = self.shelf.whose.asked() => true,
            () = self.give_up.cancelled() => false,
        }
    }

    async fn unanswered(&self, parcel: Parcel, error: &ClientError) -> Next {
        let failure = Failure { for_all: error.is_for_all(), ..Failure::default() };
        let cause = if failure.for_all { "connection" } else { "transport" };
        self.failed(parcel, failure, cause, &error.to_string()).await
    }

    /// Nothing was taken. `cause` is for the counter, `reason` for people.
    async fn failed(&self, parcel: Parcel, failure: Failure, cause: &str, reason: &str) -> Next {
        let events = parcel.ends.len();
        self.metrics.retried.add(cause, events as u64);
        self.metrics.trouble.set(reason);
        tracing::warn!(dataset = %parcel.dataset, events, reason, "not delivered, trying again");
        Next::Failed(self.shelf.keep(parcel).await, failure)
    }

    fn say_held(&self, parcel: &Parcel, scope: Scope, reason: &str) {
        let events = parcel.ends.len();
        self.metrics.trouble.set(reason);
        let what = match scope {
            Scope::Destination => {
                "nothing is delivered until someone mends it: keeping all events, trying twice a minute"
            }
            Scope::Dataset => {
                "this dataset takes nothing until someone mends it: keeping its events, trying twice a minute"
            }
        };
        tracing::error!(dataset = %parcel.dataset, events, reason, "{what}");
    }

    /// A body that is not taken is halved until the event that is the cause is alone; that one is refused.
    async fn split(&self, mut parcel: Parcel, reason: String) -> Next {
        if parcel.ends.len() <= 1 {
            return self.settle(parcel, vec![Verdict::Refused(0)], vec![reason], None).await;
        }
        self.metrics.splits.fetch_add(1, Ordering::Relaxed);
        match self.packer.split(&mut parcel) {
            Ok(rest) => {
                tracing::warn!(dataset = %parcel.dataset, reason, "not taken as a whole: trying its halves");
                // In this order a kill doubles, but loses nothing: the whole is there until both halves are.
                let rest = self.shelf.put(rest).await;
                let is_kept = parcel.replayable || matches!(rest, Load::Spooled(_));
                let first = if is_kept { self.shelf.put(parcel).await } else { Load::Parcel(parcel) };
                Next::Halves(Box::new([first, rest]))
            }
            Err(error) => self.failed(parcel, Failure::default(), "packing", &error.to_string()).await,
        }
    }

    /// Decides what can be decided.
    async fn settle(
        &self,
        mut parcel: Parcel,
        mut verdicts: Vec<Verdict>,
        mut reasons: Vec<String>,
        retry_after: Option<Duration>,
    ) -> Next {
        if parcel.trimmed && verdicts.contains(&Verdict::Trim) {
            self.refuse_trimmed(&parcel, &mut verdicts, reasons.len());
            reasons.push("400 Event has too many columns, even when trimmed".to_owned());
        }
        let delay = self.bury(&parcel, &mut verdicts, &reasons).await;
        self.count(&verdicts, &reasons);
        let refused = if self.dead_letters.is_some() { Outcome::DeadLettered } else { Outcome::Refused };
        let left = self.decide(&mut parcel, &verdicts, refused);
        if left == 0 {
            self.shelf.done(&parcel);
            return Next::Done;
        }
        if left == parcel.ends.len() && delay.is_none() && !verdicts.contains(&Verdict::Trim) {
            // Each on its own, but all of them: it is the other end that is out of order.
            let failure = Failure { retry_after, ..Failure::default() };
            return self.failed(parcel, failure, "event", "no event was taken").await;
        }
        if let Err(error) = self.packer.keep(&mut parcel, &verdicts) {
            // Claims and events would no longer match: leave the rest to a restart, which reads it again.
            tracing::error!(%error, "a batch could not be packed again");
            return Next::Done;
        }
        let events = parcel.ends.len();
        self.metrics.retried.add("event", events as u64);
        tracing::warn!(dataset = %parcel.dataset, events, "some events were not taken, trying them again");
        let load = self.shelf.put(parcel).await;
        if retry_after.is_some() {
            // Those that were taken do not unsay it.
            return Next::Failed(load, Failure { limited: true, retry_after, ..Failure::default() });
        }
        Next::Again(load, delay)
    }

    /// Counts what was taken and what was refused.
    fn count(&self, verdicts: &[Verdict], reasons: &[String]) {
        if verdicts.contains(&Verdict::Accepted) {
            self.metrics.trouble.end(self.clock.now());
        }
        for (number, reason) in reasons.iter().enumerate() {
            let refused = verdicts.iter().filter(|verdict| **verdict == Verdict::Refused(number)).count();
            if refused > 0 {
                self.metrics.refused.add(verdict::status_in(reason), refused as u64);
            }
        }
    }

    /// Events that were trimmed already are not trimmed again.
    fn refuse_trimmed(&self, parcel: &Parcel, verdicts: &mut [Verdict], reason: usize) {
        let trimmed = self.packer.each(parcel, |index, event| {
            if let Some(verdict) = verdicts.get_mut(index).filter(|verdict| **verdict == Verdict::Trim)
                && trim::is_trimmed(event)
            {
                *verdict = Verdict::Refused(reason);
            }
        });
        if let Err(error) = trimmed {
            tracing::error!(%error, "a batch can't be unpacked");
        }
    }

    /// Tells the ledger; answers how many events are left.
    fn decide(&self, parcel: &mut Parcel, verdicts: &[Verdict], refused: Outcome) -> usize {
        if parcel.from_spool {
            let Tally { accepted, refused: refusals, again } = count(verdicts);
            self.ledger.with(|ledger| {
                ledger.take_from_spool(accepted, Outcome::Accepted);
                ledger.take_from_spool(refusals, refused);
            });
            return again as usize;
        }
        let tallies = tally(&parcel.claims, verdicts);
        self.ledger.with(|ledger| {
            for (claim, tally) in &tallies {
                ledger.decide(claim, tally.accepted, Outcome::Accepted);
                ledger.decide(claim, tally.refused, refused);
            }
        });
        let left = |(claim, tally): &(&Claim, Tally)| {
            (tally.again > 0).then(|| Claim { events: tally.again, ..(*claim).clone() })
        };
        parcel.claims = tallies.iter().filter_map(left).collect();
        parcel.claims.iter().map(|claim| claim.events as usize).sum()
    }

    /// Makes dead letters of what is refused. If they can't be written, the events are to be tried again, after the delay
    /// that is answered.
    async fn bury(&self, parcel: &Parcel, verdicts: &mut [Verdict], reasons: &[String]) -> Option<Duration> {
        let is_refused = |verdict: &&Verdict| matches!(verdict, Verdict::Refused(_));
        let events = verdicts.iter().filter(is_refused).count();
        if events == 0 {
            return None;
        }
        let kept = self.dead_letters.is_some();
        tracing::error!(dataset = %parcel.dataset, events, ?reasons, kept, "refused for good");
        let letters = Arc::clone(self.dead_letters.as_ref()?);
        let (mut lines, time) = (Vec::new(), self.clock.now());
        let written = self.packer.each(parcel, |index, event| {
            if let Some(Verdict::Refused(number)) = verdicts.get(index) {
                let reason = reasons.get(*number).map_or("", String::as_str);
                dead_letter::write_line(&mut lines, time, &parcel.dataset, reason, event);
            }
        });
        let buried = match written {
            Ok(()) => {
                let bury = move || letters.bury(&lines, SystemTime::now());
                tokio::task::spawn_blocking(bury)
                    .await
                    .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            }
            Err(error) => Err(error),
        };
        let error = buried.err()?;
        tracing::error!(%error, events, "dead letters can't be written: keeping the events and trying again");
        for verdict in verdicts.iter_mut().filter(|verdict| is_refused(&&**verdict)) {
            *verdict = Verdict::Retry;
        }
        Some(DISK_DELAY)
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
            let span = ledger.open_span(stream, end, Passed { lines: events, ..Passed::default() }, &[]);
            Claim { span, events, lines: 1, held: Box::default() }
        };
        let claims = [claim(1, 2), claim(2, 3)];
        use Verdict::{Accepted, Refused, Retry, Trim};
        let tallies = tally(&claims, &[Accepted, Retry, Refused(0), Retry, Trim]);
        let tally = |accepted, refused, again| Tally { accepted, refused, again };
        assert_eq!(tallies, [(&claims[0], tally(1, 0, 1)), (&claims[1], tally(0, 1, 2))]);
    }
}
