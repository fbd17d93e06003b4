//! One synchronous pass over a chunk: envelope → parse → encode, into one run for each dataset.
//!
//! Takes the framed lines of one stream, gives encoded events and what became of each line. Pure: the time comes
//! in with the chunk.
//!
//! Invariants: no allocation per line once warm; the pass ends before the first event that would make its runs
//! larger than the room it was given, and the lines from there on are the next pass's.

use std::sync::{Arc, Mutex, PoisonError};

use hivetail_parsers::{
    Context, Date, Format, ParseError, Parser, Record, Scratch, Timestamp, Value,
    envelope::{self, Envelope, Inner},
    names,
};

use crate::{
    ack::Passed,
    batch::Run,
    config::{Source, Zone},
    dataset::{DatasetId, Datasets, FALLBACK, Template},
    encode::{Constants, Encoder, Event},
    frame::{CHUNK_BYTES, Framing, Line},
    spare::Spares,
};

/// What the pass has to know of a stream.
#[derive(Debug)]
pub struct StreamFacts {
    /// The fields that are the same for all its events.
    pub constants: Constants,
    /// Whether its positions are byte offsets that events should tell.
    pub tells_offset: bool,
    /// When it was last written to, for lines that tell no date; `None` for just now.
    pub date: Option<Timestamp>,
    /// The format that last succeeded.
    pub prefer: Option<Format>,
}

/// The encoded events of one dataset.
#[derive(Debug)]
pub struct Encoded {
    /// Where they go.
    pub dataset: DatasetId,
    /// The events, each followed by a comma.
    pub events: Vec<u8>,
    /// Where each ends in `events`.
    pub ends: Vec<u32>,
}

/// What a pass made of a chunk.
#[derive(Debug, Default)]
pub struct Chunk {
    /// One for each dataset.
    pub runs: Vec<Encoded>,
    /// The position after the last line that was passed.
    pub end: u64,
    /// What became of the lines.
    pub passed: Passed,
    /// Lines by the format that parsed them, in the order of [`Format::ALL`].
    pub by_format: [u64; Format::ALL.len()],
    /// Lines that no parser understood.
    pub unparsed: u64,
    /// Lines over the cap.
    pub cut: u64,
}

/// What became of a line.
enum Became {
    /// An event that costs so many bytes, in the format that parsed it.
    Event(usize, Result<Format, ParseError>),
    /// Nothing: there is nothing in it, or in its envelope.
    Nothing,
    /// It does not fit any more: the next chunk begins with it.
    NextChunks,
}

/// Passes the chunks of one source.
#[derive(Debug)]
pub struct Pass {
    envelope: Envelope,
    parser: Parser,
    zone: Zone,
    reserved: Vec<String>,
    /// Whether a parser or an envelope could set one of `reserved`.
    removes_reserved: bool,
    template: Template,
    fixed_dataset: Option<DatasetId>,
    datasets: Arc<Mutex<Datasets>>,
    scratch: Scratch,
    record: Record<'static>,
    encoder: Encoder,
    spares: Spares,
}

impl Pass {
    /// The pass that a source's configuration asks for; `dataset` is the process's own template.
    #[must_use]
    pub fn new(source: &Source, dataset: &Template, datasets: Arc<Mutex<Datasets>>, spares: Spares) -> Self {
        let constants = source.constants();
        let template = source.dataset.as_ref().map_or(dataset, |own| &own.0).with(&constants);
        let mut locked = datasets.lock().unwrap_or_else(PoisonError::into_inner);
        let fixed_dataset = template.fixed().map(|name| locked.id(&name));
        drop(locked);
        Self {
            envelope: source.envelope.0,
            parser: parser(source),
            zone: source.timezone.clone(),
            removes_reserved: constants.iter().any(|(name, _)| is_ever_parsed(name, source.envelope.0)),
            reserved: constants.into_iter().map(|(name, _)| name).collect(),
            template,
            fixed_dataset,
            datasets,
            scratch: Scratch::new(),
            record: Record::new(),
            encoder: Encoder::default(),
            spares,
        }
    }

    /// How the records that it passes are found in a stream.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        Framing::of(self.envelope)
    }

    /// Passes lines until there are no more, a chunk is full, or the runs fill `room_bytes`.
    pub fn run<'l>(
        &mut self,
        lines: impl Iterator<Item = Line<'l>>,
        facts: &mut StreamFacts,
        received: Timestamp,
        room_bytes: usize,
    ) -> Chunk {
        let mut chunk = Chunk::default();
        let zone_offset_s = self.zone.offset_s(received);
        let (mut cost, mut start) = (0, None);
        for line in lines {
            let begun = *start.get_or_insert(line.start);
            if line.start - begun >= CHUNK_BYTES as u64 {
                break;
            }
            match self.line(&line, facts, received, zone_offset_s, room_bytes - cost, &mut chunk.runs) {
                Became::Nothing => chunk.passed.blank += 1,
                Became::NextChunks => break,
                Became::Event(added, parsed) => {
                    cost += added;
                    chunk.passed.events += 1;
                    chunk.cut += u64::from(line.cut);
                    match parsed {
                        Ok(format) => {
                            facts.prefer =
                                Some(format).filter(|format| *format != Format::Raw).or(facts.prefer);
                            chunk.by_format[format as usize] += 1;
                        }
                        Err(_) => chunk.unparsed += 1,
                    }
                }
            }
            chunk.end = line.end;
        }
        chunk
    }

    /// One line into its run.
    #[inline]
    fn line(
        &mut self,
        line: &Line<'_>,
        facts: &StreamFacts,
        received: Timestamp,
        zone_offset_s: i32,
        room_bytes: usize,
        runs: &mut Vec<Encoded>,
    ) -> Became {
        self.scratch.reset();
        let mut record = std::mem::take(&mut self.record).recycle();
        let date = Some(Date::Before(facts.date.unwrap_or(received)));
        let context = Context { date, zone_offset_s, prefer: facts.prefer, reserved: &self.reserved };
        let opened = self.envelope.open(line.text, &context, &self.scratch, &mut record);
        let date = record.time.map_or(date, |time| Some(Date::Near(time.at)));
        let context = Context { date, ..context };
        let inner = opened.unwrap_or(Inner::whole(line.text));
        let blank = envelope::is_blank(inner.line);
        if blank && !envelope::tells_more(&record) {
            self.record = record.recycle();
            return Became::Nothing;
        }
        let parsed = match opened {
            Err(error) => {
                record.set("body", Value::Text(line.text));
                record.set("meta.parse_error", Value::text(error.0));
                Err(error)
            }
            Ok(_) if blank => {
                record.set("log.format", Value::text(Format::Raw.name()));
                Ok(Format::Raw)
            }
            Ok(Inner { by_platform, partial, line }) => {
                // What is but a piece of a line would be read as a whole one.
                let format = if by_platform || partial { Format::Raw } else { self.parser.format() };
                self.parser.parse_as(format, line, &context, &self.scratch, &mut record)
            }
        };
        if self.removes_reserved {
            record.remove(&self.reserved);
        }
        let dataset = match self.fixed_dataset {
            Some(id) => id,
            None => dataset_of(&self.template, &self.datasets, &record),
        };
        let index = run_index(runs, dataset, &self.spares);
        let run = &mut runs[index];
        let before = run.events.len();
        let event = Event {
            record: &record,
            constants: &facts.constants,
            offset: facts.tells_offset.then_some(line.start),
            received,
            line_cut: line.cut,
            partial: line.partial,
        };
        self.encoder.event(&mut run.events, &event);
        self.record = record.recycle();
        let cost = Run::cost(run.events.len() - before, 1);
        if cost > room_bytes {
            run.events.truncate(before);
            return Became::NextChunks;
        }
        run.ends.push(u32::try_from(run.events.len()).unwrap_or(u32::MAX));
        Became::Event(cost, parsed)
    }
}

/// The parser that a source's configuration asks for.
fn parser(source: &Source) -> Parser {
    let parser = Parser::new(source.format.0);
    match (&source.log_format, &source.elixir_format) {
        (Some(log_format), _) => parser.with_log_format(log_format.0.clone()),
        (None, Some(pattern)) => parser.with_elixir_format(pattern.0.clone()),
        (None, None) => parser,
    }
}

/// Whether events may have that field from their line or its envelope.
fn is_ever_parsed(name: &str, envelope: Envelope) -> bool {
    (name != "service.name" || envelope.names_service()) && names::type_of(name.as_bytes()).is_some()
}

/// The run of that dataset, begun if there is none. A chunk has few datasets, mostly one.
fn run_index(runs: &mut Vec<Encoded>, dataset: DatasetId, spares: &Spares) -> usize {
    runs.iter().position(|run| run.dataset == dataset).unwrap_or_else(|| {
        runs.push(Encoded { dataset, events: spares.take(), ends: Vec::new() });
        runs.len() - 1
    })
}

fn dataset_of(template: &Template, datasets: &Mutex<Datasets>, record: &Record<'_>) -> DatasetId {
    let name = template.fill(record);
    let mut datasets = datasets.lock().unwrap_or_else(PoisonError::into_inner);
    datasets.id(name.as_deref().unwrap_or(FALLBACK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{FieldName, SourceType},
        frame::LineBuffer,
    };

    fn facts() -> StreamFacts {
        StreamFacts { constants: Constants::default(), tells_offset: true, date: None, prefer: None }
    }

    fn buffer(text: &[u8]) -> LineBuffer {
        let mut buffer = LineBuffer::new(1_000);
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
        Pass::new(&Source::new(SourceType::File), &template, Arc::default(), Spares::default())
    }

    const NOW: Timestamp = Timestamp::from_ns(0);

    #[test]
    fn a_pass_ends_before_the_event_that_does_not_fit() {
        let buffer = buffer(b"{\"a\":1}\n{\"a\":2}\n \n{\"a\":3}\n");
        let mut pass = pass("d");
        let all = pass.run(buffer.lines(), &mut facts(), NOW, usize::MAX);
        assert_eq!((all.end, all.passed), (26, Passed { events: 3, blank: 1 }));
        let cost = Run::cost(all.runs[0].ends[1] as usize, 2);
        let some = pass.run(buffer.lines(), &mut facts(), NOW, cost);
        assert_eq!((some.end, some.passed), (18, Passed { events: 2, blank: 1 }));
        let fewer = pass.run(buffer.lines(), &mut facts(), NOW, cost - 1);
        assert_eq!((fewer.end, fewer.runs[0].ends.len()), (8, 1));
    }

    #[test]
    fn what_configuration_sets_input_does_not() {
        let mut source = Source::new(SourceType::File);
        source.fields.insert(FieldName("client.address".to_owned()), "hidden".to_owned());
        let template = Template::parse("d").unwrap();
        let mut pass = Pass::new(&source, &template, Arc::default(), Spares::default());
        let line = b"1.2.3.4 - - [21/Nov/2026:20:52:42 +0000] \"GET / HTTP/1.1\" 200 2 \"-\" \"curl\"\n";
        let mut facts = facts();
        facts.constants.push("client.address", "hidden");
        let chunk = pass.run(buffer(line).lines(), &mut facts, NOW, usize::MAX);
        let event = String::from_utf8(chunk.runs[0].events.clone()).unwrap();
        assert_eq!(event.matches("client.address").count(), 1, "{event}");
        assert!(!event.contains("1.2.3.4"), "{event}");
    }

    fn events(envelope: Envelope, text: &[u8]) -> (Vec<String>, Passed) {
        let mut source = Source::new(SourceType::File);
        source.envelope.0 = envelope;
        let template = Template::parse("d").unwrap();
        let mut pass = Pass::new(&source, &template, Arc::default(), Spares::default());
        let chunk = pass.run(buffer(text).lines(), &mut facts(), NOW, usize::MAX);
        let events = String::from_utf8(chunk.runs.into_iter().flat_map(|run| run.events).collect()).unwrap();
        (events.split_inclusive("}},").map(str::to_owned).collect(), chunk.passed)
    }

    #[test]
    fn a_blank_line_in_an_envelope_that_tells_more_is_an_event() {
        let (events, passed) = events(
            Envelope::Syslog,
            b"<165>1 2003-10-11T22:14:15Z h app - ID47 [x@1 a=\"b\"]\n<165>1 2003-10-11T22:14:15Z h app - - - \n",
        );
        assert_eq!(passed, Passed { events: 1, blank: 1 });
        assert!(events[0].contains("\"x@1.a\":\"b\"") && !events[0].contains("\"body\""), "{events:?}");
        assert!(!events[0].contains("meta.parse_error"), "{events:?}");
    }

    #[test]
    fn a_colour_code_alone_is_a_blank_line() {
        let (_, passed) = events(Envelope::None, b"\x1b[22m\n \x1b[0m\x1b[38:2:1m\n\x1b[0mx\n");
        assert_eq!(passed, Passed { events: 1, blank: 2 });
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
        assert!(
            events[0].contains("\"log.format\":\"raw\"") && !events[0].contains("url.path"),
            "{events:?}"
        );
    }

    #[test]
    fn each_dataset_has_its_run() {
        let buffer = buffer(b"{\"app\":\"x\"}\n{\"app\":\"y\"}\n{}\n{\"app\":\"X\"}\n");
        let chunk = pass("{app}").run(buffer.lines(), &mut facts(), NOW, usize::MAX);
        assert_eq!(chunk.runs.iter().map(|run| run.ends.len()).collect::<Vec<_>>(), [2, 1, 1]);
    }
}
