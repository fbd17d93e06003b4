//! What is shown beside queries: the start page, the counters, and events as JSON; who may see it, and that nothing in it
//! runs.

use hive::{Hive, Options};
use serde_json::json;

use crate::client::{batch, get, in_time, post, send};

#[tokio::test]
async fn pages_without_events_say_where_to_send() {
    let hive = Hive::start(Options::default()).await.unwrap();
    for path in ["/", "/query", "/columns"] {
        let page = in_time(get(&hive, path)).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains(&format!("<code>{}</code>", hive.url())), "{path}: {}", page.body);
        assert!(page.body.contains("curl http://127.0.0.1:"), "{path}: {}", page.body);
    }
}

#[tokio::test]
async fn every_page_shows_what_was_sent_escaped_and_lets_nothing_run() {
    let hive = Hive::start(Options::default()).await.unwrap();
    let attack = r#""'><script>alert(1)</script>"#;
    let event = json!([{ "data": {
        "body": attack, "name": attack, attack: attack, "url.shape": attack, "duration_ms": 5, "request_id": attack,
        "trace.trace_id": attack, "trace.parent_id": attack, "log.format": attack, "service.name": attack,
    }}]);
    in_time(post(&hive, "%22%27%3E%3Cscript%3E", &event.to_string())).await.unwrap();
    let encoded = "%22%27%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let column = "%22%5C%22%27%3E%3Cscript%3Ealert(1)%3C/script%3E%22";
    for path in [
        "/".to_owned(),
        "/columns".to_owned(),
        format!("/columns?like={encoded}"),
        "/event/0".to_owned(),
        format!("/trace?id={encoded}"),
        format!("/request?id={encoded}"),
        "/query?view=events".to_owned(),
        format!("/query?group=url.shape,{column}&select=COUNT,MAX(duration_ms),HEATMAP(duration_ms)"),
        format!("/query?group=url.shape&of={column}&view=events"),
        format!("/query?where={column}+exists,+name+contains+%3Cscript%3E&match=any"),
        format!("/query?where={column}+does-not-exist&where=a=1"),
        format!("/query?where={encoded}&select={encoded}&order={encoded}&start={encoded}&range={encoded}"),
        format!("/query?dataset={encoded}"),
    ] {
        let page = in_time(get(&hive, &path)).await;
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert!(!page.body.contains("<script") && !page.body.contains("'><"), "{path}: {}", page.body);
        assert!(
            page.body.contains("&gt;&lt;script&gt;") || path == "/columns?like=",
            "{path}: {}",
            page.body
        );
        assert!(!page.body.contains("style="), "{path}: the policy would block it: {}", page.body);
        let policy = page.header("content-security-policy").unwrap();
        assert_eq!(
            policy,
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        let headers = ["x-content-type-options", "referrer-policy"].map(|name| page.header(name).unwrap());
        assert_eq!(headers, ["nosniff", "no-referrer"]);
    }
    for (path, kind) in [("/style.css", "text/css; charset=utf-8"), ("/icon.svg", "image/svg+xml")] {
        assert_eq!(in_time(get(&hive, path)).await.header("content-type"), Some(kind));
    }
}

#[tokio::test]
async fn only_this_machine_may_read_and_all_may_send() {
    let hive = Hive::start(Options::default()).await.unwrap();
    let port = hive.url().rsplit_once(':').unwrap().1.to_owned();
    for (line, host, status) in [
        ("GET /", "localhost:1".to_owned(), 200),
        ("GET /", format!("127.0.0.1:{port}"), 200),
        ("GET /", "rebound.example.org".to_owned(), 403),
        ("GET /query", format!("rebound.example.org:{port}"), 403),
        ("GET /events", "rebound.example.org".to_owned(), 403),
        ("GET /stats", "10.0.0.1".to_owned(), 403),
        ("POST /poison", "rebound.example.org".to_owned(), 403),
        ("GET /1/columns/a", "rebound.example.org".to_owned(), 403),
        ("POST /1/batch/a", "api.honeycomb.io".to_owned(), 200),
        ("POST /1/events/a", "api.honeycomb.io".to_owned(), 400),
    ] {
        let head = format!("{line}\nHost: {host}\nX-Honeycomb-Team: key");
        let body = if line.contains("batch") { batch(1) } else { String::new() };
        let answer = in_time(send(&hive, &head, body.as_bytes())).await.unwrap();
        assert_eq!(answer.status, status, "{line} {host}: {}", answer.body);
        assert!(status != 403 || answer.body.contains("listens on loopback only"), "{}", answer.body);
    }
    let open =
        Hive::start(Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() }).await.unwrap();
    let port = open.url().rsplit_once(':').unwrap().1.to_owned();
    let mut stream = tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    let request = crate::client::request("hive.example.org", "GET /stats", b"");
    let answer = in_time(crate::client::exchange(&mut stream, &request)).await.unwrap();
    assert_eq!(answer.status, 200, "one that listens to others is asked by other names");
}

#[tokio::test]
async fn the_start_page_loads_itself_until_it_is_paused() {
    let hive = Hive::start(Options::default()).await.unwrap();
    in_time(post(&hive, "many", &batch(60))).await.unwrap();
    let refresh = r#"http-equiv="refresh""#;
    let page = in_time(get(&hive, "/")).await;
    assert!(
        page.body.contains(refresh) && page.body.contains(r#"<a href="/?pause=1">Pause</a>"#),
        "{}",
        page.body
    );
    assert!(page.body.contains("60 events accepted") && page.body.contains(r#"<td class="num">60</td>"#));
    let paused = in_time(get(&hive, "/?pause=1")).await;
    assert!(!paused.body.contains(refresh) && paused.body.contains(r#"<a href="/">Resume</a>"#));
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

    let listing = in_time(get(&hive, "/events?dataset=")).await.json();
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
    let listing = in_time(get(&hive, "/events")).await.json();
    assert_eq!(listing["events"].as_array().unwrap().len(), 50);
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
        let page = in_time(get(&hive, "/")).await;
        assert_eq!((page.status, page.body.contains("This hive is a sink")), (200, sink));
    }
}
