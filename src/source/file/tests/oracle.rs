//! What has to arrive, and what may.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::watch::Change,
    disk::{Content, Disk, Done, text},
};

/// Knows every line and what became of it.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// How often each line was received.
    counts: BTreeMap<usize, usize>,
    /// Lines of files that have no name any more, but that the agent has open.
    open: BTreeSet<usize>,
    /// Lines that were truncated away after the agent had read them.
    read: BTreeSet<usize>,
    /// Lines that were received since the last save, or whose receipt the agent does not know of.
    unsaved: BTreeSet<usize>,
    swallowed: BTreeSet<usize>,
    /// Lines that may come twice.
    doubtful: BTreeSet<usize>,
    /// Lines that the source has passed.
    passed: BTreeSet<usize>,
}

/// The line's number, if it is a whole line.
fn number(body: &str) -> Option<usize> {
    let line = body.strip_prefix("line ")?.split(' ').next()?.parse().ok()?;
    (text(line).trim_end() == body.trim_end()).then_some(line)
}

impl Oracle {
    /// Files have moved, and some may be gone: the agent holds those that it has seen.
    pub(super) fn rotated(&mut self, done: Done, up: bool) -> Vec<Change> {
        for content in done.unlinked {
            let Content { lines, seen } = content;
            if up && seen {
                self.open.extend(lines);
            } else if up {
                self.read.extend(lines.iter().filter(|line| self.passed.contains(line)));
            }
        }
        done.news
    }

    pub(super) fn looked(&mut self, disk: &mut Disk) {
        disk.files.values_mut().for_each(|content| content.seen = true);
    }

    /// What the source has made of lines so far.
    pub(super) fn received(&mut self, passed: &[String]) {
        self.passed.extend(passed.iter().filter_map(|body| number(body)));
    }

    fn count(&mut self, bodies: &[String]) -> Vec<usize> {
        let mut lines = Vec::new();
        for body in bodies {
            match number(body) {
                Some(line) => {
                    *self.counts.entry(line).or_default() += 1;
                    lines.push(line);
                }
                None => assert!(is_piece(body), "from the wrong place: {body:?}"),
            }
        }
        lines
    }

    pub(super) fn delivered(&mut self, bodies: &[String]) {
        let lines = self.count(bodies);
        self.unsaved.extend(lines);
    }

    pub(super) fn swallowed(&mut self, bodies: &[String]) {
        let lines = self.count(bodies);
        self.swallowed.extend(lines);
    }

    pub(super) fn saved(&mut self) {
        // What comes after a line of which the agent does not know that it was received is not saved as shipped.
        if self.swallowed.is_empty() {
            self.unsaved.clear();
        }
    }

    pub(super) fn killed(&mut self, disk: &mut Disk) {
        self.doubtful.append(&mut self.unsaved);
        self.doubtful.append(&mut self.swallowed);
        self.doubt_backup(disk);
        self.open.clear();
        self.read.clear();
        self.passed.clear();
        disk.files.values_mut().for_each(|content| content.seen = false);
    }

    /// A start that finds two copies of a file but not the file can't tell that they are the same.
    fn doubt_backup(&mut self, disk: &Disk) {
        let backup = disk.files.get("a.log.bak");
        self.doubtful.extend(backup.into_iter().flat_map(|content| &content.lines));
    }

    /// What was under way is shipped again.
    pub(super) fn stopped(&mut self, disk: &Disk) {
        self.doubt_backup(disk);
        self.saved();
        self.doubtful.append(&mut self.unsaved);
        self.doubtful.append(&mut self.swallowed);
        self.read.clear();
        self.passed.clear();
    }

    pub(super) fn judge(&self, disk: &Disk, missed: u64) {
        let there = disk.files.values().flat_map(|content| &content.lines).copied();
        let must: BTreeSet<usize> =
            there.chain(self.open.iter().copied()).chain(self.read.iter().copied()).collect();
        let lost: Vec<usize> = must.iter().filter(|line| !self.counts.contains_key(line)).copied().collect();
        assert!(lost.is_empty(), "lost: {lost:?}; {missed} bytes were counted as missed; {:#?}", disk.files);
        let twice =
            |(line, count): (&usize, &usize)| (*count > 1 && !self.doubtful.contains(line)).then_some(*line);
        let twice: Vec<usize> = self.counts.iter().filter_map(twice).collect();
        assert!(twice.is_empty(), "twice: {twice:?}; {:#?}", disk.files);
        assert!(self.counts.keys().all(|line| *line < disk.lines), "a line that was never written");
    }
}

/// Whether it may be what is left of a line that was cut by a rotation or a truncation.
fn is_piece(body: &str) -> bool {
    let tail = body.trim_start_matches(|c: char| c != 'x').chars().all(|c| c == 'x');
    body.len() < 60 && (tail || "line ".starts_with(body) || body.starts_with("line "))
}
