//! The hot path allocates nothing per line once it is warm: counted over two megabytes of each format
//! and envelope, from the framed line to the encoded run.
//!
//! A binary of its own, since it replaces the allocator.

#![forbid(unsafe_code)]

use std::{fs, path::Path, sync::Arc};

use hivetail::{
    config::{EnvelopeName, FormatName, Source, SourceType},
    dataset::Template,
    encode::Constants,
    frame::LineBuffer,
    pass::{Chunk, Pass, StreamFacts},
    spare::Spares,
};
use hivetail_parsers::{Format, Timestamp, envelope::Envelope};

const TEXT_BYTES: usize = 2_000_000;

/// Even where an event has many lines there are so many.
const EVENTS_MIN: u64 = 2_000;

/// Passes the whole buffer; the runs' buffers go back, as the batcher gives them back.
fn pass_all(pass: &mut Pass, facts: &mut StreamFacts, text: &[u8], spares: &Spares) -> u64 {
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
            let chunk: Chunk = pass.run(buffer.lines(), facts, Timestamp::from_ns(0), usize::MAX);
            buffer.take(chunk.end);
            events += u64::from(chunk.passed.events);
            chunk.runs.into_iter().for_each(|run| spares.give(run.events));
        }
    }
    events
}

#[test]
fn no_allocation_per_line_from_frame_to_encoded_run() {
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
        let lines = fs::read(path).unwrap();
        let text = lines.repeat(TEXT_BYTES.div_ceil(lines.len()));

        let mut source = Source::new(SourceType::File);
        source.format = FormatName(Format::from_name(format).unwrap_or(Format::Auto));
        source.envelope = EnvelopeName(Envelope::from_name(format).unwrap_or_default());
        source.service = Some("web".to_owned());
        let spares = Spares::default();
        let mut pass = Pass::new(&source, &Template::field("service.name"), Arc::default(), spares.clone());
        let mut facts =
            StreamFacts { constants: Constants::default(), tells_offset: true, date: None, prefer: None };
        pass_all(&mut pass, &mut facts, &text, &spares);

        let mut events = 0;
        let allocations = allocation_counter::measure(|| {
            events = pass_all(&mut pass, &mut facts, &text, &spares);
        });
        assert!(events >= EVENTS_MIN, "{format}: {events}");
        // Some per chunk and none per line: the read buffer, lists of runs and of their events' ends.
        let chunks = text.len() as u64 / (256 * 1024) + 1;
        let allowed = 20 + 20 * chunks;
        assert!(
            allocations.count_total <= allowed,
            "{format}: {} allocations for {events} lines in {chunks} chunks",
            allocations.count_total
        );
    }
}
