//! How open joins end: by a line that begins another event, by time, by a limit, or since nothing more will come.
//!
//! Invariant: what finds no room stays open, and `false` or `chunk.more` says so.

use super::{Bench, Chunk, Moment, Pass, outlet::Marks};
use crate::{
    ack::{Held, HeldAt},
    join::{
        Taken,
        lanes::Lane,
        requests::{Origin, Requests, Shipped},
    },
};

impl Pass {
    /// Ends the joins of a lineage whose time is over.
    pub fn expire(&mut self, lineage: u32, moment: Moment, room_bytes: usize) -> Chunk {
        let mut chunk = Chunk::new(room_bytes);
        if self.deadline(lineage).is_some_and(|soonest| soonest <= moment.elapsed_ms) {
            match self.end_due(lineage, moment, &mut chunk) {
                Some(next) => self.outlet.deadlines.renew(lineage, next),
                None => chunk.more = true,
            }
        }
        self.hold(&mut chunk);
        chunk
    }

    /// When the next join of a lineage may end, by its clock in milliseconds.
    #[must_use]
    pub fn deadline(&self, lineage: u32) -> Option<u64> {
        self.outlet.deadlines.of(lineage)
    }

    /// The lineages that have open joins, and when the next one of each may end.
    pub fn deadlines(&self) -> impl Iterator<Item = (u32, u64)> {
        self.outlet.deadlines.all()
    }

    /// Answers when the next one ends, or nothing if there was no room.
    fn end_due(&mut self, lineage: u32, moment: Moment, chunk: &mut Chunk) -> Option<Option<u64>> {
        let mut next: Option<u64> = None;
        for index in self.lanes.all() {
            let lane = self.lanes.get(index);
            if lane.lineage != lineage || !lane.pending.is_open() {
                continue;
            }
            let ends = self.reader.ends_ms(&lane.pending);
            if ends > moment.elapsed_ms {
                next = Some(next.map_or(ends, |next| next.min(ends)));
                continue;
            }
            if !self.complete(index, moment, chunk) {
                return None;
            }
            self.lanes.get_mut(index).forget_form();
        }
        let request = self.outlet.ship_due(lineage, moment.elapsed_ms, chunk)?;
        Some(next.into_iter().chain(request).min())
    }

    /// Ends all joins: nothing more will come.
    pub fn flush(&mut self, moment: Moment, room_bytes: usize) -> Chunk {
        let mut chunk = Chunk::new(room_bytes);
        let lanes = self.lanes.all();
        chunk.more = !lanes.into_iter().all(|lane| self.complete(lane, moment, &mut chunk));
        while !chunk.more
            && let Some(slot) = self.outlet.requests.as_ref().and_then(Requests::oldest)
        {
            chunk.more = !self.outlet.ship(slot, &mut chunk);
        }
        self.hold(&mut chunk);
        chunk
    }

    /// The lines that open joins hold, which forget them: the agent stops.
    pub fn abandon(&mut self) -> Vec<HeldAt> {
        let mut held = Vec::new();
        for lane in self.lanes.all() {
            let pending = &mut self.lanes.get_mut(lane).pending;
            held.extend(pending.lines.iter().map(Taken::at));
            pending.clear();
        }
        while let Some(requests) = &mut self.outlet.requests
            && let Some(slot) = requests.oldest()
        {
            held.extend(requests.get(slot).into_iter().flat_map(|open| &open.lines).map(Taken::at));
            requests.shipped(slot, Shipped::Incomplete);
        }
        held
    }

    /// A new lane; an old one may have to be emptied first, for which there may be no room.
    #[cold]
    pub(super) fn begin_lane(
        &mut self,
        key: u64,
        lineage: u32,
        moment: Moment,
        chunk: &mut Chunk,
    ) -> Option<u32> {
        let crowded = self.lanes.crowded();
        if let Some(lane) = crowded {
            if !self.complete(lane, moment, chunk) {
                return None;
            }
            while let Some(slot) = self.outlet.requests.as_ref().and_then(|requests| requests.oldest_of(lane))
            {
                if !self.outlet.ship(slot, chunk) {
                    return None;
                }
                chunk.evicted += 1;
            }
            if let Some(requests) = &mut self.outlet.requests {
                requests.forget_lane(lane);
            }
        }
        Some(self.lanes.begin(key, lineage, crowded))
    }

    /// Parses a lane's pending event, if there is one, and hands it on; `false` if it does not fit.
    pub(super) fn complete(&mut self, index: u32, moment: Moment, chunk: &mut Chunk) -> bool {
        let Self { reader, lanes, outlet, pending_bytes, event_bench: Bench { scratch, record }, .. } = self;
        let Lane { lineage, prefer, pending, .. } = lanes.get_mut(index);
        let Some(last) = pending.lines.last_mut() else { return true };
        *last = last.with(Held::LAST);
        scratch.reset();
        let mut event = std::mem::take(record).recycle();
        let parsed = reader.parse_pending(pending, moment, *prefer, scratch, &mut event);
        let origin = Origin {
            constants: &pending.constants,
            offset: pending.offset,
            received: pending.received,
            lineage: *lineage,
            elapsed_ms: moment.elapsed_ms,
        };
        let marks = Marks { cut: pending.cut, partial: pending.partial, incomplete: pending.split };
        let taken = outlet.take(index, &event, &origin, marks, &pending.lines, chunk);
        *record = event.recycle();
        if taken {
            chunk.count(parsed, pending.cut);
            *pending_bytes -= pending.bytes();
            pending.clear();
            lanes.get_mut(index).parsed(parsed);
        }
        taken
    }

    /// Ends joins until what is left is within its bounds; `false` if there is no room for what they make.
    #[inline]
    pub(super) fn evict(&mut self, moment: Moment, chunk: &mut Chunk) -> bool {
        while self.is_over() {
            // What is pending may take half: then its largest is to go, not requests that take little.
            let requests = self.outlet.requests.as_ref().filter(|_| !self.is_mostly_pending());
            let done = match requests.and_then(Requests::oldest) {
                Some(slot) => self.outlet.ship(slot, chunk),
                None => self.lanes.largest().is_none_or(|lane| {
                    let entry = self.lanes.get_mut(lane);
                    (entry.pending.cut, entry.overflowed) = (true, true);
                    self.complete(lane, moment, chunk)
                }),
            };
            if !done {
                return false;
            }
            chunk.evicted += 1;
        }
        true
    }

    fn is_mostly_pending(&self) -> bool {
        self.pending_bytes > self.reader.joins.share.bytes() / 2
    }

    fn is_over(&self) -> bool {
        let requests = self.outlet.requests.as_ref();
        let bytes = self.pending_bytes + requests.map_or(0, Requests::bytes);
        bytes > self.reader.joins.share.bytes() || requests.is_some_and(Requests::is_crowded)
    }
}
