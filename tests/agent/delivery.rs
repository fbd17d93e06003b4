//! Delivery under faults: nothing lost, nothing doubled unless a reply was lost, every line accounted for.

use std::time::Duration;

use hive::Fault;
use hivetail::{budget::PASS_BYTES, frame::LineBuffer};
use tokio::time::Instant;

use crate::support::{Stage, assert_each_once, numbered, soon, text};

fn status(status: u16, retry_after: Option<&str>) -> Fault {
    Fault::Status { status, error: "scripted".to_owned(), retry_after: retry_after.map(str::to_owned) }
}

async fn ship_lines(stage: &Stage, lines: usize, rest: &str) -> hivetail::ack::Counts {
    stage.append("a.log", numbered(0, lines));
    stage.ship_once(&stage.toml("a.log", "dataset = \"d\"", rest)).await
}

#[tokio::test]
async fn mixed_per_event_verdicts_are_obeyed_one_by_one() {
    let stage =
        Stage::with_faults([Fault::PerEvent(vec![202, 429, 500, 400]), Fault::PerEvent(vec![503, 202])])
            .await;
    let counts = ship_lines(&stage, 100, "").await;
    assert_eq!((counts.accepted, counts.dead_lettered, counts.open), (75, 25, 0));
    let seen = stage.seen("n");
    assert_eq!(seen.len(), 75);
    assert!(seen.values().all(|count| *count == 1), "what was accepted is not sent again");
    assert!(seen.keys().all(|n| n.parse::<usize>().unwrap() % 4 != 3), "every fourth was refused for good");
}

#[tokio::test]
async fn whole_request_failures_are_tried_again_until_they_pass() {
    let scripts = [
        vec![status(429, None), Fault::Delay { delay_ms: 50 }],
        vec![status(503, Some("0")), status(504, Some("Sun, 06 Nov 1994 08:49:37 GMT"))],
        vec![Fault::Reset, Fault::Reset],
        vec![Fault::Garbage],
        vec![Fault::PerEvent(vec![500])],
        vec![status(408, None), status(502, None)],
    ];
    let mut shipping = tokio::task::JoinSet::new();
    for script in scripts {
        shipping.spawn(async move {
            let stage = Stage::with_faults(script.clone()).await;
            let counts = ship_lines(&stage, 500, "").await;
            assert_eq!((counts.accepted, counts.refused, counts.open), (500, 0, 0), "{script:?}");
            assert_each_once(&stage, 500);
        });
    }
    soon("all of them", shipping.join_all()).await;
}

#[tokio::test]
async fn a_hanging_server_is_left_after_the_timeout() {
    let stage = Stage::with_faults([Fault::Hang]).await;
    let counts = ship_lines(&stage, 10, "[deliver]\ntimeout_ms = 300").await;
    assert_eq!(counts.accepted, 10);
    assert_each_once(&stage, 10);
}

#[tokio::test]
async fn a_lost_reply_doubles_but_never_loses() {
    let stage = Stage::with_faults([Fault::ReplyLost, Fault::ShortReply(3)]).await;
    let counts = ship_lines(&stage, 10, "").await;
    assert_eq!(counts.accepted, 10);
    let seen = stage.seen("n");
    assert_eq!(seen.len(), 10);
    assert!(seen.values().all(|count| (2..=3).contains(count)), "{seen:?}");
}

#[tokio::test]
async fn each_compression_is_understood() {
    for compression in ["zstd", "gzip", "none"] {
        let stage = Stage::with_faults([Fault::PerEvent(vec![202, 429])]).await;
        stage.append("a.log", numbered(0, 50));
        let toml = stage
            .toml("a.log", "", "")
            .replace("[state]", &format!("compression = {compression:?}\n[state]"));
        let counts = stage.ship_once(&toml).await;
        assert_eq!(counts.accepted, 50, "{compression}");
        assert_each_once(&stage, 50);
    }
}

#[tokio::test]
async fn events_go_to_the_dataset_their_template_names() {
    let stage = Stage::new().await;
    stage.append("a.log", "{\"app\":\"x\"}\n{\"app\":\"Y/z\"}\n{\"msg\":\"none\"}\n{\"app\":\"X\"}\n");
    let counts = stage.ship_once(&stage.toml("a.log", "dataset = \"logs-{app}\"", "")).await;
    assert_eq!(counts.accepted, 4);
    let mut datasets: Vec<String> = stage.hive.events().into_iter().map(|event| event.dataset).collect();
    datasets.sort();
    assert_eq!(datasets, ["logs-Y-z", "logs-x", "logs-x", "unknown_log_source"]);
}

#[tokio::test]
async fn the_smallest_budget_ships_the_largest_lines_to_many_datasets() {
    let stage = Stage::with_faults([status(503, None), Fault::PerEvent(vec![429])]).await;
    let line_bytes = 1_048_576;
    let text = "x".repeat(60_000);
    for n in 0..40 {
        // Lines near the cap that become events near the limit, small ones between them, in ten datasets.
        let fields: Vec<String> = (0..16).map(|field| format!("\"f{field}\":\"{text}\"")).collect();
        stage.append(
            "a.log",
            format!("{{\"n\":\"{}\",\"app\":\"{}\",{}}}\n", n * 2, n % 10, fields.join(",")),
        );
        stage.append("a.log", format!("{{\"n\":\"{}\",\"app\":\"{}\"}}\n", n * 2 + 1, n % 7));
    }
    let minimum = LineBuffer::bytes_max(line_bytes) + 2 * 1_000_002 + 4 * PASS_BYTES;
    let limits = format!("[limits]\nmemory_bytes = {minimum}\n[batch]\nmax_age_ms = 60_000");
    let counts =
        soon("delivery", stage.ship_once(&stage.toml("a.log", "dataset = \"{app}\"", &limits))).await;
    assert_eq!(counts.accepted, 80);
    assert_each_once(&stage, 80);
    assert!(stage.hive.events().iter().all(|event| text_len(event) < 1_000_000));
}

fn text_len(event: &hive::Event) -> usize {
    serde_json::to_string(&event.data).map(|text| text.len()).unwrap_or(usize::MAX)
}

#[tokio::test]
async fn bodies_stay_below_the_configured_size() {
    let stage = Stage::new().await;
    let counts = ship_lines(&stage, 2_000, "[batch]\nmax_bytes = 10_000").await;
    assert_eq!(counts.accepted, 2_000);
    let stats = stage.hive.stats();
    assert!(stats.body_bytes_uncompressed / stats.requests <= 10_000);
    assert!(stats.requests >= 20);
}

#[tokio::test]
async fn an_event_waits_at_most_its_age() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 1));
    let agent = stage.start(&stage.toml("a.log", "", "[batch]\nmax_age_ms = 50"), false);
    soon("the first event", stage.hive.wait_for_events(1)).await;
    assert_eq!(text(&stage.hive.events()[0], "body"), "line 0");
    assert_eq!(agent.stopped().await.accepted, 1);
}

/// Found in review: datasets that only a person can mend held every slot.
#[tokio::test]
async fn datasets_that_are_refused_as_a_whole_stop_no_other() {
    let stage = Stage::new().await;
    let refused = (0..6)
        .flat_map(|n| [n * 2, n * 2 + 1])
        .map(|n| format!("{{\"n\":\"bad{n}\",\"app\":\"a{n}/%2f\"}}\n"));
    stage.append("a.log", refused.collect::<String>());
    let agent = stage.start(&stage.toml("a.log", "dataset = \"{app}\"", "[batch]\nmax_age_ms = 20"), false);
    stage.hive.script(std::iter::repeat_n(status(404, None), 12));
    soon("the refusals", stage.hive.wait_for_requests(12)).await;
    stage.append("a.log", "{\"n\":\"good\",\"app\":\"b\"}\n");
    soon("the other dataset", stage.hive.wait_for_events(1)).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.accepted, counts.open), (1, 12), "what is held is read again by the next start");
}

/// Found in review: `..` as a dataset's name led out of the batch endpoint.
#[tokio::test]
async fn input_cannot_lead_out_of_the_batch_endpoint() {
    let stage = Stage::new().await;
    stage.append("a.log", "{\"app\":\"..\"}\n{\"app\":\"a?b#c%2F d\"}\n");
    let counts = stage.ship_once(&stage.toml("a.log", "dataset = \"{app}\"", "")).await;
    assert_eq!(counts.accepted, 2);
    let datasets: Vec<String> = stage.hive.events().into_iter().map(|event| event.dataset).collect();
    assert_eq!(datasets.len(), 2);
    assert!(datasets.contains(&"unknown_log_source".to_owned()));
}

/// An hour of the agent's time; the clock goes to the next timer whenever nothing is to be done.
#[tokio::test(start_paused = true)]
async fn an_hour_of_429_costs_a_probe_now_and_then_and_no_line() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let stage = Stage::new().await;
    let slow_down = Fault::Status { status: 429, error: "slow down".to_owned(), retry_after: None };
    stage.hive.script_for(HOUR, slow_down);
    stage.append("a.log", numbered(0, 1_000));
    let start = Instant::now();
    let agent = stage.start(&stage.toml("a.log", "", ""), false);
    stage.hive.wait_for_events(1_000).await;
    let waited = start.elapsed();
    let requests = stage.hive.stats().requests;
    assert!(waited >= HOUR && waited <= HOUR + Duration::from_secs(16), "{waited:?}");
    // Half of 15 s on average, and a few at the start.
    assert!((240..900).contains(&requests), "{requests} requests");
    agent.stopped().await;
    assert_each_once(&stage, 1_000);
}
