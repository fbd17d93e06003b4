//! The two checkpoint files: a snapshot each, and after it what has changed since, frame by frame.
//!
//! ```text
//! hivetail checkpoint 3\n
//! frame: length (u32), CRC-32 (u32), both little-endian, then a batch in postcard's encoding: a number, and changes to the end
//! frame: …
//! ```
//!
//! The first batch is the snapshot. When what was appended outgrows it, a new snapshot goes into the *other* file,
//! which is the active one once it is whole on the disk. Takes and gives [`Change`]s.
//!
//! Invariant: a batch counts whole or not at all, and none after a damaged one does; whichever byte is lost, what is
//! loaded was true at some time.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{Change, Due};
use crate::durable;

const HEADER: &[u8] = b"hivetail checkpoint 3\n";
const NAMES: [&str; 2] = ["checkpoint.a", "checkpoint.b"];
/// A frame's length and checksum.
const PREFIX_BYTES: usize = 8;
/// What may be appended to a snapshot, however small that is.
const APPENDED_BYTES_MIN: u64 = 64 * 1024;

/// What was found in the two files.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Everything since the newest snapshot that is whole, in order.
    pub(super) changes: Vec<Change>,
    /// Files with damage in them.
    pub(super) damaged: Vec<PathBuf>,
    /// Whether there was any file at all.
    pub(super) any: bool,
    /// When the newest was written last.
    pub(super) saved_at: Option<SystemTime>,
}

/// One file, as far as it can be believed.
struct Slot {
    /// Of two files, the one with the higher number is newer.
    sequence: u64,
    changes: Vec<Change>,
    sound: bool,
}

/// The file that is being appended to.
#[derive(Debug)]
struct Active {
    file: File,
    len: u64,
    snapshot_len: u64,
}

/// The two files of a state directory.
#[derive(Debug)]
pub(super) struct Slots {
    dir: PathBuf,
    sequence: u64,
    /// Which of the two the next snapshot goes into.
    next: usize,
    active: Option<Active>,
}

impl Slots {
    /// Reads what there is.
    pub(super) fn open(dir: &Path) -> (Self, Found) {
        let mut found = Found::default();
        let mut newest: Option<(usize, Slot)> = None;
        for (index, name) in NAMES.iter().enumerate() {
            let path = dir.join(name);
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "the checkpoint can't be read");
                    found.any = true;
                    found.damaged.push(path);
                    continue;
                }
            };
            found.any = true;
            let slot = decode(&bytes);
            if slot.as_ref().is_none_or(|slot| !slot.sound) {
                found.damaged.push(path.clone());
            }
            if let Some(slot) =
                slot.filter(|slot| newest.as_ref().is_none_or(|(_, best)| best.sequence < slot.sequence))
            {
                found.saved_at = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
                newest = Some((index, slot));
            }
        }
        let (next, sequence) = newest.as_ref().map_or((0, 0), |(index, slot)| (1 - index, slot.sequence));
        found.changes = newest.map(|(_, slot)| slot.changes).unwrap_or_default();
        (Self { dir: dir.to_owned(), sequence, next, active: None }, found)
    }

    /// Saves what has changed, or everything, when that is due.
    ///
    /// # Errors
    /// When the directory can't be written. What was saved before still stands, and everything is due next time.
    pub(super) fn save(&mut self, tell: impl FnOnce(Due, &mut dyn FnMut(&Change))) -> io::Result<()> {
        let appendable = |active: &&mut Active| active.len < 2 * active.snapshot_len.max(APPENDED_BYTES_MIN);
        let Some(active) = self.active.as_mut().filter(appendable) else {
            return self.snapshot(&frame(self.sequence + 1, |to| tell(Due::Everything, to))?);
        };
        let result = frame(self.sequence, |to| tell(Due::Changes, to)).and_then(|frame| {
            active.file.write_all_at(&frame, active.len)?;
            active.file.sync_data()?;
            active.len += frame.len() as u64;
            Ok(())
        });
        if result.is_err() {
            self.active = None;
        }
        result
    }

    fn snapshot(&mut self, frame: &[u8]) -> io::Result<()> {
        let path = self.dir.join(NAMES[self.next]);
        let mut file = durable::create(&path)?;
        file.write_all(HEADER)?;
        file.write_all(frame)?;
        file.sync_all()?;
        durable::sync_folder_of(&path)?;
        let len = (HEADER.len() + frame.len()) as u64;
        self.active = Some(Active { file, len, snapshot_len: len });
        self.sequence += 1;
        self.next = 1 - self.next;
        Ok(())
    }
}

/// The frame of what is told, encoded while it is: twenty thousand files are a few megabytes at once otherwise.
fn frame(sequence: u64, tell: impl FnOnce(&mut dyn FnMut(&Change))) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(&sequence, vec![0; PREFIX_BYTES]);
    tell(&mut |change| {
        let before = std::mem::replace(&mut frame, Ok(Vec::new()));
        frame = before.and_then(|before| postcard::to_extend(change, before));
    });
    let mut frame = frame.map_err(io::Error::other)?;
    let len = u32::try_from(frame.len() - PREFIX_BYTES).map_err(io::Error::other)?;
    let crc = crc32fast::hash(&frame[PREFIX_BYTES..]);
    frame[..4].copy_from_slice(&len.to_le_bytes());
    frame[4..PREFIX_BYTES].copy_from_slice(&crc.to_le_bytes());
    Ok(frame)
}

/// What a file holds; `None` if not even its snapshot is whole.
fn decode(bytes: &[u8]) -> Option<Slot> {
    let mut rest = bytes.strip_prefix(HEADER)?;
    let (sequence, mut changes, after) = batch(rest)?;
    rest = after;
    while let Some((_, batch, after)) = batch(rest).filter(|(its, ..)| *its == sequence) {
        changes.extend(batch);
        rest = after;
    }
    // A kill or a full disk leaves a batch half written, which is no damage.
    let torn = rest.len() < PREFIX_BYTES || length(rest).is_none_or(|len| rest.len() - PREFIX_BYTES < len);
    Some(Slot { sequence, changes, sound: torn })
}

fn length(frame: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*frame.first_chunk::<4>()?)).ok()
}

/// The first batch, and what follows it.
fn batch(bytes: &[u8]) -> Option<(u64, Vec<Change>, &[u8])> {
    let (prefix, rest) = bytes.split_at_checked(PREFIX_BYTES)?;
    let (payload, rest) = rest.split_at_checked(length(prefix)?)?;
    let crc = u32::from_le_bytes(*prefix.last_chunk::<4>()?);
    if crc32fast::hash(payload) != crc {
        return None;
    }
    let (sequence, mut left) = postcard::take_from_bytes(payload).ok()?;
    let mut changes = Vec::new();
    while !left.is_empty() {
        let (change, after) = postcard::take_from_bytes(left).ok()?;
        changes.push(change);
        left = after;
    }
    Some((sequence, changes, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::tests::{entry, telling};

    fn put(id: u64) -> Change {
        Change::Put(entry(id))
    }

    #[test]
    fn what_is_appended_counts_and_outgrows_its_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let (mut slots, found) = Slots::open(dir.path());
        assert!(!found.any);
        slots.save(telling(Due::Everything, &[put(1)])).unwrap();
        slots.save(telling(Due::Changes, &[put(2), Change::Remove(1)])).unwrap();
        let found = Slots::open(dir.path()).1;
        assert_eq!(found.changes, [put(1), put(2), Change::Remove(1)]);
        assert!(found.any && found.damaged.is_empty() && found.saved_at.is_some());
        let many: Vec<Change> = (0..100).map(put).collect();
        for _ in 0..60 {
            slots
                .save(
                    |due, tell| if due == Due::Changes { many.iter().for_each(tell) } else { tell(&put(7)) },
                )
                .unwrap();
        }
        assert!(dir.path().join(NAMES[1]).exists(), "a snapshot in the other file");
        assert!(Slots::open(dir.path()).1.changes.len() < 5_000);
    }

    #[test]
    fn whatever_byte_is_lost_what_is_loaded_was_true_once() {
        let dir = tempfile::tempdir().unwrap();
        let (mut slots, _) = Slots::open(dir.path());
        let [a, b] = NAMES.map(|name| dir.path().join(name));
        slots.save(telling(Due::Everything, &[put(1)])).unwrap();
        slots.active = None;
        slots.save(telling(Due::Everything, &[put(2)])).unwrap();
        slots.save(telling(Due::Changes, &[put(3)])).unwrap();
        slots.save(telling(Due::Changes, &[put(4)])).unwrap();
        let sound = fs::read(&b).unwrap();
        let truths = [vec![put(1)], vec![put(2)], vec![put(2), put(3)], vec![put(2), put(3), put(4)]];
        for at in 0..sound.len() {
            fs::write(&b, &sound[..at]).unwrap();
            let (_, found) = Slots::open(dir.path());
            assert!(truths.contains(&found.changes) && found.any, "cut at {at}");
            let mut flipped = sound.clone();
            flipped[at] ^= 0x10;
            fs::write(&b, &flipped).unwrap();
            let (mut slots, found) = Slots::open(dir.path());
            assert!(truths[..3].contains(&found.changes), "flipped at {at}");
            assert_ne!(found.changes, truths[3]);
            slots.save(telling(Due::Everything, &[put(9)])).unwrap();
            assert_eq!(Slots::open(dir.path()).1.changes, [put(9)], "after damage at {at} it goes on");
            fs::write(&a, [HEADER.to_vec(), frame(1, |tell| tell(&put(1))).unwrap()].concat()).unwrap();
        }
        fs::write(&a, "").unwrap();
        fs::write(&b, vec![0; 4096]).unwrap();
        let found = Slots::open(dir.path()).1;
        assert!(found.any && found.changes.is_empty() && found.damaged == [a, b]);
    }
}
