//! Resuming: what the last run followed is found again, wherever it is by now.
//!
//! Takes the checkpoint's entries, and looks for each file by its inode where it was last seen, in its folder, and if
//! it is not there or not what it was, by its content among the files whose names it may have got. Then come the files
//! that were made and rotated away meanwhile. The older ones are followed first.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    FileSource, Watch,
    discover::{Identity, Opened, open_regular},
    follow::FileNo,
    generations::{Rest, Wanted, is_gzip},
    handles::find_in,
    meet::Begin,
    names,
    print::{Print, begin_alike},
    rescue::{self, Needed},
};
use crate::checkpoint::{Entry, file_id};

/// So many folders beside its own are searched for a file.
const FOLDERS_MAX: usize = 64;
/// So often a file is looked for again that is renamed while it is opened.
const RENAMES_MAX: usize = 3;

impl FileSource {
    /// Follows what the last run did.
    pub(super) fn resume(&mut self, watch: &mut Watch) {
        let discovery = &self.discovery;
        let entries = self.register.pending(|path| discovery.matches(path));
        let mut found: Vec<(Entry, Place)> = Vec::new();
        let (mut empty, mut orphans, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            if entry.rescued && entry.resume >= entry.size && entry.held.is_empty() {
                self.register.forget(entry.id);
                rescue::remove(&entry.seen_at);
                continue;
            }
            let is_empty = entry.resume == 0 && entry.head.is_none() && !entry.rescued;
            match if is_empty { Ok(None) } else { self.find_itself(&entry) } {
                Ok(Some(place)) => found.push((entry, place)),
                Ok(None) if is_empty => empty.push(entry),
                Ok(None) => orphans.push(entry),
                // It stays known, and is met when it can be opened.
                Err(error) => {
                    self.discovery.say_once(
                        &entry.seen_at,
                        "can't be opened, trying again",
                        &error.to_string(),
                    );
                }
            }
        }
        for entry in orphans {
            // It may have been renamed while its folder was searched, and what is in a `.gz` that is being made is not all.
            if let Ok(Some(place)) = self.find_itself(&entry) {
                found.push((entry, place));
                continue;
            }
            let rest = if entry.rescued { None } else { self.find_elsewhere(&entry) };
            match rest.filter(|rest| self.register.claim(rest.opened.identity)) {
                Some(rest) => found.push((entry, Place::of(&rest))),
                None => lost.push(entry),
            }
        }
        // A file in which there was nothing yet may be a copy by now, and what is left of another.
        for entry in empty {
            match self.find_itself(&entry) {
                Ok(Some(place)) => found.push((entry, place)),
                Ok(None) => lost.push(entry),
                Err(_) => {}
            }
        }
        // What has the name is the youngest, whenever the others were written to last.
        found.sort_by_key(|(entry, place)| (*place.seen_at == *entry.path, place.modified));
        let all = found.iter().map(|(entry, _)| entry).chain(&lost);
        let paths: Vec<(u64, Arc<Path>)> = all.map(|entry| (entry.id, Arc::clone(&entry.path))).collect();
        // Each has its own time since when nobody has looked.
        let mut bases: BTreeMap<SystemTime, Vec<Arc<Path>>> = BTreeMap::new();
        for (id, path) in paths {
            if let Some(until) = self.register.followed_until(id) {
                bases.entry(until).or_default().push(path);
            }
        }
        for (entry, place) in found {
            self.follow_wherever(&entry, place, watch);
        }
        lost.into_iter().for_each(|entry| self.forget(&entry));
        for (since, bases) in bases {
            self.follow_unseen(&bases, since, None);
        }
    }

    /// Follows a file that was found, and is looked for again if it has been renamed since.
    fn follow_wherever(&mut self, entry: &Entry, mut place: Place, watch: &mut Watch) {
        for _ in 0..RENAMES_MAX {
            if self.follow_again(entry.clone(), &place, watch) {
                return;
            }
            match self.find_itself(entry) {
                Ok(Some(found)) => place = found,
                _ => break,
            }
        }
        self.register.give_back(entry.id);
    }

    /// The very file, if it is still what it was. It is not kept open: there may be too many.
    fn find_itself(&mut self, entry: &Entry) -> io::Result<Option<Place>> {
        let print = Print::of(entry);
        let mut found =
            self.open_as(&entry.seen_at, entry.identity)?.map(|opened| (opened, entry.seen_at.to_path_buf()));
        // Nobody renames a copy, but when it is removed its inode may become another file's.
        if found.is_none() && !entry.rescued {
            found =
                self.open_as(&entry.path, entry.identity)?.map(|opened| (opened, entry.path.to_path_buf()));
        }
        if found.is_none() && !entry.rescued {
            let folders = near(&[&entry.seen_at, &entry.path], true);
            let moved = folders.iter().find_map(|folder| find_in(folder, entry.identity));
            found = match moved {
                Some(path) => self.open_as(&path, entry.identity)?.map(|opened| (opened, path)),
                None => None,
            };
        }
        let Some((opened, seen_at)) = found else { return Ok(None) };
        if entry.rescued || print.fits(&opened.file, entry.resume, false)? {
            // From here on nothing else can pass for it.
            let claimed = self.register.claim(entry.identity);
            let rest = Rest { opened, seen_at, rescued: entry.rescued };
            return Ok(claimed.then(|| Place::of(&rest)));
        }
        let generation = self.generations.entry(entry.identity).or_default();
        *generation = (*generation).max(entry.generation);
        Ok(None)
    }

    /// Another file that has its content.
    fn find_elsewhere(&mut self, entry: &Entry) -> Option<Rest> {
        let print = Print { born: None, ..Print::of(entry) };
        if !print.tells() {
            return None;
        }
        self.find_rest(Wanted {
            id: entry.id,
            paths: [&entry.path, &entry.seen_at],
            print,
            position: entry.resume,
            needed_from: entry.resume,
            len: entry.size,
            known_len: 0,
            held: &entry.held,
        })
    }

    /// Follows what the last run did, where it is now; `false` if it is there no more.
    pub(super) fn follow_again(&mut self, entry: Entry, place: &Place, watch: &mut Watch) -> bool {
        let Place { seen_at, identity, rescued, .. } = place;
        let (seen_at, rescued) = (seen_at.clone(), *rescued);
        let Ok(Some(opened)) = self.open_as(&seen_at, *identity) else {
            self.register.release(*identity);
            return false;
        };
        if let Some(folder) = seen_at.parent().filter(|_| !rescued) {
            watch.add(folder);
        }
        let path = entry.path;
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
        true
    }

    /// A file is gone, and so is what was not shipped of it.
    fn forget(&mut self, entry: &Entry) {
        self.missed(&entry.path, entry.size.saturating_sub(entry.resume), "gone while nobody read it");
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
        bases: &[Arc<Path>],
        since: SystemTime,
        before: Option<FileNo>,
    ) -> usize {
        let bases: BTreeSet<&Path> = bases.iter().map(|base| &**base).collect();
        let folders: BTreeSet<&Path> = bases.iter().filter_map(|base| base.parent()).collect();
        let mut unseen: Vec<(Option<SystemTime>, PathBuf, PathBuf)> = Vec::new();
        for folder in folders {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.as_encoded_bytes();
                let origins =
                    names::origins(name).into_iter().filter(|origin| names::is_rotation_of(name, origin));
                let mut bases_of = origins.map(|origin| folder.join(OsString::from_vec(origin)));
                let Some(base) = bases_of.find(|base| bases.contains(&**base)) else { continue };
                let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
                if modified.is_some_and(|modified| modified >= since) {
                    unseen.push((modified, entry.path(), base));
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
                followed += usize::from(self.follow_one_unseen(opened, &path, &base, before));
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
            match rescue::unpack(&opened.file, &to, needed, (Print::default(), 0), bytes_max) {
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
            // One that was renamed while it was looked for is known, and no news.
            if self.is_known(&opened.file, base) || self.register.pending_of(identity).is_some() {
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

/// Where a file is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) seen_at: PathBuf,
    pub(super) identity: Identity,
    pub(super) modified: Option<SystemTime>,
    pub(super) rescued: bool,
}

impl Place {
    fn of(rest: &Rest) -> Self {
        Self {
            seen_at: rest.seen_at.clone(),
            identity: rest.opened.identity,
            modified: rest.opened.metadata.modified().ok(),
            rescued: rest.rescued,
        }
    }
}

/// The folders where files may have been moved to that were at these paths: their own and those inside; for one that its
/// inode tells, those beside as well, where another log may begin with the same bytes.
pub(super) fn near(paths: &[&Path], beside: bool) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        paths.iter().filter_map(|path| path.parent()).map(Path::to_owned).collect();
    folders.dedup();
    let around =
        folders.iter().flat_map(|folder| [Some(folder.as_path()), folder.parent().filter(|_| beside)]);
    let below = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let inside = around.flatten().flat_map(below).filter(is_folder).map(|entry| entry.path());
    let inside: Vec<PathBuf> = inside.take(FOLDERS_MAX).collect();
    folders.extend(inside);
    folders.sort();
    folders.dedup();
    folders
}
