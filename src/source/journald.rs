//! The journal: what `journalctl -f -o json` writes, and a cursor to go on after.
//!
//! journalctl knows the journal's files, their formats and their rotation; it is started again whenever it ends, behind the
//! last entry that was read. The cursor of the last entry whose events have their outcome is kept in the state directory.
//!
//! Invariant: the kept cursor never passes an entry that has no outcome: after a kill some come twice, none is lost.

mod cursors;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::{Instant, Interval, MissedTickBehavior},
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use self::cursors::Cursors;
use super::{Left, live::Live};
use crate::{
    ack::{Mark, SharedLedger, StreamId},
    config::{Source, Start},
    durable,
    frame::CHUNK_BYTES,
};

/// How often it is asked which cursor is to be kept.
const SAVE_INTERVAL: Duration = Duration::from_millis(500);
/// Between two starts of journalctl.
const RESTART_DELAY: Duration = Duration::from_secs(2);
/// Of a line that is longer, what has come is passed on before its end has: what is over the cap is read past there.
const LINE_BYTES_MAX: usize = 1_048_576;
/// The folder in the state directory.
const FOLDER: &str = "journald";

/// What a source has to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which units; all if there are none.
    pub units: Vec<String>,
    /// Where the journal's files are, if not where they are by default.
    pub journal_dir: Option<PathBuf>,
    /// Where to begin when there is no cursor.
    pub start: Start,
    /// Where the cursor is kept; `None` without a state directory.
    pub state_dir: Option<PathBuf>,
}

impl Settings {
    /// Of a source.
    #[must_use]
    pub fn new(source: &Source, state_dir: Option<PathBuf>) -> Self {
        let (units, journal_dir) = (source.units.clone(), source.journal_dir.clone());
        Self { units, journal_dir, start: source.start, state_dir }
    }

    /// Where the cursor is kept: another choice of entries has a cursor of its own.
    fn cursor_path(&self) -> Option<PathBuf> {
        let choice = format!("{:?} {:?}", self.journal_dir, self.units);
        let name = format!("{:08x}.cursor", crc32fast::hash(choice.as_bytes()));
        Some(self.state_dir.as_ref()?.join(FOLDER).join(name))
    }

    /// The command that writes what comes after a cursor, or else everything.
    fn command(&self, after: Option<&str>) -> Command {
        let mut command = self.journalctl();
        command.args(["--follow", "--output=json", "--all"]);
        match after {
            Some(cursor) => command.arg(format!("--after-cursor={cursor}")),
            None => command.arg("--lines=all"),
        };
        command
    }

    /// The cursor of the newest entry; `None` if there is none yet.
    async fn newest(&self) -> io::Result<Option<String>> {
        let output = self.journalctl().args(["--lines=1", "--output=cat", "--show-cursor"]).output().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().next_back().unwrap_or_default();
        if !output.status.success() && text.is_empty() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(last.strip_prefix("-- cursor: ").map(str::to_owned))
    }

    /// Starts journalctl behind what was read; with `at_end` behind what there is now, which is asked once: what comes while
    /// journalctl is started again is not to be skipped.
    async fn begin(&self, keeper: &mut Keeper, at_end: &mut bool) -> io::Result<Child> {
        if *at_end {
            keeper.kept = self.newest().await?;
            *at_end = false;
        }
        let after = keeper.cursors.last().or(keeper.kept.as_deref());
        self.command(after).spawn()
    }

    fn journalctl(&self) -> Command {
        let mut command = Command::new("journalctl");
        command.args(["--quiet", "--no-pager"]);
        if let Some(dir) = &self.journal_dir {
            command.arg("--directory").arg(dir);
        }
        command.args(self.units.iter().map(|unit| format!("--unit={unit}")));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// A journald source.
#[derive(Debug)]
pub struct JournaldSource {
    /// What it has to know.
    pub settings: Settings,
    /// Its stream.
    pub live: Live,
}

/// The cursors of what was read, and the one that is kept.
struct Keeper {
    cursors: Cursors,
    path: Option<PathBuf>,
    kept: Option<String>,
    stream: StreamId,
    ledger: Arc<SharedLedger>,
    interval: Interval,
    failing: bool,
}

impl JournaldSource {
    /// Reads until `stop`, then waits for the outcome of what was read. `input` is dropped when nothing more is read.
    pub async fn run(
        mut self,
        stop: CancellationToken,
        give_up: CancellationToken,
        input: TaskTrackerToken,
    ) -> Left {
        self.live.open();
        let mut keeper = Keeper::new(&self.settings, &self.live);
        let mut goes_on = true;
        let mut at_end = keeper.kept.is_none() && self.settings.start == Start::End;
        while goes_on && !stop.is_cancelled() {
            goes_on = match self.settings.begin(&mut keeper, &mut at_end).await {
                Ok(child) => self.read(child, &mut keeper, &stop).await,
                Err(error) => {
                    tracing::error!(%error, "journalctl can't be started, trying again");
                    true
                }
            };
            if goes_on {
                let until = Instant::now() + RESTART_DELAY;
                while !stop.is_cancelled() && Instant::now() < until {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep_until(until) => {}
                        _ = keeper.interval.tick() => keeper.save().await,
                    }
                }
            }
        }
        drop(input);
        // Joins are not ended: their entries are read again.
        let left = Left::of(&mut self.live.feed.pass, [self.live.facts.stream]);
        drop(self.live);
        while !keeper.is_done() && !give_up.is_cancelled() {
            tokio::select! {
                () = give_up.cancelled() => {}
                _ = keeper.interval.tick() => keeper.save().await,
            }
        }
        keeper.save().await;
        left
    }

    /// Reads what journalctl writes, until it ends or `stop`; `false` when delivery has given up.
    async fn read(&mut self, mut child: Child, keeper: &mut Keeper, stop: &CancellationToken) -> bool {
        let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return true;
        };
        let complaints = tokio::spawn(complain(stderr));
        let mut lines = Lines { bytes: vec![0; CHUNK_BYTES], len: 0 };
        let goes_on = loop {
            let ends = self.live.wait();
            let read = tokio::select! {
                biased;
                () = stop.cancelled() => break true,
                read = lines.fill(&mut stdout) => read,
                _ = keeper.interval.tick() => {
                    keeper.save().await;
                    continue;
                }
                () = tokio::time::sleep_until(ends.unwrap_or_else(Instant::now)), if ends.is_some() => {
                    self.live.wake();
                    if !self.live.expire().await {
                        break false;
                    }
                    continue;
                }
            };
            self.live.wake();
            match read {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "what journalctl writes can't be read");
                    break true;
                }
            }
            let whole = lines.whole();
            let taken = self.live.take(whole).await && self.live.pass().await;
            if !whole.is_empty() {
                keeper.cursors.push(whole, self.live.buffer.read_position());
                lines.forget(whole.len());
            }
            // A line without an end in sight: its cursor, wherever it stands, is not needed, the next line has one, too.
            let taken =
                taken && (lines.len < LINE_BYTES_MAX || self.live.take(&lines.bytes[..lines.len]).await);
            if lines.len >= LINE_BYTES_MAX {
                lines.forget(lines.len);
            }
            if !taken {
                break false;
            }
        };
        // What journalctl has left behind of a line comes again, whole.
        let goes_on = goes_on && self.live.end_record().await;
        if let Err(error) = child.kill().await {
            tracing::warn!(%error, "journalctl can't be ended");
        }
        complaints.abort();
        goes_on
    }
}

/// What journalctl has written and not ended with a line's end stays here: a line that it leaves behind is no line.
struct Lines {
    bytes: Vec<u8>,
    len: usize,
}

impl Lines {
    async fn fill(&mut self, from: &mut ChildStdout) -> io::Result<usize> {
        if self.len == self.bytes.len() {
            self.bytes.resize(self.len + CHUNK_BYTES, 0);
        }
        let read = from.read(&mut self.bytes[self.len..]).await?;
        self.len += read;
        Ok(read)
    }

    fn whole(&self) -> &[u8] {
        let end = memchr::memrchr(b'\n', &self.bytes[..self.len]);
        &self.bytes[..end.map_or(0, |end| end + 1)]
    }

    fn forget(&mut self, len: usize) {
        self.bytes.copy_within(len..self.len, 0);
        self.len -= len;
        self.bytes.truncate(CHUNK_BYTES.max(self.len));
    }
}

/// Says what journalctl complains of.
async fn complain(stderr: ChildStderr) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::warn!(line, "journalctl");
    }
}

impl Keeper {
    fn new(settings: &Settings, live: &Live) -> Self {
        let mut interval = tokio::time::interval(SAVE_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let path = settings.cursor_path();
        let kept = path.as_deref().and_then(read_cursor);
        Self {
            cursors: Cursors::default(),
            path,
            kept,
            stream: live.facts.stream,
            ledger: Arc::clone(&live.feed.ledger),
            interval,
            failing: false,
        }
    }

    fn mark(&self) -> Mark {
        self.ledger.read(|ledger| ledger.mark(self.stream)).unwrap_or_default()
    }

    /// Keeps the cursor of what has its outcome.
    async fn save(&mut self) {
        let mark = self.mark();
        let Some(cursor) = self.cursors.decided(&mark) else { return };
        if let Some(path) = &self.path {
            let (to, text) = (path.clone(), cursor.clone());
            let written = tokio::task::spawn_blocking(move || write_cursor(&to, &text)).await;
            if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error)))
                && !std::mem::replace(&mut self.failing, true)
            {
                tracing::error!(path = %path.display(), %error, "the journal's cursor can't be kept: a restart will read entries again");
            }
        }
        self.kept = Some(cursor);
    }

    /// Whether all that was read has its outcome, but for what joins hold.
    fn is_done(&self) -> bool {
        self.ledger.read(|ledger| ledger.is_read(self.stream))
    }
}

fn read_cursor(path: &Path) -> Option<String> {
    let cursor = fs::read_to_string(path).ok()?.trim().to_owned();
    (!cursor.is_empty()).then_some(cursor)
}

fn write_cursor(path: &Path, cursor: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    durable::replace(path, |file| writeln!(file, "{cursor}")).map(drop)
}
