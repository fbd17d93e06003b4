//! The ledger: which positions of each stream are decided, and what became of every line.
//!
//! Takes a span for each chunk read, and the outcome of each event made from it; gives the mark up to which a
//! stream need not be read again, and the counts.
//!
//! Invariants: `resume` never moves backwards and never passes a position that is neither decided nor held; and
//! at every moment `read + recovered` equals the sum of all outcomes and `open` ([`Counts::balance`]).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// One ordered, positioned input: a generation of a file, or stdin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(u32);

/// A chunk's claim on its positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId {
    stream: StreamId,
    sequence: u64,
}

/// The share that a batch has in a span: this many of its events came from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The span.
    pub span: SpanId,
    /// How many events; each is the home of one line.
    pub events: u32,
}

/// A line behind `resume` that is not decided yet, since a join still holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Where it starts in the stream.
    pub position: u64,
    /// Its length in bytes, its end included.
    pub len: u32,
    /// What the join needs to know of it on start; 0 for now.
    pub flags: u32,
}

/// What a stream need not read again: everything before `resume` but the held lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// All before it is decided or held.
    pub resume: u64,
    /// The lines before it to be given to the join again on start, oldest first.
    pub held: Vec<Held>,
}

/// What is known of a chunk's lines when its pass ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Lines that became events, each with an outcome to come.
    pub events: u32,
    /// Lines with nothing in them.
    pub blank: u32,
}

/// What becomes of an event's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Honeycomb said 202.
    Accepted,
    /// Honeycomb refused it for good.
    Refused,
    /// The agent stopped before it could be delivered, and its input can't be read again.
    Shutdown,
}

/// Every line's one outcome, since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines framed.
    pub read: u64,
    /// Lines taken from the spool or a join's held ranges at start.
    pub recovered: u64,
    /// Lines whose event was accepted.
    pub accepted: u64,
    /// Lines with nothing in them.
    pub blank: u64,
    /// Lines whose event was refused for good: `dropped{refused}`.
    pub refused: u64,
    /// Lines lost at shutdown, their input being gone: `dropped{shutdown}`.
    pub shutdown: u64,
    /// Lines whose event has no outcome yet.
    pub open: u64,
}

impl Counts {
    /// What goes in minus what came out; always 0.
    #[must_use]
    pub fn balance(&self) -> i128 {
        let input = i128::from(self.read) + i128::from(self.recovered);
        let outcomes = [self.accepted, self.blank, self.refused, self.shutdown, self.open];
        input - outcomes.into_iter().map(i128::from).sum::<i128>()
    }
}

#[derive(Debug)]
struct Span {
    end: u64,
    events_open: u32,
}

#[derive(Debug)]
struct Stream {
    resume: u64,
    /// Spans not yet behind `resume`, in order; the first has sequence number `first`.
    spans: VecDeque<Span>,
    first: u64,
    held: BTreeMap<u64, Held>,
    closed: bool,
}

/// All streams' spans and all lines' outcomes.
#[derive(Debug, Default)]
pub struct Ledger {
    streams: BTreeMap<StreamId, Stream>,
    streams_opened: u32,
    counts: Counts,
}

impl Ledger {
    /// Begins a stream whose first unread position is `resume`.
    pub fn open_stream(&mut self, resume: u64) -> StreamId {
        let id = StreamId(self.streams_opened);
        self.streams_opened += 1;
        let stream =
            Stream { resume, spans: VecDeque::new(), first: 0, held: BTreeMap::new(), closed: false };
        self.streams.insert(id, stream);
        id
    }

    /// Says that nothing more will be read from a stream; it goes when its last span is decided.
    pub fn close_stream(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.closed = true;
        }
        self.forget_if_done(id);
    }

    /// Enters a chunk that ends at `end`, before any of its events can be decided.
    pub fn open_span(&mut self, id: StreamId, end: u64, passed: Passed) -> SpanId {
        self.counts.read += u64::from(passed.events) + u64::from(passed.blank);
        self.counts.blank += u64::from(passed.blank);
        self.counts.open += u64::from(passed.events);
        let mut sequence = 0;
        if let Some(stream) = self.streams.get_mut(&id) {
            sequence = stream.first + stream.spans.len() as u64;
            stream.spans.push_back(Span { end, events_open: passed.events });
        }
        self.advance(id);
        SpanId { stream: id, sequence }
    }

    /// Enters the outcome of some events of a span.
    pub fn decide(&mut self, claim: Claim, outcome: Outcome) {
        let lines = u64::from(claim.events);
        self.counts.open -= lines;
        match outcome {
            Outcome::Accepted => self.counts.accepted += lines,
            Outcome::Refused => self.counts.refused += lines,
            Outcome::Shutdown => self.counts.shutdown += lines,
        }
        let SpanId { stream: id, sequence } = claim.span;
        let span = self.streams.get_mut(&id).and_then(|stream| {
            let index = usize::try_from(sequence.checked_sub(stream.first)?).ok()?;
            stream.spans.get_mut(index)
        });
        if let Some(span) = span {
            span.events_open -= claim.events;
        }
        self.advance(id);
        self.forget_if_done(id);
    }

    fn advance(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        while let Some(span) = stream.spans.pop_front_if(|span| span.events_open == 0) {
            stream.resume = span.end;
            stream.first += 1;
        }
    }

    fn forget_if_done(&mut self, id: StreamId) {
        if self.streams.get(&id).is_some_and(|stream| stream.closed && stream.spans.is_empty()) {
            self.streams.remove(&id);
        }
    }

    /// A stream's mark; `None` once it is closed and all of it decided.
    #[must_use]
    pub fn mark(&self, id: StreamId) -> Option<Mark> {
        let stream = self.streams.get(&id)?;
        Some(Mark { resume: stream.resume, held: stream.held.values().copied().collect() })
    }

    /// The counts so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }
}

/// The ledger of a process: entered once per chunk and per batch, so a lock is cheap.
#[derive(Debug, Default)]
pub struct SharedLedger {
    ledger: Mutex<Ledger>,
    changed: Notify,
}

impl SharedLedger {
    /// Writes to the ledger.
    pub fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        let result = act(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
        result
    }

    /// Reads the ledger.
    pub fn read<T>(&self, ask: impl FnOnce(&Ledger) -> T) -> T {
        ask(&self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when the ledger was written to since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes, events per dataset, blank lines.
    type Chunk = (u64, Vec<u32>, u32);

    /// Chunks, and the order in which their claims are decided.
    fn history() -> impl Strategy<Value = (Vec<Chunk>, Vec<prop::sample::Index>)> {
        let chunk = (1_u64..1000, prop::collection::vec(1_u32..5, 0..4), 0_u32..3);
        let order = prop::collection::vec(any::<prop::sample::Index>(), 100);
        (prop::collection::vec(chunk, 1..25), order)
    }

    proptest! {
        #[test]
        fn the_mark_never_passes_an_undecided_line((chunks, order) in history()) {
            let mut ledger = Ledger::default();
            let stream = ledger.open_stream(0);
            let mut open = Vec::new();
            let mut ends = Vec::new();
            let mut end = 0;
            for (bytes, datasets, blank) in chunks {
                end += bytes;
                let passed = Passed { events: datasets.iter().sum(), blank };
                let span = ledger.open_span(stream, end, passed);
                open.extend(datasets.into_iter().map(|events| (end - bytes, Claim { span, events })));
                ends.push(end);
            }
            let mut last = 0;
            for index in order {
                let undecided = open.iter().map(|(start, _)| *start).min().unwrap_or(end);
                let resume = ledger.mark(stream).unwrap().resume;
                prop_assert_eq!(resume, undecided, "everything before the first open line, and no more");
                prop_assert!(resume >= last);
                prop_assert_eq!(ledger.counts().balance(), 0);
                last = resume;
                if open.is_empty() {
                    break;
                }
                let (_, claim) = open.swap_remove(index.index(open.len()));
                ledger.decide(claim, Outcome::Accepted);
            }
        }
    }

    #[test]
    fn a_closed_stream_goes_when_it_is_decided() {
        let mut ledger = Ledger::default();
        let stream = ledger.open_stream(7);
        let span = ledger.open_span(stream, 9, Passed { events: 1, blank: 0 });
        ledger.close_stream(stream);
        assert_eq!(ledger.mark(stream), Some(Mark { resume: 7, held: vec![] }));
        ledger.decide(Claim { span, events: 1 }, Outcome::Refused);
        assert_eq!(ledger.mark(stream), None);
        assert_eq!(ledger.counts(), Counts { read: 1, refused: 1, ..Counts::default() });
    }
}
