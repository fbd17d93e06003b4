//! Sources: where lines come from, and how a chunk of them enters the pipeline.
//!
//! Each source is one task with one read buffer. It reserves flow bytes, reads, makes one pass, enters the
//! chunk in the ledger and hands the runs to the batcher. Waiting for flow bytes is what slows it down: a file
//! waits on disk, a pipe blocks its writer.

pub mod file;
pub mod stdin;

use std::sync::{Arc, atomic::Ordering};

use tokio::sync::mpsc;

use crate::{
    ack::{Claim, Outcome, Passed, SharedLedger, StreamId},
    batch::{Key, Run},
    budget::{Flow, Reservation},
    clock::Clock,
    frame::{Line, LineBuffer},
    pass::{Chunk, Pass, StreamFacts},
    telemetry::Metrics,
};

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
}

impl Feed {
    /// Passes a chunk of the whole lines in `buffer`.
    pub async fn lines(
        &mut self,
        buffer: &mut LineBuffer,
        stream: StreamId,
        facts: &mut StreamFacts,
        reservation: Reservation,
    ) {
        let chunk = self.pass.run(buffer.lines(), facts, self.clock.now(), reservation.bytes());
        let start = buffer.position();
        buffer.take(chunk.end.max(start));
        self.enter(chunk, start, stream, reservation).await;
    }

    /// Passes the line that the stream ended without ending.
    pub async fn unfinished_line(
        &mut self,
        buffer: &mut LineBuffer,
        stream: StreamId,
        facts: &mut StreamFacts,
        reservation: Reservation,
    ) {
        let start = buffer.position();
        let line: Option<Line<'_>> = buffer.unfinished_line();
        let chunk = self.pass.run(line.into_iter(), facts, self.clock.now(), reservation.bytes());
        if chunk.end > start {
            buffer.reset(chunk.end);
        }
        self.enter(chunk, start, stream, reservation).await;
    }

    async fn enter(&mut self, chunk: Chunk, start: u64, stream: StreamId, mut reservation: Reservation) {
        if chunk.end <= start {
            return;
        }
        self.metrics.read_bytes.fetch_add(chunk.end - start, Ordering::Relaxed);
        self.metrics.unparsed.fetch_add(chunk.unparsed, Ordering::Relaxed);
        self.metrics.cut.fetch_add(chunk.cut, Ordering::Relaxed);
        // Others may have what is not needed before this one waits for the batcher.
        reservation.shrink_to(chunk.runs.iter().map(|run| Run::cost(run.events.len(), run.ends.len())).sum());
        let span = self.ledger.with(|ledger| ledger.open_span(stream, chunk.end, chunk.passed));
        for encoded in chunk.runs {
            let key = Key { dataset: encoded.dataset, replayable: self.replayable };
            let claim = Claim { span, events: u32::try_from(encoded.ends.len()).unwrap_or(u32::MAX) };
            if claim.events == 0 {
                continue;
            }
            let reservation = reservation.split(Run::cost(encoded.events.len(), encoded.ends.len()));
            let run = Run { key, events: encoded.events, ends: encoded.ends, claim, reservation };
            // The batcher ends after every source: it takes every run.
            let _ = self.runs.send(run).await;
        }
    }

    /// Counts the lines left in `buffer` as lost: the agent stops, and they can't be read again.
    pub fn lose(&self, buffer: &mut LineBuffer, stream: StreamId) {
        let (mut events, mut end) = (0, buffer.position());
        for line in buffer.lines() {
            (events, end) = (events + 1, line.end);
        }
        buffer.take(end);
        if let Some(line) = buffer.unfinished_line() {
            (events, end) = (events + 1, line.end);
        }
        if events > 0 {
            self.ledger.with(|ledger| {
                let span = ledger.open_span(stream, end, Passed { events, blank: 0 });
                ledger.decide(Claim { span, events }, Outcome::Shutdown);
            });
            buffer.reset(end);
        }
    }
}
