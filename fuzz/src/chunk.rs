//! A chunk of any bytes through frame, envelope, parser and encoder.
//!
//! Takes bytes and panics unless each event is JSON as the wire has it, and every cut of the input gives the same
//! events as the whole.

use std::sync::Arc;

use hivetail::{
    config::{EnvelopeName, FormatName, Source, SourceType},
    dataset::Template,
    encode::Constants,
    frame::LineBuffer,
    pass::{Chunk, Encoded, Moment, Pass, StreamFacts},
    spare::Spares,
};
use hivetail_parsers::{Format, Timestamp, envelope::Envelope};
use serde_json::Value;

/// The first two bytes choose envelope, format and where the input is cut.
pub fn of_chunk(data: &[u8]) {
    let [how, cut, text @ ..] = data else { return };
    let envelope = Envelope::ALL[usize::from(*how) % Envelope::ALL.len()];
    let format = Format::ALL[usize::from(*how) / Envelope::ALL.len() % Format::ALL.len()];
    let cut = usize::from(*cut).min(text.len());
    let whole = events(envelope, format, &[text]);
    assert_eq!(whole, events(envelope, format, &[&text[..cut], &text[cut..]]));
    for event in whole.split_inclusive(|byte| *byte == b'\n') {
        let event: Value = serde_json::from_slice(event).expect("JSON");
        assert!(event["time"].is_string() && event["samplerate"] == 1 && event["data"].is_object());
    }
}

fn events(envelope: Envelope, format: Format, pieces: &[&[u8]]) -> Vec<u8> {
    let mut source = Source::new(SourceType::Stdin);
    source.format = FormatName(format);
    source.envelope = EnvelopeName(envelope);
    let dataset = Template::parse("one").expect("a name");
    let mut pass = Pass::new(&source, &dataset, Arc::default(), Spares::default(), 1 << 16, &Arc::default());
    let constants = Constants::default();
    let facts = StreamFacts { tells_offset: true, ..StreamFacts::new(constants) };
    let now = Moment::at(Timestamp::from_ns(1_795_000_000_000_000_000));
    let mut buffer = LineBuffer::framed(pass.framing(), 1_000);
    let mut out = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let filled: Result<usize, ()> = buffer.fill(|room, _| {
                let len = rest.len().min(room.len());
                room[..len].copy_from_slice(&rest[..len]);
                Ok(len)
            });
            rest = &rest[filled.unwrap_or_default()..];
            while buffer.has_line() {
                let chunk = pass.run(buffer.lines(), &facts, now, usize::MAX);
                buffer.take(chunk.end);
                take(&chunk, &mut out);
            }
        }
    }
    take(&pass.run(buffer.unfinished_line().into_iter(), &facts, now, usize::MAX), &mut out);
    take(&pass.flush(now, usize::MAX), &mut out);
    out
}

fn take(chunk: &Chunk, out: &mut Vec<u8>) {
    for text in chunk.runs.iter().flat_map(Encoded::texts) {
        out.extend_from_slice(text);
        out.push(b'\n');
    }
}
