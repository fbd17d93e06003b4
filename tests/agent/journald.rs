//! The journald source against the real journalctl, over a journal of the test's own.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{Stage, signal, soon, spawn_run};

/// Writes journals; Debian's systemd-journal-remote.
const WRITER: &str = "/lib/systemd/systemd-journal-remote";

/// Writes numbered entries of a unit into the journal; `false` where there is nothing to write it with, which `tests/tools` has
/// said. In CI there is.
fn write(stage: &Stage, unit: &str, from: usize, count: usize) -> bool {
    if !Path::new(WRITER).exists() {
        assert!(std::env::var_os("CI").is_none(), "CI has {WRITER}");
        return false;
    }
    let dir = stage.path("journal");
    std::fs::create_dir_all(&dir).expect("a folder");
    let mut entries = String::new();
    for n in from..from + count {
        write!(
            entries,
            "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={n}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n\
             MESSAGE={{\"n\":\"{n}\"}}\nPRIORITY=6\n_SYSTEMD_UNIT={unit}\n\n",
            1_778_512_722_710_400 + n
        )
        .expect("memory");
    }
    let mut command = Command::new(WRITER);
    command.arg(format!("--output={}/x.journal", dir.display())).arg("-");
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(entries.as_bytes()).expect("it reads");
    child.wait().expect("it ends").success()
}

fn config(stage: &Stage, source: &str) -> String {
    format!(
        "[honeycomb]\napi_url = {:?}\n[state]\ndir = {:?}\n[batch]\nmax_bytes = 20000\nmax_age_ms = 50\n[[source]]\ntype = \"journald\"\n\
         journal_dir = {:?}\n{source}\n",
        stage.hive.url(),
        stage.path("state"),
        stage.path("journal"),
    )
}

async fn all_of(stage: &Stage, count: usize) {
    soon(&format!("{count} entries"), async {
        while stage.seen("n").len() < count {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_is_gone_on_with_after_stops_and_kills() {
    let stage = Stage::new().await;
    if !write(&stage, "web.service", 0, 3_000) {
        return;
    }
    stage.hive.script((0..100).map(|_| hive::Fault::Delay { delay_ms: 20 }));
    let config = stage.config_file(&config(&stage, ""));
    let mut child = spawn_run(&config);
    soon("some entries", stage.hive.wait_for_events(500)).await;
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
    let mut child = spawn_run(&config);
    all_of(&stage, 3_000).await;
    write(&stage, "web.service", 3_000, 10);
    all_of(&stage, 3_010).await;
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
    let before = stage.hive.stats().events_accepted;
    write(&stage, "web.service", 3_010, 10);
    let mut child = spawn_run(&config);
    all_of(&stage, 3_020).await;
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(stage.hive.stats().events_accepted, before + 10, "after a stop nothing comes twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_chosen_and_what_was_before_can_be_left() {
    let stage = Stage::new().await;
    if !write(&stage, "web.service", 0, 10) {
        return;
    }
    write(&stage, "noise.service", 10, 10);
    let toml = config(&stage, "units = [\"web.*\"]\nstart = \"end\"");
    let mut child = spawn_run(&stage.config_file(&toml));
    let mut next = 20;
    // When journalctl has begun to follow is not to be seen from outside.
    soon("an entry", async {
        while stage.hive.stats().events_accepted == 0 {
            write(&stage, "noise.service", next, 1);
            write(&stage, "web.service", next + 1, 1);
            next += 2;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
    let seen: Vec<usize> = stage.seen("n").keys().filter_map(|n| n.parse().ok()).collect();
    assert!(seen.iter().all(|n| *n > 20 && n % 2 == 1), "{seen:?}");
}

/// An entry that came while journalctl was being started again was skipped.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_journalctl_is_away_is_read_though_the_start_was_the_end() {
    let stage = Stage::new().await;
    if !write(&stage, "web.service", 0, 10) {
        return;
    }
    let child = spawn_run(&stage.config_file(&config(&stage, "start = \"end\"")));
    // The one that follows knows already where the end was.
    let id = child.id().to_string();
    soon("journalctl", async {
        while !Command::new("pkill")
            .args(["-P", &id, "-f", "after-cursor"])
            .status()
            .is_ok_and(|killed| killed.success())
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    write(&stage, "web.service", 10, 5);
    all_of(&stage, 5).await;
    signal(&child, "TERM");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Vec<usize> = stage.seen("n").keys().filter_map(|n| n.parse().ok()).collect();
    assert!(seen.len() == 5 && seen.iter().all(|n| *n >= 10), "{seen:?}");
}
