//! The file source: files and globs, followed from their first byte on, through appends and rotation.
//!
//! One task for all files of a `[[source]]`, with one read buffer that goes from file to file. In the order of a file's
//! life: `resume` finds what the last run followed, `meet` what is new, `read` reads it, `generations` sees to
//! files that are truncated or copied, `leave` to those that were renamed or deleted.
//!
//! Invariants: a file is known by device, inode and content of its open descriptor, never by its name alone; of a
//! lineage the older is read to its end before the younger is begun; bytes that can't be reached any more are counted;
//! waiting for the budget stops reading only.

pub mod discover;
mod follow;
mod generations;
mod handles;
mod joins;
mod leave;
mod meet;
mod names;
mod nuls;
mod print;
mod read;
mod rescue;
mod resume;
mod table;
mod trail;
mod walk;
pub mod watch;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{Feed, Left};
use crate::{
    ack::{HeldAt, StreamId},
    budget::Reservation,
    checkpoint::Register,
    encode::Constants,
    frame::LineBuffer,
    source::kubernetes::Container,
};
use discover::{Discovery, Identity};
use follow::FileNo;
use handles::Handles;
pub use handles::raise_limit;
pub use rescue::remove_strays;
use table::Table;
use watch::{Change, Watch};

/// How often everything is looked at, whatever the news said.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(10);
/// The same where there is no news.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often files that are about to be let go of are looked at.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is asked whether all that was read has its outcome, when a source ends alone.
const DECIDED_INTERVAL: Duration = Duration::from_millis(20);
/// News that are heard when it ends.
const LAST_NEWS_MAX: u32 = 10_000;
/// News in a row before something is read.
const NEWS_IN_ROW_MAX: u32 = 1_000;

/// How a source follows files.
#[derive(Debug)]
pub struct Settings {
    /// What each event gets beside what its file tells.
    pub fields: Vec<(String, String)>,
    /// Whether to end when everything has been read.
    pub once: bool,
    /// Whether a file's path tells the container that wrote it.
    pub kubernetes: bool,
    /// Whether files that are there at the first start of all are begun at their end.
    pub start_at_end: bool,
    /// Files there at the start that were not written to for so long are begun at their end.
    pub ignore_older: Option<Duration>,
    /// How long the rest of a line is waited for in a live file; for ever if `None`.
    pub partial_timeout: Option<Duration>,
    /// Whether to look each second instead of waiting for news.
    pub poll: bool,
    /// Bytes of a line.
    pub line_bytes_max: usize,
    /// How many deleted files are kept open while they are not shipped, and how many bytes of them.
    pub unlinked_files_max: usize,
    /// See `unlinked_files_max`.
    pub unlinked_bytes_max: u64,
    /// Where copies are kept of what would be out of reach after a stop.
    pub state_dir: Option<PathBuf>,
}

/// The fields that tell where a file's events came from, and the source's own.
fn constants(settings: &Settings, feed: &Feed, path: &Path, id: u64) -> Arc<Constants> {
    let mut constants = Constants::default();
    for (name, value) in &settings.fields {
        constants.push(name, value);
    }
    if let Some(container) = Container::of(path).filter(|_| settings.kubernetes) {
        container.tell(&mut constants, &settings.fields);
        let told = container.fields().map(|(name, text)| (name.to_owned(), text.to_owned()));
        let all: Vec<_> = told.chain(settings.fields.iter().cloned()).collect();
        constants.destination = Some(feed.pass.destination(&all));
    }
    constants.push("log.file.path", &path.to_string_lossy());
    constants.push("log.file.id", &format!("{id:016x}"));
    Arc::new(constants)
}

/// When a source ends.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Whether all of them do.
    pub stop: CancellationToken,
    /// It does, or all do.
    pub retire: CancellationToken,
    /// The outcome of what was read is not waited for any more.
    pub give_up: CancellationToken,
}

/// A file source.
#[derive(Debug)]
pub struct FileSource {
    feed: Feed,
    discovery: Discovery,
    settings: Settings,
    register: Arc<Register>,
    table: Table,
    handles: Handles,
    /// Lineages by the path that their files were first seen at.
    lineage_of: HashMap<Arc<Path>, u32>,
    /// How often files had been truncated that were something else when the last run saw them.
    generations: HashMap<Identity, u32>,
    buffer: LineBuffer,
    /// Whose bytes the buffer holds.
    loaded: Option<FileNo>,
    chunks_in_turn: usize,
    /// Which look it is.
    look: u32,
    /// Whether files without a checkpoint are begun as `start` says.
    is_first: bool,
    /// Files that the source's names do not lead to any more.
    leaving: BTreeSet<FileNo>,
    /// Copies of what is read already, and the streams as which it was.
    unsaved_copies: Vec<(FileNo, StreamId)>,
    /// Compressed files that were unpacked.
    unpacked: HashSet<Identity>,
    /// Lines in the making in live files, and until when they are waited for.
    partials: BTreeMap<FileNo, Instant>,
    /// Streams whose bytes are gone.
    truncated: Vec<StreamId>,
    no_constants: Arc<Constants>,
}

impl FileSource {
    /// A source that finds its files by `discovery`.
    #[must_use]
    pub fn new(feed: Feed, discovery: Discovery, settings: Settings, register: Arc<Register>) -> Self {
        let buffer = LineBuffer::framed(feed.pass.framing(), settings.line_bytes_max);
        Self {
            feed,
            discovery,
            settings,
            register,
            table: Table::default(),
            handles: Handles::new(),
            lineage_of: HashMap::new(),
            generations: HashMap::new(),
            buffer,
            loaded: None,
            chunks_in_turn: 0,
            look: 0,
            is_first: false,
            leaving: BTreeSet::new(),
            unsaved_copies: Vec::new(),
            unpacked: HashSet::new(),
            partials: BTreeMap::new(),
            truncated: Vec::new(),
            no_constants: Arc::default(),
        }
    }

    /// Follows the files until `stop`, or with `once` until they are read.
    ///
    /// `begun` is dropped when it has found what others have left.
    pub async fn run(mut self, ends: Ends, begun: TaskTrackerToken) -> Left {
        let mut watch = Watch::nothing(self.settings.poll);
        let mut offers = self.register.offers();
        self.begin(&mut watch);
        drop(begun);
        if self.settings.once {
            self.read_all(&ends.stop).await;
            return self.left();
        }
        let (flow, mut holds) = (self.feed.flow.clone(), self.feed.holds.clone());
        let (mut reconcile_at, mut tick_at) = (self.next_reconcile(&watch), Instant::now() + TICK_INTERVAL);
        // Kept from turn to turn: whoever asks anew for flow bytes stands at the end of the queue again.
        let mut reserving: Option<Pin<Box<dyn Future<Output = Reservation> + Send>>> = None;
        let mut news_in_row = 0;
        loop {
            if self.table.anything_ready() && reserving.is_none() {
                if !flow.has_room() {
                    self.pause_clocks();
                }
                let flow = flow.clone();
                reserving = Some(Box::pin(async move { flow.reserve().await }));
            }
            let join_ends = self.next_join();
            tokio::select! {
                // News first: a file may be gone before it is opened. But there must be some reading, too.
                biased;
                // Of all sources, or of this one.
                () = ends.retire.cancelled() => {
                    // It waits for others now, who may wait for flow bytes.
                    drop(reserving);
                    return self.leave(&mut watch, &ends).await;
                }
                change = watch.next(), if news_in_row < NEWS_IN_ROW_MAX => {
                    news_in_row += 1;
                    self.news(change, &mut watch);
                }
                () = holds.changed() => self.table.unpark(),
                Ok(()) = offers.changed() => {
                    self.resume(&mut watch);
                    self.look(&mut watch, false);
                }
                () = tokio::time::sleep_until(reconcile_at) => {
                    self.reconcile(&mut watch);
                    reconcile_at = self.next_reconcile(&watch);
                }
                () = tokio::time::sleep_until(self.next_tick(tick_at)), if self.has_to_tick() => {
                    self.tick();
                    tick_at = Instant::now() + TICK_INTERVAL;
                }
                () = tokio::time::sleep_until(join_ends.unwrap_or_else(Instant::now)), if join_ends.is_some() && reserving.is_none() => {
                    self.look_for_ends();
                }
                reservation = reserved(&mut reserving), if self.table.anything_ready() => {
                    (reserving, news_in_row) = (None, 0);
                    self.read(reservation).await;
                }
                () = std::future::ready(()), if news_in_row >= NEWS_IN_ROW_MAX => news_in_row = 0,
            }
        }
    }

    /// Ends. A source that ends alone keeps its files open until what it has read of them has its outcome: one that is
    /// deleted meanwhile is not out of reach.
    async fn leave(mut self, watch: &mut Watch, ends: &Ends) -> Left {
        // What has happened up to now is known by the time that others look.
        for _ in 0..LAST_NEWS_MAX {
            let Some(change) = tokio::task::unconstrained(watch.next()).now_or_never() else { break };
            self.news(change, watch);
        }
        let is_read = |source: &Self| {
            let mut streams = source.table.files.values().map(|followed| followed.stream);
            source.feed.ledger.read(|ledger| streams.all(|stream| ledger.is_read(stream)))
        };
        while !(ends.stop.is_cancelled() || ends.give_up.is_cancelled() || is_read(&self)) {
            tokio::time::sleep(DECIDED_INTERVAL).await;
        }
        self.end().await;
        self.left()
    }

    fn left(mut self) -> Left {
        let files = self.table.files.values();
        let mut left = Left::of(&mut self.feed.pass, files.clone().map(|followed| followed.stream));
        for followed in files {
            left.files.push(followed.identity);
            // Held since the run before, and not passed yet.
            let held = followed.held.iter();
            let at = held.map(|held| HeldAt {
                stream: followed.stream,
                position: held.position,
                context: held.is_context(),
            });
            left.held.extend(at);
        }
        left
    }

    /// Finds what was followed before, and then everything else.
    fn begin(&mut self, watch: &mut Watch) {
        self.is_first = self.register.looks_first(self.discovery.checksum());
        self.resume(watch);
        self.look(watch, true);
        // Only now the files are there that others may be copies of.
        for no in self.table.files.keys().copied().collect::<Vec<_>>() {
            self.look_at_size(no);
            self.vet_early(no);
        }
    }

    fn next_reconcile(&self, watch: &Watch) -> Instant {
        Instant::now() + if watch.polls() { POLL_INTERVAL } else { RECONCILE_INTERVAL }
    }

    fn has_to_tick(&self) -> bool {
        !(self.leaving.is_empty() && self.partials.is_empty() && self.unsaved_copies.is_empty())
    }

    fn news(&mut self, change: Change, watch: &mut Watch) {
        match change {
            Change::Written(path) => self.written(&path, watch),
            Change::Appeared(path, came) => {
                self.appeared(&path, &came, watch);
                self.look_at_links(watch);
            }
            Change::Vanished(path) => {
                self.vanished(&path);
                self.look_at_links(watch);
            }
            Change::Folders => self.look(watch, false),
            Change::Anything => self.reconcile(watch),
        }
    }

    /// Looks at everything: news may have been missed.
    fn reconcile(&mut self, watch: &mut Watch) {
        self.look(watch, false);
        self.look_at_sizes();
    }

    /// Reads what is there, and does not ask what came since.
    async fn read_all(&mut self, stop: &CancellationToken) {
        let (flow, mut holds) = (self.feed.flow.clone(), self.feed.holds.clone());
        while self.table.anything_ready() || self.table.anything_parked() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = holds.changed() => self.table.unpark(),
                reservation = flow.reserve(), if self.table.anything_ready() => self.read(reservation).await,
            }
        }
        self.end_joins(&flow, stop).await;
    }
}

/// The reservation that is being waited for.
async fn reserved(reserving: &mut Option<Pin<Box<dyn Future<Output = Reservation> + Send>>>) -> Reservation {
    match reserving {
        Some(reserving) => reserving.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
