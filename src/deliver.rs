//! Delivery: sealed batches → Honeycomb, until every event has an outcome.
//!
//! Takes compressed parcels; one task says which is sent when, and each request is a task of its own (`attempt`). What has
//! to be sent again waits in the `queue`, for as long as it takes, or until the agent has to stop. Whether a request may
//! start at all is the `gate`'s to say; what an answer means is in `verdict`.
//!
//! Invariant: a parcel's flow bytes are held until its last event is decided or given up.

mod attempt;
pub mod client;
pub mod compress;
pub mod gate;
pub mod holds;
pub mod http;
mod key_watch;
pub mod owner;
pub mod pack;
pub mod queue;
pub mod retry;
pub mod shelf;
mod trim;
pub mod verdict;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinError, JoinSet},
    time::Instant,
};

pub use attempt::Desk;
use attempt::Next;
use gate::{Gate, Ticket};
use holds::Holder;
pub use key_watch::KeyWatch;
pub use pack::{Packer, Parcel};
use queue::{Load, Queue, Spooled};
use retry::Backoff;
use verdict::Scope;

use crate::spool::Item;

/// So much longer than the gate is closed, what has failed as its probe is not tried.
const REST: Duration = Duration::from_secs(1);
/// How often it is asked whether a file of dead letters is old enough to be closed.
const CLOSE_INTERVAL: Duration = Duration::from_secs(15);
/// How often a key file is looked at while everything is held.
const KEY_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Delivers parcels.
#[derive(Debug)]
pub struct Courier {
    desk: Arc<Desk>,
    gate: Gate,
    queue: Queue,
    running: JoinSet<Next>,
    /// Of each attempt that runs, by its task.
    tickets: HashMap<Id, (Ticket, Arc<str>)>,
    /// Parcels that have waited for long and are being put into the spool.
    spooling: JoinSet<(Load, Instant)>,
    key: KeyWatch,
    /// Whether parcels wait for others: then batches may as well wait to be full.
    behind: watch::Sender<bool>,
    /// Tells sources what is better left unread.
    holder: Holder,
    held_bytes_max: usize,
    concurrency_max: usize,
}

impl Courier {
    /// One that has nothing to deliver yet; the answer's other part tells when it is behind.
    #[must_use]
    pub fn new(
        desk: Desk,
        key: KeyWatch,
        holder: Holder,
        concurrency_max: usize,
    ) -> (Self, watch::Receiver<bool>) {
        let (behind, is_behind) = watch::channel(false);
        let held_bytes_max = desk.shelf.flow.total() / 2;
        let courier = Self {
            desk: Arc::new(desk),
            gate: Gate::new(concurrency_max, Instant::now()),
            queue: Queue::default(),
            running: JoinSet::new(),
            tickets: HashMap::new(),
            spooling: JoinSet::new(),
            key,
            behind,
            holder,
            held_bytes_max,
            concurrency_max,
        };
        (courier, is_behind)
    }

    /// Takes over what an earlier process has left in the spool.
    pub fn inherit(&mut self, items: Vec<Item>) {
        for item in items {
            let spooled = Spooled { item, number: 0, backoff: Backoff::default(), trimmed: false };
            self.queue.push(Load::Spooled(spooled), Instant::now());
        }
    }

    /// Delivers until there are no more parcels, or it is told to give up.
    pub async fn run(mut self, mut parcels: mpsc::Receiver<Parcel>) {
        let mut more = true;
        let give_up = self.desk.give_up.clone();
        // Ends with this task.
        let mut asking = JoinSet::new();
        if self.desk.shelf.spool.is_some() {
            let desk = Arc::clone(&self.desk);
            asking.spawn(async move { desk.shelf.whose.ask(&desk.client).await });
        }
        while more || !self.queue.is_empty() || !self.running.is_empty() || !self.spooling.is_empty() {
            self.start();
            let held = self.queue.held();
            let holds_too_much = held.0 > self.held_bytes_max;
            self.spool(holds_too_much);
            self.tell(held);
            let wakes_at = self.wakes_at(holds_too_much);
            tokio::select! {
                biased;
                () = give_up.cancelled() => break,
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                Some(spooled) = self.spooling.join_next() => self.spooled(spooled),
                parcel = parcels.recv(), if more => match parcel {
                    Some(parcel) => self.queue.push(Load::Parcel(parcel), Instant::now()),
                    None => more = false,
                },
                () = tokio::time::sleep_until(wakes_at.unwrap_or_else(Instant::now)), if wakes_at.is_some() => {
                    self.look_at_key();
                }
            }
        }
        self.give_up(&mut parcels).await;
    }

    /// Starts what may be sent now.
    fn start(&mut self) {
        let now = Instant::now();
        while self.gate.may_start(self.running.len(), now) {
            let Some(load) = self.queue.next(now) else { return };
            let (desk, ticket) = (Arc::clone(&self.desk), self.gate.start(now));
            let dataset = Arc::clone(load.dataset());
            let task = self.running.spawn(async move { desk.attempt(load).await });
            self.tickets.insert(task.id(), (ticket, dataset));
        }
    }

    /// Puts into the spool, one after the other, what has waited for long and would be lost with the process, and what a
    /// held dataset has in memory beyond its half.
    fn spool(&mut self, holds_too_much: bool) {
        if !self.spooling.is_empty() || self.desk.shelf.spool.is_none() {
            return;
        }
        let now = Instant::now();
        let held = if holds_too_much { self.queue.next_held_to_spool(now) } else { None };
        if let Some((parcel, not_before)) = held.or_else(|| self.queue.next_to_spool(now)) {
            let desk = Arc::clone(&self.desk);
            self.spooling.spawn(async move { (desk.shelf.spool(parcel).await, not_before) });
        }
    }

    fn spooled(&mut self, spooled: Result<(Load, Instant), JoinError>) {
        let now = Instant::now();
        match spooled {
            Ok((load, not_before)) => {
                self.queue.put_back(load, not_before.saturating_duration_since(now), now);
            }
            Err(error) => tracing::error!(%error, "a batch was lost on its way to the spool"),
        }
    }

    /// When something is to be done that is not to be done now.
    fn wakes_at(&self, holds_too_much: bool) -> Option<Instant> {
        let spools = self.spooling.is_empty() && self.desk.shelf.spool.is_some();
        let spool_at = self.queue.next_spool_at(holds_too_much).filter(|_| spools);
        let letters = self.desk.dead_letters.as_ref().filter(|letters| letters.is_writing());
        let closes_at = letters.map(|_| Instant::now() + CLOSE_INTERVAL);
        self.sends_at().into_iter().chain(spool_at).chain(closes_at).min()
    }

    /// When something may be sent that may not be now.
    fn sends_at(&self) -> Option<Instant> {
        let now = Instant::now();
        if self.gate.is_closed() {
            let sends_at =
                self.gate.opens_at().zip(self.queue.next_at()).map(|(opens, next)| opens.max(next));
            let looks = self.gate.is_held() && self.key.is_a_file();
            return sends_at.into_iter().chain(looks.then(|| now + KEY_LOOK_INTERVAL)).min();
        }
        if self.gate.may_start(self.running.len(), now) { self.queue.next_at() } else { None }
    }

    fn ended(&mut self, ended: Result<(Id, Next), JoinError>) {
        let now = Instant::now();
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some((ticket, dataset)) = self.tickets.remove(&id) else { return };
        let next = match ended {
            Ok((_, next)) => next,
            Err(error) => {
                tracing::error!(%error, "a request's task has failed: its events stay unacknowledged");
                self.queue.try_again(&dataset, Duration::ZERO, now);
                return self.gate.cancel(ticket);
            }
        };
        match next {
            Next::Done => self.delivered(ticket, &dataset, now),
            Next::Again(mut load, delay) => {
                self.delivered(ticket, &dataset, now);
                let delay = delay.unwrap_or_else(|| load.next_delay(fastrand::f64()));
                self.queue.put_back(load, delay, now);
            }
            Next::Unsent(rest) => {
                self.gate.cancel(ticket);
                let delay = rest.as_ref().map_or(Duration::ZERO, |(_, delay)| *delay);
                self.queue.try_again(&dataset, delay, now);
                rest.into_iter().for_each(|(load, delay)| self.queue.put_back(load, delay, now));
            }
            Next::Halves(halves) => {
                self.delivered(ticket, &dataset, now);
                // Both have the place of the whole: the last that is put there comes first.
                halves.into_iter().rev().for_each(|half| self.queue.put_back(half, Duration::ZERO, now));
            }
            Next::Failed(mut load, failure) => {
                self.gate.fail(ticket, failure, now, fastrand::f64());
                let delay = load.next_delay(fastrand::f64());
                self.queue.try_again(&dataset, delay, now);
                // Behind a closed gate all wait together, and the oldest tries first.
                let delay = if self.gate.is_closed() { Duration::ZERO } else { delay };
                self.queue.put_back(load, delay, now);
                self.rest(ticket, &dataset);
            }
            Next::Held(load, scope, retry_after) => {
                self.hold(ticket, &dataset, (scope, retry_after), now);
                self.queue.put_back(load, Duration::ZERO, now);
                self.rest(ticket, &dataset);
            }
            Next::GivenUp(load) => self.queue.put_back(load, Duration::ZERO, now),
        }
    }

    /// The other end has taken what a request held, or has said what is wrong with it.
    fn delivered(&mut self, ticket: Ticket, dataset: &str, now: Instant) {
        if self.gate.is_held() {
            tracing::info!("events are taken again");
        }
        self.gate.succeed(ticket, now);
        if self.queue.release(dataset) {
            tracing::info!(dataset, "this dataset takes events again");
        }
    }

    /// What was tried for all has failed, and it may have been the cause: the next is of another dataset, if there is one.
    fn rest(&mut self, ticket: Ticket, dataset: &str) {
        if let Some(opens_at) = self.gate.opens_at().filter(|_| ticket.is_probe()) {
            self.queue.rest(dataset, opens_at + REST);
        }
    }

    fn hold(
        &mut self,
        ticket: Ticket,
        dataset: &Arc<str>,
        (scope, retry_after): (Scope, Option<Duration>),
        now: Instant,
    ) {
        match scope {
            Scope::Destination => {
                self.queue.try_again(dataset, Duration::ZERO, now);
                self.gate.hold(ticket, retry_after, now);
            }
            Scope::Dataset => {
                self.gate.succeed(ticket, now);
                self.queue.hold(dataset, now);
            }
        }
    }

    /// While everything is held, a key that has changed is tried at once.
    fn look_at_key(&mut self) {
        if !self.gate.is_held() {
            return;
        }
        if let Some(key) = self.key.changed() {
            match self.desk.client.set_key(&key) {
                Ok(()) => {
                    self.desk.shelf.whose.key_changed();
                    tracing::info!("the API key has changed: trying it");
                    self.gate.try_now(Instant::now());
                    self.queue.wake();
                }
                Err(error) => tracing::error!(%error, "the changed API key can't be used"),
            }
        }
    }

    /// Says how things stand; `held` are the bytes and the names of datasets that take nothing.
    fn tell(&self, (held_bytes, held): (usize, Vec<Arc<str>>)) {
        let is_behind = self.gate.is_closed() || self.queue.free_len() >= self.concurrency_max;
        self.behind.send_if_modified(|behind| std::mem::replace(behind, is_behind) != is_behind);
        let metrics = &self.desk.metrics;
        metrics.batches_waiting.store(self.queue.len() as u64, Ordering::Relaxed);
        metrics.in_flight.store(self.running.len() as u64, Ordering::Relaxed);
        let is_busy = !self.queue.is_empty() || !self.running.is_empty();
        metrics.trouble.set_busy(is_busy, || self.desk.clock.now());
        metrics.datasets_held.store(held.len() as u64, Ordering::Relaxed);
        metrics.held_bytes.store(held_bytes as u64, Ordering::Relaxed);
        let is_too_much = held_bytes > self.held_bytes_max;
        self.holder.set(held.into_iter().filter(|_| is_too_much));
        metrics.gate_closed.store(u64::from(self.gate.is_closed()), Ordering::Relaxed);
        metrics.concurrency.store(self.gate.concurrency() as u64, Ordering::Relaxed);
        let spool = self.desk.shelf.spool.as_ref();
        metrics.spool_bytes.store(spool.map_or(0, |spool| spool.bytes()), Ordering::Relaxed);
        if let Some(letters) = &self.desk.dead_letters {
            letters.close_old(SystemTime::now());
            metrics.dead_letters_removed.store(letters.removed(), Ordering::Relaxed);
        }
    }

    /// Leaves what is not delivered.
    async fn give_up(mut self, parcels: &mut mpsc::Receiver<Parcel>) {
        while let Some(ended) = self.running.join_next_with_id().await {
            self.ended(ended);
        }
        while let Some(spooled) = self.spooling.join_next().await {
            self.spooled(spooled);
        }
        for load in self.queue.drain() {
            self.desk.shelf.abandon(load).await;
        }
        // The batcher ends before delivery does: these are its last.
        while let Some(parcel) = parcels.recv().await {
            self.desk.shelf.abandon(Load::Parcel(parcel)).await;
        }
        if let Some(letters) = &self.desk.dead_letters {
            letters.close();
        }
    }
}
