//! A lineage's clock: how long its newest stream has been read to its end.
//!
//! Takes instants, gives milliseconds. Joins end by it, so that a trace is never cut in two because we stopped
//! reading: it stands still while there is something to read, and while the source waits for the budget.

use std::time::{Duration, Instant};

/// The clock of one lineage.
#[derive(Clone, Copy, Debug, Default)]
pub struct JoinClock {
    elapsed: Duration,
    at_end_since: Option<Instant>,
}

impl JoinClock {
    /// Everything there was has been read by now.
    pub fn at_end(&mut self, now: Instant) {
        self.pause(now);
        self.at_end_since = Some(now);
    }

    /// There is something to read, or nobody reads.
    pub fn pause(&mut self, now: Instant) {
        if let Some(since) = self.at_end_since.take() {
            self.elapsed += now.saturating_duration_since(since);
        }
    }

    /// What it shows, in milliseconds.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// When it will show that; `None` while it stands still.
    #[must_use]
    pub fn when(&self, elapsed_ms: u64) -> Option<Instant> {
        let left = Duration::from_millis(elapsed_ms).saturating_sub(self.elapsed);
        self.at_end_since?.checked_add(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_only_at_the_end() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut clock = JoinClock::default();
        clock.pause(at(50));
        assert_eq!((clock.elapsed_ms(), clock.when(1)), (0, None), "nothing was read to its end yet");
        clock.at_end(at(100));
        clock.at_end(at(400));
        assert_eq!(clock.elapsed_ms(), 300);
        assert_eq!(clock.when(1_000), Some(at(1_100)));
        clock.pause(at(500));
        clock.pause(at(9_000));
        clock.at_end(at(9_500));
        assert_eq!(clock.elapsed_ms(), 400, "an outage does not count");
        assert_eq!(clock.when(1_000), Some(at(10_100)));
    }
}
