//! The queue: batches that wait for their turn, in memory or in the spool, the oldest first, and datasets that are held.
//!
//! Takes sealed batches and those that have to be sent again, gives the one that is to be sent next. A dataset that nobody
//! but a person can mend is held: one of its parcels tries now and then, and none stands in the way of another dataset.
//! Pure: the time comes in.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{gate::PROBE_INTERVAL, pack::Parcel, retry::Backoff};
use crate::spool::Item;

/// A parcel that would be lost with the process is put into the spool when it has waited so long.
const SPOOLED_AFTER: Duration = Duration::from_secs(1);

/// A batch that waits.
#[derive(Debug)]
pub enum Load {
    /// In memory.
    Parcel(Parcel),
    /// In the spool.
    Spooled(Spooled),
}

/// A batch in the spool that waits.
#[derive(Debug)]
pub struct Spooled {
    /// Its file.
    pub item: Item,
    /// Its place in the queue.
    pub number: u64,
    /// How long to wait before it is sent again.
    pub backoff: Backoff,
    /// Whether its events were trimmed already.
    pub trimmed: bool,
}

impl Load {
    /// Where it goes.
    #[must_use]
    pub const fn dataset(&self) -> &Arc<str> {
        match self {
            Self::Parcel(parcel) => &parcel.dataset,
            Self::Spooled(spooled) => &spooled.item.dataset,
        }
    }

    const fn number(&self) -> u64 {
        match self {
            Self::Parcel(parcel) => parcel.number,
            Self::Spooled(spooled) => spooled.number,
        }
    }

    /// The next delay between two attempts; `random` is in 0..1.
    pub fn next_delay(&mut self, random: f64) -> Duration {
        let backoff = match self {
            Self::Parcel(parcel) => &mut parcel.backoff,
            Self::Spooled(spooled) => &mut spooled.backoff,
        };
        backoff.next_delay(None, random)
    }

    /// Whether it would be lost with the process.
    const fn is_volatile(&self) -> bool {
        matches!(self, Self::Parcel(Parcel { replayable: false, .. }))
    }
}

/// All batches that wait.
#[derive(Debug, Default)]
pub struct Queue {
    lanes: BTreeMap<Arc<str>, Lane>,
    len: usize,
    last_number: u64,
}

/// One dataset's.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    /// When one of them may try, if the dataset is held; `None` inside while one does.
    held: Option<Option<Instant>>,
    /// Until then others are tried first.
    rests_until: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    load: Load,
    not_before: Instant,
    /// When it is to be put into the spool, if it is one that would be lost with the process.
    spool_at: Instant,
}

impl Lane {
    /// Which of its parcels may be sent now.
    fn due(&self, now: Instant) -> Option<usize> {
        if self.rests_until.is_some_and(|until| now < until) {
            return None;
        }
        match self.held {
            Some(None) => None,
            Some(Some(probe_at)) => (probe_at <= now && !self.waiting.is_empty()).then_some(0),
            None => self.waiting.iter().position(|waiting| waiting.not_before <= now),
        }
    }

    /// When one of its parcels may be sent; `None` if there is none, or it is being tried whether one may.
    fn next_at(&self) -> Option<Instant> {
        let at = match self.held {
            Some(None) => None,
            Some(probe_at) => probe_at.filter(|_| !self.waiting.is_empty()),
            None => self.waiting.iter().map(|waiting| waiting.not_before).min(),
        };
        at.map(|at| self.rests_until.map_or(at, |until| at.max(until)))
    }
}

impl Queue {
    /// Adds a new parcel, or a batch that an earlier process has left in the spool.
    pub fn push(&mut self, mut load: Load, now: Instant) {
        self.last_number += 1;
        match &mut load {
            Load::Parcel(parcel) => parcel.number = self.last_number,
            Load::Spooled(spooled) => spooled.number = self.last_number,
        }
        self.put_back(load, Duration::ZERO, now);
    }

    /// Puts a batch back at its place, not to be sent again before the delay is over.
    pub fn put_back(&mut self, load: Load, delay: Duration, now: Instant) {
        let lane = self.lanes.entry(Arc::clone(load.dataset())).or_default();
        let number = load.number();
        let place = lane.waiting.partition_point(|waiting| waiting.load.number() < number);
        lane.waiting.insert(place, Waiting { load, not_before: now + delay, spool_at: now + SPOOLED_AFTER });
        self.len += 1;
    }

    /// Takes a parcel that has waited for long and would be lost with the process, and when it may be sent.
    pub fn next_to_spool(&mut self, now: Instant) -> Option<(Parcel, Instant)> {
        let due = |waiting: &Waiting| waiting.load.is_volatile() && waiting.spool_at <= now;
        for lane in self.lanes.values_mut() {
            let place = lane.waiting.iter().position(due);
            if let Some(Waiting { load: Load::Parcel(parcel), not_before, .. }) =
                place.and_then(|place| lane.waiting.remove(place))
            {
                self.len -= 1;
                return Some((parcel, not_before));
            }
        }
        None
    }

    /// Takes the newest parcel of a dataset that is held, to make room for others.
    pub fn next_held_to_spool(&mut self, now: Instant) -> Option<(Parcel, Instant)> {
        let due = |waiting: &Waiting| matches!(waiting.load, Load::Parcel(_)) && waiting.spool_at <= now;
        for lane in self.lanes.values_mut().filter(|lane| lane.held.is_some()) {
            let place = lane.waiting.iter().rposition(due);
            if let Some(Waiting { load: Load::Parcel(parcel), not_before, .. }) =
                place.and_then(|place| lane.waiting.remove(place))
            {
                self.len -= 1;
                return Some((parcel, not_before));
            }
        }
        None
    }

    /// When the next parcel is to be put into the spool; `held_too` if those of held datasets are.
    #[must_use]
    pub fn next_spool_at(&self, held_too: bool) -> Option<Instant> {
        let spools = |lane: &Lane, load: &Load| {
            load.is_volatile() || (held_too && lane.held.is_some() && matches!(load, Load::Parcel(_)))
        };
        let waiting =
            self.lanes.values().flat_map(|lane| lane.waiting.iter().map(move |waiting| (lane, waiting)));
        waiting
            .filter(|(lane, waiting)| spools(lane, &waiting.load))
            .map(|(_, waiting)| waiting.spool_at)
            .min()
    }

    /// Takes the batch that is to be sent now: of those that may be, the oldest.
    pub fn next(&mut self, now: Instant) -> Option<Load> {
        let due = |lane: &Lane| {
            let index = lane.due(now)?;
            Some((lane.waiting.get(index)?.load.number(), index))
        };
        let lanes = self.lanes.values_mut().filter_map(|lane| Some((due(lane)?, lane)));
        let ((_, index), lane) = lanes.min_by_key(|((number, _), _)| *number)?;
        if let Some(probe_at) = &mut lane.held {
            *probe_at = None;
        }
        self.len -= 1;
        lane.waiting.remove(index).map(|waiting| waiting.load)
    }

    /// When the next parcel may be sent.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.lanes.values().filter_map(Lane::next_at).min()
    }

    /// Holds a dataset; answers whether it was not held before.
    pub fn hold(&mut self, dataset: &Arc<str>, now: Instant) -> bool {
        let lane = self.lanes.entry(Arc::clone(dataset)).or_default();
        let is_new = lane.held.is_none();
        lane.held = Some(Some(now + PROBE_INTERVAL));
        is_new
    }

    /// A parcel of a dataset came back without a word on whether that is still held.
    pub fn try_again(&mut self, dataset: &str, delay: Duration, now: Instant) {
        if let Some(held) = self.lanes.get_mut(dataset).and_then(|lane| lane.held.as_mut()) {
            held.get_or_insert(now + delay);
        }
    }

    /// What was tried of a dataset for all others has failed: until then others are tried first, since it may be the
    /// cause.
    pub fn rest(&mut self, dataset: &str, until: Instant) {
        if let Some(lane) = self.lanes.get_mut(dataset) {
            lane.rests_until = Some(until);
        }
    }

    /// What was the matter may be mended: none has to rest.
    pub fn wake(&mut self) {
        self.lanes.values_mut().for_each(|lane| lane.rests_until = None);
    }

    /// A dataset takes events; answers whether it was held before.
    pub fn release(&mut self, dataset: &str) -> bool {
        self.lanes.get_mut(dataset).is_some_and(|lane| {
            lane.rests_until = None;
            lane.held.take().is_some()
        })
    }

    /// How many parcels wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none does.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many parcels wait whose dataset is not held.
    #[must_use]
    pub fn free_len(&self) -> usize {
        self.lanes.values().filter(|lane| lane.held.is_none()).map(|lane| lane.waiting.len()).sum()
    }

    /// The datasets that are held, and the flow bytes that their parcels take.
    #[must_use]
    pub fn held(&self) -> (usize, Vec<Arc<str>>) {
        let held = || self.lanes.iter().filter(|(_, lane)| lane.held.is_some());
        let cost = |waiting: &Waiting| match &waiting.load {
            Load::Parcel(parcel) => parcel.cost(),
            Load::Spooled(_) => 0,
        };
        let bytes = held().flat_map(|(_, lane)| &lane.waiting).map(cost).sum();
        (bytes, held().map(|(name, _)| Arc::clone(name)).collect())
    }

    /// Takes all that wait.
    pub fn drain(&mut self) -> impl Iterator<Item = Load> {
        self.len = 0;
        std::mem::take(&mut self.lanes)
            .into_values()
            .flat_map(|lane| lane.waiting)
            .map(|waiting| waiting.load)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn queue(datasets: &[&str], now: Instant) -> Queue {
        let mut queue = Queue::default();
        for dataset in datasets {
            queue.push(Load::Parcel(Parcel::empty((*dataset).into())), now);
        }
        queue
    }

    fn numbers(queue: &mut Queue, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| queue.next(now)).map(|load| load.number()).collect()
    }

    #[test]
    fn the_oldest_that_may_be_sent_comes_first() {
        let now = Instant::now();
        let mut queue = queue(&["b", "a", "b", "a"], now);
        let first = queue.next(now).unwrap();
        assert_eq!((first.number(), queue.len()), (1, 3));
        queue.put_back(first, SECOND, now);
        assert_eq!(numbers(&mut queue, now), [2, 3, 4], "who waits stands in nobody's way");
        assert_eq!(queue.next_at(), Some(now + SECOND));
        queue.push(Load::Parcel(Parcel::empty("b".into())), now);
        assert_eq!(numbers(&mut queue, now + SECOND), [1, 5], "but keeps its place");
        assert!(queue.is_empty() && queue.next_at().is_none());
    }

    #[test]
    fn a_held_dataset_tries_now_and_then_and_holds_up_no_other() {
        let now = Instant::now();
        let mut queue = queue(&["a", "a", "b"], now);
        assert!(queue.hold(&"a".into(), now) && !queue.hold(&"a".into(), now));
        assert_eq!(numbers(&mut queue, now), [3]);
        assert_eq!((queue.next_at(), queue.free_len()), (Some(now + PROBE_INTERVAL), 0));
        let later = now + PROBE_INTERVAL;
        let probe = queue.next(later).unwrap();
        assert_eq!(probe.number(), 1);
        assert!(queue.next(later).is_none() && queue.next_at().is_none(), "one at a time");
        queue.put_back(probe, Duration::ZERO, later);
        queue.try_again("a", SECOND, later);
        assert_eq!(queue.next_at(), Some(later + SECOND));
        assert!(queue.release("a") && !queue.release("a"));
        assert_eq!(numbers(&mut queue, later), [1, 2]);
    }

    /// Found in review: a batch that always fails was the only one that was tried.
    #[test]
    fn a_dataset_that_rests_lets_others_try() {
        let now = Instant::now();
        let mut queue = queue(&["bad", "bad", "good"], now);
        queue.rest("bad", now + SECOND);
        assert_eq!(queue.next(now).unwrap().number(), 3);
        assert!(queue.next(now).is_none() && queue.next_at() == Some(now + SECOND));
        queue.wake();
        assert_eq!(queue.next_at(), Some(now));
        queue.rest("bad", now + SECOND);
        assert_eq!(numbers(&mut queue, now + SECOND), [1, 2]);
    }

    #[test]
    fn what_would_be_lost_is_spooled_when_it_has_waited() {
        let now = Instant::now();
        let mut queue = queue(&["a"], now);
        assert!(queue.next_spool_at(false).is_none(), "files can be read again");
        let mut volatile = Parcel::empty("a".into());
        volatile.replayable = false;
        queue.push(Load::Parcel(volatile), now);
        assert_eq!(queue.next_spool_at(false), Some(now + SPOOLED_AFTER));
        assert!(queue.next_to_spool(now).is_none());
        let (parcel, _) = queue.next_to_spool(now + SPOOLED_AFTER).unwrap();
        let item = Item { number: 1, dataset: "a".into(), events: 1 };
        let spooled = Spooled { item, number: parcel.number, backoff: Backoff::default(), trimmed: false };
        queue.put_back(Load::Spooled(spooled), Duration::ZERO, now);
        assert!(queue.next_spool_at(false).is_none() && queue.next_to_spool(now + SPOOLED_AFTER).is_none());
        assert_eq!(numbers(&mut queue, now), [1, 2], "it keeps its place");
    }
}
