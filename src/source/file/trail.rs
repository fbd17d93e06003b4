//! Trails: positions that a file was read past, and what stood before them.
//!
//! Whoever copies a file and empties it may have read less of it than the agent did. Such a copy does not reach the
//! position that the file is known by, but it has the same bytes before the last position of the trail that it reaches.
//!
//! Takes positions as they are passed, and open files to compare. Bounded, the oldest are forgotten first.

use std::{collections::VecDeque, fs::File, io};

use super::print::Print;
use crate::ack::{End, StreamId};

/// How many positions are kept: of a file that is written to at full speed the last 16 MiB, of others at least 1 MiB.
const POSITIONS_MAX: usize = 256;
/// The least distance between two.
const STEP_BYTES: u64 = 4 * 1024;

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
    /// A file was read up to there.
    pub(super) fn pass(&mut self, end: End) {
        let Some(tail) = end.tail else { return };
        if self.0.back().is_some_and(|(last, _)| end.position < last + STEP_BYTES) {
            return;
        }
        if self.0.len() == POSITIONS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((end.position, tail));
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
    use crate::source::file::print::tail_at;

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
        for position in (0..text.len() as u64).step_by(1_000) {
            trail.pass(End { position, tail: tail_at(&original, position).unwrap() });
        }
        assert!(trail.leads_through(&file("b", &text[..50_000]), print).unwrap());
        let mut other = text[..53_000].to_vec();
        other[51_000..].fill(b'x');
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
            trail.pass(End { position: 1_000_000 + position * STEP_BYTES, tail: Some(1) });
        }
        assert_eq!(trail.0.len(), POSITIONS_MAX);
        assert!(!trail.leads_through(&file("f", &text[..50_000]), print).unwrap(), "forgotten");
    }
}
