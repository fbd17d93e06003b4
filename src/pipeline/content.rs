//! What a configuration says, to tell what another one changes: all values in their order, the key, and what is in the files
//! that are read at a start only. Where in the file something stands does not count.

use std::fs;

use secrecy::ExposeSecret;
use toml::Spanned;

use super::Job;
use crate::config::Source;

/// Of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceContent {
    source: String,
    files: Vec<Option<Vec<u8>>>,
}

impl SourceContent {
    pub(super) fn of(source: &Source) -> Self {
        let mut source = source.clone();
        for route in &mut source.route {
            *route = Spanned::new(0..0, route.get_ref().clone());
        }
        for rule in &mut source.rule {
            *rule = Spanned::new(0..0, rule.get_ref().clone());
        }
        let files = [
            &source.password_file,
            &source.token_file,
            &source.creds_file,
            &source.nkey_file,
            &source.ca_file,
        ];
        Self {
            files: files.into_iter().flatten().map(|path| fs::read(path).ok()).collect(),
            source: format!("{source:?}"),
        }
    }
}

/// Of a job.
#[derive(Debug)]
pub struct Content {
    sources: Vec<SourceContent>,
    rest: Rest,
}

/// Everything but the sources.
#[derive(Debug, PartialEq, Eq)]
struct Rest {
    config: String,
    key: String,
    ca_file: Option<Vec<u8>>,
    hash_key: Option<Vec<u8>>,
}

/// What one job makes of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Nothing.
    None,
    /// Some sources: the others can go on.
    Sources,
    /// More than that.
    More,
}

impl Content {
    /// Of a job; the files are read now.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let mut config = job.config.clone();
        let sources = std::mem::take(&mut config.source);
        for rule in &mut config.rule {
            *rule = Spanned::new(0..0, rule.get_ref().clone());
        }
        for rule in &mut config.redaction.rule {
            *rule = Spanned::new(0..0, rule.get_ref().clone());
        }
        Self {
            sources: sources.iter().map(|source| SourceContent::of(source.get_ref())).collect(),
            rest: Rest {
                // What the spool does when it is full depends on the sources, too.
                config: format!("{config:?} {}", job.config.drops_from_spool()),
                key: job.api_key.key.expose_secret().to_owned(),
                ca_file: config.deliver.ca_file.as_ref().and_then(|path| fs::read(path).ok()),
                hash_key: config.redaction.hash_key_file.as_ref().and_then(|path| fs::read(path).ok()),
            },
        }
    }

    /// What another changes.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Difference {
        if self.rest != other.rest {
            Difference::More
        } else if self.sources != other.sources {
            Difference::Sources
        } else {
            Difference::None
        }
    }
}
