//! The spool: what a pipe has sent survives outages, ends and kills, and is delivered by the next one.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Output, Stdio},
    time::Duration,
};

use hive::Fault;
use hivetail::{
    deliver::compress::Compression,
    spool::{Header, Owner, Spool, Stored},
};

use crate::support::{PATIENCE, Stage, assert_each_once, hivetail, numbered, signal, soon};

fn down() -> impl Iterator<Item = Fault> {
    std::iter::repeat_n(Fault::Status { status: 503, error: "down".to_owned(), retry_after: None }, 100_000)
}

fn pipe(stage: &Stage, args: &[&str]) -> Child {
    let mut command = hivetail();
    command.args(["pipe", "--api-url", &stage.hive.url(), "--dataset", "d"]).args(args);
    command
        .env("XDG_STATE_HOME", stage.path("home"))
        .stdin(Stdio::piped())
        .spawn()
        .expect("the command starts")
}

async fn ended(child: Child) -> Output {
    let wait = tokio::task::spawn_blocking(move || child.wait_with_output());
    tokio::time::timeout(PATIENCE, wait).await.expect("it ends").unwrap().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The state directories of a stage's pipes.
fn states(stage: &Stage) -> Vec<PathBuf> {
    let entries = fs::read_dir(stage.path("home/hivetail/pipe")).into_iter().flatten().flatten();
    let mut states: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    states.sort();
    states
}

fn batches(state: &Path) -> usize {
    let entries = fs::read_dir(state.join("spool")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "batch")).count()
}

/// Waits for batches in the spool of a stage's first pipe.
async fn spooled(stage: &Stage) {
    let there = async {
        while states(stage).first().is_none_or(|state| batches(state) == 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("a batch in the spool", there).await;
}

/// No more faults.
fn up_again(stage: &Stage) {
    stage.hive.clear_script();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pipe_could_not_deliver_is_delivered_by_the_next() {
    let stage = Stage::with_faults(down()).await;
    let mut child = pipe(&stage, &[]);
    child.stdin.take().unwrap().write_all(numbered(0, 1_000).as_bytes()).unwrap();
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("\"lines\":1000"), "{}", stderr(&output));
    assert!(stderr(&output).contains("are in the spool"), "{}", stderr(&output));
    up_again(&stage);
    let mut child = pipe(&stage, &[]);
    child.stdin.take().unwrap().write_all(numbered(1_000, 10).as_bytes()).unwrap();
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_each_once(&stage, 1_010);
    assert_eq!(batches(&states(&stage)[0]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_spool_survives_a_kill() {
    let stage = Stage::with_faults(down()).await;
    let mut child = pipe(&stage, &[]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(numbered(0, 100).as_bytes()).unwrap();
    spooled(&stage).await;
    signal(&child, "KILL");
    ended(child).await;
    up_again(&stage);
    let mut child = pipe(&stage, &[]);
    drop(child.stdin.take());
    assert_eq!(ended(child).await.status.code(), Some(0));
    assert_each_once(&stage, 100);
}

/// More than the memory holds: the writer goes on at the disk's speed.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_goes_to_the_disk_and_does_not_stop_the_writer() {
    let stage = Stage::with_faults(down()).await;
    let mut child = pipe(&stage, &[]);
    let mut input = child.stdin.take().unwrap();
    let lines = 400_000;
    let writer = std::thread::spawn(move || {
        for from in (0..lines).step_by(10_000) {
            input.write_all(numbered(from, 10_000).as_bytes()).unwrap();
        }
        input
    });
    let writer = tokio::task::spawn_blocking(move || writer.join().unwrap());
    let input = soon("the writer", writer).await.unwrap();
    up_again(&stage);
    soon("the lines", stage.hive.wait_for_events(lines as u64)).await;
    drop(input);
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_each_once(&stage, lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pipe_has_its_own_directory_and_a_later_one_sends_what_it_left() {
    let stage = Stage::with_faults(down()).await;
    let mut first = pipe(&stage, &[]);
    let mut first_input = first.stdin.take().unwrap();
    first_input.write_all(numbered(0, 10).as_bytes()).unwrap();
    spooled(&stage).await;
    let mut second = pipe(&stage, &[]);
    second.stdin.take().unwrap().write_all(numbered(10, 10).as_bytes()).unwrap();
    assert_eq!(ended(second).await.status.code(), Some(1));
    let states = states(&stage);
    assert!(states.len() == 2 && states[1].to_str().unwrap().ends_with("-2"), "{states:?}");
    assert_eq!((batches(&states[0]), batches(&states[1])), (1, 1));
    up_again(&stage);
    soon("the first one's", stage.hive.wait_for_events(10)).await;
    drop(first_input);
    assert_eq!(ended(first).await.status.code(), Some(0));
    let mut third = pipe(&stage, &[]);
    drop(third.stdin.take());
    assert_eq!(ended(third).await.status.code(), Some(0));
    assert_each_once(&stage, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_without_a_state_directory_says_so_and_ships() {
    let stage = Stage::new().await;
    fs::write(stage.path("file"), "").unwrap();
    let dir = stage.path("file/below");
    let mut child = pipe(&stage, &["--state-dir", dir.to_str().unwrap()]);
    child.stdin.take().unwrap().write_all(numbered(0, 10).as_bytes()).unwrap();
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("set --state-dir"), "{}", stderr(&output));
    assert_each_once(&stage, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_batch_is_set_aside_and_the_others_are_sent() {
    let stage = Stage::with_faults(down()).await;
    for from in [0, 10] {
        let mut child = pipe(&stage, &[]);
        child.stdin.take().unwrap().write_all(numbered(from, 10).as_bytes()).unwrap();
        assert_eq!(ended(child).await.status.code(), Some(1));
    }
    let spool = states(&stage)[0].join("spool");
    let mut files: Vec<PathBuf> = fs::read_dir(&spool).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut bytes = fs::read(&files[0]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&files[0], bytes).unwrap();
    up_again(&stage);
    let mut child = pipe(&stage, &[]);
    drop(child.stdin.take());
    let output = ended(child).await;
    assert!(stderr(&output).contains("set aside") && stderr(&output).contains("\"spool_damaged\":1"));
    assert_eq!(stage.seen("n").len(), 10);
    assert!(files[0].with_extension("damaged").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_never_sent_to_another_url() {
    let stage = Stage::with_faults(down()).await;
    let mut child = pipe(&stage, &[]);
    child.stdin.take().unwrap().write_all(numbered(0, 10).as_bytes()).unwrap();
    ended(child).await;
    let state = states(&stage)[0].clone();
    let other = Stage::new().await;
    let mut child = pipe(&other, &["--state-dir", state.to_str().unwrap()]);
    drop(child.stdin.take());
    let output = ended(child).await;
    assert!(stderr(&output).contains("for another URL: held"), "{}", stderr(&output));
    assert!(output.status.code() == Some(0) && other.hive.events().is_empty());
    assert_eq!(batches(&state), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_never_sent_to_another_team() {
    let stage = Stage::new().await;
    let api_url = format!("{}/", stage.hive.url());
    let owner = |team: &str| Some(Owner { team: team.to_owned(), environment: "local".to_owned() });
    let put = |owner: Option<Owner>, n: usize| {
        let (spool, _) = Spool::open(&stage.path("state"), &api_url, 1_000_000).expect("a spool");
        let body = format!("[{{\"time\":\"2026-11-22T00:00:00Z\",\"data\":{{\"n\":\"{n}\"}}}}]").into_bytes();
        let header = Header {
            api_url: api_url.clone(),
            owner,
            dataset: "d".to_owned(),
            compression: Compression::None,
            ends: vec![u32::try_from(body.len() - 1).expect("small")],
            body_bytes: body.len() as u64,
            body_crc: crc32fast::hash(&body),
        };
        spool.put(&Stored { header, body: body.into() }, None, true).expect("room");
    };
    // Hive says of every key that it is the team hive's, and local.
    put(owner("hive"), 0);
    put(owner("others"), 1);
    put(None, 2);
    let state = stage.path("state");
    let args = ["--state-dir", state.to_str().expect("text")];
    for _ in 0..2 {
        let mut child = pipe(&stage, &args);
        drop(child.stdin.take());
        let output = ended(child).await;
        let said = stderr(&output);
        assert!(said.contains("another team or environment") && said.contains("others/local"), "{said}");
        assert_eq!((output.status.code(), batches(&state)), (Some(0), 1), "{said}");
    }
    let seen = stage.seen("n");
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["0", "2"]);
}
