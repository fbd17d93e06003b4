//! Discovery: patterns → the files there are.
//!
//! Takes paths and globs and what to leave out, gives regular files with their identity. What is there but
//! can't be followed (a folder, no permission) is said once.

use std::{
    collections::HashSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

pub use crate::checkpoint::Identity;
use crate::config::{Glob, Source};

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub path: PathBuf,
    /// Which file has that name at the moment.
    pub identity: Identity,
}

/// Finds the files of one source.
#[derive(Debug)]
pub struct Discovery {
    paths: Vec<glob::Pattern>,
    exclude: Vec<glob::Pattern>,
    said: HashSet<PathBuf>,
}

impl Discovery {
    /// Finds what the source's configuration names.
    #[must_use]
    pub fn new(source: &Source) -> Self {
        let patterns = |globs: &[Glob]| globs.iter().map(|glob| glob.0.clone()).collect();
        Self { paths: patterns(&source.paths), exclude: patterns(&source.exclude), said: HashSet::new() }
    }

    /// Whether a path is one of this source's.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        self.paths.iter().any(|pattern| pattern.matches_path(path)) && !self.is_excluded(path)
    }

    /// A pattern without a slash means the file's name alone.
    fn is_excluded(&self, path: &Path) -> bool {
        let name = path.file_name().map(Path::new).unwrap_or(path);
        self.exclude.iter().any(|pattern| {
            let subject = if pattern.as_str().contains('/') { path } else { name };
            pattern.matches_path(subject)
        })
    }

    /// The files there are now, in the order of their names.
    pub fn look(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        for index in 0..self.paths.len() {
            let pattern = self.paths[index].as_str().to_owned();
            let mut any = false;
            for entry in glob::glob(&pattern).into_iter().flatten() {
                any = true;
                match entry {
                    Ok(path) if self.is_excluded(&path) => {}
                    Ok(path) => found.extend(self.identify(path)),
                    Err(error) => {
                        self.say_once(error.path(), "can't be searched", &error.error().to_string());
                    }
                }
            }
            if !any {
                self.say_once(Path::new(&pattern), "nothing there yet", "waiting for it to appear");
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found.dedup_by(|a, b| a.path == b.path);
        found
    }

    fn identify(&mut self, path: PathBuf) -> Option<Found> {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Some(Found { path, identity: Identity::of(&metadata) }),
            Ok(metadata) if metadata.is_dir() => {
                // A glob meets folders by the way; only one that was named is worth a word.
                if self.paths.iter().any(|pattern| Path::new(pattern.as_str()) == path) {
                    self.say_once(&path, "is a folder", "name the files in it, for example with /*.log");
                }
                None
            }
            Ok(_) => {
                self.say_once(&path, "is no regular file", "not followed");
                None
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                self.say_once(&path, "can't be looked at", &error.to_string());
                None
            }
        }
    }

    /// Says something about a path, unless that was said before.
    pub fn say_once(&mut self, path: &Path, what: &str, why: &str) {
        if self.said.insert(path.to_owned()) {
            tracing::warn!(path = %path.display(), why, "{what}");
        }
    }

    /// The folders where files may appear: of each pattern, the part before its first wildcard.
    #[must_use]
    pub fn folders(&self) -> Vec<PathBuf> {
        let folder = |pattern: &glob::Pattern| {
            let text = pattern.as_str();
            let literal = &text[..text.find(['*', '?', '[']).unwrap_or(text.len())];
            let dir = literal.rfind('/').map_or(".", |slash| &literal[..slash.max(1)]);
            PathBuf::from(dir)
        };
        self.paths.iter().map(folder).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn source(paths: &str, exclude: &str) -> Source {
        let text = format!("[[source]]\ntype = \"file\"\npaths = [{paths:?}]\nexclude = [{exclude:?}]");
        let config = Config::parse("test", &text).unwrap();
        config.source[0].get_ref().clone()
    }

    #[test]
    fn regular_files_are_found_and_excluded_ones_left() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "b.log", "b.log.gz"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        fs::create_dir(dir.path().join("c.log")).unwrap();
        let pattern = dir.path().join("*.log*");
        let mut discovery = Discovery::new(&source(pattern.to_str().unwrap(), "*.gz"));
        let names: Vec<_> = discovery.look().into_iter().map(|found| found.path).collect();
        assert_eq!(names, [dir.path().join("a.log"), dir.path().join("b.log")]);
        assert_eq!(discovery.folders(), [dir.path()]);
        assert!(
            discovery.matches(&dir.path().join("new.log"))
                && !discovery.matches(&dir.path().join("x.log.gz"))
        );
    }
}
