//! What rates are for: a fixed one, an average one, so many events a second, or a month.
//!
//! Takes what keys have on average, gives their rates. Events that are never sampled use up the goal, too, but for a
//! tenth: what is sampled is never shut out by what is not.
//!
//! Invariant: rates depend on what came, not on what was kept of it (but for what a month has left), so that they do
//! not undo the chances by which events are kept.

use hivetail_parsers::Timestamp;

use super::{allocation, budget::Budget, saved::SavedMonth};

const S_PER_HOUR: f64 = 3_600.0;
/// This share of the goal is left, however many events are never sampled.
const GOAL_MIN: f64 = 0.1;

/// What rates are for.
#[derive(Debug)]
pub(super) enum Goal {
    /// Each key has this rate.
    Fixed(u32),
    /// One in so many events on average.
    SampleRate(u32),
    /// So many events a second.
    Throughput { per_s: f64, initial_rate: u32 },
    /// So many events a month.
    Month {
        budget: Budget,
        initial_rate: u32,
        /// How many intervals the averages are made of.
        intervals: u64,
    },
}

impl Goal {
    /// So many events a month, of which none was shipped yet.
    pub(super) const fn month(events: u64, initial_rate: u32) -> Self {
        Self::Month { budget: Budget::new(events), initial_rate, intervals: 0 }
    }

    /// The rate of all keys while nothing is known of what comes.
    pub(super) const fn initial_rate(&self) -> u32 {
        match self {
            Self::Fixed(rate) | Self::SampleRate(rate) => *rate,
            Self::Throughput { initial_rate, .. } | Self::Month { initial_rate, .. } => *initial_rate,
        }
    }

    /// The rate of a key that has come up since the last adjustment.
    pub(super) const fn new_key_rate(&self) -> u32 {
        match self {
            Self::Fixed(rate) => *rate,
            _ => 1,
        }
    }

    /// An event is shipped.
    pub(super) fn spend(&mut self, now: Timestamp) {
        if let Self::Month { budget, .. } = self {
            budget.spend(now);
        }
    }

    /// So many intervals have ended; answers of how many the averages are made if quiet ones count.
    pub(super) const fn end_intervals(&mut self, ended: u64) -> Option<u64> {
        let Self::Month { intervals, .. } = self else { return None };
        *intervals = intervals.saturating_add(ended);
        Some(*intervals)
    }

    /// The rates of keys with these averages, for each interval of so many seconds.
    pub(super) fn rates(&mut self, averages: &[f64], load: Load, now: Timestamp) -> Vec<u32> {
        match self {
            Self::Fixed(rate) => vec![*rate; averages.len()],
            Self::SampleRate(rate) => {
                let sum: f64 = averages.iter().map(|average| average.max(1.0)).sum();
                allocation::rates(sum / f64::from(*rate), averages)
            }
            Self::Throughput { per_s, .. } => {
                allocation::rates(load.left_of(*per_s) * load.interval_s, averages)
            }
            // By the hour, since each key is given one event at least of whatever the goal is for.
            Self::Month { budget, .. } => {
                let scale = S_PER_HOUR / load.interval_s;
                let hourly: Vec<f64> = averages.iter().map(|average| average * scale).collect();
                allocation::rates(load.left_of(budget.goal_per_s(now)) * S_PER_HOUR, &hourly)
            }
        }
    }

    pub(super) fn save(&self) -> Vec<SavedMonth> {
        match self {
            Self::Month { budget, .. } => budget.save(),
            _ => Vec::new(),
        }
    }

    /// Knows what was spent; averages that are known are made of many intervals.
    pub(super) fn restore(&mut self, months: &[SavedMonth], has_averages: bool) {
        if let Self::Month { budget, intervals, .. } = self {
            budget.restore(months);
            if has_averages {
                *intervals = u64::MAX;
            }
        }
    }
}

/// What else there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) interval_s: f64,
    /// How many events of an interval are never sampled, on average.
    pub(super) spared: f64,
}

impl Load {
    fn left_of(self, goal_per_s: f64) -> f64 {
        (goal_per_s - self.spared / self.interval_s).max(goal_per_s * GOAL_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ns(1_795_000_000_000_000_000);

    #[test]
    fn rates_follow_the_goal() {
        let throughput = |per_s| Goal::Throughput { per_s, initial_rate: 10 };
        // 720 an hour, in a month of 30 days.
        let month = || Goal::month(720 * 720, 10);
        let averages = &[1_000.0, 100.0, 10.0, 1.0][..];
        for (mut goal, averages, spared, expected) in [
            (Goal::Fixed(7), averages, 0.0, &[7, 7, 7, 7][..]),
            (Goal::SampleRate(10), averages, 0.0, &[19, 3, 1, 1]),
            (Goal::SampleRate(10), averages, 1e9, &[19, 3, 1, 1]),
            (Goal::SampleRate(1), averages, 0.0, &[1, 1, 1, 1]),
            (throughput(11.11), averages, 0.0, &[19, 3, 1, 1]),
            // Three quarters are used up: the ratio is 27.775/6.
            (throughput(11.11), averages, 83.325, &[73, 11, 3, 1]),
            // All and more is used up, a tenth is left.
            (throughput(111.1), averages, 1e9, &[19, 3, 1, 1]),
            (throughput(0.0), averages, 0.0, &[1_000, 100, 10, 1]),
            // An event in ten seconds, 360 an hour: there is room for all, as for 1 in each interval of the others.
            (month(), &[1.0], 0.0, &[1]),
            // 36,000 and 360 an hour: the ratio is 720/7.1; a key is not given one event per interval.
            (month(), &[100.0, 1.0], 0.0, &[79, 2]),
        ] {
            let load = Load { interval_s: 10.0, spared };
            goal.restore(&[SavedMonth { within_ns: NOW.ns(), spent: spent_by(NOW) }], false);
            assert_eq!(
                goal.rates(averages, load, NOW),
                expected,
                "{goal:?} of {averages:?}, {spared} spared"
            );
        }
    }

    /// As much as an even spread of 720 an hour would have taken since the month began.
    fn spent_by(now: Timestamp) -> u64 {
        let month_start_ns = 1_793_491_200_000_000_000;
        u64::try_from((now.ns() - month_start_ns) / 5_000_000_000).unwrap()
    }
}
