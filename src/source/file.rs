//! The file source: files and globs, followed from their first byte on, through appends and rotation.
//!
//! One task for all files of a `[[source]]`, with one read buffer that goes from file to file. News comes from
//! [`watch`], the files from [`discover`]; what was shipped before comes from the checkpoint.
//!
//! Invariants: a file is identified by device and inode of its open descriptor, never by its name alone; a
//! rotated file is read to its end before its successor is begun; a line without its newline is left unread in a
//! file that may still grow; joins end by the time only when what follows has been looked for.

pub mod discover;
pub mod follow;
mod joins;
pub mod watch;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs::File,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Feed;
use crate::{
    ack::{Held, StreamId},
    budget::Reservation,
    checkpoint::{Entry, FileKey, Register},
    frame::LineBuffer,
    join::clock::JoinClock,
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
    loaded: Option<StreamId>,
    files: BTreeMap<Identity, Followed>,
    /// Files that may have more to read, each at most once.
    ready: VecDeque<Identity>,
    chunks_in_turn: usize,
    /// By lineage.
    clocks: BTreeMap<u32, JoinClock>,
    lineages: u32,
    /// Streams whose bytes are gone.
    truncated: Vec<StreamId>,
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
        let buffer = LineBuffer::framed(feed.pass.framing(), line_bytes_max);
        Self {
            feed,
            discovery,
            fields,
            once,
            register,
            buffer,
            loaded: None,
            files: BTreeMap::new(),
            ready: VecDeque::new(),
            chunks_in_turn: 0,
            clocks: BTreeMap::new(),
            lineages: 0,
            truncated: Vec::new(),
        }
    }

    /// Follows the files until `stop`, or with `once` until they are read.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut watch = Watch::nothing();
        self.resume_renamed();
        self.look(&mut watch);
        if self.once {
            return self.read_all(&stop).await;
        }
        let flow = self.feed.flow.clone();
        let mut reconcile = tokio::time::interval(RECONCILE_INTERVAL);
        reconcile.set_missed_tick_behavior(MissedTickBehavior::Delay);
        reconcile.tick().await;
        // Kept from turn to turn: whoever asks anew for flow bytes stands at the end of the queue again.
        let mut reserving: Option<Pin<Box<dyn Future<Output = Reservation> + Send>>> = None;
        loop {
            if !self.ready.is_empty() && reserving.is_none() {
                if !flow.has_room() {
                    self.pause_clocks();
                }
                let flow = flow.clone();
                reserving = Some(Box::pin(async move { flow.reserve().await }));
            }
            let join_ends = self.next_join();
            tokio::select! {
                () = stop.cancelled() => return self.end_unreachable().await,
                change = watch.next() => match change {
                    Change::Written(path) => self.written(&path),
                    Change::Names => self.look(&mut watch),
                    Change::Anything => self.reconcile(&mut watch),
                },
                _ = reconcile.tick() => {
                    self.let_go_quiet();
                    self.reconcile(&mut watch);
                }
                reservation = reserved(&mut reserving), if !self.ready.is_empty() => {
                    reserving = None;
                    self.read(reservation).await;
                }
                () = tokio::time::sleep_until(join_ends.unwrap_or_else(Instant::now)), if join_ends.is_some() && reserving.is_none() => {
                    self.look_for_ends();
                }
            }
        }
    }

    /// Reads what is there, and does not ask what came since.
    async fn read_all(&mut self, stop: &CancellationToken) {
        let flow = self.feed.flow.clone();
        while !self.ready.is_empty() {
            tokio::select! {
                () = stop.cancelled() => return,
                reservation = flow.reserve() => self.read(reservation).await,
            }
        }
        self.end_joins(&flow, stop).await;
    }

    /// Finds files that were renamed while the agent was stopped, to finish them first.
    fn resume_renamed(&mut self) {
        let look = self.discovery.look();
        for entry in self.register.pending() {
            let (path, identity) = (PathBuf::from(&entry.path), entry.key.identity);
            let known = look.found.iter().any(|found| found.identity == identity);
            if known || !self.discovery.matches(&path) {
                continue;
            }
            let Some(folder) = path.parent().filter(|folder| folder.is_dir()) else { continue };
            let Some(now) = follow::find_in(folder, identity) else {
                self.register.forget(identity);
                tracing::warn!(
                    path = %entry.path, shipped_bytes = entry.resume,
                    "a file that was being followed is no longer there: what came after is lost, if there was more"
                );
                continue;
            };
            match Followed::open(&now) {
                Ok((file, opened, len)) if opened == identity && self.register.claim(identity) => {
                    let resumed = resumed(&entry, len);
                    self.follow(file, path, &now, resumed);
                    if let Some(followed) = self.files.get_mut(&identity) {
                        followed.name = Name::GONE;
                    }
                }
                Ok(_) => {}
                Err(error) => self.discovery.say_once(&now, "can't be opened", &error.to_string()),
            }
        }
    }

    /// Looks for new files and for names that lead elsewhere by now.
    fn look(&mut self, watch: &mut Watch) {
        for folder in self.discovery.folders() {
            watch.add(&folder);
        }
        let mut look = self.discovery.look();
        for followed in self.files.values_mut().filter(|followed| followed.name == Name::Current) {
            let there = look.found.iter().any(|found| found.identity == followed.key.identity);
            // What could not be looked at may still be there.
            if !there && look.complete {
                followed.name = Name::GONE;
                make_ready(&mut self.ready, followed.key.identity);
            }
        }
        // Those that are followed come first, then those from the checkpoint, oldest first: another may have the name that
        // one of them had.
        let pending: Vec<Identity> = self.register.pending().iter().map(|entry| entry.key.identity).collect();
        let place = |found: &Found| pending.iter().position(|identity| *identity == found.identity);
        look.found.sort_by_cached_key(|found| {
            let followed = self.files.contains_key(&found.identity);
            (!followed, place(found).unwrap_or(pending.len()))
        });
        for found in look.found {
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
            // One of several names of a file may be the one that it was found by before.
            if !follow::leads_to(&followed.seen_at, found.identity) {
                followed.seen_at = found.path;
            }
            return;
        }
        let (file, identity, len) = match Followed::open(&found.path) {
            Ok(opened) => opened,
            Err(error) => return self.discovery.say_once(&found.path, "can't be opened", &error.to_string()),
        };
        if !self.register.claim(identity) {
            if !self.files.contains_key(&identity) {
                self.discovery.say_once(&found.path, "another source follows it", "not followed twice");
            }
            return;
        }
        match self.register.pending_of(identity) {
            Some(entry) => {
                let resumed = resumed(&entry, len);
                let path = if resumed.position > 0 { PathBuf::from(entry.path) } else { found.path.clone() };
                self.follow(file, path, &found.path, resumed);
            }
            None => {
                let key = FileKey { identity, generation: 0 };
                let new = Resumed { key, position: 0, held: Vec::new() };
                self.follow(file, found.path.clone(), &found.path, new);
            }
        }
    }

    fn follow(&mut self, file: File, path: PathBuf, seen_at: &Path, resumed: Resumed) {
        let Resumed { key, position, held } = resumed;
        tracing::debug!(path = %path.display(), position, held = held.len(), "following");
        let stream = self.feed.ledger.with(|ledger| {
            let stream = ledger.open_stream(position);
            ledger.recover(stream, &held);
            stream
        });
        self.register.add(stream, &path.to_string_lossy(), key);
        let mut followed = Followed::new(file, path, key, stream, position, &self.fields);
        seen_at.clone_into(&mut followed.seen_at);
        let had_its_name = |other: &&Followed| {
            other.path == followed.path && (other.name != Name::Current || other.seen_at != followed.seen_at)
        };
        let predecessor = self.files.values().filter(had_its_name).max_by_key(|other| other.stream);
        followed.predecessor = predecessor.map(|other| other.stream);
        followed.facts.lineage = predecessor.map_or(self.lineages, |other| other.facts.lineage);
        self.lineages += u32::from(predecessor.is_none());
        followed.held = held.into();
        self.files.insert(key.identity, followed);
        make_ready(&mut self.ready, key.identity);
    }

    fn written(&mut self, path: &Path) {
        for followed in self.files.values() {
            // A rotated file is written to under a name that we do not know.
            let rotated = followed.name != Name::Current && followed.path.parent() == path.parent();
            if followed.seen_at == path || rotated {
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
        let Self { files, feed, ready, register, clocks, .. } = self;
        let joining: BTreeSet<u32> = feed.pass.deadlines().map(|(lineage, _)| lineage).collect();
        let mut left = BTreeSet::new();
        files.retain(|identity, followed| {
            let Name::Gone { quiet_ticks } = followed.name else { return true };
            let read = followed.at_end && !ready.contains(identity);
            // What joins hold of it must stay within reach, and their clock must go on.
            let lineage = followed.facts.lineage;
            let held = joining.contains(&lineage) || feed.ledger.read(|ledger| ledger.holds(followed.stream));
            if read && followed.is_quiet() && followed.is_finished() && !held {
                tracing::debug!(path = %followed.path.display(), "rotated file is read to its end");
                feed.ledger.with(|ledger| ledger.close_stream(followed.stream));
                register.release(*identity);
                left.insert(lineage);
                return false;
            }
            followed.name = Name::Gone { quiet_ticks: if read { quiet_ticks.saturating_add(1) } else { 0 } };
            true
        });
        left.retain(|lineage| files.values().all(|followed| followed.facts.lineage != *lineage));
        clocks.retain(|lineage, _| !left.contains(lineage));
    }

    /// Reads and passes one chunk of the file whose turn it is.
    async fn read(&mut self, reservation: Reservation) {
        let Some(identity) = self.ready.pop_front() else { return };
        if self.waits_for_predecessor(identity) {
            return self.ready.push_back(identity);
        }
        let before = self.files.get(&identity).map(|followed| followed.position);
        match self.chunk(identity, reservation).await {
            Ok(true) => {
                self.chunks_in_turn += 1;
                let after = self.files.get(&identity).map(|followed| followed.position);
                // A line that does not fit a turn is begun again in the next, unless its head is full.
                let got_on = before != after || !self.buffer.skipped().is_none();
                if self.chunks_in_turn >= CHUNKS_PER_TURN && got_on {
                    self.chunks_in_turn = 0;
                    self.ready.push_back(identity);
                } else {
                    self.ready.push_front(identity);
                }
            }
            Ok(false) => self.chunks_in_turn = 0,
            Err(error) => {
                self.loaded = None;
                // Its joins wait, too: what follows may be there and can't be read.
                self.pause_clocks();
                if let Some(followed) = self.files.get(&identity) {
                    tracing::error!(path = %followed.path.display(), %error, "can't be read, trying again in 10 s");
                }
            }
        }
    }

    /// Whether the file that had the name before still has something to read.
    fn waits_for_predecessor(&mut self, identity: Identity) -> bool {
        let Some(predecessor) = self.files.get(&identity).and_then(|followed| followed.predecessor) else {
            return false;
        };
        let before = self.files.values().find(|other| other.stream == predecessor);
        let waits = before.is_some_and(|before| self.ready.contains(&before.key.identity));
        if !waits && let Some(followed) = self.files.get_mut(&identity) {
            followed.predecessor = None;
        }
        waits
    }

    /// Answers whether there may be more to read.
    async fn chunk(&mut self, identity: Identity, reservation: Reservation) -> std::io::Result<bool> {
        if self.files.get(&identity).is_some_and(|followed| !followed.held.is_empty()) {
            return self.recover(identity, reservation).await;
        }
        let is_newest = self.is_newest(identity);
        let Self { feed, buffer, files, clocks, .. } = self;
        let Some(followed) = files.get_mut(&identity) else { return Ok(false) };
        if self.loaded != Some(followed.stream) {
            followed.load(buffer)?;
            self.loaded = Some(followed.stream);
        }
        followed.at_end = !buffer.has_line() && followed.fill(buffer)? == 0;
        let clock = clocks.entry(followed.facts.lineage).or_default();
        let now = Instant::now().into_std();
        if is_newest && followed.at_end {
            clock.at_end(now);
        } else {
            clock.pause(now);
        }
        let elapsed_ms = clock.elapsed_ms();
        let mut more = !followed.at_end;
        if buffer.has_line() {
            feed.lines(buffer, &followed.facts, elapsed_ms, reservation).await;
        } else if followed.at_end {
            if followed.size(buffer.read_position())? == Size::Truncated {
                self.begin_anew(identity);
                return Ok(true);
            }
            // Nobody writes to a file that was rotated away and is quiet, so its last line is as it will be.
            if (self.once || followed.is_quiet()) && !buffer.is_empty() {
                feed.unfinished_line(buffer, &followed.facts, elapsed_ms, reservation).await;
                more = true;
            } else if is_newest {
                more = feed.expire(&followed.facts, buffer.position(), elapsed_ms, reservation).await;
            }
        }
        (followed.position, followed.skipped) = (buffer.position(), buffer.skipped());
        Ok(more)
    }

    /// A file has become shorter than what was read of it: what is in it now is new.
    fn begin_anew(&mut self, identity: Identity) {
        let Some(followed) = self.files.get_mut(&identity) else { return };
        tracing::info!(path = %followed.path.display(), "truncated: reading it from its beginning");
        self.feed.ledger.read(|ledger| {
            self.truncated.push(followed.stream);
            self.truncated.retain(|stream| ledger.holds(*stream));
        });
        let stream = self.feed.ledger.with(|ledger| {
            ledger.close_stream(followed.stream);
            ledger.open_stream(0)
        });
        followed.begin_anew(stream, &self.fields);
        self.register.add(stream, &followed.path.to_string_lossy(), followed.key);
        self.loaded = None;
    }
}

/// Where a file goes on.
struct Resumed {
    key: FileKey,
    position: u64,
    /// Lines before the position that joins held.
    held: Vec<Held>,
}

/// Where a file from the checkpoint goes on. One that is shorter than what was read of it has begun anew.
fn resumed(entry: &Entry, len: u64) -> Resumed {
    if entry.resume <= len {
        return Resumed { key: entry.key, position: entry.resume, held: entry.held.clone() };
    }
    if !entry.held.is_empty() {
        tracing::error!(
            path = %entry.path, lines = entry.held.len(),
            "a file was truncated while the agent was stopped: lines held for what followed them are lost"
        );
    }
    let key = FileKey { generation: entry.key.generation + 1, ..entry.key };
    Resumed { key, position: 0, held: Vec::new() }
}

/// The reservation that is being waited for.
async fn reserved(reserving: &mut Option<Pin<Box<dyn Future<Output = Reservation> + Send>>>) -> Reservation {
    match reserving {
        Some(reserving) => reserving.await,
        None => std::future::pending().await,
    }
}

fn make_ready(ready: &mut VecDeque<Identity>, identity: Identity) {
    if !ready.contains(&identity) {
        ready.push_back(identity);
    }
}
