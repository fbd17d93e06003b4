//! Meeting files: names that appear, vanish and lead elsewhere, and files that are new.
//!
//! Takes news and looks, keeps the table's names right, and follows every new file at once: from then on it is kept
//! open, so that it can be read to its end whatever becomes of its name.

use std::{
    ffi::OsString,
    fs,
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use tokio::time::Instant;

use super::{
    FileSource, Watch,
    discover::{Identity, Opened, Sizes, open_regular, where_is},
    follow::{FileNo, Followed, Vetted},
    names,
    print::{Print, born, tail_at},
    resume::Place,
    table::Named,
    trail::Trail,
    walk::Met,
    watch::Came,
};
use crate::{
    ack::{End, Held},
    checkpoint::file_id,
    encode::Constants,
    frame::Skipped,
    pass::StreamFacts,
};

/// Where and as what a file is followed.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) id: u64,
    pub(super) path: Arc<Path>,
    pub(super) generation: u32,
    pub(super) print: Print,
    pub(super) position: u64,
    /// Lines before the position that joins held.
    pub(super) held: Vec<Held>,
    pub(super) rescued: bool,
    pub(super) lineage: u32,
}

/// How far before a file's end its last line may begin, when it is begun at its end.
const LAST_LINE_BYTES_MAX: u64 = 1024 * 1024;

impl FileSource {
    /// Looks for new files and for names that lead elsewhere by now; `at_start` tells that it is the first time.
    pub(super) fn look(&mut self, watch: &mut Watch, at_start: bool) {
        self.look = self.look.wrapping_add(1);
        let (look, mut unknown) = (self.look, Vec::new());
        let Self { discovery, table, .. } = self;
        let complete = discovery.look(&mut |met| match met {
            Met::Name(path, entry) => match table.named_mut(path) {
                Some(named) if named.entry == *entry && !named.is_link => named.look = look,
                _ => unknown.push(path.to_path_buf()),
            },
            Met::Folder(path) => watch.add(path),
            Met::Failed(..) => {}
        });
        if at_start {
            // What was rotated away comes before what has its name now.
            let age = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
            unknown.sort_by_cached_key(|path| (age(path), path.clone()));
        }
        for path in unknown {
            self.appeared_at(&path, &Came::Somehow, watch, at_start);
        }
        let is_stale = |(path, named): (&Arc<Path>, &Named)| {
            // What could not be looked at may still be there.
            let stale = if named.matching && complete { named.look != look } else { !path.exists() };
            stale.then(|| Arc::clone(path))
        };
        let stale: Vec<Arc<Path>> = self.table.names().filter_map(is_stale).collect();
        for path in stale {
            self.vanished(&path);
        }
    }

    /// A name leads to a file.
    pub(super) fn appeared(&mut self, path: &Path, came: &Came, watch: &mut Watch) {
        self.appeared_at(path, came, watch, false);
    }

    fn appeared_at(&mut self, path: &Path, came: &Came, watch: &mut Watch, at_start: bool) {
        let matching = self.discovery.matches(path);
        let Ok(metadata) = fs::metadata(path) else { return self.vanished(path) };
        let identity = Identity::of(&metadata);
        if let Some(no) = self.table.of_identity(identity) {
            if self.is_still_there(no, path) {
                return self.named(no, path, matching);
            }
            self.lost(no);
        }
        // Whoever has the name now, it is not the file that had it.
        self.vanished(path);
        let first = match came {
            _ if matching => Some(Arc::from(path)),
            // It had a name that is read, but so shortly that it was not seen.
            Came::Renamed(from) if self.discovery.matches(from) => Some(Arc::from(&**from)),
            Came::Made => self.unread_original(path),
            Came::Renamed(_) | Came::Somehow => None,
        };
        let Some(first) = first else { return };
        let opened = self.discovery.open(path);
        if opened.is_none() && self.make_room_for(path) {
            return self.appeared_at(path, came, watch, at_start);
        }
        let Some(opened) = opened else { return };
        if let Some(folder) = opened.real.parent().filter(|_| opened.real != path) {
            watch.add(folder);
        }
        if let Some(entry) = self.register.pending_of(opened.identity)
            && Print::of(&entry).fits(&opened.file, entry.resume, false).unwrap_or(false)
        {
            let modified = opened.metadata.modified().ok();
            let place = Place { seen_at: path.to_owned(), identity, modified, rescued: false };
            if self.register.claim(identity) {
                self.follow_again(entry, &place, watch);
            }
            return;
        }
        let identity = opened.identity;
        self.meet(opened, &first, path, at_start);
        if let Some(no) = self.table.of_identity(identity) {
            self.look_at_size(no);
            if !at_start {
                self.vet_early(no);
            }
        }
    }

    /// Whether what has the inode of a file is that file: if it was closed and deleted, another may have got it. One that is
    /// open still is what it is, whatever is in it.
    fn is_still_there(&self, no: FileNo, path: &Path) -> bool {
        let Some(followed) = self.table.files.get(&no).filter(|followed| followed.handle.is_none()) else {
            return true;
        };
        let opened = open_regular(path).ok().flatten();
        opened
            .is_none_or(|opened| followed.print.fits(&opened.file, followed.position, false).unwrap_or(true))
    }

    /// The path of the file that a new one may be a copy of, if nothing was read of that yet: when it is emptied, nothing
    /// else tells that there was something in it.
    fn unread_original(&self, path: &Path) -> Option<Arc<Path>> {
        let (folder, name) = (path.parent()?, path.file_name()?.as_encoded_bytes());
        if name.ends_with(b".gz") {
            return None;
        }
        let originals = names::origins(name).into_iter().filter(|origin| names::is_rotation_of(name, origin));
        let mut unread = originals.filter_map(|origin| {
            let no = self.table.of_name(&folder.join(OsString::from_vec(origin)))?;
            self.table.files.get(&no).filter(|original| original.position == 0)
        });
        unread.next().map(|original| Arc::clone(&original.path))
    }

    /// Whether a file could not be opened only since too many are.
    fn make_room_for(&mut self, path: &Path) -> bool {
        let failed = open_regular(path).err();
        failed.is_some_and(|error| super::handles::is_shortage(&error)) && self.make_room()
    }

    /// A file that was not followed before.
    pub(super) fn meet(&mut self, opened: Opened, path: &Path, seen_at: &Path, at_start: bool) {
        if !self.register.claim(opened.identity) {
            return self.discovery.say_once(seen_at, "another source follows it", "not followed twice");
        }
        let born = born(&opened.metadata);
        let generation = self.generations.remove(&opened.identity).map_or(0, |last| last + 1);
        let is_late = path != seen_at;
        let path: Arc<Path> = path.into();
        let key = if at_start { self.origin_of(&path, &opened) } else { Arc::clone(&path) };
        let lineage = self.lineage(&key);
        // What has the name now is younger.
        let before = if is_late { self.current_of(lineage) } else { None };
        let (position, tail) = if at_start { self.beginning(&opened) } else { (0, None) };
        let begin = Begin {
            id: file_id(opened.identity, generation, born),
            path,
            generation,
            print: Print { born, head: None, tail },
            position,
            held: Vec::new(),
            rescued: false,
            lineage,
        };
        let real = opened.real.clone();
        let no = self.follow(opened, begin, before);
        self.named(no, seen_at, self.discovery.matches(seen_at));
        if real != seen_at {
            self.named(no, &real, self.discovery.matches(&real));
        }
    }

    /// The first file of a lineage that has a name which is read.
    pub(super) fn current_of(&self, lineage: u32) -> Option<FileNo> {
        let current = |no: &&FileNo| self.table.files.get(no).is_some_and(|followed| followed.is_current());
        self.table.lineages.get(&lineage)?.files.iter().find(current).copied()
    }

    /// Links may lead elsewhere now.
    pub(super) fn look_at_links(&mut self, watch: &mut Watch) {
        let links = self.table.names().filter(|(_, named)| named.is_link && named.matching);
        let changed = |(path, named): (&Arc<Path>, &Named)| {
            let there = fs::metadata(path).ok().map(|metadata| Identity::of(&metadata));
            let is_same =
                there.is_some() && there == self.table.files.get(&named.no).map(|file| file.identity);
            (!is_same).then(|| Arc::clone(path))
        };
        let changed: Vec<Arc<Path>> = links.filter_map(changed).collect();
        changed.iter().for_each(|path| self.appeared(path, &Came::Somehow, watch));
    }

    /// Where a file is begun that was there at the start and that no checkpoint tells of.
    fn beginning(&self, opened: &Opened) -> (u64, Option<u32>) {
        let old = self.settings.ignore_older.is_some_and(|age| {
            let modified = opened.metadata.modified().ok();
            modified.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|since| since > age)
        });
        let skips = old || (self.is_first && self.settings.start_at_end);
        if !skips {
            return (0, None);
        }
        let len = opened.metadata.len();
        let from = len.saturating_sub(LAST_LINE_BYTES_MAX);
        let mut last = vec![0; usize::try_from(len - from).unwrap_or(0)];
        let read = super::print::read_full(&opened.file, &mut last, from).unwrap_or(0);
        let newline = memchr::memrchr(b'\n', &last[..read]);
        let position = newline.map_or(0, |at| from + at as u64 + 1);
        (position, tail_at(&opened.file, position).ok().flatten())
    }

    /// The path of the lineage that a file belongs to which may have been rotated before the agent was there.
    fn origin_of(&self, path: &Arc<Path>, opened: &Opened) -> Arc<Path> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Arc::clone(path) };
        let modified = opened.metadata.modified().ok();
        let origins = names::origins(name.as_encoded_bytes())
            .into_iter()
            .map(|origin| (folder.join(OsString::from_vec(origin.clone())), origin));
        let is_rotated = |(origin, origin_name): &(PathBuf, Vec<u8>)| {
            names::is_rotation_of(name.as_encoded_bytes(), origin_name)
                && self.discovery.matches(origin)
                // A live file of a similar name is none.
                && fs::metadata(origin).and_then(|origin| origin.created()).ok() >= modified
        };
        let mut rotated = origins.filter(is_rotated);
        rotated.next().map_or_else(|| Arc::clone(path), |(origin, _)| origin.into())
    }

    /// The lineage of the files that are first seen at a path.
    pub(super) fn lineage(&mut self, path: &Arc<Path>) -> u32 {
        if let Some(lineage) = self.lineage_of.get(path).filter(|id| self.table.lineages.contains_key(id)) {
            return *lineage;
        }
        let lineage = self.table.new_lineage();
        self.lineage_of.insert(Arc::clone(path), lineage);
        if self.lineage_of.len() > 2 * self.table.lineages.len().max(512) {
            let Self { lineage_of, table, .. } = self;
            lineage_of.retain(|_, id| *id == lineage || table.lineages.contains_key(id));
        }
        lineage
    }

    /// Follows an opened file, as the newest of its lineage or right before another.
    pub(super) fn follow(&mut self, opened: Opened, begin: Begin, before: Option<FileNo>) -> FileNo {
        let Begin { id, path, generation, print, position, held, rescued, lineage } = begin;
        tracing::debug!(path = %path.display(), position, held = held.len(), "following");
        let stream = self.feed.ledger.with(|ledger| {
            let stream = ledger.open_stream(End { position, tail: print.tail });
            ledger.recover(stream, &held);
            stream
        });
        let facts = StreamFacts {
            stream,
            lineage,
            tells_offset: true,
            constants: Arc::clone(&self.no_constants),
            ..StreamFacts::new(Constants::default())
        };
        let followed = Followed {
            id,
            seen_at: Arc::clone(&path),
            path,
            identity: opened.identity,
            generation,
            stream,
            position,
            skipped: Skipped::default(),
            print,
            len: opened.metadata.len(),
            at_end: false,
            sound_len: opened.metadata.len(),
            stirred: Instant::now(),
            since: SystemTime::now(),
            vetted: if position > 0 || rescued || print.tells() { Vetted::Own } else { Vetted::NotYet },
            names: 0,
            rescued,
            queued: false,
            held: held.into(),
            facts,
            saved_len: None,
            nuls_to: 0,
            handle: Some(opened.file),
            trail: Trail::default(),
            past: None,
        };
        self.register.add(stream, followed.entry());
        let no = self.table.number();
        self.table.insert(no, followed, before);
        self.leaving.insert(no);
        self.count_open(no);
        no
    }

    /// A name leads to a file that is followed.
    pub(super) fn named(&mut self, no: FileNo, path: &Path, matching: bool) {
        let (entry, is_link) =
            fs::symlink_metadata(path).map_or((0, false), |metadata| (metadata.ino(), metadata.is_symlink()));
        let before = self.table.name(path, Named { no, entry, matching, is_link, look: self.look });
        if let Some(before) = before {
            self.lost_name(before);
        }
        let Some(followed) = self.table.files.get(&no) else { return };
        let seen_at = Arc::clone(&followed.seen_at);
        self.register.update(followed.stream, |entry| entry.seen_at = seen_at);
        if followed.is_current() {
            self.leaving.remove(&no);
        }
        // A closed file's inode may be another's by now: reading shows.
        self.table.make_ready(no);
    }

    /// A name leads nowhere.
    pub(super) fn vanished(&mut self, path: &Path) {
        if let Some(no) = self.table.unname(path) {
            self.lost_name(no);
        }
    }

    /// A file has lost a name, perhaps its last: it is read to its end, wherever it is now.
    fn lost_name(&mut self, no: FileNo) {
        let Some(followed) = self.table.files.get_mut(&no) else { return };
        if followed.is_current() {
            return;
        }
        followed.stirred = Instant::now();
        self.leaving.insert(no);
        self.partials.remove(&no);
        let now_at = followed.handle.as_ref().and_then(where_is);
        if let Some(path) = now_at.filter(|path| self.table.of_name(path) != Some(no)) {
            let matching = self.discovery.matches(&path);
            self.named(no, &path, matching);
        }
        self.table.make_ready(no);
    }

    /// A file was written to.
    pub(super) fn written(&mut self, path: &Path, watch: &mut Watch) {
        match self.table.of_name(path) {
            Some(no) => {
                // It may be deleted before its turn comes.
                match self.open(no) {
                    Ok(true) => {
                        self.look_at_size(no);
                        self.vet_early(no);
                    }
                    Ok(false) => self.lost(no),
                    Err(error) => {
                        self.discovery.say_once(path, "can't be opened, trying again", &error.to_string());
                    }
                }
            }
            None if self.discovery.matches(path) => self.appeared(path, &Came::Somehow, watch),
            None => {}
        }
    }

    /// Looks whether files have grown, shrunk or gone without news of it.
    pub(super) fn look_at_sizes(&mut self) {
        let (mut differ, mut gone) = (Vec::new(), Vec::new());
        let mut sizes = Sizes::default();
        for (no, followed) in &self.table.files {
            let found = match &followed.handle {
                Some(file) => file.metadata().ok().map(|metadata| (Identity::of(&metadata), metadata.len())),
                None => sizes.of(&followed.seen_at),
            };
            match found {
                Some((identity, len)) if identity == followed.identity => {
                    if len != followed.len || !followed.at_end || followed.has_nuls() {
                        differ.push(*no);
                    }
                }
                _ => gone.push(*no),
            }
        }
        differ.into_iter().for_each(|no| self.look_at_size(no));
        // Reading them shows whether they can be found elsewhere.
        gone.into_iter().for_each(|no| self.table.make_ready(no));
    }

    /// There is something new in a file. That it was emptied is best noticed at once: before its turn comes it may be
    /// written to and emptied once more.
    pub(super) fn look_at_size(&mut self, no: FileNo) {
        let Some(followed) = self.table.files.get_mut(&no) else { return };
        if let Some(file) = followed.handle.as_ref().filter(|_| !followed.rescued) {
            let len = file.metadata().map_or(followed.len, |metadata| metadata.len());
            if len < followed.position {
                return self.changed(no);
            }
            let mut learned = false;
            if followed.position == 0 {
                if len < followed.len || !followed.print.fits(file, 0, false).unwrap_or(true) {
                    return self.changed(no);
                }
                learned = followed.print.learn_head(file, len).unwrap_or(false);
            }
            if len != followed.len || learned {
                followed.len = len;
                followed.stirred = Instant::now();
                if followed.position == 0 {
                    followed.sound_len = len;
                }
                let head = followed.print.head;
                self.register.update(followed.stream, |entry| (entry.head, entry.size) = (head, len));
            }
        }
        self.table.make_ready(no);
    }

    /// Asks what a new file is while the one that it may be a copy of is still there: when its turn comes, that may be
    /// emptied. Should it fail, it is asked again then.
    pub(super) fn vet_early(&mut self, no: FileNo) {
        let unsure = |followed: &Followed| match followed.vetted {
            Vetted::NotYet => followed.len > 0,
            Vetted::CopyOf(_) => true,
            Vetted::Own | Vetted::Refused => false,
        };
        if self.table.files.get(&no).is_some_and(|followed| unsure(followed)) {
            let _ = self.vet(no);
        }
    }
}
