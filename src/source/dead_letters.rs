//! Dead letters that are to be sent again: files that `hivetail dead-letter retry` has moved.
//!
//! Takes files from `dead-letter/retry/`, gives runs of their events as they were sent before. A file is deleted when all
//! its events have an outcome again: after a kill it is sent once more. What is refused again is a new dead letter.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ack::{Claim, Passed, SharedLedger, StreamId},
    batch::{Key, Run},
    budget::{Flow, PASS_BYTES},
    clock::Clock,
    dataset::{DatasetId, Datasets},
    dead_letter::{self, Letter},
    lock::lock,
};

/// How often it is looked for new files.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is asked whether a file's events have their outcomes.
const ASK_INTERVAL: Duration = Duration::from_millis(200);

/// The source.
#[derive(Debug)]
pub struct DeadLetterSource {
    /// Where the files are.
    pub dir: PathBuf,
    /// The flow pool.
    pub flow: Flow,
    /// Is told of every event.
    pub ledger: Arc<SharedLedger>,
    /// To the batcher.
    pub runs: mpsc::Sender<Run>,
    /// The datasets of the process.
    pub datasets: Arc<Mutex<Datasets>>,
    /// Whether to end when the files that are there have been read.
    pub once: bool,
}

/// Events of one dataset in a row.
struct Row {
    dataset: DatasetId,
    events: Vec<u8>,
    ends: Vec<u32>,
}

impl DeadLetterSource {
    /// Sends what there is until `stop`; who waits for outcomes does so under `finishing`, until `give_up`.
    pub async fn run(self, stop: CancellationToken, finishing: TaskTracker, give_up: CancellationToken) {
        let mut sent: Vec<PathBuf> = Vec::new();
        loop {
            for path in dead_letter::files(&self.dir) {
                if stop.is_cancelled() {
                    return;
                }
                if sent.contains(&path) {
                    continue;
                }
                let stream = self.ledger.with(|ledger| ledger.open_stream(0.into()));
                let sound = match self.send(&path, stream).await {
                    Ok(sound) => sound,
                    Err(error) => {
                        tracing::error!(path = %path.display(), %error, "dead letters can't be read");
                        false
                    }
                };
                self.ledger.with(|ledger| ledger.close_stream(stream));
                let ledger = Arc::clone(&self.ledger);
                finishing.spawn(finish(path.clone(), sound, ledger, stream, give_up.clone()));
                sent.push(path);
            }
            sent.retain(|path| path.exists());
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_INTERVAL), if !self.once => {}
                () = std::future::ready(()), if self.once => return,
            }
        }
    }

    /// Hands over a file's events; answers whether each of its lines was one.
    async fn send(&self, path: &Path, stream: StreamId) -> io::Result<bool> {
        let (mut lines, mut sound, mut position) = (BufReader::new(File::open(path)?), true, 0);
        let (mut line, mut row): (Vec<u8>, Option<Row>) = (Vec::new(), None);
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            position += 1;
            let Ok(letter) = serde_json::from_slice::<Letter<'_>>(&line) else {
                tracing::error!(path = %path.display(), line = position, "no dead letter: left in the file");
                sound = false;
                continue;
            };
            let dataset = lock(&self.datasets).id(&letter.dataset);
            let event = letter.event.get().as_bytes();
            let fits = |row: &Row| {
                row.dataset == dataset
                    && Run::cost(row.events.len() + event.len() + 1, row.ends.len() + 1) < PASS_BYTES / 2
            };
            if let Some(full) = row.take_if(|row| !fits(row)) {
                self.hand_over(full, stream, position).await;
            }
            let row = row.get_or_insert_with(|| Row { dataset, events: Vec::new(), ends: Vec::new() });
            row.events.extend_from_slice(event);
            row.events.push(b',');
            row.ends.push(u32::try_from(row.events.len()).unwrap_or(u32::MAX));
        }
        if let Some(row) = row {
            self.hand_over(row, stream, position + 1).await;
        }
        Ok(sound)
    }

    async fn hand_over(&self, row: Row, stream: StreamId, end: u64) {
        let Row { dataset, events, ends } = row;
        let mut reservation = self.flow.reserve().await;
        reservation.shrink_to(Run::cost(events.len(), ends.len()) + size_of::<Claim>());
        let count = u32::try_from(ends.len()).unwrap_or(u32::MAX);
        let passed = Passed { lines: count, at: Clock::System.now(), ..Passed::default() };
        let span = self.ledger.with(|ledger| ledger.open_recovered_span(stream, end, passed));
        let claims = [Claim { span, events: count, lines: 1, held: Box::default() }].into();
        let key = Key { dataset, replayable: true };
        // The batcher ends after every source: it takes every run.
        let _ = self.runs.send(Run { key, events, ends, claims, reservation }).await;
    }
}

/// Deletes a file when all its events have an outcome; one with lines that are none is kept under another name.
async fn finish(
    path: PathBuf,
    sound: bool,
    ledger: Arc<SharedLedger>,
    stream: StreamId,
    give_up: CancellationToken,
) {
    while ledger.read(|ledger| ledger.is_open(stream)) {
        tokio::select! {
            () = give_up.cancelled() => return,
            () = tokio::time::sleep(ASK_INTERVAL) => {}
        }
    }
    let done = if sound { fs::remove_file(&path) } else { fs::rename(&path, path.with_extension("damaged")) };
    match done {
        Ok(()) => tracing::info!(path = %path.display(), "dead letters were sent again"),
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "dead letters were sent again, but their file stays");
        }
    }
}
