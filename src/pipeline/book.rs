//! The book of rules of a configuration: with the key that its redaction hashes with, and with what its samplers have learnt
//! in the run before, which is kept in the state directory.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use toml::Spanned;

use crate::{
    config::Config,
    durable,
    transform::{Book, HashKey, SavedSamplers, Sections},
};

/// How often what samplers have learnt is kept: a kill loses what is newer.
const INTERVAL: Duration = Duration::from_secs(30);
const FILE: &str = "samplers.json";

/// Why there can be no book.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The key for hashes can't be read.
    #[error("[redaction] hash_key_file = \"{}\": cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The key for hashes is too short.
    #[error("[redaction] hash_key_file = \"{}\": {why}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with the key in it.
        why: &'static str,
    },
    /// A rule is wrong.
    #[error("{0}")]
    Wrong(String),
}

/// The book of a configuration.
///
/// # Errors
/// When the key for hashes can't be read or is too short, or a rule is wrong.
pub fn book(config: &Config) -> Result<Book, BookError> {
    let key = config.redaction.hash_key_file.as_deref().map(hash_key).transpose()?;
    let rules: Vec<_> = config.rule.iter().map(Spanned::get_ref).cloned().collect();
    let sections = Sections {
        transform: &config.transform,
        rules: &rules,
        redaction: &config.redaction,
        columns: &config.columns,
    };
    let book = Book::new(sections, key.as_ref()).map_err(BookError::Wrong)?;
    // Two agents had better not leave out the same events.
    Ok(book.with_seed(fastrand::u64(..)))
}

fn hash_key(path: &Path) -> Result<HashKey, BookError> {
    let text = fs::read(path).map_err(|error| BookError::Unreadable { path: path.to_owned(), error })?;
    HashKey::new(text.trim_ascii_end()).map_err(|why| BookError::Key { path: path.to_owned(), why })
}

/// Goes on with what samplers have learnt in the run before. Without it, they begin anew.
pub(super) fn restore(book: &Book, state_dir: &Path) {
    let path = state_dir.join(FILE);
    match fs::read(&path) {
        Ok(text) => match serde_json::from_slice::<SavedSamplers>(&text) {
            Ok(saved) => book.restore(saved),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "what samplers had learnt is damaged: they begin anew");
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "what samplers had learnt can't be read: they begin anew");
        }
    }
}

/// Keeps what samplers learn, until `end` and once more then.
pub(super) async fn keep(book: Arc<Book>, state_dir: PathBuf, end: CancellationToken) {
    let (mut failing, path) = (false, state_dir.join(FILE));
    loop {
        let ending = tokio::select! {
            () = tokio::time::sleep(INTERVAL) => false,
            () = end.cancelled() => true,
        };
        let saved = book.save();
        // Where nothing is sampled there is nothing to keep, nor to leave.
        if !saved.is_empty() || path.exists() {
            let path = path.clone();
            let written = tokio::task::spawn_blocking(move || write(&path, &saved)).await;
            let result = written.unwrap_or_else(|error| Err(io::Error::other(error)));
            if let Err(error) = &result
                && !failing
            {
                tracing::error!(path = %state_dir.display(), %error, "what samplers have learnt can't be kept: the next start begins anew");
            }
            failing = result.is_err();
        }
        if ending {
            return;
        }
    }
}

fn write(path: &Path, saved: &SavedSamplers) -> io::Result<()> {
    let text = serde_json::to_vec(saved)?;
    durable::replace(path, |file| file.write_all(&text)).map(drop)
}
