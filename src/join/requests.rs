//! The events of a request → one wide event.
//!
//! Takes parsed events, each with its lane, and plans what becomes of them; the caller ships, then says that it is done.
//! A plan changes nothing, so an event that finds no room is planned again.
//!
//! Requests are told apart by the lane and the `request_id`, or, where no id is logged, the process; where neither is,
//! a request pairs with its answer only while it is the lane's only one. A Cowboy crash report names the request by
//! method and path alone: it is tied to one only if it can't be another's.
//!
//! Invariant: no field of a request comes from a line that could be another's, but for a pair marked ambiguous.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
};

use hivetail_parsers::{Record, Role, Timestamp, Value};

use super::{
    Deadlines, Settings, Taken,
    table::{NONE, Slot, Table},
};
pub(crate) use open::{Open, Origin};
pub(crate) use plan::Plan;
use siblings::Siblings;

mod open;
mod plan;
mod siblings;

/// After an answer of 500 or more, a crash is logged within this time.
const CRASH_WAIT_MS: u64 = 1_000;
const CRASH_WAIT_NS: u64 = CRASH_WAIT_MS * 1_000_000;
/// More requests are never open at once.
const OPEN_MAX: usize = 65_536;

/// While there were never more open at once, each may keep its memory for the next.
const FEW: usize = 64;

/// Keys are hashes already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The open requests of a source.
#[derive(Debug)]
pub(crate) struct Requests {
    query_events: bool,
    window_ms: u64,
    table: Table<Open>,
    /// The first of the requests that share a key; it knows the next.
    by_key: HashMap<u64, Slot, BuildHasherDefault<AsItIs>>,
    lanes: Vec<Siblings>,
    hasher: RandomState,
    touched: Vec<Slot>,
    bytes: usize,
}

/// What an event is found by.
#[derive(Clone, Copy, Debug)]
struct Key {
    hash: u64,
    /// Whether the event tells no id, nor its process.
    nameless: bool,
    /// The process, if it is told.
    pid: Option<u64>,
}

fn text<'a>(record: &Record<'a>, name: &str) -> Option<&'a [u8]> {
    match record.get(name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

/// Whether that is the crash of a request's own process, not of another that logs with the request's id.
fn is_own_crash(record: &Record<'_>) -> bool {
    let others = [&b"genserver"[..], b"task", b"process", b"supervisor", b"gen_statem"];
    record.role == Role::Crashed
        && !text(record, "elixir.crash_kind").is_some_and(|kind| others.contains(&kind))
}

impl Requests {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            query_events: settings.query_events,
            window_ms: settings.window_ms,
            table: Table::new(),
            by_key: HashMap::default(),
            lanes: Vec::new(),
            hasher: RandomState::new(),
            touched: Vec::new(),
            bytes: 0,
        }
    }

    fn hash(&self, what: impl Hash) -> u64 {
        self.hasher.hash_one(what)
    }

    fn key(&self, lane: u32, record: &Record<'_>) -> Key {
        let pid = text(record, "elixir.pid").map(|pid| self.hash(pid));
        let mut hasher = self.hasher.build_hasher();
        let id = text(record, "request_id");
        match (id, pid) {
            (Some(id), _) => hasher.write(id),
            (None, Some(pid)) => hasher.write_u64(pid),
            (None, None) => {}
        }
        // What kind of key it is stands at the end, so that no id can be taken for another kind's.
        let kind = if id.is_some() { 0 } else { 1 + u64::from(pid.is_some()) };
        hasher.write_u64(u64::from(lane) << 2 | kind);
        Key { hash: hasher.finish(), nameless: id.is_none() && pid.is_none(), pid }
    }

    /// The requests that share a key.
    fn chain(&self, key: u64) -> impl Iterator<Item = (Slot, &Open)> {
        let mut slot = self.by_key.get(&key).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let open = self.table.get(slot)?;
            let this = std::mem::replace(&mut slot, open.state.next);
            Some((this, open))
        })
    }

    /// Opens a request with its first event.
    pub(crate) fn open(
        &mut self,
        lane: u32,
        record: &Record<'_>,
        origin: &Origin<'_>,
        taken: &[Taken],
        deadlines: &mut Deadlines,
    ) {
        let key = self.key(lane, record);
        let request = self.request_hash(record).unwrap_or_default();
        let (first, shared) = self.unanswered(key);
        let is_other_process =
            |open: &Open| key.pid.is_some() && open.state.pid.is_some() && open.state.pid != key.pid;
        let apart = shared > 0 && self.chain(key.hash).all(|(_, open)| is_other_process(open));
        let ambiguous = first.is_some() && !apart;
        if ambiguous {
            self.mark_ambiguous(key);
        }
        let slot = self.table.take();
        let Some(open) = self.table.get_mut(slot) else { return };
        open.begin(lane, record, origin);
        (open.state.key, open.state.pid, open.state.request, open.state.ambiguous) =
            (key.hash, key.pid, request, ambiguous);
        self.bytes += open.bytes();
        deadlines.note(origin.lineage, origin.elapsed_ms.saturating_add(self.window_ms));
        self.link(key.hash, slot);
        self.take(slot, taken, 0);
    }

    fn mark_ambiguous(&mut self, key: Key) {
        let mut slot = self.by_key.get(&key.hash).copied().unwrap_or(NONE);
        while let Some(open) = self.table.get_mut(slot) {
            open.state.ambiguous |= open.state.answer.is_none();
            slot = open.state.next;
        }
    }

    /// Puts a request at the end of its key's chain.
    fn link(&mut self, key: u64, slot: Slot) {
        let last = self.chain(key).last().map(|(last, _)| last);
        match last.and_then(|last| self.table.get_mut(last)) {
            Some(last) => last.state.next = slot,
            None => drop(self.by_key.insert(key, slot)),
        }
    }

    fn unlink(&mut self, key: u64, slot: Slot, next: Slot) {
        let before = self.chain(key).find(|(_, open)| open.state.next == slot).map(|(before, _)| before);
        if let Some(before) = before.and_then(|before| self.table.get_mut(before)) {
            before.state.next = next;
        } else if next == NONE {
            self.by_key.remove(&key);
        } else {
            self.by_key.insert(key, next);
        }
    }

    /// Changes a request, which may take more bytes or fewer then.
    fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Open)) {
        let Some(open) = self.table.get_mut(slot) else { return };
        let before = open.bytes();
        change(open);
        self.bytes = self.bytes + open.bytes() - before;
    }

    /// Adds lines to those that a request is made of.
    fn take(&mut self, slot: Slot, taken: &[Taken], flags: u32) {
        self.change(slot, |open| open.hold(taken, flags));
        if let Some(open) = self.table.get_mut(slot).filter(|open| !open.state.touched) {
            open.state.touched = true;
            self.touched.push(slot);
        }
    }

    /// Takes what an event tells into a request.
    pub(crate) fn merge(&mut self, slot: Slot, record: &Record<'_>) {
        self.change(slot, |open| open.merge(record));
    }

    /// An event became part of a request.
    pub(crate) fn absorbed(&mut self, slot: Slot, record: &Record<'_>, taken: &[Taken]) {
        self.merge(slot, record);
        self.change(slot, |open| open.count(record));
        self.take(slot, taken, 0);
    }

    /// An event was shipped on its own, and a request counts it.
    pub(crate) fn noted(&mut self, slot: Slot, record: &Record<'_>, taken: &[Taken]) {
        if is_own_crash(record) {
            self.merge(slot, record);
        }
        self.change(slot, |open| open.count(record));
        if self.table.get(slot).is_some_and(|open| !open.is_full()) {
            self.take(slot, taken, crate::ack::Held::CONTEXT);
        }
    }

    /// A request's answer was logged, and it waits for its crash.
    pub(crate) fn awaits(
        &mut self,
        slot: Slot,
        record: &Record<'_>,
        taken: &[Taken],
        origin: &Origin<'_>,
        deadlines: &mut Deadlines,
    ) {
        self.take(slot, taken, 0);
        let Some(open) = self.table.get_mut(slot) else { return };
        open.state.answer =
            Some(open::Answer { elapsed_ms: origin.elapsed_ms, time: record.time.map(|time| time.at) });
        let lane = open.state.lane;
        deadlines.note(origin.lineage, origin.elapsed_ms.saturating_add(CRASH_WAIT_MS));
        self.siblings(lane).waiting.push_back(slot);
    }

    fn siblings(&mut self, lane: u32) -> &mut Siblings {
        if self.lanes.len() <= lane as usize {
            self.lanes.resize_with(lane as usize + 1, Siblings::default);
        }
        &mut self.lanes[lane as usize]
    }

    /// An event that begins or answers a request of no name was shipped on its own.
    pub(crate) fn passed_alone(&mut self, lane: u32, record: &Record<'_>) {
        let begins = match record.role {
            Role::Started => true,
            Role::Answered => false,
            _ => return,
        };
        if self.key(lane, record).nameless {
            let window_ms = self.window_ms;
            self.siblings(lane).jam(begins, record.time.map(|time| time.at), window_ms);
        }
    }

    /// An open request.
    pub(crate) fn get(&self, slot: Slot) -> Option<&Open> {
        self.table.get(slot)
    }

    /// A request was shipped, with an answer, or as the line that it began with, or as it is.
    pub(crate) fn shipped(&mut self, slot: Slot, how: Shipped) {
        let Some(open) = self.table.get_mut(slot) else { return };
        let (lane, key, next, request) =
            (open.state.lane, open.state.key, open.state.next, open.state.request);
        let (waited, begun, pid) = (open.state.answer.is_some(), open.time(), open.state.pid);
        self.bytes -= open.bytes();
        self.unlink(key, slot, next);
        let one_of_many = self.table.capacity() > FEW;
        if let Some(open) = self.table.get_mut(slot) {
            open.clear(one_of_many);
        }
        self.table.give(slot);
        let window_ms = self.window_ms;
        let siblings = self.siblings(lane);
        if waited {
            siblings.waiting.retain(|waiting| *waiting != slot);
        }
        match how {
            Shipped::Answered { at, chunked } if pid.is_none() => siblings.answered(request, at, chunked),
            Shipped::Split => siblings.jam(true, begun, window_ms),
            Shipped::Answered { .. } | Shipped::Incomplete => {}
        }
    }

    /// The lines taken in this chunk by requests that are still open.
    pub(crate) fn newly_held(&mut self, mut held: impl FnMut(&mut Taken)) {
        for slot in self.touched.drain(..) {
            if let Some(open) = self.table.get_mut(slot).filter(|open| open.state.touched) {
                open.state.touched = false;
                open.lines.iter_mut().rev().take_while(|line| !line.is_told()).for_each(&mut held);
            }
        }
    }

    /// The bytes that all open requests take.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there are too many.
    pub(crate) const fn is_crowded(&self) -> bool {
        self.table.len() > OPEN_MAX
    }

    /// The oldest open request.
    pub(crate) fn oldest(&self) -> Option<Slot> {
        Some(self.table.oldest()).filter(|slot| *slot != NONE)
    }

    /// The oldest open request of a lane.
    pub(crate) fn oldest_of(&self, lane: u32) -> Option<Slot> {
        self.table.iter().find(|(_, open)| open.state.lane == lane).map(|(slot, _)| slot)
    }

    /// A lane is used for other lines from now on; none of its requests is open.
    pub(crate) fn forget_lane(&mut self, lane: u32) {
        if let Some(siblings) = self.lanes.get_mut(lane as usize) {
            *siblings = Siblings::default();
        }
    }

    /// A request of that lineage whose time is over; or else what is the next to end, and when.
    pub(crate) fn due(&self, lineage: u32, elapsed_ms: u64) -> Result<Slot, Option<u64>> {
        let mut soonest: Option<u64> = None;
        for (slot, open) in self.table.iter().filter(|(_, open)| open.state.lineage == lineage) {
            let ends = match open.state.answer {
                Some(answer) => answer.elapsed_ms.saturating_add(CRASH_WAIT_MS),
                None => open.state.opened_ms.saturating_add(self.window_ms),
            };
            if ends <= elapsed_ms {
                return Ok(slot);
            }
            soonest = Some(soonest.map_or(ends, |soonest| soonest.min(ends)));
        }
        Err(soonest)
    }
}

/// How a request was shipped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shipped {
    /// With its answer, logged then.
    Answered { at: Option<Timestamp>, chunked: bool },
    /// As the line that it began with.
    Split,
    /// Without an answer, or after waiting for a crash.
    Incomplete,
}
