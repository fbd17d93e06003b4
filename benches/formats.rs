//! Parsing alone, per format and envelope, over the golden corpora, in bytes of log; and beside it, in the same run,
//! what the same lines cost by other means.

use std::{fs, hint::black_box, path::Path, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hivetail_parsers::{Context, Format, Parser, Record, Scratch, Value, envelope::Envelope, timestamp};
use regex::bytes::Regex;

/// The present `upstreaminfo`, its lists as text: more could not be asked of one regex.
const INGRESS: &str = concat!(
    r#"^(\S+) - (.*?) \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)" "#,
    r"(\d+) (\d+\.\d{3}) \[([^\]]*)\] \[([^\]]*)\] ",
    r"(-|\S+(?:(?:, | : )\S+)*) (-|\d+(?:(?:, | : )(?:-|\d+))*) (-|[\d.]+(?:(?:, | : )(?:-|[\d.]+))*) ",
    r"(-|\d+(?:(?:, | : )(?:-|\d+))*) (.*)$",
);

fn lines(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("parsers/corpus").join(name);
    let text = fs::read(&path).expect("a corpus of the repository");
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

fn by_regex<'a>(regex: &Regex, line: &'a [u8], record: &mut Record<'a>) -> Option<()> {
    let captures = regex.captures(line)?;
    let text = |index: usize| captures.get(index).map_or(&b""[..], |found| found.as_bytes());
    let number =
        |index: usize| std::str::from_utf8(text(index)).ok().and_then(|text| text.parse::<f64>().ok());
    let whole =
        |index: usize| std::str::from_utf8(text(index)).ok().and_then(|text| text.parse::<i64>().ok());
    black_box(timestamp::clf(text(3)));
    for (name, index) in [
        ("client.address", 1),
        ("user.name", 2),
        ("body", 4),
        ("http.request.header.referer", 7),
        ("user_agent.original", 8),
        ("nginx.upstream.name", 11),
        ("nginx.upstream.addr", 13),
        ("request_id", 17),
    ] {
        record.set_text(name, text(index));
    }
    for (name, index) in
        [("http.response.status_code", 5), ("http.response.body.size", 6), ("http.request.size", 9)]
    {
        record.set(name, Value::Int(whole(index)?));
    }
    record.set("duration_ms", Value::Float(number(10)? * 1000.0));
    Some(())
}

/// Every corpus that has no line made to be odd; an envelope's with `auto` inside.
const CORPORA: [&str; 20] = [
    "ingress-nginx/ordinary.log",
    "nginx/ordinary.log",
    "nginx-error/ordinary.log",
    "klog/ordinary.log",
    "phoenix/default.log",
    "phoenix/rich-metadata.log",
    "json/ordinary.log",
    "logger_json/ordinary.log",
    "logfmt/ordinary.log",
    "varnish/ordinary.log",
    "fastly/ordinary.log",
    "cri/nasty.log",
    "docker/nasty.log",
    "fly/nasty.log",
    "syslog/nasty.log",
    "journald/nasty.log",
    "logplex/nasty.log",
    "ingress-nginx/nasty.log",
    "nginx/nasty.log",
    "phoenix/nasty.log",
];

fn bytes(lines: &[Vec<u8>]) -> Throughput {
    Throughput::Bytes(lines.iter().map(|line| line.len() as u64 + 1).sum())
}

fn formats(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for name in CORPORA {
        let lines = lines(name);
        let folder = name.split('/').next().unwrap_or_default();
        let parser = Parser::new(Format::from_name(folder).unwrap_or(Format::Auto));
        let envelope = Envelope::from_name(folder).unwrap_or_default();
        let context = Context::default();
        let mut scratch = Scratch::new();
        let mut spare = Record::new();
        group.throughput(bytes(&lines));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for line in &lines {
                    scratch.reset();
                    let mut record = std::mem::take(&mut spare).recycle();
                    let inner = envelope.open(line, &context, &scratch, &mut record);
                    let inner = inner.map_or(&line[..], |inner| inner.line);
                    let _ = black_box(parser.parse(inner, &context, &scratch, &mut record));
                    spare = record.recycle();
                }
            });
        });
    }
    group.finish();
}

/// What the same lines cost otherwise: by a regex that fills the same record, as `serde_json::Value`, and to be only
/// split at their newlines.
fn beside(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("beside");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    let ingress = lines(CORPORA[0]);
    let regex = Regex::new(INGRESS).expect("a sound regex");
    group.throughput(bytes(&ingress));
    let mut spare = Record::new();
    group.bench_function("ingress-nginx by regex", |bencher| {
        bencher.iter(|| {
            for line in &ingress {
                let mut record = std::mem::take(&mut spare).recycle();
                assert!(by_regex(&regex, line, &mut record).is_some());
                spare = record.recycle();
            }
        });
    });
    for name in ["json/ordinary.log", "logger_json/ordinary.log"] {
        let lines = lines(name);
        group.throughput(bytes(&lines));
        group.bench_function(format!("{name} by serde_json"), |bencher| {
            bencher.iter(|| {
                for line in &lines {
                    let _ = black_box(serde_json::from_slice::<serde_json::Value>(line));
                }
            });
        });
    }
    for name in ["phoenix/default.log", "phoenix/rich-metadata.log", "cri/nasty.log"] {
        let text = lines(name).join(&b'\n');
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("{name} split"), |bencher| {
            bencher.iter(|| memchr::memchr_iter(b'\n', &text).map(black_box).sum::<usize>());
        });
    }
    group.finish();
}

criterion_group!(benches, formats, beside);
criterion_main!(benches);
