//! Restarts: the checkpoint is where shipping goes on, also after kill -9 and after a rotation meanwhile.

use std::fs;

use hive::Fault;

use crate::support::{Stage, assert_each_once, numbered, soon, spawn_run};

#[tokio::test]
async fn a_restart_goes_on_where_the_last_run_ended() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log", "", "");
    for round in 0..3 {
        stage.append("a.log", numbered(round * 100, 100));
        assert_eq!(stage.ship_once(&toml).await.accepted, 100);
    }
    assert_eq!(stage.ship_once(&toml).await.read, 0);
    assert_each_once(&stage, 300);
}

#[tokio::test]
async fn a_file_renamed_while_stopped_is_finished_first() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log", "", "");
    stage.append("a.log", numbered(0, 100));
    stage.ship_once(&toml).await;
    stage.append("a.log", numbered(100, 100));
    fs::rename(stage.path("a.log"), stage.path("rotated")).unwrap();
    stage.append("a.log", numbered(200, 100));
    assert_eq!(stage.ship_once(&toml).await.accepted, 200);
    assert_each_once(&stage, 300);
}

#[tokio::test]
async fn a_damaged_checkpoint_repeats_but_never_skips() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log", "", "");
    stage.append("a.log", numbered(0, 100));
    stage.ship_once(&toml).await;
    for name in ["checkpoint.a", "checkpoint.b"] {
        let path = stage.path("state").join(name);
        if path.exists() {
            fs::write(&path, "hivetail checkpoint 2\nnot what it was").unwrap();
        }
    }
    stage.append("a.log", numbered(100, 1));
    assert_eq!(stage.ship_once(&toml).await.accepted, 101);
    assert_eq!(stage.seen("n").len(), 101);
}

#[tokio::test]
async fn a_file_replaced_by_a_shorter_one_while_stopped_is_read_whole() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log", "", "");
    stage.append("a.log", numbered(0, 100));
    stage.ship_once(&toml).await;
    fs::write(stage.path("a.log"), numbered(100, 10)).unwrap();
    assert_eq!(stage.ship_once(&toml).await.accepted, 10);
    assert_each_once(&stage, 110);
}

/// Kill -9 in the middle of 200,000 lines, several times: nothing is lost, and no more is repeated than what was
/// under way.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_loses_nothing() {
    const LINES: usize = 200_000;
    let faults = (0..2_000).map(|n| {
        if n % 7 == 3 { Fault::PerEvent(vec![202, 202, 429]) } else { Fault::Delay { delay_ms: 5 } }
    });
    let stage = Stage::with_faults(faults).await;
    stage.append("a.log", numbered(0, LINES));
    let config = stage.config_file(&stage.toml("a.log", "", ""));
    for kill in 1..=3 {
        let mut child = spawn_run(&config);
        soon("some lines", stage.hive.wait_for_events(kill * LINES as u64 / 5)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let counts = stage.ship_once(&stage.toml("a.log", "", "")).await;
    assert_eq!(counts.open, 0);
    let seen = stage.seen("n");
    let missing: Vec<usize> = (0..LINES).filter(|n| !seen.contains_key(&n.to_string())).collect();
    assert!(missing.is_empty(), "{} lines missing, first {:?}", missing.len(), missing.first());
}
