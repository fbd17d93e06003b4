//! Samplers by key, step by step: averages and rates by hand, bursts, quiet, too many keys, odd clocks, restarts.

use hivetail_parsers::Timestamp;

use super::super::{Ema, Method, Sample, Sampler, Saved, SavedKey, SavedMonth, SavedRate, Settings, Verdict};

/// 2026-11-18, 11:06:40.
const START: Timestamp = Timestamp::from_ns(1_795_000_000_000_000_000);

fn sampler(method: Method) -> Sampler {
    Sampler::new(&Settings { method, first_window_s: None }, 7)
}

fn dynamic(goal_sample_rate: u32, ema: Ema) -> Method {
    Method::EmaDynamic { goal_sample_rate, ema }
}

fn throughput(goal_throughput_per_s: f64, ema: Ema) -> Method {
    Method::EmaThroughput { goal_throughput_per_s, initial_sample_rate: 10, ema }
}

fn budget(events_per_month: u64) -> Method {
    Method::MonthlyBudget { events_per_month, initial_sample_rate: 10, ema: Ema::for_budget() }
}

fn methods() -> [Method; 5] {
    [
        Method::Fixed { rate: 5 },
        Method::Deterministic { rate: 5, salt: String::new() },
        dynamic(5, Ema::default()),
        throughput(2.0, Ema::default()),
        budget(5_000_000),
    ]
}

fn sample(key: &str, at_s: i64) -> Sample<'_> {
    Sample { key: key.as_bytes(), id: None, duration_ms: Some(5.0), now: START.plus_seconds(at_s) }
}

/// Decides and commits so many events; how many were kept.
fn feed(sampler: &mut Sampler, key: &str, events: usize, at_s: i64) -> usize {
    let mut kept = 0;
    for _ in 0..events {
        let sample = sample(key, at_s);
        let verdict = sampler.decide(&sample);
        sampler.commit(&sample, verdict);
        kept += usize::from(verdict.keep);
    }
    kept
}

fn rate(sampler: &Sampler, key: &str) -> u32 {
    sampler.decide(&sample(key, 0)).rate
}

/// What is known of each key, by name: its average in an interval of so many seconds, and its rate.
fn known(sampler: &Sampler, interval_s: f64) -> Vec<(String, f64, u32)> {
    let of = |SavedKey { key, rate }| {
        (String::from_utf8(key).unwrap(), rate.average_per_s * interval_s, rate.rate)
    };
    let mut keys: Vec<_> = sampler.save().keys.into_iter().map(of).collect();
    keys.sort_by(|one, other| one.0.cmp(&other.0));
    keys
}

fn assert_known(sampler: &Sampler, expected: &[(&str, f64, u32)]) {
    let known = known(sampler, 15.0);
    assert_eq!(known.len(), expected.len(), "{known:?}");
    for (known, (key, average, rate)) in known.iter().zip(expected) {
        assert!((known.1 - average).abs() < 1e-9, "{known:?}, not {average}");
        assert_eq!((known.0.as_str(), known.2), (*key, *rate));
    }
}

#[test]
fn averages_and_rates_by_hand() {
    let mut sampler = sampler(dynamic(10, Ema::default()));
    feed(&mut sampler, "a", 999, 0);
    assert_eq!((rate(&sampler, "a"), rate(&sampler, "b")), (10, 10), "nothing is known yet");
    // The event that ends an interval counts in it. 500 on average, 50 are wanted.
    feed(&mut sampler, "a", 1, 15);
    assert_known(&sampler, &[("a", 500.0, 10)]);
    assert_eq!(rate(&sampler, "b"), 1, "a new key is rare until it is not");
    // 30.1 of 301 are wanted, all of them of a: a single event has no logarithm.
    feed(&mut sampler, "a", 100, 20);
    feed(&mut sampler, "b", 1, 30);
    assert_known(&sampler, &[("a", 300.0, 10), ("b", 0.5, 1)]);
}

#[test]
fn several_keys_share_the_goal() {
    let mut sampler = sampler(dynamic(10, Ema::default()));
    feed(&mut sampler, "a", 600, 0);
    feed(&mut sampler, "b", 99, 1);
    feed(&mut sampler, "b", 1, 15);
    // 35 of 350, 8.38 for each power of ten: 20.76 of a, and of b 14.24 and 0.76 that a leaves.
    assert_known(&sampler, &[("a", 300.0, 15), ("b", 50.0, 4)]);
}

#[test]
fn keys_age_out_and_quiet_intervals_change_nothing() {
    let mut sampler = sampler(throughput(1e6, Ema::default()));
    feed(&mut sampler, "a", 1, 0);
    feed(&mut sampler, "b", 6, 1);
    feed(&mut sampler, "b", 1, 15);
    assert_known(&sampler, &[("a", 0.5, 1), ("b", 3.5, 1)]);
    // Two hours without anything: one adjustment, by the event that ends it.
    feed(&mut sampler, "b", 1, 7_200);
    assert_known(&sampler, &[("b", 2.25, 1)]);
}

#[test]
fn a_burst_is_met_at_once_but_not_at_the_start() {
    let mut sampler = sampler(throughput(8.0, Ema::default()));
    for interval in 0..4 {
        assert_eq!(rate(&sampler, "a"), if interval <= 1 { 10 } else { 1 }, "{interval}");
        feed(&mut sampler, "a", 100, interval * 15);
    }
    // After three intervals: 100·(1/2 + 1/4 + 1/8) and what is left of the event that ended each.
    let average = known(&sampler, 15.0)[0].1;
    let burst = (2.0 * average).ceil();
    assert!((80.0..110.0).contains(&average));
    // 99 of this interval were there already.
    let mut events = 99;
    while rate(&sampler, "a") == 1 {
        feed(&mut sampler, "a", 1, 50);
        events += 1;
    }
    assert!((f64::from(events) - burst).abs() < 1.5, "{events}, not {burst}");
    // The first intervals of a sampler are no bursts.
    let mut young = self::sampler(throughput(8.0, Ema::default()));
    feed(&mut young, "a", 100, 0);
    feed(&mut young, "a", 10_000, 15);
    assert_eq!(rate(&young, "a"), 1);
    // Nor is anything without a multiple.
    let mut calm = self::sampler(throughput(8.0, Ema { burst_multiple: 0.0, ..Ema::default() }));
    for interval in 0..4 {
        feed(&mut calm, "a", 100, interval * 15);
    }
    feed(&mut calm, "a", 10_000, 50);
    assert_eq!(rate(&calm, "a"), 1);
}

/// A flaw of other samplers: too little traffic to learn from, and so the initial rate for ever.
#[test]
fn a_quiet_service_is_shipped_whole_after_the_first_interval() {
    for method in [dynamic(10, Ema::default()), throughput(2.0, Ema::default()), budget(1_000_000)] {
        let mut sampler = sampler(method.clone());
        feed(&mut sampler, "a", 1, 0);
        assert_eq!(rate(&sampler, "a"), 10, "{method:?}");
        feed(&mut sampler, "b", 1, 60);
        for at_s in (120..6_000).step_by(60) {
            assert_eq!((rate(&sampler, "a"), rate(&sampler, "b")), (1, 1), "{method:?} {at_s}");
            assert_eq!(feed(&mut sampler, "a", 1, at_s), 1);
        }
    }
}

#[test]
fn keys_that_find_no_room_are_one() {
    for method in [
        dynamic(10, Ema { max_keys: 3, ..Ema::default() }),
        throughput(10.0, Ema { max_keys: 3, ..Ema::default() }),
    ] {
        let mut sampler = sampler(method);
        let mut at_s = 0;
        for round in 0..10 {
            for key in ["a", "b", "c"] {
                feed(&mut sampler, key, 20, at_s);
            }
            let kept: usize =
                (0..1_000).map(|key| feed(&mut sampler, &format!("{round}/{key}"), 1, at_s + 1)).sum();
            assert!((10..=201).contains(&kept), "{kept} of 1,000 in round {round}");
            assert!(sampler.save().keys.len() <= 3);
            at_s += 15;
        }
        let other = sampler.save().other.unwrap();
        assert!((60.0..70.0).contains(&other.average_per_s), "{other:?}");
        assert_eq!(rate(&sampler, "never seen"), other.rate);
        // When made up keys stop coming there is room again, but not at rate 1.
        for _ in 0..12 {
            at_s += 15;
            feed(&mut sampler, "a", 20, at_s);
        }
        assert_eq!(sampler.save().other, None);
        assert_eq!(rate(&sampler, "never seen"), 1);
    }
}

#[test]
fn no_room_at_all_is_one_key_for_all() {
    let mut sampler = sampler(dynamic(10, Ema { max_keys: 0, ..Ema::default() }));
    assert_eq!((0..100).map(|key| feed(&mut sampler, &key.to_string(), 1, 0)).sum::<usize>(), 10);
}

#[test]
fn spared_events_use_up_the_goal() {
    for (spared, expected) in [(0, 7), (75, 14), (100_000, 67)] {
        // 150 an interval, of 1,000.
        let mut sampler = sampler(throughput(10.0, Ema { weight: 1.0, ..Ema::default() }));
        for _ in 0..spared {
            sampler.commit_spared(b"slow", START);
        }
        feed(&mut sampler, "a", 999, 0);
        feed(&mut sampler, "a", 1, 15);
        assert_eq!(rate(&sampler, "a"), expected, "{spared}");
    }
    // They alone are no traffic that averages could be made of, and no keys.
    let mut sampler = sampler(throughput(10.0, Ema::default()));
    feed(&mut sampler, "a", 100, 0);
    feed(&mut sampler, "a", 100, 15);
    for at_s in [16, 30, 45, 60] {
        sampler.commit_spared(b"slow", START.plus_seconds(at_s));
    }
    assert_eq!(known(&sampler, 15.0).len(), 1);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    for method in methods() {
        let mut sampler = sampler(method.clone());
        for at_s in [0, 1, 86_400, -86_400, -86_370, -300_000_000, 300_000_000, 0] {
            assert!(feed(&mut sampler, "a", 100, at_s) > 0, "{method:?}");
        }
    }
    let mut sampler = sampler(throughput(10.0, Ema::default()));
    feed(&mut sampler, "a", 1_000, 0);
    feed(&mut sampler, "a", 1, -80_000);
    assert_eq!(rate(&sampler, "a"), 10);
    feed(&mut sampler, "a", 1, -79_985);
    assert_eq!(rate(&sampler, "a"), 4, "501 on average, 150 are wanted");
}

#[test]
fn deciding_changes_nothing() {
    for method in methods() {
        let mut sampler = sampler(method.clone());
        let before = format!("{sampler:?}");
        for event in 0..3_000_i64 {
            let id = event.to_string();
            let mut sample = sample(["a", "b", "c"][usize::try_from(event % 3).unwrap()], event / 10);
            sample.id = (event % 2 == 0).then_some(id.as_bytes());
            let first = sampler.decide(&sample);
            // Later, too.
            let again = Sample { now: sample.now.plus_seconds(100), ..sample };
            assert_eq!([sampler.decide(&sample), sampler.decide(&again)], [first; 2], "{method:?}");
            if event == 0 {
                assert_eq!(format!("{sampler:?}"), before);
            }
            sampler.commit(&sample, first);
        }
    }
}

#[test]
fn an_event_with_an_id_is_decided_by_it_alone() {
    let mut sampler = sampler(Method::Deterministic { rate: 10, salt: String::new() });
    for (id, keep) in [("trace-18", true), ("hello", false)] {
        for _ in 0..20 {
            let sample = Sample { id: Some(id.as_bytes()), ..sample("a", 0) };
            let verdict = sampler.decide(&sample);
            assert_eq!(verdict, Verdict { keep, rate: 10 });
            sampler.commit(&sample, verdict);
        }
    }
    assert_eq!(feed(&mut sampler, "a", 100, 0), 10, "without an id: one in 10 of each key");
}

#[test]
fn the_first_of_a_key_is_known_until_it_is_committed() {
    for spared in [false, true] {
        let settings = Settings { method: Method::Fixed { rate: 5 }, first_window_s: Some(60) };
        let mut sampler = Sampler::new(&settings, 1);
        for (at_s, expected) in [(0, true), (59, false), (118, true), (178, true)] {
            let sample = sample("a", at_s);
            assert_eq!(sampler.is_first(b"a", sample.now), expected, "{at_s}");
            assert_eq!(sampler.is_first(b"a", sample.now), expected, "{at_s}");
            let verdict = sampler.decide(&sample);
            if spared {
                sampler.commit_spared(b"a", sample.now);
            } else {
                sampler.commit(&sample, verdict);
            }
        }
    }
    assert!(!sampler(Method::Fixed { rate: 5 }).is_first(b"a", START), "nobody asked for it");
}

#[test]
fn what_is_known_survives_a_restart() {
    let mut before = sampler(throughput(10.0, Ema::default()));
    for (key, events) in [("a", 2_000), ("b", 500), ("c", 50), ("d", 1)] {
        feed(&mut before, key, events, 0);
    }
    before.commit_spared(b"e", START);
    feed(&mut before, "a", 1, 15);
    let text = serde_json::to_string(&before.save()).unwrap();
    let saved: Saved = serde_json::from_str(&text).unwrap();
    let restored = |ema| {
        let mut after = sampler(throughput(10.0, ema));
        after.restore(saved.clone());
        after
    };
    let after = restored(Ema::default());
    assert_eq!(known(&after, 15.0), known(&before, 15.0));
    assert_eq!((after.save().spared_per_s, rate(&after, "new")), (before.save().spared_per_s, 1));
    assert!(rate(&after, "a") > 10);
    // Another interval: the same averages a second.
    assert_eq!(
        known(&restored(Ema { adjustment_interval_s: 30, ..Ema::default() }), 15.0),
        known(&before, 15.0)
    );
    // Less room: what comes most is known.
    let small = restored(Ema { max_keys: 2, ..Ema::default() });
    assert_eq!(known(&small, 15.0), known(&before, 15.0)[..2]);
    // A rate that is told is not taken from a file.
    let mut fixed = sampler(Method::Fixed { rate: 3 });
    fixed.restore(saved);
    assert_eq!((rate(&fixed, "a"), fixed.save()), (3, Saved::default()));
}

#[test]
fn nothing_of_a_file_is_believed() {
    for average_per_s in [f64::NAN, f64::INFINITY, -1.0, f64::MAX, 0.0] {
        let rate = SavedRate { average_per_s, rate: 0 };
        let keys = vec![SavedKey { key: b"a".to_vec(), rate }; 3];
        let months = vec![SavedMonth { within_ns: i64::MIN, spent: u64::MAX }; 3];
        for method in methods() {
            let mut sampler = sampler(method);
            let spared_per_s = average_per_s;
            sampler.restore(Saved {
                keys: keys.clone(),
                other: Some(rate),
                spared_per_s,
                months: months.clone(),
            });
            for interval in 0..100 {
                feed(&mut sampler, "a", 10, interval * 60);
            }
            assert!(sampler.save().keys.iter().all(|key| key.rate.average_per_s.is_finite()));
        }
    }
}

#[test]
fn a_month_is_spent_by_what_is_shipped() {
    let mut sampler = sampler(budget(2_592_000));
    let mut kept = 0;
    for minute in 0..60 {
        kept += feed(&mut sampler, "a", 600, minute * 60);
        for _ in 0..6 {
            sampler.commit_spared(b"slow", START.plus_seconds(minute * 60));
        }
        kept += 6;
    }
    let spent = sampler.save().months[0].spent;
    assert_eq!(usize::try_from(spent).unwrap(), kept);
    // More was left than an even spread has: one a second, 2.4 until the end of the month.
    assert!((6_500..8_600).contains(&kept), "{kept} an hour");

    // After a restart what was spent is spent; a month later it is not.
    let saved =
        Saved { months: vec![SavedMonth { within_ns: START.ns(), spent: 2_592_000 }], ..Saved::default() };
    for (at_s, rate_min, rate_max) in [(0, 500, 1_500), (86_400 * 20, 1, 15)] {
        let mut sampler = self::sampler(budget(2_592_000));
        sampler.restore(saved.clone());
        for minute in 0..20 {
            feed(&mut sampler, "a", 600, at_s + minute * 60);
        }
        assert!((rate_min..rate_max).contains(&rate(&sampler, "a")), "{}", rate(&sampler, "a"));
    }
}

#[test]
fn a_budget_gives_each_key_one_event_an_hour_not_each_interval() {
    let mut sampler = sampler(budget(1));
    let mut kept = 0;
    for minute in 0..24 * 60 {
        for key in ["a", "b", "c"] {
            let of_key = feed(&mut sampler, key, 20, minute * 60);
            kept += if minute < 60 { 0 } else { of_key };
        }
    }
    // In 23 hours, of 27,600 each.
    assert!((60..=75).contains(&kept), "{kept}");
}

#[test]
fn a_forgotten_key_chooses_anew() {
    let kept = (0..400)
        .filter(|visit| {
            let sampler = {
                let mut sampler = sampler(Method::Fixed { rate: 4 });
                for hour in 0..=*visit {
                    feed(&mut sampler, "b", 1, hour * 3_600);
                }
                sampler
            };
            sampler.decide(&sample("a", 0)).keep
        })
        .count();
    assert!((60..140).contains(&kept), "{kept}: not always, and not never");
}
