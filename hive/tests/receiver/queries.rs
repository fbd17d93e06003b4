//! Questions over Honeycomb's API: queries, results and columns.

use hive::{Hive, Options};
use serde_json::{Value, json};

use crate::client::{Answer, get, in_time, post, send};

/// A receiver with five events of two datasets, of the year 2023.
async fn start() -> Hive {
    let hive = Hive::start(Options::default()).await.unwrap();
    let web = json!([
        { "time": 1_700_000_000, "data": { "path": "/a", "ms": 1.5, "request_id": "r1" } },
        { "time": 1_700_000_060, "samplerate": 3, "data": { "path": "/a", "ms": 2.5 } },
        { "time": 1_700_000_061, "data": { "path": "/b", "ms": 9, "ok": true } },
        { "time": 1_700_009_999, "data": { "path": "/b" } },
    ]);
    in_time(post(&hive, "My%20Web", &web.to_string())).await.unwrap();
    let app = json!([{ "time": 1_699_999_999, "data": { "request_id": "r1" } }]);
    in_time(post(&hive, "app", &app.to_string())).await.unwrap();
    hive
}

async fn ask(hive: &Hive, line: &str, body: Option<Value>) -> Answer {
    let head = format!("{line}\nX-Honeycomb-Team: key\nContent-Type: application/json");
    let body = body.map_or_else(String::new, |body| body.to_string());
    in_time(send(hive, &head, body.as_bytes())).await.expect("answered")
}

fn question() -> Value {
    json!({
        "breakdowns": ["path"],
        "calculations": [{ "op": "COUNT" }, { "op": "MAX", "column": "ms" }],
        "start_time": 1_700_000_000, "end_time": 1_700_000_100, "granularity": 60,
    })
}

#[tokio::test]
async fn a_query_is_kept_and_answered_in_honeycombs_shape() {
    let hive = start().await;
    let created = ask(&hive, "POST /1/queries/my-web", Some(question())).await;
    assert_eq!((created.status, &created.json()["id"]), (200, &json!("q1")));
    assert_eq!(created.json()["breakdowns"], json!(["path"]));
    let kept = ask(&hive, "GET /1/queries/my-web/q1", None).await;
    assert_eq!((kept.status, kept.json()), (200, created.json()));

    let made = ask(&hive, "POST /1/query_results/my-web", Some(json!({ "query_id": "q1" }))).await;
    assert_eq!(
        (made.status, &made.json()["id"], &made.json()["complete"]),
        (201, &json!("r1"), &json!(true))
    );
    let result = ask(&hive, "GET /1/query_results/my-web/r1", None).await;
    assert_eq!((result.status, result.json()), (200, made.json()));
    let result = result.json();
    assert_eq!(result["query"]["id"], "q1");
    let page = "/query?dataset=my-web&select=COUNT,+MAX(ms)&group=path&start=2023-11-14+22:13:20&end=2023-11-14+22:15:00&step=1m";
    assert_eq!(result["links"]["query_url"], format!("{}{page}", hive.url()));
    let page = in_time(get(&hive, page)).await;
    assert!(page.body.contains("<strong>3</strong> of 3 events match"), "{}", page.body);
    assert_eq!(
        result["data"]["results"],
        json!([
            { "data": { "path": "/a", "COUNT": 4, "MAX(ms)": 2.5 } },
            { "data": { "path": "/b", "COUNT": 1, "MAX(ms)": 9 } },
        ])
    );
    assert_eq!(
        result["data"]["series"],
        json!([
            { "time": "2023-11-14T22:13:00Z", "data": { "path": "/a", "COUNT": 1, "MAX(ms)": 1.5 } },
            { "time": "2023-11-14T22:14:00Z", "data": { "path": "/a", "COUNT": 3, "MAX(ms)": 2.5 } },
            { "time": "2023-11-14T22:14:00Z", "data": { "path": "/b", "COUNT": 1, "MAX(ms)": 9 } },
        ])
    );

    let short = json!({ "query_id": "q1", "disable_series": true, "limit": 1 });
    let short = ask(&hive, "POST /1/query_results/My%20Web", Some(short.clone())).await;
    assert_eq!(short.status, 404, "the query was created under another name: {}", short.body);
    let short = json!({ "query_id": "q1", "disable_series": true, "limit": 1 });
    let short = ask(&hive, "POST /1/query_results/my-web", Some(short)).await.json();
    assert_eq!(short["data"]["results"].as_array().unwrap().len(), 1);
    assert_eq!((&short["data"]["series"], &short["query"]["limit"]), (&json!([]), &json!(1)));
}

#[tokio::test]
async fn all_datasets_are_asked_at_once() {
    let hive = start().await;
    let query = json!({ "start_time": 1_600_000_000, "end_time": 1_800_000_000 });
    ask(&hive, "POST /1/queries/__all__", Some(query)).await;
    let made = ask(&hive, "POST /1/query_results/__all__", Some(json!({ "query_id": "q1" }))).await.json();
    assert_eq!(made["data"]["results"], json!([{ "data": { "COUNT": 7 } }]));
    let page = "/query?start=2020-09-13+12:26:40&end=2027-01-15+08:00:00&step=";
    let url = made["links"]["query_url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}{page}", hive.url())), "{url}");
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_the_reason() {
    let hive = start().await;
    ask(&hive, "POST /1/queries/none", Some(json!({}))).await;
    for (line, body, status, error) in [
        ("POST /1/queries/a", Some(json!({ "limit": 0 })), 422, "limit: 0 is not from 1 to 1000"),
        ("POST /1/queries/a", Some(json!([])), 422, "a query is a JSON object"),
        ("POST /1/queries/a", None, 400, "Request body should not be empty."),
        ("GET /1/queries/none/q2", None, 404, "query not found: q2"),
        ("GET /1/queries/other/q1", None, 404, "query not found: q1"),
        ("POST /1/query_results/none", Some(json!({ "query_id": "q9" })), 404, "query not found: q9"),
        ("POST /1/query_results/none", Some(json!({ "query_id": "q1" })), 404, "dataset not found"),
        ("POST /1/query_results/none", Some(json!({})), 422, "missing field `query_id`"),
        ("GET /1/query_results/none/r1", None, 404, "query result not found: r1"),
        ("GET /1/columns/none", None, 404, "dataset not found"),
        ("POST /query", Some(json!({})), 405, "method not allowed"),
    ] {
        let answer = ask(&hive, line, body).await;
        assert_eq!((answer.status, answer.json()), (status, json!({ "error": error })), "{line}");
    }
    let broken = send(&hive, "POST /1/queries/a\nX-Honeycomb-Team: key", b"{").await.unwrap();
    assert_eq!(
        (broken.status, broken.json()["error"].as_str().unwrap()),
        (400, "Request body is malformed and cannot be read.")
    );
    let large = format!("{{{}}}", " ".repeat(100_000));
    let large = send(&hive, "POST /1/queries/a\nX-Honeycomb-Team: key", large.as_bytes()).await.unwrap();
    assert_eq!((large.status, large.json()["error"].as_str().unwrap()), (413, "Request body is too large."));
}

#[tokio::test]
async fn honeycombs_paths_need_a_key() {
    let hive = start().await;
    for line in [
        "POST /1/events/a",
        "POST /1/queries/a",
        "GET /1/queries/a/q1",
        "POST /1/query_results/a",
        "GET /1/query_results/a/r1",
        "GET /1/columns/app",
    ] {
        let answer = in_time(send(&hive, line, b"{}")).await.unwrap();
        assert_eq!(answer.status, 401, "{line}: {}", answer.body);
    }
}

#[tokio::test]
async fn columns_are_listed_with_their_types() {
    let hive = start().await;
    let column = |name, kind, time| json!({ "key_name": name, "type": kind, "description": "", "hidden": false, "last_written": time });
    assert_eq!(
        ask(&hive, "GET /1/columns/my-web", None).await.json(),
        json!([
            column("ms", "float", "2023-11-14T22:14:21Z"),
            column("ok", "boolean", "2023-11-14T22:14:21Z"),
            column("path", "string", "2023-11-15T00:59:59Z"),
            column("request_id", "string", "2023-11-14T22:13:20Z"),
        ])
    );
}
