//! Generations: a file that was truncated, or written anew, begins again; what was not read of it before may be in a
//! copy.
//!
//! Copytruncate copies a file and then empties it. A copy that is seen while the original is whole is not read, since
//! all of it is in the original; when the original changes, the copy goes on with what is left of the old generation,
//! as the same stream at the same positions. Bytes that no copy has are counted as missed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use super::{
    FileSource,
    discover::{Identity, Opened, open_regular},
    follow::{FileNo, Followed, Vetted},
    names,
    print::{Print, tail_at},
    read::is_younger,
    rescue::{self, Needed},
    resume::near,
    trail::Past,
};
use crate::{
    ack::{End, Held, StreamId},
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
    /// From where on its bytes may be needed.
    pub(super) needed_from: u64,
    /// How long the file was.
    pub(super) len: u64,
    /// How much of it a copy has that is known already.
    pub(super) known_len: u64,
    pub(super) held: &'w [Held],
}

impl FileSource {
    /// A file is no longer what it was: it begins anew.
    pub(super) fn changed(&mut self, no: FileNo) {
        let Some(followed) = self.table.files.get(&no) else { return };
        let (path, position) = (Arc::clone(&followed.path), followed.position);
        // Since it was last known to be itself it may have become any length.
        let unread = followed.sound_len.saturating_sub(position).min(followed.unread());
        tracing::info!(path = %path.display(), "truncated or written anew: reading it from its beginning");
        let (stream, since) = (followed.stream, followed.since);
        let taker = self.copy_with_the_rest(no);
        self.release_copies(no, taker);
        match taker {
            Some(taker) => self.take_over(taker, no),
            // Whatever was copied meanwhile was not read.
            None if position == 0 && self.follow_unseen(&[Arc::clone(&path)], since, Some(no)) > 0 => {
                self.feed.ledger.with(|ledger| ledger.close_stream(stream));
            }
            None => {
                self.missed(&path, unread, "truncated before all of it was read");
                self.gone(stream);
                self.feed.ledger.with(|ledger| ledger.close_stream(stream));
            }
        }
        tracing::debug!(path = %path.display(), position, rest = taker.is_some(), "a new generation");
        self.begin_anew(no);
    }

    /// The known copy that holds all that was read, and the most beyond that.
    pub(super) fn copy_with_the_rest(&mut self, original: FileNo) -> Option<FileNo> {
        let (position, print) = self.table.files.get(&original).map(|file| (file.position, file.print))?;
        if !print.tells() {
            return None;
        }
        let mut longest: Option<(u64, FileNo)> = None;
        for no in self.copies_of(original) {
            if !self.open(no).unwrap_or(false) {
                continue;
            }
            let Some(file) = self.table.files.get(&no).and_then(|copy| copy.handle.as_ref()) else {
                continue;
            };
            let len = file.metadata().map_or(0, |metadata| metadata.len());
            if print.fits(file, position, true).unwrap_or(false)
                && longest.is_none_or(|(longest, _)| longest < len)
            {
                longest = Some((len, no));
            }
        }
        self.find_longer_copy(original, longest)
    }

    /// Files that are copies of another, as far as is known: that have not been read, at least.
    pub(super) fn copies_of(&self, original: FileNo) -> Vec<FileNo> {
        let Some([path, seen_at]) =
            self.table.files.get(&original).map(|file| [Arc::clone(&file.path), Arc::clone(&file.seen_at)])
        else {
            return Vec::new();
        };
        let related = |copy: &Path| are_kin(copy, &path) || are_kin(copy, &seen_at);
        let copy = |no: &FileNo, file: &Followed| match file.vetted {
            Vetted::CopyOf(of) if of == original => Some(*no),
            Vetted::NotYet if *no != original && file.position == 0 && related(&file.seen_at) => Some(*no),
            _ => None,
        };
        self.table.files.iter().filter_map(|(no, file)| copy(no, file)).collect()
    }

    /// A file that is not followed, but holds all that was read, and more than the copy that is known.
    fn find_longer_copy(&mut self, original: FileNo, known: Option<(u64, FileNo)>) -> Option<FileNo> {
        let followed = self.table.files.get(&original)?;
        let known_len = known.map_or(0, |(len, _)| len);
        // What is read, but not shipped, may have to be read again.
        let mark = self.feed.ledger.read(|ledger| ledger.mark(followed.stream)).unwrap_or_default();
        let held: Vec<Held> = followed.held.iter().chain(&mark.held).copied().collect();
        let (path, seen_at) = (Arc::clone(&followed.path), Arc::clone(&followed.seen_at));
        let wanted = Wanted {
            id: followed.id,
            paths: [&path, &seen_at],
            print: followed.print,
            position: followed.position,
            needed_from: mark.resume,
            len: followed.len,
            known_len,
            held: &held,
        };
        match self.find_rest(wanted).filter(|rest| rest.opened.metadata.len() > known_len) {
            Some(rest) => self.meet_rest(rest, &path),
            None => known.map(|(_, no)| no),
        }
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

    /// Looks in the folders where a file was for another that has its content up to the position. There may be no more
    /// in it, but then it is known for what it is.
    pub(super) fn find_rest(&mut self, wanted: Wanted<'_>) -> Option<Rest> {
        let mut candidates: Vec<PathBuf> = Vec::new();
        let related = |other: &PathBuf| wanted.paths.iter().any(|path| are_kin(other, path));
        for folder in near(&wanted.paths, false) {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            candidates.extend(entries.map(|entry| entry.path()).filter(related));
        }
        candidates.sort();
        candidates.dedup();
        let (packed, plain): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|path| has_gz_name(path));
        let rests: Vec<Rest> = plain.into_iter().filter_map(|path| self.rest_in(&path, wanted)).collect();
        let longest = rests.into_iter().max_by_key(|rest| rest.opened.metadata.len());
        let len = |rest: &Rest| rest.opened.metadata.len();
        if longest.as_ref().map_or(0, len).max(wanted.known_len) >= wanted.len.max(1) {
            return longest;
        }
        let unpacked = packed.into_iter().find_map(|path| self.rest_in(&path, wanted));
        match (longest, unpacked) {
            (Some(longest), Some(unpacked)) if len(&longest) >= len(&unpacked) => {
                rescue::remove(&unpacked.seen_at);
                Some(longest)
            }
            (longest, unpacked) => unpacked.or(longest),
        }
    }

    fn rest_in(&mut self, path: &Path, wanted: Wanted<'_>) -> Option<Rest> {
        let opened = open_regular(path).ok()??;
        if is_gzip(&opened.file) {
            return if self.unpacked.contains(&opened.identity) {
                None
            } else {
                self.unpack(&opened, wanted)
            };
        }
        // What is followed was asked before.
        if self.register.is_claimed(opened.identity) {
            return None;
        }
        let fits = wanted.print.fits(&opened.file, wanted.position, true).ok()?;
        fits.then_some(Rest { opened, seen_at: path.to_owned(), rescued: false })
    }

    /// Unpacks a `.gz` into the state directory, if it is the file.
    fn unpack(&mut self, gz: &Opened, wanted: Wanted<'_>) -> Option<Rest> {
        let to = rescue::path(self.settings.state_dir.as_ref()?, wanted.id);
        let needed = Needed { position: wanted.needed_from, held: wanted.held };
        let known = (wanted.print, wanted.position);
        let unpacked = rescue::unpack(&gz.file, &to, needed, known, self.settings.unlinked_bytes_max);
        match unpacked {
            Ok(Some(_)) => {
                tracing::info!(gz = %gz.real.display(), position = wanted.position, "going on inside a .gz");
                self.unpacked.insert(gz.identity);
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
        // It was made at another time than what it is a copy of.
        new.print = Print { born: None, ..print };
        (new.held, new.vetted, new.skipped) = (held, Vetted::Own, Skipped::default());
        new.facts.constants = Arc::clone(&self.no_constants);
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
        let Some(file) = self.table.files.get(&original) else { return };
        let (read_to, print, stream) = (file.position, file.print, file.stream);
        for no in self.copies_of(original) {
            let _ = self.open(no);
            let was_read = self.was_read_as(no, original).unwrap_or(false);
            let Some(copy) = self.table.files.get_mut(&no).filter(|_| Some(no) != taker) else { continue };
            let Some(file) = &copy.handle else { continue };
            let len = file.metadata().map_or(copy.len, |metadata| metadata.len());
            let fits = print.tells() && print.fits(file, read_to, true).unwrap_or(false);
            // Of one that was written to since it was looked at, it is not known whether it still is a copy.
            let is_copy = copy.vetted == Vetted::CopyOf(original) && copy.len == len;
            copy.len = len;
            if fits || is_copy || was_read {
                // What was not read of the original is in the copy that goes on with it.
                self.begin_copy(no, if taker.is_some() { u64::MAX } else { read_to }, stream);
            } else if matches!(copy.vetted, Vetted::CopyOf(_)) {
                self.read_anyway(no);
            }
        }
    }

    /// Whether one file is a copy of another that had been read beyond the copy's end.
    fn was_read_as(&self, copy: FileNo, original: FileNo) -> io::Result<bool> {
        let (Some(copy), Some(original)) = (self.table.files.get(&copy), self.table.files.get(&original))
        else {
            return Ok(false);
        };
        Ok(is_younger(copy, original.print) && original.trail.leads_through(copy.file()?, original.print)?)
    }

    /// The stream as which a new file was read, being a copy of what another was before it was truncated.
    pub(super) fn read_before_as(&self, copy: FileNo, originals: &[FileNo]) -> io::Result<Option<StreamId>> {
        let Some(copy) = self.table.files.get(&copy) else { return Ok(None) };
        for original in originals {
            let past = self.table.files.get(original).and_then(|original| original.past.as_ref());
            if let Some(past) = past.filter(|past| is_younger(copy, past.print))
                && past.trail.leads_through(copy.file()?, past.print)?
            {
                return Ok(Some(past.stream));
            }
        }
        Ok(None)
    }

    /// What was taken for a copy is none.
    pub(super) fn read_anyway(&mut self, no: FileNo) {
        let Some(followed) = self.table.files.get_mut(&no) else { return };
        followed.vetted = Vetted::Own;
        self.register.add(followed.stream, followed.entry());
        self.table.make_ready(no);
    }

    /// A copy of which everything up to a position has been read elsewhere, as that stream.
    pub(super) fn begin_copy(&mut self, no: FileNo, read_to: u64, after: StreamId) {
        let Some(copy) = self.table.files.get_mut(&no) else { return };
        let Some(file) = &copy.handle else { return };
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
        self.register.hide(own);
        self.unsaved_copies.push((no, after));
        self.table.make_ready(no);
    }

    /// Copies of files whose shipping is complete are known from now on; until then the next start may need them.
    pub(super) fn save_copies(&mut self) {
        let Self { unsaved_copies, feed, register, table, .. } = self;
        unsaved_copies.retain(|(no, after)| {
            let Some(copy) = table.files.get(no) else { return false };
            let mark = feed.ledger.read(|ledger| ledger.mark(*after));
            let shipped = mark.is_none_or(|mark| mark.resume >= copy.position);
            if shipped {
                register.add(copy.stream, copy.entry());
            }
            !shipped
        });
    }

    /// A file's next generation: what is in it now is new.
    fn begin_anew(&mut self, no: FileNo) {
        let Some(followed) = self.table.files.get_mut(&no) else { return };
        followed.generation += 1;
        let metadata = followed.handle.as_ref().and_then(|file| file.metadata().ok());
        let (print, trail) = (followed.print, std::mem::take(&mut followed.trail));
        followed.past = Some(Box::new(Past { print, trail, stream: followed.stream }));
        followed.print = Print { born: metadata.as_ref().and_then(super::print::born), ..Print::default() };
        followed.id = file_id(followed.identity, followed.generation, followed.print.born);
        followed.len = metadata.map_or(0, |metadata| metadata.len());
        followed.since = SystemTime::now();
        followed.sound_len = 0;
        followed.held.clear();
        (followed.position, followed.skipped, followed.at_end) = (0, Skipped::default(), false);
        (followed.nuls_to, followed.vetted) = (0, Vetted::NotYet);
        followed.facts.constants = Arc::clone(&self.no_constants);
        followed.stream = self.feed.ledger.with(|ledger| ledger.open_stream(End::default()));
        followed.facts.stream = followed.stream;
        self.register.add(followed.stream, followed.entry());
        if self.loaded == Some(no) {
            self.loaded = None;
        }
        self.table.make_ready(no);
    }

    /// What was read of a stream can't be read again.
    pub(super) fn gone(&mut self, stream: StreamId) {
        self.register.gone(stream);
        self.truncated.push(stream);
        self.feed.ledger.read(|ledger| self.truncated.retain(|stream| ledger.holds(*stream)));
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
fn are_kin(path: &Path, origin: &Path) -> bool {
    match (path.file_name(), origin.file_name()) {
        (Some(name), Some(origin)) => names::are_kin(name.as_encoded_bytes(), origin.as_encoded_bytes()),
        _ => false,
    }
}

fn has_gz_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// Whether a file is compressed.
pub(super) fn is_gzip(file: &File) -> bool {
    let mut magic = [0; 2];
    super::print::read_full(file, &mut magic, 0).is_ok_and(|read| read == 2) && magic == [0x1f, 0x8b]
}
