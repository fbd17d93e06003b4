//! One synchronous pass over a chunk: envelope → join lines → parse → join requests → encode, into one run for each
//! dataset.
//!
//! Takes the framed lines of one stream, gives encoded events and what became of each line. Pure: the time comes
//! in with the chunk.
//!
//! Invariants: no allocation per line once warm; the pass ends before the first event that would make its runs
//! larger than the room it was given, and the lines from there on are the next pass's.

mod emit;
mod ends;
mod outlet;
mod reader;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use hivetail_parsers::{Format, ParseError, Record, Scratch, Start, Timestamp, envelope, envelope::Inner};

use crate::{
    ack::{Claim, Held, HeldAt, Passed, StreamId},
    batch::Run,
    budget::JoinShare,
    config::Source,
    dataset::{DatasetId, Datasets, Destination, Template},
    encode::{Constants, Encoder},
    frame::{CHUNK_BYTES, Framing, Line},
    join::{
        Taken,
        lanes::Lanes,
        requests::{Origin, Requests},
    },
    spare::Spares,
    transform::{Book, Places, Told, Transform},
};
use emit::{Emitter, Writer};
use outlet::{Marks, Outlet};
use reader::Reader;

/// What the pass has to know of a stream.
#[derive(Debug)]
pub struct StreamFacts {
    /// The stream.
    pub stream: StreamId,
    /// The streams that go on with one another: joins reach from one to the next.
    pub lineage: u32,
    /// The fields that are the same for all its events.
    pub constants: Arc<Constants>,
    /// Whether its positions are byte offsets that events should tell.
    pub tells_offset: bool,
    /// When it was last written to, for lines that tell no date; `None` for just now.
    pub date: Option<Timestamp>,
}

impl StreamFacts {
    /// Of a stream of its own that has nothing to tell.
    #[must_use]
    pub fn new(constants: Constants) -> Self {
        let (stream, constants) = (StreamId::default(), Arc::new(constants));
        Self { stream, lineage: 0, constants, tells_offset: false, date: None }
    }
}

/// When a chunk is passed.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the machine's clock.
    pub received: Timestamp,
    /// By the lineage's clock, in milliseconds.
    pub elapsed_ms: u64,
}

impl Moment {
    /// A moment whose lineage's clock does not run.
    #[must_use]
    pub const fn at(received: Timestamp) -> Self {
        Self { received, elapsed_ms: 0 }
    }
}

/// The encoded events of one dataset.
#[derive(Debug)]
pub struct Encoded {
    /// Where they go.
    pub dataset: DatasetId,
    /// The events, each followed by a comma.
    pub events: Vec<u8>,
    /// Where each ends in `events`.
    pub ends: Vec<u32>,
    /// What they were made of, in their order; the span is yet to be entered.
    pub claims: VecDeque<Claim>,
}

impl Encoded {
    /// The events, each without its comma.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let text = &self.events[start..*end as usize - 1];
            start = *end as usize;
            text
        })
    }

    /// The flow bytes that it takes.
    #[must_use]
    pub fn cost(&self) -> usize {
        Run::cost(self.events.len(), self.ends.len()) + self.claims.iter().map(Claim::cost).sum::<usize>()
    }
}

/// What a pass made of a chunk.
#[derive(Debug, Default)]
pub struct Chunk {
    /// One for each dataset.
    pub runs: Vec<Encoded>,
    /// How many events are in them.
    pub events: u32,
    /// What events were made of that rules dropped; the span is yet to be entered.
    pub filtered: VecDeque<Claim>,
    /// The same of events that samplers left out.
    pub sampled: VecDeque<Claim>,
    /// The position after the last line that was passed.
    pub end: u64,
    /// What became of the lines.
    pub passed: Passed,
    /// Lines that open joins hold now.
    pub held: Vec<Held>,
    /// What more there is to say of lines that were held before, in [`Held`]'s flags.
    pub retold: Vec<(HeldAt, u32)>,
    /// Lines that were held before and have nothing to tell any more.
    pub released: Vec<HeldAt>,
    /// Lines by the format that parsed them, in the order of [`Format::ALL`].
    pub by_format: [u64; Format::ALL.len()],
    /// Lines that no parser understood.
    pub unparsed: u64,
    /// Lines over the cap.
    pub cut: u64,
    /// Events that were cut.
    pub truncated: u64,
    /// NULs where a line should begin.
    pub nuls: u64,
    /// Joins that had to end early, since there were too many.
    pub evicted: u64,
    /// Whether there was more to do than there was room for.
    pub more: bool,
    /// The bytes that its runs may still grow.
    room_bytes: usize,
}

impl Chunk {
    fn new(room_bytes: usize) -> Self {
        Self { room_bytes, ..Self::default() }
    }

    fn count(&mut self, parsed: Result<Format, ParseError>, cut: bool) {
        self.cut += u64::from(cut);
        match parsed {
            Ok(format) => self.by_format[format as usize] += 1,
            Err(_) => self.unparsed += 1,
        }
    }
}

/// What a record is made in, from line to line.
#[derive(Debug, Default)]
struct Bench {
    scratch: Scratch,
    record: Record<'static>,
}

/// Passes the chunks of one source.
#[derive(Debug)]
pub struct Pass {
    reader: Reader,
    lanes: Lanes,
    outlet: Outlet,
    /// The bytes of all pending events.
    pending_bytes: usize,
    /// For the line in hand, and for the event before it that it completes.
    line_bench: Bench,
    event_bench: Bench,
}

impl Pass {
    /// The pass that a source's configuration asks for; `dataset` is the process's own template, `join_share` what
    /// open joins may take, `book` what holds for all sources.
    #[must_use]
    pub fn new(
        source: &Source,
        dataset: &Template,
        datasets: Arc<Mutex<Datasets>>,
        spares: Spares,
        join_share: impl Into<JoinShare>,
        book: &Arc<Book>,
    ) -> Self {
        let template = source.dataset.as_ref().map_or(dataset, |own| &own.0).clone();
        let destination = Destination::new(&template, &source.constants(), &datasets);
        let places = Places::new(Arc::clone(book));
        let writer = Writer { template, destination, datasets, encoder: Encoder::default(), places, spares };
        let emitter = Emitter::new(Transform::new(source, Arc::clone(book)), writer);
        let reader = Reader::new(source, join_share.into(), book);
        let requests = reader.joins.requests.then(|| Requests::new(&reader.joins));
        Self {
            lanes: Lanes::new(source.envelope.0),
            outlet: Outlet::new(emitter, requests),
            reader,
            pending_bytes: 0,
            line_bench: Bench::default(),
            event_bench: Bench::default(),
        }
    }

    /// Where the events of a stream go that all have these fields.
    #[must_use]
    pub fn destination(&self, constants: &[(String, String)]) -> Destination {
        let writer = &self.outlet.emitter.writer;
        Destination::new(&writer.template, constants, &writer.datasets)
    }

    /// The names of the rules that it asks, in their order.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.outlet.emitter.transform.rule_names()
    }

    /// Takes what was done to events since the last call, and goes on noting it.
    pub fn take_journal(&mut self) -> Vec<Told> {
        self.outlet.emitter.transform.take_journal()
    }

    /// How the records that it passes are found in a stream.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        Framing::of(self.reader.envelope)
    }

    /// Passes lines until there are no more, a chunk is full, or the runs fill `room_bytes`.
    pub fn run<'l>(
        &mut self,
        lines: impl Iterator<Item = Line<'l>>,
        facts: &StreamFacts,
        moment: Moment,
        room_bytes: usize,
    ) -> Chunk {
        let mut chunk = Chunk::new(room_bytes);
        let mut start = None;
        for line in lines {
            let begun = *start.get_or_insert(line.start);
            if line.start - begun >= CHUNK_BYTES as u64 {
                break;
            }
            let taken = Taken::new(facts.stream, line.start, line.end);
            let line = without_nuls(line, &mut chunk);
            if !self.line(&line, taken, facts, moment, &mut chunk) {
                chunk.more = true;
                break;
            }
            chunk.end = line.end;
        }
        self.hold(&mut chunk);
        chunk
    }

    /// Passes a line that a join held when the agent stopped; `chunk.more` says that it is to be passed again.
    pub fn recover(
        &mut self,
        line: &Line<'_>,
        held: Held,
        facts: &StreamFacts,
        moment: Moment,
        room_bytes: usize,
    ) -> Chunk {
        let mut chunk = Chunk::new(room_bytes);
        let taken = Taken::recovered(facts.stream, held);
        chunk.more = !self.line(line, taken, facts, moment, &mut chunk);
        self.hold(&mut chunk);
        chunk
    }

    /// Tells of the lines that open joins took and still hold.
    fn hold(&mut self, chunk: &mut Chunk) {
        let mut tell = |line: &mut Taken| line.tell(chunk);
        self.lanes.newly_held(&mut tell);
        if let Some(requests) = &mut self.outlet.requests {
            requests.newly_held(&mut tell);
        }
    }

    /// One line; `false` if what it makes does not fit any more: then it was not taken.
    #[inline]
    fn line(
        &mut self,
        line: &Line<'_>,
        taken: Taken,
        facts: &StreamFacts,
        moment: Moment,
        chunk: &mut Chunk,
    ) -> bool {
        if !self.evict(moment, chunk) {
            return false;
        }
        let mut bench = std::mem::take(&mut self.line_bench);
        bench.scratch.reset();
        let mut record = bench.record.recycle();
        let opened = self.reader.open(line.text, facts.date, moment, &bench.scratch, &mut record);
        let key = self.lanes.key(facts.lineage, &record);
        let done = match self.lanes.find(key).or_else(|| self.begin_lane(key, facts.lineage, moment, chunk)) {
            Some(lane) => {
                let hand = Hand { line, taken, facts, moment, scratch: &bench.scratch };
                self.in_lane(lane, opened, &mut record, &hand, chunk)
            }
            None => false,
        };
        bench.record = record.recycle();
        self.line_bench = bench;
        done
    }

    /// One line whose lane is known.
    #[inline]
    fn in_lane<'a>(
        &mut self,
        index: u32,
        opened: Result<Inner<'a>, ParseError>,
        record: &mut Record<'a>,
        hand: &Hand<'_, 'a>,
        chunk: &mut Chunk,
    ) -> bool {
        let inner = match opened {
            Ok(inner) if !inner.by_platform => inner,
            // Neither is the app's own: it goes on with nothing.
            _ => return self.direct(index, opened, record, hand, chunk),
        };
        let lane = self.lanes.get(index);
        let blank = envelope::is_blank(inner.line) && !envelope::tells_more(record);
        let start = if lane.pending.takes_any(blank) {
            Start::Nothing
        } else if blank {
            return nothing(hand, chunk);
        } else {
            self.reader.joins.rule.start(inner.line, &self.reader.parser, lane, hand.scratch, record)
        };
        let lane = self.lanes.get_mut(index);
        let start = lane.settle(start);
        if lane.pending.is_open() {
            let full = self.reader.is_full(&lane.pending, inner.line);
            if start == Start::Nothing && lane.pending.goes_on() && !full {
                return self.append(index, inner, hand, chunk);
            }
            if start == Start::Nothing && full {
                (lane.pending.cut, lane.overflowed) = (true, true);
            }
            if !self.complete(index, hand.moment, chunk) {
                return false;
            }
        }
        let lane = self.lanes.get_mut(index);
        let whole = match start {
            Start::Whole(form) | Start::Open(form) => {
                lane.form = form.or(lane.form);
                lane.overflowed = false;
                matches!(start, Start::Whole(_))
            }
            Start::Nothing | Start::Quoted(_) => !(lane.overflowed || self.reader.joins_strays()),
        };
        if whole && !inner.partial {
            return self.direct(index, opened, record, hand, chunk);
        }
        lane.pending.begin(hand.line, hand.facts, hand.moment.received, whole);
        if self.reader.is_enveloped() {
            lane.pending.first.extend_from_slice(hand.line.text);
            self.pending_bytes += hand.line.text.len();
        }
        self.append(index, inner, hand, chunk)
    }

    /// Adds a line to its lane's pending event.
    fn append(&mut self, index: u32, inner: Inner<'_>, hand: &Hand<'_, '_>, chunk: &mut Chunk) -> bool {
        let lane = self.lanes.get_mut(index);
        let before = lane.pending.bytes();
        lane.pending.append(inner.line, hand.taken);
        lane.pending.split = inner.partial;
        lane.pending.cut |= hand.line.cut;
        lane.pending.partial |= hand.line.partial;
        lane.pending.taken_ms = hand.moment.elapsed_ms;
        self.pending_bytes += lane.pending.bytes() - before;
        let ended = (lane.pending.whole && !inner.partial) || hand.taken.is_last();
        self.outlet.deadlines.note(lane.lineage, self.reader.ends_ms(&lane.pending));
        self.lanes.touch(index);
        if ended && !self.complete(index, hand.moment, chunk) {
            // The line is taken: its event only has to wait for room.
            self.lanes.get_mut(index).pending.closed = true;
        }
        true
    }

    /// One line that is an event by itself.
    #[inline]
    fn direct<'a>(
        &mut self,
        index: u32,
        opened: Result<Inner<'a>, ParseError>,
        record: &mut Record<'a>,
        hand: &Hand<'_, 'a>,
        chunk: &mut Chunk,
    ) -> bool {
        let Hand { line, facts, moment, .. } = *hand;
        let lane = self.lanes.get(index);
        if opened.is_ok_and(|inner| envelope::is_blank(inner.line)) && !envelope::tells_more(record) {
            return nothing(hand, chunk);
        }
        let parsed =
            self.reader.parse(opened, line.text, facts.date, moment, lane.prefer, hand.scratch, record);
        let origin = Origin {
            constants: &facts.constants,
            offset: facts.tells_offset.then_some(line.start),
            received: moment.received,
            lineage: facts.lineage,
            elapsed_ms: moment.elapsed_ms,
        };
        let marks = Marks { cut: line.cut, partial: line.partial, incomplete: false };
        let lines = [hand.taken.with(Held::LAST)];
        let taken = self.outlet.take(index, record, &origin, marks, &lines, chunk);
        if taken {
            self.lanes.get_mut(index).parsed(parsed);
            chunk.count(parsed, line.cut);
        }
        taken
    }
}

/// A line in hand.
struct Hand<'h, 'a> {
    line: &'h Line<'a>,
    taken: Taken,
    facts: &'h StreamFacts,
    moment: Moment,
    scratch: &'a Scratch,
}

/// A line without the NULs that it begins with, which whoever truncated its file has left there.
#[inline]
fn without_nuls<'l>(line: Line<'l>, chunk: &mut Chunk) -> Line<'l> {
    if line.text.first() != Some(&0) {
        return line;
    }
    let nuls = line.text.iter().position(|byte| *byte != 0).unwrap_or(line.text.len());
    chunk.nuls += nuls as u64;
    Line { text: &line.text[nuls..], ..line }
}

/// There is nothing in a line, nor in its envelope.
fn nothing(hand: &Hand<'_, '_>, chunk: &mut Chunk) -> bool {
    if hand.taken.is_known() {
        chunk.released.push(hand.taken.at());
    } else {
        chunk.passed.blank += 1;
    }
    true
}

#[cfg(test)]
mod tests;
