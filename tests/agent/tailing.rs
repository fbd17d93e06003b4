//! Following files: appends, new files, rotation, truncation, lines in the making.

use std::{fs, path::Path, time::Duration};

use hive::Fault;

use crate::support::{Stage, assert_each_once, numbered, soon, text};

const QUICK: &str = "[batch]\nmax_age_ms = 20";

#[tokio::test]
async fn appended_lines_and_new_files_are_shipped() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 10));
    let agent = stage.start(&stage.toml("*.log", "exclude = [\"no.log\"]", QUICK), false);
    soon("what was there", stage.hive.wait_for_events(10)).await;
    stage.append("a.log", numbered(10, 10));
    soon("what was appended", stage.hive.wait_for_events(20)).await;
    stage.append("no.log", numbered(1000, 10));
    stage.append("b.log", numbered(20, 10));
    soon("a new file", stage.hive.wait_for_events(30)).await;
    assert_eq!(agent.stopped().await.accepted, 30);
    assert_each_once(&stage, 30);
    let ids: std::collections::BTreeSet<String> =
        stage.hive.events().iter().map(|event| text(event, "log.file.id")).collect();
    assert_eq!(ids.len(), 2, "each file has its own id");
    assert!(ids.iter().all(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
}

#[tokio::test]
async fn a_missing_path_is_waited_for() {
    let stage = Stage::new().await;
    let agent = stage.start(&stage.toml("later.log", "", QUICK), false);
    stage.append("later.log", numbered(0, 5));
    soon("the file", stage.hive.wait_for_events(5)).await;
    assert_eq!(agent.stopped().await.accepted, 5);
}

#[tokio::test]
async fn once_does_not_wait_for_a_missing_path() {
    let stage = Stage::new().await;
    assert_eq!(stage.ship_once(&stage.toml("nowhere/*.log", "", "")).await.read, 0);
}

#[tokio::test]
async fn rename_and_create_loses_nothing() {
    let stage = Stage::new().await;
    let agent = stage.start(&stage.toml("a.log", "", QUICK), false);
    stage.append("a.log", numbered(0, 1));
    soon("the first line", stage.hive.wait_for_events(1)).await;
    let mut written = 1;
    for round in 0..5 {
        stage.append("a.log", numbered(written, 50));
        fs::rename(stage.path("a.log"), stage.path(&format!("a.log.{round}"))).unwrap();
        // The writer goes on for a while with the file that it has open.
        stage.append(&format!("a.log.{round}"), numbered(written + 50, 50));
        stage.append("a.log", numbered(written + 100, 50));
        written += 150;
        soon("a generation", stage.hive.wait_for_events(written as u64)).await;
    }
    assert_eq!(agent.stopped().await.accepted, written as u64);
    assert_each_once(&stage, written);
}

#[tokio::test]
async fn a_truncated_file_is_read_from_its_beginning() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 100));
    let agent = stage.start(&stage.toml("a.log", "", QUICK), false);
    soon("the first generation", stage.hive.wait_for_events(100)).await;
    fs::write(stage.path("a.log"), numbered(100, 20)).unwrap();
    soon("the second", stage.hive.wait_for_events(120)).await;
    assert_eq!(agent.stopped().await.accepted, 120);
    assert_each_once(&stage, 120);
}

#[tokio::test]
async fn a_line_in_the_making_is_left_in_a_live_file_and_shipped_by_once() {
    let stage = Stage::new().await;
    stage.append("a.log", "{\"n\":\"0\"}\n{\"n\":");
    let agent = stage.start(&stage.toml("a.log", "", QUICK), false);
    soon("the whole line", stage.hive.wait_for_events(1)).await;
    stage.append("a.log", "\"1\"}\n{\"n\":\"2\"}");
    soon("the finished line", stage.hive.wait_for_events(2)).await;
    assert_eq!(agent.stopped().await.accepted, 2);
    assert_eq!(stage.ship_once(&stage.toml("a.log", "", "")).await.accepted, 1);
    assert_each_once(&stage, 3);
    let partial = stage.hive.events().iter().filter(|event| event.data.contains_key("meta.partial")).count();
    assert_eq!(partial, 1);
}

#[tokio::test]
async fn offsets_identify_lines() {
    let stage = Stage::new().await;
    stage.append("a.log", "one\n\n  \nfour\r\n");
    let counts = stage.ship_once(&stage.toml("a.log", "format = \"raw\"", "")).await;
    assert_eq!((counts.read, counts.accepted, counts.blank), (4, 2, 2));
    let events = stage.hive.events();
    let offsets: Vec<String> = events.iter().map(|event| text(event, "log.file.offset")).collect();
    assert_eq!(offsets, ["0", "8"]);
    assert_eq!(text(&events[1], "body"), "four");
    assert_eq!(text(&events[1], "log.file.path"), stage.path("a.log").to_str().unwrap());
}

#[tokio::test]
async fn a_rotated_file_is_followed_while_it_is_written_to() {
    let stage = Stage::new().await;
    let pattern = "*.log";
    stage.append("a.log", numbered(0, 10));
    let agent = stage.start(&stage.toml(pattern, "", QUICK), false);
    soon("the first lines", stage.hive.wait_for_events(10)).await;
    fs::rename(stage.path("a.log"), stage.path("a.old")).unwrap();
    stage.append("a.log", numbered(10, 10));
    for round in 2..5 {
        soon("the lines before", stage.hive.wait_for_events(round * 10)).await;
        stage.append("a.old", numbered(usize::try_from(round).unwrap() * 10, 10));
    }
    soon("the last lines", stage.hive.wait_for_events(50)).await;
    assert_eq!(agent.stopped().await.accepted, 50);
    assert_each_once(&stage, 50);
}

#[tokio::test]
async fn a_rename_within_the_pattern_is_no_new_file() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log*", "", QUICK);
    stage.append("a.log", numbered(0, 10));
    let agent = stage.start(&toml, false);
    soon("the first lines", stage.hive.wait_for_events(10)).await;
    fs::rename(stage.path("a.log"), stage.path("a.log.1")).unwrap();
    stage.append("a.log.1", numbered(10, 10));
    stage.append("a.log", numbered(20, 10));
    soon("both files", stage.hive.wait_for_events(30)).await;
    agent.stopped().await;
    stage.append("a.log.1", numbered(30, 10));
    assert_eq!(stage.ship_once(&toml).await.accepted, 10);
    assert_each_once(&stage, 40);
    let paths: std::collections::BTreeSet<String> =
        stage.hive.events().iter().map(|event| text(event, "log.file.path")).collect();
    assert_eq!(paths.len(), 1, "the path is the one where a file was first seen");
}

/// Until this process, in which the agent runs, has that file open.
async fn opened(path: &Path) {
    let is_open = || {
        fs::read_dir("/proc/self/fd")
            .unwrap()
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == path))
    };
    while !is_open() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Found in review: with a queue of its own between batcher and delivery, a long outage kept a source from looking
/// after its files, and generations that came and went by rename meanwhile were never opened.
#[tokio::test]
async fn rotation_during_an_outage_loses_no_generation() {
    let down = Fault::Status { status: 503, error: "down".to_owned(), retry_after: Some("1".to_owned()) };
    let stage = Stage::with_faults(std::iter::repeat_n(down, 8)).await;
    let agent = stage.start(&stage.toml("a.log", "", "[batch]\nmax_age_ms = 1"), false);
    let mut written = 0;
    for generation in 0..100 {
        stage.append("a.log", numbered(written, 3));
        written += 3;
        soon("the agent to open it", opened(&stage.path("a.log"))).await;
        fs::rename(stage.path("a.log"), stage.path(&format!("old.{generation}"))).unwrap();
    }
    soon("every generation", stage.hive.wait_for_events(written as u64)).await;
    assert_eq!(agent.stopped().await.accepted, written as u64);
    assert_each_once(&stage, written);
}

#[tokio::test]
async fn two_sources_do_not_ship_one_file_twice() {
    let stage = Stage::new().await;
    let second = format!("[[source]]\ntype = \"file\"\npaths = [{:?}]", stage.path("*.log"));
    let toml = stage.toml("a.log", &second, "");
    stage.append("a.log", numbered(0, 10));
    stage.append("b.log", numbered(10, 10));
    assert_eq!(stage.ship_once(&toml).await.accepted, 20);
    stage.append("b.log", numbered(20, 10));
    assert_eq!(stage.ship_once(&toml).await.accepted, 10);
    assert_each_once(&stage, 30);
}
