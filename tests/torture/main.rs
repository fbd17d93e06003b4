//! A torture of the real process: five log files at 20 MB a second, rotated every second in all the ways that there
//! are, an agent that is killed at random moments, and the question whether what arrived is what was written.
//!
//! `cargo test --test torture` takes half a minute; `settings` has the variables that make it harder, say
//! `HIVETAIL_TORTURE_KILLS=100 cargo test --release --test torture -- --nocapture`. An agent that is slower than the
//! writers (one that is built without optimisation, on a machine that is busy) loses files that are deleted before
//! their turn comes: keep the pace below it.
//!
//! A run of more than a minute deletes old files, and new ones get their inodes.
//!
//! What is promised, and asserted: every line that some file has whole, at the end or for ten seconds, arrives; nothing
//! arrives that was never written; after a kill no more is repeated than what was under way and a second and a half of
//! traffic; without kills nothing is repeated; the agent stops in order.
//!
//! `line` makes the texts, `writer` writes them, `rotator` is logrotate, `field` runs them all, `history` knows what
//! has to arrive, `oracle` compares, `readers` tests all of that; `agent` is the process and `run` a run.

#![forbid(unsafe_code)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]
#![expect(clippy::print_stderr, reason = "the figures are for whoever runs it")]

mod agent;
mod field;
mod history;
mod line;
mod oracle;
mod readers;
mod report;
mod rotator;
mod run;
mod settings;
mod writer;

use std::time::Duration;

use run::{Plan, run};
use settings::Settings;

/// Each run wants the whole machine.
static MACHINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn torture(pattern: &'static str, kills: Option<usize>) {
    let _alone = MACHINE.lock().await;
    let settings = Settings::from_env();
    let plan = Plan { pattern, kills: kills.unwrap_or(settings.kills), lasts: Duration::from_secs(10) };
    let outcome = run(&plan, &settings).await;
    let report = report::of(&plan, &settings, &outcome);
    let wrong = report::wrong(&outcome);
    assert!(wrong.is_empty(), "{}\n{report}", wrong.join("; "));
    eprintln!("{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_with_a_glob_of_the_logs_themselves() {
    torture("*.log", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_with_a_glob_of_the_old_ones_too() {
    torture("*.log*", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kills_each_line_arrives_once() {
    torture("*.log*", Some(0)).await;
}
