//! Golden corpora: `parsers/corpus/FORMAT/NAME.log` and the events that it becomes, `NAME.jsonl`.
//!
//! `UPDATE_CORPUS=1 cargo test` rewrites the events; read the difference before you commit it. An envelope's name
//! as FORMAT means that envelope with `auto` inside.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use hivetail::{
    config::{EnvelopeName, FormatName, Source, SourceType},
    dataset::Template,
    encode::Constants,
    frame::LineBuffer,
    pass::{Chunk, Encoded, Moment, Pass, StreamFacts},
    spare::Spares,
};
use hivetail_parsers::{Format, envelope::Envelope, names, timestamp};
use serde_json::Value;

fn corpora() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("parsers/corpus");
    let mut logs = Vec::new();
    for folder in fs::read_dir(root).unwrap().flatten() {
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "log") {
                logs.push((folder.file_name().into_string().unwrap(), file.path()));
            }
        }
    }
    logs.sort();
    logs
}

fn events(format: &str, log: &[u8]) -> String {
    let mut source = Source::new(SourceType::Stdin);
    source.format = FormatName(Format::from_name(format).unwrap_or(Format::Auto));
    source.envelope = EnvelopeName(Envelope::from_name(format).unwrap_or_default());
    let mut pass = Pass::new(
        &source,
        &Template::parse("one").unwrap(),
        Arc::default(),
        Spares::default(),
        1 << 24,
        &Arc::default(),
    );
    let facts = StreamFacts::new(Constants::default());
    let now = Moment::at(timestamp::rfc3339(b"2026-11-21T23:00:00Z").unwrap());
    let mut buffer = LineBuffer::framed(pass.framing(), 1 << 20);
    let mut rest = log;
    let mut out = Vec::new();
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
    take(&pass.flush(now, usize::MAX), &mut out);
    String::from_utf8(out).expect("events are valid UTF-8")
}

fn take(chunk: &Chunk, out: &mut Vec<u8>) {
    for text in chunk.runs.iter().flat_map(Encoded::texts) {
        out.extend_from_slice(text);
        out.push(b'\n');
    }
}

#[test]
fn every_corpus_becomes_the_events_beside_it() {
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    let corpora = corpora();
    assert!(corpora.len() >= 6, "{corpora:?}");
    for (format, log) in corpora {
        let events = events(&format, &fs::read(&log).unwrap());
        let golden = log.with_extension("jsonl");
        if update {
            fs::write(&golden, &events).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        for (index, (event, expected)) in events.lines().zip(expected.lines()).enumerate() {
            assert_eq!(event, expected, "{} line {}", golden.display(), index + 1);
        }
        assert_eq!(events.lines().count(), expected.lines().count(), "{}", golden.display());
    }
}

/// What an ordinary line of a format must never be.
#[test]
fn every_ordinary_line_parses() {
    for (format, log) in corpora() {
        let odd = log.file_stem().is_some_and(|name| name.to_string_lossy().contains("nasty"));
        for line in events(&format, &fs::read(&log).unwrap()).lines().filter(|_| !odd) {
            assert!(!line.contains("\"meta.parse_error\""), "{}: {line}", log.display());
        }
    }
}

#[test]
fn every_field_of_the_contract_has_its_type() {
    for (format, log) in corpora() {
        for line in events(&format, &fs::read(&log).unwrap()).lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            for (name, value) in event["data"].as_object().unwrap() {
                let sound = match names::type_of(name.as_bytes()) {
                    Some(names::Type::String) => value.as_str().is_some_and(|text| !text.is_empty()),
                    Some(names::Type::Int) => value.is_i64(),
                    Some(names::Type::Float) => value.is_f64() || value.is_number(),
                    Some(names::Type::Bool) => value.is_boolean(),
                    None => !value.is_null(),
                };
                assert!(sound, "{name} = {value} in {line}");
            }
        }
    }
}
