//! A live input: lines that come when they come, and can't be asked for again at will.
//!
//! Takes the bytes of one stream as a source gets them, passes whole lines on, ends joins whose time is over, and at the
//! end all of them. What is in the buffer when delivery gives up is counted as lost, if nobody has it any more.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Feed;
use crate::{
    ack::End,
    budget::{Flow, Reservation},
    frame::{CHUNK_BYTES, LineBuffer},
    join::clock::JoinClock,
    pass::StreamFacts,
};

/// One stream of a live input.
#[derive(Debug)]
pub struct Live {
    /// The pipeline's entrance.
    pub feed: Feed,
    /// What is the same for all lines.
    pub facts: StreamFacts,
    /// The read buffer.
    pub buffer: LineBuffer,
    /// How much has come since whole lines were passed last.
    untaken_bytes: usize,
    clock: JoinClock,
    give_up: CancellationToken,
}

impl Live {
    /// A stream that has not begun; `give_up` says that delivery takes nothing more.
    #[must_use]
    pub fn new(feed: Feed, facts: StreamFacts, buffer: LineBuffer, give_up: CancellationToken) -> Self {
        Self { feed, facts, buffer, untaken_bytes: 0, clock: JoinClock::default(), give_up }
    }

    /// Begins the stream.
    pub fn open(&mut self) {
        self.facts.stream = self.feed.ledger.with(|ledger| ledger.open_stream(End::default()));
    }

    /// Everything there was has been read; answers when a join may have waited long enough, if nothing comes.
    pub fn wait(&mut self) -> Option<Instant> {
        self.clock.at_end(Instant::now().into_std());
        let at_ms = self.feed.pass.deadline(self.facts.lineage)?;
        self.clock.when(at_ms).map(Instant::from_std)
    }

    /// Something has come, or the time is over.
    pub fn wake(&mut self) {
        self.clock.pause(Instant::now().into_std());
    }

    /// Takes some bytes; `false` when delivery has given up.
    pub async fn take(&mut self, bytes: &[u8]) -> bool {
        for piece in bytes.chunks(CHUNK_BYTES) {
            self.buffer.extend(piece);
            self.untaken_bytes += piece.len();
            if self.untaken_bytes >= CHUNK_BYTES && !self.pass().await {
                return false;
            }
        }
        true
    }

    /// Passes the whole lines that it has; `false` when delivery has given up.
    pub async fn pass(&mut self) -> bool {
        let flow = self.feed.flow.clone();
        self.untaken_bytes = 0;
        while self.buffer.has_line() {
            let Some(reservation) = reserve(&flow, &self.give_up).await else { return false };
            self.feed.lines(&mut self.buffer, &self.facts, self.clock.elapsed_ms(), reservation).await;
        }
        true
    }

    /// What is left of a record is all that will come of it; `false` when delivery has given up.
    pub async fn end_record(&mut self) -> bool {
        let flow = self.feed.flow.clone();
        while !self.buffer.is_empty() {
            let Some(reservation) = reserve(&flow, &self.give_up).await else { return false };
            let elapsed_ms = self.clock.elapsed_ms();
            self.feed.unfinished_line(&mut self.buffer, &self.facts, elapsed_ms, reservation).await;
        }
        true
    }

    /// Ends the joins whose time is over; `false` when delivery has given up.
    pub async fn expire(&mut self) -> bool {
        let flow = self.feed.flow.clone();
        let (position, elapsed_ms) = (self.buffer.position(), self.clock.elapsed_ms());
        while let Some(reservation) = reserve(&flow, &self.give_up).await {
            if !self.feed.expire(&self.facts, End::at(position), elapsed_ms, reservation).await {
                return true;
            }
        }
        false
    }

    /// Passes the last line, whether it has ended or not, and ends all joins; closes the stream.
    pub async fn end(mut self) {
        if !(self.pass().await && self.end_record().await && self.flush().await) {
            self.feed.lose(&mut self.buffer, self.facts.stream);
        }
        self.feed.ledger.with(|ledger| ledger.close_stream(self.facts.stream));
    }

    async fn flush(&mut self) -> bool {
        let flow = self.feed.flow.clone();
        while let Some(reservation) = reserve(&flow, &self.give_up).await {
            let end = End::at(self.buffer.position());
            if !self.feed.flush(self.facts.stream, end, reservation).await {
                return true;
            }
        }
        false
    }
}

/// Flow bytes for a pass; `None` when delivery has given up.
async fn reserve(flow: &Flow, give_up: &CancellationToken) -> Option<Reservation> {
    tokio::select! {
        reservation = flow.reserve() => Some(reservation),
        () = give_up.cancelled() => None,
    }
}
