//! One file that is followed: its descriptor, what it is known by, and how far it has been read.
//!
//! Everything is asked of the open descriptor, never of the name, which may mean another file by now. The descriptor
//! may be closed while there is nothing to read: whoever opens it again checks that it is still the same file.

use std::{
    collections::VecDeque, fs::File, io, os::unix::fs::MetadataExt, path::Path, sync::Arc, time::SystemTime,
};

use tokio::time::Instant;

use super::{
    discover::Identity,
    nuls::{self, Nuls},
    print::{Print, before, read_full},
    trail::{Past, Trail},
};
use crate::{
    ack::{End, Held, StreamId},
    checkpoint::Entry,
    clock,
    frame::{BEFORE_BYTES, CHUNK_BYTES, LineBuffer, Skipped},
    pass::StreamFacts,
};

/// A file that is followed, in a source's own numbering: a later one has a higher number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileNo(pub(super) u32);

/// What a file's first bytes have told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vetted {
    /// Nothing yet: it may be empty.
    NotYet,
    /// It so far holds what another file holds, too, which has the name that its own was made from.
    CopyOf(FileNo),
    /// It is to be read.
    Own,
    /// It can't be read as text.
    Refused,
}

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    /// `log.file.id`.
    pub(super) id: u64,
    /// Where it was first seen.
    pub(super) path: Arc<Path>,
    /// Where it was last seen.
    pub(super) seen_at: Arc<Path>,
    pub(super) identity: Identity,
    pub(super) generation: u32,
    /// Its stream in the ledger.
    pub(super) stream: StreamId,
    /// The start of the first line not yet taken.
    pub(super) position: u64,
    /// What was read past inside a line over the cap.
    pub(super) skipped: Skipped,
    /// What it is known by at its position.
    pub(super) print: Print,
    /// How long it was when last looked at, and whether all of that has been read.
    pub(super) len: u64,
    pub(super) at_end: bool,
    /// How long it was when it was last known to be itself.
    pub(super) sound_len: u64,
    /// When it last had something new, or was last renamed.
    pub(super) stirred: Instant,
    /// Since when this generation of it is followed.
    pub(super) since: SystemTime,
    pub(super) vetted: Vetted,
    /// How many names lead to it that the source reads.
    pub(super) names: u32,
    /// Whether it is a copy in the state directory.
    pub(super) rescued: bool,
    /// Whether it waits for its turn.
    pub(super) queued: bool,
    /// Lines before its position that joins held when the agent stopped, to be passed first.
    pub(super) held: VecDeque<Held>,
    /// What its events have in common; the constants only from its first chunk on, while it is open.
    pub(super) facts: StreamFacts,
    /// How much of it is in its copy in the state directory, if there is one.
    pub(super) saved_len: Option<u64>,
    /// Up to where nothing but NULs was found after its position.
    pub(super) nuls_to: u64,
    pub(super) handle: Option<File>,
    /// How it was read, while it is open.
    pub(super) trail: Trail,
    /// What it was before it was truncated last.
    pub(super) past: Option<Box<Past>>,
}

/// What came of reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// So many bytes; 0 at the end.
    Bytes(usize),
    /// It has lost bytes that were read but not taken: they are to be read again.
    Shrunk,
    /// The file is no longer what it was: it was truncated, or replaced by another.
    Changed,
}

impl Followed {
    /// How far it was read.
    pub(super) const fn end(&self) -> End {
        End { position: self.position, tail: self.print.tail }
    }

    /// What a checkpoint says of it, but for the ledger's mark.
    pub(super) fn entry(&self) -> Entry {
        Entry {
            id: self.id,
            path: Arc::clone(&self.path),
            seen_at: Arc::clone(&self.seen_at),
            identity: self.identity,
            generation: self.generation,
            born: self.print.born,
            head: self.print.head,
            tail: None,
            resume: 0,
            size: self.len,
            rescued: self.rescued,
            held: Vec::new(),
        }
    }

    /// The open file.
    ///
    /// # Errors
    /// When it is closed: that is the caller's mistake.
    pub(super) fn file(&self) -> io::Result<&File> {
        self.handle.as_ref().ok_or_else(|| io::Error::other("the file is closed"))
    }

    /// Whether it is still what it was at its position.
    ///
    /// # Errors
    /// When it can't be read.
    pub(super) fn is_itself(&self) -> io::Result<bool> {
        if self.rescued {
            return Ok(true);
        }
        self.print.fits(self.file()?, self.position, false)
    }

    /// Makes `buffer` hold this file's bytes from its position on; `false` if it is no longer the file that it was.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(super) fn load(&self, buffer: &mut LineBuffer) -> io::Result<bool> {
        if !self.is_itself()? {
            return Ok(false);
        }
        let file = self.file()?;
        let mut room = [0; BEFORE_BYTES];
        let known = before(file, self.position, &mut room)?.unwrap_or_default();
        buffer.restore(self.position, known, self.skipped, |room, at| read_full(file, room, at))?;
        Ok(true)
    }

    /// Reads the next bytes into `buffer`, but no NULs that may still be written over.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(super) fn fill(&mut self, buffer: &mut LineBuffer) -> io::Result<Filled> {
        let (mut room, at) = ([0; BEFORE_BYTES], buffer.read_position());
        let known = &mut room[..buffer.last_read().len()];
        known.copy_from_slice(buffer.last_read());
        let Self { handle, nuls_to, .. } = self;
        let Some(file) = handle.as_ref() else { return Ok(Filled::Bytes(0)) };
        let read = buffer.fill(|room, at| nuls::read(file, room, at, nuls_to))?;
        let metadata = self.file()?.metadata()?;
        // Asked after reading: whoever truncates a file writes to it anew, and that must not pass for what goes on.
        let is_same = self.rescued || (metadata.len() >= at && self.still_has(known, at)?);
        if !is_same {
            if !self.is_itself()? {
                return Ok(Filled::Changed);
            }
            // What was read past is no longer there.
            self.skipped = Skipped::default();
            return Ok(Filled::Shrunk);
        }
        self.sound_len = metadata.len();
        if metadata.len() != self.len {
            self.len = metadata.len();
            self.stirred = Instant::now();
        }
        if read > 0 {
            self.facts.date = metadata.modified().ok().map(clock::of);
        }
        Ok(Filled::Bytes(read))
    }

    /// Whether the bytes that were read right before a position are still there.
    fn still_has(&self, known: &[u8], at: u64) -> io::Result<bool> {
        // A few bytes may well be the same in what was written anew.
        if known.len() < BEFORE_BYTES && !self.is_itself()? {
            return Ok(false);
        }
        let mut room = [0; BEFORE_BYTES];
        let there = &mut room[..known.len()];
        let read = read_full(self.file()?, there, at - known.len() as u64)?;
        Ok(read == known.len() && there == known)
    }

    /// What follows its position, if that is NULs.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(super) fn nuls(&mut self) -> io::Result<Nuls> {
        let (position, mut to) = (self.position, self.nuls_to);
        let nuls = nuls::at(self.file()?, position, &mut to)?;
        self.nuls_to = to;
        Ok(nuls)
    }

    /// Makes `buffer` hold a line that was read before; `false` if it is no longer there.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(super) fn load_held(&self, held: Held, buffer: &mut LineBuffer) -> io::Result<bool> {
        let end = held.position + u64::from(held.len);
        let file = self.file()?;
        buffer.reset(held.position, &[]);
        while buffer.read_position() < end && !buffer.has_line() {
            let read = buffer.fill(|room, at| {
                let left = usize::try_from(end - at).unwrap_or(usize::MAX).min(room.len()).min(CHUNK_BYTES);
                read_full(file, &mut room[..left], at)
            })?;
            if read == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes over where the buffer is; answers whether that is news for the checkpoint.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(super) fn taken(&mut self, buffer: &LineBuffer) -> io::Result<bool> {
        self.skipped = buffer.skipped();
        if self.position == buffer.position() {
            return Ok(false);
        }
        self.position = buffer.position();
        self.print.tail = buffer.before().map(crc32fast::hash);
        self.trail.pass(self.position, buffer.taken());
        let (position, mut print) = (self.position, self.print);
        print.learn_head(self.file()?, position)?;
        self.print = print;
        Ok(true)
    }

    /// Whether no name leads to it any more; not known of a closed file.
    pub(super) fn is_unlinked(&self) -> bool {
        let handle = self.handle.as_ref();
        handle.and_then(|file| file.metadata().ok()).is_some_and(|metadata| metadata.nlink() == 0)
    }

    /// Whether it goes on with NULs that may have been written over meanwhile, which its length does not tell.
    pub(super) const fn has_nuls(&self) -> bool {
        self.nuls_to > self.position
    }

    /// Bytes that are to be taken and were not yet.
    pub(super) const fn unread(&self) -> u64 {
        match self.vetted {
            Vetted::CopyOf(_) | Vetted::Refused => 0,
            _ if self.has_nuls() => 0,
            Vetted::NotYet | Vetted::Own => self.len.saturating_sub(self.position),
        }
    }

    /// Whether a name that the source reads leads to it.
    pub(super) const fn is_current(&self) -> bool {
        self.names > 0
    }
}
