//! The admin endpoint: what the agent says of itself, at its socket, over TCP, and by `hivetail status`.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use hive::Fault;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::support::{Stage, hivetail, numbered, soon};

/// Asks at the socket; gives the status and the body.
pub(crate) async fn ask(stage: &Stage, question: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(stage.path("state/admin.sock")).await.expect("it listens");
    let question = format!("{question} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    soon("an answer", stream.read_to_string(&mut answer)).await.expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body.to_owned())
}

/// Every sample by its name and labels; what is no sample has to be a comment of a known kind.
fn samples(text: &str) -> BTreeMap<String, u64> {
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let known = ["HELP hivetail_", "TYPE hivetail_", "UNIT hivetail_"];
            assert!(comment == "EOF" || known.iter().any(|known| comment.starts_with(known)), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(name.starts_with("hivetail_"), "{line}");
        let value = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(samples.insert(name.to_owned(), value), None, "{line} stands there twice");
    }
    assert!(text.ends_with("# EOF\n"));
    samples
}

async fn until<T>(what: &str, mut asks: impl AsyncFnMut() -> Option<T>) -> T {
    soon(what, async {
        loop {
            if let Some(found) = asks().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test]
async fn the_metrics_tell_every_line_and_every_file() {
    let stage = Stage::with_faults([
        Fault::Status { status: 503, error: "down".to_owned(), retry_after: None },
        Fault::PerEvent(vec![202, 202, 400, 429]),
    ])
    .await;
    stage.append("a \"b\"\\.log", numbered(0, 100));
    let agent = stage.start(&stage.toml("*.log", "", ""), false);
    soon("all events", stage.hive.wait_for_events(75)).await;
    let samples = until("all outcomes", async || {
        let samples = samples(&ask(&stage, "GET /metrics").await.1);
        (samples["hivetail_lines_open"] == 0).then_some(samples)
    })
    .await;
    let outcomes = samples.iter().filter(|(name, _)| name.starts_with("hivetail_lines_total{"));
    assert_eq!(outcomes.map(|(_, count)| count).sum::<u64>(), 100);
    assert_eq!(samples["hivetail_lines_read_total"], 100);
    assert_eq!(samples["hivetail_lines_total{outcome=\"accepted\"}"], 75);
    assert_eq!(samples["hivetail_lines_total{outcome=\"dead_lettered\"}"], 25);
    assert_eq!(samples["hivetail_events_refused_total{status=\"400\"}"], 25);
    assert_eq!(samples["hivetail_events_retried_total{cause=\"503\"}"], 100);
    assert_eq!(samples["hivetail_events_retried_total{cause=\"event\"}"], 25);
    assert_eq!(samples["hivetail_requests_total"], 3);
    assert_eq!((samples["hivetail_budget_used_bytes"], samples["hivetail_lag_bytes"]), (0, 0));
    let lag: Vec<_> = samples.iter().filter(|(name, _)| name.contains("stream_lag")).collect();
    assert_eq!(lag.len(), 2, "{lag:?}");
    assert!(lag.iter().all(|(name, lag)| name.contains(r#"/a \"b\"\\.log"#) && **lag == 0), "{lag:?}");
    agent.stopped().await;
}

#[tokio::test]
async fn a_file_that_cant_be_delivered_lags() {
    let stage = Stage::new().await;
    stage.hive.script_for(Duration::from_secs(3_600), Fault::Hang);
    stage.append("a.log", numbered(0, 10));
    let agent = stage.start(&stage.toml("a.log", "", "[limits]\nshutdown_ms = 200"), false);
    soon("a request", stage.hive.wait_for_requests(1)).await;
    let samples = samples(&ask(&stage, "GET /metrics").await.1);
    assert_eq!(samples["hivetail_lag_bytes"], numbered(0, 10).len() as u64);
    assert_eq!((samples["hivetail_lines_open"], samples["hivetail_requests_in_flight"]), (10, 1));
    assert!(samples["hivetail_budget_used_bytes"] > 0);
    agent.stopped().await;
}

#[tokio::test]
async fn it_is_ready_unless_nothing_is_taken_for_long() {
    let stage = Stage::new().await;
    let refused = Fault::Status { status: 401, error: "unknown API key".to_owned(), retry_after: None };
    stage.hive.script_for(Duration::from_secs(3_600), refused);
    let rest = "[admin]\nunready_after_s = 1\n[limits]\nshutdown_ms = 200";
    let agent = stage.start(&stage.toml("a.log", "", rest), false);
    let ready = (200, "ready\n".to_owned());
    until("the socket", async || stage.path("state/admin.sock").exists().then_some(())).await;
    assert_eq!(ask(&stage, "GET /readyz").await, ready, "there is nothing to send");
    stage.append("a.log", numbered(0, 10));
    let why = until("a no", async || {
        let (status, why) = ask(&stage, "GET /readyz").await;
        (status == 503).then_some(why)
    })
    .await;
    assert!(why.contains("HTTP 401: unknown API key"), "{why}");
    assert_eq!(ask(&stage, "GET /healthz").await, (200, "ok\n".to_owned()), "a restart would not help");
    agent.stopped().await;
}

#[tokio::test]
async fn the_socket_is_this_users_alone_and_answers_questions_only() {
    let stage = Stage::new().await;
    fs::create_dir(stage.path("state")).expect("a folder");
    // As a kill leaves it.
    fs::write(stage.path("state/admin.sock"), "").expect("a file");
    let agent = stage.start(&stage.toml("a.log", "", ""), false);
    let mode = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    let socket = stage.path("state/admin.sock");
    until("the socket", async || (mode(&socket) == 0o140_600).then_some(())).await;
    for (question, status) in [
        ("GET /", 404),
        ("GET /metrics/x", 404),
        ("POST /metrics", 405),
        ("DELETE /status", 405),
        ("nonsense", 400),
    ] {
        assert_eq!(ask(&stage, question).await.0, status, "{question}");
    }
    agent.stopped().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn it_answers_over_tcp_if_told_to() {
    let stage = Stage::new().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("an address");
    let config = stage.config_file(&stage.toml("a.log", "", &format!("[admin]\nlisten = \"{address}\"")));
    let mut run = hivetail();
    run.args(["run", "-c"]).arg(&config);
    let output = tokio::task::spawn_blocking(move || run.output()).await.expect("no panic").expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&address.to_string()) && said.contains("in use"), "{said}");
    assert_ne!(output.status.code(), Some(0));

    drop(taken);
    let agent = stage.start(&fs::read_to_string(&config).expect("text"), false);
    let answer = until("an answer", async || {
        reqwest::get(format!("http://{address}/readyz")).await.ok()?.text().await.ok()
    })
    .await;
    assert_eq!(answer, "ready\n");
    agent.stopped().await;
}

#[tokio::test]
async fn status_is_a_table_for_people_and_json_for_scripts() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 10));
    let toml = stage.toml("a.log", "", "");
    let config = stage.config_file(&toml);
    let status = async |args: &[&str]| {
        let mut command = hivetail();
        command.args(["status", "-c"]).arg(&config).args(args);
        let run = tokio::task::spawn_blocking(move || command.output());
        let output = run.await.expect("no panic").expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, _, said) = status(&[]).await;
    assert!(code == Some(1) && said.contains("Is the agent running"), "{said}");

    let agent = stage.start(&toml, false);
    soon("all events", stage.hive.wait_for_events(10)).await;
    let (code, table, said) = status(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    let counts = "10 read (0/s), 10 accepted (0/s), 0 filtered, 0 sampled, 0 joined";
    assert!(table.contains(counts) && table.contains("/a.log\n") && !table.contains("  rule\n"), "{table}");
    let (_, json, _) = status(&["--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["lines"]["accepted"], &json["numbers"]["streams"]), (&10.into(), &1.into()));
    agent.stopped().await;
}

#[tokio::test]
async fn status_tells_what_became_of_the_events_of_each_rule() {
    let stage = Stage::new().await;
    let lines: String = (0..36).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    stage.append("a.log", &lines);
    let rules = "[[rule]]\nname = \"begin\"\ndrop = true\nwhen = [{ field = \"n\", operator = \"<\", value = 4 }]\n\
        [[rule]]\nname = \"all else\"\nsample = 8\n";
    let toml = stage.toml("a.log", "format = \"json\"", rules);
    let config = stage.config_file(&toml);
    let agent = stage.start(&toml, false);
    soon("all events", stage.hive.wait_for_events(4)).await;
    let mut command = hivetail();
    command.args(["status", "-c"]).arg(&config);
    let run = tokio::task::spawn_blocking(move || command.output());
    let table = String::from_utf8(run.await.expect("no panic").expect("it runs").stdout).expect("text");
    assert!(table.contains("36 read (0/s), 4 accepted (0/s), 4 filtered, 28 sampled"), "{table}");
    let rows = "      kept   filtered    sampled  rule\n         4          0         28  all else\n         0          4          0  begin\n";
    assert!(table.contains(rows), "{table}");
    agent.stopped().await;
}
