//! What was not seen for a while: the first event of a key, the first exception of its kind.
//!
//! Takes keys and the time, says whether a key is new: the first of its kind, or the first after the window that began with that
//! one.
//!
//! Invariant: it remembers so many keys at most. While it is full, what it does not know is not first, so that whoever
//! makes up keys does not get all of them shipped.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use hivetail_parsers::Timestamp;

/// So many keys are remembered at most.
const KEYS_MAX: usize = 10_000;

/// When keys were first seen in their window.
#[derive(Debug)]
pub struct FirstSeen {
    window_s: i64,
    /// By their hashes; the hasher's key is secret, so nobody makes two keys that share one.
    seen: HashMap<u64, Timestamp>,
    hasher: RandomState,
    /// When it may look for what it can forget, once it is full.
    sweep_at: Timestamp,
}

impl FirstSeen {
    /// Nothing was seen so far.
    #[must_use]
    pub fn new(window_s: u64) -> Self {
        Self {
            window_s: i64::try_from(window_s).unwrap_or(i64::MAX).max(1),
            seen: HashMap::new(),
            hasher: RandomState::new(),
            sweep_at: Timestamp::from_ns(i64::MIN),
        }
    }

    /// Whether this key is the first of a window.
    #[must_use]
    pub fn is_first(&self, key: &[u8], now: Timestamp) -> bool {
        match self.seen.get(&self.hasher.hash_one(key)) {
            Some(seen) => now >= seen.plus_seconds(self.window_s),
            None => self.seen.len() < KEYS_MAX,
        }
    }

    /// This key was seen.
    pub fn note(&mut self, key: &[u8], now: Timestamp) {
        if self.seen.len() >= KEYS_MAX && self.may_sweep(now) {
            let window_s = self.window_s;
            self.seen.retain(|_, seen| is_within(*seen, now, window_s));
            self.sweep_at = now.plus_seconds((window_s / 8).max(1));
        }
        let hash = self.hasher.hash_one(key);
        let is_full = self.seen.len() >= KEYS_MAX;
        match self.seen.get_mut(&hash) {
            // The window began with the first of them: a key that never rests is first again in the next one.
            Some(seen) if is_within(*seen, now, self.window_s) => {}
            Some(seen) => *seen = now,
            None if is_full => {}
            None => drop(self.seen.insert(hash, now)),
        }
    }

    /// All keys are looked at, so not for each event; and soon, if the clock was set back.
    fn may_sweep(&self, now: Timestamp) -> bool {
        now >= self.sweep_at || now < self.sweep_at.plus_seconds(-self.window_s)
    }
}

/// Whether that was less than a window ago. What is further ahead is left from before the clock was set back.
fn is_within(seen: Timestamp, now: Timestamp, window_s: i64) -> bool {
    now < seen.plus_seconds(window_s) && seen < now.plus_seconds(window_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_ns(1_795_000_000_000_000_000);

    fn at(seconds: i64) -> Timestamp {
        START.plus_seconds(seconds)
    }

    fn take(first: &mut FirstSeen, key: &[u8], now: Timestamp) -> bool {
        let is_first = first.is_first(key, now);
        assert_eq!(is_first, first.is_first(key, now), "asking changes nothing");
        first.note(key, now);
        is_first
    }

    #[test]
    fn a_key_is_first_once_a_window() {
        let mut first = FirstSeen::new(60);
        let steps = [
            (0, "a", true),
            (0, "a", false),
            (1, "b", true),
            (59, "a", false),
            (118, "a", true),
            (118, "b", true),
            (178, "a", true),
            // The clock is set back, and runs on.
            (-5_000, "a", false),
            (-5_000, "c", true),
            (-4_941, "a", false),
            (-4_881, "a", true),
        ];
        for (seconds, key, expected) in steps {
            assert_eq!(take(&mut first, key.as_bytes(), at(seconds)), expected, "{key} at {seconds}");
        }
    }

    #[test]
    fn made_up_keys_are_not_first_for_ever() {
        let mut first = FirstSeen::new(3_600);
        let firsts = (0..50_000_u32)
            .filter(|key| take(&mut first, &key.to_be_bytes(), at(i64::from(key / 100))))
            .count();
        assert_eq!((firsts, first.seen.len()), (KEYS_MAX, KEYS_MAX));
        assert!(!take(&mut first, b"honest", at(600)));
        assert!(!take(&mut first, b"later", at(4_000)), "it has found room by now");
        assert!(take(&mut first, b"honest", at(4_001)));
        assert!(!take(&mut first, b"later", at(4_001)));
        assert!(first.seen.len() < KEYS_MAX);
    }

    #[test]
    fn being_full_ends_when_the_clock_is_set_back() {
        let mut first = FirstSeen::new(3_600);
        for key in 0..10_000_u32 {
            first.note(&key.to_be_bytes(), at(0));
        }
        first.note(b"sweeps", at(10));
        assert!(!first.is_first(b"a", at(-90_000)));
        first.note(b"a", at(-90_000));
        assert!(first.is_first(b"b", at(-90_000)));
    }

    #[test]
    fn odd_windows_do_no_harm() {
        for window_s in [0, u64::MAX] {
            let mut first = FirstSeen::new(window_s);
            assert!(take(&mut first, b"", at(0)));
            assert!(!take(&mut first, b"", at(0)));
        }
    }
}
