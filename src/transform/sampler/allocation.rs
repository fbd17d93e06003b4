//! Counts of keys → their rates, so that a goal is met and rare keys are seen.
//!
//! Takes how many events are wanted in all, and how many each key has; gives each key's rate. A key's share of the goal
//! is as the logarithm of its count, and one event at least; what a key does not need goes to those after it. The
//! formulas are those of Honeycomb's `dynsampler-go`, so that rates are what people know from Refinery; but where there is
//! room for all, none is sampled, which the formulas alone do not see to.
//!
//! Invariant: every rate is at least 1, whatever the numbers are.

/// The rates of keys with these counts, in their order.
pub(super) fn rates(goal: f64, counts: &[f64]) -> Vec<u32> {
    if counts.iter().map(|count| count.max(1.0)).sum::<f64>() <= goal {
        return vec![1; counts.len()];
    }
    // Averages below 1 would have a negative logarithm.
    let log_sum: f64 = counts.iter().map(|count| count.max(1.0).log10()).sum();
    let goal_ratio = goal / log_sum;
    let mut extra = 0.0;
    let mut left = counts.len() as f64;
    let rate = |count: &f64| {
        let count = count.max(1.0);
        // Where no key has more than one event the ratio is infinite, the product not a number, and the maximum 1.
        let wanted = (count.log10() * goal_ratio).max(1.0) + extra / left;
        extra -= extra / left;
        left -= 1.0;
        let rate = if count <= wanted { 1 } else { whole(count / wanted) };
        extra += wanted - count / f64::from(rate);
        rate
    };
    counts.iter().map(rate).collect()
}

/// Rounded up; 1 if it is no number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such a cast stays in the range")]
const fn whole(rate: f64) -> u32 {
    let rate = rate.ceil() as u32;
    if rate == 0 { 1 } else { rate }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_dynsampler_go() {
        for (goal, counts, expected) in [
            // Its own test: one in 10 of 1,111.
            (111.1, &[1_000.0, 100.0, 10.0, 1.0][..], &[19, 3, 1, 1][..]),
            // By hand: the ratio is 10/4, so 7.5 are wanted of the first, 2.5 + (7.5 - 1,000/134) of the second.
            (10.0, &[1_000.0, 10.0], &[134, 4]),
            // The first leaves what it does not need: 100·(1/3) - 10 more for the second.
            (100.0, &[10.0, 100.0], &[1, 2]),
            (1.0, &[1.0], &[1]),
            (0.0, &[0.5, 0.0], &[1, 1]),
            (0.0, &[50.0], &[50]),
            // There is room for all, though not for 100 of the first by its share.
            (140.0, &[100.0, 20.0, 20.0], &[1, 1, 1]),
            (139.0, &[100.0, 20.0, 20.0], &[2, 1, 1]),
            (1.0, &[], &[]),
            (f64::NAN, &[5.0], &[5]),
            (f64::INFINITY, &[5.0, 7.0], &[1, 1]),
            (1.0, &[1e300], &[u32::MAX]),
        ] {
            assert_eq!(rates(goal, counts), expected, "{goal} of {counts:?}");
        }
    }
}
