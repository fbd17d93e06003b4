//! Every fault as a client meets it: what it is answered, and what is stored.

use hive::{Fault, Hive, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Answer, batch, connect, in_time, post, request};

/// A fresh receiver with one fault, the answer to a batch of three events, and the stored values of `n`.
async fn meet(fault: Fault, sink: bool) -> (Hive, Option<Answer>) {
    let hive = Hive::start(Options { sink, ..Options::default() }).await.unwrap();
    hive.script([fault]);
    let answer = in_time(post(&hive, "a", &batch(3))).await;
    assert_eq!(hive.stats().requests, 1);
    (hive, answer)
}

fn stored(hive: &Hive) -> Vec<u64> {
    hive.events().iter().map(|event| event.data["n"].as_u64().unwrap()).collect()
}

async fn assert_recovered(hive: &Hive) {
    let answer = in_time(post(hive, "a", &batch(1))).await.unwrap();
    assert_eq!((answer.status, answer.statuses()), (200, vec![202]));
}

#[tokio::test]
async fn status_refuses_the_whole_request() {
    let fault = Fault::Status { status: 429, error: "slow \"down\"".into(), retry_after: Some("7".into()) };
    let (hive, answer) = meet(fault, false).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (429, r#"{"error":"slow \"down\""}"#));
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(stored(&hive), [0_u64; 0]);
    assert_eq!(hive.stats().body_bytes, batch(3).len() as u64);
    assert_recovered(&hive).await;
}

#[tokio::test]
async fn per_event_statuses_are_cycled() {
    for sink in [false, true] {
        let (hive, answer) = meet(Fault::PerEvent(vec![202, 429]), sink).await;
        let answer = answer.unwrap();
        assert_eq!(answer.statuses(), [202, 429, 202]);
        assert_eq!(answer.json()[1]["error"], "Request dropped due to rate limiting.");
        let stats = hive.stats();
        assert_eq!((stats.events_accepted, stats.events_refused), (2, 1));
        assert_eq!(stored(&hive), if sink { vec![] } else { vec![0, 2] });
        assert_recovered(&hive).await;
    }
}

#[tokio::test]
async fn per_event_statuses_leave_a_wrong_event_its_own() {
    let hive = Hive::start(Options::default()).await.unwrap();
    hive.script([Fault::PerEvent(vec![500]), Fault::PerEvent(vec![])]);
    for expected in [[500, 400], [202, 400]] {
        let answer = in_time(post(&hive, "a", r#"[{"data":{"n":1}},{"data":{}}]"#)).await.unwrap();
        assert_eq!(answer.statuses(), expected);
    }
}

#[tokio::test]
async fn reset_closes_without_reading_or_answering() {
    let (hive, answer) = meet(Fault::Reset, false).await;
    assert!(answer.is_none());
    assert_eq!((stored(&hive), hive.stats().body_bytes), (vec![], 0));
    assert_recovered(&hive).await;
}

#[tokio::test]
async fn a_lost_reply_has_stored_everything() {
    let (hive, answer) = meet(Fault::ReplyLost, false).await;
    assert!(answer.is_none());
    assert_eq!(stored(&hive), [0, 1, 2]);
    assert_eq!(hive.stats().events_accepted, 3);
    assert_recovered(&hive).await;
}

#[tokio::test]
async fn a_reset_in_mid_body_stores_nothing() {
    let (hive, answer) = meet(Fault::ResetMidBody, false).await;
    assert!(answer.is_none());
    assert_eq!(stored(&hive), [0_u64; 0]);
    assert_recovered(&hive).await;
}

#[tokio::test]
async fn a_cut_reply_has_stored_everything_and_says_some() {
    let (hive, answer) = meet(Fault::ReplyCut, false).await;
    let (answer, whole) = (answer.unwrap(), r#"[{"status":202},{"status":202},{"status":202}]"#);
    assert_eq!(answer.header("content-length"), Some(whole.len().to_string().as_str()));
    let sent = answer.body.len();
    assert!(whole.starts_with(&answer.body) && (1..=whole.len() / 2).contains(&sent), "{}", answer.body);
    assert_eq!(stored(&hive), [0, 1, 2]);
    assert_recovered(&hive).await;
}

#[tokio::test]
async fn a_trickling_reply_comes_in_the_end() {
    let (hive, answer) = meet(Fault::ReplyTrickles { interval_ms: 1 }, false).await;
    assert_eq!(answer.unwrap().statuses(), [202; 3]);
    assert_eq!(stored(&hive), [0, 1, 2]);
    assert_recovered(&hive).await;
}

#[tokio::test]
async fn a_short_reply_has_stored_everything() {
    for (answered, statuses) in [(2, vec![202, 202]), (0, vec![]), (9, vec![202; 3])] {
        let (hive, answer) = meet(Fault::ShortReply(answered), false).await;
        assert_eq!(answer.unwrap().statuses(), statuses);
        assert_eq!(stored(&hive), [0, 1, 2]);
    }
}

#[tokio::test]
async fn garbage_is_a_200_that_is_not_json() {
    let (hive, answer) = meet(Fault::Garbage, false).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_str::<serde_json::Value>(&answer.body).is_err());
    assert_eq!(stored(&hive), [0_u64; 0]);
    assert_recovered(&hive).await;
}

#[tokio::test]
async fn pass_is_no_fault() {
    let (hive, answer) = meet(Fault::Pass, false).await;
    assert_eq!(answer.unwrap().statuses(), [202; 3]);
    assert_eq!(stored(&hive), [0, 1, 2]);
}

#[tokio::test]
async fn a_delay_passes_on_the_paused_clock() {
    let hive = Hive::start(Options::default()).await.unwrap();
    hive.script([Fault::Delay { delay_ms: 3_600_000 }]);
    let mut stream = connect(&hive).await;
    stream
        .write_all(&request("hive", "POST /1/batch/a\nX-Honeycomb-Team: key", batch(1).as_bytes()))
        .await
        .unwrap();
    in_time(hive.wait_for_requests(1)).await;
    assert_eq!(hive.stats().events_accepted, 0);

    // An idle runtime with a paused clock goes to its next timer at once: no `in_time` from here on.
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    hive.wait_for_events(1).await;
    assert!(start.elapsed().as_secs() >= 3_590, "{:?}", start.elapsed());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(r#"[{"status":202}]"#), "{answer}");
}

#[tokio::test]
async fn a_hanging_request_ends_when_the_receiver_stops() {
    let hive = Hive::start(Options::default()).await.unwrap();
    hive.script([Fault::Hang]);
    let mut stream = connect(&hive).await;
    stream
        .write_all(&request("hive", "POST /1/batch/a\nX-Honeycomb-Team: key", batch(1).as_bytes()))
        .await
        .unwrap();
    in_time(hive.wait_for_requests(1)).await;
    assert_recovered(&hive).await;

    in_time(hive.stop()).await;
    let mut bytes = Vec::new();
    in_time(stream.read_to_end(&mut bytes)).await.ok();
    assert_eq!(bytes, b"");
}
