//! Taking events in and asking about them, over HTTP: 300,000 events of about 25 fields, as hive keeps by default.
//!
//! Times are those a person or an agent sees: request, JSON and answer included. `ingest` takes batches into a store that
//! is full, so that as many events go as come.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hive::{Hive, Options};
use serde_json::{Value, json};

const EVENTS: usize = 300_000;
const BATCH_EVENTS: usize = 500;

/// Numbers that look like chance and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A request as nginx and Phoenix tell of it.
fn event(dice: &mut Dice, second: i64) -> Value {
    let id = dice.below(100_000);
    let shape = dice.below(60);
    let (path, shape) = (format!("/section-{shape}/{id}"), format!("/section-{shape}/:id"));
    let status = [200, 200, 200, 200, 200, 200, 302, 404, 404, 500][dice.below(10) as usize];
    let duration = dice.below(1_000) as f64 * dice.below(1_000) as f64 / 1_000.0 + 0.125;
    let request_id = format!("F{:016x}{:06x}", dice.below(u64::MAX), id);
    let agent = dice.below(40);
    let data = json!({
        "body": format!("GET {path} {status}"), "severity": "info", "severity_text": "notice",
        "name": format!("GET {shape}"), "service.name": "web", "meta.signal_type": "log",
        "request_id": request_id, "duration_ms": duration, "log.format": "ingress-nginx",
        "log.file.path": "/var/log/containers/ingress-nginx-controller.log", "log.file.id": "00c0ffee00c0ffee",
        "log.file.offset": dice.below(1 << 30), "http.request.method": "GET", "url.path": path, "url.shape": shape,
        "server.address": "www.example.org", "network.protocol.version": "2", "http.response.status_code": status,
        "http.request.size": dice.below(2_000), "http.response.body.size": dice.below(100_000),
        "client.address": format!("203.0.113.{}", dice.below(255)),
        "user_agent.original": format!("Mozilla/5.0 (X11; Linux x86_64; rv:{agent}.0) Gecko/20100101 Firefox/{agent}.0"),
        "nginx.upstream.name": "default-web-4000", "nginx.upstream.addr": "10.0.0.7:4000",
        "nginx.upstream.duration_ms": duration, "k8s.namespace.name": "default",
    });
    json!({ "time": second, "data": data })
}

/// Sends a request on a connection of its own; gives the body of the answer.
fn post(address: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("hive listens");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Honeycomb-Team: any\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("hive reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("hive answers");
    assert!(answer.starts_with(b"HTTP/1.1 20"), "{}", answer.escape_ascii());
    answer
}

/// Has a query kept, to be asked again and again; `nth` says how many were kept by then. Gives the body that asks it.
fn keep(address: &str, query: &Value, nth: usize) -> Vec<u8> {
    post(address, "/1/queries/web", query.to_string().as_bytes());
    json!({ "query_id": format!("q{nth}") }).to_string().into_bytes()
}

/// A batch of events over the two hours before this second.
fn batch(dice: &mut Dice, now: i64) -> Vec<u8> {
    let events: Vec<_> = (0..BATCH_EVENTS)
        .map(|_| {
            let second = now - dice.below(7_100).cast_signed();
            event(dice, second)
        })
        .collect();
    serde_json::to_vec(&events).expect("events are JSON")
}

/// What people ask, all of it over the same two hours.
fn questions() -> [(&'static str, Value); 6] {
    let by_shape = json!(["url.shape"]);
    let duration = |op: &str| json!({ "op": op, "column": "duration_ms" });
    [
        ("count", json!({})),
        (
            "count and p99 by shape",
            json!({ "breakdowns": by_shape, "calculations": [{ "op": "COUNT" }, duration("P99")] }),
        ),
        (
            "errors that contain a text",
            json!({
                "breakdowns": ["url.path"],
                "filters": [
                    { "column": "http.response.status_code", "op": ">=", "value": 500 },
                    { "column": "user_agent.original", "op": "contains", "value": "Firefox/3" },
                ],
            }),
        ),
        ("heatmap", json!({ "calculations": [duration("HEATMAP")] })),
        (
            "distinct clients and four percentiles by shape and status",
            json!({
                "breakdowns": ["url.shape", "http.response.status_code"],
                "calculations": [
                    { "op": "COUNT_DISTINCT", "column": "client.address" },
                    duration("P50"), duration("P90"), duration("P95"), duration("P99"),
                ],
            }),
        ),
        (
            "slowest of 100,000 paths",
            json!({ "breakdowns": ["url.path"], "calculations": [duration("MAX")], "limit": 10,
            "filters": [{ "column": "http.response.status_code", "op": "=", "value": 404 }] }),
        ),
    ]
}

fn queries(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hive = runtime.block_on(Hive::start(Options::default())).expect("a port");
    let url = hive.url();
    let address = url.trim_start_matches("http://").to_owned();
    let end = jiff::Timestamp::now().as_second();
    let mut dice = Dice(7);
    for _ in 0..EVENTS / BATCH_EVENTS {
        post(&address, "/1/batch/web", &batch(&mut dice, end));
    }

    let mut group = criterion.benchmark_group("hive");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(4));
    let times = json!({ "start_time": end - 7_200, "end_time": end + 1 });
    for (nth, (name, mut query)) in (1..).zip(questions()) {
        if let (Some(query), Some(times)) = (query.as_object_mut(), times.as_object()) {
            query.extend(times.clone());
        }
        let body = keep(&address, &query, nth);
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(post(&address, "/1/query_results/web", &body)));
        });
    }

    let body = batch(&mut dice, end);
    group.throughput(Throughput::Elements(BATCH_EVENTS as u64));
    let mut ingest = |name: &str| {
        group.bench_function(name, |bencher| bencher.iter(|| post(&address, "/1/batch/web", &body)));
    };
    ingest("ingest");
    let asked = keep(&address, &json!({ "breakdowns": ["url.shape"] }), questions().len() + 1);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                post(&address, "/1/query_results/web", &asked);
            }
        });
        ingest("ingest while asked");
        stop.store(true, Ordering::Relaxed);
    });
    group.finish();
}

criterion_group!(benches, queries);
criterion_main!(benches);
