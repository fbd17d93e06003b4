//! Refusals: what is not taken as it is, is halved, trimmed, kept as a dead letter, or held until someone mends it.

use std::{collections::BTreeMap, fs, time::Duration};

use hive::Fault;
use serde_json::Value;

use crate::support::{Stage, assert_each_once, hivetail, numbered, signal, soon, spawn_run, text};

fn status(status: u16, error: &str) -> Fault {
    Fault::Status { status, error: error.to_owned(), retry_after: None }
}

/// The dead letters in a stage's state directory.
fn dead_letters(stage: &Stage) -> Vec<Value> {
    let mut letters = Vec::new();
    for file in hivetail::dead_letter::files(&hivetail::dead_letter::folder(&stage.path("state"))) {
        let text = fs::read_to_string(file).unwrap();
        letters.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    letters
}

#[tokio::test]
async fn a_body_that_is_too_large_is_halved() {
    for refusal in [status(413, "x"), status(400, "Request body is too large."), Fault::Html { status: 413 }]
    {
        let stage = Stage::with_faults([refusal.clone(), refusal]).await;
        stage.append("a.log", numbered(0, 100));
        let counts = stage.ship_once(&stage.toml("a.log", "", "[deliver]\nconcurrency = 1")).await;
        assert_eq!((counts.accepted, stage.hive.stats().requests), (100, 5));
        assert_each_once(&stage, 100);
    }
}

#[tokio::test]
async fn the_event_that_makes_a_body_malformed_is_found_and_kept() {
    let stage = Stage::new().await;
    stage.hive.poison(Some("line 37\""));
    stage.append("a.log", numbered(0, 100));
    let counts = stage.ship_once(&stage.toml("a.log", "dataset = \"d\"", "")).await;
    assert_eq!((counts.accepted, counts.dead_lettered), (99, 1));
    let seen = stage.seen("n");
    assert!(seen.len() == 99 && seen.values().all(|count| *count == 1) && !seen.contains_key("37"));
    let letters = dead_letters(&stage);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["dataset"], "d");
    assert_eq!(letters[0]["reason"], "HTTP 400: Request body is malformed and cannot be read.");
    assert_eq!(letters[0]["event"]["data"]["n"], "37");
    assert!(letters[0]["event"]["time"].is_string() && letters[0]["time"].is_string());
}

#[tokio::test]
async fn events_that_are_refused_one_by_one_are_kept_with_their_reason() {
    let stage = Stage::with_faults([Fault::PerEvent(vec![202, 400, 413, 429])]).await;
    stage.append("a.log", numbered(0, 100));
    let counts = stage.ship_once(&stage.toml("a.log", "", "")).await;
    assert_eq!((counts.accepted, counts.dead_lettered, counts.refused, counts.open), (50, 50, 0, 0));
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for letter in dead_letters(&stage) {
        *reasons.entry(letter["reason"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let expected = [("400 Request body is malformed and cannot be read.", 25), ("413 Payload Too Large", 25)];
    assert_eq!(reasons, expected.map(|(reason, count)| (reason.to_owned(), count)).into());
}

#[tokio::test]
async fn an_event_with_too_many_columns_is_trimmed_once() {
    let fields: Vec<String> = (0..50).map(|n| format!("\"f{n}\":{n}")).collect();
    let line = format!("{{\"n\":\"1\",{}}}\n", fields.join(","));
    for (faults, accepted) in [(1, 1), (2, 0)] {
        let stage = Stage::with_faults(vec![Fault::TooManyColumns; faults]).await;
        stage.append("a.log", &line);
        let counts = stage.ship_once(&stage.toml("a.log", "", "")).await;
        assert_eq!((counts.accepted, counts.dead_lettered), (accepted, 1 - accepted));
        for event in stage.hive.events() {
            assert!(text(&event, "meta.truncated").contains("f49") && event.data.len() < 40);
        }
    }
}

/// Somebody puts the right key into the file, and nothing has to be restarted.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_holds_everything_until_the_file_has_another() {
    let stage = Stage::new().await;
    stage.hive.script(vec![status(401, "unknown API key - check your credentials"); 2]);
    stage.append("a.log", numbered(0, 10));
    let key = stage.path("key");
    fs::write(&key, "wrong-key").unwrap();
    let toml = stage.toml("a.log", "", "").replace("[state]", &format!("api_key_file = {key:?}\n[state]"));
    let agent = spawn_run(&stage.config_file(&toml));
    soon("the refusal", stage.hive.wait_for_requests(1)).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(stage.hive.stats().requests, 1, "the same key is not tried over and over");
    fs::write(&key, "another-wrong-key").unwrap();
    soon("the second refusal", stage.hive.wait_for_requests(2)).await;
    fs::write(&key, "right-key").unwrap();
    soon("the lines", stage.hive.wait_for_events(10)).await;
    signal(&agent, "TERM");
    let output = tokio::task::spawn_blocking(move || agent.wait_with_output()).await.unwrap().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("unknown API key") && !stderr.contains("-key"), "{stderr}");
    assert_each_once(&stage, 10);
}

#[tokio::test]
async fn a_dataset_that_is_held_is_tried_twice_a_minute_and_others_go_on() {
    let stage = Stage::with_faults([status(404, "dataset not found")]).await;
    stage.append("a.log", "{\"n\":\"0\",\"app\":\"missing\"}\n");
    let toml = stage.toml("a.log", "dataset = \"{app}\"", "[batch]\nmax_age_ms = 20");
    let agent = stage.start(&toml, false);
    soon("the refusal", stage.hive.wait_for_requests(1)).await;
    let start = std::time::Instant::now();
    for n in 1..5 {
        stage.append("a.log", format!("{{\"n\":\"{n}\",\"app\":\"there\"}}\n"));
        soon("the other dataset", stage.hive.wait_for_events(n)).await;
    }
    assert!(start.elapsed() < Duration::from_secs(25), "they did not wait for it");
    soon("the held event", stage.hive.wait_for_events(5)).await;
    assert!(start.elapsed() > Duration::from_secs(25), "once in thirty seconds");
    assert_eq!(agent.stopped().await.accepted, 5);
    assert_each_once(&stage, 5);
}

/// What a proxy says in HTML is no word on the events.
#[tokio::test]
async fn a_proxys_error_is_tried_again() {
    let stage = Stage::with_faults([Fault::Html { status: 400 }, Fault::Html { status: 502 }]).await;
    stage.append("a.log", numbered(0, 10));
    let counts = stage.ship_once(&stage.toml("a.log", "", "")).await;
    assert_eq!((counts.accepted, counts.dead_lettered), (10, 0));
    assert_each_once(&stage, 10);
}

#[tokio::test]
async fn dead_letters_that_cant_be_written_are_tried_again() {
    let stage = Stage::with_faults([Fault::PerEvent(vec![400]), Fault::PerEvent(vec![202])]).await;
    stage.append("a.log", numbered(0, 1));
    fs::create_dir(stage.path("state")).unwrap();
    // A file stands where the folder has to be.
    fs::write(stage.path("state/dead-letter"), "").unwrap();
    let agent = stage.start(&stage.toml("a.log", "", ""), false);
    soon("the event", stage.hive.wait_for_events(1)).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.accepted, counts.dead_lettered, counts.refused), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_sent_again() {
    let stage = Stage::with_faults([Fault::PerEvent(vec![400, 202, 413])]).await;
    stage.append("a.log", numbered(0, 90));
    let toml = stage.toml("a.log", "dataset = \"d\"", "");
    assert_eq!(stage.ship_once(&toml).await.dead_lettered, 60);
    let config = stage.config_file(&toml);
    let ask = |action: &str| {
        let output = hivetail().args(["dead-letter", action, "-c"]).arg(&config).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let list = ask("list");
    assert!(list.contains("30") && list.contains("413 Payload Too Large") && list.contains(" d "), "{list}");
    assert!(ask("retry").starts_with("1 file will be sent again"));
    assert!(ask("list").starts_with("no dead letters"));
    // One of them is refused again.
    stage.hive.poison(Some("line 0\""));
    let counts = stage.ship_once(&toml).await;
    assert_eq!((counts.recovered, counts.accepted, counts.dead_lettered, counts.read), (60, 59, 1, 0));
    assert_eq!(dead_letters(&stage).len(), 1);
    stage.hive.poison(None);
    ask("retry");
    let agent = stage.start(&toml, false);
    soon("the last one", stage.hive.wait_for_events(90)).await;
    agent.stopped().await;
    assert_each_once(&stage, 90);
    let left = hivetail::dead_letter::retry_folder(&stage.path("state"));
    assert!(fs::read_dir(left).unwrap().next().is_none(), "what was sent is deleted");
}

/// A kill after the events were handed over and before they had an outcome: the file is still there.
#[tokio::test]
async fn dead_letters_whose_outcome_is_open_stay_in_their_file() {
    let stage = Stage::with_faults([Fault::PerEvent(vec![400])]).await;
    stage.append("a.log", numbered(0, 10));
    let toml = stage.toml("a.log", "", "[limits]\nshutdown_ms = 500");
    assert_eq!(stage.ship_once(&toml).await.dead_lettered, 10);
    let (folder, retry) = (stage.path("state/dead-letter"), stage.path("state/dead-letter/retry"));
    fs::create_dir(&retry).unwrap();
    for file in hivetail::dead_letter::files(&folder) {
        fs::rename(&file, retry.join(file.file_name().unwrap())).unwrap();
    }
    stage.hive.script(vec![status(503, "down"); 20]);
    let counts = stage.ship_once(&toml).await;
    assert_eq!((counts.recovered, counts.open), (10, 10));
    assert_eq!(hivetail::dead_letter::files(&retry).len(), 1);
}

/// A dataset that takes nothing may fill half of the memory and no more: other files are read on.
#[tokio::test]
async fn a_held_dataset_leaves_room_for_others() {
    let stage = Stage::new().await;
    let mut refused = Vec::new();
    for n in 0..40_000 {
        refused.extend_from_slice(
            format!("{{\"n\":\"{n}\",\"app\":\"bad\",\"text\":\"{}\"}}\n", "x".repeat(400)).as_bytes(),
        );
    }
    stage.append("a.log", refused);
    let toml = stage
        .toml("*.log", "dataset = \"{app}\"", "[deliver]\nconcurrency = 1\n[batch]\nmax_age_ms = 50")
        .replace("[state]", "compression = \"none\"\n[state]");
    stage.hive.script([status(404, "dataset not found")]);
    let agent = stage.start(&toml, false);
    soon("the refusal", stage.hive.wait_for_requests(1)).await;
    let start = std::time::Instant::now();
    for n in 40_000..40_005 {
        stage.append("b.log", format!("{{\"n\":\"{n}\",\"app\":\"good\"}}\n"));
        soon("the other file", stage.hive.wait_for_events(n - 39_999)).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(start.elapsed() < Duration::from_secs(25), "it did not wait for the end of the hold");
    soon("all of it in the end", stage.hive.wait_for_events(40_005)).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.accepted, counts.open), (40_005, 0));
    assert_each_once(&stage, 40_005);
}
