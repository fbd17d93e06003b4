//! The checkpoint file: how far each file has been shipped, across restarts and power cuts.
//!
//! ```text
//! hivetail checkpoint 1
//! {"path":"/var/log/a.log","device":1,"inode":2,"generation":0,"resume":4711,"held":[]}
//! crc32 0a1b2c3d
//! ```
//!
//! Takes and gives [`Entry`]s. Written to a temporary file, synced, renamed, and the folder synced; the one
//! before is kept as `checkpoint.previous`.
//!
//! Invariant: what is loaded was saved whole. A damaged file is set aside, never half believed; then the previous
//! one counts, else everything is read from its beginning: rather twice than never.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::ack::Held;
pub use register::Register;

mod register;

const HEADER: &str = "hivetail checkpoint 1";

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// The device that it is on.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
}

impl Identity {
    /// Of an open file or a name's target.
    #[must_use]
    pub fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// One generation of a file: truncation begins a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileKey {
    /// Which file.
    #[serde(flatten)]
    pub identity: Identity,
    /// How often it had been truncated.
    pub generation: u32,
}

impl FileKey {
    /// A number that stays the same for this generation of the file: `log.file.id`.
    #[must_use]
    pub fn id(self) -> u64 {
        [self.identity.device, self.identity.inode, u64::from(self.generation)].into_iter().fold(0, mixed)
    }
}

/// Steele's and Vigna's splitmix64, over a running value and the next.
const fn mixed(state: u64, next: u64) -> u64 {
    let mut z = (state ^ next).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One file's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it was first seen; bytes that are no UTF-8 are replaced, since the inode tells what file it is.
    pub path: String,
    /// Which file.
    #[serde(flatten)]
    pub key: FileKey,
    /// All before it is decided or held.
    pub resume: u64,
    /// Lines before `resume` to be given to the join again.
    pub held: Vec<Held>,
}

/// The state directory's checkpoint file, which one process owns.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    _lock: File,
}

impl Store {
    /// Opens the state directory, making it if need be.
    ///
    /// # Errors
    /// When it can't be made or written, or another agent has it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::Unusable { dir: dir.to_owned(), error };
        fs::create_dir_all(dir).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join("lock"))
            .map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => StoreError::Taken { dir: dir.to_owned() },
            fs::TryLockError::Error(error) => failed(error),
        })?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// What was saved last; nothing if nothing ever was.
    #[must_use]
    pub fn load(&self) -> Vec<Entry> {
        for name in ["checkpoint", "checkpoint.previous"] {
            let path = self.dir.join(name);
            match fs::read(&path).map(|bytes| decode(&bytes)) {
                Ok(Some(entries)) => return entries,
                Ok(None) => {
                    let aside = path.with_extension("damaged");
                    tracing::error!(path = %path.display(), aside = %aside.display(), "the checkpoint is damaged and set aside");
                    let _ = fs::rename(&path, aside);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::error!(path = %path.display(), %error, "the checkpoint can't be read"),
            }
        }
        Vec::new()
    }

    /// Replaces what was saved.
    ///
    /// # Errors
    /// When the directory can't be written; what was saved before then still stands.
    pub fn save(&self, entries: &[Entry]) -> io::Result<()> {
        let [current, new, previous] =
            ["checkpoint", "checkpoint.new", "checkpoint.previous"].map(|name| self.dir.join(name));
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&encode(entries)?)?;
        file.sync_all()?;
        if current.exists() {
            // A link beside the name, so that at no moment there is no checkpoint at all.
            // Where the file system knows no links, there is no previous one.
            let _ = fs::remove_file(&previous);
            let _ = fs::hard_link(&current, &previous);
        }
        fs::rename(&new, &current)?;
        File::open(&self.dir)?.sync_all()
    }
}

/// Why the state directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be made or written.
    #[error("the state directory {} can't be used: {error} (set `[state] dir`)", dir.display())]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another agent runs with it.
    #[error("another hivetail uses the state directory {}: stop it, or set another `[state] dir`", dir.display())]
    Taken {
        /// The directory.
        dir: PathBuf,
    },
}

fn encode(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut text = format!("{HEADER}\n").into_bytes();
    for entry in entries {
        serde_json::to_writer(&mut text, entry)?;
        text.push(b'\n');
    }
    let crc = crc32fast::hash(&text);
    writeln!(text, "crc32 {crc:08x}")?;
    Ok(text)
}

fn decode(bytes: &[u8]) -> Option<Vec<Entry>> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let body_len = text.rfind('\n')? + 1;
    let crc = u32::from_str_radix(text[body_len..].strip_prefix("crc32 ")?, 16).ok()?;
    if crc32fast::hash(&bytes[..body_len]) != crc {
        return None;
    }
    let mut lines = text[..body_len].lines();
    (lines.next()? == HEADER).then_some(())?;
    lines.map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(inode: u64) -> Entry {
        let held = vec![Held { position: 3, len: 4, flags: 0 }];
        let key = FileKey { identity: Identity { device: 1, inode }, generation: 2 };
        Entry { path: "/a b\n".to_owned(), key, resume: 9, held }
    }

    #[test]
    fn ids_tell_files_and_generations_apart() {
        let key = entry(1).key;
        let id = key.id();
        assert_eq!(id, 0x4493_56e7_6b1e_c655, "an id must not change from release to release");
        assert_ne!(id, entry(2).key.id());
        assert_ne!(id, FileKey { generation: 3, ..key }.id());
    }

    #[test]
    fn what_is_saved_is_loaded_and_the_one_before_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.load(), []);
        store.save(&[entry(1)]).unwrap();
        store.save(&[entry(1), entry(2)]).unwrap();
        assert_eq!(store.load(), [entry(1), entry(2)]);
        fs::write(dir.path().join("checkpoint"), "").unwrap();
        assert_eq!(store.load(), [entry(1)], "an emptied file is not believed");
        assert!(dir.path().join("checkpoint.damaged").exists());
    }

    #[test]
    fn every_damage_is_noticed() {
        let sound = encode(&[entry(1), entry(2)]).unwrap();
        assert!(decode(&sound).is_some());
        for at in 0..sound.len() {
            assert_eq!(decode(&sound[..at]), None, "cut at {at}");
            for bit in 0..8 {
                let mut damaged = sound.clone();
                damaged[at] ^= 1 << bit;
                let same = decode(&damaged).is_none_or(|entries| entries == [entry(1), entry(2)]);
                assert!(same, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn two_agents_cannot_share_a_state_directory() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Store::open(dir.path()).unwrap();
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Taken { .. })));
    }
}
