//! Intervals of a wall clock that may jump.
//!
//! Takes the time of each event, says when an interval has ended.
//!
//! Invariant: a clock that is set back begins an interval anew, so that the next one ends as soon as ever.

use hivetail_parsers::Timestamp;

const NS_PER_S: u64 = 1_000_000_000;

/// Where in its intervals the clock is.
#[derive(Debug)]
pub(super) struct Interval {
    length_s: u64,
    start: Option<Timestamp>,
    passed: u64,
}

impl Interval {
    /// The first one begins with the first event.
    pub(super) const fn new(length_s: u64) -> Self {
        Self { length_s, start: None, passed: 0 }
    }

    /// How many have passed.
    pub(super) const fn passed(&self) -> u64 {
        self.passed
    }

    /// The current one begins now.
    pub(super) const fn restart(&mut self, now: Timestamp) {
        self.start = Some(now);
    }

    /// How many have ended; the next begins where they do.
    pub(super) fn ended(&mut self, now: Timestamp) -> u64 {
        let start = *self.start.get_or_insert(now);
        let Ok(elapsed_ns) = u64::try_from(now.ns().saturating_sub(start.ns())) else {
            self.restart(now);
            return 0;
        };
        let passed = elapsed_ns / NS_PER_S / self.length_s.max(1);
        self.passed = self.passed.saturating_add(passed);
        let moved_s = i64::try_from(passed.saturating_mul(self.length_s.max(1))).unwrap_or(i64::MAX);
        self.start = Some(start.plus_seconds(moved_s));
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_end_on_time_whatever_the_clock_does() {
        let start = Timestamp::from_ns(1_795_000_000_500_000_000);
        let mut interval = Interval::new(15);
        for (seconds, ends, passed) in [
            (0, false, 0),
            (14, false, 0),
            (16, true, 1),
            (29, false, 1),
            (30, true, 2),
            // A quiet hour.
            (3_640, true, 242),
            (3_644, false, 242),
            (3_645, true, 243),
            // It is set back.
            (-100_000, false, 243),
            (-99_986, false, 243),
            (-99_985, true, 244),
        ] {
            assert_eq!(
                (interval.ended(start.plus_seconds(seconds)) > 0, interval.passed()),
                (ends, passed),
                "{seconds}"
            );
        }
        interval.restart(start);
        assert_eq!([14, 15].map(|seconds| interval.ended(start.plus_seconds(seconds))), [0, 1]);
    }

    #[test]
    fn no_time_is_too_odd() {
        for length_s in [0, 1, u64::MAX] {
            let mut interval = Interval::new(length_s);
            for ns in [i64::MAX, i64::MIN, i64::MAX, 0] {
                interval.ended(Timestamp::from_ns(ns));
            }
        }
    }
}
