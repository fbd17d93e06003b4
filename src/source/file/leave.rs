//! Leaving files: those that were renamed or deleted are read to their end and let go of, but not before all of them
//! is shipped; what would be out of reach after a stop is copied into the state directory.
//!
//! Invariant: a file whose bytes may still be needed is let go of only when too many such files are held, and then
//! what is lost is counted.

use std::sync::Arc;

use tokio::time::{Duration, Instant};

use super::{
    FileSource,
    discover::where_is,
    follow::{FileNo, Followed, Vetted},
    read::{QUIET, is_quiet},
    rescue::{self, Needed},
};
use crate::{ack::End, checkpoint::Identity};

/// A deleted file is let go of when nobody has written to it for so long.
const QUIET_UNLINKED: Duration = Duration::from_secs(30);
/// A deleted file that is not shipped after so long is copied, if it is small.
const RESCUED_AFTER: Duration = Duration::from_secs(1);
/// So much of a deleted file is copied as soon as that is noticed, and not only at a stop.
const RESCUED_AT_ONCE_BYTES_MAX: u64 = 1024 * 1024;

impl FileSource {
    /// Sees to the files that are about to be let go of, and to lines in the making that were waited for long enough.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        let due: Vec<FileNo> =
            self.partials.iter().filter(|(_, at)| **at <= now).map(|(no, _)| *no).collect();
        due.into_iter().for_each(|no| self.table.make_ready(no));
        for no in self.leaving.iter().copied().collect::<Vec<_>>() {
            self.see_off(no, now);
        }
        self.let_go_of_the_oldest();
        self.save_copies();
    }

    /// When the tick is due, if it is at `at` for the files that leave.
    pub(super) fn next_tick(&self, at: Instant) -> Instant {
        let waits = |no: &FileNo| self.table.files.get(no).is_some_and(|followed| !followed.queued);
        let partials = self.partials.iter().filter(|(no, _)| waits(no)).map(|(_, at)| *at);
        partials.min().map_or(at, |partial| partial.min(at))
    }

    fn see_off(&mut self, no: FileNo, now: Instant) {
        let Some(followed) = self.table.files.get_mut(&no) else {
            self.leaving.remove(&no);
            return;
        };
        if let Vetted::CopyOf(original) = followed.vetted {
            return self.settle_copy(no, original, now);
        }
        let Some(file) = &followed.handle else {
            // It rests under a name that the source does not read, or under none.
            if self.table.has_name(no) {
                self.leaving.remove(&no);
            } else {
                self.table.make_ready(no);
            }
            return;
        };
        if followed.is_current() {
            self.leaving.remove(&no);
            return;
        }
        if followed.vetted == Vetted::Refused {
            return self.let_go(no);
        }
        let len = file.metadata().map_or(followed.len, |metadata| metadata.len());
        let unfinished = followed.unread() > 0 && is_quiet(followed, now);
        if len != followed.len || !followed.at_end || unfinished || followed.has_nuls() {
            return self.table.make_ready(no);
        }
        if followed.queued || followed.unread() > 0 {
            return;
        }
        let quiet = now.duration_since(followed.stirred);
        let (rescued, unlinked, stream) = (followed.rescued, followed.is_unlinked(), followed.stream);
        let open = self.feed.ledger.read(|ledger| ledger.is_open(stream));
        if rescued && !open {
            self.let_go(no);
        } else if unlinked && !rescued {
            if open && followed.saved_len != Some(followed.len) && quiet >= RESCUED_AFTER {
                self.rescue(no, RESCUED_AT_ONCE_BYTES_MAX);
            } else if !open && quiet >= QUIET_UNLINKED {
                self.let_go(no);
            }
        } else if !rescued && !open && quiet >= QUIET {
            self.rest_elsewhere(no);
        }
    }

    /// A copy that does not change any more, of which everything has been read in the original, is done.
    fn settle_copy(&mut self, no: FileNo, original: FileNo, now: Instant) {
        let _ = self.open(no);
        let Some(copy) = self.table.files.get_mut(&no) else { return };
        let len = copy.handle.as_ref().and_then(|file| file.metadata().ok()).map(|metadata| metadata.len());
        if len.is_some_and(|len| len != copy.len) {
            copy.stirred = now;
            return self.table.make_ready(no);
        }
        let (len, quiet) = (copy.len, now.duration_since(copy.stirred) >= QUIET);
        let Some(original) = self.table.files.get(&original) else { return };
        if quiet && original.position >= len {
            let stream = original.stream;
            let _ = self.vet(no);
            if self.table.files.get(&no).is_some_and(|copy| matches!(copy.vetted, Vetted::CopyOf(_))) {
                self.begin_copy(no, len, stream);
            }
        }
    }

    /// A file that was renamed is closed; should it be written to once more, it is opened again.
    fn rest_elsewhere(&mut self, no: FileNo) {
        let Some(path) = self.table.files.get(&no).and_then(|followed| where_is(followed.handle.as_ref()?))
        else {
            return;
        };
        if self.table.of_name(&path) != Some(no) {
            self.named(no, &path, self.discovery.matches(&path));
        }
        tracing::debug!(path = %path.display(), "a renamed file is read to its end");
        self.close(no);
        self.leaving.remove(&no);
    }

    /// A file can't be found any more; what it held beyond what was read may be in a copy, or is lost.
    pub(super) fn lost(&mut self, no: FileNo) {
        let Some(followed) = self.table.files.get(&no) else { return };
        let (path, unread, stream) = (Arc::clone(&followed.path), followed.unread(), followed.stream);
        let closed = followed.handle.is_none() && followed.vetted == Vetted::Own && !followed.rescued;
        match closed.then(|| self.copy_with_the_rest(no)).flatten() {
            Some(taker) => {
                self.release_copies(no, Some(taker));
                self.take_over(taker, no);
                // Its stream and its id are the other's now.
                let stream = self.feed.ledger.with(|ledger| ledger.open_stream(End::default()));
                if let Some(followed) = self.table.files.get_mut(&no) {
                    (followed.stream, followed.id) = (stream, 0);
                }
            }
            None => {
                self.missed(&path, unread, "deleted before all of it was read");
                self.gone(stream);
            }
        }
        self.let_go(no);
    }

    /// Forgets a file.
    fn let_go(&mut self, no: FileNo) {
        self.release_copies(no, None);
        self.close(no);
        self.leaving.remove(&no);
        self.partials.remove(&no);
        let Some(followed) = self.table.remove(no) else { return };
        tracing::debug!(path = %followed.path.display(), "let go");
        self.feed.ledger.with(|ledger| ledger.close_stream(followed.stream));
        self.register.release(followed.identity);
        if let Some(dir) = &self.settings.state_dir {
            rescue::remove(&rescue::path(dir, followed.id));
        }
    }

    /// Deleted files take room on the disk as long as they are open: not too many, and not too large ones.
    fn let_go_of_the_oldest(&mut self) {
        let unlinked =
            |no: &FileNo| self.table.files.get(no).is_some_and(|file| !file.rescued && file.is_unlinked());
        let held: Vec<FileNo> = self.leaving.iter().copied().filter(unlinked).collect();
        let len = |no: &FileNo| self.table.files.get(no).map_or(0, |file| file.len);
        let mut held: Vec<(bool, FileNo, u64)> =
            held.iter().map(|no| (self.is_needed(*no), *no, len(no))).collect();
        let (mut files, mut bytes) = (held.len(), held.iter().map(|(_, _, len)| len).sum::<u64>());
        // Those that are shipped come first, then the oldest.
        held.sort_unstable();
        for (_, no, len) in held {
            if files <= self.settings.unlinked_files_max && bytes <= self.settings.unlinked_bytes_max {
                break;
            }
            (files, bytes) = (files - 1, bytes - len);
            self.lost(no);
        }
    }

    /// Whether something of a file is not shipped yet.
    fn is_needed(&self, no: FileNo) -> bool {
        self.table.files.get(&no).is_some_and(|followed| {
            followed.unread() > 0 || self.feed.ledger.read(|ledger| ledger.is_open(followed.stream))
        })
    }

    /// Copies what is not shipped of a deleted file into the state directory; from then on the checkpoint leads there.
    fn rescue(&mut self, no: FileNo, bytes_max: u64) -> bool {
        let (Some(dir), Some(followed)) = (&self.settings.state_dir, self.table.files.get_mut(&no)) else {
            return false;
        };
        let Some(mark) = self.feed.ledger.read(|ledger| ledger.mark(followed.stream)) else { return true };
        let Ok(file) = followed.file() else { return false };
        let to = rescue::path(dir, followed.id);
        let needed = Needed { position: mark.resume, held: &mark.held };
        match rescue::copy(file, &to, needed, bytes_max) {
            Ok(Some(copy)) => {
                followed.saved_len = Some(followed.len);
                let identity = copy.metadata().ok().map(|metadata| Identity::of(&metadata));
                self.register.update(followed.stream, |entry| {
                    (entry.rescued, entry.seen_at) = (true, to.into());
                    entry.identity = identity.unwrap_or(entry.identity);
                });
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::error!(path = %followed.path.display(), %error, "the rest of a deleted file can't be saved");
                false
            }
        }
    }

    /// The agent stops: what could not be read again by the next start is saved, or else counted.
    pub(super) async fn end(&mut self) {
        let unlinked = |file: &Followed| !file.rescued && file.is_unlinked();
        let unlinked: Vec<FileNo> =
            self.table.files.iter().filter(|(_, file)| unlinked(file)).map(|(no, _)| *no).collect();
        let mut bytes_left = self.settings.unlinked_bytes_max;
        for no in unlinked {
            let Some(followed) = self.table.files.get_mut(&no) else { continue };
            // It may have been written to until now.
            let len =
                followed.handle.as_ref().and_then(|file| file.metadata().ok()).map(|metadata| metadata.len());
            followed.len = len.unwrap_or(followed.len);
            if followed.is_itself().unwrap_or(true) {
                self.vet_early(no);
            } else {
                self.changed(no);
            }
            let Some(followed) = self.table.files.get(&no) else { continue };
            let (stream, path, unread) = (followed.stream, Arc::clone(&followed.path), followed.unread());
            let saved = followed.saved_len == Some(followed.len);
            let open = self.feed.ledger.read(|ledger| ledger.is_open(stream));
            if saved || (unread == 0 && !open) {
                self.keep_copies(no);
            } else if self.rescue(no, bytes_left) {
                bytes_left = bytes_left.saturating_sub(unread);
                self.keep_copies(no);
            } else {
                self.missed(&path, unread, "deleted, and its rest does not fit the state directory");
                self.gone(stream);
            }
        }
        self.settle_copies();
        self.save_copies();
        self.end_unreachable().await;
    }

    /// Copies of what is shipped are known from now on: the next start may not find the original.
    fn settle_copies(&mut self) {
        let copies: Vec<(FileNo, FileNo)> =
            self.leaving.iter().filter_map(|no| self.copy_and_original(*no)).collect();
        for (no, original) in copies {
            let _ = self.vet(no);
            if self.copy_and_original(no) != Some((no, original)) {
                continue;
            }
            let (Some(copy), Some(original)) = (self.table.files.get(&no), self.table.files.get(&original))
            else {
                continue;
            };
            let (len, stream) = (copy.len, original.stream);
            let mark = self.feed.ledger.read(|ledger| ledger.mark(stream));
            if mark.is_some_and(|mark| mark.resume >= len) {
                self.begin_copy(no, len, stream);
            }
        }
    }

    fn copy_and_original(&self, no: FileNo) -> Option<(FileNo, FileNo)> {
        match self.table.files.get(&no)?.vetted {
            Vetted::CopyOf(original) => Some((no, original)),
            _ => None,
        }
    }

    /// What a file's copies hold is shipped or kept, and the file is gone: they are known from now on.
    fn keep_copies(&mut self, original: FileNo) {
        for no in self.copies_of(original) {
            // It may have been written to since it was looked at.
            let _ = self.vet(no);
            let Some(copy) = self.table.files.get(&no) else { continue };
            if copy.vetted == Vetted::CopyOf(original) {
                let stream = copy.stream;
                self.begin_copy(no, u64::MAX, stream);
            }
        }
    }
}
