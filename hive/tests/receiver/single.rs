//! Single events: one per request, with its time and sample rate in headers.

use hive::{Hive, Options};
use serde_json::json;

use crate::client::{Answer, in_time, send};

async fn post(hive: &Hive, headers: &str, body: &[u8]) -> Answer {
    let head = format!("POST /1/events/my%20api\nX-Honeycomb-Team: key{headers}");
    in_time(send(hive, &head, body)).await.expect("answered")
}

#[tokio::test]
async fn an_event_is_stored_with_what_its_headers_say() {
    let hive = Hive::start(Options::default()).await.unwrap();
    let headers = "\nX-Honeycomb-Event-Time: 2026-03-01T10:00:00Z\nX-Honeycomb-Samplerate: 4";
    let answer = post(&hive, headers, br#"{"n": 1}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(
        post(&hive, "\nX-Honeycomb-Event-Time: 1700000000\nX-Honeycomb-Samplerate: 0", b" {\"n\":2}")
            .await
            .status,
        200
    );
    assert_eq!(post(&hive, "", br#"{"n":3}"#).await.status, 200);

    let events = hive.events();
    assert_eq!((events[0].dataset.as_str(), events[0].time.as_str()), ("my api", "2026-03-01T10:00:00Z"));
    let samplerates: Vec<_> = events.iter().map(|event| event.samplerate).collect();
    let numbers: Vec<_> = events.iter().map(|event| event.data["n"].clone()).collect();
    assert_eq!((samplerates, numbers), (vec![4, 1, 1], vec![json!(1), json!(2), json!(3)]));
    assert_eq!((events[1].time.as_str(), events[2].time.ends_with('Z')), ("1700000000", true));
    assert_eq!((hive.stats().events_accepted, hive.stats().requests), (3, 3));
}

#[tokio::test]
async fn an_event_that_is_none_is_refused() {
    let hive = Hive::start(Options::default()).await.unwrap();
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(1_000_000));
    let wide: Vec<_> = (0..2_001).map(|n| format!(r#""c{n}":0"#)).collect();
    let wide = format!("{{{}}}", wide.join(","));
    for (body, error) in [
        ("", "Request body should not be empty."),
        ("{}", "Request body should not be empty."),
        ("[{}]", "Request body is malformed and cannot be read."),
        ("{\"a\":", "Request body is malformed and cannot be read."),
        (large.as_str(), "Request body is too large."),
        (wide.as_str(), "Event has too many columns."),
    ] {
        let answer = post(&hive, "", body.as_bytes()).await;
        assert_eq!((answer.status, answer.json()), (400, json!({ "error": error })));
    }
    let answer = post(&hive, "\nX-Honeycomb-Samplerate: many", br#"{"n":1}"#).await;
    assert_eq!(answer.json(), json!({ "error": "X-Honeycomb-Samplerate is not a whole number: many" }));
    assert_eq!(hive.stats().events_accepted, 0);
}

#[tokio::test]
async fn events_come_compressed_and_a_sink_keeps_none() {
    let hive = Hive::start(Options { sink: true, ..Options::default() }).await.unwrap();
    let body = zstd::encode_all(&br#"{"n":1}"#[..], 3).unwrap();
    assert_eq!(post(&hive, "\nContent-Encoding: zstd", &body).await.status, 200);
    assert_eq!((hive.stats().events_accepted, hive.events().len(), hive.stats().datasets), (1, 0, 0));
}
