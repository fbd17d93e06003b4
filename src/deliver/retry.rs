//! How long to wait before the next attempt.
//!
//! Exponential from half a second to fifteen, with full jitter, for as long as it takes. A server that says when
//! to come back (`Retry-After`: seconds or a date, RFC 9110, 10.2.3) is obeyed up to an hour, the jitter added
//! after that, never before. Pure: the random number comes in.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use hivetail_parsers::Timestamp;

const DELAY_MIN: Duration = Duration::from_millis(500);
const DELAY_MAX: Duration = Duration::from_secs(15);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// The delays between attempts.
#[derive(Debug)]
pub struct Backoff {
    delays: ExponentialBackoff,
}

impl Default for Backoff {
    fn default() -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(DELAY_MIN)
            .with_max_delay(DELAY_MAX)
            .with_factor(2.0)
            .without_max_times()
            .build();
        Self { delays }
    }
}

impl Backoff {
    /// The next delay. `random` is in 0..1.
    pub fn next_delay(&mut self, retry_after: Option<Duration>, random: f64) -> Duration {
        let ceiling = self.delays.next().unwrap_or(DELAY_MAX);
        let jitter = jitter(ceiling, random);
        retry_after.map_or(jitter.max(DELAY_MIN / 10), |after| after.min(RETRY_AFTER_MAX) + jitter)
    }

    /// How long to wait when that was asked for, without going on to longer delays.
    #[must_use]
    pub fn after(&self, retry_after: Duration, random: f64) -> Duration {
        retry_after.min(RETRY_AFTER_MAX) + jitter(DELAY_MIN, random)
    }
}

/// Anything up to a delay, so that not all come back at once.
fn jitter(ceiling: Duration, random: f64) -> Duration {
    ceiling.mul_f64(random.clamp(0.0, 1.0))
}

/// How long the headers of an answer ask to wait: `RateLimit: limit=…, remaining=…, reset=SECONDS` counts only when
/// nothing remains; the longer of the two.
#[must_use]
pub fn asked_wait(
    retry_after_header: Option<&str>,
    rate_limit: Option<&str>,
    now: Timestamp,
) -> Option<Duration> {
    let after = retry_after_header.and_then(|header| retry_after(header, now));
    let reset = rate_limit.and_then(rate_limit_reset);
    after.max(reset)
}

/// What is left to wait for by a `RateLimit` header (draft-ietf-httpapi-ratelimit-headers, as Honeycomb sends it).
fn rate_limit_reset(header: &str) -> Option<Duration> {
    let number = |name: &str| {
        let mut parts = header.split([',', ';']).filter_map(|part| part.trim().split_once('='));
        parts
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value.trim().parse::<u64>().ok())
    };
    let used_up = number("remaining").is_none_or(|remaining| remaining == 0);
    number("reset").filter(|_| used_up).map(Duration::from_secs)
}

/// What a `Retry-After` header asks for.
#[must_use]
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(header).ok()?.timestamp();
    let wait_ns = date.as_nanosecond() - i128::from(now.ns());
    Some(Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_fifteen_seconds() {
        let mut backoff = Backoff::default();
        let ceilings: Vec<u128> = (0..8).map(|_| backoff.next_delay(None, 1.0).as_millis()).collect();
        assert_eq!(ceilings, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
        assert_eq!(backoff.next_delay(None, 0.5).as_millis(), 7_500);
        assert_eq!(backoff.next_delay(None, 0.0).as_millis(), 50);
    }

    #[test]
    fn retry_after_is_obeyed_and_jitter_comes_after() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next_delay(Some(Duration::from_secs(7)), 1.0).as_millis(), 7_500);
        assert_eq!(backoff.next_delay(Some(Duration::from_secs(9_999)), 0.0).as_secs(), 3_600);
    }

    #[test]
    fn a_rate_limit_that_is_used_up_is_waited_for() {
        let now = Timestamp::from_ns(0);
        let wait = |rate: &str| asked_wait(None, Some(rate), now);
        assert_eq!(wait("limit=100, remaining=0, reset=42"), Some(Duration::from_secs(42)));
        assert_eq!(wait("limit=100, remaining=50, reset=42"), None);
        assert_eq!(wait("nothing"), None);
        let both = asked_wait(Some("60"), Some("limit=1, remaining=0, reset=5"), now);
        assert_eq!(both, Some(Duration::from_secs(60)));
    }

    #[test]
    fn retry_after_in_both_forms() {
        let now = Timestamp::from_ns(1_700_000_000_000_000_000);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Tue, 14 Nov 2023 22:13:30 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Tue, 14 Nov 2023 22:13:10 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
