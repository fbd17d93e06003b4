//! Parsing alone, per format, over the golden corpora, in bytes of log; and beside it, on the same lines in the same
//! run, the regex that others use for ingress-nginx's access lines, filling the same typed record.

use std::{fs, hint::black_box, path::Path, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hivetail_parsers::{Context, Format, Parser, Record, Scratch, Value, timestamp};
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

fn formats(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for (format, name) in [
        ("ingress-nginx", "ingress-nginx/ordinary.log"),
        ("nginx", "nginx/ordinary.log"),
        ("phoenix", "phoenix/default.log"),
        ("phoenix", "phoenix/rich-metadata.log"),
        ("json", "json/ordinary.log"),
    ] {
        let lines = lines(name);
        let parser = Parser::new(Format::from_name(format).unwrap_or(Format::Auto));
        let context = Context::default();
        let mut scratch = Scratch::new();
        let mut spare = Record::new();
        group.throughput(Throughput::Bytes(lines.iter().map(|line| line.len() as u64 + 1).sum()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for line in &lines {
                    scratch.reset();
                    let mut record = std::mem::take(&mut spare).recycle();
                    let _ = black_box(parser.parse(line, &context, &scratch, &mut record));
                    spare = record.recycle();
                }
            });
        });
    }
    let lines = lines("ingress-nginx/ordinary.log");
    let regex = Regex::new(INGRESS).expect("a sound regex");
    let mut spare = Record::new();
    group.throughput(Throughput::Bytes(lines.iter().map(|line| line.len() as u64 + 1).sum()));
    group.bench_function("ingress-nginx by regex", |bencher| {
        bencher.iter(|| {
            for line in &lines {
                let mut record = std::mem::take(&mut spare).recycle();
                assert!(by_regex(&regex, line, &mut record).is_some());
                spare = record.recycle();
            }
        });
    });
    group.finish();
}

criterion_group!(benches, formats);
criterion_main!(benches);
