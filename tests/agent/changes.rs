//! Another configuration of which only the sources differ: those that are the same go on undisturbed, and a file goes on where
//! its old source was.

use std::{fs, time::Duration};

use hive::Fault;

use crate::support::{Stage, assert_each_once, numbered, soon, text};

/// A source of its own for a file.
fn another(stage: &Stage, name: &str, keys: &str) -> String {
    format!("[[source]]\ntype = \"file\"\npaths = [{:?}]\n{keys}\n", stage.path(name))
}

#[tokio::test]
async fn sources_come_and_go_beside_others() {
    let stage = Stage::new().await;
    let one = stage.toml("a.log", "", "");
    let two = one.clone() + &another(&stage, "b.log", "");
    stage.append("a.log", numbered(0, 10));
    stage.append("b.log", numbered(10, 10));
    let agent = stage.start(&one, false);
    soon("the first file", stage.hive.wait_for_events(10)).await;
    agent.change(&two).await;
    soon("the second", stage.hive.wait_for_events(20)).await;
    agent.change(&one).await;
    stage.append("a.log", numbered(20, 10));
    soon("the one that is left", stage.hive.wait_for_events(30)).await;
    stage.append("b.log", numbered(30, 10));
    agent.change(&two).await;
    soon("what came while nobody read it", stage.hive.wait_for_events(40)).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.read, counts.accepted, counts.open), (40, 40, 0));
    assert_each_once(&stage, 40);
}

#[tokio::test]
async fn a_changed_source_goes_on_with_its_files_and_what_its_joins_held() {
    let stage = Stage::new().await;
    let join = |timeout_ms: u32| format!("join = {{ start = \"^S\", timeout_ms = {timeout_ms} }}");
    stage.append("a.log", "S 0\n  rest of 0\nS 1\n");
    let agent = stage.start(&stage.toml("a.log", &join(60_000), ""), false);
    soon("the first event", stage.hive.wait_for_events(1)).await;
    for round in 1..4 {
        agent.change(&stage.toml("*.log", &join(60_000 + round), "")).await;
        stage.append("a.log", format!("  rest of {round}\nS {}\n", round + 1));
        soon("an event of two sources", stage.hive.wait_for_events(u64::from(round) + 1)).await;
    }
    let counts = agent.stopped().await;
    assert_eq!((counts.read, counts.recovered), (9, 0), "{counts:?}");
    assert_eq!((counts.accepted, counts.joined, counts.open), (4, 4, 1), "the last event waits: {counts:?}");
    let bodies: Vec<String> = stage.hive.events().iter().map(|event| text(event, "body")).collect();
    assert_eq!(bodies, (0..4).map(|n| format!("S {n}\n  rest of {n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_rotated_away_and_shipped_is_not_read_again() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 10));
    let agent = stage.start(&stage.toml("a.log", "", ""), false);
    soon("the first lines", stage.hive.wait_for_events(10)).await;
    for n in 1..4 {
        fs::rename(stage.path("a.log"), stage.path(&format!("a.log.{n}"))).expect("it is there");
        stage.append("a.log", numbered(10 * n, 10));
        soon("a generation", stage.hive.wait_for_events(10 * n as u64 + 10)).await;
    }
    agent.change(&stage.toml("a.log", "ignore_older_s = 3600", "")).await;
    stage.append("a.log", numbered(40, 10));
    soon("what came after the change", stage.hive.wait_for_events(50)).await;
    assert_eq!(agent.stopped().await.read, 50);
    assert_each_once(&stage, 50);
}

#[tokio::test]
async fn a_source_that_changes_in_an_outage_loses_nothing() {
    let stage = Stage::new().await;
    let refusal = Fault::Status { status: 503, error: "overload".into(), retry_after: None };
    stage.hive.script_for(Duration::from_secs(3), refusal);
    let toml = |keys| stage.toml("a.log", keys, "[limits]\nshutdown_ms = 1000");
    stage.append("a.log", numbered(0, 1_000));
    let agent = stage.start(&toml(""), false);
    soon("a refused batch", async {
        while stage.hive.stats().requests == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    agent.change(&toml("ignore_older_s = 3600")).await;
    stage.append("a.log", numbered(1_000, 10));
    soon("everything", async {
        while stage.seen("n").len() < 1_010 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // What came twice may still be on its way.
    let counts = agent.stopped().await;
    assert_eq!(counts.accepted + counts.open, counts.read, "{counts:?}");
}

/// Only new sources looked for what an ended one had left: what had lost its name was read by nobody.
#[tokio::test]
async fn a_source_that_stays_takes_what_another_leaves() {
    let stage = Stage::new().await;
    let (a, b) = (stage.toml("a.log", "", ""), another(&stage, "*.log", ""));
    let b_alone = stage.toml("*.log", "", "");
    stage.append("a.log", numbered(0, 10));
    let agent = stage.start(&a, false);
    soon("the first lines", stage.hive.wait_for_events(10)).await;
    agent.change(&(a + &b)).await;
    stage.append("b.log", numbered(10, 10));
    soon("the second source", stage.hive.wait_for_events(20)).await;
    fs::rename(stage.path("a.log"), stage.path("a.log.1")).expect("it is there");
    agent.change(&b_alone).await;
    stage.append("a.log.1", numbered(20, 10));
    soon("what a writer adds who still has the file", stage.hive.wait_for_events(30)).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.read, counts.open), (30, 0));
    assert_each_once(&stage, 30);
}

/// Any change told all sources that files had been followed until then.
#[tokio::test]
async fn a_generation_that_nobody_saw_is_found_whatever_else_has_changed() {
    let stage = Stage::new().await;
    let base = stage.toml("a.log", "", "");
    let with = |name: &str| base.clone() + &another(&stage, name, "");
    stage.append("a.log", numbered(0, 10));
    stage.append("b.log", numbered(10, 10));
    let agent = stage.start(&with("b.log"), false);
    soon("both files", stage.hive.wait_for_events(20)).await;
    agent.change(&with("c.log")).await;
    stage.append("c.log", numbered(20, 10));
    soon("the third", stage.hive.wait_for_events(30)).await;
    for n in [2, 1] {
        fs::rename(stage.path("b.log"), stage.path(&format!("b.log.{n}"))).expect("it is there");
        stage.append("b.log", numbered(20 + 10 * (3 - n), 10));
    }
    agent.change(&base).await;
    agent.change(&with("b.log")).await;
    soon("all generations", stage.hive.wait_for_events(50)).await;
    agent.stopped().await;
    assert_each_once(&stage, 50);
}

/// Lines that had been handed over and were not passed yet were counted once more with each change.
#[tokio::test]
async fn changes_one_after_the_other_count_no_line_twice() {
    let stage = Stage::new().await;
    let toml = |n: usize| {
        stage.toml("*.log", &format!("join = {{ start = \"^S\", timeout_ms = {} }}", 60_000 + n), "")
    };
    for n in 0..100 {
        stage.append(&format!("{n}.log"), format!("S {n}\n  rest\n"));
    }
    let agent = stage.start(&toml(0), false);
    for n in 1..9 {
        agent.change(&toml(n)).await;
    }
    for n in 0..100 {
        stage.append(&format!("{n}.log"), "S end\n");
    }
    soon("one event of each file", stage.hive.wait_for_events(100)).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.read, counts.recovered, counts.accepted), (300, 0, 100), "{counts:?}");
    assert_eq!((counts.joined, counts.open), (100, 100), "{counts:?}");
}
