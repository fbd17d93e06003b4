//! Each ready question, a click away from the start page, shows the right numbers.

use crate::browser::Page;
use crate::events::{app, proxy};

pub(crate) async fn each_ready_question_is_a_click_and_shows_the_right_numbers(page: Page) {
    page.send("ingress", &proxy()).await;
    page.send("podsite", &app()).await;
    for (question, rows) in [
        (
            "Requests over a second ingress",
            &[
                "GET /b/:id | 200 | 2 | 61,000 ms",
                "GET /b/:id | 500 | 1 | 2,500 ms",
                "All 2 groups | 3 | 61,000 ms",
            ][..],
        ),
        (
            "Requests over a minute ingress",
            &["GET /b/:id | 200 | 1 | 61,000 ms", "All 1 group | 1 | 61,000 ms"],
        ),
        (
            "How slow is each endpoint? ingress",
            &[
                "/b/:id | 61,000 ms | 61,000 ms | 1,500 ms | 4",
                "/a | 60 ms | 60 ms | 30 ms | 6",
                "All 2 groups | 61,000 ms | 61,000 ms | 40 ms | 10",
            ],
        ),
        ("Where do durations lie? ingress", &["all events | 40 ms | 61,000 ms | 10"]),
        (
            "Which errors are there? podsite",
            &["f1 | RuntimeError | boom | 2 | 1", "f2 | RuntimeError | boom | 1 | 0", "All 2 groups | 3 | 1"],
        ),
        ("Status codes over time ingress", &["200 | 9", "500 | 1", "All 2 groups | 10"]),
        (
            "Is it the proxy or the app? ingress",
            &["web | 61,000 ms | 30,500 ms | 10", "All 1 group | 61,000 ms | 30,500 ms | 10"],
        ),
        (
            "Proxy and app side by side all datasets",
            &[
                "ingress-nginx | 61,000 ms | 40 ms | 10",
                "phoenix | 8 ms | 8 ms | 1",
                "All 2 groups | 61,000 ms | 40 ms | 11",
            ],
        ),
        ("How much is health checks? ingress", &["(none) | 9", "health-check | 1", "All 2 groups | 10"]),
        (
            "Who are the loudest clients? ingress",
            &[
                "10.0.0.1 | curl/8 | 7 | 700 B",
                "10.0.0.2 | curl/8 | 2 | 200 B",
                "10.0.0.2 | kube-probe/1.33 | 1 | 100 B",
                "All 3 groups | 10 | 1,000 B",
            ],
        ),
    ] {
        page.open("/?pause=1").await;
        page.click(&format!("a[aria-label=\"{question}\"]")).await;
        assert_eq!(page.rows("table.result").await, rows, "{question}");
        let charts = page.look("document.querySelectorAll('figure.chart').length").await;
        assert!(charts.as_u64() > Some(0), "{question}");
    }
}

pub(crate) async fn the_events_of_a_request_open_as_a_waterfall(page: Page) {
    page.send("ingress", &proxy()).await;
    page.send("podsite", &app()).await;
    page.open("/?pause=1").await;
    page.click("a[href^=\"/request?id=\"]").await;
    let rows = page.rows("table.waterfall").await;
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert_eq!(rows[0], "GET /a GET /a HTTP/1.1 | ingress · ingress-nginx | 0 ms | 10 ms | ");
    assert!(rows.iter().any(|row| row.starts_with("GET /a GET /a 200 | podsite · phoenix | ")), "{rows:?}");
    // The proxy's bar and the application's have lengths as their durations.
    let widths =
        page.look("[...document.querySelectorAll('rect.span')].map(bar => bar.getBBox().width)").await;
    let widths: Vec<f64> = widths.as_array().unwrap().iter().map(|width| width.as_f64().unwrap()).collect();
    assert!(widths.len() == 2 && (widths[1] / widths[0] - 0.8).abs() < 0.02, "{widths:?}");
    page.click("table.waterfall tbody a").await;
    assert_eq!(page.look("document.querySelector('h1').innerText").await, "GET /a HTTP/1.1");
}
