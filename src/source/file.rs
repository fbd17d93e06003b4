//! The file source: files and globs, followed from their first byte on, through appends and rotation.
//!
//! One task for all files of a `[[source]]`, with one read buffer that goes from file to file. News comes from
//! [`watch`], the files from [`discover`]; what was shipped before comes from the checkpoint.
//!
//! Invariants: a file is identified by device and inode of its open descriptor, never by its name alone; a
//! rotated file is read to its end before its successor is begun; a line without its newline is left unread in a
//! file that may still grow.

pub mod discover;
pub mod follow;
pub mod watch;

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Feed;
use crate::{
    budget::Reservation,
    checkpoint::{Entry, FileKey, Register},
    frame::LineBuffer,
};
use discover::{Discovery, Found, Identity};
use follow::{Followed, Name, Size};
use watch::{Change, Watch};

/// How often everything is looked at, whatever the news said.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(10);
/// How many chunks a file may be read before others get their turn.
const CHUNKS_PER_TURN: usize = 16;

/// A file source.
#[derive(Debug)]
pub struct FileSource {
    feed: Feed,
    discovery: Discovery,
    fields: Vec<(String, String)>,
    once: bool,
    register: Arc<Register>,
    buffer: LineBuffer,
    /// Whose bytes the buffer holds.
    loaded: Option<Identity>,
    files: BTreeMap<Identity, Followed>,
    /// Files that may have more to read, each at most once.
    ready: VecDeque<Identity>,
    chunks_in_turn: usize,
}

impl FileSource {
    /// A source that finds its files by `discovery` and puts `fields` on each event. With `once` it ends when
    /// everything has been read.
    #[must_use]
    pub fn new(
        feed: Feed,
        discovery: Discovery,
        fields: Vec<(String, String)>,
        once: bool,
        register: Arc<Register>,
        line_bytes_max: usize,
    ) -> Self {
        Self {
            feed,
            discovery,
            fields,
            once,
            register,
            buffer: LineBuffer::new(line_bytes_max),
            loaded: None,
            files: BTreeMap::new(),
            ready: VecDeque::new(),
            chunks_in_turn: 0,
        }
    }

    /// Follows the files until `stop`, or with `once` until they are read.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut watch = Watch::nothing();
        let flow = self.feed.flow.clone();
        let mut reconcile = tokio::time::interval(RECONCILE_INTERVAL);
        reconcile.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.resume_renamed();
        self.look(&mut watch);
        reconcile.tick().await;
        while !(self.once && self.ready.is_empty()) {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                change = watch.next() => match change {
                    Change::Written(path) => self.written(&path),
                    Change::Names => self.look(&mut watch),
                    Change::Anything => self.reconcile(&mut watch),
                },
                _ = reconcile.tick() => {
                    self.let_go_quiet();
                    self.reconcile(&mut watch);
                }
                reservation = flow.reserve(), if !self.ready.is_empty() => self.read(reservation).await,
            }
        }
    }

    /// Finds files that were renamed while the agent was stopped, to finish them first.
    fn resume_renamed(&mut self) {
        let found: Vec<Identity> = self.discovery.look().iter().map(|found| found.identity).collect();
        for entry in self.register.pending() {
            let (path, identity) = (PathBuf::from(&entry.path), entry.key.identity);
            if !self.discovery.matches(&path) || found.contains(&identity) {
                continue;
            }
            let Some(folder) = path.parent().filter(|folder| folder.is_dir()) else { continue };
            let renamed = follow::find_in(folder, identity).and_then(|now| Followed::open(&now).ok());
            match renamed.filter(|(_, opened, len)| *opened == identity && *len >= entry.resume) {
                Some((file, _, _)) => {
                    self.follow(file, path, entry.key, entry.resume);
                    if let Some(followed) = self.files.get_mut(&identity) {
                        followed.name = Name::Gone { quiet: false };
                    }
                }
                None => {
                    self.register.forget(identity);
                    tracing::warn!(
                        path = %entry.path, shipped_bytes = entry.resume,
                        "a file that was being followed is no longer there: what came after is lost, if there was more"
                    );
                }
            }
        }
    }

    /// Looks for new files and for names that lead elsewhere by now.
    fn look(&mut self, watch: &mut Watch) {
        for folder in self.discovery.folders() {
            watch.add(&folder);
        }
        let found = self.discovery.look();
        for followed in self.files.values_mut().filter(|followed| followed.name == Name::Current) {
            if !found.iter().any(|found| found.identity == followed.key.identity) {
                followed.name = Name::Gone { quiet: false };
                make_ready(&mut self.ready, followed.key.identity);
            }
        }
        for found in found {
            if let Some(folder) = found.path.parent() {
                watch.add(folder);
            }
            self.meet(found);
        }
    }

    /// A file that was found: one that is followed already, one from the checkpoint, or a new one.
    fn meet(&mut self, found: Found) {
        if let Some(followed) = self.files.get_mut(&found.identity) {
            followed.name = Name::Current;
            return;
        }
        let (file, identity, len) = match Followed::open(&found.path) {
            Ok(opened) => opened,
            Err(error) => return self.discovery.say_once(&found.path, "can't be opened", &error.to_string()),
        };
        if self.files.contains_key(&identity) {
            return;
        }
        let (path, key, resume) = match self.register.pending_of(identity) {
            Some(Entry { path, key, resume, .. }) if resume <= len => (PathBuf::from(path), key, resume),
            Some(Entry { mut key, .. }) => {
                key.generation += 1;
                (found.path, key, 0)
            }
            None => (found.path, FileKey { identity, generation: 0 }, 0),
        };
        self.follow(file, path, key, resume);
    }

    fn follow(&mut self, file: File, path: PathBuf, key: FileKey, position: u64) {
        tracing::debug!(path = %path.display(), position, "following");
        let stream = self.feed.ledger.with(|ledger| ledger.open_stream(position));
        self.register.add(stream, &path.to_string_lossy(), key);
        let mut followed = Followed::new(file, path, key, stream, position, &self.fields);
        let before =
            self.files.values().filter(|other| other.path == followed.path && other.name != Name::Current);
        followed.predecessor = before.max_by_key(|other| other.stream).map(|other| other.key);
        self.files.insert(key.identity, followed);
        make_ready(&mut self.ready, key.identity);
    }

    fn written(&mut self, path: &Path) {
        for followed in self.files.values_mut() {
            // A rotated file is written to under a name that we do not know.
            let rotated = followed.name != Name::Current && followed.path.parent() == path.parent();
            if followed.path == path || rotated {
                make_ready(&mut self.ready, followed.key.identity);
            }
        }
    }

    /// Looks at everything: news may have been missed.
    fn reconcile(&mut self, watch: &mut Watch) {
        self.look(watch);
        for identity in self.files.keys() {
            make_ready(&mut self.ready, *identity);
        }
    }

    /// Rotated files that had nothing new since the last reconcile are closed.
    fn let_go_quiet(&mut self) {
        let Self { files, feed, ready, .. } = self;
        files.retain(|identity, followed| match &mut followed.name {
            Name::Gone { quiet: true } if followed.at_end && !ready.contains(identity) => {
                tracing::debug!(path = %followed.path.display(), "rotated file is read to its end");
                feed.ledger.with(|ledger| ledger.close_stream(followed.stream));
                false
            }
            Name::Gone { quiet } => {
                *quiet = followed.at_end;
                true
            }
            Name::Current => true,
        });
    }

    /// Reads and passes one chunk of the file whose turn it is.
    async fn read(&mut self, reservation: Reservation) {
        let Some(identity) = self.ready.pop_front() else { return };
        let waits =
            self.files.get(&identity).and_then(|followed| followed.predecessor).is_some_and(|before| {
                self.files.contains_key(&before.identity) && self.ready.contains(&before.identity)
            });
        if waits {
            return self.ready.push_back(identity);
        }
        match self.chunk(identity, reservation).await {
            Ok(true) => {
                self.chunks_in_turn += 1;
                // Inside a long line the buffer stays with the file, or nobody would get on.
                let turn_ends = self.chunks_in_turn >= CHUNKS_PER_TURN && self.buffer.skipped() == 0;
                if turn_ends {
                    self.chunks_in_turn = 0;
                    self.ready.push_back(identity);
                } else {
                    self.ready.push_front(identity);
                }
            }
            Ok(false) => self.chunks_in_turn = 0,
            Err(error) => {
                self.loaded = None;
                if let Some(followed) = self.files.get_mut(&identity) {
                    tracing::error!(path = %followed.path.display(), %error, "can't be read, trying again in 10 s");
                }
            }
        }
    }

    /// Answers whether there may be more to read.
    async fn chunk(&mut self, identity: Identity, reservation: Reservation) -> std::io::Result<bool> {
        let Self { feed, buffer, files, .. } = self;
        let Some(followed) = files.get_mut(&identity) else { return Ok(false) };
        if self.loaded != Some(identity) {
            followed.load(buffer)?;
            self.loaded = Some(identity);
        }
        followed.at_end = !buffer.has_line() && followed.fill(buffer)? == 0;
        if buffer.has_line() {
            feed.lines(buffer, followed.stream, &mut followed.facts, reservation).await;
        } else if followed.at_end {
            if followed.size(buffer.read_position())? == Size::Truncated {
                self.begin_anew(identity);
                return Ok(true);
            }
            // Nobody writes to a file that was rotated away and is quiet, so its last line is as it will be.
            if self.once || followed.name == (Name::Gone { quiet: true }) {
                feed.unfinished_line(buffer, followed.stream, &mut followed.facts, reservation).await;
            }
        }
        (followed.position, followed.skipped) = (buffer.position(), buffer.skipped());
        Ok(!followed.at_end)
    }

    /// A file has become shorter than what was read of it: what is in it now is new.
    fn begin_anew(&mut self, identity: Identity) {
        let Some(followed) = self.files.get_mut(&identity) else { return };
        tracing::info!(path = %followed.path.display(), "truncated: reading it from its beginning");
        let stream = self.feed.ledger.with(|ledger| {
            ledger.close_stream(followed.stream);
            ledger.open_stream(0)
        });
        followed.begin_anew(stream, &self.fields);
        self.register.add(stream, &followed.path.to_string_lossy(), followed.key);
        self.loaded = None;
    }
}

fn make_ready(ready: &mut VecDeque<Identity>, identity: Identity) {
    if !ready.contains(&identity) {
        ready.push_back(identity);
    }
}
