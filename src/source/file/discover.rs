//! Discovery: patterns → the files there are, opened with care.
//!
//! Takes paths and globs and what to leave out, gives names that match, and open regular files. Links are followed
//! only into folders where logs may be. What is there but can't be followed (a folder, no permission) is said once.

use std::{
    collections::HashSet,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::walk::{MATCHING, Met, Walk};
pub use crate::checkpoint::Identity;
use crate::{
    config::{Glob, Pick, Source},
    source::kubernetes::Container,
};

/// Where links may lead, beside the folders that the patterns name.
const LINK_ROOTS: [&str; 2] = ["/var/log", "/var/lib/docker/containers"];

/// After so many words to say, the rest is silence: it is bounded.
const SAID_MAX: usize = 10_000;

/// Finds the files of one source.
#[derive(Debug)]
pub struct Discovery {
    paths: Vec<glob::Pattern>,
    walks: Vec<Walk>,
    exclude: Vec<glob::Pattern>,
    link_roots: Vec<PathBuf>,
    pick: Pick,
    /// What was said already.
    said: HashSet<(PathBuf, &'static str)>,
}

/// A file that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) identity: Identity,
    pub(super) metadata: Metadata,
    /// Where it is when all links are followed.
    pub(super) real: PathBuf,
}

impl Discovery {
    /// Finds what the source's configuration names, as far as it is one to pick.
    #[must_use]
    pub fn new(source: &Source, pick: Pick) -> Self {
        let paths: Vec<glob::Pattern> = source.paths.iter().map(absolute).collect();
        let own = source.link_roots.iter().cloned();
        Self {
            walks: paths.iter().map(Walk::new).collect(),
            paths,
            exclude: source.exclude.iter().map(|glob| glob.0.clone()).collect(),
            link_roots: LINK_ROOTS.into_iter().map(PathBuf::from).chain(own).collect(),
            pick,
            said: HashSet::new(),
        }
    }

    /// A checksum of what it finds: whether it has looked before is remembered by it.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        let patterns: Vec<&str> = self.paths.iter().map(glob::Pattern::as_str).collect();
        crc32fast::hash(format!("{}\n{}", self.pick.number(), patterns.join("\n")).as_bytes())
    }

    /// Whether a path is one of this source's.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        self.paths.iter().any(|pattern| is_match(pattern, path)) && !self.is_left_out(path)
    }

    /// Whether a path that matches is to be left alone. A pattern without a slash means the file's name alone.
    fn is_left_out(&self, path: &Path) -> bool {
        let name = path.file_name().map(Path::new).unwrap_or(path);
        let excluded = self.exclude.iter().any(|pattern| {
            let subject = if pattern.as_str().contains('/') { path } else { name };
            pattern.matches_path_with(subject, MATCHING)
        });
        excluded || !self.is_picked(path)
    }

    fn is_picked(&self, path: &Path) -> bool {
        matches!(self.pick, Pick::All)
            || Container::of(path)
                .map_or(self.pick.picks_strangers(), |container| self.pick.picks(&container))
    }

    /// Goes through everything there is now; answers whether all could be looked at: if not, what is missing may still
    /// be there.
    pub(super) fn look(&mut self, tell: &mut dyn FnMut(&Met<'_>)) -> bool {
        let (mut failed, mut empty) = (Vec::new(), Vec::new());
        for (walk, pattern) in self.walks.iter().zip(&self.paths) {
            let mut any = false;
            walk.run(&mut |met| {
                match &met {
                    Met::Name(path, _) if self.is_left_out(path) => {
                        any = true;
                        return;
                    }
                    Met::Name(..) => any = true,
                    Met::Folder(_) => {}
                    Met::Failed(path, error) => failed.push((path.to_path_buf(), error.to_string())),
                }
                tell(&met);
            });
            if !any {
                empty.push(PathBuf::from(pattern.as_str()));
            }
        }
        for (path, error) in &failed {
            self.say_once(path, "can't be searched", error);
        }
        for pattern in &empty {
            self.say_once(pattern, "nothing there yet", "waiting for it to appear");
        }
        failed.is_empty()
    }

    /// Opens a file to follow; `None` if it is none, which is said, or has gone.
    pub(super) fn open(&mut self, path: &Path) -> Option<Opened> {
        match open_regular(path) {
            Ok(Some(opened)) if self.may_lead(path, &opened.real) => Some(opened),
            Ok(Some(opened)) => {
                let why = format!("it leads to {}; `link_roots` may allow that", opened.real.display());
                self.say_once(path, "is a link that is not followed", &why);
                None
            }
            Ok(None) => {
                let folder = path.is_dir();
                if !folder {
                    self.say_once(path, "is no regular file", "not followed");
                } else if self.paths.iter().any(|pattern| Path::new(pattern.as_str()) == path) {
                    self.say_once(path, "is a folder", "name the files in it, for example with /*.log");
                }
                None
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                self.say_once(path, "can't be opened, trying again", &error.to_string());
                None
            }
        }
    }

    /// Whether what was opened by that name may be read.
    fn may_lead(&self, path: &Path, real: &Path) -> bool {
        let is_under = |root: &Path| fs::canonicalize(root).is_ok_and(|root| real.starts_with(root));
        path == real
            || self.walks.iter().any(|walk| is_under(walk.root()))
            || self.link_roots.iter().any(|root| is_under(root))
    }

    /// Says something about a path, unless that was said before.
    pub fn say_once(&mut self, path: &Path, what: &'static str, why: &str) {
        if self.said.len() < SAID_MAX && self.said.insert((path.to_owned(), what)) {
            tracing::warn!(path = %path.display(), why, "{what}");
        }
    }
}

/// Opens a file if it is a regular one. A FIFO must not block, a device must not notice.
pub(super) fn open_regular(path: &Path) -> io::Result<Option<Opened>> {
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    // Only now is it certain what it is.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let real = where_is(&file).map_or_else(|| fs::canonicalize(path), Ok)?;
    Ok(Some(Opened { file, identity: Identity::of(&metadata), metadata, real }))
}

/// Where an open file is now; `None` if it is nowhere any more, or the system does not tell.
#[must_use]
pub(super) fn where_is(file: &File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    // A file that is gone is shown with more than its name.
    path.is_absolute().then_some(path).filter(|path| leads_to(path, file))
}

/// Whether a name leads to that open file now.
fn leads_to(path: &Path, file: &File) -> bool {
    let identity = |metadata: io::Result<Metadata>| metadata.ok().map(|metadata| Identity::of(&metadata));
    identity(fs::metadata(path)).is_some_and(|there| identity(file.metadata()) == Some(there))
}

/// Asks which files names lead to and how long they are: of thousands in one folder, without finding that each time.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    folder: Option<(Vec<u8>, OwnedFd)>,
}

impl Sizes {
    /// Which file a path leads to, and its length; `None` if to nothing that can be asked.
    pub(super) fn of(&mut self, path: &Path) -> Option<(Identity, u64)> {
        // By bytes: taking paths apart costs as much as asking.
        let bytes = path.as_os_str().as_bytes();
        let (parent, name) = bytes.split_at(memchr::memrchr(b'/', bytes)? + 1);
        if self.folder.as_ref().is_none_or(|(folder, _)| folder != parent) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.folder = Some((parent.to_owned(), rustix::fs::open(parent, flags, Mode::empty()).ok()?));
        }
        let (_, folder) = self.folder.as_ref()?;
        let stat = rustix::fs::statat(folder, name, AtFlags::empty()).ok()?;
        Some((Identity { device: stat.st_dev as u64, inode: stat.st_ino }, u64::try_from(stat.st_size).ok()?))
    }
}

/// A pattern that ends with `**` means everything below.
fn is_match(pattern: &glob::Pattern, path: &Path) -> bool {
    pattern.matches_path_with(path, MATCHING)
        || (pattern.as_str().ends_with("/**")
            && glob::Pattern::new(&format!("{}/*", pattern.as_str()))
                .is_ok_and(|below| below.matches_path_with(path, MATCHING)))
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

    fn discovery(paths: &str, exclude: &str) -> Discovery {
        let text = format!("[[source]]\ntype = \"file\"\npaths = [{paths:?}]\nexclude = [{exclude:?}]");
        let config = Config::parse("test", &text).unwrap();
        Discovery::new(config.source[0].get_ref(), Pick::All)
    }

    #[test]
    fn names_are_found_and_excluded_ones_left() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["a.log", "b.log", "b.log.gz"] {
            fs::write(root.join(name), "x").unwrap();
        }
        fs::create_dir(root.join("c.log")).unwrap();
        let mut discovery = discovery(root.join("*.log*").to_str().unwrap(), "*.gz");
        let mut names = Vec::new();
        let complete = discovery.look(&mut |met| {
            if let Met::Name(path, _) = met {
                names.push(path.to_path_buf());
            }
        });
        names.sort();
        assert!(complete);
        assert_eq!(names, [root.join("a.log"), root.join("b.log")]);
        assert!(!discovery.matches(&root.join("folder/new.log")), "a star stays within its folder");
        assert!(discovery.matches(&root.join("new.log")) && !discovery.matches(&root.join("x.log.gz")));
        assert_eq!(discovery.open(&root.join("a.log")).unwrap().real, root.join("a.log"));
        assert!(discovery.open(&root.join("c.log")).is_none());
    }

    #[test]
    fn relative_patterns_are_made_absolute() {
        let here = std::env::current_dir().unwrap();
        assert!(discovery("./x/*.log", "none").matches(&here.join("x/a.log")));
        let all = discovery("/x/**", "none");
        assert!(all.matches(Path::new("/x/a")) && all.matches(Path::new("/x/y/z")));
    }

    #[test]
    fn links_and_what_is_no_file_are_refused() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = inside.path().canonicalize().unwrap();
        fs::write(outside.path().join("secret"), "x").unwrap();
        fs::write(root.join("there"), "x").unwrap();
        let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, root.join(name)).unwrap();
        link(&outside.path().join("secret"), "out.log");
        link(&root.join("there"), "in.log");
        link(Path::new("/dev/zero"), "device.log");
        link(&root.join("in.log"), "twice.log");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.join("fifo.log"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        let mut discovery = discovery(root.join("*.log").to_str().unwrap(), "none");
        for refused in ["out.log", "device.log", "fifo.log", "missing.log"] {
            assert!(discovery.open(&root.join(refused)).is_none(), "{refused}");
        }
        assert_eq!(discovery.open(&root.join("in.log")).unwrap().real, root.join("there"));
        assert_eq!(discovery.open(&root.join("twice.log")).unwrap().real, root.join("there"));
        discovery.link_roots.push(outside.path().to_owned());
        assert!(discovery.open(&root.join("out.log")).is_some());
    }
}
