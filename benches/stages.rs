//! The hot path stage by stage: splitting a chunk into lines, and one whole pass from chunk to run for each
//! format, over the golden corpora. Throughput is in bytes of log.

use std::{fs, hint::black_box, path::Path, sync::Arc, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hivetail::{
    config::{EnvelopeName, FormatName, Join, Source, SourceType},
    dataset::Template,
    encode::Constants,
    frame::{CHUNK_BYTES, LineBuffer},
    pass::{Moment, Pass, StreamFacts},
    spare::Spares,
};
use hivetail_parsers::{Format, Timestamp, envelope::Envelope};

/// About one chunk of a corpus, repeated as often as it takes.
fn chunk(name: &str) -> LineBuffer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("parsers/corpus").join(name);
    let text = fs::read(&path).expect("a corpus of the repository");
    let mut buffer = LineBuffer::new(1 << 20);
    let filled: Result<usize, ()> = buffer.fill(|room, _| {
        let times = (room.len() / text.len()).max(1);
        let bytes = text.repeat(times);
        let len = bytes.len().min(room.len());
        room[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    });
    assert!(filled.is_ok_and(|len| len > CHUNK_BYTES / 2) && buffer.has_line());
    buffer
}

fn stages(criterion: &mut Criterion) {
    let buffer = chunk("ingress-nginx/ordinary.log");
    let bytes = |buffer: &LineBuffer| buffer.lines().last().map_or(0, |line| line.end);
    let mut group = criterion.benchmark_group("stages");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Bytes(bytes(&buffer)));
    group.bench_function("frame", |bencher| {
        bencher.iter(|| buffer.lines().map(|line| line.text.len()).sum::<usize>());
    });
    for (format, name) in [
        ("ingress-nginx", "ingress-nginx/ordinary.log"),
        ("nginx", "nginx/ordinary.log"),
        ("phoenix", "phoenix/default.log"),
        ("phoenix joined", "../../demo/phoenix.log"),
        ("phoenix unjoined", "../../demo/phoenix.log"),
        ("phoenix rich", "phoenix/rich-metadata.log"),
        ("json", "json/ordinary.log"),
        ("fly", "fly/nasty.log"),
        ("auto", "ingress-nginx/ordinary.log"),
        ("raw", "nginx/ordinary.log"),
    ] {
        let buffer = chunk(name);
        let known = format.split(' ').next().unwrap_or(format);
        let mut source = Source::new(SourceType::File);
        source.format = FormatName(Format::from_name(known).unwrap_or(Format::Auto));
        source.envelope = EnvelopeName(Envelope::from_name(known).unwrap_or_default());
        source.service = Some("web".to_owned());
        if format.ends_with(" unjoined") {
            (source.join, source.join_requests) = (Some(Join::Is(false)), Some(false));
        }
        let spares = Spares::default();
        let mut pass = Pass::new(
            &source,
            &Template::field("service.name"),
            Arc::default(),
            spares.clone(),
            1 << 20,
            &Arc::default(),
        );
        let constants = Constants::default();
        let facts = StreamFacts { tells_offset: true, ..StreamFacts::new(constants) };
        group.throughput(Throughput::Bytes(bytes(&buffer)));
        group.bench_function(format!("pass {format}"), |bencher| {
            bencher.iter(|| {
                let now = Moment::at(Timestamp::from_ns(0));
                let chunk = pass.run(buffer.lines(), &facts, now, usize::MAX);
                // What is open would be met again, by the same ids.
                let rest = pass.flush(now, usize::MAX);
                for run in chunk.runs.into_iter().chain(rest.runs) {
                    spares.give(black_box(run.events));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
