//! The gate: whether a request may start now. One for the whole destination, shared by all that is sent there.
//!
//! Takes what came of each request; gives how many may run at once, and, while the other end is out of order, when one
//! may try. Pure: the time and the random number come in.
//!
//! Invariants: while the gate is closed one request runs at most, whatever waits; nothing starts before the time that the
//! other end asked for; one success opens it.

use std::time::Duration;

use tokio::time::Instant;

use super::retry::Backoff;

/// So many requests in a row have failed, without any word on when to come back: it is not the requests.
const FAILURES_MAX: u32 = 8;
/// How often something is tried while only a person can help.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(30);
/// An answer that takes longer than this, and several times the quickest, is a sign that too much is sent.
const SLOW_MIN: Duration = Duration::from_secs(1);
const SLOW_FACTOR: u32 = 4;

/// A request that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    started: Instant,
    is_probe: bool,
}

impl Ticket {
    /// Whether it tried for all others while the gate was closed.
    #[must_use]
    pub const fn is_probe(self) -> bool {
        self.is_probe
    }
}

/// Why a request has failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failure {
    /// Nobody else would fare better: there is no connection.
    pub for_all: bool,
    /// We were told to send less.
    pub limited: bool,
    /// How long we were asked to wait.
    pub retry_after: Option<Duration>,
}

#[derive(Debug)]
struct Closed {
    until: Instant,
    probing: bool,
    /// Whether it waits for a person.
    held: bool,
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    concurrency: Concurrency,
    failures: u32,
    closed: Option<Closed>,
    backoff: Backoff,
}

impl Gate {
    /// An open gate for so many requests at once, at most.
    #[must_use]
    pub fn new(concurrency_max: usize, now: Instant) -> Self {
        Self {
            concurrency: Concurrency::new(concurrency_max, now),
            failures: 0,
            closed: None,
            backoff: Backoff::default(),
        }
    }

    /// Whether a request may start while so many run.
    #[must_use]
    pub fn may_start(&self, running: usize, now: Instant) -> bool {
        match &self.closed {
            Some(closed) => !closed.probing && now >= closed.until,
            None => running < self.concurrency.limit(),
        }
    }

    /// When the next request may try, while the gate is closed and none does.
    #[must_use]
    pub fn opens_at(&self) -> Option<Instant> {
        self.closed.as_ref().filter(|closed| !closed.probing).map(|closed| closed.until)
    }

    /// Whether it is closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Whether it is closed until a person acts.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.held)
    }

    /// How many requests may run at once.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.concurrency.limit()
    }

    /// A request starts.
    pub fn start(&mut self, now: Instant) -> Ticket {
        let is_probe = self.closed.is_some();
        if let Some(closed) = &mut self.closed {
            closed.probing = true;
        }
        Ticket { started: now, is_probe }
    }

    /// A request was answered as it should be, whatever the answer says of its events.
    pub fn succeed(&mut self, ticket: Ticket, now: Instant) {
        // What had started before it closed says nothing about what was said since then.
        if self.closed.is_none() || ticket.is_probe {
            self.failures = 0;
            self.backoff = Backoff::default();
            self.closed = None;
        }
        self.concurrency.succeeded(now - ticket.started, ticket.started, now);
    }

    /// A request has failed, or it was asked to come back later; `random` is in 0..1.
    pub fn fail(&mut self, ticket: Ticket, failure: Failure, now: Instant, random: f64) {
        self.failures += 1;
        if failure.limited {
            self.concurrency.decrease(ticket.started, now);
        }
        let closes = failure.for_all || failure.retry_after.is_some() || self.failures >= FAILURES_MAX;
        match &mut self.closed {
            // What had started before does not make the wait longer, unless it was told something else.
            Some(closed) if !ticket.is_probe => {
                if let Some(after) = failure.retry_after {
                    closed.until = closed.until.max(now + self.backoff.after(after, random));
                }
            }
            None if !closes => {}
            closed => {
                let held = closed.as_ref().is_some_and(|closed| closed.held);
                let until = now + self.backoff.next_delay(failure.retry_after, random);
                *closed = Some(Closed { until, probing: false, held });
            }
        }
    }

    /// A request was answered that nothing is taken until a person acts.
    pub fn hold(&mut self, ticket: Ticket, retry_after: Option<Duration>, now: Instant) {
        let probing = self.closed.as_ref().is_some_and(|closed| closed.probing && !ticket.is_probe);
        let wait =
            retry_after.map_or(PROBE_INTERVAL, |after| self.backoff.after(after, 0.0).max(PROBE_INTERVAL));
        self.closed = Some(Closed { until: now + wait, probing, held: true });
    }

    /// A person has acted: one request may try at once.
    pub fn try_now(&mut self, now: Instant) {
        if let Some(closed) = &mut self.closed {
            closed.until = now;
        }
    }

    /// A request has ended without telling anything.
    pub fn cancel(&mut self, ticket: Ticket) {
        if let Some(closed) = self.closed.as_mut().filter(|_| ticket.is_probe) {
            closed.probing = false;
        }
    }
}

/// How many requests may run at once: one more for each round that goes well, half as many when the other end is slow or
/// says that it is too much (additive increase, multiplicative decrease).
#[derive(Debug)]
struct Concurrency {
    limit: f64,
    max: f64,
    /// What had started before the last decrease says nothing about what holds since then.
    decreased_at: Instant,
    /// The quickest answer so far; it grows slowly, so that a better past is forgotten.
    quickest: Option<Duration>,
}

impl Concurrency {
    fn new(max: usize, now: Instant) -> Self {
        let max = u32::try_from(max).map_or(f64::MAX, f64::from).max(1.0);
        Self { limit: max, max, decreased_at: now, quickest: None }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 1 and its maximum"
    )]
    const fn limit(&self) -> usize {
        self.limit as usize
    }

    fn succeeded(&mut self, took: Duration, started: Instant, now: Instant) {
        let quickest = self.quickest.map_or(took, |quickest| took.min(quickest.mul_f64(1.01)));
        self.quickest = Some(quickest);
        if took > SLOW_MIN && took > quickest * SLOW_FACTOR {
            self.decrease(started, now);
        } else {
            self.limit = (self.limit + 1.0 / self.limit).min(self.max);
        }
    }

    fn decrease(&mut self, started: Instant, now: Instant) {
        if started >= self.decreased_at {
            self.limit = (self.limit / 2.0).max(1.0);
            self.decreased_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NO_CONNECTION: Failure = Failure { for_all: true, limited: false, retry_after: None };

    fn running(gate: &mut Gate, now: Instant) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        while gate.may_start(tickets.len(), now) {
            tickets.push(gate.start(now));
        }
        tickets
    }

    #[test]
    fn an_outage_costs_one_probe_at_a_time_and_one_success_ends_it() {
        let mut now = Instant::now();
        let mut gate = Gate::new(4, now);
        let tickets = running(&mut gate, now);
        assert_eq!(tickets.len(), 4);
        for ticket in tickets {
            gate.fail(ticket, NO_CONNECTION, now, 1.0);
        }
        // The first failure counts; those that were under way already do not make the wait longer.
        for wait_ms in [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000] {
            assert_eq!(gate.opens_at().unwrap() - now, Duration::from_millis(wait_ms));
            now = gate.opens_at().unwrap();
            assert!(running(&mut gate, now - Duration::from_nanos(1)).is_empty());
            let probes = running(&mut gate, now);
            assert_eq!(probes.len(), 1);
            assert!(gate.opens_at().is_none(), "it is being tried");
            gate.fail(probes[0], NO_CONNECTION, now, 1.0);
        }
        now = gate.opens_at().unwrap();
        let probe = gate.start(now);
        gate.succeed(probe, now);
        assert_eq!(running(&mut gate, now).len(), 4, "at its full rate at once");
    }

    #[test]
    fn single_failures_do_not_close_it() {
        let now = Instant::now();
        let mut gate = Gate::new(4, now);
        for _ in 0..100 {
            for _ in 0..FAILURES_MAX - 1 {
                let ticket = gate.start(now);
                gate.fail(ticket, Failure::default(), now, 1.0);
            }
            let ticket = gate.start(now);
            gate.succeed(ticket, now);
        }
        assert!(!gate.is_closed());
        for _ in 0..FAILURES_MAX {
            let ticket = gate.start(now);
            gate.fail(ticket, Failure::default(), now, 1.0);
        }
        assert!(gate.is_closed());
    }

    #[test]
    fn a_time_that_was_asked_for_is_kept_and_jitter_comes_after() {
        let now = Instant::now();
        let mut gate = Gate::new(2, now);
        let tickets = running(&mut gate, now);
        let asked = |seconds| Failure { retry_after: Some(SECOND * seconds), ..Failure::default() };
        gate.fail(tickets[0], asked(7), now, 0.5);
        assert_eq!(gate.opens_at(), Some(now + SECOND * 7 + SECOND / 4));
        gate.fail(tickets[1], asked(20), now, 0.0);
        assert_eq!(gate.opens_at(), Some(now + SECOND * 20), "who asks for more is heard, too");
        let probe = gate.start(now + SECOND * 20);
        gate.fail(probe, asked(99_999), now, 0.0);
        assert_eq!(gate.opens_at(), Some(now + SECOND * 3_600), "an hour at most");
    }

    /// Found in review: an answer to an older request opened the gate before the time that was asked for.
    #[test]
    fn what_had_started_before_it_closed_does_not_open_it() {
        let now = Instant::now();
        let mut gate = Gate::new(4, now);
        let tickets = running(&mut gate, now);
        gate.fail(tickets[0], Failure { retry_after: Some(SECOND * 10), ..Failure::default() }, now, 0.0);
        gate.succeed(tickets[1], now + SECOND);
        assert_eq!(gate.opens_at(), Some(now + SECOND * 10));
        let probe = gate.start(now + SECOND * 10);
        gate.cancel(tickets[2]);
        gate.hold(tickets[3], None, now + SECOND * 10);
        assert!(!gate.may_start(1, now + SECOND * 99), "one probe at a time");
        gate.succeed(probe, now + SECOND * 11);
        assert!(!gate.is_closed());
    }

    #[test]
    fn what_a_person_must_mend_is_tried_twice_a_minute() {
        let now = Instant::now();
        let mut gate = Gate::new(4, now);
        let ticket = gate.start(now);
        gate.hold(ticket, None, now);
        assert!(gate.is_held() && gate.opens_at() == Some(now + PROBE_INTERVAL));
        gate.try_now(now);
        assert!(gate.may_start(0, now));
        let probe = gate.start(now);
        gate.succeed(probe, now);
        assert!(!gate.is_held());
    }

    #[test]
    fn less_is_sent_when_told_so_or_when_answers_are_slow() {
        let now = Instant::now();
        let mut gate = Gate::new(8, now);
        let tickets = running(&mut gate, now);
        let limited = Failure { limited: true, ..Failure::default() };
        for ticket in tickets {
            gate.fail(ticket, limited, now + SECOND, 0.0);
            gate.failures = 0;
        }
        assert_eq!(gate.concurrency(), 4, "once for all that had started before");
        let mut later = now + SECOND;
        for _ in 0..40 {
            let ticket = gate.start(later);
            later += SECOND / 100;
            gate.succeed(ticket, later);
        }
        assert_eq!(gate.concurrency(), 8, "and more again, a step for each round");
        let ticket = gate.start(later);
        gate.succeed(ticket, later + SECOND * 2);
        assert_eq!(gate.concurrency(), 4);
        for _ in 0..9 {
            later += SECOND * 3;
            let ticket = gate.start(later);
            gate.fail(ticket, limited, later, 0.0);
            gate.failures = 0;
        }
        assert_eq!(gate.concurrency(), 1, "never none");
    }
}
