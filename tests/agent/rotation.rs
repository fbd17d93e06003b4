//! Files that are rotated, copied, compressed, deleted and replaced, while the agent runs and while it does not.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::{FileExt, symlink},
    process::Command,
};

use flate2::{Compression, write::GzEncoder};
use hive::Fault;

use crate::support::{Stage, assert_each_once, numbered, signal, soon, spawn_run, text};

const QUICK: &str = "[batch]\nmax_age_ms = 20";

/// As logrotate's `copytruncate` does it.
fn copytruncate(stage: &Stage, from: &str, to: &str) {
    fs::copy(stage.path(from), stage.path(to)).unwrap();
    File::options().write(true).open(stage.path(from)).unwrap().set_len(0).unwrap();
}

fn gzip(stage: &Stage, name: &str) {
    let mut encoder =
        GzEncoder::new(File::create(stage.path(&format!("{name}.gz"))).unwrap(), Compression::fast());
    encoder.write_all(&fs::read(stage.path(name)).unwrap()).unwrap();
    encoder.finish().unwrap();
    fs::remove_file(stage.path(name)).unwrap();
}

#[tokio::test]
async fn copies_are_not_shipped_twice() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log*", "", QUICK);
    stage.append("a.log", numbered(0, 100));
    let agent = stage.start(&toml, false);
    soon("the first lines", stage.hive.wait_for_events(100)).await;
    for round in 1..4 {
        copytruncate(&stage, "a.log", &format!("a.log.{round}"));
        stage.append("a.log", numbered(round * 100, 100));
        soon("the next lines", stage.hive.wait_for_events(round as u64 * 100 + 100)).await;
    }
    agent.stopped().await;
    copytruncate(&stage, "a.log", "a.log.4");
    stage.append("a.log", numbered(400, 200));
    assert_eq!(stage.ship_once(&toml).await.accepted, 200);
    assert_eq!(stage.ship_once(&toml).await.read, 0);
    assert_each_once(&stage, 600);
}

#[tokio::test]
async fn what_is_left_is_read_from_a_copy_and_from_a_gz() {
    for rotation in ["copytruncate", "gzip", "copytruncate and gzip"] {
        let stage = Stage::new().await;
        let toml = stage.toml("a.log", "", "");
        stage.append("a.log", numbered(0, 50));
        assert_eq!(stage.ship_once(&toml).await.accepted, 50);
        stage.append("a.log", numbered(50, 50));
        if rotation == "gzip" {
            fs::rename(stage.path("a.log"), stage.path("a.log.1")).unwrap();
        } else {
            copytruncate(&stage, "a.log", "a.log.1");
        }
        if rotation != "copytruncate" {
            gzip(&stage, "a.log.1");
        }
        stage.append("a.log", numbered(100, 10));
        assert_eq!(stage.ship_once(&toml).await.accepted, 60, "{rotation}");
        assert_eq!(stage.ship_once(&toml).await.read, 0, "{rotation}");
        assert_each_once(&stage, 110);
        let rest = stage.hive.events().into_iter().find(|event| text(event, "n") == "99").unwrap();
        let first = stage.hive.events().into_iter().find(|event| text(event, "n") == "0").unwrap();
        assert_eq!(
            text(&rest, "log.file.id"),
            text(&first, "log.file.id"),
            "the same file, wherever its bytes are"
        );
        assert_eq!(text(&rest, "log.file.offset"), numbered(0, 99).len().to_string());
        assert!(
            fs::read_dir(stage.path("state/rescue")).is_ok_and(|dir| dir.count() == 0)
                || rotation == "copytruncate"
        );
    }
}

#[tokio::test]
async fn several_rotations_while_stopped_are_read_oldest_first() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log", "", "");
    stage.append("a.log", numbered(0, 10));
    stage.ship_once(&toml).await;
    for round in 1..5 {
        stage.append("a.log", numbered(round * 10, 10));
        for old in (1..round).rev() {
            fs::rename(stage.path(&format!("a.log.{old}")), stage.path(&format!("a.log.{}", old + 1)))
                .unwrap();
        }
        fs::rename(stage.path("a.log"), stage.path("a.log.1")).unwrap();
        // Times of files are only so fine.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stage.append("a.log", numbered(50, 10));
    assert_eq!(stage.ship_once(&toml).await.accepted, 50);
    assert_each_once(&stage, 60);
    let order: Vec<usize> =
        stage.hive.events().iter().map(|event| text(event, "n").parse().unwrap()).collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn the_rest_of_a_deleted_file_outlives_the_agent() {
    let later = Some("600".to_owned());
    let stage =
        Stage::with_faults([Fault::Status { status: 503, error: "down".to_owned(), retry_after: later }])
            .await;
    let toml = stage.toml("a.log", "", "[batch]\nmax_age_ms = 20\n[limits]\nshutdown_ms = 300");
    stage.append("a.log", numbered(0, 1_000));
    let agent = stage.start(&toml, false);
    soon("the agent to read it", async {
        while stage.hive.stats().requests == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    fs::remove_file(stage.path("a.log")).unwrap();
    stage.append("a.log", numbered(1_000, 10));
    assert!(agent.stopped().await.open > 0, "a batch waits for its next attempt");
    stage.ship_once(&toml).await;
    assert_each_once(&stage, 1_010);
    assert_eq!(stage.ship_once(&toml).await.read, 0);
}

#[tokio::test]
async fn files_that_are_there_can_be_begun_at_their_end() {
    for (key, shipped) in [("start = \"end\"", 2), ("ignore_older_s = 3600", 3)] {
        let stage = Stage::new().await;
        let toml = stage.toml("*.log", key, "");
        stage.append("old.log", "{\"n\":\"old\"}\n{\"n\":\"o");
        let hours_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7_200);
        File::options().write(true).open(stage.path("old.log")).unwrap().set_modified(hours_ago).unwrap();
        stage.append("new.log", "{\"n\":\"new\"}\n");
        stage.ship_once(&toml).await;
        stage.append("old.log", "ne\"}\n");
        stage.append("later.log", "{\"n\":\"later\"}\n");
        stage.ship_once(&toml).await;
        let seen = stage.seen("n");
        assert_eq!(seen.len(), shipped, "{key}: {seen:?}");
        assert!(seen.contains_key("later") && !seen.contains_key("old"), "{key}: {seen:?}");
    }
}

#[tokio::test]
async fn nuls_are_waited_for_and_skipped() {
    let stage = Stage::new().await;
    let file = File::create(stage.path("a.log")).unwrap();
    file.set_len(1 << 20).unwrap();
    let agent = stage.start(&stage.toml("a.log", "", QUICK), false);
    let (first, second) = (numbered(0, 10), numbered(10, 10));
    file.write_all_at(first.as_bytes(), 0).unwrap();
    soon("what was filled in", stage.hive.wait_for_events(10)).await;
    file.write_all_at(second.as_bytes(), first.len() as u64).unwrap();
    soon("what was filled in then", stage.hive.wait_for_events(20)).await;
    // A writer that goes on where it was after its file was emptied leaves a hole behind.
    file.set_len(0).unwrap();
    file.write_all_at(numbered(20, 10).as_bytes(), 5 << 20).unwrap();
    soon("what came after the hole", stage.hive.wait_for_events(30)).await;
    assert_eq!(agent.stopped().await.accepted, 30);
    assert_each_once(&stage, 30);
}

#[tokio::test]
async fn what_is_no_text_is_refused_and_the_rest_goes_on() {
    let stage = Stage::new().await;
    let wide: Vec<u8> = "\u{feff}one\ntwo\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(stage.path("wide.log"), wide).unwrap();
    let bare: Vec<u8> = "some more text\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(stage.path("bare.log"), bare).unwrap();
    stage.append("packed.log", numbered(100, 10));
    gzip(&stage, "packed.log");
    stage.append("a.log", numbered(0, 10));
    assert_eq!(stage.ship_once(&stage.toml("*.log*", "", "")).await.accepted, 10);
    assert_each_once(&stage, 10);
}

#[tokio::test]
async fn a_line_in_the_making_is_shipped_when_it_was_waited_for() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 1) + "{\"n\":\"1\"}");
    let agent = stage.start(&stage.toml("a.log", "partial_timeout_ms = 50", QUICK), false);
    soon("both", stage.hive.wait_for_events(2)).await;
    agent.stopped().await;
    assert_each_once(&stage, 2);
}

#[tokio::test]
async fn the_last_line_of_a_file_that_went_is_shipped() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 1) + "{\"n\":\"1\"}");
    stage.append("b.log", numbered(2, 1) + "{\"n\":\"3\"}");
    stage.append("c.log", numbered(4, 1) + "{\"n\":\"5\"}");
    let agent = stage.start(&stage.toml("*.log", "", QUICK), false);
    soon("the whole lines", stage.hive.wait_for_events(3)).await;
    fs::remove_file(stage.path("a.log")).unwrap();
    fs::rename(stage.path("b.log"), stage.path("b.old")).unwrap();
    soon("the others", stage.hive.wait_for_events(5)).await;
    agent.stopped().await;
    let seen = stage.seen("n");
    assert!(!seen.contains_key("5") && seen.len() == 5, "a live file's is waited for: {seen:?}");
    let partial = stage.hive.events().iter().filter(|event| event.data.contains_key("meta.partial")).count();
    assert_eq!(partial, 2);
}

#[tokio::test]
async fn a_link_that_is_swapped_is_followed_and_its_old_file_finished() {
    let stage = Stage::new().await;
    fs::create_dir(stage.path("files")).unwrap();
    let roots = format!("link_roots = [{:?}]", stage.path("files"));
    fs::create_dir(stage.path("links")).unwrap();
    let swap = |to: &str| {
        symlink(stage.path(to), stage.path("links/new")).unwrap();
        fs::rename(stage.path("links/new"), stage.path("links/current.log")).unwrap();
    };
    stage.append("files/0.log", numbered(0, 10));
    swap("files/0.log");
    let agent = stage.start(&stage.toml("links/current.log", &roots, QUICK), false);
    soon("the first file", stage.hive.wait_for_events(10)).await;
    for n in 1..10 {
        stage.append(&format!("files/{n}.log"), numbered(n * 20 - 10, 10));
        swap(&format!("files/{n}.log"));
        stage.append(&format!("files/{}.log", n - 1), numbered(n * 20, 10));
        soon("both files", stage.hive.wait_for_events(n as u64 * 20 + 10)).await;
    }
    agent.stopped().await;
    assert_each_once(&stage, 190);
    symlink("/etc/hostname", stage.path("links/host.log")).unwrap();
    assert_eq!(
        stage.ship_once(&stage.toml("links/host.log", &roots, "")).await.read,
        0,
        "it leads elsewhere"
    );
}

/// Every file is opened, read and closed, though they are far more than the process may have open.
#[tokio::test(flavor = "multi_thread")]
async fn few_descriptors_are_enough_for_many_files() {
    let stage = Stage::new().await;
    for n in 0..500 {
        stage.append(&format!("{n}.log"), numbered(n * 2, 1));
    }
    let config = stage.config_file(&stage.toml("*.log", "", ""));
    let script = format!("ulimit -n 48; exec {} run -c {}", env!("CARGO_BIN_EXE_hivetail"), config.display());
    let mut agent =
        Command::new("sh").args(["-c", &script]).env("HONEYCOMB_API_KEY", "test").spawn().unwrap();
    soon("every file", stage.hive.wait_for_events(500)).await;
    for n in 0..500 {
        stage.append(&format!("{n}.log"), numbered(n * 2 + 1, 1));
    }
    soon("what was appended to each", stage.hive.wait_for_events(1_000)).await;
    signal(&agent, "TERM");
    assert!(agent.wait().unwrap().success());
    assert_each_once(&stage, 1_000);
}

/// Whichever of its bytes a checkpoint file loses, the next start ships what is left, and no line is skipped.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_directory_loses_nothing() {
    for damage in ["truncate", "zero", "flip", "remove", "remove all"] {
        let stage = Stage::new().await;
        let toml = stage.toml("a.log", "", "");
        for round in 0..3 {
            stage.append("a.log", numbered(round * 10, 10));
            stage.ship_once(&toml).await;
        }
        for name in ["checkpoint.a", "checkpoint.b"] {
            let path = stage.path("state").join(name);
            let Ok(mut bytes) = fs::read(&path) else { continue };
            let middle = bytes.len() / 2;
            match damage {
                "truncate" => bytes.truncate(middle),
                "zero" => bytes.fill(0),
                "flip" => bytes[middle] ^= 1,
                "remove" if name == "checkpoint.b" => continue,
                _ => {
                    fs::remove_file(path).unwrap();
                    continue;
                }
            }
            fs::write(path, bytes).unwrap();
        }
        if damage == "remove all" {
            fs::remove_dir_all(stage.path("state")).unwrap();
        }
        stage.append("a.log", numbered(30, 10));
        let mut agent = spawn_run(&stage.config_file(&toml));
        soon(damage, async {
            while (0..40).any(|n| !stage.seen("n").contains_key(&n.to_string())) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        signal(&agent, "TERM");
        assert!(agent.wait().unwrap().success(), "{damage}");
    }
}
