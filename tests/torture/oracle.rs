//! The oracle: takes the events that arrived, each as JSON text, and what was written; says what is wrong.
//!
//! It remembers of each line how often it arrived, and each text that is no line.

use std::{borrow::Cow, ops::Range};

use serde::Deserialize;

use crate::{
    field::FILES,
    history::{Generation, History},
    line,
};

/// No run writes so many lines to one file.
const LINES_MAX: u64 = 1 << 28;
/// How many texts that are no lines are remembered.
const TEXTS_MAX: usize = 100_000;

/// What arrived.
pub(crate) struct Oracle {
    /// By file and line: how often.
    seen: Vec<Vec<u8>>,
    /// What is no line: texts without fields, or events that make no sense.
    others: Vec<String>,
    /// How many lines arrived that had arrived before, by life of the agent.
    repeated: Vec<u64>,
    /// Events in all.
    pub(crate) events: u64,
}

/// What an event has of a line.
#[derive(Deserialize)]
struct Shipped<'a> {
    f: Option<Cow<'a, str>>,
    n: Option<Cow<'a, str>>,
    pad: Option<Cow<'a, str>>,
    body: Option<Cow<'a, str>>,
}

impl Shipped<'_> {
    /// The line's file and number, if it is one of ours to the last byte.
    fn line(&self) -> Option<(usize, u64)> {
        let (file, number) = (self.f.as_ref()?.parse().ok()?, self.n.as_ref()?.parse().ok()?);
        let is_whole =
            file < FILES && number < LINES_MAX && *line::pad(file, number) == **self.pad.as_ref()?;
        is_whole.then_some((file, number))
    }
}

impl Default for Oracle {
    fn default() -> Self {
        Self { seen: vec![Vec::new(); FILES], others: Vec::new(), repeated: vec![0], events: 0 }
    }
}

impl Oracle {
    /// An event arrived.
    pub(crate) fn enter(&mut self, data: &str) {
        self.events += 1;
        let shipped = serde_json::from_str::<Shipped<'_>>(data).ok();
        let Some((file, number)) = shipped.as_ref().and_then(Shipped::line) else {
            let body = shipped.and_then(|shipped| shipped.body);
            if self.others.len() < TEXTS_MAX {
                self.others.push(body.map_or_else(|| data.to_owned(), Cow::into_owned));
            }
            return;
        };
        let (seen, index) = (&mut self.seen[file], usize::try_from(number).unwrap_or(usize::MAX));
        if seen.len() <= index {
            seen.resize(index + 1, 0);
        }
        if seen[index] > 0
            && let Some(repeated) = self.repeated.last_mut()
        {
            *repeated += 1;
        }
        seen[index] = seen[index].saturating_add(1);
    }

    /// What comes from now on is another life's.
    pub(crate) fn next_life(&mut self) {
        self.repeated.push(0);
    }

    /// Whether every line that has to arrive has arrived.
    pub(crate) fn is_complete(&self, histories: &[History]) -> bool {
        let mut expected = expected(histories);
        expected.all(|(file, generation)| generation.lines.clone().all(|line| self.has(file, line)))
    }

    /// What there is to say at the end.
    pub(crate) fn verdict(&self, histories: &[History]) -> Verdict {
        let mut losses = Vec::new();
        for (file, generation) in expected(histories) {
            let missing = generation.lines.clone().filter(|line| !self.has(file, *line));
            losses.extend(ranges(missing).map(|lines| Loss { file, lines, from: generation.clone() }));
        }
        let files = histories.iter().enumerate();
        let cut: Vec<String> = files.flat_map(|(file, history)| history.cut_lines(file)).collect();
        let is_piece = |text: &String| cut.iter().any(|cut| cut.starts_with(text));
        let (pieces, strange): (Vec<_>, Vec<_>) = self.others.iter().cloned().partition(is_piece);
        let beyond = histories.iter().zip(&self.seen).map(|(history, seen)| {
            let written = usize::try_from(history.lines()).unwrap_or(usize::MAX);
            seen.iter().skip(written).filter(|count| **count > 0).count() as u64
        });
        let in_gaps = histories.iter().enumerate().flat_map(|(file, history)| {
            let gaps = history.generations.iter().flat_map(|generation| generation.gap.clone());
            gaps.filter(move |line| self.has(file, *line))
        });
        Verdict {
            written: histories.iter().map(History::lines).sum(),
            lost: losses.iter().map(|loss| loss.lines.end - loss.lines.start).sum(),
            losses,
            strange,
            invented: beyond.sum(),
            pieces: pieces.len(),
            gaps: histories.iter().map(History::gaps).sum(),
            in_gaps: in_gaps.count() as u64,
            repeated: self.repeated.clone(),
        }
    }

    fn has(&self, file: usize, line: u64) -> bool {
        let index = usize::try_from(line).unwrap_or(usize::MAX);
        self.seen[file].get(index).is_some_and(|count| *count > 0)
    }
}

/// The generations whose lines have to arrive, with their files.
fn expected(histories: &[History]) -> impl Iterator<Item = (usize, &Generation)> {
    let files = histories.iter().enumerate();
    files.flat_map(|(file, history)| {
        let lasted = history.generations.iter().filter(|generation| generation.lasted());
        lasted.map(move |generation| (file, generation))
    })
}

/// Ascending numbers as ranges without gaps.
fn ranges(numbers: impl Iterator<Item = u64>) -> impl Iterator<Item = Range<u64>> {
    let mut numbers = numbers.peekable();
    std::iter::from_fn(move || {
        let start = numbers.next()?;
        let mut end = start + 1;
        while numbers.next_if_eq(&end).is_some() {
            end += 1;
        }
        Some(start..end)
    })
}

/// Lines that are missing, and what happened to the file that had them.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) file: usize,
    pub(crate) lines: Range<u64>,
    pub(crate) from: Generation,
}

/// What the oracle says.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) written: u64,
    pub(crate) lost: u64,
    pub(crate) losses: Vec<Loss>,
    /// Texts that were never written.
    pub(crate) strange: Vec<String>,
    /// Lines that were never written, though they look like it.
    pub(crate) invented: u64,
    /// Pieces of lines that truncations cut.
    pub(crate) pieces: usize,
    /// Lines that were truncated away uncopied, and how many of them arrived all the same.
    pub(crate) gaps: u64,
    pub(crate) in_gaps: u64,
    /// Lines that had arrived before, by life of the agent.
    pub(crate) repeated: Vec<u64>,
}
