//! A month's budget: how many events may be shipped in a calendar month (UTC) → how many a second from now on.
//!
//! Takes what is shipped and when. What is left is spread over the time that is left, within limits: not so much that the
//! month's last hour is a flood, and not nothing, so that what was spent too early does not leave us blind.
//!
//! Invariant: what was spent in a month is not forgotten because the clock was wrong for a while: of two months what
//! was spent is known, and a clock that is set back, or right again, finds its month as it was left.

use hivetail_parsers::Timestamp;
use jiff::{ToSpan, tz::TimeZone};

use super::saved::SavedMonth;

const NS_PER_S: f64 = 1e9;
/// So many times the even rate at most, however much is left.
const HASTE_MAX: f64 = 3.0;
/// This share of the even rate at least, even if nothing is left.
const TRICKLE: f64 = 0.01;

/// A month's budget.
#[derive(Debug)]
pub(super) struct Budget {
    events_per_month: u64,
    current: Option<Month>,
    previous: Option<Month>,
}

#[derive(Clone, Copy, Debug)]
struct Month {
    start: Timestamp,
    end: Timestamp,
    spent: u64,
}

impl Month {
    fn of(at: Timestamp, spent: u64) -> Self {
        let ns = |date: jiff::civil::Date| {
            let at =
                date.to_zoned(TimeZone::UTC).map(|at| at.timestamp().as_nanosecond()).unwrap_or_default();
            // Timestamps begin and end within a month, which is as good an end.
            i64::try_from(at).unwrap_or(if at < 0 { i64::MIN } else { i64::MAX })
        };
        let at = jiff::Timestamp::from_nanosecond(i128::from(at.ns())).unwrap_or_default();
        let first = at.to_zoned(TimeZone::UTC).date().first_of_month();
        let next = first.saturating_add(1.month());
        Self { start: Timestamp::from_ns(ns(first)), end: Timestamp::from_ns(ns(next)), spent }
    }

    fn has(&self, at: Timestamp) -> bool {
        (self.start..self.end).contains(&at)
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.ns() as f64 - from.ns() as f64) / NS_PER_S
}

impl Budget {
    pub(super) const fn new(events_per_month: u64) -> Self {
        Self { events_per_month, current: None, previous: None }
    }

    /// An event is shipped.
    pub(super) fn spend(&mut self, now: Timestamp) {
        let month = self.month(now);
        month.spent = month.spent.saturating_add(1);
    }

    /// How many events a second may be shipped from now on.
    pub(super) fn goal_per_s(&mut self, now: Timestamp) -> f64 {
        let budget = self.events_per_month;
        let month = self.month(now);
        let even = budget as f64 / seconds(month.start, month.end);
        let left = budget.saturating_sub(month.spent) as f64 / seconds(now, month.end).max(1.0);
        left.min(even * HASTE_MAX).max(even * TRICKLE)
    }

    /// The month of this time, which is the current one from now on.
    fn month(&mut self, now: Timestamp) -> &mut Month {
        if !self.current.is_some_and(|month| month.has(now)) {
            let known = self.previous.filter(|month| month.has(now));
            self.previous = self.current.take();
            self.current = known;
        }
        self.current.get_or_insert_with(|| Month::of(now, 0))
    }

    pub(super) fn save(&self) -> Vec<SavedMonth> {
        let saved = |month: &Month| SavedMonth { within_ns: month.start.ns(), spent: month.spent };
        self.current.iter().chain(&self.previous).map(saved).collect()
    }

    pub(super) fn restore(&mut self, saved: &[SavedMonth]) {
        let mut months =
            saved.iter().map(|month| Month::of(Timestamp::from_ns(month.within_ns), month.spent));
        (self.current, self.previous) = (months.next(), months.next());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_ns(i64::try_from(at.as_nanosecond()).unwrap())
    }

    fn budget(events_per_month: u64, spent: u64, now: Timestamp) -> Budget {
        let mut budget = Budget::new(events_per_month);
        budget.restore(&[SavedMonth { within_ns: now.ns(), spent }]);
        budget
    }

    #[test]
    fn what_is_left_is_spread_over_the_time_that_is_left() {
        // One event a second, in a month of 30 days.
        let month = 2_592_000;
        for (now, spent, expected) in [
            ("2026-11-01T00:00:00Z", 0, 1.0),
            ("2026-11-16T00:00:00Z", month / 2, 1.0),
            ("2026-11-16T00:00:00Z", month / 4, 1.5),
            ("2026-11-16T00:00:00Z", month * 3 / 4, 0.5),
            // No flood at the end, no silence after all is spent.
            ("2026-11-30T23:00:00Z", month / 2, 3.0),
            ("2026-11-30T23:59:59.999999999Z", 0, 3.0),
            ("2026-11-02T00:00:00Z", month, 0.01),
            ("2026-11-02T00:00:00Z", u64::MAX, 0.01),
            // A month of 28 days.
            ("2026-02-01T00:00:00Z", 0, 30.0 / 28.0),
        ] {
            let goal = budget(month, spent, at(now)).goal_per_s(at(now));
            assert!((goal - expected).abs() < 1e-9, "{now}, {spent} spent: {goal}");
        }
        assert!(Budget::new(0).goal_per_s(at("2026-11-01T00:00:00Z")).abs() < f64::EPSILON);
    }

    #[test]
    fn a_new_month_is_a_new_budget() {
        let mut budget = budget(1_000, 998, at("2026-12-31T23:59:59Z"));
        budget.spend(at("2026-12-31T23:59:59.9Z"));
        assert_eq!(budget.month(at("2026-12-31T23:59:59.9Z")).spent, 999);
        budget.spend(at("2027-01-01T00:00:00Z"));
        assert_eq!(budget.month(at("2027-01-01T00:00:00Z")).spent, 1);
    }

    #[test]
    fn a_clock_that_jumps_forgets_nothing() {
        let november = at("2026-11-22T12:00:00Z");
        for wrong in ["1970-01-01T00:00:10Z", "2026-10-31T23:59:59Z", "2199-05-05T05:05:05Z"] {
            let mut budget = budget(1_000, 500, november);
            budget.spend(at(wrong));
            assert_eq!(budget.month(at(wrong)).spent, 1, "{wrong}");
            budget.spend(november);
            assert_eq!(budget.month(november).spent, 501, "{wrong}");
            let saved = budget.save();
            let mut restarted = Budget::new(2_000);
            restarted.restore(&saved);
            assert_eq!((restarted.month(november).spent, restarted.month(at(wrong)).spent), (501, 1));
        }
    }

    #[test]
    fn no_time_is_too_odd() {
        for ns in [i64::MIN, i64::MAX, 0] {
            let mut budget = Budget::new(u64::MAX);
            budget.spend(Timestamp::from_ns(ns));
            assert!(budget.goal_per_s(Timestamp::from_ns(ns)).is_finite(), "{ns}");
        }
    }
}
