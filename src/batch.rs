//! Batching: runs → sealed batches, one open batch for each dataset and kind of input.
//!
//! Takes a run (what one chunk became for one dataset), concatenates it to the open batch, and seals that at a
//! size, at an age, under budget pressure and at the end. Pure: the time comes in as an argument. Batches of
//! inputs that can be read again and of those that can't are kept apart, since they are treated differently
//! when delivery fails.
//!
//! Invariant: a body is never larger than `body_bytes_max` unless a single event is; a batch's claims name its
//! events in order.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::{ack::Claim, budget::Reservation, dataset::DatasetId, spare::Spares};

/// What one chunk became for one dataset.
#[derive(Debug)]
pub struct Run {
    /// Which batches it can join.
    pub key: Key,
    /// Encoded events, each followed by a comma.
    pub events: Vec<u8>,
    /// Where each event ends in `events`, its comma included.
    pub ends: Vec<u32>,
    /// What they came from, in the events' order.
    pub claims: VecDeque<Claim>,
    /// The flow bytes they take.
    pub reservation: Reservation,
}

impl Run {
    /// The flow bytes of events that take `events_bytes` and number `count`.
    #[must_use]
    pub const fn cost(events_bytes: usize, count: usize) -> usize {
        events_bytes + count * size_of::<u32>()
    }
}

/// What all events of a batch have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Where they go.
    pub dataset: DatasetId,
    /// Whether their input can be read again.
    pub replayable: bool,
}

/// A batch that is still growing, and, once sealed, one that is about to be compressed.
#[derive(Debug)]
pub struct Batch {
    /// What its events have in common.
    pub key: Key,
    /// `[event,event,…` and, once sealed, `]`.
    pub body: Vec<u8>,
    /// Where each event ends in `body`, its comma or the closing bracket included.
    pub ends: Vec<u32>,
    /// The spans its events came from, in the events' order.
    pub claims: Vec<Claim>,
    /// The flow bytes it takes.
    pub reservation: Reservation,
    oldest: Instant,
}

impl Batch {
    fn new(key: Key, mut body: Vec<u8>, oldest: Instant) -> Self {
        body.push(b'[');
        Self { key, body, ends: Vec::new(), claims: Vec::new(), reservation: Reservation::default(), oldest }
    }

    /// Appends the run's events `from..to`; their share of its reservation comes along.
    fn append(&mut self, run: &mut Run, from: usize, to: usize) {
        let start = event_start(&run.ends, from);
        let end = event_start(&run.ends, to);
        let base = self.body.len();
        self.body.extend_from_slice(&run.events[start..end]);
        self.ends.extend(run.ends[from..to].iter().map(|end| as_offset(base + (*end as usize - start))));
        let claims = self.take_claims(run, to - from);
        self.reservation.merge(run.reservation.split(Run::cost(end - start, to - from) + claims));
    }

    /// Takes over the claims of the run's next `events`; answers the bytes that they take.
    fn take_claims(&mut self, run: &mut Run, events: usize) -> usize {
        let (mut left, mut cost) = (as_offset(events), 0);
        while let Some(mut claim) = run.claims.pop_front_if(|_| left > 0) {
            if claim.events > left {
                run.claims.push_front(Claim { events: claim.events - left, ..claim.clone() });
                claim.events = left;
            }
            left -= claim.events;
            cost += claim.cost();
            self.claims.push(claim);
        }
        cost
    }

    fn seal(mut self) -> Self {
        if let Some(comma) = self.body.last_mut() {
            *comma = b']';
        }
        self
    }
}

fn event_start(ends: &[u32], index: usize) -> usize {
    index.checked_sub(1).map_or(0, |before| ends[before] as usize)
}

/// Bodies stay below 5 MB, so every offset in one is a `u32`.
fn as_offset(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// All open batches.
#[derive(Debug)]
pub struct Batcher {
    body_bytes_max: usize,
    spares: Spares,
    open: BTreeMap<Key, Batch>,
}

impl Batcher {
    /// No batches yet. Runs that are taken over leave their buffers in `spares`, new batches take theirs there.
    #[must_use]
    pub const fn new(body_bytes_max: usize, spares: Spares) -> Self {
        Self { body_bytes_max, spares, open: BTreeMap::new() }
    }

    /// Adds a run; batches that it fills are handed to `seal`.
    pub fn add(&mut self, mut run: Run, now: Instant, mut seal: impl FnMut(Batch)) {
        let mut from = 0;
        while from < run.ends.len() {
            let batch =
                self.open.entry(run.key).or_insert_with(|| Batch::new(run.key, self.spares.take(), now));
            let start = event_start(&run.ends, from);
            let room = self.body_bytes_max.saturating_sub(batch.body.len());
            let fitting = run.ends[from..].partition_point(|end| *end as usize - start <= room);
            let to = if fitting == 0 && batch.ends.is_empty() { from + 1 } else { from + fitting };
            if to > from {
                batch.append(&mut run, from, to);
            }
            from = to;
            if from < run.ends.len() {
                self.open.remove(&run.key).map(Batch::seal).into_iter().for_each(&mut seal);
            }
        }
        self.spares.give(run.events);
    }

    /// When the next batch will be as old as batches may be; `None` if none is open.
    #[must_use]
    pub fn deadline(&self, age_max: Duration) -> Option<Instant> {
        self.open.values().map(|batch| batch.oldest).min().map(|oldest| oldest + age_max)
    }

    /// Seals the batches that are as old as that.
    pub fn seal_old(&mut self, age_max: Duration, now: Instant, seal: impl FnMut(Batch)) {
        let old = |batch: &Batch| now.saturating_duration_since(batch.oldest) >= age_max;
        let due: Vec<Key> = self.open.iter().filter(|(_, batch)| old(batch)).map(|(key, _)| *key).collect();
        due.iter().filter_map(|key| self.open.remove(key)).map(Batch::seal).for_each(seal);
    }

    /// Seals the largest batch, to free its bytes.
    pub fn seal_largest(&mut self) -> Option<Batch> {
        let largest = self.open.iter().max_by_key(|(_, batch)| batch.body.len()).map(|(key, _)| *key)?;
        self.open.remove(&largest).map(Batch::seal)
    }

    /// Seals them all.
    pub fn seal_all(&mut self, seal: impl FnMut(Batch)) {
        std::mem::take(&mut self.open).into_values().map(Batch::seal).for_each(seal);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ack::{Ledger, Passed};
    use crate::dataset::Datasets;

    const BODY_BYTES_MAX: usize = 100;
    const AGE_MAX: Duration = Duration::from_secs(1);

    fn run(ledger: &mut Ledger, key: Key, lens: &[usize]) -> Run {
        let mut events = Vec::new();
        let mut ends = Vec::new();
        for len in lens {
            events.extend(std::iter::repeat_n(b'7', len - 1));
            events.push(b',');
            ends.push(as_offset(events.len()));
        }
        let stream = ledger.open_stream(crate::ack::End::default());
        let passed = Passed { lines: as_offset(lens.len()), ..Passed::default() };
        let span = ledger.open_span(stream, 1, passed, &[]);
        let claim = Claim { span, events: as_offset(lens.len()), lines: 1, held: Box::default() };
        Run { key, events, ends, claims: [claim].into(), reservation: Reservation::default() }
    }

    proptest! {
        #[test]
        fn batches_hold_every_event_once_and_keep_the_limit(
            runs in prop::collection::vec(prop::collection::vec(2_usize..130, 1..12), 1..12),
        ) {
            let mut ledger = Ledger::default();
            let key = Key { dataset: Datasets::default().id("a"), replayable: true };
            let mut batcher = Batcher::new(BODY_BYTES_MAX, Spares::default());
            let mut sealed = Vec::new();
            for lens in &runs {
                batcher.add(run(&mut ledger, key, lens), Instant::now(), |batch| sealed.push(batch));
            }
            batcher.seal_all(|batch| sealed.push(batch));
            let expected: Vec<usize> = runs.concat().iter().map(|len| len - 1).collect();
            let mut found = Vec::new();
            for batch in &sealed {
                prop_assert!(batch.body.len() <= BODY_BYTES_MAX || batch.ends.len() == 1);
                let events = batch.claims.iter().map(|claim| claim.events as usize).sum::<usize>();
                prop_assert_eq!(events, batch.ends.len());
                let texts = batch.body.strip_prefix(b"[").unwrap().strip_suffix(b"]").unwrap();
                found.extend(texts.split(|byte| *byte == b',').map(<[u8]>::len));
                prop_assert_eq!(*batch.ends.last().unwrap() as usize, batch.body.len());
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn batches_seal_by_age_and_under_pressure() {
        let mut ledger = Ledger::default();
        let mut datasets = Datasets::default();
        let mut batcher = Batcher::new(BODY_BYTES_MAX, Spares::default());
        let now = Instant::now();
        for (name, len) in [("a", 10), ("b", 30), ("c", 20)] {
            let key = Key { dataset: datasets.id(name), replayable: name != "c" };
            let later = now + Duration::from_millis(if name == "a" { 0 } else { 500 });
            batcher.add(run(&mut ledger, key, &[len]), later, |_| panic!("nothing is full"));
        }
        assert_eq!(batcher.deadline(AGE_MAX), Some(now + AGE_MAX));
        assert_eq!(batcher.seal_largest().map(|batch| batch.body.len()), Some(31));
        let mut old = Vec::new();
        batcher.seal_old(AGE_MAX, now + AGE_MAX, |batch| old.push(batch.key));
        assert_eq!(old.len(), 1);
        batcher.seal_all(|batch| old.push(batch.key));
        assert_eq!(old.iter().map(|key| key.replayable).collect::<Vec<_>>(), [true, false]);
        assert_eq!(batcher.deadline(AGE_MAX), None);
    }
}
