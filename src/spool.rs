//! The spool: batches of inputs that can't be read again, on the disk while they can't be delivered.
//!
//! Takes compressed batches, gives them back later, also to another process. One file a batch in `spool/`:
//!
//! ```text
//! hivetail spool 2\n
//! length (u32) and CRC-32 (u32) of the header, both little-endian; the header in postcard's encoding; the body as it
//! will be POSTed
//! ```
//!
//! Invariants: a file is whole or not there (written under another name, synced, renamed); all files together stay below
//! a bound; a damaged file is set aside and counted, never sent and never in the way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::SystemTime,
};

use bytes::Bytes;
use hivetail_parsers::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{clock, deliver::compress::Compression, durable, lock::lock};
pub use adopt::adopt_siblings;

mod adopt;

/// The folder in the state directory.
const FOLDER: &str = "spool";
const MAGIC: &[u8] = b"hivetail spool 2\n";
/// The header's length and checksum.
const PREFIX_BYTES: usize = 8;
/// No more than one part in so many of the disk.
const DISK_SHARE: u64 = 10;

/// What is known of a batch without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Where it was to be sent: it is never sent elsewhere.
    pub api_url: String,
    /// Whose it is, if that was known: nobody else ever gets it.
    pub owner: Option<Owner>,
    /// In which dataset.
    pub dataset: String,
    /// How the body is compressed.
    pub compression: Compression,
    /// Where each event ends in the uncompressed body.
    pub ends: Vec<u32>,
    /// The body's bytes.
    pub body_bytes: u64,
    /// Their CRC-32.
    pub body_crc: u32,
}

/// Whose events they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The team's slug.
    pub team: String,
    /// The environment's slug; empty for a classic key.
    pub environment: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.team, self.environment)
    }
}

/// A batch in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its file's number: a later one has a higher number.
    pub number: u64,
    /// Its dataset.
    pub dataset: Arc<str>,
    /// How many events it has; each has one line at home.
    pub events: u32,
}

/// A batch with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What is known of it.
    pub header: Header,
    /// The body as it will be sent.
    pub body: Bytes,
}

/// Why a batch is not in the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// There is no room for it.
    #[error("the spool is full ({0} bytes)")]
    Full(u64),
    /// It is larger than the whole spool may be.
    #[error("the batch has {0} bytes, more than `[spool] max_bytes`")]
    TooLarge(u64),
    /// What is there is not what was written.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The spool of a state directory that is ours.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    bytes_max: u64,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    /// Those for our URL by their number.
    batches: BTreeMap<u64, Batch>,
    bytes: u64,
    last_number: u64,
    /// Those that are being sent: they are not dropped.
    taken: BTreeSet<u64>,
}

/// A batch's file.
#[derive(Clone, Copy, Debug)]
struct Batch {
    bytes: u64,
    events: u32,
    since: SystemTime,
}

/// What was found in a spool.
#[derive(Debug, Default)]
pub struct Found {
    /// Batches for this URL, the oldest first.
    pub items: Vec<Item>,
    /// How many batches are for another URL.
    pub strangers: u64,
    /// How many files are damaged and set aside.
    pub damaged: u64,
}

impl Spool {
    /// The spool of a state directory, for batches to one URL, and what is in it.
    ///
    /// # Errors
    /// When the folder can't be made or read.
    pub fn open(state_dir: &Path, api_url: &str, bytes_max: u64) -> io::Result<(Self, Found)> {
        let dir = folder(state_dir);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let disk =
            rustix::fs::statvfs(&dir).map_or(u64::MAX, |disk| disk.f_blocks.saturating_mul(disk.f_frsize));
        let spool = Self { dir, bytes_max: bytes_max.min(disk / DISK_SHARE), files: Mutex::default() };
        tidy(&spool.dir);
        let mut found = Found::default();
        for (number, path) in numbered(&spool.dir)? {
            spool.files().last_number = number;
            let header =
                File::open(&path).map_err(SpoolError::Io).and_then(|mut file| read_header(&mut file));
            match header {
                Ok((header, bytes)) => {
                    let events = u32::try_from(header.ends.len()).unwrap_or(u32::MAX);
                    if header.api_url == api_url {
                        let since = path.metadata().and_then(|metadata| metadata.modified());
                        let since = since.unwrap_or_else(|_| SystemTime::now());
                        spool.files().add(number, Batch { bytes, events, since });
                        found.items.push(Item { number, dataset: header.dataset.into(), events });
                    } else {
                        spool.files().bytes += bytes;
                        found.strangers += 1;
                        tracing::error!(path = %path.display(), api_url = header.api_url, "a spooled batch is for another URL: held, not sent");
                    }
                }
                Err(SpoolError::Damaged(why)) => {
                    found.damaged += 1;
                    set_aside(&path, why);
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "a spooled batch can't be read: left for the next start");
                }
            }
        }
        Ok((spool, found))
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        lock(&self.files)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:016}.batch"))
    }

    /// Writes a batch; it is on the disk when it answers. With `instead` it takes that one's place; what is not new was
    /// part of one, and has room.
    ///
    /// # Errors
    /// When there is no room, or it can't be written.
    pub fn put(&self, stored: &Stored, instead: Option<&Item>, is_new: bool) -> Result<Item, SpoolError> {
        let header = postcard::to_stdvec(&stored.header).map_err(io::Error::other)?;
        let bytes = (MAGIC.len() + PREFIX_BYTES + header.len() + stored.body.len()) as u64;
        let number = {
            let mut files = self.files();
            let freed =
                instead.and_then(|item| files.batches.get(&item.number)).map_or(0, |batch| batch.bytes);
            if bytes > self.bytes_max {
                return Err(SpoolError::TooLarge(bytes));
            }
            if is_new && files.bytes.saturating_sub(freed) + bytes > self.bytes_max {
                return Err(SpoolError::Full(files.bytes));
            }
            files.last_number += u64::from(instead.is_none());
            instead.map_or(files.last_number, |item| item.number)
        };
        durable::replace(&self.path(number), |file| write(file, &header, &stored.body))?;
        let events = u32::try_from(stored.header.ends.len()).unwrap_or(u32::MAX);
        let mut files = self.files();
        let since = files.batches.get(&number).map_or_else(SystemTime::now, |batch| batch.since);
        files.forget(number);
        files.add(number, Batch { bytes, events, since });
        Ok(Item { number, dataset: stored.header.dataset.as_str().into(), events })
    }

    /// Reads a batch; `None` if it was dropped to make room. A damaged one is set aside.
    ///
    /// # Errors
    /// When it is damaged, or can't be read.
    pub fn get(&self, item: &Item) -> Result<Option<Stored>, SpoolError> {
        let path = self.path(item.number);
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.files().forget(item.number);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        self.files().taken.insert(item.number);
        let read = read_header(&mut file.as_slice()).and_then(|(header, _)| {
            let body =
                usize::try_from(header.body_bytes).ok().and_then(|bytes| file.len().checked_sub(bytes));
            let body = Bytes::from(file).slice(body.ok_or(SpoolError::Damaged("it is cut"))?..);
            if crc32fast::hash(&body) == header.body_crc {
                Ok(Stored { header, body })
            } else {
                Err(SpoolError::Damaged("its body's checksum"))
            }
        });
        if let Err(SpoolError::Damaged(why)) = &read {
            set_aside(&path, why);
            self.files().forget(item.number);
        }
        read.map(Some)
    }

    /// A batch is somebody else's: it stays where it is, and is none of ours.
    pub fn disown(&self, item: &Item) {
        let mut files = self.files();
        files.taken.remove(&item.number);
        files.batches.remove(&item.number);
    }

    /// A batch was not sent: it stays as it is.
    pub fn put_back(&self, item: &Item) {
        self.files().taken.remove(&item.number);
    }

    /// A batch has its outcome.
    pub fn remove(&self, item: &Item) {
        if let Err(error) = fs::remove_file(self.path(item.number))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, number = item.number, "a delivered batch can't be removed from the spool");
        }
        self.files().forget(item.number);
    }

    /// Removes the oldest batch to make room; answers how many events it had.
    pub fn drop_oldest(&self) -> Option<u32> {
        let oldest = |files: &Files| {
            let mut idle = files.batches.iter().filter(|(number, _)| !files.taken.contains(number));
            idle.next().map(|(number, batch)| (*number, batch.events))
        };
        let (number, events) = oldest(&self.files())?;
        self.remove(&Item { number, dataset: "".into(), events });
        Some(events)
    }

    /// How many events are in it.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.files().batches.values().map(|batch| u64::from(batch.events)).sum()
    }

    /// Since when the batch that has waited longest waits.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.files().batches.values().map(|batch| clock::of(batch.since)).min()
    }

    /// How many bytes are in it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files().bytes
    }
}

impl Files {
    fn add(&mut self, number: u64, batch: Batch) {
        self.bytes += batch.bytes;
        self.batches.insert(number, batch);
    }

    fn forget(&mut self, number: u64) {
        self.taken.remove(&number);
        if let Some(batch) = self.batches.remove(&number) {
            self.bytes -= batch.bytes;
        }
    }
}

/// Where the spool of a state directory is.
#[must_use]
pub fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join(FOLDER)
}

/// Removes what a kill left half written.
fn tidy(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in entries.filter(|path| path.extension().is_some_and(|end| end == "new")) {
        drop(fs::remove_file(path));
    }
}

/// The batches in a folder by their numbers.
fn numbered(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbered = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let is_batch = path.extension().is_some_and(|end| end == "batch");
        numbered.extend(number.filter(|_| is_batch).map(|number| (number, path)));
    }
    numbered.sort();
    Ok(numbered)
}

fn write(file: &mut File, header: &[u8], body: &[u8]) -> io::Result<()> {
    let len = u32::try_from(header.len()).map_err(io::Error::other)?;
    let prefix = [len.to_le_bytes(), crc32fast::hash(header).to_le_bytes()].concat();
    file.write_all(&[MAGIC, &prefix, header].concat())?;
    file.write_all(body)
}

/// A file's header, and how long the file has to be.
fn read_header(file: &mut impl Read) -> Result<(Header, u64), SpoolError> {
    let mut start = [0; MAGIC.len() + PREFIX_BYTES];
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SpoolError::Damaged("it is cut"),
        _ => SpoolError::Io(error),
    };
    file.read_exact(&mut start).map_err(cut)?;
    let prefix = start.strip_prefix(MAGIC).ok_or(SpoolError::Damaged("it is no batch"))?;
    let number = |at: usize| prefix[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let (len, crc) = (u64::from(number(0)), number(4));
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != len || crc32fast::hash(&bytes) != crc {
        return Err(SpoolError::Damaged("its header's checksum"));
    }
    let header: Header = postcard::from_bytes(&bytes).map_err(|_| SpoolError::Damaged("its header"))?;
    let total = start.len() as u64 + len + header.body_bytes;
    Ok((header, total))
}

fn set_aside(path: &Path, why: &str) {
    let aside = path.with_extension("damaged");
    let kept = fs::rename(path, &aside).is_ok();
    tracing::error!(path = %aside.display(), why, kept, "a spooled batch is damaged: set aside");
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const URL: &str = "http://127.0.0.1:1/";

    pub(super) fn stored(text: &str) -> Stored {
        let body = Bytes::from(text.to_owned());
        let header = Header {
            owner: None,
            api_url: URL.to_owned(),
            dataset: "d".to_owned(),
            compression: Compression::Gzip,
            ends: vec![3, 7],
            body_bytes: body.len() as u64,
            body_crc: crc32fast::hash(&body),
        };
        Stored { header, body }
    }

    #[test]
    fn what_is_put_is_found_by_the_next_process_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, found) = Spool::open(dir.path(), URL, 10_000).unwrap();
        assert!(found.items.is_empty());
        let first = spool.put(&stored("first"), None, true).unwrap();
        let second = spool.put(&stored("second"), None, true).unwrap();
        let first = spool.put(&stored("less"), Some(&first), true).unwrap();
        assert_eq!(spool.get(&first).unwrap().unwrap(), stored("less"));
        fs::write(spool.dir.join("0000000000000009.new"), "half").unwrap();
        let (spool, found) = Spool::open(dir.path(), URL, 10_000).unwrap();
        assert_eq!(found.items, [first.clone(), second.clone()]);
        assert_eq!(fs::read_dir(&spool.dir).unwrap().count(), 2, "what was half written is gone");
        spool.remove(&first);
        assert!(spool.get(&first).unwrap().is_none());
        spool.get(&second).unwrap().unwrap();
        assert_eq!(spool.drop_oldest(), None, "it is being sent");
        spool.put_back(&second);
        assert_eq!(spool.drop_oldest(), Some(2));
        assert_eq!((spool.bytes(), spool.drop_oldest()), (0, None));
        let (_, found) = Spool::open(dir.path(), "http://other/", 10_000).unwrap();
        assert_eq!(found.strangers, 0);
    }

    #[test]
    fn a_batch_for_another_url_is_held_and_the_bound_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(dir.path(), URL, 300).unwrap();
        spool.put(&stored(&"x".repeat(100)), None, true).unwrap();
        assert!(matches!(spool.put(&stored(&"x".repeat(200)), None, true), Err(SpoolError::Full(_))));
        let (_, found) = Spool::open(dir.path(), "http://other/", 300).unwrap();
        assert!(found.items.is_empty() && found.strangers == 1);
        assert_eq!(Spool::open(dir.path(), URL, 300).unwrap().1.items.len(), 1, "it is still there");
    }

    #[test]
    fn whatever_byte_is_lost_a_damaged_batch_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(dir.path(), URL, 10_000).unwrap();
        let item = spool.put(&stored("a body"), None, true).unwrap();
        let path = spool.path(item.number);
        let sound = fs::read(&path).unwrap();
        for at in 0..sound.len() {
            let mut flipped = sound.clone();
            flipped[at] ^= 0x10;
            for damaged in [flipped, sound[..at].to_vec()] {
                fs::write(&path, damaged).unwrap();
                let (spool, found) = Spool::open(dir.path(), URL, 10_000).unwrap();
                let read = found.items.first().map(|item| spool.get(item));
                assert!(found.damaged == 1 || matches!(read, Some(Err(SpoolError::Damaged(_)))), "{at}");
                assert!(!path.exists());
            }
        }
    }
}
