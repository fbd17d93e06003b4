//! The files of a history, and what is in them, as whoever writes and rotates them sees it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

use crate::source::file::watch::{Came, Change};

/// How a log is rotated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rotation {
    /// Older ones move on, then it is renamed, and a new one made.
    Rename,
    /// Older ones move on, then it is copied and emptied.
    Copy,
    /// It is renamed to a name of its own.
    Date,
}

/// A file, with a name or without.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// The numbers of its whole lines.
    pub(super) lines: Vec<usize>,
    /// Whether the agent has had a chance to open it.
    pub(super) seen: bool,
}

/// What a step did.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) news: Vec<Change>,
    /// Files that have no name any more.
    pub(super) unlinked: Vec<Content>,
}

/// The folder and its log.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    /// By name.
    pub(super) files: BTreeMap<String, Content>,
    writer: File,
    /// The name of the file that is written to; `None` if it has none any more.
    writes_to: Option<String>,
    /// The rest of a line that was begun, and its number if it will be whole in one file.
    begun: Option<(String, Option<usize>)>,
    pub(super) lines: usize,
    dates: usize,
}

const KEPT: usize = 4;

/// A line's text.
pub(super) fn text(line: usize) -> String {
    format!("line {line} {}", "x".repeat(line * 7 % 40))
}

impl Disk {
    pub(super) fn new(dir: &Path) -> Self {
        let mut disk = Self {
            dir: dir.to_owned(),
            files: BTreeMap::new(),
            writer: File::open("/dev/null").unwrap(),
            writes_to: None,
            begun: None,
            lines: 0,
            dates: 0,
        };
        disk.reopen();
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn reopen(&mut self) -> Vec<Change> {
        if self.writes_to.as_deref() == Some("a.log") {
            return Vec::new();
        }
        let mut options = OpenOptions::new();
        self.writer = options.create(true).append(true).open(self.path("a.log")).unwrap();
        self.writes_to = Some("a.log".to_owned());
        self.begun = None;
        if self.files.contains_key("a.log") {
            return Vec::new();
        }
        self.files.insert("a.log".to_owned(), Content::default());
        vec![Change::Appeared(self.path("a.log"), Came::Made)]
    }

    pub(super) fn write(&mut self, count: u8) -> Vec<Change> {
        let mut written = Vec::new();
        let mut bytes = String::new();
        if let Some((rest, number)) = self.begun.take() {
            bytes = rest + "\n";
            written.extend(number);
        }
        for _ in 0..count {
            bytes += &(text(self.lines) + "\n");
            written.push(self.lines);
            self.lines += 1;
        }
        self.writer.write_all(bytes.as_bytes()).unwrap();
        let Some(name) = self.writes_to.clone() else { return Vec::new() };
        self.files.get_mut(&name).unwrap().lines.extend(&written);
        vec![Change::Written(self.path(&name))]
    }

    pub(super) fn begin(&mut self) -> Vec<Change> {
        if self.begun.is_some() {
            return Vec::new();
        }
        let text = text(self.lines);
        let (head, rest) = text.split_at(text.len() / 2);
        self.writer.write_all(head.as_bytes()).unwrap();
        self.begun = Some((rest.to_owned(), Some(self.lines)));
        self.lines += 1;
        self.writes_to.iter().map(|name| Change::Written(self.path(name))).collect()
    }

    /// A line that is long in the making in a file that was rotated away may come in pieces.
    pub(super) fn waited(&mut self) {
        if self.writes_to.as_deref() != Some("a.log") {
            self.begun = self.begun.take().map(|(rest, _)| (rest, None));
        }
    }

    fn rename(&mut self, from: &str, to: &str, done: &mut Done) {
        let Some(content) = self.files.remove(from) else { return };
        fs::rename(self.path(from), self.path(to)).unwrap();
        done.unlinked.extend(self.files.insert(to.to_owned(), content));
        let (from_path, path) = (self.path(from), self.path(to));
        done.news.push(Change::Vanished(from_path.clone()));
        done.news.push(Change::Appeared(path, Came::Renamed(from_path)));
        if self.writes_to.as_deref() == Some(from) {
            self.writes_to = Some(to.to_owned());
        }
    }

    fn remove(&mut self, name: &str, done: &mut Done) {
        let Some(content) = self.files.remove(name) else { return };
        fs::remove_file(self.path(name)).unwrap();
        done.unlinked.push(content);
        done.news.push(Change::Vanished(self.path(name)));
        if self.writes_to.as_deref() == Some(name) {
            self.writes_to = None;
        }
    }

    pub(super) fn rotate(&mut self, rotation: Rotation) -> Done {
        let mut done = Done::default();
        if !self.files.contains_key("a.log") {
            return done;
        }
        // A line in two files is whole in neither, and one whose file is quiet for long may be shipped in pieces.
        self.begun = self.begun.take().map(|(rest, _)| (rest, None));
        if let Rotation::Date = rotation {
            self.dates += 1;
            self.rename("a.log", &format!("a.log-2026{:04}", self.dates), &mut done);
            return done;
        }
        self.remove(&format!("a.log.{KEPT}"), &mut done);
        self.remove(&format!("a.log.{KEPT}.gz"), &mut done);
        for generation in (1..KEPT).rev() {
            for end in ["", ".gz"] {
                let (from, to) =
                    (format!("a.log.{generation}{end}"), format!("a.log.{}{end}", generation + 1));
                self.rename(&from, &to, &mut done);
            }
        }
        if let Rotation::Rename = rotation {
            self.rename("a.log", "a.log.1", &mut done);
            return done;
        }
        self.copy("a.log.1", &mut done);
        self.empty(&mut done);
        done
    }

    fn copy(&mut self, to: &str, done: &mut Done) {
        let Some(content) = self.files.get("a.log").cloned() else { return };
        // As cp does it: nothing is there before something is.
        let _ = fs::remove_file(self.path(to));
        fs::copy(self.path("a.log"), self.path(to)).unwrap();
        let copy = Content { seen: false, ..content };
        done.unlinked.extend(self.files.insert(to.to_owned(), copy));
        done.news.push(Change::Appeared(self.path(to), Came::Made));
    }

    fn empty(&mut self, done: &mut Done) {
        let file = OpenOptions::new().write(true).open(self.path("a.log")).unwrap();
        file.set_len(0).unwrap();
        if let Some(content) = self.files.get_mut("a.log") {
            done.unlinked.push(Content { seen: false, ..content.clone() });
            content.lines.clear();
        }
        done.news.push(Change::Written(self.path("a.log")));
    }

    /// Compresses an old file; with `only_seen` not one that the agent has had no chance to see.
    pub(super) fn gzip(&mut self, generation: u8, only_seen: bool) -> Done {
        let mut done = Done::default();
        let (name, gz) = (format!("a.log.{generation}"), format!("a.log.{generation}.gz"));
        let Some(content) = self.files.get(&name).cloned() else { return done };
        // What a writer still writes to the file is in it alone.
        if self.writes_to.as_deref() == Some(&name) || (only_seen && !content.seen) {
            return done;
        }
        self.remove(&gz, &mut done);
        let mut encoder = GzEncoder::new(File::create(self.path(&gz)).unwrap(), Compression::fast());
        encoder.write_all(&fs::read(self.path(&name)).unwrap()).unwrap();
        encoder.finish().unwrap();
        self.files.insert(gz.clone(), content);
        done.news.push(Change::Appeared(self.path(&gz), Came::Made));
        self.remove(&name, &mut done);
        done
    }

    pub(super) fn backup(&mut self) -> Vec<Change> {
        let mut done = Done::default();
        if !self.files.contains_key("a.log.bak") {
            self.copy("a.log.bak", &mut done);
        }
        done.news
    }

    pub(super) fn truncate(&mut self) -> Done {
        let mut done = Done::default();
        if self.files.contains_key("a.log") {
            self.begun = self.begun.take().map(|(rest, _)| (rest, None));
            self.empty(&mut done);
        }
        done
    }

    /// The file is removed; what is written next goes to a new one, which may have its inode.
    pub(super) fn delete(&mut self) -> Done {
        let mut done = Done::default();
        self.writer = File::open("/dev/null").unwrap();
        self.remove("a.log", &mut done);
        done.news.extend(self.reopen());
        done
    }
}
