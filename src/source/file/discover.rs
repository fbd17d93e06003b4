//! Discovery: patterns → the files there are.
//!
//! Takes paths and globs and what to leave out, gives regular files with their identity. What is there but
//! can't be followed (a folder, no permission) is said once.

use std::{
    collections::HashSet,
    fs,
    io::{self, ErrorKind},
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
    /// What was said already.
    said: HashSet<(PathBuf, &'static str)>,
}

/// What a look has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The files, in the order of their names.
    pub found: Vec<Found>,
    /// Whether everything could be looked at: if not, what is missing may still be there.
    pub complete: bool,
}

/// After so many words to say, the rest is silence: it is bounded.
const SAID_MAX: usize = 10_000;

/// As the shell matches: `*` stays within one folder.
const MATCHING: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

impl Discovery {
    /// Finds what the source's configuration names.
    #[must_use]
    pub fn new(source: &Source) -> Self {
        let exclude = source.exclude.iter().map(|glob| glob.0.clone()).collect();
        Self { paths: source.paths.iter().map(absolute).collect(), exclude, said: HashSet::new() }
    }

    /// Whether a path is one of this source's.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        self.paths.iter().any(|pattern| pattern.matches_path_with(path, MATCHING)) && !self.is_excluded(path)
    }

    /// A pattern without a slash means the file's name alone.
    fn is_excluded(&self, path: &Path) -> bool {
        let name = path.file_name().map(Path::new).unwrap_or(path);
        self.exclude.iter().any(|pattern| {
            let subject = if pattern.as_str().contains('/') { path } else { name };
            pattern.matches_path_with(subject, MATCHING)
        })
    }

    /// The files there are now.
    pub fn look(&mut self) -> Look {
        let mut look = Look { found: Vec::new(), complete: true };
        for index in 0..self.paths.len() {
            let pattern = self.paths[index].as_str().to_owned();
            let mut any = false;
            for entry in glob::glob_with(&pattern, MATCHING).into_iter().flatten() {
                any = true;
                match entry {
                    Ok(path) if self.is_excluded(&path) => {}
                    Ok(path) => match self.identify(&path) {
                        Ok(found) => look.found.extend(found.map(|identity| Found { path, identity })),
                        Err(error) => {
                            look.complete = false;
                            self.say_once(&path, "can't be looked at", &error.to_string());
                        }
                    },
                    Err(error) => {
                        look.complete = false;
                        self.say_once(error.path(), "can't be searched", &error.error().to_string());
                    }
                }
            }
            if !any {
                self.say_once(Path::new(&pattern), "nothing there yet", "waiting for it to appear");
            }
        }
        look.found.sort_by(|a, b| a.path.cmp(&b.path));
        look.found.dedup_by(|a, b| a.path == b.path);
        look
    }

    /// Which file a name leads to, if it is one to follow.
    fn identify(&mut self, path: &Path) -> io::Result<Option<Identity>> {
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            metadata => metadata?,
        };
        if metadata.is_file() {
            return Ok(Some(Identity::of(&metadata)));
        }
        if !metadata.is_dir() {
            self.say_once(path, "is no regular file", "not followed");
        } else if self.paths.iter().any(|pattern| Path::new(pattern.as_str()) == path) {
            // A glob meets folders by the way; only one that was named is worth a word.
            self.say_once(path, "is a folder", "name the files in it, for example with /*.log");
        }
        Ok(None)
    }

    /// Says something about a path, unless that was said before.
    pub fn say_once(&mut self, path: &Path, what: &'static str, why: &str) {
        if self.said.len() < SAID_MAX && self.said.insert((path.to_owned(), what)) {
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

/// The same pattern from the root, as news and checkpoints name files.
fn absolute(glob: &Glob) -> glob::Pattern {
    let absolute = std::path::absolute(glob.0.as_str()).ok();
    let pattern = absolute.and_then(|path| glob::Pattern::new(path.to_str()?).ok());
    pattern.unwrap_or_else(|| glob.0.clone())
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
        let look = discovery.look();
        assert!(look.complete);
        let names: Vec<_> = look.found.into_iter().map(|found| found.path).collect();
        assert_eq!(names, [dir.path().join("a.log"), dir.path().join("b.log")]);
        assert_eq!(discovery.folders(), [dir.path()]);
        assert!(!discovery.matches(&dir.path().join("folder/new.log")), "a star stays within its folder");
        assert!(
            discovery.matches(&dir.path().join("new.log"))
                && !discovery.matches(&dir.path().join("x.log.gz"))
        );
    }

    #[test]
    fn relative_patterns_are_made_absolute() {
        let discovery = Discovery::new(&source("./x/*.log", "none"));
        let here = std::env::current_dir().unwrap();
        assert!(discovery.matches(&here.join("x/a.log")));
        assert_eq!(discovery.folders(), [here.join("x")]);
    }
}
