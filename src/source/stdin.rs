//! Standard input: the end of a pipe.
//!
//! A thread reads, since a pipe can only be waited for by blocking; it and the task hand two buffers back and
//! forth. At the end of input the last line is shipped with or without its newline. A pipe can't be read again:
//! what is in the buffer when delivery gives up is counted as lost.

use std::{io::Read, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::live::Live;
use crate::{checkpoint::Register, frame::CHUNK_BYTES};

/// Pieces on their way between the thread and the task.
const PIECES: usize = 2;

/// How long the reading thread has, after `stop`, to hand over what it has read.
const LAST_PIECES_TIMEOUT: Duration = Duration::from_millis(50);

/// A stdin source.
#[derive(Debug)]
pub struct StdinSource {
    /// Its stream.
    pub live: Live,
    /// Is told that nothing here can be read again.
    pub register: Arc<Register>,
}

impl StdinSource {
    /// Reads until the input ends or `stop`. `input` is dropped when the input ends, even if its last lines still
    /// wait for flow bytes. Ends early when delivery gives up.
    pub async fn run(mut self, stop: CancellationToken, input: TaskTrackerToken) {
        self.live.open();
        self.register.gone(self.live.facts.stream);
        let (mut full, empty) = spawn_reader(input);
        let mut empty = Some(empty);
        loop {
            // The writer may be slow, but is not kept waiting: the joins' clock runs.
            let ends = self.live.wait();
            let read = next_piece(&mut full, &mut empty, &stop, ends).await;
            self.live.wake();
            let goes_on = match read {
                Next::Piece(piece) => {
                    let taken = self.live.take(&piece).await;
                    if let Some(empty) = &empty {
                        // If the thread has ended meanwhile, its last pieces are still to come.
                        let _ = empty.try_send(piece);
                    }
                    taken && self.live.pass().await
                }
                Next::Deadline => self.live.expire().await,
                Next::End => false,
            };
            if !goes_on {
                return self.live.end().await;
            }
        }
    }
}

/// What comes next.
enum Next {
    Piece(Vec<u8>),
    /// A join may have waited long enough.
    Deadline,
    End,
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
