//! Faults by HTTP, for receivers that are processes of their own.

use hive::{Hive, Options};

use crate::client::{batch, in_time, post, send};

const JSON: &str = "Content-Type: application/json";

/// Sends a request; gives status and body.
async fn ask(hive: &Hive, line: &str, body: &str) -> (u16, String) {
    let answer = in_time(send(hive, &format!("{line}\n{JSON}"), body.as_bytes())).await.expect("answered");
    (answer.status, answer.body)
}

async fn status(hive: &Hive) -> u16 {
    in_time(post(hive, "a", &batch(1))).await.expect("answered").status
}

#[tokio::test]
async fn faults_are_scripted_counted_and_forgotten() {
    let hive = Hive::start(Options::default()).await.expect("a port");
    let faults = r#"[{"status": {"status": 429}}, {"status": {"status": 503}}]"#;
    assert_eq!(ask(&hive, "POST /faults?times=2", faults).await, (200, r#"{"faults":4}"#.into()));
    assert_eq!((status(&hive).await, status(&hive).await, status(&hive).await), (429, 503, 429));
    assert_eq!(ask(&hive, "GET /faults", "").await, (200, r#"{"faults":1}"#.into()));
    assert_eq!(ask(&hive, "DELETE /faults", "").await, (200, r#"{"faults":0}"#.into()));
    assert_eq!(status(&hive).await, 200);
}

#[tokio::test]
async fn a_fault_lasts_until_it_is_forgotten() {
    let hive = Hive::start(Options::default()).await.expect("a port");
    let fault = r#"[{"html": {"status": 502}}]"#;
    assert_eq!(ask(&hive, "POST /faults?for_ms=3600000", fault).await.0, 200);
    assert_eq!((status(&hive).await, status(&hive).await), (502, 502));
    ask(&hive, "DELETE /faults", "").await;
    assert_eq!(status(&hive).await, 200);
}

#[tokio::test]
async fn a_text_is_poison_until_told_otherwise() {
    let hive = Hive::start(Options::default()).await.expect("a port");
    assert_eq!(ask(&hive, "POST /poison", r#""\"n\"""#).await.0, 204);
    assert_eq!(status(&hive).await, 400);
    assert_eq!(ask(&hive, "POST /poison", "null").await.0, 204);
    assert_eq!(status(&hive).await, 200);
}

#[tokio::test]
async fn what_is_no_fault_is_refused_with_a_reason() {
    let hive = Hive::start(Options::default()).await.expect("a port");
    for (line, body, said) in [
        ("POST /faults", r#"["hamg"]"#, "unknown variant `hamg`"),
        ("POST /faults", r#"{"faults": 1}"#, "expected a sequence"),
        ("POST /faults?time=2", "[]", "unknown field `time`"),
        ("POST /faults?times=2&for_ms=3", r#"["hang"]"#, "either `times` or `for_ms`"),
        ("POST /faults?for_ms=3", r#"["hang", "hang"]"#, "exactly one fault"),
        ("POST /faults?times=1000001", r#"["hang"]"#, "at most 1,000,000"),
        ("POST /poison", "text", "JSON"),
    ] {
        let (status, answer) = ask(&hive, line, body).await;
        assert!((400..500).contains(&status) && answer.contains(said), "{line} {body}: {status} {answer}");
    }
    assert_eq!(ask(&hive, "GET /faults", "").await.1, r#"{"faults":0}"#);

    // As a page of another origin could send it.
    let answer = in_time(send(&hive, "POST /faults\nContent-Type: text/plain", br#"["hang"]"#))
        .await
        .expect("answered");
    assert_eq!(answer.status, 415);
}
