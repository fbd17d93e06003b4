//! Tests of the pass as a whole.

use std::collections::BTreeMap;

use hivetail_parsers::envelope::Envelope;

use super::*;
use crate::{
    config::{Columns, FieldName, Redaction, Rule, SourceType, Transform},
    frame::LineBuffer,
    transform::Sections,
};

fn facts() -> StreamFacts {
    StreamFacts { tells_offset: true, ..StreamFacts::new(Constants::default()) }
}

fn buffer(text: &[u8]) -> LineBuffer {
    buffer_of(text, 1_000)
}

fn buffer_of(text: &[u8], line_bytes_max: usize) -> LineBuffer {
    let mut buffer = LineBuffer::new(line_bytes_max);
    let filled: Result<usize, ()> = buffer.fill(|room, _| {
        room[..text.len()].copy_from_slice(text);
        Ok(text.len())
    });
    assert_eq!(filled, Ok(text.len()));
    assert!(buffer.has_line());
    buffer
}

fn pass(dataset: &str) -> Pass {
    let template = Template::parse(dataset).unwrap();
    Pass::new(
        &Source::new(SourceType::File),
        &template,
        Arc::default(),
        Spares::default(),
        1 << 20,
        &Arc::default(),
    )
}

const NOW: Moment = Moment::at(Timestamp::from_ns(0));

#[test]
fn a_pass_ends_before_the_event_that_does_not_fit() {
    let buffer = buffer(b"{\"a\":1}\n{\"a\":2}\n \n{\"a\":3}\n");
    let mut pass = pass("d");
    let all = pass.run(buffer.lines(), &facts(), NOW, usize::MAX);
    assert_eq!((all.end, all.passed), (26, Passed { lines: 3, blank: 1, ..Passed::default() }));
    let cost = Run::cost(all.runs[0].ends[1] as usize, 2) + size_of::<Claim>();
    let some = pass.run(buffer.lines(), &facts(), NOW, cost);
    assert_eq!((some.end, some.passed), (18, Passed { lines: 2, blank: 1, ..Passed::default() }));
    let fewer = pass.run(buffer.lines(), &facts(), NOW, cost - 1);
    assert_eq!((fewer.end, fewer.runs[0].ends.len()), (8, 1));
}

#[test]
fn what_configuration_sets_input_does_not() {
    let mut source = Source::new(SourceType::File);
    source.fields.insert(FieldName("client.address".to_owned()), "hidden".to_owned());
    let template = Template::parse("d").unwrap();
    let mut pass = Pass::new(&source, &template, Arc::default(), Spares::default(), 1 << 20, &Arc::default());
    let line = b"1.2.3.4 - - [21/Nov/2026:20:52:42 +0000] \"GET / HTTP/1.1\" 200 2 \"-\" \"curl\"\n";
    let mut constants = Constants::default();
    constants.push("client.address", "hidden");
    let chunk = pass.run(buffer(line).lines(), &StreamFacts::new(constants), NOW, usize::MAX);
    let event = String::from_utf8(chunk.runs[0].events.clone()).unwrap();
    assert_eq!(event.matches("client.address").count(), 1, "{event}");
    assert!(!event.contains("1.2.3.4"), "{event}");
}

fn events(envelope: Envelope, text: &[u8]) -> (Vec<String>, Passed) {
    let mut source = Source::new(SourceType::File);
    source.envelope.0 = envelope;
    let template = Template::parse("d").unwrap();
    let mut pass = Pass::new(&source, &template, Arc::default(), Spares::default(), 1 << 20, &Arc::default());
    let chunk = pass.run(buffer(text).lines(), &facts(), NOW, usize::MAX);
    let rest = pass.flush(NOW, usize::MAX);
    let runs = chunk.runs.into_iter().chain(rest.runs);
    let events = String::from_utf8(runs.flat_map(|run| run.events).collect()).unwrap();
    (events.split_inclusive("}},").map(str::to_owned).collect(), chunk.passed)
}

#[test]
fn a_blank_line_in_an_envelope_that_tells_more_is_an_event() {
    let (events, passed) = events(
        Envelope::Syslog,
        b"<165>1 2003-10-11T22:14:15Z h app - ID47 [x@1 a=\"b\"]\n<165>1 2003-10-11T22:14:15Z h app - - - \n",
    );
    assert_eq!(passed, Passed { lines: 1, blank: 1, ..Passed::default() });
    assert!(events[0].contains("\"x@1.a\":\"b\"") && !events[0].contains("\"body\""), "{events:?}");
    assert!(!events[0].contains("meta.parse_error"), "{events:?}");
}

#[test]
fn a_colour_code_alone_is_a_blank_line() {
    let (_, passed) = events(Envelope::None, b"\x1b[22m\n \x1b[0m\x1b[38:2:1m\n\x1b[0mx\n");
    assert_eq!(passed, Passed { lines: 1, blank: 2, ..Passed::default() });
}

#[test]
fn what_is_in_no_envelope_is_raw_and_says_why() {
    let (events, _) = events(Envelope::Docker, b"{\"log\":null,\"stream\":\"stdout\"}\n");
    let body = "\"body\":\"{\\\"log\\\":null,\\\"stream\\\":\\\"stdout\\\"}\"";
    let reason = "\"meta.parse_error\":\"no log in the Docker object\"";
    assert!(events[0].contains(body) && events[0].contains(reason), "{events:?}");
    assert!(!events[0].contains("\"stream\":"), "{events:?}");
}

#[test]
fn a_piece_of_a_line_is_not_read_as_a_whole_one() {
    let (events, _) =
        events(Envelope::Cri, b"2026-05-11T14:58:44.2Z stdout P 14:58:44.102 [info] GET /very/lo\n");
    assert!(events[0].contains("\"log.format\":\"raw\"") && !events[0].contains("url.path"), "{events:?}");
}

#[test]
fn each_dataset_has_its_run() {
    let buffer = buffer(b"{\"app\":\"x\"}\n{\"app\":\"y\"}\n{}\n{\"app\":\"X\"}\n");
    let chunk = pass("{app}").run(buffer.lines(), &facts(), NOW, usize::MAX);
    assert_eq!(chunk.runs.iter().map(|run| run.ends.len()).collect::<Vec<_>>(), [2, 1, 1]);
}

#[test]
fn on_a_kubernetes_node_each_line_tells_its_runtime() {
    let source = Source::new(SourceType::Kubernetes);
    let template = Template::parse("d").unwrap();
    let mut pass = Pass::new(&source, &template, Arc::default(), Spares::default(), 1 << 20, &Arc::default());
    let lines = b"2026-05-11T14:58:44.2Z stdout F {\"service.name\":\"x\",\"a\":1}\n\
        {\"log\":\"b\\n\",\"stream\":\"stderr\",\"time\":\"2026-05-11T14:58:45Z\"}\n\
        \0\0{\"log\":\"c\\n\",\"stream\":\"stderr\",\"time\":\"2026-05-11T14:58:46Z\"}\n";
    let mut chunk = pass.run(buffer(lines).lines(), &facts(), NOW, usize::MAX);
    chunk.runs.extend(pass.flush(NOW, usize::MAX).runs);
    let events: Vec<u8> = chunk.runs.into_iter().flat_map(|run| run.events).collect();
    let events = String::from_utf8(events).unwrap();
    for told in ["\"a\":1", "\"body\":\"b\"", "\"body\":\"c\"", "\"field.service.name\":\"x\""] {
        assert!(events.contains(told), "{told}: {events}");
    }
    assert_eq!(events.matches("\"log.iostream\":\"stderr\"").count(), 2, "{events}");
}

fn book(rules: &str) -> Arc<Book> {
    let written: BTreeMap<String, Vec<Rule>> = toml::from_str(rules).unwrap();
    let sections = Sections {
        transform: &Transform::default(),
        rules: &written["rule"],
        redaction: &Redaction::default(),
        columns: &Columns::default(),
    };
    Arc::new(Book::new(sections, None).unwrap().with_seed(7))
}

#[test]
fn rules_change_what_the_source_sets_too() {
    let rules = "[[rule]]\nname = \"r\"\nset = { team = \"blue\" }\nrename = { zone = \"region\" }\n\
        remove = [\"env*\", \"*.offset\"]\nwhen = [{ field = \"zone\", operator = \"=\", value = \"x\" }]";
    let mut constants = Constants::default();
    for (name, value) in [("team", "red"), ("zone", "x"), ("environment", "prod"), ("host.name", "h")] {
        constants.push(name, value);
    }
    let facts = StreamFacts { tells_offset: true, ..StreamFacts::new(constants) };
    let (source, template) = (Source::new(SourceType::Stdin), Template::parse("d").unwrap());
    let mut pass = Pass::new(&source, &template, Arc::default(), Spares::default(), 1 << 20, &book(rules));
    let chunk = pass.run(buffer(b"{\"env\":1,\"a\":2}\n").lines(), &facts, NOW, usize::MAX);
    let event = String::from_utf8(chunk.runs[0].events.clone()).unwrap();
    for there in
        ["\"team\":\"blue\"", "\"region\":\"x\"", "\"host.name\":\"h\"", "\"a\":2", "\"log.file.offset\":0"]
    {
        assert_eq!(event.matches(there).count(), 1, "{there}: {event}");
    }
    for gone in ["red", "zone", "env"] {
        assert!(!event.contains(gone), "{gone}: {event}");
    }
}

/// What a transform decides does not depend on how often an event has to come until it finds room, nor is it counted twice.
#[test]
fn an_event_without_room_is_decided_as_it_was() {
    let rules = "[[rule]]\nname = \"drop\"\nwhen = [{ field = \"n\", operator = \"=\", value = 7 }]\ndrop = true\n\
        [[rule]]\nname = \"by kind\"\nwhen = [{ field = \"kind\", operator = \"exists\" }]\n\
        sampler = { type = \"ema-throughput\", goal_throughput_per_s = 1, initial_sample_rate = 3, field_list = [\"kind\"] }\n\
        [[rule]]\nname = \"by id\"\nsampler = { type = \"deterministic\", sample_rate = 3 }\n";
    let lines: String = (0..90)
        .map(|n| match n % 3 {
            0 => format!("{{\"n\":{},\"kind\":\"{}\"}}\n", n % 10, n % 4),
            _ => format!("{{\"n\":{},\"request_id\":\"r{}\"}}\n", n % 10, n / 2),
        })
        .collect();
    let buffer = buffer_of(lines.as_bytes(), 1 << 16);
    let passed = |room_bytes: usize| {
        let book = book(rules);
        let (source, template) = (Source::new(SourceType::Stdin), Template::parse("d").unwrap());
        let mut pass = Pass::new(&source, &template, Arc::default(), Spares::default(), 1 << 20, &book);
        let (mut events, mut lost, mut from) = (Vec::new(), [0, 0], 0);
        loop {
            let rest = buffer.lines().skip_while(|line| line.start < from);
            let chunk = pass.run(rest, &facts(), NOW, room_bytes);
            events.extend(chunk.runs.into_iter().flat_map(|run| run.events));
            for (sum, claims) in lost.iter_mut().zip([&chunk.filtered, &chunk.sampled]) {
                *sum += claims.iter().map(|claim| claim.events).sum::<u32>();
            }
            from = chunk.end.max(from);
            if !chunk.more {
                break;
            }
        }
        (String::from_utf8(events).unwrap(), lost, book.tallies())
    };
    let all = passed(usize::MAX);
    assert!(all.1[0] == 9 && all.1[1] > 30 && all.0.matches("\"samplerate\":3,").count() > 10, "{all:?}");
    for room in [500, 700, 1_000, 1_500, 3_000] {
        assert_eq!(passed(room), all, "{room}");
    }
}
