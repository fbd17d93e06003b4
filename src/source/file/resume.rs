//! Resuming: what the last run followed is found again, wherever it is by now.
//!
//! Takes the checkpoint's entries, and looks for each file by its inode where it was last seen, in its folder, and if
//! it is not there or not what it was, by its content among the files whose names it may have got. Then come the files
//! that were made and rotated away meanwhile. The older ones are followed first.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    FileSource, Watch,
    discover::{Opened, open_regular},
    follow::FileNo,
    generations::{Rest, Wanted, is_gzip},
    handles::find_in,
    meet::Begin,
    names,
    print::Print,
    rescue::{self, Needed},
};
use crate::checkpoint::Entry;

impl FileSource {
    /// Follows what the last run did.
    pub(super) fn resume(&mut self, watch: &mut Watch) {
        let discovery = &self.discovery;
        let entries = self.register.pending(|path| discovery.matches(path));
        let mut found: Vec<(Option<SystemTime>, Entry, Rest)> = Vec::new();
        let mut orphans = Vec::new();
        for entry in entries {
            match self.find_itself(&entry) {
                Some(rest) => found.push((modified(&rest), entry, rest)),
                None => orphans.push(entry),
            }
        }
        let mut lost = Vec::new();
        for entry in orphans {
            let rest = if entry.rescued { None } else { self.find_elsewhere(&entry) };
            match rest.filter(|rest| self.register.claim(rest.opened.identity)) {
                Some(rest) => found.push((modified(&rest), entry, rest)),
                None => lost.push(entry),
            }
        }
        found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let bases: Vec<PathBuf> = found.iter().map(|(_, entry, _)| entry.path.clone()).collect();
        let bases: Vec<PathBuf> =
            bases.into_iter().chain(lost.iter().map(|entry| entry.path.clone())).collect();
        for (_, entry, rest) in found {
            self.follow_again(entry, rest, watch);
        }
        lost.into_iter().for_each(|entry| self.forget(&entry));
        self.follow_unseen(bases, watch);
        self.remove_stray_copies();
    }

    /// The very file, if it is still what it was.
    fn find_itself(&mut self, entry: &Entry) -> Option<Rest> {
        let print = Print { born: entry.born, head: entry.head, tail: entry.tail };
        let there = |path: &Path| {
            let opened = open_regular(path).ok()??;
            (opened.identity == entry.identity).then(|| (opened, path.to_owned()))
        };
        let folders = [entry.seen_at.parent(), entry.path.parent()];
        let moved =
            || folders.into_iter().flatten().find_map(|folder| there(&find_in(folder, entry.identity)?));
        let (opened, seen_at) = there(&entry.seen_at).or_else(|| there(&entry.path)).or_else(moved)?;
        if entry.rescued || print.fits(&opened.file, entry.resume, false).unwrap_or(false) {
            // From here on nothing else can pass for it.
            let claimed = self.register.claim(entry.identity);
            return claimed.then_some(Rest { opened, seen_at, rescued: entry.rescued });
        }
        let generation = self.generations.entry(entry.identity).or_default();
        *generation = (*generation).max(entry.generation);
        None
    }

    /// Another file that has its content.
    fn find_elsewhere(&mut self, entry: &Entry) -> Option<Rest> {
        if entry.resume == 0 {
            return None;
        }
        let print = Print { born: None, head: entry.head, tail: entry.tail };
        self.find_rest(Wanted {
            id: entry.id,
            paths: [&entry.path, &entry.seen_at],
            print,
            position: entry.resume,
            held: &entry.held,
        })
    }

    fn follow_again(&mut self, entry: Entry, rest: Rest, watch: &mut Watch) {
        let Rest { opened, seen_at, rescued } = rest;
        if let Some(folder) = seen_at.parent().filter(|_| !rescued) {
            watch.add(folder);
        }
        let path: Arc<Path> = entry.path.into();
        let lineage = self.lineage(&path);
        let born = super::print::born(&opened.metadata);
        let begin = Begin {
            id: entry.id,
            path,
            generation: entry.generation,
            print: Print { born, head: entry.head, tail: entry.tail },
            position: entry.resume,
            held: entry.held,
            rescued,
            lineage,
        };
        let no = self.follow(opened, begin, None);
        let matching = !rescued && self.discovery.matches(&seen_at);
        self.named(no, &seen_at, matching);
    }

    /// A file is gone, and so is what was not shipped of it.
    fn forget(&mut self, entry: &Entry) {
        self.missed(&entry.path, entry.size.saturating_sub(entry.resume), "gone while the agent was stopped");
        if !entry.held.is_empty() {
            let held: u64 =
                entry.held.iter().filter(|held| !held.is_context()).map(|held| u64::from(held.len)).sum();
            self.missed(&entry.path, held, "gone with lines that were held for what followed them");
        }
        self.register.forget(entry.id);
    }

    /// Files that had a name that is read, and lost it, all while the agent was stopped.
    fn follow_unseen(&mut self, mut bases: Vec<PathBuf>, watch: &mut Watch) {
        let Some(stopped_at) = self.register.saved_at() else { return };
        bases.sort();
        bases.dedup();
        let mut unseen: Vec<(Option<SystemTime>, PathBuf, PathBuf)> = Vec::new();
        for base in bases {
            let (Some(folder), Some(origin)) = (base.parent(), base.file_name()) else { continue };
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for path in entries.flatten().map(|entry| entry.path()) {
                let is_rotation = path.file_name().is_some_and(|name| {
                    names::is_rotation_of(name.as_encoded_bytes(), origin.as_encoded_bytes())
                });
                let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
                if is_rotation && modified.is_some_and(|modified| modified >= stopped_at) {
                    unseen.push((modified, path, base.clone()));
                }
            }
        }
        unseen.sort();
        for (_, path, base) in unseen {
            let Some(opened) = open_regular(&path).ok().flatten() else { continue };
            if !self.is_followed(opened.identity) && !self.discovery.matches(&path) {
                self.follow_one_unseen(opened, &path, &base, watch);
            }
        }
    }

    fn follow_one_unseen(&mut self, opened: Opened, path: &Path, base: &Path, watch: &mut Watch) {
        tracing::info!(path = %path.display(), "written and rotated away while the agent was stopped");
        if let Some(folder) = path.parent() {
            watch.add(folder);
        }
        if !is_gzip(&opened.file) {
            return self.meet(opened, base, path, false);
        }
        let Some(dir) = &self.settings.state_dir else { return };
        let id = crate::checkpoint::file_id(opened.identity, 0, super::print::born(&opened.metadata));
        let to = rescue::path(dir, id);
        let needed = Needed { position: 0, held: &[] };
        let bytes_max = self.settings.unlinked_bytes_max;
        match rescue::unpack(&opened.file, &to, needed, Print::default(), bytes_max) {
            Ok(Some(_)) => {
                let Some(unpacked) = open_regular(&to).ok().flatten() else { return };
                let lineage = self.lineage(&base.into());
                let begin = Begin {
                    id,
                    path: base.into(),
                    generation: 0,
                    print: Print::default(),
                    position: 0,
                    held: Vec::new(),
                    rescued: true,
                    lineage,
                };
                let no = self.follow(unpacked, begin, None);
                self.named(no, &to, false);
            }
            Ok(None) => {}
            Err(error) => self.discovery.say_once(path, "can't be unpacked", &error.to_string()),
        }
    }

    /// Copies in the state directory that nothing leads to any more.
    fn remove_stray_copies(&mut self) {
        let Some(dir) = &self.settings.state_dir else { return };
        let Ok(entries) = fs::read_dir(dir.join("rescue")) else { return };
        let known = |path: &Path| {
            let is_here = |no: &FileNo| self.table.files.get(no).is_some_and(|file| *file.seen_at == *path);
            self.table.of_name(path).as_ref().is_some_and(is_here)
                || !self.register.pending(|_| true).iter().all(|entry| entry.seen_at != path)
        };
        let strays = entries.flatten().map(|entry| entry.path()).filter(|path| !known(path));
        strays.for_each(|path| rescue::remove(&path));
    }
}

fn modified(rest: &Rest) -> Option<SystemTime> {
    rest.opened.metadata.modified().ok()
}
