//! Descriptors: opened for whoever has something to read, closed again while it rests.
//!
//! Invariants: a file that no name leads to is never closed before it is done; at most [`IDLE_MAX`] files that have
//! nothing to read stay open; when the system has no more descriptors, a file that has its name makes room.

use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::DirEntryExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use super::{
    FileSource,
    discover::{Identity, Opened, open_regular},
    follow::FileNo,
    trail::Trail,
};

/// How many files are kept open though there is nothing to read in them.
const IDLE_MAX: usize = 64;

/// So many files of a folder are each asked who they are.
const ENTRIES_MAX: usize = 1_000;

/// How many descriptors are left for everything else: connections, the checkpoint, folders.
const OTHERS: usize = 64;

/// Which files could be closed.
#[derive(Debug)]
pub(super) struct Handles {
    pub(super) open: usize,
    /// How many may be open.
    max: usize,
    /// The last two that were opened: they are needed for what is being done.
    recent: [Option<FileNo>; 2],
    /// Those that were read to their end, the longest ago first; some may have more by now.
    idle: VecDeque<FileNo>,
}

impl Handles {
    /// None is open yet.
    pub(super) fn new() -> Self {
        let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(usize::MAX);
        Self {
            open: 0,
            max: limit.saturating_sub(OTHERS).max(limit / 2),
            recent: [None; 2],
            idle: VecDeque::new(),
        }
    }
}

/// Lets the process have as many descriptors as the system allows it, for all the files that may be busy at once.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, limit = ?limit.current, "the limit of open files stays as it is");
    }
}

impl FileSource {
    /// Makes sure that a file is open; `false` if it can't be found any more.
    ///
    /// # Errors
    /// When it is there but can't be opened.
    pub(super) fn open(&mut self, no: FileNo) -> io::Result<bool> {
        let Some(followed) = self.table.files.get(&no) else { return Ok(false) };
        if followed.handle.is_some() {
            return Ok(true);
        }
        let (seen_at, identity) = (Arc::clone(&followed.seen_at), followed.identity);
        let opened = match self.open_as(&seen_at, identity)? {
            Some(opened) => Some(opened),
            // Renamed while it was closed.
            None => match seen_at.parent().and_then(|folder| find_in(folder, identity)) {
                Some(path) => self.open_as(&path, identity)?,
                None => None,
            },
        };
        let Some(opened) = opened else { return Ok(false) };
        self.opened(no, opened);
        Ok(true)
    }

    /// One more file is open: another one may have to be closed for it.
    pub(super) fn count_open(&mut self, no: FileNo) {
        self.handles.open += 1;
        self.handles.recent = [Some(no), self.handles.recent[0]];
        while self.handles.open > self.handles.max && self.make_room() {}
    }

    fn opened(&mut self, no: FileNo, opened: Opened) {
        let Some(followed) = self.table.files.get_mut(&no) else { return };
        followed.handle = Some(opened.file);
        self.count_open(no);
    }

    pub(super) fn open_as(&mut self, path: &Path, identity: Identity) -> io::Result<Option<Opened>> {
        loop {
            match open_regular(path) {
                Ok(opened) => return Ok(opened.filter(|opened| opened.identity == identity)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) if is_shortage(&error) && self.make_room() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes a file to have one descriptor more; `false` if there is none to close.
    pub(super) fn make_room(&mut self) -> bool {
        if self.close_idle(0) {
            return true;
        }
        let mut open = self.table.files.iter().filter(|(_, followed)| followed.handle.is_some());
        let can_wait = |no: FileNo| Some(no) != self.loaded && !self.handles.recent.contains(&Some(no));
        let named = open.find(|(no, followed)| followed.is_current() && can_wait(**no));
        let Some(no) = named.map(|(no, _)| *no) else { return false };
        self.close(no);
        true
    }

    /// A file was read to its end.
    pub(super) fn rests(&mut self, no: FileNo) {
        if self.handles.idle.back() != Some(&no) {
            self.handles.idle.push_back(no);
        }
        while self.handles.open > IDLE_MAX && self.close_idle(IDLE_MAX) {}
        // Numbers that come up again and again: only the last time counts.
        if self.handles.idle.len() > 4 * IDLE_MAX.max(self.handles.open) {
            let mut seen = std::collections::HashSet::new();
            let last: VecDeque<FileNo> =
                self.handles.idle.iter().rev().filter(|no| seen.insert(**no)).copied().collect();
            self.handles.idle = last.into_iter().rev().collect();
        }
    }

    /// Closes the file that has rested the longest, if more than `keep` rest.
    fn close_idle(&mut self, keep: usize) -> bool {
        while self.handles.idle.len() > keep {
            let Some(no) = self.handles.idle.pop_front() else { break };
            let rests = self.table.files.get(&no).is_some_and(|followed| {
                let named = followed.is_current() && !followed.queued;
                followed.handle.is_some()
                    && named
                    && followed.at_end
                    && !self.handles.recent.contains(&Some(no))
            });
            if rests {
                self.close(no);
                return true;
            }
        }
        false
    }

    /// Closes a file that can be opened again.
    pub(super) fn close(&mut self, no: FileNo) {
        let Some(followed) = self.table.files.get_mut(&no) else { return };
        if followed.handle.take().is_some() {
            self.handles.open -= 1;
            followed.facts.constants = Arc::clone(&self.no_constants);
            (followed.trail, followed.past) = (Trail::default(), None);
        }
        if self.loaded == Some(no) {
            self.loaded = None;
        }
    }
}

/// Whether the process or the system has no more descriptors.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

/// Looks for a file by its identity in a folder: it may have been renamed while nobody looked.
pub(super) fn find_in(folder: &Path, identity: Identity) -> Option<PathBuf> {
    let is_it = |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| Identity::of(&metadata) == identity);
    let entries: Vec<_> = fs::read_dir(folder).ok()?.flatten().collect();
    // What the folder says of inodes is right nearly everywhere, and costs nothing.
    let likely =
        entries.iter().filter(|entry| entry.ino() == identity.inode).map(fs::DirEntry::path).find(is_it);
    // Where layers are stacked it may not be; large folders are not such.
    let few = entries.len() <= ENTRIES_MAX;
    likely.or_else(|| if few { entries.iter().map(fs::DirEntry::path).find(is_it) } else { None })
}
