//! The page and its JSON twins.

use hive::{Hive, Options};
use serde_json::json;

use crate::client::{batch, get, in_time, post};

#[tokio::test]
async fn an_empty_page_says_where_to_send() {
    let hive = Hive::start(Options::default()).await.unwrap();
    let page = in_time(get(&hive, "/")).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(&format!("<code>{}</code>", hive.url())), "{}", page.body);
    assert!(page.body.contains("curl http://127.0.0.1:"), "{}", page.body);
}

#[tokio::test]
async fn the_page_shows_events_escaped_and_lets_nothing_run() {
    let hive = Hive::start(Options::default()).await.unwrap();
    let attack = r#"[{"data":{"body":"<script>alert(1)</script>"}}]"#;
    in_time(post(&hive, "%3Cscript%3E", attack)).await.unwrap();

    let page = in_time(get(&hive, "/")).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert!(page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{}", page.body);

    let style = in_time(get(&hive, "/style.css")).await;
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
}

#[tokio::test]
async fn the_page_shows_fifty_events_of_the_dataset_asked_for() {
    let hive = Hive::start(Options::default()).await.unwrap();
    in_time(post(&hive, "many", &batch(60))).await.unwrap();
    in_time(post(&hive, "few", &batch(2))).await.unwrap();
    for (path, events) in [("/", 50), ("/?dataset=FEW", 2), ("/?dataset=none", 0)] {
        let page = in_time(get(&hive, path)).await;
        assert_eq!(page.body.matches("<details>").count(), events, "{path}");
    }
}

#[tokio::test]
async fn events_are_listed_newest_first() {
    let hive = Hive::start(Options::default()).await.unwrap();
    let events = r#"[
        {"time":1700000000,"data":{"n":0}},
        {"time":"2023-11-14T22:13:21Z","samplerate":3,"data":{"n":1}}
    ]"#;
    in_time(post(&hive, "B", events)).await.unwrap();
    in_time(post(&hive, "a", r#"[{"time":1600000000,"data":{"n":2}}]"#)).await.unwrap();

    let newest_of_b = json!({
        "dataset": "B", "time": "2023-11-14T22:13:21Z", "samplerate": 3, "data": { "n": 1 },
    });
    let listing = in_time(get(&hive, "/events?dataset=b&limit=1")).await;
    assert_eq!(
        listing.json(),
        json!({
            "datasets": [
                { "name": "B", "events": 2, "time_newest": "2023-11-14T22:13:21Z" },
                { "name": "a", "events": 1, "time_newest": "2020-09-13T12:26:40Z" },
            ],
            "events": [newest_of_b],
        })
    );

    let listing = in_time(get(&hive, "/events")).await.json();
    let order: Vec<_> =
        listing["events"].as_array().unwrap().iter().map(|event| &event["data"]["n"]).collect();
    assert_eq!(order, [2, 1, 0]);
    assert_eq!(in_time(get(&hive, "/events?limit=x")).await.status, 400);
}

#[tokio::test]
async fn a_listing_has_a_bound() {
    let hive = Hive::start(Options::default()).await.unwrap();
    in_time(post(&hive, "a", &batch(1_200))).await.unwrap();
    let listing = in_time(get(&hive, "/events?limit=5000")).await.json();
    assert_eq!(listing["events"].as_array().unwrap().len(), 1_000);
}

#[tokio::test]
async fn stats_are_served_in_both_modes() {
    for sink in [false, true] {
        let hive = Hive::start(Options { sink, ..Options::default() }).await.unwrap();
        in_time(post(&hive, "a", &batch(2))).await.unwrap();
        let bytes = batch(2).len();
        assert_eq!(
            in_time(get(&hive, "/stats")).await.json(),
            json!({
                "requests": 1, "events_accepted": 2, "events_refused": 0, "body_bytes": bytes,
                "body_bytes_uncompressed": bytes, "strings_overlong": 0, "datasets": u8::from(!sink),
            })
        );
        assert_eq!(in_time(get(&hive, "/")).await.status, 200);
    }
}
