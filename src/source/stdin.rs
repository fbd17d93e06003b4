//! Standard input: the end of a pipe.
//!
//! A thread reads, since a pipe can only be waited for by blocking; it and the task hand two buffers back and
//! forth. At the end of input the last line is shipped with or without its newline. A pipe can't be read again:
//! what is in the buffer when delivery gives up is counted as lost.

use std::{convert::Infallible, io::Read, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::Feed;
use crate::{
    ack::End,
    budget::{Flow, Reservation},
    checkpoint::Register,
    frame::{CHUNK_BYTES, LineBuffer},
    join::clock::JoinClock,
    pass::StreamFacts,
};

/// Pieces on their way between the thread and the task.
const PIECES: usize = 2;

/// How long the reading thread has, after `stop`, to hand over what it has read.
const LAST_PIECES_TIMEOUT: Duration = Duration::from_millis(50);

/// A stdin source.
#[derive(Debug)]
pub struct StdinSource {
    /// The pipeline's entrance.
    pub feed: Feed,
    /// What is the same for all lines.
    pub facts: StreamFacts,
    /// The read buffer.
    pub buffer: LineBuffer,
    /// Is told that nothing here can be read again.
    pub register: Arc<Register>,
}

impl StdinSource {
    /// Reads until the input ends or `stop`. `input` is dropped when the input ends, even if its last lines still
    /// wait for flow bytes. Ends early when delivery gives up.
    pub async fn run(mut self, stop: CancellationToken, give_up: CancellationToken, input: TaskTrackerToken) {
        let stream = self.feed.ledger.with(|ledger| ledger.open_stream(End::default()));
        self.facts.stream = stream;
        self.register.gone(stream);
        let mut clock = JoinClock::default();
        let flow = self.feed.flow.clone();
        let (mut full, empty) = spawn_reader(input);
        let mut empty = Some(empty);
        loop {
            // While nothing is read, the clock runs; the writer may be slow, but is not kept waiting.
            clock.at_end(Instant::now().into_std());
            let ends = self.feed.pass.deadline(0).and_then(|at_ms| clock.when(at_ms));
            let read = next_piece(&mut full, &mut empty, &stop, ends.map(Instant::from_std)).await;
            clock.pause(Instant::now().into_std());
            let piece = match read {
                Next::Piece(piece) => piece,
                Next::Deadline => {
                    if !self.expire(&clock, &give_up).await {
                        return self.feed.lose(&mut self.buffer, stream);
                    }
                    continue;
                }
                Next::End => break,
            };
            let filled: Result<usize, Infallible> = self.buffer.fill(|room, _| {
                room[..piece.len()].copy_from_slice(&piece);
                Ok(piece.len())
            });
            debug_assert!(filled.is_ok());
            if let Some(empty) = &empty {
                // If the thread has ended meanwhile, its last pieces are still to come.
                let _ = empty.try_send(piece);
            }
            while self.buffer.has_line() {
                let Some(reservation) = reserve(&flow, &give_up).await else {
                    return self.feed.lose(&mut self.buffer, stream);
                };
                let elapsed_ms = clock.elapsed_ms();
                self.feed.lines(&mut self.buffer, &self.facts, elapsed_ms, reservation).await;
            }
        }
        if !self.end(&clock, &give_up).await {
            self.feed.lose(&mut self.buffer, stream);
        }
        self.feed.ledger.with(|ledger| ledger.close_stream(stream));
    }

    /// Ends the joins whose time is over; `false` when delivery has given up.
    async fn expire(&mut self, clock: &JoinClock, give_up: &CancellationToken) -> bool {
        let flow = self.feed.flow.clone();
        let (position, elapsed_ms) = (self.buffer.position(), clock.elapsed_ms());
        while let Some(reservation) = reserve(&flow, give_up).await {
            if !self.feed.expire(&self.facts, End::at(position), elapsed_ms, reservation).await {
                return true;
            }
        }
        false
    }

    /// Passes the last line and ends all joins; `false` when delivery has given up.
    async fn end(&mut self, clock: &JoinClock, give_up: &CancellationToken) -> bool {
        let flow = self.feed.flow.clone();
        while !self.buffer.is_empty() {
            let Some(reservation) = reserve(&flow, give_up).await else { return false };
            self.feed.unfinished_line(&mut self.buffer, &self.facts, clock.elapsed_ms(), reservation).await;
        }
        while let Some(reservation) = reserve(&flow, give_up).await {
            if !self.feed.flush(self.facts.stream, End::at(self.buffer.position()), reservation).await {
                return true;
            }
        }
        false
    }
}

/// What comes next.
enum Next {
    Piece(Vec<u8>),
    /// A join may have waited long enough.
    Deadline,
    End,
}

/// Flow bytes for a pass; `None` when delivery has given up.
async fn reserve(flow: &Flow, give_up: &CancellationToken) -> Option<Reservation> {
    tokio::select! {
        reservation = flow.reserve() => Some(reservation),
        () = give_up.cancelled() => None,
    }
}

/// The next piece that was read. After `stop` the thread is given no more buffers, and only what it has read
/// already is taken.
async fn next_piece(
    full: &mut mpsc::Receiver<Vec<u8>>,
    empty: &mut Option<mpsc::Sender<Vec<u8>>>,
    stop: &CancellationToken,
    ends: Option<Instant>,
) -> Next {
    let next = |piece: Option<Vec<u8>>| piece.map_or(Next::End, Next::Piece);
    if empty.is_some() {
        tokio::select! {
            biased;
            piece = full.recv() => return next(piece),
            () = stop.cancelled() => *empty = None,
            () = tokio::time::sleep_until(ends.unwrap_or_else(Instant::now)), if ends.is_some() => {
                return Next::Deadline;
            }
        }
    }
    // The thread may be blocked in a read that never ends: it is not waited for.
    next(tokio::time::timeout(LAST_PIECES_TIMEOUT, full.recv()).await.ok().flatten())
}

/// Pieces that were read, and buffers to read into. `input` is dropped at the end of input.
fn spawn_reader(input: TaskTrackerToken) -> (mpsc::Receiver<Vec<u8>>, mpsc::Sender<Vec<u8>>) {
    let (to_task, full) = mpsc::channel(PIECES);
    let (empty, mut from_task) = mpsc::channel::<Vec<u8>>(PIECES);
    for _ in 0..PIECES {
        let _ = empty.try_send(Vec::with_capacity(CHUNK_BYTES));
    }
    // Not joined: a blocked read can't be ended, only left behind when the process exits.
    std::thread::spawn(move || {
        let _input = input;
        let mut stdin = std::io::stdin().lock();
        while let Some(mut piece) = from_task.blocking_recv() {
            piece.resize(CHUNK_BYTES, 0);
            match stdin.read(&mut piece) {
                Ok(0) => return,
                Ok(len) => piece.truncate(len),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => piece.clear(),
                Err(error) => {
                    tracing::error!(%error, "stdin can't be read any further");
                    return;
                }
            }
            if to_task.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    (full, empty)
}
