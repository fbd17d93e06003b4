//! Events as the demo has them: a proxy's and an application's, with numbers that can be worked out by hand.

use serde_json::{Value, json};

/// Ten lines of ingress-nginx.
pub(crate) fn proxy() -> Vec<Value> {
    let durations = [10, 20, 30, 40, 50, 60, 1_500, 2_500, 61_000, 5];
    let event = |(index, ms): (usize, i32)| {
        let shape = if index < 6 { "/a" } else { "/b/:id" };
        let mut event = json!({
            "body": format!("GET {shape} HTTP/1.1"), "name": format!("GET {shape}"), "log.format": "ingress-nginx",
            "service.name": "ingress", "url.shape": shape, "url.path": shape, "duration_ms": ms,
            "nginx.upstream.duration_ms": ms / 2, "nginx.upstream.name": "web", "request_id": format!("r{index}"),
            "http.response.status_code": if index == 7 { 500 } else { 200 }, "http.response.body.size": 100,
            "client.address": if index < 7 { "10.0.0.1" } else { "10.0.0.2" }, "user_agent.original": "curl/8",
        });
        if index == 9 {
            event["user_agent.original"] = json!("kube-probe/1.33");
            event["client.kind"] = json!("health-check");
        }
        event
    };
    durations.into_iter().enumerate().map(event).collect()
}

/// A request of Phoenix and three crashes, two of them the same.
pub(crate) fn app() -> Vec<Value> {
    let crash = |fingerprint, request| {
        let mut event = json!({
            "body": "boom", "error": true, "exception.fingerprint": fingerprint, "exception.type": "RuntimeError",
            "exception.message": "boom", "log.format": "phoenix", "service.name": "podsite",
        });
        if let Some(request) = request {
            event["request_id"] = json!(request);
        }
        event
    };
    vec![
        json!({
            "body": "GET /a 200", "name": "GET /a", "log.format": "phoenix", "service.name": "podsite", "duration_ms": 8,
            "url.path": "/a", "request_id": "r0", "http.response.status_code": 200,
        }),
        crash("f1", Some("r0")),
        crash("f1", Some("r0")),
        crash("f2", None),
    ]
}
