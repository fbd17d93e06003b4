//! Sources: where lines come from, and how a chunk of them enters the pipeline.
//!
//! Each source is one task with one read buffer. It reserves flow bytes, reads, makes one pass, enters the
//! chunk in the ledger and hands the runs to the batcher. Waiting for flow bytes is what slows it down: a file
//! waits on disk, a pipe blocks its writer.

pub mod dead_letters;
pub mod file;
pub mod journald;
pub mod kubernetes;
pub mod live;
pub mod nats;
pub mod stdin;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::Ordering},
};

use tokio::sync::mpsc;

use crate::{
    ack::{Claim, End, Held, HeldAt, Outcome, Passed, SharedLedger, StreamId},
    batch::{Key, Run},
    budget::{Flow, Reservation},
    checkpoint::Identity,
    clock::Clock,
    dataset::{DatasetId, Datasets},
    deliver::holds::Holds,
    frame::{Line, LineBuffer},
    lock::lock,
    pass::{Chunk, Encoded, Moment, Pass, StreamFacts},
    telemetry::Metrics,
};

/// What a source leaves behind when it ends before its input does: another may go on with it.
#[derive(Debug, Default)]
pub struct Left {
    /// Its streams, but for those that nobody can go on with.
    pub streams: BTreeSet<StreamId>,
    /// The files that it followed.
    pub files: Vec<Identity>,
    /// The lines that its open joins hold.
    pub held: Vec<HeldAt>,
}

impl Left {
    /// Of a pass and its streams.
    #[must_use]
    pub fn of(pass: &mut Pass, streams: impl IntoIterator<Item = StreamId>) -> Self {
        let held = pass.abandon();
        let streams = held.iter().map(|at| at.stream).chain(streams).collect();
        Self { streams, files: Vec::new(), held }
    }
}

/// What every source feeds.
#[derive(Debug)]
pub struct Feed {
    /// Makes runs of lines.
    pub pass: Pass,
    /// Whether its streams can be read again.
    pub replayable: bool,
    /// The byte budget.
    pub flow: Flow,
    /// Where chunks are entered.
    pub ledger: Arc<SharedLedger>,
    /// Where runs go.
    pub runs: mpsc::Sender<Run>,
    /// Counts what is not an outcome.
    pub metrics: Arc<Metrics>,
    /// When it is.
    pub clock: Clock,
    /// The datasets of the process.
    pub datasets: Arc<Mutex<Datasets>>,
    /// Which of them are better left alone.
    pub holds: Holds,
    /// Whether the last chunk gave something to one of those.
    pub gave_to_held: bool,
}

impl Feed {
    /// Passes a chunk of the whole lines in `buffer`; `elapsed_ms` is the time by the lineage's clock.
    pub async fn lines(
        &mut self,
        buffer: &mut LineBuffer,
        facts: &StreamFacts,
        elapsed_ms: u64,
        reservation: Reservation,
    ) {
        let moment = self.moment(elapsed_ms);
        let chunk = self.pass.run(buffer.lines(), facts, moment, reservation.bytes());
        let start = buffer.position();
        buffer.take(chunk.end.max(start));
        self.enter(chunk, start, end_of(buffer), facts.stream, reservation).await;
    }

    /// Passes the line that the stream ended without ending.
    pub async fn unfinished_line(
        &mut self,
        buffer: &mut LineBuffer,
        facts: &StreamFacts,
        elapsed_ms: u64,
        reservation: Reservation,
    ) {
        let (start, moment) = (buffer.position(), self.moment(elapsed_ms));
        let line: Option<Line<'_>> = buffer.unfinished_line();
        let chunk = self.pass.run(line.into_iter(), facts, moment, reservation.bytes());
        if chunk.end > start {
            buffer.take(chunk.end);
        }
        self.enter(chunk, start, end_of(buffer), facts.stream, reservation).await;
    }

    /// Ends the joins of the stream's lineage whose time is over; `end` is how far the stream was read. Answers
    /// whether there was more to do than there was room for.
    pub async fn expire(
        &mut self,
        facts: &StreamFacts,
        end: End,
        elapsed_ms: u64,
        reservation: Reservation,
    ) -> bool {
        let moment = self.moment(elapsed_ms);
        let chunk = self.pass.expire(facts.lineage, moment, reservation.bytes());
        let more = chunk.more;
        self.enter(chunk, end.position, end, facts.stream, reservation).await;
        more
    }

    /// Ends all joins, since nothing more will come; like [`Feed::expire`] for any stream.
    pub async fn flush(&mut self, stream: StreamId, end: End, reservation: Reservation) -> bool {
        let moment = self.moment(0);
        let chunk = self.pass.flush(moment, reservation.bytes());
        let more = chunk.more;
        self.enter(chunk, end.position, end, stream, reservation).await;
        more
    }

    /// Passes a line that a join held when the agent stopped. Answers whether it did not fit and is to be passed again.
    pub async fn recover(
        &mut self,
        line: &Line<'_>,
        held: Held,
        facts: &StreamFacts,
        end: End,
        reservation: Reservation,
    ) -> bool {
        let moment = self.moment(0);
        let chunk = self.pass.recover(line, held, facts, moment, reservation.bytes());
        let more = chunk.more;
        self.enter(chunk, end.position, end, facts.stream, reservation).await;
        more
    }

    fn moment(&self, elapsed_ms: u64) -> Moment {
        Moment { received: self.clock.now(), elapsed_ms }
    }

    /// Enters what a pass made in the ledger, and hands the runs on. `start` is where the stream was before, `end` where
    /// it is now.
    async fn enter(
        &mut self,
        chunk: Chunk,
        start: u64,
        end: End,
        stream: StreamId,
        mut reservation: Reservation,
    ) {
        if end.position == start
            && chunk.runs.is_empty()
            && chunk.filtered.is_empty()
            && chunk.sampled.is_empty()
            && chunk.released.is_empty()
            && chunk.retold.is_empty()
        {
            return;
        }
        let metrics = &self.metrics;
        metrics.read_bytes.fetch_add(end.position - start, Ordering::Relaxed);
        metrics.unparsed.fetch_add(chunk.unparsed, Ordering::Relaxed);
        metrics.cut.fetch_add(chunk.cut, Ordering::Relaxed);
        metrics.truncated.fetch_add(chunk.truncated, Ordering::Relaxed);
        metrics.nul_bytes.fetch_add(chunk.nuls, Ordering::Relaxed);
        metrics.evicted.fetch_add(chunk.evicted, Ordering::Relaxed);
        // Others may have what is not needed before this one waits for the batcher.
        reservation.shrink_to(chunk.runs.iter().map(Encoded::cost).sum());
        let now = self.clock.now();
        let span = self.ledger.with(|ledger| {
            chunk.released.iter().for_each(|at| ledger.release(*at));
            chunk.retold.iter().for_each(|(at, flags)| ledger.retell(*at, *flags));
            let span = ledger.open_span(stream, end, Passed { at: now, ..chunk.passed }, &chunk.held);
            for (claims, outcome) in [(chunk.filtered, Outcome::Filtered), (chunk.sampled, Outcome::Sampled)]
            {
                for claim in claims {
                    ledger.decide(&Claim { span, ..claim }, claim.events, outcome);
                }
            }
            span
        });
        self.gave_to_held = self.holds.any() && chunk.runs.iter().any(|run| self.is_held(run.dataset));
        for encoded in chunk.runs {
            if encoded.ends.is_empty() {
                continue;
            }
            let reservation = reservation.split(encoded.cost());
            let Encoded { dataset, events, ends, mut claims } = encoded;
            claims.iter_mut().for_each(|claim| claim.span = span);
            let key = Key { dataset, replayable: self.replayable };
            // The batcher ends after every source: it takes every run.
            let _ = self.runs.send(Run { key, events, ends, claims, reservation }).await;
        }
    }

    fn is_held(&self, dataset: DatasetId) -> bool {
        let name = lock(&self.datasets).name(dataset);
        self.holds.has(&name)
    }

    /// Counts the lines left in `buffer`, and those that joins hold, as lost: the agent stops, and they can't be read
    /// again.
    pub fn lose(&mut self, buffer: &mut LineBuffer, stream: StreamId) {
        let (mut lines, mut end) = (0, buffer.position());
        for line in buffer.lines() {
            (lines, end) = (lines + 1, line.end);
        }
        buffer.take(end);
        if let Some(line) = buffer.unfinished_line() {
            (lines, end) = (lines + 1, line.end);
        }
        let held = self.pass.abandon();
        self.ledger.with(|ledger| {
            held.into_iter().for_each(|at| ledger.lose(at));
            let span = ledger.open_span(stream, end, Passed { lines, ..Passed::default() }, &[]);
            let claim = Claim { span, events: lines, lines: 1, held: Box::default() };
            ledger.decide(&claim, lines, Outcome::Shutdown);
        });
        buffer.reset(end, &[]);
    }
}

/// How far a buffer's records were taken, and what the stream is known again by there.
fn end_of(buffer: &LineBuffer) -> End {
    End { position: buffer.position(), tail: buffer.before().map(crc32fast::hash) }
}
