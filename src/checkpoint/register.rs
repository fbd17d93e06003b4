//! The register: which streams are files, and what the last checkpoint said of files not met again yet.
//!
//! Takes the file sources' streams, gives the changes to save: for each file what its source knows of it and the
//! ledger's mark.
//!
//! Invariant: a file leaves the register only when its stream is closed and decided, or when its source has
//! looked for it and it is gone.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
    time::SystemTime,
};

use hivetail_parsers::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use super::{Change, Due, Entry, Identity, Loaded};
use crate::{
    ack::{Ledger, SharedLedger, StreamId},
    lock::lock,
    source::Left,
};

/// All files of a process.
#[derive(Debug, Default)]
pub struct Register {
    files: Mutex<Files>,
    changed: Notify,
    /// Says that there are files to go on with.
    offers: watch::Sender<()>,
    /// When the last run saved last.
    saved_at: Option<SystemTime>,
    damaged: bool,
}

#[derive(Debug, Default)]
struct Files {
    /// The mark in these entries is not kept up to date: it is the ledger's.
    known: BTreeMap<StreamId, Box<Entry>>,
    /// Files of the last run that were not met again yet.
    pending: BTreeMap<u64, Entry>,
    /// Those of them that a source looks for.
    given: BTreeSet<u64>,
    claimed: HashSet<Identity>,
    /// Streams whose bytes are gone.
    gone: Vec<StreamId>,
    looked: BTreeSet<u32>,
    changed: BTreeSet<StreamId>,
    /// Changes that are not of a stream.
    others: Vec<Change>,
    /// When the source ended that followed a file of `pending`, if it was one of this run.
    left: BTreeMap<u64, SystemTime>,
}

/// How far a file was shipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// The name it goes by.
    pub path: PathBuf,
    /// Its `log.file.id`: a name may lead to several, one after the other.
    pub id: String,
    /// Bytes that are shipped, or otherwise decided.
    pub done_bytes: u64,
    /// Bytes that are not.
    pub lag_bytes: u64,
    /// For how many seconds the oldest of those that have been read has waited for its outcome.
    pub lag_s: u64,
}

impl Register {
    /// Begins with what was loaded.
    #[must_use]
    pub fn new(loaded: Loaded) -> Self {
        let files = Files {
            pending: loaded.entries.into_iter().map(|entry| (entry.id, entry)).collect(),
            looked: loaded.looked.into_iter().collect(),
            ..Files::default()
        };
        Self {
            files: Mutex::new(files),
            changed: Notify::new(),
            offers: watch::Sender::default(),
            saved_at: loaded.saved_at,
            damaged: loaded.damaged > 0,
        }
    }

    /// Until when a file of the last run, or of a source that has ended, was followed.
    #[must_use]
    pub fn followed_until(&self, id: u64) -> Option<SystemTime> {
        self.files().left.get(&id).copied().or(self.saved_at)
    }

    /// Tells when sources have ended whose files others may go on with.
    #[must_use]
    pub fn offers(&self) -> watch::Receiver<()> {
        self.offers.subscribe()
    }

    /// Has those sources that run look for files that nobody follows any more.
    pub fn offer(&self) {
        self.offers.send_replace(());
    }

    /// Resolves when there was something to save since the last call that is not the ledger's.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        lock(&self.files)
    }

    /// Notes that a source has looked for its files; answers whether that is for the first time ever.
    pub fn looks_first(&self, source: u32) -> bool {
        let mut files = self.files();
        let first = files.looked.insert(source);
        files.others.push(Change::Looked(source));
        first && !self.damaged
    }

    /// A stream is a file.
    pub fn add(&self, stream: StreamId, entry: Entry) {
        let mut files = self.files();
        files.pending.remove(&entry.id);
        files.left.remove(&entry.id);
        files.known.insert(stream, Box::new(entry));
        files.changed.insert(stream);
        self.changed.notify_one();
    }

    /// A stream is a file that is not to be known by the next start.
    pub fn hide(&self, stream: StreamId) {
        let mut files = self.files();
        if let Some(entry) = files.known.remove(&stream) {
            files.others.push(Change::Remove(entry.id));
        }
    }

    /// There is news of a stream's file.
    pub fn update(&self, stream: StreamId, tell: impl FnOnce(&mut Entry)) {
        let mut files = self.files();
        if let Some(entry) = files.known.get_mut(&stream) {
            tell(entry);
            files.changed.insert(stream);
            self.changed.notify_one();
        }
    }

    /// What was read of a stream and is not shipped can't be read again by the next start.
    pub fn gone(&self, stream: StreamId) {
        self.files().gone.push(stream);
    }

    /// How many lines can't be read again by the next start, and are not shipped.
    #[must_use]
    pub fn lines_gone(&self, ledger: &Ledger) -> u64 {
        self.files().gone.iter().map(|stream| ledger.lines_open(*stream)).sum()
    }

    /// What is known of a file of the last run that could not be looked at when the source started.
    #[must_use]
    pub fn pending_of(&self, identity: Identity) -> Option<Entry> {
        self.files().pending.values().find(|entry| entry.identity == identity && !entry.rescued).cloned()
    }

    /// Claims a file for one source; `false` if another one follows it already.
    pub fn claim(&self, identity: Identity) -> bool {
        self.files().claimed.insert(identity)
    }

    /// Whether a file is followed by some source.
    #[must_use]
    pub fn is_claimed(&self, identity: Identity) -> bool {
        self.files().claimed.contains(&identity)
    }

    /// A source has let go of a file.
    pub fn release(&self, identity: Identity) {
        self.files().claimed.remove(&identity);
    }

    /// The entries of files that were not met again yet and that were first seen at such paths; each is given once only,
    /// to the source that is to look for it.
    pub fn pending(&self, is_meant: impl Fn(&Path) -> bool) -> Vec<Entry> {
        let Files { pending, given, .. } = &mut *self.files();
        pending.values().filter(|entry| is_meant(&entry.path) && given.insert(entry.id)).cloned().collect()
    }

    /// A source has ended: its files are those of a last run, which another source goes on with from their marks.
    pub fn hand_over(&self, ledger: &mut Ledger, left: &Left, left_at: SystemTime) {
        let files = &mut *self.files();
        for stream in &left.streams {
            let entry = files.entry(ledger, *stream);
            // What has no entry is asked for again, or is decided.
            let resume = entry.as_ref().map_or(0, |entry| entry.resume);
            left.held.iter().filter(|at| at.stream == *stream).for_each(|at| ledger.hand_over(*at, resume));
            ledger.close_stream(*stream);
            let known = files.known.remove(stream);
            if let Some(entry) = entry {
                files.given.remove(&entry.id);
                files.left.insert(entry.id, left_at);
                files.others.push(Change::Put(entry.clone()));
                files.pending.insert(entry.id, entry);
            } else if let Some(known) = known {
                files.others.push(Change::Remove(known.id));
            }
        }
        files.claimed.retain(|identity| !left.files.contains(identity));
        self.changed.notify_one();
    }

    /// A file was found, but not where it was any more when it was to be opened: whoever looks next is given it again.
    pub fn give_back(&self, id: u64) {
        self.files().given.remove(&id);
    }

    /// A file of the last run was looked for in vain.
    pub fn forget(&self, id: u64) {
        let mut files = self.files();
        files.left.remove(&id);
        if files.pending.remove(&id).is_some() {
            files.others.push(Change::Remove(id));
        }
    }

    /// How far each file that is followed was shipped; `age` gives the seconds since a time.
    #[must_use]
    pub fn streams(&self, ledger: &SharedLedger, age: impl Fn(Timestamp) -> u64) -> Vec<StreamState> {
        // Asking for sizes takes a while: nobody has to wait for it.
        let known: Vec<(StreamId, Entry)> =
            self.files().known.iter().map(|(stream, entry)| (*stream, Entry::clone(entry))).collect();
        let state = |(stream, entry): (StreamId, Entry)| {
            let (mark, progress) = ledger.read(|ledger| (ledger.mark(stream), ledger.progress(stream)));
            let (done_bytes, (read_to, oldest)) = (mark?.resume, progress?);
            let len = len_at(&entry.seen_at, entry.identity).unwrap_or(entry.size).max(read_to);
            let lag_s = oldest.map_or(0, &age);
            Some(StreamState {
                path: entry.seen_at.to_path_buf(),
                id: format!("{:016x}", entry.id),
                done_bytes,
                lag_bytes: len.saturating_sub(done_bytes),
                lag_s,
            })
        };
        known.into_iter().filter_map(state).collect()
    }

    /// Whether there is anything to save.
    #[must_use]
    pub fn has_changed(&self, ledger: &Ledger) -> bool {
        let files = self.files();
        ledger.has_changed() || !files.changed.is_empty() || !files.others.is_empty()
    }

    /// Tells what has changed since the last call, or everything.
    pub fn tell(&self, due: Due, ledger: &mut Ledger, tell: &mut dyn FnMut(&Change)) {
        let files = &mut *self.files();
        let mut changed = ledger.take_changed();
        changed.append(&mut files.changed);
        let mut others = std::mem::take(&mut files.others);
        let mut news: &mut dyn FnMut(&Change) = &mut |_| {};
        if due == Due::Changes {
            news = &mut *tell;
        }
        others.drain(..).for_each(|change| news(&change));
        for stream in changed {
            match files.entry(ledger, stream) {
                Some(entry) => news(&Change::Put(entry)),
                None => {
                    files.known.remove(&stream).into_iter().for_each(|entry| news(&Change::Remove(entry.id)));
                }
            }
        }
        if due == Due::Everything {
            let known = files.known.keys().filter_map(|stream| files.entry(ledger, *stream));
            let entries = known.chain(files.pending.values().cloned()).map(Change::Put);
            let looked = files.looked.iter().copied().map(Change::Looked);
            entries.chain(looked).for_each(|change| tell(&change));
        }
    }
}

impl Files {
    /// A stream's entry, with its mark.
    fn entry(&self, ledger: &Ledger, stream: StreamId) -> Option<Entry> {
        let mark = ledger.mark(stream)?;
        let known = self.known.get(&stream)?;
        Some(Entry { resume: mark.resume, tail: mark.tail, held: mark.held, ..Entry::clone(known) })
    }
}

/// How long a file is now, if that name still leads to it.
fn len_at(path: &Path, identity: Identity) -> Option<u64> {
    let metadata = path.metadata().ok()?;
    (Identity::of(&metadata) == identity).then_some(metadata.len())
}
