//! What happened to the lines of one file: takes what the rotator did, gives which lines have to arrive.
//!
//! A line has to arrive if some file has it whole: one that is there at the end, or was there for ten seconds. A line
//! that was written between a copy's end and the truncation is in no file; neither is the one that the truncation
//! cuts. Of these a reader may ship the piece that it found, or what a quicker look at the file had still shown it.

use std::{fmt, ops::Range, time::Duration};

use crate::{
    line::{self, Spot},
    writer::Stretch,
};

/// A file that is deleted sooner may take lines along.
const LASTS_MIN: Duration = Duration::from_secs(10);

/// How a file came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Renamed,
    /// Copied, then truncated.
    Copied,
    /// Nothing happened: it is the log file itself.
    Stayed,
}

/// One file's worth of lines.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) fate: Fate,
    /// Where its first byte is.
    begin: Spot,
    /// The lines that it has whole.
    pub(crate) lines: Range<u64>,
    /// The lines that were truncated away before they were copied.
    pub(crate) gap: Range<u64>,
    /// When nobody wrote to it any more, counted from the start.
    pub(crate) closed: Duration,
    /// When its gzip took its place.
    pub(crate) packed: Option<Duration>,
    pub(crate) deleted: Option<Duration>,
}

impl Generation {
    /// What was renamed or has stayed: all of it is there.
    pub(crate) fn whole(fate: Fate, had: Stretch, closed: Duration) -> Self {
        Self::copied_up_to(had.end, fate, had, closed)
    }

    /// What was copied as far as `copied`, then truncated.
    pub(crate) fn copied(copied: Spot, had: Stretch, closed: Duration) -> Self {
        Self::copied_up_to(copied, Fate::Copied, had, closed)
    }

    fn copied_up_to(copied: Spot, fate: Fate, had: Stretch, closed: Duration) -> Self {
        let first = had.begin.first_whole();
        let lines = first..copied.line.max(first);
        let gap = lines.end..had.end.first_whole().max(lines.end);
        Self { fate, begin: had.begin, lines, gap, closed, packed: None, deleted: None }
    }

    /// Whether its lines have to arrive.
    pub(crate) fn lasted(&self) -> bool {
        self.deleted.is_none_or(|deleted| deleted >= self.closed + LASTS_MIN)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.fate {
            Fate::Renamed => "renamed",
            Fate::Copied => "copied and truncated",
            Fate::Stayed => "left as it was",
        };
        write!(f, "lines {:?}, {fate} at {:.2?}", self.lines, self.closed)?;
        if let Some(packed) = self.packed {
            write!(f, ", gzipped at {packed:.2?}")?;
        }
        if let Some(deleted) = self.deleted {
            write!(f, ", deleted at {deleted:.2?}")?;
        }
        Ok(())
    }
}

/// All generations of one file, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) generations: Vec<Generation>,
}

impl History {
    /// How many lines were written, or begun.
    pub(crate) fn lines(&self) -> u64 {
        self.generations.last().map_or(0, |last| last.gap.end)
    }

    /// How many lines nobody can be blamed for.
    pub(crate) fn gaps(&self) -> u64 {
        self.generations.iter().map(|generation| generation.gap.end - generation.gap.start).sum()
    }

    /// What some reader may have found the beginning of, and taken for a line: lines that are in no file whole, and
    /// what came of a line after the truncation that cut it.
    pub(crate) fn cut_lines(&self, file: usize) -> impl Iterator<Item = String> {
        let gaps = self.generations.iter().flat_map(|generation| generation.gap.clone());
        let heads = gaps.map(|line| Spot { line, cut: 0 });
        let rests = self.generations.iter().map(|generation| generation.begin).filter(|begin| begin.cut > 0);
        heads.chain(rests).map(move |spot| line::text(file, spot.line).split_off(spot.cut))
    }
}

#[test]
fn what_is_in_no_file_is_known_to_the_line() {
    let spot = |line, cut| Spot { line, cut };
    let gen_of = |begin, copied, end| {
        let generation = Generation::copied(copied, Stretch { begin, end }, Duration::ZERO);
        (generation.lines, generation.gap)
    };
    assert_eq!(gen_of(spot(0, 0), spot(5, 0), spot(5, 0)), (0..5, 5..5), "nothing came between");
    assert_eq!(gen_of(spot(0, 0), spot(5, 9), spot(5, 9)), (0..5, 5..6), "a line was cut");
    assert_eq!(gen_of(spot(2, 3), spot(5, 9), spot(8, 0)), (3..5, 5..8), "it began with the rest of one");
    assert_eq!(gen_of(spot(2, 3), spot(2, 5), spot(2, 7)), (3..3, 3..3), "one line was cut twice");
}
