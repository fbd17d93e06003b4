//! Lines → events: which line goes on with the one before it, and the event that is still open.
//!
//! Takes lines without their envelopes, says which begin an event. What is pending is kept as text, with the line that
//! it began with as it was read, so that the envelope can be opened again when the event is complete.

use std::sync::Arc;

use hivetail_parsers::{Parser, Record, Scratch, Start, Timestamp};
use regex::bytes::Regex;

use super::{Taken, lanes::Lane};
use crate::{encode::Constants, frame::Line, pass::StreamFacts};

/// Which lines belong together.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Each line is an event.
    Off,
    /// Those of an Elixir Logger event: what does not begin as one goes on with the one before.
    Logger,
    /// An event begins with a line in which this is found.
    Starts(Regex),
    /// An indented line goes on with the one before, and what else a stack trace of Java or Python consists of.
    Indented,
}

impl Rule {
    /// What the line is to the one before it; `record` is left as it was.
    pub(crate) fn start<'a>(
        &self,
        line: &'a [u8],
        parser: &Parser,
        lane: &Lane,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Start {
        match self {
            Self::Off => Start::Whole(None),
            Self::Logger => parser.starts(line, lane.pending.is_open(), lane.form, scratch, record),
            Self::Starts(pattern) if pattern.is_match(line) => Start::Open(None),
            Self::Indented if !goes_on(line, &lane.pending.text) => Start::Open(None),
            Self::Starts(_) | Self::Indented => Start::Nothing,
        }
    }
}

/// Whether a line is part of a stack trace that `text` ends with: indented, or one of those that are not.
fn goes_on(line: &[u8], text: &[u8]) -> bool {
    /// Java chains causes, Python says why there are two traces.
    const CHAINED: [&[u8]; 5] = [
        b"Caused by: ",
        b"Suppressed: ",
        b"Traceback (most recent call last):",
        b"During handling of the above exception, another exception occurred:",
        b"The above exception was the direct cause of the following exception:",
    ];
    if line.trim_ascii_start().len() < line.len() || line.is_empty() {
        return true;
    }
    if CHAINED.iter().any(|beginning| line.starts_with(beginning)) {
        return true;
    }
    // Python's exception itself stands below its frames, without an indent.
    let trace = memchr::memmem::rfind(text, b"Traceback (most recent call last):\n");
    trace.is_some_and(|at| {
        let mut lines = text[at..].split(|byte| *byte == b'\n').skip(1);
        lines.all(|line| line.starts_with(b" ") || line.is_empty())
    })
}

/// An event that may go on; none while it has no lines.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The first line as it was read, where it came in an envelope.
    pub(crate) first: Vec<u8>,
    /// The text so far.
    pub(crate) text: Vec<u8>,
    pub(crate) lines: Vec<Taken>,
    pub(crate) constants: Arc<Constants>,
    /// Where its first line is, if that is worth telling.
    pub(crate) offset: Option<u64>,
    pub(crate) received: Timestamp,
    /// When its file was last written to.
    pub(crate) date: Option<Timestamp>,
    /// When its last line was taken, by the lineage's clock.
    pub(crate) taken_ms: u64,
    /// Whether only the pieces of one line belong to it.
    pub(crate) whole: bool,
    /// Whether the next line is a piece of this one's last.
    pub(crate) split: bool,
    /// Whether nothing more belongs to it, it only has not been shipped yet.
    pub(crate) closed: bool,
    /// Whether some of it was cut.
    pub(crate) cut: bool,
    /// Whether its stream ended before its last line did.
    pub(crate) partial: bool,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            text: Vec::new(),
            lines: Vec::new(),
            constants: Arc::default(),
            offset: None,
            received: Timestamp::from_ns(0),
            date: None,
            taken_ms: 0,
            whole: false,
            split: false,
            closed: false,
            cut: false,
            partial: false,
        }
    }
}

/// What is kept of a buffer's memory for the next event.
const SPARE_BYTES: usize = 16 * 1024;

impl Pending {
    pub(crate) const fn is_open(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Whether the next line of its lane may be part of it.
    pub(crate) const fn goes_on(&self) -> bool {
        self.is_open() && !self.closed && (self.split || !self.whole)
    }

    /// Whether the next line is part of it, whatever it is; a blank one is part of any event that goes on.
    pub(crate) const fn takes_any(&self, blank: bool) -> bool {
        self.goes_on() && (self.split || blank)
    }

    /// Begins an event with that line, which is yet to be appended.
    pub(crate) fn begin(&mut self, line: &Line<'_>, facts: &StreamFacts, received: Timestamp, whole: bool) {
        self.constants = Arc::clone(&facts.constants);
        self.offset = facts.tells_offset.then_some(line.start);
        (self.received, self.date, self.whole) = (received, facts.date, whole);
    }

    /// Appends a line, or a piece of one.
    pub(crate) fn append(&mut self, line: &[u8], taken: Taken) {
        if self.is_open() && !self.split {
            self.text.push(b'\n');
        }
        self.text.extend_from_slice(line);
        self.lines.push(taken);
    }

    /// The bytes that it takes.
    pub(crate) const fn bytes(&self) -> usize {
        self.first.len() + self.text.len() + self.lines.len() * size_of::<Taken>()
    }

    /// Forgets the event, and all memory but a little.
    pub(crate) fn clear(&mut self) {
        for buffer in [&mut self.first, &mut self.text] {
            buffer.clear();
            buffer.shrink_to(SPARE_BYTES);
        }
        self.lines.clear();
        self.lines.shrink_to(SPARE_BYTES / size_of::<Taken>());
        (self.whole, self.split, self.closed) = (false, false, false);
        (self.cut, self.partial) = (false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_lines_and_the_rest_of_a_trace_go_on() {
        let java = "2026-11-21 ERROR boom\njava.lang.IllegalStateException: x";
        for line in ["\tat a.B.c(B.java:1)", "    ... 12 more", "Caused by: java.io.IOException: y", ""] {
            assert!(goes_on(line.as_bytes(), java.as_bytes()), "{line}");
        }
        assert!(!goes_on(b"2026-11-21 INFO next", java.as_bytes()));
        let python = "ERROR boom\nTraceback (most recent call last):\n  File \"a.py\", line 1, in b\n    c()";
        assert!(goes_on(b"ValueError: no", python.as_bytes()));
        let done = format!("{python}\nValueError: no");
        assert!(!goes_on(b"INFO next", done.as_bytes()));
        assert!(goes_on(
            b"During handling of the above exception, another exception occurred:",
            done.as_bytes()
        ));
    }
}
