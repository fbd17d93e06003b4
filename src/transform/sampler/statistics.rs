//! What is shipped tells what there was: counts, sums and 99th percentiles by key, over a million events.
//!
//! Requests of a web service: most are quick, some take seconds. What takes a second or more is spared by the caller, as
//! errors are, and so is the first of a key; those count once.

use hivetail_parsers::Timestamp;

use super::{Ema, Method, REFINERY_SALT, Sample, Sampler, Settings, strata::mix};

const EVENTS: u64 = 1_000_000;
/// 2026-11-16, half of the month.
const START_NS: i64 = 1_794_787_200_000_000_000;
const SPARED_MS: f64 = 1_000.0;

/// A key: its share of all events, the median and spread of its durations, and how many of them are in a tail around
/// two seconds.
struct Key {
    name: &'static str,
    share: f64,
    median_ms: f64,
    sigma: f64,
    tail: f64,
}

const KEYS: [Key; 7] = [
    Key { name: "GET /api/items", share: 0.25, median_ms: 40.0, sigma: 0.5, tail: 0.03 },
    Key { name: "GET /health", share: 0.47, median_ms: 3.0, sigma: 0.2, tail: 0.0 },
    Key { name: "GET /pages", share: 0.16, median_ms: 80.0, sigma: 0.6, tail: 0.025 },
    Key { name: "GET /search", share: 0.01, median_ms: 150.0, sigma: 0.6, tail: 0.05 },
    Key { name: "POST /orders", share: 0.109_86, median_ms: 120.0, sigma: 0.5, tail: 0.04 },
    Key { name: "POST /exports", share: 0.000_08, median_ms: 4_000.0, sigma: 0.7, tail: 0.0 },
    Key { name: "DELETE /account", share: 0.000_06, median_ms: 200.0, sigma: 0.6, tail: 0.05 },
];

/// Those of which there are many.
const FREQUENT: [&str; 4] = ["GET /api/items", "GET /health", "GET /pages", "POST /orders"];

/// In 0..1, from the number of a draw.
fn random(draw: u64) -> f64 {
    (mix(draw) >> 11) as f64 / (1_u64 << 53) as f64
}

fn duration_ms(key: &Key, draw: u64) -> f64 {
    let (median_ms, sigma) =
        if random(draw) < key.tail { (2_000.0, 0.6) } else { (key.median_ms, key.sigma) };
    let radius = (-2.0 * (1.0 - random(draw + 1)).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * random(draw + 2)).cos();
    median_ms * (sigma * normal).exp()
}

fn key_of(draw: u64) -> usize {
    let mut at = random(draw);
    let mut is_behind = |key: &Key| {
        at -= key.share;
        at >= 0.0
    };
    KEYS.iter().take_while(|key| is_behind(key)).count().min(KEYS.len() - 1)
}

/// Durations and how many events each stands for.
type Durations = Vec<(f64, f64)>;

/// Count, sum and 99th percentile.
fn figures(durations: &mut Durations) -> [f64; 3] {
    durations.sort_by(|one, other| one.0.total_cmp(&other.0));
    let count: f64 = durations.iter().map(|(_, weight)| weight).sum();
    let sum = durations.iter().map(|(duration_ms, weight)| duration_ms * weight).sum();
    let mut rank = 0.0;
    let p99 = durations.iter().find(|(_, weight)| {
        rank += weight;
        rank >= count * 0.99
    });
    [count, sum, p99.unwrap().0]
}

/// What there was and what was shipped of each key, spread over so many hours.
fn run(method: Method, hours: i64) -> Vec<(Durations, Durations)> {
    let mut sampler = Sampler::new(&Settings { method, first_window_s: Some(600) }, 0x5eed);
    let mut of_keys = vec![(Durations::new(), Durations::new()); KEYS.len()];
    for event in 0..EVENTS {
        let key = key_of(event * 8);
        let duration_ms = duration_ms(&KEYS[key], event * 8 + 1);
        let since_ns = i64::try_from(event).unwrap() * (hours * 3_600_000_000 / 1_000_000) * 1_000;
        let now = Timestamp::from_ns(START_NS + since_ns);
        let id = mix(event).to_string();
        let name = KEYS[key].name.as_bytes();
        let sample = Sample { key: name, id: Some(id.as_bytes()), duration_ms: Some(duration_ms), now };

        let (all, shipped) = &mut of_keys[key];
        all.push((duration_ms, 1.0));
        if duration_ms >= SPARED_MS || sampler.is_first(name, now) {
            sampler.commit_spared(name, now);
            shipped.push((duration_ms, 1.0));
            continue;
        }
        let verdict = sampler.decide(&sample);
        sampler.commit(&sample, verdict);
        if verdict.keep {
            shipped.push((duration_ms, f64::from(verdict.rate)));
        }
    }
    of_keys
}

/// That what is shipped tells of these keys what there was, and how many times fewer were shipped in all.
fn check(method: Method, hours: i64, keys: &[&str]) -> f64 {
    let text = format!("{method:?}");
    let mut of_keys = run(method, hours);
    let shipped: usize = of_keys.iter().map(|(_, shipped)| shipped.len()).sum();
    for (key, (all, shipped)) in KEYS.iter().zip(&mut of_keys) {
        let (truth, told) = (figures(all), figures(shipped));
        let limit = if truth[0] * 1e4 < EVENTS as f64 { 0.05 } else { 0.01 };
        let errors = [0, 1, 2].map(|index| told[index] / truth[index] - 1.0);
        println!("{:16} {:6} of {:6} {errors:+.4?}", key.name, shipped.len(), all.len());
        let is_right = errors.iter().all(|error| error.abs() <= limit);
        assert!(is_right || !keys.contains(&key.name), "{text}, {}: {told:?} of {truth:?}", key.name);
    }
    EVENTS as f64 / shipped as f64
}

fn all() -> Vec<&'static str> {
    KEYS.iter().map(|key| key.name).collect()
}

/// A fixed rate leaves a dozen of a rare key, which tell little. So only the slow one is checked, most of which is spared:
/// rare and quick is what the other samplers are for.
#[test]
fn a_fixed_rate_tells_the_truth() {
    let keys = [&FREQUENT[..], &["GET /search", "POST /exports"]].concat();
    let fewer = check(Method::Fixed { rate: 5 }, 1, &keys);
    assert!((4.0..5.0).contains(&fewer), "{fewer}");
}

/// Chances by ids are independent: the count of n events at rate N is off by a share of √((N-1)/n), a sum by more. At one
/// in 2 that is a third of a percent of the least frequent key here; the next, of 10,000, would be off by 1 %.
#[test]
fn a_deterministic_rate_tells_the_truth() {
    let keys = [&FREQUENT[..], &["POST /exports"]].concat();
    let fewer = check(Method::Deterministic { rate: 2, salt: REFINERY_SALT.to_owned() }, 1, &keys);
    assert!((1.9..2.0).contains(&fewer), "{fewer}");
}

#[test]
fn a_dynamic_rate_tells_the_truth() {
    let fewer = check(Method::EmaDynamic { goal_sample_rate: 5, ema: Ema::default() }, 1, &all());
    assert!((4.0..6.0).contains(&fewer), "{fewer}");
}

/// At 278 events a second.
#[test]
fn a_throughput_tells_the_truth() {
    let method =
        Method::EmaThroughput { goal_throughput_per_s: 56.0, initial_sample_rate: 10, ema: Ema::default() };
    let fewer = check(method, 1, &all());
    assert!((4.0..6.0).contains(&fewer), "{fewer}");
}

/// At 46 events a second; nine a second are left of the month.
#[test]
fn a_budget_tells_the_truth() {
    let method = Method::MonthlyBudget {
        events_per_month: 12_000_000,
        initial_sample_rate: 10,
        ema: Ema::for_budget(),
    };
    let fewer = check(method, 6, &all());
    assert!((4.0..6.0).contains(&fewer), "{fewer}");
}
