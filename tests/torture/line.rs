//! Lines: a file's number and a line's number give its text, and the text tells both.
//!
//! Nothing of what was written has to be remembered: where a file stands is a [`Spot`], and every byte between two
//! spots can be told again. Each text is as long as its number says and has padding of its own, so that two lines of
//! which one begins and the other ends can't be taken for a third.

use std::{ops::Range, sync::LazyLock};

/// How long a line is on average, its newline included.
pub(crate) const BYTES_MEAN: usize = 200;

/// How long the padding of a line may be.
const PAD_BYTES: Range<usize> = 90..250;

/// What all padding is cut from.
static LETTERS: LazyLock<String> = LazyLock::new(|| {
    let mut random = fastrand::Rng::with_seed(0);
    (0..4096 + PAD_BYTES.end).map(|_| random.lowercase()).collect()
});

/// The padding of a line, without any character that JSON would escape.
pub(crate) fn pad(file: usize, number: u64) -> &'static str {
    let mut random = fastrand::Rng::with_seed(number.wrapping_mul(64).wrapping_add(file as u64));
    let (from, len) = (random.usize(..4096), random.usize(PAD_BYTES));
    &LETTERS[from..from + len]
}

/// A line with its newline.
pub(crate) fn text(file: usize, number: u64) -> String {
    format!("{{\"f\":\"{file}\",\"n\":\"{number}\",\"pad\":\"{}\"}}\n", pad(file, number))
}

/// Where the lines of a file stand: all before `line` are written, and the first `cut` bytes of `line`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) line: u64,
    pub(crate) cut: usize,
}

impl Spot {
    /// The first line that begins here or later.
    pub(crate) fn first_whole(self) -> u64 {
        self.line + u64::from(self.cut > 0)
    }

    /// Where `file` stands `bytes` later.
    pub(crate) fn later(mut self, file: usize, bytes: u64) -> Self {
        let mut left = self.cut as u64 + bytes;
        loop {
            let len = text(file, self.line).len() as u64;
            if left < len {
                self.cut = usize::try_from(left).unwrap_or_default();
                return self;
            }
            left -= len;
            self.line += 1;
        }
    }
}

#[test]
fn a_spot_is_as_far_on_as_its_bytes() {
    let (first, second) = (text(3, 0).len(), text(3, 1).len());
    let spot = |bytes: usize| Spot::default().later(3, bytes as u64);
    assert_eq!(spot(first - 1), Spot { line: 0, cut: first - 1 });
    assert_eq!(spot(first), Spot { line: 1, cut: 0 });
    assert_eq!(spot(first + 7), Spot { line: 1, cut: 7 });
    assert_eq!(spot(first + 7).later(3, (second - 7) as u64), Spot { line: 2, cut: 0 });
    let mean = (0..10_000).map(|number| text(3, number).len()).sum::<usize>() / 10_000;
    assert!(mean.abs_diff(BYTES_MEAN) < 10, "{mean}");
}
