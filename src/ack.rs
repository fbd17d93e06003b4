//! The ledger: which positions of each stream are decided, and what became of every line.
//!
//! Takes a span for each chunk read, with the lines of it that open joins hold, and the outcome of each event; gives
//! the mark up to which a stream need not be read again, and the counts.
//!
//! Invariants: `resume` never moves backwards and never passes a position that is neither decided nor held; and
//! at every moment `read + recovered` equals the sum of all outcomes and `open` ([`Counts::balance`]).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Mutex,
};

pub use counts::{Counts, Outcome};
use hivetail_parsers::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::lock::lock;

mod counts;

/// One ordered, positioned input: a generation of a file, or stdin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(u32);

/// How far a stream was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// The next position.
    pub position: u64,
    /// What its source knows the stream again by, when it is to go on there: a checksum of the bytes before.
    pub tail: Option<u32>,
}

impl End {
    /// A position in a stream that need not be known again.
    #[must_use]
    pub const fn at(position: u64) -> Self {
        Self { position, tail: None }
    }
}

impl From<u64> for End {
    fn from(position: u64) -> Self {
        Self::at(position)
    }
}

/// A chunk's claim on its positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanId {
    stream: StreamId,
    sequence: u64,
}

/// What events in a row draw on: lines of one span, and, if it is a single event, lines that a join held before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The span.
    pub span: SpanId,
    /// How many events.
    pub events: u32,
    /// How many of the span's lines each of them is made of.
    pub lines: u32,
    /// Lines from before the span; only for a single event.
    pub held: Box<[HeldAt]>,
}

impl Claim {
    /// The bytes that it takes.
    #[must_use]
    pub const fn cost(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.held)
    }
}

/// A line that a join holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldAt {
    /// Its stream.
    pub stream: StreamId,
    /// Where it starts there.
    pub position: u64,
    /// Whether it is held as context, by another than the event that it is part of.
    pub context: bool,
}

/// A line that an open join holds: when all else before `resume` is decided, it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u64, u32, u32)", from = "(u64, u32, u32)")]
pub struct Held {
    /// Where it starts in the stream.
    pub position: u64,
    /// Its length in bytes, its end included.
    pub len: u32,
    /// What the join needs to know of it on start: the constants here.
    pub flags: u32,
}

impl Held {
    /// The line was shipped as an event of its own already: it only tells the join something, and is not counted.
    pub const CONTEXT: u32 = 1;
    /// The line is the last of its event: what follows it does not go on with it.
    pub const LAST: u32 = 2;
    /// The event that the line is part of is not decided; no business of the checkpoint's.
    const OWNED: u32 = 4;
    /// That event is decided, but its last line may be read again after a restart: then it must not come alone.
    const LINGERS: u32 = 8;

    /// As the ledger keeps it: a line that is no mere context is owned by its event.
    const fn entered(self) -> Self {
        let owned = if self.is_context() { 0 } else { Self::OWNED };
        Self { flags: self.flags | owned, ..self }
    }

    /// As the checkpoint has it: a line whose event is not decided has to be shipped, whoever else holds it.
    const fn saved(self) -> Self {
        // What lingers and another holds as context has been shipped: it need not come twice.
        let lingers = self.flags & (Self::LINGERS | Self::CONTEXT) == Self::LINGERS;
        let owned = self.flags & Self::OWNED != 0 || lingers;
        let flags = if owned { self.flags & Self::LAST } else { self.flags & (Self::LAST | Self::CONTEXT) };
        Self { flags, ..self }
    }

    /// Whether it was shipped as an event of its own.
    #[must_use]
    pub const fn is_context(self) -> bool {
        self.flags & Self::CONTEXT != 0
    }
}

impl From<Held> for (u64, u32, u32) {
    fn from(held: Held) -> Self {
        (held.position, held.len, held.flags)
    }
}

impl From<(u64, u32, u32)> for Held {
    fn from((position, len, flags): (u64, u32, u32)) -> Self {
        Self { position, len, flags }
    }
}

/// What a stream need not read again: everything before `resume` but the held lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// All before it is decided or held.
    pub resume: u64,
    /// [`End::tail`] of that position.
    pub tail: Option<u32>,
    /// The lines before it to be given to the join again on start, oldest first.
    pub held: Vec<Held>,
}

/// What is known of a chunk's lines when its pass ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Lines of events that the chunk made, whose outcome is to come.
    pub lines: u32,
    /// Lines with nothing in them.
    pub blank: u32,
    /// When they were read.
    pub at: Timestamp,
}

#[derive(Debug)]
struct Span {
    end: End,
    lines_open: u32,
    read_at: Timestamp,
}

#[derive(Debug)]
struct Stream {
    resume: End,
    /// Spans not yet behind `resume`, in order; the first has sequence number `first`.
    spans: VecDeque<Span>,
    first: u64,
    held: BTreeMap<u64, Held>,
    /// Lines that events of these spans drew on which are decided, until the spans are behind `resume`.
    lingering: BTreeMap<u64, Vec<HeldAt>>,
    closed: bool,
}

/// All streams' spans and all lines' outcomes.
#[derive(Debug, Default)]
pub struct Ledger {
    streams: BTreeMap<StreamId, Box<Stream>>,
    streams_opened: u32,
    /// Streams whose mark may not be what it was when last asked.
    changed: BTreeSet<StreamId>,
    counts: Counts,
    /// Lines that are open and that no stream holds: whoever goes on with theirs recovers them.
    handed: u64,
}

impl Ledger {
    /// Begins a stream whose first unread position is `resume`.
    pub fn open_stream(&mut self, resume: End) -> StreamId {
        let id = StreamId(self.streams_opened);
        self.streams_opened += 1;
        let stream = Stream {
            resume,
            spans: VecDeque::new(),
            first: 0,
            held: BTreeMap::new(),
            lingering: BTreeMap::new(),
            closed: false,
        };
        self.streams.insert(id, Box::new(stream));
        self.changed.insert(id);
        id
    }

    /// Enters the lines of a stream that a join held when its mark was saved: they are read again, and have no outcome.
    pub fn recover(&mut self, id: StreamId, held: &[Held]) {
        let lines = held.iter().filter(|held| !held.is_context()).count() as u64;
        let handed = lines.min(self.handed);
        self.handed -= handed;
        self.counts.recovered += lines - handed;
        self.counts.open += lines - handed;
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.held.extend(held.iter().map(|held| (held.position, held.entered())));
            self.changed.insert(id);
        }
    }

    /// There is more to say of a line that is held.
    pub fn retell(&mut self, at: HeldAt, flags: u32) {
        let held = self.streams.get_mut(&at.stream).and_then(|stream| stream.held.get_mut(&at.position));
        if let Some(held) = held {
            held.flags |= flags & (Held::CONTEXT | Held::LAST);
            self.changed.insert(at.stream);
        }
    }

    /// A line that was recovered has nothing to tell any more.
    pub fn release(&mut self, at: HeldAt) {
        let lines = self.let_go(at);
        self.counts.open -= lines;
        self.counts.blank += lines;
        self.forget_if_done(at.stream);
    }

    /// The agent stops, and a line that a join holds can't be read again.
    pub fn lose(&mut self, at: HeldAt) {
        let lines = self.let_go(at);
        self.counts.open -= lines;
        self.counts.shutdown += lines;
        self.forget_if_done(at.stream);
    }

    /// A join ends with its source, and another source goes on with the stream from `resume` on. A line before that is open
    /// until it is recovered; one behind it is read again, as if it had not been.
    pub fn hand_over(&mut self, at: HeldAt, resume: u64) {
        let lines = self.let_go(at);
        if at.position < resume {
            self.handed += lines;
        } else {
            self.counts.open -= lines;
            self.counts.read -= lines;
        }
        self.forget_if_done(at.stream);
    }

    /// One of its holders lets go of a line; answers how many lines that counts for: context counts for none.
    fn let_go(&mut self, at: HeldAt) -> u64 {
        let Some(stream) = self.streams.get_mut(&at.stream) else { return 0 };
        let Some(held) = stream.held.get_mut(&at.position) else { return 0 };
        let holder = if at.context { Held::CONTEXT } else { Held::OWNED | Held::LINGERS };
        let lines = u64::from(!at.context && held.flags & Held::OWNED != 0);
        self.changed.insert(at.stream);
        held.flags &= !holder;
        if held.flags & (Held::CONTEXT | Held::OWNED | Held::LINGERS) == 0 {
            stream.held.remove(&at.position);
        }
        lines
    }

    /// Says that nothing more will be read from a stream; it goes when its last span is decided.
    pub fn close_stream(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.closed = true;
        }
        self.forget_if_done(id);
    }

    /// Enters a chunk that ends at `end`, before any of its events can be decided, and the lines of it that open joins
    /// hold.
    pub fn open_span(&mut self, id: StreamId, end: impl Into<End>, passed: Passed, held: &[Held]) -> SpanId {
        let open = u64::from(passed.lines) + held.iter().filter(|held| !held.is_context()).count() as u64;
        self.counts.read += open + u64::from(passed.blank);
        self.counts.blank += u64::from(passed.blank);
        self.counts.open += open;
        let mut sequence = 0;
        if let Some(stream) = self.streams.get_mut(&id) {
            sequence = stream.first + stream.spans.len() as u64;
            stream.spans.push_back(Span { end: end.into(), lines_open: passed.lines, read_at: passed.at });
            stream.held.extend(held.iter().map(|held| (held.position, held.entered())));
        }
        if !held.is_empty() {
            self.changed.insert(id);
        }
        self.advance(id);
        SpanId { stream: id, sequence }
    }

    /// Events were taken from the spool, each a line, and have an outcome.
    pub fn take_from_spool(&mut self, events: u32, outcome: Outcome) {
        self.counts.recovered += u64::from(events);
        *self.counts.of(outcome) += u64::from(events);
    }

    /// Enters lines whose events were sent before and are taken from where they were kept.
    pub fn open_recovered_span(&mut self, id: StreamId, end: impl Into<End>, passed: Passed) -> SpanId {
        let lines = passed.lines;
        let span = self.open_span(id, end, passed, &[]);
        self.counts.recovered += u64::from(lines);
        self.counts.read -= u64::from(lines);
        span
    }

    /// Enters the outcome of that many of a claim's events. Each has one line at home, which has its outcome; the others
    /// are joined.
    pub fn decide(&mut self, claim: &Claim, events: u32, outcome: Outcome) {
        if events == 0 {
            return;
        }
        let held: u64 = claim.held.iter().map(|at| self.settle(*at)).sum();
        let (homes, lines) = (u64::from(events), u64::from(events) * u64::from(claim.lines) + held);
        self.counts.open -= lines;
        self.counts.joined += lines - homes;
        *self.counts.of(outcome) += homes;
        let SpanId { stream: id, sequence } = claim.span;
        if let Some(stream) = self.streams.get_mut(&id) {
            if !claim.held.is_empty() {
                stream.lingering.entry(sequence).or_default().extend(&claim.held);
            }
            let index = sequence.checked_sub(stream.first).and_then(|index| usize::try_from(index).ok());
            if let Some(span) = index.and_then(|index| stream.spans.get_mut(index)) {
                span.lines_open -= events * claim.lines;
            }
        }
        self.advance(id);
        self.forget_if_done(id);
    }

    /// The event of a line that is held is decided; answers how many lines that counts for.
    fn settle(&mut self, at: HeldAt) -> u64 {
        let held = self.streams.get_mut(&at.stream).and_then(|stream| stream.held.get_mut(&at.position));
        let Some(held) = held.filter(|held| !at.context && held.flags & Held::OWNED != 0) else { return 0 };
        held.flags = held.flags & !Held::OWNED | Held::LINGERS;
        1
    }

    fn advance(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        while let Some(span) = stream.spans.pop_front_if(|span| span.lines_open == 0) {
            stream.resume = span.end;
            stream.first += 1;
            self.changed.insert(id);
        }
        if stream.spans.is_empty() {
            // Most streams rest most of the time: their room is given back.
            stream.spans = VecDeque::new();
        }
        if stream.lingering.is_empty() {
            return;
        }
        let ahead = stream.lingering.split_off(&stream.first);
        let passed = std::mem::replace(&mut stream.lingering, ahead);
        for at in passed.into_values().flatten() {
            self.let_go(at);
            self.forget_if_done(at.stream);
        }
    }

    fn forget_if_done(&mut self, id: StreamId) {
        let done = |stream: &Stream| stream.closed && stream.spans.is_empty() && stream.held.is_empty();
        if self.streams.get(&id).is_some_and(|stream| done(stream)) {
            self.streams.remove(&id);
            self.changed.insert(id);
        }
    }

    /// Whether any stream's mark may have changed since [`Self::take_changed`] was called.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The streams whose mark may have changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<StreamId> {
        std::mem::take(&mut self.changed)
    }

    /// A stream's mark; `None` once it is closed and all of it decided. What is held from `resume` on will be read again
    /// with all else there.
    #[must_use]
    pub fn mark(&self, id: StreamId) -> Option<Mark> {
        let stream = self.streams.get(&id)?;
        Some(Mark {
            resume: stream.resume.position,
            tail: stream.resume.tail,
            held: stream.held.range(..stream.resume.position).map(|(_, held)| held.saved()).collect(),
        })
    }

    /// Whether something of a stream has no outcome yet.
    #[must_use]
    pub fn is_open(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| !stream.spans.is_empty() || !stream.held.is_empty())
    }

    /// Whether all that was read of a stream has its outcome, but for what joins hold.
    #[must_use]
    pub fn is_read(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_none_or(|stream| stream.spans.is_empty())
    }

    /// How many lines of a stream have no outcome yet.
    #[must_use]
    pub fn lines_open(&self, id: StreamId) -> u64 {
        self.streams.get(&id).map_or(0, |stream| {
            let held = stream.held.values().filter(|held| held.flags & Held::OWNED != 0).count() as u64;
            held + stream.spans.iter().map(|span| u64::from(span.lines_open)).sum::<u64>()
        })
    }

    /// How far a stream has been read, and when the oldest of what was read and has no outcome was, if there is such.
    #[must_use]
    pub fn progress(&self, id: StreamId) -> Option<(u64, Option<Timestamp>)> {
        let stream = self.streams.get(&id)?;
        let read_to = stream.spans.back().map_or(stream.resume.position, |span| span.end.position);
        Some((read_to, stream.spans.front().map(|span| span.read_at)))
    }

    /// When the oldest line was read that has no outcome, of all streams.
    #[must_use]
    pub fn oldest_open(&self) -> Option<Timestamp> {
        self.streams.values().filter_map(|stream| stream.spans.front()).map(|span| span.read_at).min()
    }

    /// Whether joins hold lines of a stream.
    #[must_use]
    pub fn holds(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| !stream.held.is_empty())
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
        let result = act(&mut lock(&self.ledger));
        self.changed.notify_one();
        result
    }

    /// Writes to the ledger what its watchers need not know.
    pub fn quietly<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        act(&mut lock(&self.ledger))
    }

    /// Reads the ledger.
    pub fn read<T>(&self, ask: impl FnOnce(&Ledger) -> T) -> T {
        ask(&lock(&self.ledger))
    }

    /// Resolves when the ledger was written to since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests;
