//! What is dropped, thinned out, changed or redacted: every line keeps its one outcome, and what is shipped stands for the rest.

use std::time::Duration;

use hive::Fault;
use serde_json::{Value, json};

use crate::support::{Stage, numbered, text};

const FORMAT: &str = "format = \"json\"";

/// The sum of `samplerate` over all events.
fn weight(stage: &Stage) -> u64 {
    stage.hive.events().iter().map(|event| event.samplerate).sum()
}

/// Ships those lines with that configuration beside the source.
async fn shipped(lines: &str, source: &str, rest: &str) -> (Stage, hivetail::ack::Counts) {
    let stage = Stage::new().await;
    stage.append("a.log", lines);
    let toml = stage.toml("a.log", &format!("{FORMAT}\n{source}"), rest);
    let counts = stage.ship_once(&toml).await;
    (stage, counts)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rule_that_is_for_an_event_counts() {
    let rules = r#"
        [[rule]]
        name = "mark"
        when = [{ field = "n", operator = "<", value = 60, datatype = "int" }]
        continue = true
        set = { "team" = "blue", "share" = 0.5, "tries" = 2, "old" = true }
        rename = { "msg2" = "message2" }
        remove = ["d*bug"]
        [[rule]]
        name = "drop some"
        when = [{ field = "n", operator = "<", value = 30, datatype = "int" }, { field = "team", operator = "=", value = "blue" }]
        drop = true
        [[rule]]
        name = "elsewhere"
        when = [{ field = "n", operator = "in", value = [30, 31], datatype = "int" }]
        dataset = "{team}-{service.name}"
        [[rule]]
        name = "the rest"
        when = [{ field = "service.name", operator = "=", value = "web" }]
        sample = 10
    "#;
    let lines: String =
        (0..992).map(|n| format!("{{\"n\":\"{n}\",\"msg2\":\"m\",\"debug\":1,\"debugging\":2}}\n")).collect();
    let (stage, counts) = shipped(&lines, "service = \"web\"", rules).await;
    assert_eq!((counts.read, counts.filtered), (992, 30), "{counts:?}");
    assert_eq!((counts.accepted, counts.sampled), (2 + 96, 960 - 96), "{counts:?}");
    assert_eq!(weight(&stage), 2 + 960);
    let events = stage.hive.events();
    let of = |n: &str| {
        events.iter().find(|event| text(event, "n") == n).map(|event| (&*event.dataset, &event.data))
    };
    let (dataset, data) = of("30").unwrap();
    assert_eq!(dataset, "blue-web");
    assert_eq!(
        (&data["team"], &data["share"], &data["tries"], &data["old"], &data["message2"], &data["debugging"]),
        (&json!("blue"), &json!(0.5), &json!(2), &json!(true), &json!("m"), &json!(2))
    );
    assert!(data.get("debug").is_none() && data.get("msg2").is_none());
    assert!(of("29").is_none());
}

/// What is not shipped is not read again, either.
#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_not_shipped_are_done_with() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 5_000));
    let rule = "[[rule]]\nname = \"none\"\ndrop = true";
    let toml = stage.toml("a.log", FORMAT, rule);
    let first = stage.ship_once(&toml).await;
    assert_eq!((first.read, first.filtered, first.open), (5_000, 5_000, 0), "{first:?}");
    let second = stage.ship_once(&toml).await;
    assert_eq!((second.read, second.recovered), (0, 0), "{second:?}");
    assert!(stage.hive.events().is_empty());
}

/// A request is several lines, which are dropped, or stand for others, together.
#[tokio::test(flavor = "multi_thread")]
async fn joined_events_are_dropped_and_sampled_as_wholes() {
    let request = |n: usize, path: &str, status: u16| {
        format!(
            "2026-11-21 14:58:44.{:03} request_id=r{n} [info] GET {path}\n2026-11-21 14:58:44.{:03} request_id=r{n} [info] Sent {status} in 1ms\n",
            n % 1_000,
            n % 1_000,
        )
    };
    let mut lines = String::new();
    for n in 0..200 {
        lines += &request(n, if n % 2 == 0 { "/drop" } else { "/thin" }, if n % 50 == 1 { 503 } else { 200 });
    }
    // Still open when the agent stops: its lines are held, and dropped in the next run.
    lines += "2026-11-21 14:58:45.900 request_id=late [info] GET /drop\n";
    let rules = "[[rule]]\nname = \"drop\"\nwhen = [{ field = \"url.path\", operator = \"=\", value = \"/drop\" }]\ndrop = true\n\
        [[rule]]\nname = \"thin\"\nsample = 8";
    let stage = Stage::new().await;
    stage.append("a.log", &lines);
    let toml = stage.toml("a.log", "format = \"phoenix\"", rules);
    let agent = stage.start(&toml, false);
    let shipped = async {
        while stage.hive.events().len() < 4 + 12 {
            tokio::task::yield_now().await;
        }
    };
    crate::support::soon("the first events", shipped).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.read, counts.open), (401, 1), "{counts:?}");
    assert_eq!((counts.filtered, counts.sampled, counts.accepted), (100, 84, 16), "{counts:?}");
    assert_eq!(counts.joined, 200, "the second line of each");
    assert_eq!(weight(&stage), 4 + 12 * 8, "failures are not sampled");
    stage.append("a.log", "2026-11-21 14:58:45.999 request_id=late [info] Sent 200 in 99ms\n");
    let again = stage.ship_once(&toml).await;
    assert_eq!((again.recovered, again.read, again.filtered, again.joined), (1, 1, 1, 1), "{again:?}");
}

/// Its first line was held by the join, its last is read again since another event before it waits: half of it came alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_request_stays_dropped_after_a_restart() {
    let fault = || Fault::Status { status: 503, error: "scripted".to_owned(), retry_after: None };
    let stage = Stage::with_faults((0..1_000).map(|_| fault())).await;
    let rule = "[[rule]]\nname = \"drop\"\nwhen = [{ field = \"url.path\", operator = \"=\", value = \"/drop\" }]\ndrop = true";
    let toml = stage.toml("a.log", "format = \"phoenix\"", &format!("{rule}\n[limits]\nshutdown_ms = 500"));
    let line = |id: &str, text: &str| format!("2026-11-21 14:58:44.000 request_id={id} [info] {text}\n");
    stage.append("a.log", line("r1", "GET /drop"));
    let agent = stage.start(&toml, false);
    // The held line is in the checkpoint before the others come.
    let is_there = || {
        let checkpoint = std::fs::read(stage.path("state/checkpoint.a")).unwrap_or_default();
        checkpoint.windows(5).any(|name| name == b"a.log")
    };
    let held = async {
        while !is_there() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    crate::support::soon("a checkpoint", held).await;
    let rest = [line("r2", "GET /keep"), line("r2", "Sent 200 in 2ms"), line("r1", "Sent 200 in 3ms")];
    stage.append("a.log", rest.concat());
    crate::support::soon("a request", stage.hive.wait_for_requests(1)).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.read, counts.accepted, counts.filtered), (4, 0, 1), "{counts:?}");
    stage.hive.clear_script();
    let counts = stage.ship_once(&toml).await;
    assert_eq!((counts.accepted, counts.filtered, counts.joined), (1, 1, 2), "{counts:?}");
    assert_eq!(stage.seen("url.path").into_keys().collect::<Vec<_>>(), ["/keep"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_seen_is_never_sampled_unless_a_rule_says_so() {
    let lines = |n: u64| {
        format!(
            "{{\"level\":\"error\",\"n\":{n}}}\n{{\"http.response.status_code\":503,\"n\":{n}}}\n\
             {{\"duration_ms\":1000.5,\"n\":{n}}}\n{{\"duration_ms\":1000,\"n\":{n}}}\n"
        )
    };
    let lines: String = (0..250).map(lines).collect();
    let rule = |more: &str| format!("[[rule]]\nname = \"r\"\nsample = 1_000_000\n{more}");
    let (stage, counts) = shipped(&lines, "", &rule("")).await;
    assert!((750..=751).contains(&counts.accepted), "{counts:?}");
    let seen = stage.hive.events();
    assert!(seen.iter().all(|event| event.samplerate == 1 || event.samplerate == 1_000_000));
    let (_, counts) = shipped(&lines, "", &rule("spares = []")).await;
    assert!(counts.sampled >= 999, "{counts:?}");
    let (_, counts) =
        shipped(&lines, "", &format!("{}\n[transform]\nslow_ms = 500", rule("spares = [\"slow\"]"))).await;
    assert!((500..=501).contains(&counts.accepted), "{counts:?}");
}

/// The first of each kind is seen, however rare it is.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_a_kind_is_shipped() {
    let rule = "[[rule]]\nname = \"r\"\nspares = [\"first\"]\n\
        sampler = { type = \"ema-dynamic\", goal_sample_rate = 1_000_000, field_list = [\"kind\"] }";
    let lines: String = (0..1_000).map(|n| format!("{{\"kind\":{},\"n\":{n}}}\n", n % 10)).collect();
    let (stage, counts) = shipped(&lines, "", rule).await;
    let firsts = stage.hive.events().iter().filter(|event| event.samplerate == 1).count();
    assert_eq!(firsts, 10, "{counts:?}");
    let rule = "[[rule]]\nname = \"r\"\nspares = [\"first\"]\nsample = 1_000_000";
    let lines: String =
        (0..1_000).map(|n| format!("{{\"exception.fingerprint\":\"f{}\",\"n\":{n}}}\n", n % 10)).collect();
    let (stage, _) = shipped(&lines, "", rule).await;
    assert_eq!(stage.hive.events().iter().filter(|event| event.samplerate == 1).count(), 10);
}

/// Whoever has sampled before us is believed.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_the_input_carries_is_multiplied() {
    let lines: String = (0..400).map(|n| format!("{{\"rate\":5,\"n\":{n}}}\n")).collect();
    let lines = lines
        + "{\"rate\":\"7\",\"keep\":1}\n{\"rate\":0,\"keep\":1}\n{\"rate\":\"x\",\"keep\":1}\n{\"keep\":1}\n";
    let rule = "[[rule]]\nname = \"k\"\nwhen = [{ field = \"keep\", operator = \"exists\" }]\nkeep = true\n\
        [[rule]]\nname = \"r\"\nsample = 4";
    let (stage, counts) = shipped(&lines, "presampled = \"rate\"", rule).await;
    assert_eq!((counts.accepted, counts.sampled), (104, 300), "{counts:?}");
    assert_eq!(weight(&stage), 400 * 5 + 7 + 1 + 1 + 1);
    let events = stage.hive.events();
    let sampled: Vec<_> = events.iter().filter(|event| event.data.get("n").is_some()).collect();
    assert!(sampled.iter().all(|event| event.samplerate == 20 && event.data.get("rate").is_none()));
}

/// Proxy and app keep or drop together: both have the request's id.
#[tokio::test(flavor = "multi_thread")]
async fn a_deterministic_sampler_decides_by_the_id() {
    let rule = "[[rule]]\nname = \"r\"\nsampler = { type = \"deterministic\", sample_rate = 4 }";
    let lines = |tag: &str| -> String {
        (0..2_000).map(|n| format!("{{\"request_id\":\"id-{n}\",\"by\":\"{tag}\"}}\n")).collect()
    };
    let (proxy, _) = shipped(&lines("proxy"), "", rule).await;
    let (app, counts) = shipped(&lines("app"), "", rule).await;
    assert_eq!(proxy.seen("request_id"), app.seen("request_id"));
    assert!((400..600).contains(&counts.accepted), "{counts:?}");
    assert_eq!(weight(&app), counts.accepted * 4);
}

/// What a sampler has learnt outlives the process; `samplers.json` is not there where nothing is sampled.
#[tokio::test(flavor = "multi_thread")]
async fn samplers_go_on_after_a_restart() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 10));
    let rule = "[[rule]]\nname = \"r\"\nsampler = { type = \"monthly-budget\", events_per_month = 1_000_000, field_list = [\"body\"] }";
    stage.ship_once(&stage.toml("a.log", FORMAT, "")).await;
    assert!(!stage.path("state/samplers.json").exists());
    stage.append("a.log", numbered(10, 10));
    stage.ship_once(&stage.toml("a.log", FORMAT, rule)).await;
    let spent = || -> u64 {
        let text = std::fs::read_to_string(stage.path("state/samplers.json")).unwrap();
        let saved: Value = serde_json::from_str(&text).unwrap();
        saved["r"]["months"].as_array().unwrap().iter().map(|month| month["spent"].as_u64().unwrap()).sum()
    };
    assert_eq!(spent(), 10, "the first of each kind, all of them");
    stage.append("a.log", numbered(20, 5));
    stage.ship_once(&stage.toml("a.log", FORMAT, rule)).await;
    assert_eq!(spent(), 15);
    // Damage is no reason not to ship.
    std::fs::write(stage.path("state/samplers.json"), "{").unwrap();
    stage.append("a.log", numbered(25, 5));
    let counts = stage.ship_once(&stage.toml("a.log", FORMAT, rule)).await;
    assert_eq!((counts.read, spent()), (5, 5), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_columns_share_one() {
    let columns = "[columns]\nmax = 20\ndeny = [\"private.*\"]";
    let lines: String = (0..100)
        .map(|n| format!("{{\"k{n}\":{n},\"t{n}\":\"a\\\"b\",\"private.x\":1,\"request_id\":\"r\"}}\n"))
        .collect();
    let (stage, counts) = shipped(&lines, "", columns).await;
    assert_eq!(counts.accepted, 100);
    let mut names = std::collections::BTreeSet::new();
    for event in stage.hive.events() {
        names.extend(event.data.keys().filter(|name| name.starts_with(['k', 't', 'p'])).cloned());
        if let Some(overflow) = event.data.get("field.overflow") {
            let inner: Value = serde_json::from_str(overflow.as_str().unwrap()).unwrap();
            let n = inner.as_object().unwrap().keys().next().unwrap()[1..].to_owned();
            assert_eq!(inner, json!({ format!("k{n}"): n.parse::<u64>().unwrap(), format!("t{n}"): "a\"b" }));
        }
    }
    assert_eq!(names.len(), 20, "{names:?}");
    let overflowed =
        stage.hive.events().iter().filter(|event| event.data.contains_key("field.overflow")).count();
    assert_eq!(overflowed, 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_types_hold_for_every_event() {
    let lines = "{\"id\":1,\"n\":\"2\",\"f\":1,\"b\":\"true\"}\n{\"id\":\"a\",\"n\":\"x\",\"f\":\"1.5\",\"b\":1}\n{\"id\":1.50,\"n\":3,\"f\":2.5,\"b\":false}\n";
    let types = "types = { id = \"string\", n = \"int\", f = \"float\", b = \"bool\" }";
    let (stage, _) = shipped(lines, types, "").await;
    let mut events = stage.hive.events();
    events.sort_by_key(|event| event.data["log.file.offset"].as_u64());
    let of = |index: usize, name: &str| events[index].data.get(name).cloned().unwrap_or_default();
    let column = |name: &str| [of(0, name), of(1, name), of(2, name)];
    assert_eq!(column("id"), [json!("1"), json!("a"), json!("1.50")]);
    assert_eq!(column("n"), [json!(2), Value::Null, json!(3)]);
    assert_eq!(column("field.n"), [Value::Null, json!("x"), Value::Null]);
    assert_eq!(column("f"), [json!(1.0), json!(1.5), json!(2.5)]);
    assert_eq!(column("b"), [json!(true), Value::Null, json!(false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn redaction_rules_change_what_is_shipped() {
    let rules = r#"
        [[redaction.rule]]
        name = "addresses"
        action = "mask-ip"
        [[redaction.rule]]
        name = "mail"
        action = "mask-email"
        [[redaction.rule]]
        name = "cards"
        action = "mask-card"
        [[redaction.rule]]
        name = "invites"
        action = "mask"
        pattern = '/invite/(?<secret>[^/?" ]+)'
        [[redaction.rule]]
        name = "debugging"
        action = "drop"
        fields = ["debug.*"]
        when = [{ field = "level2", operator = "=", value = "x" }]
    "#;
    let line = r#"{"msg":"bob@example.com of 203.0.113.77 paid with 4111 1111 1111 1111 for /invite/s3cr3t?x=1","level2":"x","debug.a":1,"ip":"2001:db8:1:2::3"}"#;
    let other = line.replace(r#""level2":"x""#, r#""level2":"y""#);
    let many: String = (0..2_000).map(|n| format!("\"k{n}\":1,")).collect();
    let surplus = format!("{{\"level2\":\"x\",{many}\"debug.b\":\"PLANTED\"}}");
    let (stage, counts) = shipped(&format!("{line}\n{other}\n{surplus}\n"), "", rules).await;
    assert_eq!(counts.accepted, 3, "{counts:?}");
    let mut events = stage.hive.events();
    events.sort_by_key(|event| event.data["log.file.offset"].as_u64());
    for (event, is_dropped) in [(&events[0], true), (&events[1], false)] {
        assert_eq!(
            text(event, "body"),
            "[FILTERED] of 203.0.113.0 paid with [FILTERED] for /invite/[FILTERED]?x=1"
        );
        assert_eq!(text(event, "ip"), "2001:db8:1::");
        assert_eq!(!event.data.contains_key("debug.a"), is_dropped);
    }
    assert!(!format!("{:?}", events[2].data).contains("PLANTED"), "{:?}", events[2].data);
}

/// In each place where an event can put it: a column, the surplus of a guard or of a line, a joined request, a crash, a body.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_shipped_whatever_becomes_of_the_event() {
    let many: String = (0..2_000).map(|n| format!("\"k{n}\":1,")).collect();
    let lines = [
        r#"{"msg":"GET /a?token=PLANTED&b=1","url":"https://app:PLANTED@a.test/","h":{"cookie":"PLANTED"}}"#.to_owned(),
        format!("{{{many}\"password\":\"PLANTED\"}}"),
        r#"192.0.2.1 - - [18/Mar/2026:15:00:00 +0000] "GET /reset/PLANTED?q=%22token%22%3A%22PLANTED%22 HTTP/1.1" 200 5 "https://a.test/?key=PLANTED" "x""#.to_owned(),
        "15:00:00.000 request_id=F1a2b3c4d5e6f7a8b9c0 [info] GET /reset/PLANTED".to_owned(),
        "15:00:00.001 request_id=F1a2b3c4d5e6f7a8b9c0 [debug] Processing with A.B.c/2\n  Parameters: %{\"user\" => %{\"password\" => \"PLANTED\"}}\n  Pipelines: [:browser]".to_owned(),
        "15:00:00.002 request_id=F1a2b3c4d5e6f7a8b9c0 [info] Sent 200 in 5ms".to_owned(),
        "15:00:01.000 [error] GenServer A terminating\n** (RuntimeError) no token=PLANTED\n    (a 1.0) lib/a.ex:1: A.b(%{api_key: \"PLANTED\"})\nState: %{session: \"PLANTED\"}".to_owned(),
        "{\"msg\":\"torn, \\\"password\\\":\\\"PLANTED".to_owned(),
    ];
    let stage = Stage::new().await;
    stage.append("a.log", lines.map(|line| line + "\n").concat());
    let source = "url_shapes = [\"/reset/:token\"]";
    let toml = stage.toml("a.log", source, "[columns]\nmax = 2");
    let counts = stage.ship_once(&toml).await;
    assert_eq!((counts.read, counts.accepted), (13, 5), "{counts:?}");
    let shipped = format!("{:?}", stage.hive.events().iter().map(|event| &event.data).collect::<Vec<_>>());
    assert!(shipped.matches("[FILTERED]").count() >= 12, "{shipped}");
    assert!(!shipped.contains("PLANTED"), "{shipped}");
}
