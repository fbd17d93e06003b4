//! Requests of several streams at once, their lines mixed at random, some lost, clocks stepping, chunks cut anywhere,
//! room scarce: no line is lost, and no event has a field of another request.

use std::{collections::BTreeMap, sync::Arc};

use hivetail::{
    ack::{Claim, Ledger, Outcome, StreamId},
    config::{EnvelopeName, FormatName, Source, SourceType},
    dataset::Template,
    encode::Constants,
    frame::LineBuffer,
    pass::{Chunk, Moment, Pass, StreamFacts},
    spare::Spares,
};
use hivetail_parsers::{Format, envelope::Envelope, timestamp};
use proptest::prelude::*;
use serde_json::Value;

/// A request of our making: its path tells its number.
#[derive(Clone, Debug)]
struct Made {
    /// Some share an id with others.
    shared: Option<u8>,
    status: u16,
    logs: u8,
    queries: u8,
    sends: bool,
    crashes: bool,
    stream: bool,
    lane: bool,
}

fn made() -> impl Strategy<Value = Made> {
    let counts = (0_u8..3, 0_u8..3);
    let flags = (prop::bool::weighted(0.9), prop::bool::weighted(0.2), any::<bool>(), any::<bool>());
    let shared = prop::option::weighted(0.02, 0_u8..2);
    (shared, prop::sample::select(vec![200_u16, 302, 404, 500, 503]), counts, flags).prop_map(
        |(shared, status, (logs, queries), (sends, crashes, stream, lane))| {
            // The late crash of one that was shipped would be the next one's that has its id.
            let crashes = crashes && status >= 500 && shared.is_none();
            Made { shared, status, logs, queries, sends, crashes, stream, lane }
        },
    )
}

impl Made {
    fn id(&self, number: usize) -> String {
        self.shared.map_or_else(|| format!("own-id-of-{number:010}"), |id| format!("shared-id-of-{id:010}"))
    }

    /// What it logs, each line with its number.
    fn events(&self, number: usize) -> Vec<String> {
        let mut events = vec![format!("[info] GET /r/n{number}")];
        events.push(format!("[debug] Processing with C{number}.c/2\n  Parameters: %{{\"n\" => \"{number}\"}}\n  Pipelines: [:b]"));
        events.extend(
            (0..self.queries).map(|_| format!("[debug] QUERY OK db={number}.0ms\nSELECT n{number} []")),
        );
        events.extend(
            (0..self.logs).map(|log| format!("[error] log {log} of n{number}\n  and more of n{number}")),
        );
        if self.sends {
            events.push(format!("[info] Sent {} in {number}ms", self.status));
        }
        if self.crashes {
            events.push(format!(
                "[error] ** (E{number}) n{number}\n    (a 0.1.0) lib/a.ex:{number}: A.n{number}/1"
            ));
        }
        events
    }
}

/// One line as it is written: its stream, its lane, its text.
type Written = (bool, bool, String);

/// The lines of all requests, mixed, each event's lines together; `picks` says whose turn it is, and what is lost.
fn mixed(requests: &[Made], picks: &[(prop::sample::Index, u8)]) -> Vec<Written> {
    let numbered = requests.iter().enumerate();
    let mut left: Vec<(&Made, String, Vec<String>)> =
        numbered.map(|(number, made)| (made, made.id(number), made.events(number))).collect();
    left.iter_mut().for_each(|(_, _, events)| events.reverse());
    let (mut written, mut ms) = (Vec::new(), 40_000_000_i64);
    for (index, chance) in picks.iter().cycle() {
        left.retain(|(_, _, events)| !events.is_empty());
        if left.is_empty() {
            break;
        }
        let turn = index.index(left.len());
        let (made, id, events) = &mut left[turn];
        let event = events.pop().unwrap_or_default();
        ms += match chance {
            0..2 => -3_600_000,
            2..4 => 90_000,
            _ => i64::from(*chance % 8),
        };
        // Of requests that share an id, a lost line would leave nothing to tell them by.
        if *chance < 240 || made.shared.is_some() {
            let at = ms.rem_euclid(86_400_000);
            let time = format!(
                "{:02}:{:02}:{:02}.{:03}",
                at / 3_600_000,
                at / 60_000 % 60,
                at / 1_000 % 60,
                at % 1_000
            );
            let text = format!("{time} request_id={id} {event}");
            written.extend(text.lines().map(|line| (made.stream, made.lane, line.to_owned())));
        }
    }
    written
}

/// A ledger and two streams, through one pass.
struct Run {
    pass: Pass,
    ledger: Ledger,
    events: Vec<Value>,
    room: usize,
}

impl Run {
    fn new(envelope: Envelope, room: usize, join_bytes_max: usize) -> Self {
        let mut source = Source::new(SourceType::File);
        source.format = FormatName(Format::Phoenix);
        source.envelope = EnvelopeName(envelope);
        let dataset = Template::parse("one").unwrap();
        let pass =
            Pass::new(&source, &dataset, Arc::default(), Spares::default(), join_bytes_max, &Arc::default());
        Self { pass, ledger: Ledger::default(), events: Vec::new(), room }
    }

    const NOW: &[u8] = b"2026-11-21T23:00:00Z";

    fn moment() -> Moment {
        Moment::at(timestamp::rfc3339(Self::NOW).unwrap())
    }

    fn enter(&mut self, chunk: Chunk, stream: StreamId, position: u64) {
        let span = self.ledger.open_span(stream, chunk.end.max(position), chunk.passed, &chunk.held);
        for run in chunk.runs {
            self.events.extend(run.texts().map(|text| serde_json::from_slice::<Value>(text).unwrap()));
            for claim in run.claims {
                let claim = Claim { span, ..claim };
                self.ledger.decide(&claim, claim.events, Outcome::Accepted);
            }
        }
        assert_eq!(self.ledger.counts().balance(), 0);
    }

    /// Reads both streams in turns, in pieces of `cuts`.
    fn read(&mut self, texts: &[Vec<u8>; 2], cuts: &[usize]) {
        let open = |ledger: &mut Ledger, lineage| {
            let stream = ledger.open_stream(hivetail::ack::End::default());
            StreamFacts { stream, lineage, tells_offset: true, ..StreamFacts::new(Constants::default()) }
        };
        let facts = [open(&mut self.ledger, 0), open(&mut self.ledger, 1)];
        let mut buffers = [LineBuffer::new(10_000), LineBuffer::new(10_000)];
        let mut rests = [&texts[0][..], &texts[1][..]];
        for cut in cuts.iter().cycle() {
            if rests.iter().all(|rest| rest.is_empty()) {
                break;
            }
            for ((facts, buffer), rest) in facts.iter().zip(&mut buffers).zip(&mut rests) {
                let len = (*cut).min(rest.len());
                let filled: Result<usize, ()> = buffer.fill(|room, _| {
                    room[..len].copy_from_slice(&rest[..len]);
                    Ok(len)
                });
                *rest = &rest[filled.unwrap_or_default()..];
                while buffer.has_line() {
                    let chunk = self.pass.run(buffer.lines(), facts, Self::moment(), self.room);
                    let position = buffer.position();
                    buffer.take(chunk.end.max(position));
                    self.enter(chunk, facts.stream, position);
                }
            }
        }
        loop {
            let chunk = self.pass.flush(Self::moment(), self.room);
            let more = chunk.more;
            self.enter(chunk, facts[0].stream, buffers[0].position());
            if !more {
                break;
            }
        }
    }
}

/// No event has a field of another request than the one that its path, or its text, names.
fn check(event: &Value, requests: &[Made]) -> Result<(), TestCaseError> {
    let data = &event["data"];
    let text = |name: &str| data[name].as_str().unwrap_or_default();
    let Some(number) = text("url.path").strip_prefix("/r/n").and_then(|number| number.parse::<usize>().ok())
    else {
        return Ok(());
    };
    let made = &requests[number];
    prop_assert_eq!(text("request_id"), made.id(number), "{}", data);
    let sent = data["http.response.status_code"].as_u64();
    if data["meta.ambiguous"] != true {
        prop_assert!(sent.is_none_or(|status| status == u64::from(made.status)), "{}", data);
        prop_assert!(sent.is_none() || data["duration_ms"] == number as f64, "{}", data);
    }
    for (name, own) in [
        ("phoenix.controller", format!("C{number}")),
        ("phoenix.params", format!("%{{\"n\" => \"{number}\"}}")),
        ("db.query.text", format!("SELECT n{number}")),
        ("exception.type", format!("E{number}")),
    ] {
        prop_assert!(data[name].is_null() || text(name) == own, "{name} in {}", data);
    }
    for (name, most) in [("db.query.count", made.queries), ("log.error_count", made.logs)] {
        prop_assert!(data[name].as_u64().unwrap_or_default() <= u64::from(most), "{name} in {}", data);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_line_is_lost_and_no_field_is_anothers(
        requests in prop::collection::vec(made(), 1..60),
        picks in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 50..200),
        cuts in prop::collection::vec(1_usize..3_000, 1..20),
        enveloped in any::<bool>(),
        room in 1_500_usize..20_000,
    ) {
        let written = mixed(&requests, &picks);
        let mut texts = [Vec::new(), Vec::new()];
        for (stream, lane, line) in &written {
            let lane = if *lane { "stdout" } else { "stderr" };
            let envelope = if enveloped { format!("2026-11-21T12:00:00Z {lane} F ") } else { String::new() };
            texts[usize::from(*stream)].extend_from_slice(format!("{envelope}{line}\n").as_bytes());
        }
        let envelope = if enveloped { Envelope::Cri } else { Envelope::None };
        // Once a request was evicted, another with its id would get its answer.
        let join_bytes_max = if requests.iter().any(|made| made.shared.is_some()) { 1_000_000 } else { 20_000 };
        let mut run = Run::new(envelope, room, join_bytes_max);
        run.read(&texts, &cuts);
        let counts = run.ledger.counts();
        prop_assert_eq!((counts.read, counts.open), (written.len() as u64, 0));
        prop_assert_eq!(counts.accepted, run.events.len() as u64);
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for event in &run.events {
            check(event, &requests)?;
            *seen.entry(event["data"]["url.path"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        let begun = written.iter().filter(|(_, _, line)| line.contains("] GET ")).count();
        let once = seen.iter().filter(|(path, count)| path.starts_with("/r/") && **count == 1).count();
        prop_assert_eq!(once, begun, "each request that was begun is one event");
    }
}
