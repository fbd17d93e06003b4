//! Dead letters: events that were refused for good, kept with the reason for a person to look at.
//!
//! Takes events as they are on the wire, gives JSON lines in `dead-letter/*.jsonl` of the state directory:
//! `{"time":…,"dataset":…,"reason":…,"event":{…}}`. A file that is being written ends with `.open`; it gets its name when it
//! is large or old enough, and only then may be moved or deleted.
//!
//! Invariants: what [`DeadLetters::bury`] has answered for is on the disk; a line is whole or not there; all files together
//! stay below a bound, the oldest being removed and its events counted.

use std::{
    borrow::Cow,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hivetail_parsers::Timestamp;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{durable, lock::lock};

/// The folder in the state directory.
const FOLDER: &str = "dead-letter";
/// What all files together may take.
const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// A file is closed when it has so much.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// A file is closed when it is that old, so that it can be looked at and sent again.
const FILE_AGE_MAX: Duration = Duration::from_secs(60);

/// One event and why it was refused.
#[derive(Debug, Serialize, Deserialize)]
pub struct Letter<'l> {
    /// When it was refused (RFC 3339).
    pub time: &'l str,
    /// Where it was to go.
    #[serde(borrow)]
    pub dataset: Cow<'l, str>,
    /// What the other end said.
    #[serde(borrow)]
    pub reason: Cow<'l, str>,
    /// The event as it was sent.
    #[serde(borrow)]
    pub event: &'l RawValue,
}

/// The dead letters of a state directory that is ours.
#[derive(Debug)]
pub struct DeadLetters {
    dir: PathBuf,
    bytes_max: u64,
    open: Mutex<Option<Open>>,
    last_name: AtomicU64,
    removed: AtomicU64,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    len: u64,
    since: SystemTime,
}

impl DeadLetters {
    /// Those in that state directory. A file that was left open by a kill is closed.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        let dir = folder(state_dir);
        for path in files(&dir).into_iter().filter(|path| is_open(path)) {
            close(&path);
        }
        Self {
            dir,
            bytes_max: BYTES_MAX,
            open: Mutex::new(None),
            last_name: AtomicU64::new(0),
            removed: AtomicU64::new(0),
        }
    }

    /// How many events were removed to stay below the bound.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.removed.load(Ordering::Relaxed)
    }

    /// Keeps lines, each ended by a newline; they are on the disk when it answers.
    ///
    /// # Errors
    /// When they can't be written: then none of them is there.
    pub fn bury(&self, lines: &[u8], now: SystemTime) -> io::Result<()> {
        let mut open = lock(&self.open);
        if open.is_none() {
            *open = Some(self.create(now)?);
            self.keep_below_the_bound();
        }
        let Some(current) = open.as_mut() else { return Ok(()) };
        let written = current.file.write_all(lines).and_then(|()| current.file.sync_data());
        if let Err(error) = written {
            // A half-written line would make the file unreadable from there on.
            current.file.set_len(current.len)?;
            return Err(error);
        }
        current.len += lines.len() as u64;
        if current.len >= FILE_BYTES_MAX {
            close(&current.path);
            *open = None;
        }
        Ok(())
    }

    /// Whether a file is being written, which will have to be closed.
    #[must_use]
    pub fn is_writing(&self) -> bool {
        // Whoever has the lock is writing.
        self.open.try_lock().map_or(true, |open| open.is_some())
    }

    /// Closes the file that is being written if it is old enough.
    pub fn close_old(&self, now: SystemTime) {
        self.close_if(|open| now.duration_since(open.since).is_ok_and(|age| age >= FILE_AGE_MAX));
    }

    /// Closes the file that is being written.
    pub fn close(&self) {
        self.close_if(|_| true);
    }

    fn close_if(&self, is_due: impl FnOnce(&Open) -> bool) {
        // A disk that hangs must not keep its caller waiting.
        let Ok(mut open) = self.open.try_lock() else { return };
        if let Some(due) = open.take_if(|open| is_due(open)) {
            close(&due.path);
        }
    }

    fn create(&self, now: SystemTime) -> io::Result<Open> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let ms =
            now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
        // Names are in the order in which files were begun, whatever the clock does.
        let name = ms.max(self.last_name.load(Ordering::Relaxed) + 1);
        self.last_name.store(name, Ordering::Relaxed);
        let path = self.dir.join(format!("{name:013}.open"));
        let mut options = OpenOptions::new();
        options.create_new(true).append(true).mode(0o600);
        let file = options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(&path)?;
        durable::sync_folder_of(&path)?;
        Ok(Open { file, path, len: 0, since: now })
    }

    fn keep_below_the_bound(&self) {
        let files = files(&self.dir);
        let len = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let mut total: u64 = files.iter().map(len).sum();
        for path in files.iter().filter(|path| !is_open(path)) {
            if total + FILE_BYTES_MAX <= self.bytes_max {
                break;
            }
            let events =
                fs::read(path).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count() as u64);
            total -= len(path);
            match fs::remove_file(path) {
                Ok(()) => {
                    self.removed.fetch_add(events, Ordering::Relaxed);
                    tracing::error!(path = %path.display(), events, "too many dead letters: the oldest are removed");
                }
                Err(error) => tracing::error!(path = %path.display(), %error, "can't be removed"),
            }
        }
    }
}

/// Where the dead letters of a state directory are.
#[must_use]
pub fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join(FOLDER)
}

/// Where those are that are to be sent again.
#[must_use]
pub fn retry_folder(state_dir: &Path) -> PathBuf {
    folder(state_dir).join("retry")
}

/// A folder's files of dead letters, the oldest first.
#[must_use]
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| path.extension().is_some_and(|end| end == "jsonl" || end == "open");
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_one).collect();
    files.sort();
    files
}

/// Whether a file is still being written.
#[must_use]
pub fn is_open(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "open")
}

fn close(path: &Path) {
    if let Err(error) = fs::rename(path, path.with_extension("jsonl")) {
        tracing::error!(path = %path.display(), %error, "a file of dead letters can't be closed");
    }
}

/// Appends one letter as a line.
pub fn write_line(out: &mut Vec<u8>, time: Timestamp, dataset: &str, reason: &str, event: &[u8]) {
    out.extend_from_slice(b"{\"time\":\"");
    time.write_rfc3339(out);
    out.extend_from_slice(b"\",\"dataset\":");
    write_text(out, dataset);
    out.extend_from_slice(b",\"reason\":");
    write_text(out, reason);
    out.extend_from_slice(b",\"event\":");
    out.extend_from_slice(event);
    out.extend_from_slice(b"}\n");
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn line(n: usize) -> Vec<u8> {
        let mut line = Vec::new();
        let event = format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(1_000));
        write_line(&mut line, Timestamp::from_ns(0), "d\"", "400 no", event.as_bytes());
        line
    }

    #[test]
    fn what_is_buried_is_there_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(dir.path());
        assert!(files(&folder(dir.path())).is_empty(), "nothing is made before it is needed");
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        letters.bury(&line(1), now).unwrap();
        letters.bury(&line(2), now).unwrap();
        let open = files(&folder(dir.path()));
        assert!(open.len() == 1 && is_open(&open[0]));
        assert_eq!(fs::metadata(&open[0]).unwrap().permissions().mode() & 0o777, 0o600);
        letters.close_old(now + FILE_AGE_MAX / 2);
        assert!(is_open(&files(&folder(dir.path()))[0]));
        letters.close_old(now + FILE_AGE_MAX);
        let closed = files(&folder(dir.path()));
        let text = fs::read_to_string(&closed[0]).unwrap();
        let letter: Letter<'_> = serde_json::from_str(text.lines().next().unwrap())
            .unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!((&*letter.reason, letter.time), ("400 no", "1970-01-01T00:00:00Z"));
        assert!(letter.event.get().starts_with("{\"n\":1,"));
        letters.bury(&line(3), now).unwrap();
        drop(letters);
        let _ = DeadLetters::new(dir.path());
        assert!(
            files(&folder(dir.path())).iter().all(|path| !is_open(path)),
            "what a kill left open is closed"
        );
    }

    #[test]
    fn the_oldest_are_removed_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut letters = DeadLetters::new(dir.path());
        letters.bytes_max = 4 * FILE_BYTES_MAX;
        let many: Vec<u8> = (0..600).flat_map(line).collect();
        for second in 0..20 {
            letters.bury(&many, UNIX_EPOCH + Duration::from_secs(second / 4)).unwrap();
        }
        let left = files(&folder(dir.path()));
        let total: u64 = left.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert!(total <= 4 * FILE_BYTES_MAX + 2 * many.len() as u64);
        assert!(letters.removed() > 0 && letters.removed().is_multiple_of(1_200), "{}", letters.removed());
    }
}
