//! How the lines of a source are read: what is round them, how they belong together, and what they are.

use hivetail_parsers::{
    Context, Date, Format, ParseError, Parser, Record, Scratch, Timestamp, Value,
    envelope::{self, Envelope, Inner},
    names,
};

use super::Moment;
use crate::{
    budget::JoinShare,
    config::{Source, SourceType, Zone},
    join::{
        Settings,
        lines::{Pending, Rule},
    },
    transform::Book,
};

/// Reads lines as a source's configuration says.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) envelope: Envelope,
    /// Whether each line tells by its first byte which runtime wrote it.
    by_runtime: bool,
    pub(super) parser: Parser,
    pub(super) joins: Settings,
    zone: Zone,
    /// The fields that configuration sets.
    reserved: Vec<String>,
    /// Whether a parser or an envelope could set one of them.
    removes_reserved: bool,
}

impl Reader {
    pub(super) fn new(source: &Source, share: JoinShare, book: &Book) -> Self {
        let constants = source.constants();
        Self {
            envelope: source.envelope.0,
            by_runtime: source.kind == SourceType::Kubernetes,
            parser: parser(source, book),
            joins: source.joins(share),
            zone: source.timezone.clone(),
            removes_reserved: constants.iter().any(|(name, _)| is_ever_parsed(name, source.envelope.0)),
            reserved: source.reserved(),
        }
    }

    pub(super) fn is_enveloped(&self) -> bool {
        self.envelope != Envelope::None
    }

    /// Whether a line that begins no event begins one all the same where none is open.
    pub(super) const fn joins_strays(&self) -> bool {
        matches!(self.joins.rule, Rule::Starts(_) | Rule::Indented)
    }

    /// Whether there is no room in an event for one more line.
    pub(super) const fn is_full(&self, pending: &Pending, line: &[u8]) -> bool {
        pending.lines.len() >= self.joins.lines_max
            || pending.text.len() + line.len() >= self.joins.event_bytes_max
    }

    /// When an event has waited long enough for its next line.
    pub(super) const fn ends_ms(&self, pending: &Pending) -> u64 {
        let wait = if pending.split { self.joins.partial_timeout_ms } else { self.joins.timeout_ms };
        pending.taken_ms.saturating_add(wait)
    }

    fn context(&self, date: Date, moment: Moment, prefer: Option<Format>) -> Context<'_> {
        Context {
            date: Some(date),
            zone_offset_s: self.zone.offset_s(moment.received),
            prefer,
            reserved: &self.reserved,
            ..Context::default()
        }
    }

    /// Opens the line's envelope; `date` is when its stream was last written to.
    pub(super) fn open<'a>(
        &self,
        line: &'a [u8],
        date: Option<Timestamp>,
        moment: Moment,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<Inner<'a>, ParseError> {
        if !self.is_enveloped() {
            return Ok(Inner::whole(line));
        }
        let context = self.context(Date::Before(date.unwrap_or(moment.received)), moment, None);
        self.envelope_of(line).open(line, &context, scratch, record)
    }

    /// What is round a line: on a Kubernetes node Docker's object, or CRI's prefix. NULs before it are what a truncated
    /// file goes on after.
    fn envelope_of(&self, line: &[u8]) -> Envelope {
        match line.iter().find(|byte| **byte != 0) {
            _ if !self.by_runtime => self.envelope,
            Some(b'{') => Envelope::Docker,
            _ => Envelope::Cri,
        }
    }

    /// Parses what was in the envelope of `line`.
    #[expect(clippy::too_many_arguments, reason = "all that a line's meaning depends on")]
    pub(super) fn parse<'a>(
        &self,
        opened: Result<Inner<'a>, ParseError>,
        line: &'a [u8],
        date: Option<Timestamp>,
        moment: Moment,
        prefer: Option<Format>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<Format, ParseError> {
        let parsed = match opened {
            Err(error) => {
                record.set("body", Value::Text(line));
                record.set("meta.parse_error", Value::text(error.0));
                Err(error)
            }
            Ok(inner) if envelope::is_blank(inner.line) => {
                record.set("log.format", Value::text(Format::Raw.name()));
                Ok(Format::Raw)
            }
            Ok(inner) => {
                let format = if inner.by_platform { Format::Raw } else { self.parser.format() };
                let near = record.time.map(|time| Date::Near(time.at));
                let date = near.unwrap_or(Date::Before(date.unwrap_or(moment.received)));
                let context = self.context(date, moment, prefer);
                self.parser.parse_as(format, inner.line, &context, scratch, record)
            }
        };
        if self.removes_reserved {
            record.remove(&self.reserved);
        }
        parsed
    }

    /// Parses a pending event, whose first line's envelope is opened again.
    pub(super) fn parse_pending<'a>(
        &self,
        pending: &'a Pending,
        moment: Moment,
        prefer: Option<Format>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<Format, ParseError> {
        let moment = Moment { received: pending.received, ..moment };
        // It was opened before, so it opens again; its line is in the text.
        let opened = self.open(&pending.first, pending.date, moment, scratch, record);
        let text = pending.text.trim_ascii_end();
        // A piece of a line would be read as a whole one.
        let by_platform = pending.split;
        let inner = opened.map(|_| Inner { by_platform, ..Inner::whole(text) });
        self.parse(inner, text, pending.date, moment, prefer, scratch, record)
    }
}

/// The parser that a source's configuration asks for.
fn parser(source: &Source, book: &Book) -> Parser {
    let parser = Parser::new(source.format.0)
        .with_secret_names(book.secret_names.clone())
        .with_filter_parameters(source.filter_parameters.clone())
        .with_url_shapes(source.url_shapes.0.clone().with_params(source.url_params.clone()));
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
