//! Standard input: the end of a pipe.
//!
//! A thread reads, since a pipe can only be waited for by blocking; it and the task hand two buffers back and
//! forth. At the end of input the last line is shipped with or without its newline. A pipe can't be read again:
//! what is in the buffer when delivery gives up is counted as lost.

use std::io::Read;

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::Feed;
use crate::{
    frame::{CHUNK_BYTES, LineBuffer},
    pass::StreamFacts,
};

/// Pieces on their way between the thread and the task.
const PIECES: usize = 2;

/// A stdin source.
#[derive(Debug)]
pub struct StdinSource {
    /// The pipeline's entrance.
    pub feed: Feed,
    /// What is the same for all lines.
    pub facts: StreamFacts,
    /// The read buffer.
    pub buffer: LineBuffer,
}

impl StdinSource {
    /// Reads until the input ends or `stop`; `input` is dropped then. Ends early when delivery gives up.
    pub async fn run(mut self, stop: CancellationToken, give_up: CancellationToken, input: TaskTrackerToken) {
        let stream = self.feed.ledger.with(|ledger| ledger.open_stream(0));
        let mut input = Some(input);
        let (mut full, empty) = spawn_reader();
        loop {
            let piece = tokio::select! {
                piece = full.recv() => piece,
                () = stop.cancelled() => None,
            };
            let Some(piece) = piece else {
                drop(input.take());
                break;
            };
            let filled: Result<usize, std::convert::Infallible> = self.buffer.fill(|room, _| {
                room[..piece.len()].copy_from_slice(&piece);
                Ok(piece.len())
            });
            debug_assert!(filled.is_ok());
            // If the thread has ended meanwhile, its last pieces are still to come.
            let _ = empty.try_send(piece);
            while self.buffer.has_line() {
                let reservation = tokio::select! {
                    reservation = self.feed.flow.reserve() => reservation,
                    () = give_up.cancelled() => return self.feed.lose(&mut self.buffer, stream),
                };
                self.feed.lines(&mut self.buffer, stream, &mut self.facts, reservation).await;
            }
        }
        if !self.buffer.is_empty() {
            tokio::select! {
                reservation = self.feed.flow.reserve() => {
                    self.feed.unfinished_line(&mut self.buffer, stream, &mut self.facts, reservation).await;
                }
                () = give_up.cancelled() => self.feed.lose(&mut self.buffer, stream),
            }
        }
        self.feed.ledger.with(|ledger| ledger.close_stream(stream));
    }
}

/// Pieces that were read, and buffers to read into.
fn spawn_reader() -> (mpsc::Receiver<Vec<u8>>, mpsc::Sender<Vec<u8>>) {
    let (to_task, full) = mpsc::channel(PIECES);
    let (empty, mut from_task) = mpsc::channel::<Vec<u8>>(PIECES);
    for _ in 0..PIECES {
        let _ = empty.try_send(Vec::with_capacity(CHUNK_BYTES));
    }
    // Not joined: a blocked read can't be ended, only left behind when the process exits.
    std::thread::spawn(move || {
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
