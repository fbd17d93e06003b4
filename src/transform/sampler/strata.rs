//! Strata: which of the events of a key are kept, so that what is kept is as good as it can be.
//!
//! Takes an event's duration and rate, says whether it is kept. Each duration bucket of a key is a stratum. A stratum is
//! cut into blocks; each event takes a share of 1/N of its block, and the one whose share has the block's point is kept.
//! At a constant rate that is exactly one of each N events. Against independent draws, counts are exact to ±N for each
//! stratum, and sums and quantiles vary only with the durations inside a bucket.
//!
//! Shares, not counts, so that a block goes on when the rate changes: rates change every few seconds, and what begins
//! anew each time is hardly better than independent draws.
//!
//! Invariant: an event of rate N is kept with a probability of 1/N, whatever came before, since the point is uniform
//! and nothing that it decides moves a share.

/// A bucket begins at each of these durations; they grow by the same factor.
const BORDERS_MS: [f64; 14] =
    [1.0, 1.7, 2.9, 4.9, 8.4, 14.0, 24.0, 41.0, 70.0, 120.0, 200.0, 340.0, 590.0, 1_000.0];
/// One more for what is shorter, and one for events without a duration.
const BUCKETS: usize = BORDERS_MS.len() + 2;
const NO_DURATION: usize = BUCKETS - 1;

/// Odd, and without a pattern in its bits: 2⁶⁴ divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The strata of a key.
#[derive(Clone, Debug)]
pub(super) struct Strata {
    seed: u64,
    strata: [Stratum; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Stratum {
    block: u64,
    /// How much of the block is taken, in 2⁻⁶⁴.
    taken: u64,
}

impl Strata {
    /// Strata that nothing has come to. Two of the same seed keep the same.
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, strata: [Stratum { block: 0, taken: 0 }; BUCKETS] }
    }

    /// Whether the next event is kept.
    pub(super) fn keeps(&self, duration_ms: Option<f64>, rate: u32) -> bool {
        if rate <= 1 {
            return true;
        }
        let bucket = bucket(duration_ms);
        let at = self.strata[bucket].with_room_for(share(rate));
        let point = mix(mix(self.seed ^ bucket as u64).wrapping_add(at.block));
        // Below the difference exactly if it is in `taken..taken + share`.
        point.wrapping_sub(at.taken) < share(rate)
    }

    /// An event takes its share.
    pub(super) fn advance(&mut self, duration_ms: Option<f64>, rate: u32) {
        // What is always kept tells nothing of what else is.
        if rate > 1 {
            let stratum = &mut self.strata[bucket(duration_ms)];
            let at = stratum.with_room_for(share(rate));
            *stratum = Stratum { taken: at.taken + share(rate), ..at };
        }
    }
}

impl Stratum {
    /// Where a share is taken: what is left of a block and too small for it goes to nobody.
    const fn with_room_for(self, share: u64) -> Self {
        match self.taken.checked_add(share) {
            Some(_) => self,
            None => Self { block: self.block.wrapping_add(1), taken: 0 },
        }
    }
}

/// Rounded down, so that `rate` of them fit into a block; the next one never does.
const fn share(rate: u32) -> u64 {
    u64::MAX / rate as u64
}

fn bucket(duration_ms: Option<f64>) -> usize {
    duration_ms
        .filter(|ms| !ms.is_nan())
        .map_or(NO_DURATION, |ms| BORDERS_MS.partition_point(|border| *border <= ms))
}

/// A number without any visible relation to that one (the finisher of `SplitMix64`).
pub(super) const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(GOLDEN);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The same of a text, for those who do not know the seed.
pub(super) fn hash(seed: u64, text: &[u8]) -> u64 {
    text.chunks(8).fold(mix(seed ^ text.len() as u64), |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(hash ^ u64::from_le_bytes(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(strata: &mut Strata, duration_ms: Option<f64>, rate: u32) -> bool {
        let keeps = strata.keeps(duration_ms, rate);
        assert_eq!(keeps, strata.keeps(duration_ms, rate), "asking changes nothing");
        strata.advance(duration_ms, rate);
        keeps
    }

    #[test]
    fn buckets_are_logarithmic() {
        for (duration_ms, expected) in [
            (None, 15),
            (Some(f64::NAN), 15),
            (Some(-1.0), 0),
            (Some(0.0), 0),
            (Some(0.99), 0),
            (Some(1.0), 1),
            (Some(69.9), 8),
            (Some(70.0), 9),
            (Some(999.9), 13),
            (Some(1_000.0), 14),
            (Some(f64::INFINITY), 14),
        ] {
            assert_eq!(bucket(duration_ms), expected, "{duration_ms:?}");
        }
        for pair in BORDERS_MS.windows(2) {
            assert!((1.65..1.75).contains(&(pair[1] / pair[0])), "{pair:?}");
        }
    }

    #[test]
    fn one_of_each_block_is_kept_in_each_bucket() {
        for rate in [1, 2, 3, 7, 64, 1_000] {
            let mut strata = Strata::new(u64::from(rate));
            for _ in 0..50 {
                for duration_ms in [None, Some(3.0)] {
                    let kept = (0..rate).filter(|_| take(&mut strata, duration_ms, rate)).count();
                    assert_eq!(kept, 1, "one in {rate}, {duration_ms:?}");
                }
            }
        }
        assert!(take(&mut Strata::new(1), None, 0), "no rate is one of 1");
        let mut strata = Strata::new(1);
        assert_eq!((0..10_000).filter(|_| take(&mut strata, None, u32::MAX)).count(), 0);
    }

    /// Each place within a block, and each place after a change of the rate, is kept as often as its rate says.
    #[test]
    fn no_place_is_preferred() {
        let rates = [4, 4, 4, 3, 3, 10, 2, 5, 5, 5, 5, 5, 100];
        let mut kept = [0_u32; 13];
        let seeds = 40_000;
        for seed in 0..seeds {
            let mut strata = Strata::new(mix(seed));
            for (rate, kept) in rates.iter().zip(&mut kept) {
                *kept += u32::from(take(&mut strata, Some(5.0), *rate));
            }
        }
        for (rate, kept) in rates.iter().zip(kept) {
            let (all, share) = (40_000.0, 1.0 / f64::from(*rate));
            let deviation = (all * share * (1.0 - share)).sqrt();
            assert!((f64::from(kept) - all * share).abs() < 4.0 * deviation, "{kept} at {rate}");
        }
    }

    #[test]
    fn a_block_goes_on_when_the_rate_changes() {
        let mut strata = Strata::new(9);
        let kept: f64 = (0..100_000)
            .map(|event| 20 + u32::from(event / 37 % 2 == 0))
            .map(|rate| if take(&mut strata, None, rate) { f64::from(rate) } else { 0.0 })
            .sum();
        // Independent draws would be off by 1,400.
        assert!((kept - 100_000.0).abs() < 500.0, "{kept}");
    }

    #[test]
    fn texts_differ_by_what_and_how_long_they_are() {
        let hashes = [&b""[..], b"\0", b"\0\0", b"a", b"b", b"12345678", b"123456789", b"912345678"];
        for (index, text) in hashes.iter().enumerate() {
            assert_ne!(hash(1, text), hash(2, text));
            for other in &hashes[..index] {
                assert_ne!(hash(1, text), hash(1, other));
            }
        }
    }
}
