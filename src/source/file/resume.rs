//! Resuming: what the last run followed is found again, wherever it is by now.
//!
//! Takes the checkpoint's entries, and looks for each file by its inode where it was last seen, in its folder, and if
//! it is not there or not what it was, by its content among the files whose names it may have got. Then come the files
//! that were made and rotated away meanwhile. The older ones are followed first.

use std::{
    collections::BTreeSet,
    fs::{self, File},
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
    print::{Print, begin_alike},
    rescue::{self, Needed},
};
use crate::checkpoint::{Entry, file_id};

impl FileSource {
    /// Follows what the last run did.
    pub(super) fn resume(&mut self, watch: &mut Watch) {
        let discovery = &self.discovery;
        let entries = self.register.pending(|path| discovery.matches(path));
        let mut found: Vec<(Option<SystemTime>, Entry, Rest)> = Vec::new();
        let (mut empty, mut orphans, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            if entry.rescued && entry.resume >= entry.size && entry.held.is_empty() {
                self.register.forget(entry.id);
                rescue::remove(&entry.seen_at);
                continue;
            }
            let is_empty = entry.resume == 0 && entry.head.is_none() && !entry.rescued;
            match if is_empty { None } else { self.find_itself(&entry) } {
                Some(rest) => found.push((modified(&rest), entry, rest)),
                None if is_empty => empty.push(entry),
                None => orphans.push(entry),
            }
        }
        for entry in orphans {
            let rest = if entry.rescued { None } else { self.find_elsewhere(&entry) };
            match rest.filter(|rest| self.register.claim(rest.opened.identity)) {
                Some(rest) => found.push((modified(&rest), entry, rest)),
                None => lost.push(entry),
            }
        }
        // A file in which there was nothing yet may be a copy by now, and what is left of another.
        for entry in empty {
            match self.find_itself(&entry) {
                Some(rest) => found.push((modified(&rest), entry, rest)),
                None => lost.push(entry),
            }
        }
        // What has the name is the youngest, whenever the others were written to last.
        found.sort_by_key(|(modified, entry, rest)| (rest.seen_at == entry.path, *modified));
        let paths = found.iter().map(|(_, entry, _)| entry).chain(&lost).map(|entry| entry.path.clone());
        let bases: Vec<PathBuf> = paths.collect();
        for (_, entry, rest) in found {
            self.follow_again(entry, rest, watch);
        }
        lost.into_iter().for_each(|entry| self.forget(&entry));
        if let Some(stopped_at) = self.register.saved_at() {
            self.follow_unseen(&bases, stopped_at, None);
        }
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
        let found = match there(&entry.seen_at) {
            // Nobody renames a copy, but when it is removed its inode may become another file's.
            None if entry.rescued => None,
            None => there(&entry.path).or_else(moved),
            found => found,
        };
        let (opened, seen_at) = found?;
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
        let print = Print { born: None, head: entry.head, tail: entry.tail };
        if !print.tells() {
            return None;
        }
        self.find_rest(Wanted {
            id: entry.id,
            paths: [&entry.path, &entry.seen_at],
            print,
            position: entry.resume,
            len: entry.size,
            known_len: 0,
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
        // A copy was made at another time than what it is a copy of.
        let born = entry.born.filter(|_| opened.identity == entry.identity && !rescued);
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

    /// Follows files that had a name that is read, and lost it, all since some time; or that are copies of one which was
    /// emptied then: they come before that. Answers how many.
    pub(super) fn follow_unseen(
        &mut self,
        bases: &[PathBuf],
        since: SystemTime,
        before: Option<FileNo>,
    ) -> usize {
        let bases: BTreeSet<&PathBuf> = bases.iter().collect();
        let mut unseen: Vec<(Option<SystemTime>, PathBuf, &PathBuf)> = Vec::new();
        for base in bases {
            let (Some(folder), Some(origin)) = (base.parent(), base.file_name()) else { continue };
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for path in entries.flatten().map(|entry| entry.path()) {
                let is_rotation = path.file_name().is_some_and(|name| {
                    names::is_rotation_of(name.as_encoded_bytes(), origin.as_encoded_bytes())
                });
                let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
                if is_rotation && modified.is_some_and(|modified| modified >= since) {
                    unseen.push((modified, path, base));
                }
            }
        }
        unseen.sort();
        let mut followed = 0;
        for (_, path, base) in unseen {
            let Some(opened) = open_regular(&path).ok().flatten() else { continue };
            let known = self.is_followed(opened.identity) || self.register.is_claimed(opened.identity);
            // While the agent runs, what is compressed was seen before.
            let packed = is_gzip(&opened.file);
            if if packed { before.is_none() } else { !known } {
                followed += usize::from(self.follow_one_unseen(opened, &path, base, before));
            }
        }
        followed
    }

    fn follow_one_unseen(
        &mut self,
        opened: Opened,
        path: &Path,
        base: &Path,
        before: Option<FileNo>,
    ) -> bool {
        let identity = opened.identity;
        if is_gzip(&opened.file) {
            if self.unpacked.contains(&identity) {
                return false;
            }
            let Some(dir) = &self.settings.state_dir else { return false };
            // The compressed file itself may be followed, too.
            let id = file_id(identity, 1, super::print::born(&opened.metadata));
            let to = rescue::path(dir, id);
            let needed = Needed { position: 0, held: &[] };
            let bytes_max = self.settings.unlinked_bytes_max;
            match rescue::unpack(&opened.file, &to, needed, Print::default(), bytes_max) {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(error) => {
                    self.discovery.say_once(path, "can't be unpacked", &error.to_string());
                    return false;
                }
            }
            self.unpacked.insert(identity);
            let Some(unpacked) = open_regular(&to).ok().flatten() else { return false };
            if self.is_known(&unpacked.file, base) {
                rescue::remove(&to);
                return false;
            }
            let path: Arc<Path> = base.into();
            let (print, held) = (Print::default(), Vec::new());
            let lineage = self.lineage(&path);
            let begin = Begin { id, path, generation: 0, print, position: 0, held, rescued: true, lineage };
            let before = before.or_else(|| self.current_of(lineage));
            let no = self.follow(unpacked, begin, before);
            self.named(no, &to, false);
        } else {
            if self.is_known(&opened.file, base) {
                return false;
            }
            self.meet(opened, base, path, false);
            if let (Some(no), Some(before)) = (self.table.of_identity(identity), before) {
                self.table.move_before(no, before);
            }
        }
        tracing::info!(path = %path.display(), "was written and rotated away unseen");
        true
    }

    /// Whether a file of that lineage holds all that this one does.
    fn is_known(&self, file: &File, base: &Path) -> bool {
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        let lineage = self.lineage_of.get(base).and_then(|id| self.table.lineages.get(id));
        let mut files =
            lineage.into_iter().flat_map(|lineage| &lineage.files).filter_map(|no| self.table.files.get(no));
        files.any(|known| {
            let alike = known.handle.as_ref().map(|known| begin_alike(known, file));
            known.len >= len && matches!(alike, Some(Ok(Some(true))))
        })
    }
}

fn modified(rest: &Rest) -> Option<SystemTime> {
    rest.opened.metadata.modified().ok()
}
