//! Trails: positions that a file was read past, and what stood before them.
//!
//! Whoever copies a file and empties it may have read less of it than the agent did. Such a copy does not reach the
//! position that the file is known by, but it has the same bytes before the last position of the trail that it reaches.
//!
//! Takes positions as they are passed, and open files to compare. Bounded, the oldest are forgotten first.

use std::{collections::VecDeque, fs::File, io};

use super::print::Print;
use crate::{ack::StreamId, frame::BEFORE_BYTES};

/// How many positions are kept: those of the last 2 MiB.
const POSITIONS_MAX: usize = 512;
/// From one to the next.
const STEP_BYTES: usize = 4 * 1024;

/// The positions of one generation of a file.
#[derive(Debug, Default)]
pub(super) struct Trail(VecDeque<(u64, u32)>);

/// A generation of a file that is over.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) print: Print,
    pub(super) trail: Trail,
    pub(super) stream: StreamId,
}

impl Trail {
    /// A file was read up to there; `last` is what stands before that, as much as is at hand.
    pub(super) fn pass(&mut self, position: u64, last: &[u8]) {
        let from = position - last.len() as u64;
        let next = self.0.back().map_or(0, |(last, _)| last + STEP_BYTES as u64);
        let skipped = usize::try_from(next.saturating_sub(from)).unwrap_or(usize::MAX);
        for end in (skipped.max(BEFORE_BYTES)..=last.len()).step_by(STEP_BYTES) {
            if self.0.len() == POSITIONS_MAX {
                self.0.pop_front();
            }
            let tail = crc32fast::hash(&last[end - BEFORE_BYTES..end]);
            self.0.push_back((from + end as u64, tail));
        }
    }

    /// Whether a file is a copy of what was read by this trail and began like that print: it ends before the print's
    /// position.
    ///
    /// # Errors
    /// When it can't be read.
    pub(super) fn leads_through(&self, file: &File, begun: Print) -> io::Result<bool> {
        let len = file.metadata()?.len();
        let reached = self.0.iter().rev().find(|(position, _)| *position <= len);
        let Some((position, tail)) = reached else { return Ok(false) };
        Print { tail: Some(*tail), ..begun }.fits(file, *position, true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_copy_is_known_by_the_last_position_that_it_reaches() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| {
            fs::write(dir.path().join(name), text).unwrap();
            File::open(dir.path().join(name)).unwrap()
        };
        let text: Vec<u8> = (0..10_000_u32).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let original = file("a", &text);
        let mut print = Print::default();
        print.learn_head(&original, text.len() as u64).unwrap();
        let mut trail = Trail::default();
        for (from, end) in
            [(0, 100), (0, 300), (44, 5_000), (4_744, 40_000), (39_744, 40_001), (39_745, 90_000)]
        {
            trail.pass(end as u64, &text[from..end]);
        }
        assert!(trail.leads_through(&file("h", &text[..260]), print).unwrap());
        assert!(trail.leads_through(&file("b", &text[..50_000]), print).unwrap());
        let mut other = text[..50_000].to_vec();
        other[49_900..].fill(b'x');
        assert!(
            trail.leads_through(&file("c", &other), print).unwrap(),
            "after the last position it is not asked"
        );
        other[40_000..].fill(b'x');
        assert!(!trail.leads_through(&file("d", &other), print).unwrap());
        let mut other = text[..50_000].to_vec();
        other[0] = b'x';
        assert!(!trail.leads_through(&file("e", &other), print).unwrap());
        for position in 0..10_000 {
            trail.pass(1_000_000 + position * STEP_BYTES as u64, &text[..STEP_BYTES]);
        }
        assert_eq!(trail.0.len(), POSITIONS_MAX);
        assert!(!trail.leads_through(&file("f", &text[..50_000]), print).unwrap(), "forgotten");
    }
}
