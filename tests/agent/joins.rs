//! Joins in the running agent: across chunks, rotations, restarts and kill -9, by time, and within their bounds.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use hive::{Event, Fault};
use hivetail::{
    ack::Held,
    checkpoint::{self, Entry},
};

use crate::support::{Stage, hivetail, soon, spawn_run, text};

const PHOENIX: &str = "format = \"phoenix\"";

fn begun(id: &str) -> String {
    format!("12:00:00.000 request_id={id:0>20} [info] GET /podcast/{id}\n")
}

fn answered(id: &str) -> String {
    format!("12:00:00.015 request_id={id:0>20} [info] Sent 200 in 15ms\n")
}

fn logged(id: &str, words: &str) -> String {
    format!("12:00:00.010 request_id={id:0>20} [warning] {words}\n")
}

/// The events of requests, by path.
fn requests(stage: &Stage, path: &str) -> Vec<Event> {
    stage.hive.events().into_iter().filter(|event| text(event, "url.path") == path).collect()
}

/// Whether its second held line is the last of an event that was shipped.
fn held_as_context(entry: &Entry) -> bool {
    entry.held.get(1).is_some_and(|held| held.flags == Held::CONTEXT | Held::LAST)
}

/// Waits until the saved checkpoint says so.
async fn saved(state: &Path, is_so: impl Fn(&[Entry]) -> bool) {
    soon("the checkpoint", async {
        loop {
            if is_so(&checkpoint::load(state).entries) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_of_two_runs_is_one_event_and_its_neighbours_come_once() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log", PHOENIX, "");
    stage.append("a.log", begun("1") + &begun("2") + &logged("1", "half way") + &answered("2"));
    let agent = stage.start(&toml, false);
    soon("the neighbours", stage.hive.wait_for_events(2)).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.open, counts.joined), (1, 1), "{counts:?}");
    stage.append("a.log", answered("1"));
    let counts = stage.ship_once(&toml).await;
    assert_eq!((counts.read, counts.recovered, counts.accepted, counts.joined), (1, 1, 1, 1), "{counts:?}");
    assert_eq!(stage.hive.events().len(), 3);
    let request = &requests(&stage, "/podcast/1")[0];
    assert_eq!(text(request, "http.response.status_code"), "200");
    assert_eq!(
        text(request, "log.count"),
        "1",
        "what was logged meanwhile counts once, and is not shipped twice"
    );
    assert_eq!(text(request, "meta.incomplete"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_leaves_a_half_read_request_and_trace_whole() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log", &format!("{PHOENIX}\njoin = {{ timeout_ms = 3_600_000 }}"), "");
    let config = stage.config_file(&toml);
    stage.append("a.log", begun("1") + &begun("2") + &answered("2"));
    stage.append("a.log", "12:00:00.020 [error] GenServer A.B terminating\n** (RuntimeError) boom\n");
    let mut child = spawn_run(&config);
    saved(&stage.path("state"), |entries| entries.iter().any(|entry| entry.held.len() == 3)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    stage.append("a.log", "    (a 0.1.0) lib/a/b.ex:12: A.B.c/1\n".to_owned() + &answered("1"));
    let counts = stage.ship_once(&toml).await;
    assert_eq!((counts.open, counts.recovered, counts.accepted), (0, 3, 2), "{counts:?}");
    assert_eq!(stage.hive.events().len(), 3, "the neighbour was not shipped twice");
    let crash = stage.hive.events().into_iter().find(|event| text(event, "exception.type") == "RuntimeError");
    let crash = crash.unwrap();
    assert_eq!(text(&crash, "code.function.name"), "A.B.c/1");
    assert_eq!(text(&crash, "log.file.offset"), (begun("1").len() * 2 + answered("2").len()).to_string());
    assert_eq!(text(&requests(&stage, "/podcast/1")[0], "duration_ms"), "15.0");
}

#[tokio::test]
async fn a_request_survives_a_rotation_and_a_restart_in_between() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log", PHOENIX, "");
    stage.append("a.log", begun("1") + &begun("2"));
    let agent = stage.start(&toml, false);
    saved(&stage.path("state"), |entries| entries.iter().any(|entry| entry.held.len() == 2)).await;
    fs::rename(stage.path("a.log"), stage.path("a.log.1")).unwrap();
    stage.append("a.log", answered("1"));
    soon("the first request", stage.hive.wait_for_events(1)).await;
    agent.stopped().await;
    stage.append("a.log", answered("2"));
    let counts = stage.ship_once(&toml).await;
    assert_eq!((counts.open, counts.recovered, counts.accepted), (0, 1, 1), "{counts:?}");
    for path in ["/podcast/1", "/podcast/2"] {
        let found = requests(&stage, path);
        assert_eq!(found.len(), 1, "{path}");
        assert_eq!(text(&found[0], "http.response.status_code"), "200", "{path}");
    }
}

#[tokio::test]
async fn what_is_silent_for_long_enough_is_shipped() {
    let stage = Stage::new().await;
    let source = format!("{PHOENIX}\nrequest_window_s = 2\njoin = {{ timeout_ms = 50 }}");
    let agent = stage.start(&stage.toml("a.log", &source, ""), false);
    stage.append("a.log", begun("1") + "12:00:00.020 [info] two\nlines\n");
    soon("the lines", stage.hive.wait_for_events(1)).await;
    assert_eq!(text(&stage.hive.events()[0], "body"), "two\nlines");
    soon("the request", stage.hive.wait_for_events(2)).await;
    assert_eq!(text(&stage.hive.events()[1], "meta.incomplete"), "true");
    stage.append("a.log", answered("1"));
    soon("the late answer", stage.hive.wait_for_events(3)).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.open, counts.accepted, counts.joined), (0, 3, 1), "{counts:?}");
}

#[tokio::test]
async fn a_crash_that_follows_its_answer_is_the_requests() {
    let stage = Stage::new().await;
    let agent = stage.start(&stage.toml("a.log", PHOENIX, ""), false);
    let sent = answered("1").replace("200", "500");
    stage.append("a.log", begun("1") + &sent);
    stage.append(
        "a.log",
        "12:00:00.016 [error] #PID<0.1.0> running A.Endpoint (connection #PID<0.2.0>, stream id 1) terminated\n\
         Request: GET /podcast/1?password=hunter2\n** (exit) an exception was raised:\n    ** (KeyError) no\n        \
         (a 0.1.0) lib/a.ex:1: A.b/1\n",
    );
    stage.append("a.log", begun("2") + &answered("2").replace("200", "503"));
    soon("two requests and a crash", stage.hive.wait_for_events(3)).await;
    agent.stopped().await;
    let request = &requests(&stage, "/podcast/1");
    assert_eq!(request.len(), 2, "the request, and the report of its crash");
    assert!(request.iter().all(|event| text(event, "exception.type") == "KeyError"));
    assert_eq!(text(&request[0], "exception.fingerprint"), text(&request[1], "exception.fingerprint"));
    assert_eq!(text(&requests(&stage, "/podcast/2")[0], "exception.type"), "", "it waited in vain");
    assert!(stage.hive.events().iter().all(|event| !text(event, "body").contains("hunter2")));
}

/// Begun in order, then answered in order: all are open at once.
fn open_at_once(count: usize) -> String {
    let id = |n: usize| n.to_string();
    let begun: String = (0..count).map(|n| begun(&id(n))).collect();
    begun + &(0..count).map(|n| answered(&id(n))).collect::<String>()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_are_bounded_by_memory_and_none_is_lost() {
    for (memory, count) in [("", 2_000), ("[limits]\nmemory_bytes = 67_108_864", 10_000)] {
        let stage = Stage::new().await;
        stage.append("a.log", open_at_once(count));
        let counts = stage.ship_once(&stage.toml("a.log", PHOENIX, memory)).await;
        assert_eq!((counts.accepted, counts.joined), (count as u64, count as u64), "{counts:?}");
        assert_eq!(stage.seen("meta.incomplete").get("true"), None, "{count} fit");
    }
    let stage = Stage::new().await;
    stage.append("a.log", open_at_once(30_000));
    let counts = stage.ship_once(&stage.toml("a.log", PHOENIX, "")).await;
    assert_eq!(
        (counts.read, counts.accepted + counts.joined, counts.open),
        (60_000, 60_000, 0),
        "{counts:?}"
    );
    let incomplete = stage.seen("meta.incomplete").get("true").copied().unwrap_or_default() as u64;
    assert!((1..28_000).contains(&incomplete), "{incomplete}");
    assert_eq!(counts.joined, 30_000 - incomplete, "the oldest went first, their answers stand alone");
}

#[tokio::test]
async fn without_joins_every_line_is_an_event() {
    let stage = Stage::new().await;
    stage.append("a.log", begun("1") + "12:00:00.001 [info] two\nlines\n" + &answered("1"));
    let source = format!("{PHOENIX}\njoin = false\njoin_requests = false");
    let counts = stage.ship_once(&stage.toml("a.log", &source, "")).await;
    assert_eq!((counts.accepted, counts.joined), (4, 0));
}

#[tokio::test]
async fn traces_of_other_programs_join_as_configured() {
    let stage = Stage::new().await;
    stage.append(
        "java.log",
        "2026-11-21 ERROR boom\njava.lang.X: y\n\tat a.B.c(B.java:1)\nCaused by: z\n2026-11-21 INFO ok\n",
    );
    let source = "format = \"raw\"\njoin = { start = '^\\d{4}-\\d\\d-\\d\\d ' }";
    let counts = stage.ship_once(&stage.toml("java.log", source, "")).await;
    assert_eq!((counts.accepted, counts.joined), (2, 3));
    let bodies = stage.seen("body");
    assert!(
        bodies.contains_key("2026-11-21 ERROR boom\njava.lang.X: y\n\tat a.B.c(B.java:1)\nCaused by: z"),
        "{bodies:?}"
    );
}

#[test]
fn the_end_of_a_pipe_ends_its_joins() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stage = runtime.block_on(Stage::new());
    let mut command: Command = hivetail();
    command.args(["pipe", "--format", "phoenix", "--dataset", "d", "--api-url", &stage.hive.url()]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all((begun("1") + "12:00:00.001 [info] two\nlines\n").as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(stage.hive.events().len(), 2);
    assert_eq!(text(&requests(&stage, "/podcast/1")[0], "meta.incomplete"), "true");
}

/// A line that its own event and an open request hold at once was counted twice when the request was decided first.
#[tokio::test]
async fn an_event_that_waited_for_its_lines_is_its_own_and_its_requests() {
    let slow = (0..40).map(|n| Fault::Delay { delay_ms: if n % 2 == 0 { 300 } else { 0 } });
    let stage = Stage::with_faults(slow).await;
    let toml = stage.toml("a.log", PHOENIX, "[batch]\nmax_age_ms = 10");
    let toml = toml.replace("[honeycomb]", "[honeycomb]\ndataset = \"{http.request.method}\"");
    let agent = stage.start(&toml, false);
    let mut expected = 0;
    for id in ["1", "2", "3"] {
        for line in [begun(id), logged(id, "one"), "two\n".to_owned(), answered(id)] {
            stage.append("a.log", line);
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        expected += 2;
        soon("both", stage.hive.wait_for_events(expected)).await;
    }
    let counts = agent.stopped().await;
    assert_eq!((counts.accepted, counts.joined, counts.open), (6, 6, 0), "{counts:?}");
    assert!(requests(&stage, "/podcast/1").iter().all(|event| text(event, "log.count") == "1"));
}

/// Context of a line that had waited for its event's end was not in the checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_logged_before_a_kill_counts_after_it() {
    let stage = Stage::new().await;
    let config = stage.config_file(&stage.toml("a.log", PHOENIX, ""));
    stage.append("a.log", begun("1"));
    let mut child = spawn_run(&config);
    saved(&stage.path("state"), |entries| entries.iter().any(|entry| !entry.held.is_empty())).await;
    stage.append("a.log", logged("1", "half way"));
    soon("the log line", stage.hive.wait_for_events(1)).await;
    saved(&stage.path("state"), |entries| entries.iter().any(held_as_context)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    stage.append("a.log", answered("1"));
    stage.ship_once(&stage.toml("a.log", PHOENIX, "")).await;
    assert_eq!(stage.hive.events().len(), 2, "the log line was not shipped twice");
    assert_eq!(text(&requests(&stage, "/podcast/1")[0], "log.count"), "1");
}

/// The first event's form was believed for ever.
#[tokio::test]
async fn a_log_that_goes_on_in_another_form_is_read_on() {
    let stage = Stage::new().await;
    let pairs: String = (0..100).map(|n| begun(&n.to_string()) + &answered(&n.to_string())).collect();
    stage.append("a.log", "2026-11-21 11:00:00.000 [info] Running App\n".to_owned() + &pairs);
    stage.ship_once(&stage.toml("a.log", PHOENIX, "")).await;
    let whole = stage.hive.events().iter().filter(|event| !text(event, "duration_ms").is_empty()).count();
    assert_eq!(whole, 100);
    let quoting = "12:00:00.000 [info] quotes\n2026-11-21 11:00:00.000 [info] GET /quoted\n";
    stage.append("b.log", begun("1") + quoting + &answered("1"));
    stage.ship_once(&stage.toml("b.log", PHOENIX, "")).await;
    assert_eq!(requests(&stage, "/quoted").len(), 0, "a message quotes a line or two");
}

/// Renamed and made anew between two looks, under a pattern that matches both names.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_without_a_gap_within_the_pattern_is_one_lineage() {
    for round in 0..5 {
        let stage = Stage::new().await;
        let agent = stage.start(&stage.toml("a.log*", PHOENIX, ""), false);
        stage.append("a.log", begun("2") + &answered("2") + &begun("1"));
        soon("the neighbour", stage.hive.wait_for_events(1)).await;
        fs::rename(stage.path("a.log"), stage.path("a.log.1")).unwrap();
        stage.append("a.log", answered("1"));
        soon("the request", stage.hive.wait_for_events(2)).await;
        let counts = agent.stopped().await;
        assert_eq!((counts.accepted, counts.joined, counts.open), (2, 2, 0), "round {round}: {counts:?}");
    }
}

/// A claim on more lines than fit beside an event could never be shipped.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_logs_without_end_is_shipped() {
    let stage = Stage::new().await;
    let mut log = begun("1");
    (0..150_000).for_each(|_| log.push_str(&logged("1", "again")));
    stage.append("a.log", log + &answered("1") + &begun("2") + &answered("2"));
    let memory = "[limits]\nmemory_bytes = 67_108_864";
    let counts = stage.ship_once(&stage.toml("a.log", PHOENIX, memory)).await;
    assert_eq!((counts.accepted, counts.joined, counts.open), (150_002, 2, 0), "{counts:?}");
    assert_eq!(text(&requests(&stage, "/podcast/1")[0], "log.count"), "150000");
}

/// A rotated file that the pattern still matches came after its successor.
#[tokio::test(flavor = "multi_thread")]
async fn files_from_the_checkpoint_are_followed_in_their_order() {
    let stage = Stage::new().await;
    let toml = stage.toml("a.log*", PHOENIX, "");
    let config = stage.config_file(&toml);
    stage.append("a.log", begun("1"));
    let mut child = spawn_run(&config);
    saved(&stage.path("state"), |entries| entries.iter().any(|entry| !entry.held.is_empty())).await;
    fs::rename(stage.path("a.log"), stage.path("a.log.1")).unwrap();
    stage.append("a.log", begun("2") + &answered("2"));
    soon("the neighbour", stage.hive.wait_for_events(1)).await;
    saved(&stage.path("state"), |entries| entries.len() == 2).await;
    child.kill().unwrap();
    child.wait().unwrap();
    stage.append("a.log", answered("1"));
    stage.ship_once(&toml).await;
    let found = requests(&stage, "/podcast/1");
    assert_eq!((found.len(), text(&found[0], "http.response.status_code").as_str()), (1, "200"));
}

/// What a truncated file held could not be read again by the next start.
#[tokio::test]
async fn an_open_request_of_a_truncated_file_is_shipped_when_the_agent_stops() {
    let stage = Stage::new().await;
    let agent = stage.start(&stage.toml("a.log", PHOENIX, ""), false);
    stage.append("a.log", begun("1"));
    saved(&stage.path("state"), |entries| entries.iter().any(|entry| !entry.held.is_empty())).await;
    fs::write(stage.path("a.log"), "").unwrap();
    saved(&stage.path("state"), |entries| entries.iter().any(|entry| entry.generation == 1)).await;
    stage.append("a.log", begun("2") + &answered("2"));
    soon("the new request", stage.hive.wait_for_events(1)).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.open, counts.accepted), (0, 2), "{counts:?}");
    assert_eq!(text(&requests(&stage, "/podcast/1")[0], "meta.incomplete"), "true");
}
