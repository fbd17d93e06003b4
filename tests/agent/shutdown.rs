//! Stopping: what was read is delivered within the deadline, or left where it is safe, or counted as lost; and
//! the exit code tells which.

use std::{
    io::Write,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use hive::Fault;

use crate::support::{PATIENCE, Stage, assert_each_once, hivetail, numbered, signal, soon, spawn_run, text};

struct Ended {
    code: Option<i32>,
    stderr: String,
    took: Duration,
}

async fn ended(child: Child) -> Ended {
    let start = Instant::now();
    let wait = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = tokio::time::timeout(PATIENCE, wait).await.expect("it ends").unwrap().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ended { code: output.status.code(), stderr, took: start.elapsed() }
}

fn down() -> impl Iterator<Item = Fault> {
    std::iter::repeat_n(Fault::Status { status: 503, error: "down".to_owned(), retry_after: None }, 10_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_delivers_what_was_read() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 50_000));
    // A batch that would never be old enough: only the drain can seal it.
    let child = spawn_run(&stage.config_file(&stage.toml("a.log", "", "[batch]\nmax_age_ms = 60_000")));
    soon("some lines", stage.hive.wait_for_events(1)).await;
    signal(&child, "TERM");
    let ended = ended(child).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // What was read is shipped, what was not is still in the file: together each line once.
    stage.ship_once(&stage.toml("a.log", "", "")).await;
    assert_each_once(&stage, 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_while_nothing_can_be_delivered_leaves_files_to_the_next_start() {
    let stage = Stage::with_faults(down()).await;
    stage.append("a.log", numbered(0, 1_000));
    let config = stage.config_file(&stage.toml("a.log", "", "[limits]\nshutdown_ms = 1_000"));
    let child = spawn_run(&config);
    soon("an attempt", stage.hive.wait_for_requests(1)).await;
    signal(&child, "TERM");
    let ended = ended(child).await;
    assert_eq!(ended.code, Some(0), "the lines are safe in their file: {}", ended.stderr);
    assert!(ended.took < Duration::from_secs(10));
    assert!(ended.stderr.contains("the next start reads them again"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_exits_at_once() {
    let stage = Stage::with_faults(down()).await;
    stage.append("a.log", numbered(0, 1_000));
    let config = stage.config_file(&stage.toml("a.log", "", "[limits]\nshutdown_ms = 3_600_000"));
    let child = spawn_run(&config);
    soon("an attempt", stage.hive.wait_for_requests(1)).await;
    signal(&child, "INT");
    let before = stage.hive.stats().requests;
    soon("the drain", stage.hive.wait_for_requests(before + 1)).await;
    signal(&child, "TERM");
    assert_eq!(ended(child).await.code, Some(143));
}

fn pipe(stage: &Stage, arguments: &[&str]) -> Child {
    let mut command = hivetail();
    command.args(["pipe", "--dataset", "piped", "--api-url", &stage.hive.url()]).args(arguments);
    command.stdin(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_ends_with_its_writer_and_ships_the_last_line() {
    let stage = Stage::new().await;
    let mut child = pipe(&stage, &["--service", "web"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(numbered(0, 20_000).as_bytes()).unwrap();
    input.write_all(b"{\"n\":\"20000\"}").unwrap();
    drop(input);
    let ended = ended(child).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_each_once(&stage, 20_001);
    let events = stage.hive.events();
    assert!(events.iter().all(|event| event.dataset == "piped" && text(event, "service.name") == "web"));
    assert!(!events[0].data.contains_key("log.file.offset"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_whose_lines_cannot_be_delivered_says_how_many_are_lost() {
    let stage = Stage::with_faults(down()).await;
    let mut child = pipe(&stage, &["--format", "json"]);
    child.stdin.take().unwrap().write_all(numbered(0, 123).as_bytes()).unwrap();
    let ended = ended(child).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("\"lines\":123"), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(15), "within the default shutdown_ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_lines_show_in_the_exit_code() {
    let stage = Stage::with_faults([Fault::PerEvent(vec![202, 400])]).await;
    let mut child = pipe(&stage, &[]);
    child.stdin.take().unwrap().write_all(numbered(0, 10).as_bytes()).unwrap();
    let ended = ended(child).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("refused for good"), "{}", ended.stderr);
    assert_eq!(stage.seen("n").len(), 5);
}

/// Found in review: pieces that the reading thread had handed over were neither shipped nor counted.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_loses_no_line_that_a_pipe_has_read() {
    let stage = Stage::new().await;
    let mut child = pipe(&stage, &[]);
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let mut written = 0;
        while input.write_all(numbered(written, 1_000).as_bytes()).is_ok() && written < 2_000_000 {
            written += 1_000;
        }
    });
    soon("some lines", stage.hive.wait_for_events(20_000)).await;
    signal(&child, "TERM");
    let ended = ended(child).await;
    writer.join().unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let seen = stage.seen("n");
    let last = seen.keys().filter_map(|n| n.parse::<usize>().ok()).max().unwrap();
    assert!(seen.len() > last, "no gap before the last line that was read");
}
