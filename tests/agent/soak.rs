//! Anything that can go wrong, in any order: at the end every line is accepted, or a dead letter with its reason, and only
//! a lost reply has doubled any.

use std::collections::{BTreeMap, BTreeSet};

use hive::Fault;
use proptest::{prelude::*, test_runner::RngSeed};

use crate::support::{Stage, numbered, soon, spawn_run};

/// What one receiver does and what is sent to it.
#[derive(Clone, Debug)]
struct Run {
    faults: Vec<Fault>,
    lines: usize,
    batch_bytes: usize,
    concurrency: usize,
    /// How the agent ends after its first request, before it is started again, if it does.
    ends: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stopped,
    /// With kill -9, as a process of its own.
    Killed,
}

fn fault() -> impl Strategy<Value = Fault> {
    let status = prop::sample::select(vec![408_u16, 413, 425, 429, 500, 502, 503, 504, 599]);
    let refusal = prop::sample::select(vec![
        (400_u16, "Request body is too large."),
        (400, "Request body is malformed and cannot be read."),
        (422, "something else"),
    ]);
    let event = prop::sample::select(vec![202_u16, 202, 202, 400, 413, 429, 500, 503]);
    prop_oneof![
        1 => status.clone().prop_map(|status| Fault::Status { status, error: "x".to_owned(), retry_after: None }),
        1 => refusal.prop_map(|(status, error)| Fault::Status { status, error: error.to_owned(), retry_after: None }),
        1 => prop::sample::select(vec![400_u16, 502, 503]).prop_map(|status| Fault::Html { status }),
        3 => prop::collection::vec(event, 1..6).prop_map(Fault::PerEvent),
        1 => (0_u64..30).prop_map(|delay_ms| Fault::Delay { delay_ms }),
        1 => prop::sample::select(vec![Fault::Reset, Fault::ResetMidBody]),
        1 => prop::sample::select(vec![Fault::ReplyLost, Fault::ReplyCut]),
        1 => (0_u64..3).prop_map(|interval_ms| Fault::ReplyTrickles { interval_ms }),
        1 => (0_usize..20).prop_map(Fault::ShortReply),
        1 => Just(Fault::Garbage),
        3 => Just(Fault::Pass),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    let faults = prop::collection::vec(fault(), 0..12);
    let ends = prop::sample::select(vec![None, None, Some(End::Stopped), Some(End::Killed)]);
    (faults, 1_usize..400, 1_000_usize..20_000, 1_usize..6, ends).prop_map(
        |(faults, lines, batch_bytes, concurrency, ends)| Run {
            faults,
            lines,
            batch_bytes,
            concurrency,
            ends,
        },
    )
}

async fn soak(run: Run) {
    let stage = Stage::with_faults(run.faults.clone()).await;
    stage.append("a.log", numbered(0, run.lines));
    let rest = format!(
        "[batch]\nmax_bytes = {}\nmax_age_ms = 20\n[deliver]\nconcurrency = {}\n[limits]\nshutdown_ms = 400",
        run.batch_bytes, run.concurrency
    );
    let toml = stage.toml("a.log", "", &rest);
    match run.ends {
        None => {}
        Some(End::Stopped) => {
            let agent = stage.start(&toml, false);
            soon("a request", stage.hive.wait_for_requests(1)).await;
            agent.stopped().await;
        }
        Some(End::Killed) => {
            let mut child = spawn_run(&stage.config_file(&toml));
            soon("a request", stage.hive.wait_for_requests(1)).await;
            child.kill().expect("it runs");
            child.wait().expect("it has ended");
        }
    }
    // The rest takes as long as it takes.
    let agent = stage.start(&toml, false);
    let all = async {
        loop {
            let mut decided: BTreeSet<String> = stage.seen("n").into_keys().collect();
            decided.extend(dead_letters(&stage).into_keys());
            if decided.len() >= run.lines {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    soon(&format!("all of {run:?}"), all).await;
    agent.stopped().await;
    let letters = dead_letters(&stage);
    let may_double =
        |fault: &Fault| matches!(fault, Fault::ReplyLost | Fault::ReplyCut | Fault::ShortReply(_));
    // What is on its way at its end is left to the next start.
    let doubles = run.faults.iter().any(may_double) || run.ends.is_some();
    let seen = stage.seen("n");
    for n in 0..run.lines {
        let n = n.to_string();
        let count = seen.get(&n).copied().unwrap_or(0) + letters.get(&n).copied().unwrap_or(0);
        assert!(count == 1 || (count > 1 && doubles), "line {n}: {count} times of {run:?}");
    }
}

/// How often each number is in a dead letter.
fn dead_letters(stage: &Stage) -> BTreeMap<String, usize> {
    let mut letters = BTreeMap::new();
    for file in hivetail::dead_letter::files(&hivetail::dead_letter::folder(&stage.path("state"))) {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for letter in text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
            assert!(!letter["reason"].as_str().unwrap_or_default().is_empty());
            *letters
                .entry(letter["event"]["data"]["n"].as_str().unwrap_or_default().to_owned())
                .or_default() += 1;
        }
    }
    letters
}

/// Always the same runs; by hand one can ask for so many other groups of them.
fn config() -> ProptestConfig {
    let by_hand = std::env::var("HIVETAIL_SOAKS").ok().and_then(|text| text.parse().ok());
    let rng_seed = if by_hand.is_some() { RngSeed::Random } else { RngSeed::Fixed(7) };
    let cases = by_hand.unwrap_or(1);
    ProptestConfig {
        cases,
        rng_seed,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_goes_wrong_every_line_has_its_outcome(runs in prop::collection::vec(run(), 40)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut soaking = tokio::task::JoinSet::new();
            for run in runs {
                soaking.spawn(soak(run));
            }
            while let Some(ended) = soaking.join_next().await {
                ended.unwrap();
            }
        });
    }
}
