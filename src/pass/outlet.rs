//! What becomes of parsed events: shipped as they are, or joined to requests that are shipped when they are complete.
//!
//! Each step ships at most one event before it changes anything, so that whatever finds no room can be done again
//! with the next chunk.

use hivetail_parsers::{Record, Role, Scratch, Value};

use super::{Chunk, emit::Emitter};
use crate::{
    encode::{Event, Hidden},
    join::{
        Deadlines, Taken,
        requests::{Origin, Plan, Requests, Shipped},
    },
};

/// What else is to be said of an event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    pub(super) cut: bool,
    pub(super) partial: bool,
    pub(super) incomplete: bool,
}

/// Ships events.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) emitter: Emitter,
    /// None where the events of a request are not to be joined.
    pub(super) requests: Option<Requests>,
    pub(super) deadlines: Deadlines,
    scratch: Scratch,
    record: Record<'static>,
}

impl Outlet {
    pub(super) fn new(emitter: Emitter, requests: Option<Requests>) -> Self {
        let (scratch, record) = (Scratch::new(), Record::new());
        Self { emitter, requests, deadlines: Deadlines::default(), scratch, record }
    }

    /// Takes an event of that lane, made of those lines; `false` if it, or what has to be shipped before it, does not
    /// fit.
    pub(super) fn take(
        &mut self,
        lane: u32,
        record: &Record<'_>,
        origin: &Origin<'_>,
        marks: Marks,
        lines: &[Taken],
        chunk: &mut Chunk,
    ) -> bool {
        let is_context = lines.first().is_some_and(Taken::is_context);
        loop {
            let Some(requests) = &mut self.requests else {
                if is_context {
                    return forget(lines, chunk);
                }
                return self.alone(record, origin, marks, lines, chunk);
            };
            if let Some(slot) = requests.ruled_out(lane, record) {
                if !self.ship(slot, chunk) {
                    return false;
                }
                continue;
            }
            let plan = if marks.incomplete { Plan::Alone } else { requests.plan(lane, record) };
            match plan {
                Plan::Alone if is_context => return forget(lines, chunk),
                Plan::Alone => {
                    let shipped = self.alone(record, origin, marks, lines, chunk);
                    if let Some(requests) = self.requests.as_mut().filter(|_| shipped) {
                        requests.passed_alone(lane, record);
                    }
                    return shipped;
                }
                Plan::Open => {
                    requests.open(lane, record, origin, lines, &mut self.deadlines);
                    return true;
                }
                Plan::Absorb(slot) => {
                    requests.absorbed(slot, record, lines);
                    return true;
                }
                Plan::Note(slot) => {
                    if !is_context && !self.alone(record, origin, marks, lines, chunk) {
                        return false;
                    }
                    if let Some(requests) = &mut self.requests {
                        requests.noted(slot, record, lines);
                    }
                    return true;
                }
                Plan::Answer(slot) => return self.answer(slot, record, lines, chunk),
                Plan::Await(slot) => {
                    requests.merge(slot, record);
                    requests.awaits(slot, record, lines, origin, &mut self.deadlines);
                    return true;
                }
                Plan::Crash(slot) => {
                    requests.merge(slot, record);
                    if !self.ship(slot, chunk) {
                        return false;
                    }
                }
                Plan::Evict(slot) => {
                    if !self.ship(slot, chunk) {
                        return false;
                    }
                    chunk.evicted += 1;
                }
                Plan::Split(slot) => {
                    if !self.split(slot, chunk) {
                        return false;
                    }
                }
            }
        }
    }

    /// Ships an event as it is.
    #[inline]
    fn alone(
        &mut self,
        record: &Record<'_>,
        origin: &Origin<'_>,
        marks: Marks,
        lines: &[Taken],
        chunk: &mut Chunk,
    ) -> bool {
        let event = Event {
            record,
            constants: origin.constants,
            offset: origin.offset,
            received: origin.received,
            line_cut: marks.cut,
            partial: marks.partial,
            incomplete: marks.incomplete,
            ambiguous: false,
            rate: 1,
            hidden: Hidden::default(),
        };
        self.emitter.emit(chunk, &event, lines)
    }

    /// Ships a request with the answer that the record is.
    fn answer(&mut self, slot: u32, record: &Record<'_>, lines: &[Taken], chunk: &mut Chunk) -> bool {
        let Some(requests) = &mut self.requests else { return true };
        requests.merge(slot, record);
        let shipped = self.wide(slot, lines, chunk);
        if let Some(requests) = self.requests.as_mut().filter(|_| shipped) {
            let chunked = record.get("name") == Some(Value::text("Chunked"));
            let at = record.time.map(|time| time.at);
            debug_assert_eq!(record.role, Role::Answered);
            requests.shipped(slot, Shipped::Answered { at, chunked });
        }
        shipped
    }

    /// Ships a request as far as it has come.
    pub(super) fn ship(&mut self, slot: u32, chunk: &mut Chunk) -> bool {
        let shipped = self.wide(slot, &[], chunk);
        if let Some(requests) = self.requests.as_mut().filter(|_| shipped) {
            requests.shipped(slot, Shipped::Incomplete);
        }
        shipped
    }

    /// Ships the requests of a lineage whose time is over. Answers when the next one ends, or nothing if there was no
    /// room.
    pub(super) fn ship_due(
        &mut self,
        lineage: u32,
        elapsed_ms: u64,
        chunk: &mut Chunk,
    ) -> Option<Option<u64>> {
        loop {
            let Some(requests) = &self.requests else { return Some(None) };
            match requests.due(lineage, elapsed_ms) {
                Ok(slot) if self.ship(slot, chunk) => {}
                Ok(_) => return None,
                Err(next) => return Some(next),
            }
        }
    }

    /// Encodes a request, of whose lines the last ones are `more`.
    fn wide(&mut self, slot: u32, more: &[Taken], chunk: &mut Chunk) -> bool {
        let Self { requests: Some(requests), emitter, scratch, record, .. } = self else { return true };
        let Some(open) = requests.get(slot) else { return true };
        scratch.reset();
        let mut record_of = std::mem::take(record).recycle();
        open.fill(scratch, &mut record_of);
        let incomplete = more.is_empty() && !open.is_answered();
        let event = Event { incomplete, ..open.event(&record_of) };
        let shipped = emitter.emit_joined(chunk, &event, &open.lines, more);
        *record = record_of.recycle();
        shipped
    }

    /// Ships the line that a request began with as an event of its own: nothing else belongs to it for certain.
    fn split(&mut self, slot: u32, chunk: &mut Chunk) -> bool {
        let Self { requests: Some(requests), emitter, record, .. } = self else { return true };
        let Some(open) = requests.get(slot) else { return true };
        let mut record_of = std::mem::take(record).recycle();
        open.fill_line(&mut record_of);
        let shipped = emitter.emit_joined(chunk, &open.event(&record_of), &open.lines, &[]);
        *record = record_of.recycle();
        if shipped {
            requests.shipped(slot, Shipped::Split);
        }
        shipped
    }
}

/// Lines that were shipped before the agent stopped, and that no request counts any more.
fn forget(lines: &[Taken], chunk: &mut Chunk) -> bool {
    chunk.released.extend(lines.iter().filter(|line| line.is_known()).map(Taken::at));
    true
}
