//! The query page and those it leads to: what was asked comes back as numbers, and what can't be asked with the reason.

use hive::{Hive, Options};
use serde_json::{Value, json};

use crate::client::{Answer, get, in_time, post};

/// A receiver with the events of a proxy and an application, of the year 2023.
async fn start() -> Hive {
    let hive = Hive::start(Options::default()).await.unwrap();
    let event = |second: i64, data: Value| json!({ "time": 1_700_000_000 + second, "data": data });
    let web = json!([
        event(
            0,
            json!({ "name": "GET /a", "status": 200, "duration_ms": 40, "request_id": "r1", "log.format": "ingress-nginx" })
        ),
        event(60, json!({ "name": "GET /a", "status": 500, "duration_ms": 80 })),
        event(61, json!({ "name": "GET /b", "status": 200, "duration_ms": 1_500 })),
        event(7_000, json!({ "status": 404 })),
    ]);
    in_time(post(&hive, "My%20Web", &web.to_string())).await.unwrap();
    let app = json!([event(
        0,
        json!({ "name": "app", "duration_ms": 10, "request_id": "r1", "log.format": "phoenix" })
    )]);
    in_time(post(&hive, "app", &app.to_string())).await.unwrap();
    hive
}

async fn page(hive: &Hive, path: &str) -> Answer {
    in_time(get(hive, path)).await
}

/// The texts of the cells of the result table, row by row, as far as they are values.
fn cells(page: &Answer) -> Vec<String> {
    let table = page
        .body
        .split_once("<table class=\"result\"")
        .expect("a result")
        .1
        .split_once("</table>")
        .unwrap()
        .0;
    let cells = table.split("<td class=\"num\">").skip(1);
    cells.map(|cell| cell.split_once('<').unwrap().0.trim().to_owned()).collect()
}

#[tokio::test]
async fn a_query_is_answered_with_charts_a_table_and_an_account() {
    let hive = start().await;
    let answer = page(
        &hive,
        "/query?dataset=my-web&select=COUNT,MAX(duration_ms)&where=duration_ms exists&group=name&start=1700000000&range=1h",
    )
    .await;
    assert_eq!(answer.status, 400, "a blank in a request line is none of ours: {}", answer.head);
    let answer = page(
        &hive,
        "/query?dataset=my-web&select=COUNT,MAX(duration_ms)&where=duration_ms+exists&group=name&start=1700000000&range=1h",
    )
    .await;
    assert_eq!(
        (answer.status, cells(&answer)),
        (200, ["2", "80", "1", "1,500", "3", "1,500"].map(str::to_owned).to_vec())
    );
    assert!(answer.body.contains("<strong>3</strong> of 3 events match"), "{}", answer.body);
    assert_eq!(answer.body.matches("<figure class=\"chart\">").count(), 2);
    // A group leads to its events.
    let link = "/query?dataset=my-web&amp;select=COUNT,+MAX(duration_ms)&amp;where=duration_ms+exists&amp;group=name&amp;\
                range=1h&amp;start=2023-11-14+22:13:20&amp;view=events&amp;of=GET+/a";
    assert!(answer.body.contains(&format!(r#"<a href="{link}">GET /a</a>"#)), "{}", answer.body);
    let events = page(&hive, &link.replace("&amp;", "&")).await;
    assert_eq!((events.status, events.body.matches("<details class=\"event\">").count()), (200, 2));
    // A value leads to the events that have it, and to the others.
    for filter in ["status+=+500", "status+!=+500"] {
        assert!(
            events.body.contains(&format!("where=duration_ms+exists&amp;where={}&amp;", filter)),
            "{filter}: {}",
            events.body
        );
    }
}

#[tokio::test]
async fn ranges_are_relative_absolute_or_all_there_is() {
    let hive = start().await;
    for (range, count) in [
        ("range=all", "5"),
        ("start=2023-11-14+22:13:20&end=2023-11-14+22:14:21", "3"),
        ("start=1700000060&range=2h", "3"),
        ("end=1700000061&range=61s", "3"),
    ] {
        let answer = page(&hive, &format!("/query?{range}")).await;
        assert_eq!((answer.status, cells(&answer)), (200, vec![count.to_owned()]), "{range}");
    }
    let live = page(&hive, "/query?range=live").await;
    assert!(live.body.contains(r#"http-equiv="refresh""#) && live.body.contains("Pause"), "{}", live.body);
    assert!(live.body.contains("No events in this time") && live.body.contains("Ask over all that is kept"));
    let none = page(&hive, "/query?range=all&where=status+=+7&where=name+exists").await;
    assert!(
        none.body.contains("No event matches") && none.body.contains("<code>status = 7</code>"),
        "{}",
        none.body
    );
}

#[tokio::test]
async fn a_mistake_comes_back_with_what_was_typed() {
    let hive = start().await;
    for (query, typed, error) in [
        ("select=P98(a)", "value=\"P98(a)\"", "&quot;P98&quot; is not an operation: COUNT"),
        ("where=status+%3E", "value=\"status &gt;\"", "status &gt; needs a value"),
        ("limit=5000", "value=\"5000\"", "limit: 5000 is not from 1 to 1000"),
        ("order=AVG(a)", "value=\"AVG(a)\"", "AVG(a) is not among the calculations"),
        ("start=noon", "value=\"noon\"", "a date and time is written"),
        ("step=1s&range=7d", "value=\"1s\"", "granularity: 1 is not from"),
        ("group=a&of=x&of=y&view=events", "value=\"a\"", "group: 2 values for 1 breakdowns"),
    ] {
        let answer = page(&hive, &format!("/query?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.body.contains(typed) && answer.body.contains(error), "{query}: {}", answer.body);
        assert!(answer.body.contains(r#"role="alert""#), "{query}");
    }
    let unknown = page(&hive, "/query?dataset=none&select=COUNT").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("dataset not found") && unknown.body.contains(r#"value="COUNT""#));
}

#[tokio::test]
async fn columns_events_and_waterfalls_have_pages() {
    let hive = start().await;
    let columns = page(&hive, "/columns?dataset=my+web&like=DUR").await;
    assert!(
        columns.body.contains("1 column in 4 kept events") && columns.body.contains("75%"),
        "{}",
        columns.body
    );
    assert!(columns.body.contains("select=HEATMAP(duration_ms)"), "{}", columns.body);
    let event = page(&hive, "/event/0").await;
    assert!(
        event.body.contains(r#"<th scope="row">duration_ms</th>"#) && event.body.contains("/request?id=r1")
    );
    let request = page(&hive, "/request?id=r1").await;
    assert!(request.body.contains("2 events from 2 sources"), "{}", request.body);
    // The proxy's line was written 40 ms after the request began, when the application's time begins.
    assert!(request.body.contains(r#"x="0.00%" y="2" width="80.00%""#), "{}", request.body);
    assert!(request.body.contains(r#"x="80.00%" y="2" width="20.00%""#), "{}", request.body);
    let start = page(&hive, "/").await;
    assert!(start.body.contains("One request, proxy and app"), "{}", start.body);
    for (path, status, error) in [
        ("/columns?dataset=none", 404, "dataset not found"),
        ("/event/99", 404, "event not found: 99"),
        ("/event/x", 400, "an event has a number"),
        ("/trace", 400, "which trace?"),
        ("/request?id=none", 404, "None of the kept events has this id"),
    ] {
        let answer = page(&hive, path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.contains(error), "{path}: {}", answer.body);
    }
}
