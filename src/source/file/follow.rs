//! One file that is followed: its descriptor, its identity, and how far it has been read.
//!
//! Everything is asked of the open descriptor, never of the name, which may mean another file by now.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::discover::Identity;
use crate::{
    ack::{Held, StreamId},
    checkpoint::FileKey,
    clock,
    encode::Constants,
    frame::{LineBuffer, Skipped},
    pass::StreamFacts,
};

/// What has become of a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// It still leads here.
    Current,
    /// It leads elsewhere or nowhere: the file was rotated away. It is read to its end, then let go once it has
    /// been quiet for a while.
    Gone {
        /// How many reconciles in a row have found nothing new in it.
        quiet_ticks: u8,
    },
}

impl Name {
    /// Rotated away just now.
    pub const GONE: Self = Self::Gone { quiet_ticks: 0 };
}

/// A file that is followed.
#[derive(Debug)]
pub struct Followed {
    /// Where it was first seen.
    pub path: PathBuf,
    /// Where it was last seen: a rename within the patterns leaves it followed.
    pub seen_at: PathBuf,
    /// Which file and which generation of it.
    pub key: FileKey,
    /// Its stream in the ledger.
    pub stream: StreamId,
    /// The start of the first line not yet taken.
    pub position: u64,
    /// What was read past inside a line over the cap.
    pub skipped: Skipped,
    /// Whether all that there was has been read.
    pub at_end: bool,
    /// Whether its name still leads here.
    pub name: Name,
    /// The stream that had the name before, to be read to its end first.
    pub predecessor: Option<StreamId>,
    /// Lines before its position that joins held when the agent stopped, to be passed first.
    pub held: VecDeque<Held>,
    /// What its events have in common.
    pub facts: StreamFacts,
    file: File,
}

/// What a look at an open file's size tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// There is, or may come, more.
    Grows,
    /// It has become shorter than what was read: it begins anew.
    Truncated,
}

impl Followed {
    /// Opens a file for reading. Answers who it is, too.
    ///
    /// # Errors
    /// When it can't be opened, or is no regular file.
    pub fn open(path: &Path) -> io::Result<(File, Identity, u64)> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
        }
        Ok((file, Identity::of(&metadata), metadata.len()))
    }

    /// Follows an opened file from `position` on.
    #[must_use]
    pub fn new(
        file: File,
        path: PathBuf,
        key: FileKey,
        stream: StreamId,
        position: u64,
        fields: &[(String, String)],
    ) -> Self {
        let constants = constants(&path, key, fields);
        let facts = StreamFacts { stream, tells_offset: true, ..StreamFacts::new(constants) };
        let (name, seen_at) = (Name::Current, path.clone());
        Self {
            path,
            seen_at,
            key,
            stream,
            position,
            skipped: Skipped::default(),
            at_end: false,
            name,
            predecessor: None,
            held: VecDeque::new(),
            facts,
            file,
        }
    }

    /// Begins the file anew as a new generation.
    pub fn begin_anew(&mut self, stream: StreamId, fields: &[(String, String)]) {
        self.key.generation += 1;
        self.stream = stream;
        self.facts.stream = stream;
        self.held.clear();
        (self.position, self.skipped, self.at_end) = (0, Skipped::default(), false);
        self.facts.constants = Arc::new(constants(&self.path, self.key, fields));
    }

    /// Makes `buffer` hold this file's bytes from its position on.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn load(&self, buffer: &mut LineBuffer) -> io::Result<()> {
        buffer.restore(self.position, self.skipped, |room, at| self.read_full(room, at))
    }

    /// Reads the next bytes into `buffer`; answers how many.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn fill(&mut self, buffer: &mut LineBuffer) -> io::Result<usize> {
        let read = buffer.fill(|room, at| self.read_full(room, at))?;
        if read > 0 {
            let modified = self.file.metadata().and_then(|metadata| metadata.modified());
            self.facts.date = modified.ok().map(clock::of);
            if self.name != Name::Current {
                self.name = Name::GONE;
            }
        }
        Ok(read)
    }

    /// Makes `buffer` hold a line that was read before; `false` if it is no longer there.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn load_held(&self, held: Held, buffer: &mut LineBuffer) -> io::Result<bool> {
        let end = held.position + u64::from(held.len);
        buffer.reset(held.position);
        while buffer.read_position() < end && !buffer.has_line() {
            let read = buffer.fill(|room, at| {
                let left = usize::try_from(end - at).unwrap_or(usize::MAX).min(room.len());
                self.read_full(&mut room[..left], at)
            })?;
            if read == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read_full(&self, room: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < room.len() {
            match self.file.read_at(&mut room[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was read before the error is good; the error will come again.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Whether it was rotated away and has been quiet for at least one whole interval between reconciles.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        matches!(self.name, Name::Gone { quiet_ticks: 2.. })
    }

    /// Whether it holds nothing beyond what was read and taken.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.at_end && self.file.metadata().is_ok_and(|metadata| metadata.len() <= self.position)
    }

    /// Whether no name leads to it any more.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Compares the size with what was read.
    ///
    /// # Errors
    /// When the system won't tell the size.
    pub fn size(&self, read_position: u64) -> io::Result<Size> {
        let len = self.file.metadata()?.len();
        Ok(if len < read_position { Size::Truncated } else { Size::Grows })
    }
}

/// The fields that tell where an event came from, and the source's own.
fn constants(path: &Path, key: FileKey, fields: &[(String, String)]) -> Constants {
    let mut constants = Constants::default();
    for (name, value) in fields {
        constants.push(name, value);
    }
    constants.push("log.file.path", &path.to_string_lossy());
    constants.push("log.file.id", &format!("{:016x}", key.id()));
    constants
}

/// Whether a name leads to that file now.
#[must_use]
pub fn leads_to(path: &Path, identity: Identity) -> bool {
    fs::metadata(path).is_ok_and(|metadata| Identity::of(&metadata) == identity)
}

/// Looks for a file by its identity in a folder: it may have been renamed while nobody looked.
#[must_use]
pub fn find_in(folder: &Path, identity: Identity) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    entries.flatten().map(|entry| entry.path()).find(|path| leads_to(path, identity))
}
