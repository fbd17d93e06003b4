//! Reading: whose turn it is, and what a chunk of a file becomes.
//!
//! Takes a reservation of flow bytes, gives one pass over one chunk. Before a file's first chunk, and each time that the
//! buffer comes to it, it is checked whether it is what it is taken for.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use tokio::time::{Duration, Instant};

use super::{
    FileSource, constants,
    follow::{FileNo, Filled, Followed, Vetted},
    names,
    nuls::Nuls,
    print::{Print, begin_alike, read_full},
};
use crate::{ack::Passed, budget::Reservation};

/// How many chunks a file may be read before others get their turn.
const CHUNKS_PER_TURN: usize = 16;
/// Nobody has written to a file for so long that lost its name: its last line is as it will be.
pub(super) const QUIET: Duration = Duration::from_secs(5);
/// How many bytes tell UTF-16.
const ENCODING_BYTES: usize = 64;

impl FileSource {
    /// Reads and passes one chunk of the file whose turn it is.
    pub(super) async fn read(&mut self, reservation: Reservation) {
        let Some(no) = self.table.next_ready() else { return };
        self.feed.gave_to_held = false;
        let before = self.table.files.get(&no).map(|followed| followed.position);
        match self.chunk(no, reservation).await {
            Ok(_) if self.feed.gave_to_held => {
                self.chunks_in_turn = 0;
                self.table.park(no);
                // Its joins wait, too: what follows is there.
                self.pause_clocks();
            }
            Ok(true) => {
                self.chunks_in_turn += 1;
                let after = self.table.files.get(&no).map(|followed| followed.position);
                // A line that does not fit a turn is begun again in the next, unless its head is full.
                let got_on = before != after || !self.buffer.skipped().is_none();
                if self.chunks_in_turn >= CHUNKS_PER_TURN && got_on {
                    self.chunks_in_turn = 0;
                    self.table.make_ready(no);
                } else {
                    self.table.ready_first(no);
                }
            }
            Ok(false) => {
                self.chunks_in_turn = 0;
                self.rests(no);
            }
            Err(error) => {
                self.loaded = None;
                // Its joins wait, too: what follows may be there and can't be read.
                self.pause_clocks();
                if let Some(followed) = self.table.files.get(&no) {
                    tracing::error!(path = %followed.seen_at.display(), %error, "can't be read, trying again in 10 s");
                }
            }
        }
    }

    /// Answers whether there may be more to read.
    async fn chunk(&mut self, no: FileNo, reservation: Reservation) -> io::Result<bool> {
        if !self.open(no)? {
            self.lost(no);
            return Ok(false);
        }
        if !self.vet(no)? {
            return Ok(false);
        }
        self.tell_constants(no);
        if self.table.files.get(&no).is_some_and(|followed| !followed.held.is_empty()) {
            return self.recover(no, reservation).await;
        }
        if !self.load(no)? {
            return Ok(true);
        }
        self.pass(no, reservation).await
    }

    /// Most files have nothing to read most of the time: what their events have in common is not kept for them.
    fn tell_constants(&mut self, no: FileNo) {
        let Some(followed) = self.table.files.get_mut(&no) else { return };
        if Arc::ptr_eq(&followed.facts.constants, &self.no_constants) {
            followed.facts.constants = constants(&self.settings, &self.feed, &followed.path, followed.id);
        }
    }

    /// Has the buffer hold a line of the file, or all that it goes on with; `false` if that has to be begun again.
    fn load(&mut self, no: FileNo) -> io::Result<bool> {
        let Self { feed, buffer, table, loaded, partials, .. } = self;
        let Some(followed) = table.files.get_mut(&no) else { return Ok(false) };
        if *loaded != Some(no) {
            *loaded = None;
            if !followed.load(buffer)? {
                self.changed(no);
                return Ok(false);
            }
            *loaded = Some(no);
        }
        followed.at_end = false;
        if buffer.has_line() {
            return Ok(true);
        }
        match followed.fill(buffer)? {
            Filled::Bytes(0) => followed.at_end = true,
            // There was nothing when it was asked what it is; what is there now may be a copy.
            Filled::Bytes(_) if followed.vetted == Vetted::NotYet => {
                *loaded = None;
                return Ok(false);
            }
            Filled::Bytes(_) => drop(partials.remove(&no)),
            Filled::Shrunk => {
                *loaded = None;
                return Ok(false);
            }
            Filled::Changed => {
                self.changed(no);
                return Ok(false);
            }
        }
        if buffer.begins_with_nul() && pass_over_nuls(feed, followed)? {
            *loaded = None;
            return Ok(false);
        }
        Ok(true)
    }

    /// Passes what the buffer holds of a file; answers whether there may be more to read.
    async fn pass(&mut self, no: FileNo, reservation: Reservation) -> io::Result<bool> {
        let is_newest = self.table.is_newest(no);
        let Self { feed, buffer, table, partials, .. } = self;
        let Some(followed) = table.files.get_mut(&no) else { return Ok(false) };
        let Some(lineage) = table.lineages.get_mut(&followed.facts.lineage) else { return Ok(false) };
        let now = Instant::now();
        if is_newest && followed.at_end {
            lineage.clock.at_end(now.into_std());
        } else {
            lineage.clock.pause(now.into_std());
        }
        let elapsed_ms = lineage.clock.elapsed_ms();
        let mut more = !followed.at_end;
        if buffer.has_line() {
            feed.lines(buffer, &followed.facts, elapsed_ms, reservation).await;
        } else if followed.at_end {
            let is_last = self.settings.once || is_quiet(followed, now);
            let waited = match self.settings.partial_timeout.filter(|_| !buffer.is_empty()) {
                Some(timeout) => now >= *partials.entry(no).or_insert(now + timeout),
                None => false,
            };
            if (is_last || waited) && !buffer.is_empty() {
                feed.unfinished_line(buffer, &followed.facts, elapsed_ms, reservation).await;
                partials.remove(&no);
                more = true;
            } else if is_newest {
                more = feed.expire(&followed.facts, followed.end(), elapsed_ms, reservation).await;
            }
        }
        if followed.taken(buffer)? {
            let (head, size) = (followed.print.head, followed.len);
            self.register.update(followed.stream, |entry| (entry.head, entry.size) = (head, size));
        }
        Ok(more)
    }

    /// Asks a new file's first bytes what it is; answers whether to read it.
    pub(super) fn vet(&mut self, no: FileNo) -> io::Result<bool> {
        let Some(followed) = self.table.files.get_mut(&no) else { return Ok(false) };
        match followed.vetted {
            Vetted::Own => return Ok(true),
            Vetted::Refused => return Ok(false),
            Vetted::NotYet | Vetted::CopyOf(_) => {}
        }
        let mut first = [0; ENCODING_BYTES];
        let read = read_full(followed.file()?, &mut first, 0)?;
        followed.len = followed.file()?.metadata()?.len();
        if read == 0 {
            return Ok(true);
        }
        if let Some((what, why)) = refusal(&first[..read]) {
            (followed.vetted, followed.at_end) = (Vetted::Refused, true);
            self.register.hide(followed.stream);
            let path = Arc::clone(&followed.path);
            self.discovery.say_once(&path, what, why);
            return Ok(false);
        }
        let originals = self.possible_originals(no);
        if let Some(original) = self.original_among(no, &originals)? {
            let Some(followed) = self.table.files.get_mut(&no) else { return Ok(false) };
            // What became of the original may just have told more.
            if matches!(followed.vetted, Vetted::NotYet | Vetted::CopyOf(_)) {
                tracing::debug!(path = %followed.path.display(), "is a copy so far");
                followed.vetted = Vetted::CopyOf(original);
                // The next start is to find it as what is left of the original, should that be gone then.
                self.register.hide(followed.stream);
                followed.at_end = true;
                self.leaving.insert(no);
            }
            return Ok(followed.vetted == Vetted::Own);
        }
        if self.table.files.get(&no).is_some_and(|followed| followed.vetted == Vetted::NotYet)
            && let Some(stream) = self.read_before_as(no, &originals)?
        {
            self.begin_copy(no, u64::MAX, stream);
        }
        if let Some(followed) =
            self.table.files.get_mut(&no).filter(|followed| followed.vetted != Vetted::Own)
        {
            followed.vetted = Vetted::Own;
            self.register.add(followed.stream, followed.entry());
        }
        Ok(true)
    }

    /// The file that this one is a copy of, as far as it goes.
    fn original_among(&mut self, no: FileNo, candidates: &[FileNo]) -> io::Result<Option<FileNo>> {
        for original in candidates {
            if self.is_copy(no, *original)? {
                return Ok(Some(*original));
            }
        }
        Ok(None)
    }

    /// The files that have, or had, a name that this one's may have been made from.
    fn possible_originals(&self, no: FileNo) -> Vec<FileNo> {
        let Some(followed) = self.table.files.get(&no) else { return Vec::new() };
        if let Vetted::CopyOf(original) = followed.vetted {
            return vec![original];
        }
        let mut originals = Vec::new();
        for path in names::origin_paths(&followed.seen_at) {
            originals.extend(self.table.of_name(&path));
            let lineage = self.lineage_of.get(&*path).and_then(|id| self.table.lineages.get(id));
            originals.extend(lineage.into_iter().flat_map(|lineage| lineage.files.iter().rev()));
        }
        originals.retain(|original| *original != no);
        originals
    }

    /// Whether all that a file holds is what another holds, too, and it was not made before that.
    fn is_copy(&mut self, no: FileNo, original: FileNo) -> io::Result<bool> {
        if !self.open(original)? || !self.open(no)? {
            return Ok(false);
        }
        let is_copy = self.holds_the_same(no, original)?;
        // What the original was may be what the copy holds. Asked last: it may have been emptied just now.
        if self.table.files.get(&original).is_some_and(|original| !original.is_itself().unwrap_or(true)) {
            self.changed(original);
            return Ok(false);
        }
        Ok(is_copy)
    }

    fn holds_the_same(&self, copy: FileNo, original: FileNo) -> io::Result<bool> {
        let (Some(copy), Some(original)) = (self.table.files.get(&copy), self.table.files.get(&original))
        else {
            return Ok(false);
        };
        if matches!(original.vetted, Vetted::CopyOf(_) | Vetted::Refused) {
            return Ok(false);
        }
        let is_younger = is_younger(copy, original.print);
        let (copy, original) = (copy.file()?, original.file()?);
        let fits = copy.metadata()?.len() <= original.metadata()?.len();
        Ok(is_younger && fits && begin_alike(copy, original)? == Some(true))
    }
}

/// Whether a file was made later than another, as far as is known.
pub(super) fn is_younger(copy: &Followed, original: Print) -> bool {
    match (copy.print.born, original.born) {
        (Some(copy), Some(original)) => copy >= original,
        _ => true,
    }
}

/// Whether nobody writes to a file any more.
pub(super) fn is_quiet(followed: &Followed, now: Instant) -> bool {
    followed.rescued || (!followed.is_current() && now.duration_since(followed.stirred) >= QUIET)
}

/// Goes on behind the NULs that a file goes on with; `false` if there is nothing behind them yet.
fn pass_over_nuls(feed: &crate::source::Feed, followed: &mut Followed) -> io::Result<bool> {
    let Nuls::Until(end) = followed.nuls()? else { return Ok(false) };
    let count = end - followed.position;
    tracing::warn!(
        path = %followed.path.display(), position = followed.position, bytes = count,
        "NULs where a line should begin: skipped"
    );
    feed.metrics.nul_bytes.fetch_add(count, Ordering::Relaxed);
    followed.position = end;
    followed.print.tail = super::print::tail_at(followed.file()?, end)?;
    feed.ledger.with(|ledger| ledger.open_span(followed.stream, followed.end(), Passed::default(), &[]));
    Ok(true)
}

/// What can't be read as text, and what to do.
fn refusal(first: &[u8]) -> Option<(&'static str, &'static str)> {
    let pairs = || first.chunks_exact(2);
    let wide = first.len() >= 16
        && (pairs().all(|pair| pair[0] != 0 && pair[1] == 0)
            || pairs().all(|pair| pair[0] == 0 && pair[1] != 0));
    if wide || first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
        return Some(("is UTF-16", "not read: have it written as UTF-8"));
    }
    let why = "not read: of compressed files only the rest of one that was being followed is";
    first.starts_with(&[0x1f, 0x8b]).then_some(("is compressed", why))
}
