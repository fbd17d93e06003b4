//! The files of a source: by number, by identity, by name; their lineages; and whose turn it is.
//!
//! Everything that happens to one file costs the same however many there are.
//!
//! Invariants: a file is in `ready` exactly if it is marked as queued; of a lineage's files the older come first; a
//! name leads to one file.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ffi::OsStr,
    hash::{Hash, Hasher},
    path::Path,
    sync::Arc,
};

use super::{
    discover::Identity,
    follow::{FileNo, Followed, Vetted},
};
use crate::join::clock::JoinClock;

/// A name and where it leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) no: FileNo,
    /// The inode that the name's folder tells.
    pub(super) entry: u64,
    /// Whether it is a name that the source reads; other names are known so that news of them is.
    pub(super) matching: bool,
    /// Whether it is a link, which may lead elsewhere without a change in its own folder.
    pub(super) is_link: bool,
    /// In which look it was last seen.
    pub(super) look: u32,
}

/// A path as a key: told apart by its bytes, not part by part, which takes several times as long.
#[derive(Debug)]
struct Name(Arc<Path>);

impl Borrow<OsStr> for Name {
    fn borrow(&self) -> &OsStr {
        self.0.as_os_str()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_os_str() == other.0.as_os_str()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_os_str().hash(state);
    }
}

/// Files that go on with one another.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    /// The oldest first.
    pub(super) files: Vec<FileNo>,
    pub(super) clock: JoinClock,
}

/// The files that are followed.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Boxed: the tree keeps its leaves half empty, and twenty thousand files are megabytes.
    pub(super) files: BTreeMap<FileNo, Box<Followed>>,
    by_identity: HashMap<Identity, FileNo>,
    names: HashMap<Name, Named>,
    pub(super) lineages: HashMap<u32, Lineage>,
    ready: VecDeque<FileNo>,
    /// Those that are not to be read for now, since what they hold can't be delivered.
    parked: BTreeSet<FileNo>,
    next_no: u32,
    next_lineage: u32,
}

impl Table {
    /// A number for one more file.
    pub(super) const fn number(&mut self) -> FileNo {
        self.next_no += 1;
        FileNo(self.next_no)
    }

    pub(super) const fn new_lineage(&mut self) -> u32 {
        self.next_lineage += 1;
        self.next_lineage
    }

    /// Adds a file, as the newest of its lineage, or right before another.
    pub(super) fn insert(&mut self, no: FileNo, followed: Followed, before: Option<FileNo>) {
        let files = &mut self.lineages.entry(followed.facts.lineage).or_default().files;
        let at = files.iter().position(|other| Some(*other) == before).unwrap_or(files.len());
        files.insert(at, no);
        self.by_identity.insert(followed.identity, no);
        self.files.insert(no, Box::new(followed));
        self.make_ready(no);
    }

    /// Moves a file into another lineage, right before one of its files.
    pub(super) fn move_before(&mut self, no: FileNo, before: FileNo) {
        let Some(lineage) = self.files.get(&before).map(|other| other.facts.lineage) else { return };
        self.leave_lineage(no);
        if let Some(followed) = self.files.get_mut(&no) {
            followed.facts.lineage = lineage;
        }
        let files = &mut self.lineages.entry(lineage).or_default().files;
        let at = files.iter().position(|other| *other == before).unwrap_or(files.len());
        files.insert(at, no);
    }

    fn leave_lineage(&mut self, no: FileNo) {
        let Some(id) = self.files.get(&no).map(|followed| followed.facts.lineage) else { return };
        if let Some(lineage) = self.lineages.get_mut(&id) {
            lineage.files.retain(|other| *other != no);
            if lineage.files.is_empty() {
                self.lineages.remove(&id);
            }
        }
    }

    /// Forgets a file and all its names.
    pub(super) fn remove(&mut self, no: FileNo) -> Option<Box<Followed>> {
        self.leave_lineage(no);
        let followed = self.files.remove(&no)?;
        if self.by_identity.get(&followed.identity) == Some(&no) {
            self.by_identity.remove(&followed.identity);
        }
        let mut names = followed.names;
        if let Some(named) =
            self.names.get(followed.seen_at.as_os_str()).copied().filter(|named| named.no == no)
        {
            self.names.remove(followed.seen_at.as_os_str());
            names -= u32::from(named.matching);
        }
        // Only a file with several links has more names.
        if names > 0 {
            self.names.retain(|_, named| named.no != no);
        }
        self.parked.remove(&no);
        if followed.queued {
            self.ready.retain(|other| *other != no);
        }
        Some(followed)
    }

    pub(super) fn of_identity(&self, identity: Identity) -> Option<FileNo> {
        self.by_identity.get(&identity).copied()
    }

    /// All names that are known.
    pub(super) fn names(&self) -> impl Iterator<Item = (&Arc<Path>, &Named)> {
        self.names.iter().map(|(name, named)| (&name.0, named))
    }

    /// Where a name is known to lead.
    pub(super) fn named_mut(&mut self, path: &Path) -> Option<&mut Named> {
        self.names.get_mut(path.as_os_str())
    }

    pub(super) fn of_name(&self, path: &Path) -> Option<FileNo> {
        self.names.get(path.as_os_str()).map(|named| named.no)
    }

    /// A name leads to a file now; answers which file had it before.
    pub(super) fn name(&mut self, path: &Path, named: Named) -> Option<FileNo> {
        let before = self.unname(path).filter(|before| *before != named.no);
        let Some(followed) = self.files.get_mut(&named.no) else { return before };
        followed.names += u32::from(named.matching);
        if *followed.seen_at != *path {
            followed.seen_at = if *followed.path == *path { Arc::clone(&followed.path) } else { path.into() };
        }
        self.names.insert(Name(Arc::clone(&followed.seen_at)), named);
        before
    }

    /// A name leads nowhere now; answers where it led.
    pub(super) fn unname(&mut self, path: &Path) -> Option<FileNo> {
        let named = self.names.remove(path.as_os_str())?;
        if let Some(followed) = self.files.get_mut(&named.no) {
            followed.names -= u32::from(named.matching);
        }
        Some(named.no)
    }

    /// Whether any name is known to lead to a file.
    pub(super) fn has_name(&self, no: FileNo) -> bool {
        self.files.get(&no).is_some_and(|followed| {
            followed.names > 0
                || self.names.get(followed.seen_at.as_os_str()).is_some_and(|named| named.no == no)
        })
    }

    /// There may be something to read in a file.
    pub(super) fn make_ready(&mut self, no: FileNo) {
        if self.is_parked(no) {
            self.parked.insert(no);
        } else if let Some(followed) = self.files.get_mut(&no)
            && !followed.queued
        {
            followed.queued = true;
            self.ready.push_back(no);
        }
    }

    /// A file is not to be read for now, nor what comes after it in its lineage.
    pub(super) fn park(&mut self, no: FileNo) {
        self.parked.insert(no);
        let lineage = self.lineage_of(no).map(|lineage| lineage.files.clone()).unwrap_or_default();
        for newer in lineage.into_iter().skip_while(|other| *other != no) {
            if let Some(followed) = self.files.get_mut(&newer).filter(|followed| followed.queued) {
                followed.queued = false;
                self.ready.retain(|other| *other != newer);
                self.parked.insert(newer);
            }
        }
    }

    /// Whether a file, or one before it in its lineage, is not to be read for now.
    fn is_parked(&self, no: FileNo) -> bool {
        let lineage = self.lineage_of(no).filter(|_| !self.parked.is_empty());
        lineage.is_some_and(|lineage| {
            let older = lineage.files.iter().take_while(|other| **other != no);
            older.chain([&no]).any(|other| self.parked.contains(other))
        })
    }

    /// Whether any file is not to be read for now.
    pub(super) fn anything_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// All files may be read again.
    pub(super) fn unpark(&mut self) {
        for no in std::mem::take(&mut self.parked) {
            self.make_ready(no);
        }
    }

    pub(super) fn anything_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The file whose turn it is: the first that waits for no older one of its lineage.
    pub(super) fn next_ready(&mut self) -> Option<FileNo> {
        for _ in 0..self.ready.len() {
            let no = self.ready.pop_front()?;
            if self.waits(no) {
                self.ready.push_back(no);
                continue;
            }
            if let Some(followed) = self.files.get_mut(&no) {
                followed.queued = false;
                return Some(no);
            }
        }
        None
    }

    /// It is to go on with a file before all others.
    pub(super) fn ready_first(&mut self, no: FileNo) {
        if let Some(followed) = self.files.get_mut(&no)
            && !followed.queued
        {
            followed.queued = true;
            self.ready.push_front(no);
        }
    }

    /// Whether an older file of its lineage still has something to read.
    fn waits(&self, no: FileNo) -> bool {
        self.lineage_of(no).is_some_and(|lineage| {
            let older = lineage.files.iter().take_while(|other| **other != no);
            older.into_iter().any(|other| self.files.get(other).is_some_and(|other| other.queued))
        })
    }

    pub(super) fn lineage_of(&self, no: FileNo) -> Option<&Lineage> {
        self.lineages.get(&self.files.get(&no)?.facts.lineage)
    }

    /// The file that is written to when something is written to a lineage.
    pub(super) fn newest(&self, lineage: &Lineage) -> Option<FileNo> {
        let is_read = |no: &FileNo| {
            let vetted = self.files.get(no).map(|followed| followed.vetted);
            matches!(vetted, Some(Vetted::Own | Vetted::NotYet))
        };
        lineage.files.iter().rev().copied().find(is_read)
    }

    /// Whether what is written to its lineage is written to that file.
    pub(super) fn is_newest(&self, no: FileNo) -> bool {
        self.lineage_of(no).is_none_or(|lineage| self.newest(lineage) == Some(no))
    }
}
