//! The register: which streams are files, and what the last checkpoint said of files not met again yet.
//!
//! Takes the file sources' streams, gives the entries to save: for each file the ledger's mark.
//!
//! Invariant: a file leaves the register only when its stream is closed and decided, or when its source has
//! looked for it and it is gone.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, PoisonError},
};

use super::{Entry, FileKey, Identity};
use crate::ack::{Ledger, StreamId};

/// All files of a process.
#[derive(Debug, Default)]
pub struct Register {
    files: Mutex<BTreeMap<StreamId, (String, FileKey)>>,
    pending: Mutex<Vec<Entry>>,
    followed: Mutex<HashSet<Identity>>,
}

impl Register {
    /// Begins with what was loaded.
    #[must_use]
    pub fn new(loaded: Vec<Entry>) -> Self {
        Self { pending: Mutex::new(loaded), ..Self::default() }
    }

    /// A stream is a file. What was known of that file, from before or of an older generation, is forgotten:
    /// bytes that were truncated away can't be read again.
    pub fn add(&self, stream: StreamId, path: &str, key: FileKey) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, (_, other)| other.identity != key.identity);
        files.insert(stream, (path.to_owned(), key));
        self.forget(key.identity);
    }

    /// Claims a file for one source; `false` if another one follows it already.
    pub fn claim(&self, identity: Identity) -> bool {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).insert(identity)
    }

    /// A source has let go of a file.
    pub fn release(&self, identity: Identity) {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(&identity);
    }

    /// The entries of files that were not met again yet.
    #[must_use]
    pub fn pending(&self) -> Vec<Entry> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The entry of a file that is met again.
    #[must_use]
    pub fn pending_of(&self, identity: Identity) -> Option<Entry> {
        self.pending().into_iter().find(|entry| entry.key.identity == identity)
    }

    /// A file was looked for in vain, or is known under a stream by now.
    pub fn forget(&self, identity: Identity) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|entry| entry.key.identity != identity);
    }

    /// What is to be saved.
    #[must_use]
    pub fn entries(&self, ledger: &Ledger) -> Vec<Entry> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|stream, _| ledger.mark(*stream).is_some());
        let entry = |(stream, (path, key)): (&StreamId, &(String, FileKey))| {
            let mark = ledger.mark(*stream)?;
            Some(Entry { path: path.clone(), key: *key, resume: mark.resume, held: mark.held })
        };
        files.iter().filter_map(entry).chain(self.pending()).collect()
    }
}
