//! The checkpoint: how far each file has been shipped, across restarts and power cuts.
//!
//! Takes and gives [`Entry`]s, by [`Change`]s: what a second brings is appended, so that twenty thousand files cost
//! nothing while they rest. How they lie on the disk is told in `slots`.
//!
//! Invariant: what is loaded was true at some time. Damage is said and set aside; then an older state counts, else
//! everything is read from its beginning: rather twice than never.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ack::Held, lock::lock};
pub use register::{Register, StreamState};
use slots::{Found, Slots};

mod register;
mod slots;

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

/// A checksum of a file's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many bytes.
    pub len: u16,
    /// Their CRC-32.
    pub crc: u32,
}

/// One file's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `log.file.id`: which generation of which file the positions are in, whatever holds their bytes now.
    pub id: u64,
    /// Where it was first seen.
    #[serde(serialize_with = "as_bytes", deserialize_with = "from_bytes")]
    pub path: Arc<Path>,
    /// Where it was last seen.
    #[serde(serialize_with = "as_bytes", deserialize_with = "from_bytes")]
    pub seen_at: Arc<Path>,
    /// Which file has its bytes.
    pub identity: Identity,
    /// How often that had been truncated or replaced.
    pub generation: u32,
    /// When it was made, in nanoseconds since 1970, where the file system tells.
    pub born: Option<i64>,
    /// A checksum of its first bytes, once there are some.
    pub head: Option<Head>,
    /// A checksum of the bytes before `resume`.
    pub tail: Option<u32>,
    /// All before it is decided or held.
    pub resume: u64,
    /// How long it was.
    pub size: u64,
    /// Whether it is a copy in the state directory of what would have been out of reach.
    pub rescued: bool,
    /// Lines before `resume` to be given to the join again.
    pub held: Vec<Held>,
}

fn as_bytes<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_os_str().as_bytes().serialize(serializer)
}

fn from_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Path>, D::Error> {
    Vec::deserialize(deserializer).map(|bytes| PathBuf::from(OsString::from_vec(bytes)).into())
}

/// A number for this generation of a file: `log.file.id`. It must not be computed otherwise in a later release.
#[must_use]
pub fn file_id(identity: Identity, generation: u32, born: Option<i64>) -> u64 {
    let born = born.map_or(0, i64::cast_unsigned);
    [identity.device, identity.inode, u64::from(generation), born].into_iter().fold(0, mixed)
}

/// Steele's and Vigna's splitmix64, over a running value and the next.
const fn mixed(state: u64, next: u64) -> u64 {
    let mut z = (state ^ next).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What is saved when something changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A file's state is this now.
    Put(Entry),
    /// The file with that id is gone.
    Remove(u64),
    /// A source that reads these patterns, by their checksum, has looked for its files.
    Looked(u32),
}

/// What is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// What has changed since it was last asked for.
    Changes,
    /// All that there is.
    Everything,
}

/// What was saved by the last run.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The files.
    pub entries: Vec<Entry>,
    /// The sources that have looked.
    pub looked: Vec<u32>,
    /// How many checkpoint files were damaged.
    pub damaged: usize,
    /// When it was saved; `None` if nothing could be loaded.
    pub saved_at: Option<SystemTime>,
}

impl From<Found> for Loaded {
    fn from(found: Found) -> Self {
        let (mut entries, mut looked) = (BTreeMap::new(), Vec::new());
        for change in found.changes {
            match change {
                Change::Put(entry) => drop(entries.insert(entry.id, entry)),
                Change::Remove(id) => drop(entries.remove(&id)),
                Change::Looked(source) => looked.push(source),
            }
        }
        let entries = entries.into_values().collect();
        Self { entries, looked, damaged: found.damaged.len(), saved_at: found.saved_at }
    }
}

/// What was saved last in a state directory, whoever owns it.
#[must_use]
pub fn load(dir: &Path) -> Loaded {
    Slots::open(dir).1.into()
}

/// The state directory, which one process owns.
#[derive(Debug)]
pub struct Store {
    slots: Mutex<Slots>,
    _lock: File,
}

impl Store {
    /// Opens the state directory, making it if need be, and loads what was saved last.
    ///
    /// # Errors
    /// When it can't be made or read, or another agent has it.
    pub fn open(dir: &Path) -> Result<(Self, Loaded), StoreError> {
        let failed = |error| StoreError::Unusable { dir: dir.to_owned(), error };
        fs::create_dir_all(dir).map_err(failed)?;
        let lock = lock_file(dir).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => StoreError::Taken { dir: dir.to_owned() },
            fs::TryLockError::Error(error) => failed(error),
        })?;
        let (slots, found) = Slots::open(dir);
        for path in &found.damaged {
            let aside = dir.join("checkpoint.damaged");
            let copied = fs::copy(path, &aside);
            tracing::error!(
                path = %path.display(), copy = %aside.display(), copied = copied.is_ok(),
                "the checkpoint is damaged: going on with an older state, lines may be shipped twice"
            );
        }
        let loaded = Loaded::from(found);
        Ok((Self { slots: Mutex::new(slots), _lock: lock }, loaded))
    }

    /// Saves what `tell` tells: what has changed or, when that is due, everything.
    ///
    /// # Errors
    /// When the directory can't be written; what was saved before then still stands.
    pub fn save(&self, tell: impl FnOnce(Due, &mut dyn FnMut(&Change))) -> io::Result<()> {
        lock(&self.slots).save(tell)
    }
}

/// What to lock; where nothing can be written, the directory itself.
fn lock_file(dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let lock = options.create(true).write(true).truncate(false).mode(0o600).open(dir.join("lock"));
    lock.or_else(|error| match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            tracing::error!(dir = %dir.display(), %error, "the state directory can't be written: a restart will repeat lines");
            File::open(dir)
        }
        _ => Err(error),
    })
}

/// Why the state directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be made or read.
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

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn entry(id: u64) -> Entry {
        Entry {
            id,
            path: PathBuf::from(OsString::from_vec(b"/a b\n\xff".to_vec())).into(),
            seen_at: Path::new("/b").into(),
            identity: Identity { device: 1, inode: 2 },
            generation: 3,
            born: Some(-4),
            head: None,
            tail: Some(5),
            resume: 9,
            size: 10,
            rescued: false,
            held: vec![Held { position: 3, len: 4, flags: 0 }],
        }
    }

    /// Tells these changes when that is due.
    pub(super) fn telling(is_due: Due, changes: &[Change]) -> impl FnOnce(Due, &mut dyn FnMut(&Change)) {
        move |due, tell| {
            assert_eq!(due, is_due);
            changes.iter().for_each(tell);
        }
    }

    #[test]
    fn ids_tell_files_and_generations_apart() {
        let identity = Identity { device: 1, inode: 1 };
        let id = file_id(identity, 2, None);
        assert_eq!(id, file_id(identity, 2, Some(0)));
        assert_eq!(format!("{id:016x}"), "14ceedcce45d513f", "an id must not change from release to release");
        assert_ne!(id, file_id(Identity { inode: 2, ..identity }, 2, None));
        assert_ne!(id, file_id(identity, 3, None));
        assert_ne!(id, file_id(identity, 2, Some(1)), "an inode's next file is another file");
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let (store, loaded) = Store::open(dir.path()).unwrap();
        assert!(loaded.entries.is_empty() && loaded.saved_at.is_none());
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Taken { .. })), "one agent per directory");
        let all = [Change::Put(entry(1)), Change::Put(entry(2)), Change::Looked(7)];
        store.save(telling(Due::Everything, &all)).unwrap();
        let later = Entry { resume: 10, ..entry(2) };
        store.save(telling(Due::Changes, &[Change::Remove(1), Change::Put(later.clone())])).unwrap();
        drop(store);
        let (_, loaded) = Store::open(dir.path()).unwrap();
        assert_eq!((loaded.entries, loaded.looked, loaded.damaged), (vec![later], vec![7], 0));
    }

    #[test]
    fn an_entry_is_small() {
        let held = Held { position: 10 << 30, len: 300, flags: 1 };
        let held = vec![held; 100];
        let path = Path::new("/var/log/pods/production_podsite-7c9d8f7b6c-x2x5v_0a1b2c3d/podsite/0.log");
        let path: Arc<Path> = path.into();
        let born = Some(1_795_000_000_000_000_000);
        let (seen_at, head, size) = (Arc::clone(&path), Some(Head { len: 256, crc: u32::MAX }), u64::MAX);
        let entry = Entry { path, seen_at, born, head, size, resume: u64::MAX, held, ..entry(u64::MAX) };
        let len = postcard::to_stdvec(&Change::Put(entry)).unwrap().len();
        assert!(len <= 256 + 100 * 16, "{len}");
    }
}
