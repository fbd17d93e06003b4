//! The hot path allocates nothing per line once it is warm: counted over two megabytes of each format
//! and envelope, from the framed line to the encoded run; and for each sampler, once it knows a key.
//!
//! A binary of its own, since it replaces the allocator.

#![forbid(unsafe_code)]

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use hivetail::{
    config::{Config, EnvelopeName, FormatName, Source, SourceType},
    dataset::Template,
    encode::Constants,
    frame::LineBuffer,
    pass::{Chunk, Moment, Pass, StreamFacts},
    pipeline,
    spare::Spares,
    transform::{
        Book,
        sampler::{Ema, Method, Sample, Sampler, Settings},
    },
};
use hivetail_parsers::{Format, Timestamp, envelope::Envelope};

const TEXT_BYTES: usize = 2_000_000;

/// Even where an event has many lines there are so many.
const EVENTS_MIN: u64 = 2_000;

/// Passes the whole buffer; the runs' buffers go back, as the batcher gives them back.
fn pass_all(pass: &mut Pass, facts: &StreamFacts, text: &[u8], spares: &Spares) -> u64 {
    let mut buffer = LineBuffer::framed(pass.framing(), 1 << 20);
    let mut rest = text;
    let mut events = 0;
    while !rest.is_empty() {
        let filled: Result<usize, ()> = buffer.fill(|room, _| {
            let len = rest.len().min(room.len());
            room[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        });
        rest = &rest[filled.unwrap_or_default()..];
        while buffer.has_line() {
            let chunk: Chunk = pass.run(buffer.lines(), facts, Moment::at(Timestamp::from_ns(0)), usize::MAX);
            buffer.take(chunk.end);
            events += u64::from(chunk.events);
            chunk.runs.into_iter().for_each(|run| spares.give(run.events));
        }
    }
    events
}

/// The lines without those of requests that have no answer: repeated, they would be open for ever.
fn without_open_requests(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let id = |line: &str| {
        let rest = line.split_once("request_id")?.1.trim_start_matches(['=', '"', ':']);
        rest.split(['"', '[']).next().map(str::to_owned)
    };
    let ids = |words: &[&str]| -> HashSet<String> {
        text.lines().filter(|line| words.iter().any(|word| line.contains(word))).filter_map(id).collect()
    };
    let (begun, answered) = (
        ids(&["GET /", "HEAD /", "POST /", "PUT /", "PATCH /", "DELETE /", "OPTIONS /"]),
        ids(&["Sent ", "Chunked "]),
    );
    let open: HashSet<&String> = begun.difference(&answered).collect();
    let kept = text.split_inclusive('\n').filter(|line| id(line).is_none_or(|id| !open.contains(&id)));
    kept.collect::<String>().into_bytes()
}

/// One of everything that a rule can do, for some lines of every format, and none of it for the rest.
const RULES: &str = r#"
[[rule]]
name = "marked"
when = [{ field = "body", operator = "matches", value = "zz+op" }, { field = "url.path", operator = "in", value = ["/nowhere"] }]
set = { team = "blue" }
continue = true
[[rule]]
name = "dropped"
when = [{ field = "http.response.status_code", operator = "=", value = 404 }]
drop = true
[[rule]]
name = "thin"
when = [{ field = "client.kind", operator = "exists" }]
sample = 3
[[rule]]
name = "by kind"
sampler = { type = "ema-throughput", goal_throughput_per_s = 1, initial_sample_rate = 2, field_list = ["log.format", "http.response.status_code"] }
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
name = "words"
action = "mask"
pattern = "zz+op (?<secret>[a-z]+)"
[[redaction.rule]]
name = "gone"
fields = ["http.request.header.x-*"]
action = "drop"
[columns]
max = 10
[[source]]
type = "stdin"
"#;

fn book(rules: &str) -> Arc<Book> {
    let config = Config::parse("rules.toml", rules).expect("sound rules");
    Arc::new(pipeline::book(&config).expect("sound rules"))
}

#[test]
fn no_allocation_per_line_from_frame_to_encoded_run() {
    allocate_nothing_per_line(&Arc::default(), EVENTS_MIN);
}

#[test]
fn no_allocation_per_line_with_rules() {
    // Half of them are left out, or more.
    allocate_nothing_per_line(&book(RULES), EVENTS_MIN / 4);
}

fn allocate_nothing_per_line(book: &Arc<Book>, events_min: u64) {
    for (format, name) in [
        ("ingress-nginx", "ingress-nginx/ordinary.log"),
        ("nginx", "nginx/ordinary.log"),
        ("phoenix", "phoenix/default.log"),
        ("phoenix", "phoenix/rich-metadata.log"),
        ("json", "json/ordinary.log"),
        ("nginx-error", "nginx-error/ordinary.log"),
        ("klog", "klog/ordinary.log"),
        ("logfmt", "logfmt/ordinary.log"),
        ("logger_json", "logger_json/ordinary.log"),
        ("varnish", "varnish/ordinary.log"),
        ("fastly", "fastly/ordinary.log"),
        ("cri", "cri/nasty.log"),
        ("docker", "docker/nasty.log"),
        ("fly", "fly/nasty.log"),
        ("syslog", "syslog/nasty.log"),
        ("journald", "journald/nasty.log"),
        ("logplex", "logplex/nasty.log"),
        ("auto", "ingress-nginx/ordinary.log"),
        ("raw", "nginx/ordinary.log"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("parsers/corpus").join(name);
        let lines = without_open_requests(&fs::read(path).expect("a corpus"));
        let text = lines.repeat(TEXT_BYTES.div_ceil(lines.len()));

        let mut source = Source::new(SourceType::File);
        source.format = FormatName(Format::from_name(format).unwrap_or(Format::Auto));
        source.envelope = EnvelopeName(Envelope::from_name(format).unwrap_or_default());
        source.service = Some("web".to_owned());
        // Elsewhere a request without an answer, again and again, would be open for ever.
        source.join_requests = Some(matches!(format, "phoenix" | "logger_json"));
        let spares = Spares::default();
        let template = Template::field("service.name");
        let mut pass = Pass::new(&source, &template, Arc::default(), spares.clone(), 1 << 20, book);
        let facts = StreamFacts { tells_offset: true, ..StreamFacts::new(Constants::default()) };
        pass_all(&mut pass, &facts, &text, &spares);

        let mut events = 0;
        let allocations = allocation_counter::measure(|| {
            events = pass_all(&mut pass, &facts, &text, &spares);
        });
        assert!(events >= events_min, "{format}: {events}");
        // Some per chunk and none per line: the read buffer, lists of runs, of their events' ends and claims, of what is not
        // shipped, and what joins hold over its end.
        let chunks = text.len() as u64 / (256 * 1024) + 1;
        let allowed = 20 + 32 * chunks;
        assert!(
            allocations.count_total <= allowed,
            "{format}: {} allocations for {events} lines in {chunks} chunks",
            allocations.count_total
        );
    }
}

#[test]
fn no_allocation_per_sampled_event() {
    let ema = Ema::default();
    for method in [
        Method::Fixed { rate: 5 },
        Method::Deterministic { rate: 5, salt: String::new() },
        Method::EmaDynamic { goal_sample_rate: 5, ema },
        Method::EmaThroughput { goal_throughput_per_s: 1.0, initial_sample_rate: 5, ema },
        Method::MonthlyBudget { events_per_month: 1_000_000, initial_sample_rate: 5, ema },
    ] {
        let mut sampler = Sampler::new(&Settings { method: method.clone(), first_window_s: Some(60) }, 7);
        let mut pass = |key: &[u8], id: Option<&[u8]>| {
            let sample = Sample { key, id, duration_ms: Some(5.0), now: Timestamp::from_ns(1) };
            let verdict = sampler.decide(&sample);
            sampler.commit(&sample, verdict);
            sampler.commit_spared(key, sample.now);
            sampler.is_first(key, sample.now)
        };
        assert!(!pass(b"GET /", None));
        let allocations = allocation_counter::measure(|| {
            for _ in 0..100 {
                assert!(!pass(b"GET /", None) && !pass(b"GET /", Some(b"f0e1d2c3b4a59687")));
            }
        });
        assert_eq!(allocations.count_total, 0, "{method:?}");
    }
}
