//! Walking the folders that a pattern reaches.
//!
//! Takes an absolute pattern, gives every name that matches it, and every folder it was looked for in: these are to be
//! watched, since a file may appear in any of them. `*`, `?` and `[…]` stay within one name; `**` is any number of
//! folders, and does not follow links, which could lead in circles.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Component, Path, PathBuf},
};

use glob::{MatchOptions, Pattern as Glob};

/// As the shell matches, but that a name may begin with a dot.
pub(super) const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// What a walk meets.
#[derive(Debug)]
pub(super) enum Met<'p> {
    /// A name that matches; it may lead to anything but a folder. With it the inode that its folder says it has: the
    /// same as long as it is the same file, but not always the file's own.
    Name(&'p Path, u64),
    /// A folder that was searched.
    Folder(&'p Path),
    /// A folder that could not be searched.
    Failed(&'p Path, io::Error),
}

/// A pattern, ready to be walked.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// The folders before the first wildcard.
    root: PathBuf,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(OsString),
    Wild(Glob),
    /// `**`
    Deep,
}

impl Walk {
    /// Of an absolute pattern.
    pub(super) fn new(pattern: &Glob) -> Self {
        let mut parts: Vec<Part> = Path::new(pattern.as_str())
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name.to_owned()),
                _ => None,
            })
            .map(|name| match name.to_str() {
                Some("**") => Part::Deep,
                Some(text) if text.contains(['*', '?', '[']) => {
                    Glob::new(text).map_or_else(|_| Part::Literal(name.clone()), Part::Wild)
                }
                _ => Part::Literal(name),
            })
            .collect();
        let wild = parts.iter().position(|part| !matches!(part, Part::Literal(_))).unwrap_or(parts.len());
        let in_root = wild.min(parts.len().saturating_sub(1));
        let mut root = PathBuf::from("/");
        for part in parts.drain(..in_root) {
            if let Part::Literal(name) = part {
                root.push(name);
            }
        }
        // All that is below, as people mean it.
        if let Some(Part::Deep) = parts.last() {
            parts.push(Part::Wild(Glob::new("*").unwrap_or_default()));
        }
        Self { root, parts }
    }

    /// The folders before the first wildcard.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Goes through all of it.
    pub(super) fn run(&self, tell: &mut dyn FnMut(Met<'_>)) {
        let existing = self.root.ancestors().find(|folder| folder.is_dir());
        match existing {
            Some(folder) if folder == self.root => search(&mut self.root.clone(), &self.parts, tell),
            // It may come into being.
            Some(folder) => tell(Met::Folder(folder)),
            None => {}
        }
    }
}

fn search(dir: &mut PathBuf, parts: &[Part], tell: &mut dyn FnMut(Met<'_>)) {
    let Some((first, rest)) = parts.split_first() else { return };
    if let Part::Literal(name) = first {
        tell(Met::Folder(dir));
        return literal(dir, name, rest, tell);
    }
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        // It has gone meanwhile.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return;
        }
        Err(error) => return tell(Met::Failed(dir, error)),
    };
    tell(Met::Folder(dir));
    if matches!(first, Part::Deep) {
        // `**` is no folder at all, too.
        if let Some(Part::Literal(name)) = rest.first() {
            literal(dir, name, &rest[1..], tell);
        }
    }
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                tell(Met::Failed(dir, error));
                continue;
            }
        };
        let name = entry.file_name();
        let (wild, below) = match (first, rest) {
            (Part::Deep, [Part::Wild(glob), below @ ..]) => (Some(glob), below),
            (Part::Wild(glob), below) => (Some(glob), below),
            _ => (None, rest),
        };
        let matches = wild.is_some_and(|glob| glob.matches_path_with(Path::new(&name), MATCHING));
        let goes_deep = matches!(first, Part::Deep) && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !matches && !goes_deep {
            continue;
        }
        dir.push(&name);
        if matches && below.is_empty() {
            if entry.file_type().is_ok_and(|kind| !kind.is_dir()) {
                tell(Met::Name(dir, entry.ino()));
            }
        } else if matches && dir.is_dir() {
            search(dir, below, tell);
        }
        if goes_deep {
            search(dir, parts, tell);
        }
        dir.pop();
    }
}

/// A name without wildcards is not searched for.
fn literal(dir: &mut PathBuf, name: &OsString, below: &[Part], tell: &mut dyn FnMut(Met<'_>)) {
    dir.push(name);
    match fs::symlink_metadata(&dir) {
        Ok(metadata) if below.is_empty() => {
            if !metadata.is_dir() {
                tell(Met::Name(dir, metadata.ino()));
            }
        }
        Ok(_) => {
            if dir.is_dir() {
                search(dir, below, tell);
            }
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
        Err(error) => tell(Met::Failed(dir, error)),
    }
    dir.pop();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(root: &Path, pattern: &str) -> (Vec<String>, Vec<String>) {
        let pattern = Glob::new(root.join(pattern).to_str().unwrap()).unwrap();
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        Walk::new(&pattern).run(&mut |met| match met {
            Met::Name(path, _) => files.push(path.to_owned()),
            Met::Folder(path) => folders.push(path.to_owned()),
            Met::Failed(path, error) => panic!("{}: {error}", path.display()),
        });
        let names = |mut paths: Vec<PathBuf>| {
            paths.sort();
            paths.dedup();
            let name = |path: &PathBuf| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            paths.iter().map(name).collect()
        };
        (names(files), names(folders))
    }

    #[test]
    fn patterns_find_what_the_shell_finds() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for path in ["a.log", "b.txt", "x/a.log", "x/y/a.log", "x/y/z/b.log", "x/.hidden.log"] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "").unwrap();
        }
        fs::create_dir(root.join("folder.log")).unwrap();
        std::os::unix::fs::symlink(root.join("x"), root.join("link")).unwrap();
        let cases = [
            ("*.log", "a.log", ""),
            ("a.log", "a.log", ""),
            ("x/*.log", "x/.hidden.log x/a.log", "x"),
            ("*/a.log", "link/a.log x/a.log", " folder.log link x"),
            ("*/y/*.log", "link/y/a.log x/y/a.log", " folder.log link link/y x x/y"),
            ("**/a.log", "a.log x/a.log x/y/a.log", " folder.log x x/y x/y/z"),
            ("x/**/*.log", "x/.hidden.log x/a.log x/y/a.log x/y/z/b.log", "x x/y x/y/z"),
            ("x/y/**", "x/y/a.log x/y/z/b.log", "x/y x/y/z"),
            ("**/z/*", "x/y/z/b.log", " folder.log x x/y x/y/z"),
            ("nowhere/yet/*.log", "", ""),
        ];
        for (pattern, files, folders) in cases {
            let (found, searched) = walk(&root, pattern);
            assert_eq!(found.join(" "), files, "{pattern}");
            assert_eq!(searched.join(" "), folders, "{pattern}");
        }
    }
}
