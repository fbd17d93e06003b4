//! Questions over HTTP: Honeycomb's queries, results and columns, and hive's own for a page.

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
    assert_eq!(result["links"]["query_url"], format!("{}/?dataset=my-web", hive.url()));
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
    assert_eq!(made["links"]["query_url"], format!("{}/", hive.url()));
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
        ("POST /query", Some(json!({ "dataset": "none" })), 404, "dataset not found"),
        (
            "POST /query",
            Some(json!({ "query": { "filters": [{ "column": "a", "op": "=" }] } })),
            422,
            "filters[0]: value: there is none",
        ),
        ("POST /query", Some(json!({ "limit": 1 })), 422, "group, order and limit of events are for /events"),
        ("POST /events", Some(json!({ "group": ["x"] })), 422, "group: 1 values for 0 breakdowns"),
        ("GET /events/99", None, 404, "event not found: 99"),
        ("GET /events/99/related", None, 404, "event not found: 99"),
        ("GET /columns?dataset=none", None, 404, "dataset not found"),
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
    for line in ["POST /query", "POST /events"] {
        let plain = in_time(send(&hive, line, b"{}")).await.unwrap();
        assert_eq!(plain.status, 415, "a body that is not declared as JSON");
    }
    assert_eq!(ask(&hive, "GET /events/x", None).await.status, 400);
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
    let own = in_time(get(&hive, "/columns?dataset=app")).await.json();
    assert_eq!(
        own,
        json!([{
            "name": "request_id", "types": ["string"], "events": 1, "last_written": "2023-11-14T22:13:19Z",
            "examples": ["r1"],
        }])
    );
}

#[tokio::test]
async fn a_page_can_ask_for_outcomes_and_events() {
    let hive = start().await;
    let outcome =
        ask(&hive, "POST /query", Some(json!({ "dataset": "MY WEB", "query": question() }))).await.json();
    assert_eq!(
        (&outcome["matched"], &outcome["looked_at"], &outcome["groups_total"]),
        (&json!(3), &json!(3), &json!(2))
    );
    assert_eq!(outcome["totals"], json!([5, 9]));
    assert_eq!(outcome["axis"], json!({ "start": 1_700_000_000, "end": 1_700_000_100, "granularity": 60 }));
    assert_eq!(
        outcome["groups"][1],
        json!({
            "key": ["/b"], "values": [1, 9], "series": [{ "bucket": 1, "values": [1, 9] }],
        })
    );

    let rows = json!({ "dataset": "my web", "query": question(), "group": ["/a"], "order": "ascending", "limit": 1 });
    let rows = ask(&hive, "POST /events", Some(rows)).await.json();
    let first = json!({
        "id": 0, "dataset": "My Web", "time": "2023-11-14T22:13:20Z", "samplerate": 1,
        "data": { "path": "/a", "ms": 1.5, "request_id": "r1" },
    });
    assert_eq!(rows, json!({ "matched": 2, "events": [first] }));
    assert_eq!(in_time(get(&hive, "/events/0")).await.json(), first);
    let related = in_time(get(&hive, "/events/0/related")).await.json();
    let ids: Vec<_> = related["events"].as_array().unwrap().iter().map(|event| &event["id"]).collect();
    assert_eq!(ids, [4, 0]);
}
