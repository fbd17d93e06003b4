//! The Events API as a client meets it: statuses, texts, encodings, names.

use std::io::Write as _;

use hive::{Hive, Options};
use serde_json::json;

use crate::client::{Answer, batch, get, in_time, post, send};

const BODY_BYTES_MAX: usize = 5_000_000;

async fn start() -> Hive {
    Hive::start(Options::default()).await.unwrap()
}

fn assert_refused(answer: Option<Answer>, status: u16, error: &str) {
    let answer = answer.expect("answered");
    assert_eq!((answer.status, answer.json()), (status, json!({ "error": error })));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

/// A batch of exactly `bytes` bytes: one small event and spaces.
fn padded(bytes: usize) -> Vec<u8> {
    let mut body = br#"[{"data":{"n":1}}"#.to_vec();
    body.resize(bytes - 1, b' ');
    body.push(b']');
    body
}

#[tokio::test]
async fn a_batch_is_stored_as_sent() {
    let hive = start().await;
    let batch = r#"[
        {"time":"2026-03-01T10:00:00.25+01:00","samplerate":4,"data":{"z":1,"a":"ü","nested":{"b":[1.5,null]}}},
        {"data":{"n":18446744073709551615}}
    ]"#;
    let answer = in_time(post(&hive, "my%20api%20%C3%BC", batch)).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"[{"status":202},{"status":202}]"#));

    let events = hive.events();
    assert_eq!(events[0].dataset, "my api ü");
    assert_eq!((events[0].time.as_str(), events[0].samplerate), ("2026-03-01T10:00:00.25+01:00", 4));
    let data = json!({ "z": 1, "a": "ü", "nested": { "b": [1.5, null] } });
    assert_eq!(serde_json::Value::from(events[0].data.clone()), data);
    assert_eq!((events[1].samplerate, &events[1].data["n"]), (1, &json!(u64::MAX)));
    assert!(events[1].time.ends_with('Z'), "receipt time: {}", events[1].time);
}

#[tokio::test]
async fn a_request_without_a_key_is_unauthorized() {
    let hive = start().await;
    let error = "unknown API key - check your credentials";
    for key in ["", "\nX-Honeycomb-Team: ", "\nX-Honeycomb-Dataset: a"] {
        for line in ["POST /1/batch/a", "GET /1/auth"] {
            assert_refused(in_time(send(&hive, &format!("{line}{key}"), b"[{}]")).await, 401, error);
        }
    }
    assert_eq!(hive.stats().events_accepted, 0);
}

#[tokio::test]
async fn auth_describes_an_ingest_key() {
    let hive = start().await;
    let answer = in_time(send(&hive, "GET /1/auth\nX-Honeycomb-Team: key", b"")).await.unwrap();
    let json = answer.json();
    assert_eq!((answer.status, &json["type"]), (200, &json!("ingest")));
    assert_eq!(json["api_key_access"], json!({ "createDatasets": true }));
    assert_eq!(json["team"], json!({ "name": "hive", "slug": "hive" }));
    assert_eq!(json["environment"], json!({ "name": "local", "slug": "local" }));
}

#[tokio::test]
async fn bodies_are_refused_with_documented_texts() {
    let hive = start().await;
    for (body, error) in [
        ("", "Request body should not be empty."),
        ("[]", "Request body should not be empty."),
        ("{}", "Request body is malformed and cannot be read."),
        ("[{\"data\":", "Request body is malformed and cannot be read."),
    ] {
        assert_refused(in_time(post(&hive, "a", body)).await, 400, error);
    }
}

#[tokio::test]
async fn the_answer_has_one_status_per_event() {
    let hive = start().await;
    let columns: Vec<_> = (0..2_001).map(|n| format!(r#""c{n}":0"#)).collect();
    let batch = format!(
        r#"[{{"data":{{}}}},{{"data":{{"n":1}}}},{{"data":{{{}}}}},{{"data":{{"s":"{}"}}}},{{"data":"x"}}]"#,
        columns.join(","),
        "x".repeat(1_000_000)
    );
    let answer = in_time(post(&hive, "a", &batch)).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!([
            { "status": 400, "error": "Request body should not be empty." },
            { "status": 202 },
            { "status": 400, "error": "Event has too many columns." },
            { "status": 400, "error": "Request body is too large." },
            { "status": 400, "error": "Request body is malformed and cannot be read." },
        ])
    );
    assert_eq!((hive.stats().events_accepted, hive.stats().events_refused), (1, 4));
}

#[tokio::test]
async fn overlong_strings_are_accepted_and_counted() {
    let hive = start().await;
    let event = format!(r#"[{{"data":{{"s":"{}"}}}}]"#, "x".repeat(65_536));
    assert_eq!(in_time(post(&hive, "a", &event)).await.unwrap().statuses(), [202]);
    assert_eq!(hive.stats().strings_overlong, 1);
}

#[tokio::test]
async fn gzip_and_zstd_are_taken_and_measured() {
    let hive = start().await;
    let text = batch(100);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 3).unwrap();

    let head = "POST /1/batch/a\nX-Honeycomb-Team: key\nContent-Encoding: ";
    for (encoding, body) in [("gzip", &gzip), ("zstd", &zstd), ("identity", &text.clone().into_bytes())] {
        let answer = in_time(send(&hive, &format!("{head}{encoding}"), body)).await.unwrap();
        assert_eq!((answer.status, answer.statuses().len()), (200, 100), "{encoding}");
    }
    let stats = hive.stats();
    assert_eq!(stats.body_bytes, (gzip.len() + zstd.len() + text.len()) as u64);
    assert_eq!(stats.body_bytes_uncompressed, 3 * text.len() as u64);

    let answer = in_time(send(&hive, &format!("{head}br"), b"...")).await;
    assert_refused(answer, 415, "unsupported content encoding: br");
    for encoding in ["identity", "gzip", "zstd"] {
        let answer = in_time(send(&hive, &format!("{head}{encoding}"), b"")).await;
        assert_refused(answer, 400, "Request body should not be empty.");
    }
    let answer = in_time(send(&hive, &format!("{head}zstd"), b"[{}]")).await;
    assert_refused(answer, 400, "Request body is malformed and cannot be read.");
}

#[tokio::test]
async fn five_million_bytes_fit_and_no_more() {
    let hive = start().await;
    let head = "POST /1/batch/a\nX-Honeycomb-Team: key";
    let answer = in_time(send(&hive, head, &padded(BODY_BYTES_MAX))).await.unwrap();
    assert_eq!(answer.statuses(), [202]);
    // Far beyond, the answer still arrives: the body is read on.
    for bytes in [BODY_BYTES_MAX + 1, 4 * BODY_BYTES_MAX] {
        let answer = in_time(send(&hive, head, &padded(bytes))).await;
        assert_refused(answer, 400, "Request body is too large.");
    }
    assert_eq!(hive.stats().events_accepted, 1);
}

#[tokio::test]
async fn a_zstd_bomb_is_too_large() {
    let hive = start().await;
    let bomb = zstd::encode_all(&padded(256 * 1024 * 1024)[..], 1).unwrap();
    assert!(bomb.len() < 100_000);
    let head = "POST /1/batch/a\nX-Honeycomb-Team: key\nContent-Encoding: zstd";
    assert_refused(in_time(send(&hive, head, &bomb)).await, 400, "Request body is too large.");
}

#[tokio::test]
async fn datasets_are_named_without_regard_to_case() {
    let hive = start().await;
    for dataset in ["My%20API", "my%20api", "other"] {
        in_time(post(&hive, dataset, &batch(1))).await.unwrap();
    }
    let named: Vec<_> = hive.events().into_iter().map(|event| event.dataset).collect();
    assert_eq!(named, ["My API", "My API", "other"]);
    assert_eq!(hive.stats().datasets, 2);
}

#[tokio::test]
async fn dataset_names_have_limits() {
    let hive = start().await;
    for dataset in ["a%2Fb", "a%2fb", "%FF"] {
        assert_refused(in_time(post(&hive, dataset, &batch(1))).await, 404, "dataset not found");
    }
    let name = "%C3%BC".repeat(255);
    assert_eq!(in_time(post(&hive, &name, &batch(1))).await.unwrap().status, 200);
    let answer = in_time(post(&hive, &format!("{name}x"), &batch(1))).await;
    assert_refused(answer, 400, "dataset name is longer than 255 characters");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_json() {
    let hive = start().await;
    assert_refused(Some(in_time(get(&hive, "/2/teams")).await), 404, "not found");
    assert_refused(Some(in_time(get(&hive, "/1/batch/a")).await), 405, "method not allowed");
    assert_refused(in_time(post(&hive, "", "[]")).await, 404, "not found");
}
