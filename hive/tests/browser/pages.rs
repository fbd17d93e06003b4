//! Typing, clicking, looking: forms, hostile values, and screens of two widths.

use serde_json::json;

use crate::browser::Page;
use crate::events::{app, proxy};

pub(crate) async fn a_condition_that_is_typed_changes_the_numbers(page: Page) {
    page.send("ingress", &proxy()).await;
    page.open("/query?dataset=ingress&range=all&group=url.shape").await;
    assert_eq!(page.rows("table.result").await, ["/a | 6", "/b/:id | 4", "All 2 groups | 10"]);
    page.type_into("#where-0", "duration_ms > 1000").await;
    assert_eq!(page.rows("table.result").await, ["/b/:id | 3", "All 1 group | 3"]);
    page.type_into("#where-1", "http.response.status_code != 500").await;
    assert_eq!(page.rows("table.result").await, ["/b/:id | 2", "All 1 group | 2"]);
    page.type_into("#select", "P98(x)").await;
    let error = page.look("document.querySelector('#error-select').innerText").await;
    assert!(error.as_str().unwrap().contains("is not an operation"), "{error}");
    let typed = "[...document.querySelectorAll('form input')].map(input => input.value).filter(Boolean)";
    assert_eq!(
        page.look(typed).await,
        json!(["P98(x)", "duration_ms > 1000", "http.response.status_code != 500", "url.shape"])
    );
}

pub(crate) async fn a_group_leads_to_its_events_and_a_value_to_others_like_it(page: Page) {
    page.send("ingress", &proxy()).await;
    page.open("/query?dataset=ingress&range=all&group=url.shape").await;
    page.click("table.result tbody tr:nth-child(2) a").await;
    let count = "document.querySelectorAll('details.event').length";
    assert_eq!(page.look(count).await, 4);
    page.click("details.event summary").await;
    page.click("details.event[open] a.only[href*='client.address']").await;
    assert_eq!(page.look(count).await, 3);
    assert_eq!(page.look("document.querySelector('#where-0').value").await, "client.address = 10.0.0.2");
}

async fn send_hostile(page: &Page) {
    let attacks = [
        "<img src=x onerror=\"window.ran=1\">",
        "\"><script>window.ran=1</script>",
        "</title></svg><script>window.ran=1</script>",
        "javascript:window.ran=1",
    ];
    for attack in attacks {
        let data = json!({
            attack: attack, "body": attack, "name": attack, "url.shape": attack, "request_id": attack,
            "trace.trace_id": attack, "trace.span_id": "a", "trace.parent_id": attack, "service.name": attack,
            "log.format": attack, "duration_ms": 5, "exception.fingerprint": attack, "client.kind": attack,
        });
        page.send("%3Cscript%3Ewindow.ran=1", &[data]).await;
    }
}

pub(crate) async fn hostile_values_are_shown_as_text(page: Page) {
    send_hostile(&page).await;
    let attack = "%22%3E%3Cscript%3Ewindow.ran=1%3C/script%3E";
    for path in [
        "/?pause=1".to_owned(),
        "/columns".to_owned(),
        "/query?view=events".to_owned(),
        "/query?group=url.shape,name&select=COUNT,MAX(duration_ms),HEATMAP(duration_ms)".to_owned(),
        format!("/query?where={attack}&select={attack}&start={attack}&dataset={attack}"),
        "/event/1".to_owned(),
        format!("/trace?id={attack}"),
        format!("/request?id={attack}"),
    ] {
        page.open(&path).await;
        assert_eq!(page.look("window.ran === undefined").await, true, "{path}");
        let made =
            "document.querySelectorAll('script, img, iframe, [onerror], a[href^=\"javascript\" i]').length";
        assert_eq!(page.look(made).await, 0, "{path}");
        let shown = page.look("document.body.innerText + document.querySelector('form')?.innerHTML").await;
        assert!(shown.as_str().unwrap().contains("window.ran=1"), "{path}: {shown}");
    }
}

pub(crate) async fn nothing_scrolls_sideways(page: Page) {
    page.send("ingress", &proxy()).await;
    page.send("podsite", &app()).await;
    page.send("long", &[json!({ "body": "x".repeat(3_000), "y".repeat(200): "z".repeat(3_000), "n_ms": 1 })])
        .await;
    let groups =
        "group=url.shape,name,request_id&select=COUNT,P99(duration_ms),P95(duration_ms),HEATMAP(duration_ms)";
    for path in [
        "/?pause=1",
        "/columns",
        "/query",
        &format!("/query?{groups}"),
        "/query?view=events",
        "/query?select=P98(a)&where=b&limit=many&start=noon",
        "/event/14",
        "/request?id=r0",
    ] {
        page.open(path).await;
        page.look("document.querySelectorAll('details').forEach(details => details.open = true)").await;
        assert_eq!(page.look("window.innerWidth").await, page.width, "{path}");
        assert!(
            page.look("document.documentElement.scrollWidth").await.as_u64() <= Some(page.width.into()),
            "{path}"
        );
    }
}
