//! Generations: a file that was truncated, or written anew, begins again; what was not read of it before may be in a
//! copy.
//!
//! Copytruncate copies a file and then empties it. A copy that is seen while the original is whole is not read, since
//! all of it is in the original; when the original changes, the copy goes on with what is left of the old generation,
//! as the same stream at the same positions. Bytes that no copy has are counted as missed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use super::{
    FileSource, constants,
    discover::{Identity, Opened, open_regular},
    follow::{FileNo, Followed, Vetted},
    names,
    print::{Print, tail_at},
    rescue::{self, Needed},
};
use crate::{
    ack::{End, Held},
    checkpoint::file_id,
    frame::Skipped,
};

/// What is left of a generation, in another file.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) opened: Opened,
    pub(super) seen_at: PathBuf,
    /// Whether it is a copy in the state directory.
    pub(super) rescued: bool,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'w> {
    pub(super) id: u64,
    /// Where the file was first seen, and last.
    pub(super) paths: [&'w Path; 2],
    pub(super) print: Print,
    pub(super) position: u64,
    pub(super) held: &'w [Held],
}

impl FileSource {
    /// A file is no longer what it was: it begins anew.
    pub(super) fn changed(&mut self, no: FileNo) {
        let Some(followed) = self.table.files.get(&no) else { return };
        let (path, position, unread) = (Arc::clone(&followed.path), followed.position, followed.unread());
        tracing::info!(path = %path.display(), "truncated or written anew: reading it from its beginning");
        let stream = followed.stream;
        let taker = self.copy_with_the_rest(no).or_else(|| self.find_copy_with_the_rest(no));
        self.release_copies(no, taker);
        match taker {
            Some(taker) => self.take_over(taker, no),
            None => {
                self.missed(&path, unread, "truncated before all of it was read");
                self.feed.ledger.read(|ledger| {
                    self.truncated.push(stream);
                    self.truncated.retain(|stream| ledger.holds(*stream));
                });
                self.feed.ledger.with(|ledger| ledger.close_stream(stream));
            }
        }
        tracing::debug!(path = %path.display(), position, rest = taker.is_some(), "a new generation");
        self.begin_anew(no);
    }

    /// A known copy that holds more than was read.
    fn copy_with_the_rest(&mut self, original: FileNo) -> Option<FileNo> {
        let copies = self.copies_of(original);
        let (position, print) = self.table.files.get(&original).map(|file| (file.position, file.print))?;
        let has_it = |no: &FileNo| {
            self.open(*no).ok()?.then_some(())?;
            let copy = self.table.files.get(no)?;
            let file = copy.file().ok()?;
            let longer = file.metadata().ok()?.len() > position;
            (longer && print.fits(file, position, true).ok()?).then_some(())
        };
        let mut copies = copies.into_iter();
        let mut has_it = has_it;
        copies.find(|no| has_it(no).is_some())
    }

    /// Files that are copies of another, as far as is known: that have not been read, at least.
    fn copies_of(&self, original: FileNo) -> Vec<FileNo> {
        let Some(path) = self.table.files.get(&original).map(|file| Arc::clone(&file.seen_at)) else {
            return Vec::new();
        };
        let copy = |(no, file): (&FileNo, &Followed)| match file.vetted {
            Vetted::CopyOf(of) if of == original => Some(*no),
            Vetted::NotYet if *no != original && file.position == 0 && relates(&file.seen_at, &path) => {
                Some(*no)
            }
            _ => None,
        };
        // Those are in the hands of the tick.
        self.table.files.iter().filter_map(copy).collect()
    }

    /// A file that is not followed, but holds more than was read.
    fn find_copy_with_the_rest(&mut self, original: FileNo) -> Option<FileNo> {
        let followed = self.table.files.get(&original)?;
        if followed.position == 0 {
            return None;
        }
        let held: Vec<Held> = followed.held.iter().copied().collect();
        let (path, seen_at) = (Arc::clone(&followed.path), Arc::clone(&followed.seen_at));
        let wanted = Wanted {
            id: followed.id,
            paths: [&path, &seen_at],
            print: followed.print,
            position: followed.position,
            held: &held,
        };
        let rest = self.find_rest(wanted)?;
        let no = self.meet_rest(rest, &path)?;
        Some(no)
    }

    /// Follows what is left of a generation.
    fn meet_rest(&mut self, rest: Rest, path: &Path) -> Option<FileNo> {
        let Rest { opened, seen_at, rescued } = rest;
        let identity = opened.identity;
        self.meet(opened, path, &seen_at, false);
        let no = self.table.of_identity(identity)?;
        let followed = self.table.files.get_mut(&no)?;
        followed.rescued = rescued;
        Some(no)
    }

    /// Looks in the folders where a file was for another that has its content up to the position, and more; or, with
    /// lines that joins hold, at least these.
    pub(super) fn find_rest(&mut self, wanted: Wanted<'_>) -> Option<Rest> {
        let mut candidates: Vec<PathBuf> = Vec::new();
        for path in wanted.paths {
            let Some(entries) = path.parent().and_then(|folder| fs::read_dir(folder).ok()) else { continue };
            let related = |other: &PathBuf| wanted.paths.iter().any(|path| relates(other, path));
            candidates.extend(entries.flatten().map(|entry| entry.path()).filter(related));
        }
        candidates.sort();
        candidates.dedup();
        candidates.into_iter().find_map(|path| self.rest_in(&path, wanted))
    }

    fn rest_in(&mut self, path: &Path, wanted: Wanted<'_>) -> Option<Rest> {
        let opened = open_regular(path).ok()??;
        if let Some(no) = self.table.of_identity(opened.identity) {
            let read =
                self.table.files.get(&no).is_none_or(|file| file.position > 0 || file.vetted == Vetted::Own);
            return (!read).then_some(Rest { opened, seen_at: path.to_owned(), rescued: false });
        }
        if self.register.is_claimed(opened.identity) {
            return None;
        }
        if is_gzip(&opened.file) {
            return self.unpack(&opened, wanted);
        }
        let more = opened.metadata.len() > wanted.position || !wanted.held.is_empty();
        let fits = more && wanted.print.fits(&opened.file, wanted.position, true).ok()?;
        fits.then_some(Rest { opened, seen_at: path.to_owned(), rescued: false })
    }

    /// Unpacks a `.gz` into the state directory, if it is the file.
    fn unpack(&mut self, gz: &Opened, wanted: Wanted<'_>) -> Option<Rest> {
        let to = rescue::path(self.settings.state_dir.as_ref()?, wanted.id);
        let needed = Needed { position: wanted.position, held: wanted.held };
        let unpacked = rescue::unpack(&gz.file, &to, needed, wanted.print, self.settings.unlinked_bytes_max);
        match unpacked {
            Ok(Some(_)) => {
                tracing::info!(gz = %gz.real.display(), position = wanted.position, "going on inside a .gz");
                let opened = open_regular(&to).ok()??;
                Some(Rest { opened, seen_at: to, rescued: true })
            }
            Ok(None) => None,
            Err(error) => {
                self.discovery.say_once(&gz.real, "can't be unpacked", &error.to_string());
                None
            }
        }
    }

    /// Another file goes on with the stream of one that has changed, or is gone.
    pub(super) fn take_over(&mut self, taker: FileNo, from: FileNo) {
        let Some(old) = self.table.files.get(&from) else { return };
        let (id, path, stream, position, print, generation) =
            (old.id, Arc::clone(&old.path), old.stream, old.position, old.print, old.generation);
        let held = old.held.clone();
        self.table.move_before(taker, from);
        let Some(new) = self.table.files.get_mut(&taker) else { return };
        let own = std::mem::replace(&mut new.stream, stream);
        new.facts.stream = stream;
        (new.id, new.path, new.position, new.generation) = (id, path, position, generation);
        new.print = Print { born: new.print.born, ..print };
        (new.held, new.vetted, new.skipped) = (held, Vetted::Own, Skipped::default());
        if new.handle.is_some() {
            new.facts.constants = constants(&self.settings, &self.feed, &new.path, id);
        }
        let entry = new.entry();
        self.feed.ledger.with(|ledger| ledger.close_stream(own));
        self.register.add(stream, entry);
        if self.loaded == Some(taker) {
            self.loaded = None;
        }
        self.table.make_ready(taker);
    }

    /// The copies of a file that changes or goes have nothing to tell that it did not, but for the one that takes over.
    pub(super) fn release_copies(&mut self, original: FileNo, taker: Option<FileNo>) {
        let read_to = self.table.files.get(&original).map_or(0, |original| original.position);
        for no in self.copies_of(original) {
            let is_copy =
                self.table.files.get(&no).is_some_and(|copy| copy.vetted == Vetted::CopyOf(original));
            if Some(no) != taker && is_copy {
                // What was not read of the original is in its copy.
                let all = taker.is_some();
                self.begin_copy(no, if all { u64::MAX } else { read_to });
            }
        }
    }

    /// A copy of which everything up to a position has been read elsewhere.
    pub(super) fn begin_copy(&mut self, no: FileNo, read_to: u64) {
        let Some(copy) = self.table.files.get_mut(&no) else { return };
        let Some(file) = &copy.handle else { return };
        copy.len = file.metadata().map_or(copy.len, |metadata| metadata.len());
        let position = copy.len.min(read_to);
        let tail = tail_at(file, position).ok().flatten();
        let end = End { position, tail };
        (copy.position, copy.print.tail, copy.vetted) = (position, tail, Vetted::Own);
        let own = copy.stream;
        copy.stream = self.feed.ledger.with(|ledger| {
            ledger.close_stream(own);
            ledger.open_stream(end)
        });
        copy.facts.stream = copy.stream;
        if let Some(file) = &copy.handle {
            let _ = copy.print.learn_head(file, position);
        }
        self.register.add(copy.stream, copy.entry());
        self.table.make_ready(no);
    }

    /// A file's next generation: what is in it now is new.
    fn begin_anew(&mut self, no: FileNo) {
        let Some(followed) = self.table.files.get_mut(&no) else { return };
        followed.generation += 1;
        let metadata = followed.handle.as_ref().and_then(|file| file.metadata().ok());
        followed.print = Print { born: metadata.as_ref().and_then(super::print::born), ..Print::default() };
        followed.id = file_id(followed.identity, followed.generation, followed.print.born);
        followed.len = metadata.map_or(0, |metadata| metadata.len());
        followed.held.clear();
        (followed.position, followed.skipped, followed.at_end) = (0, Skipped::default(), false);
        (followed.nuls_to, followed.vetted) = (0, Vetted::Own);
        followed.facts.constants = constants(&self.settings, &self.feed, &followed.path, followed.id);
        followed.stream = self.feed.ledger.with(|ledger| ledger.open_stream(End::default()));
        followed.facts.stream = followed.stream;
        self.register.add(followed.stream, followed.entry());
        if self.loaded == Some(no) {
            self.loaded = None;
        }
        self.table.make_ready(no);
    }

    /// Bytes are gone that were not read.
    pub(super) fn missed(&self, path: &Path, bytes: u64, why: &str) {
        if bytes > 0 {
            self.feed.metrics.missed_bytes.fetch_add(bytes, Ordering::Relaxed);
            tracing::warn!(path = %path.display(), bytes, why, "bytes of a file are lost");
        }
    }

    /// Whether that file is followed already.
    pub(super) fn is_followed(&self, identity: Identity) -> bool {
        self.table.of_identity(identity).is_some()
    }
}

/// Whether a path may be that of a copy of what was at another.
fn relates(path: &Path, origin: &Path) -> bool {
    match (path.file_name(), origin.file_name()) {
        (Some(name), Some(origin)) => names::relates(name.as_encoded_bytes(), origin.as_encoded_bytes()),
        _ => false,
    }
}

/// Whether a file is compressed.
pub(super) fn is_gzip(file: &File) -> bool {
    let mut magic = [0; 2];
    super::print::read_full(file, &mut magic, 0).is_ok_and(|read| read == 2) && magic == [0x1f, 0x8b]
}
