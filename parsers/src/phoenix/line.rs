//! One Logger event: its time, metadata, level and message, and the fields that they become.
//!
//! Without a pattern of the source's own it takes the forms that programs print unconfigured: Elixir's default
//! and what `mix phx.new` writes, `$time $metadata[$level] $message`, also with `$date ` or `$dateT` before
//! it, a `Z` after the time, and the `$levelpad` of Elixir 1.10 to 1.13 (`logger/lib/logger/formatter.ex`).
//! Lines in the form of `mix phx.new`'s dev.exs, `[$level] $message`, are believed in a source that was told to be
//! Phoenix's; elsewhere other programs begin lines like that too. The level is the first `[known level] ` that comes
//! after sound metadata. Colour codes are stripped first; blank lines before the event (the default pattern
//! begins with one) are skipped. A text of several lines is one event whose message has line breaks.

use memchr::memchr_iter;

use super::{message, metadata, pattern::Pattern};
use crate::{
    Context, Date, Format, ParseError, ansi,
    record::{Level, Record, Role, Scratch, Time, TimeSource, Value},
    timestamp::{self, Timestamp},
};

/// How far an app's clock may be from its envelope's before the envelope is believed.
const CLOCK_DRIFT_MAX_NS: u64 = 5_000_000_000;

/// The lengths of `$date` and `$time`.
pub(super) const DATE_LEN: usize = b"2026-11-21".len();
pub(super) const TIME_LEN: usize = b"20:57:24.960".len();

/// What stands in the places of a pattern; what it has no place for is empty or `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Event<'a> {
    pub(super) date: Option<&'a [u8; DATE_LEN]>,
    pub(super) time: Option<&'a [u8; TIME_LEN]>,
    /// Whether a `Z` follows the time.
    pub(super) utc: bool,
    pub(super) metadata: &'a [u8],
    pub(super) level: Option<Level<'a>>,
    pub(super) node: &'a [u8],
    pub(super) message: &'a [u8],
}

/// Appends the line's fields to `record`, if it begins with a time; or if it begins with a level, and its message is of
/// a kind that is known or the lane's last line was Phoenix's.
pub(crate) fn parse<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let text = without_decoration(line, scratch);
    let reason = match timed(text) {
        Ok(event) => return event.set(context, scratch, record),
        Err(reason) => reason,
    };
    let event = untimed(text).ok_or(reason)?;
    let before = record.fields().len();
    event.set(context, scratch, record)?;
    let is_known_kind = record.fields().len() > before + usize::from(!event.message.is_empty());
    (is_known_kind || context.prefer == Some(Format::Phoenix)).then_some(()).ok_or(reason)
}

/// Appends the fields of a line of a source that was told to be Phoenix's: with a time or without.
pub(crate) fn parse_told<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let text = without_decoration(line, scratch);
    untimed(text).map_or_else(|| timed(text), Ok)?.set(context, scratch, record)
}

/// Appends the fields of a line of a source whose pattern is known.
pub(crate) fn parse_with<'a>(
    pattern: &Pattern,
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let event = pattern.split(without_decoration(line, scratch));
    event.ok_or(ParseError("not in the source's Logger pattern"))?.set(context, scratch, record)
}

/// The line without its colours, and without the blank lines before it.
pub(super) fn without_decoration<'a>(line: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    let mut text = ansi::strip(line, scratch);
    while let [b'\n' | b'\r', rest @ ..] = text {
        text = rest;
    }
    text
}

/// `[$date ]$time $metadata[$level] $message`.
pub(super) fn timed(text: &[u8]) -> Result<Event<'_>, ParseError> {
    const NO_TIME: ParseError = ParseError("no Logger time at the line's start");
    let (date, rest) = match date(text) {
        Some((date, [b' ' | b'T', rest @ ..])) => (Some(date), rest),
        _ => (None, text),
    };
    let (time, rest) = time(rest).ok_or(NO_TIME)?;
    let (utc, rest) = rest.strip_prefix(b"Z").map_or((false, rest), |rest| (true, rest));
    let rest = rest.strip_prefix(b" ").ok_or(NO_TIME)?;
    let (metadata, level, message) =
        split_at_level(rest).ok_or(ParseError("no [level] after the Logger time"))?;
    let message = match message {
        // Elixir up to 1.13 pads four-letter levels by one blank; a message with an indent keeps its own.
        [b' ', padded @ ..] if level.text.len() == 4 && !padded.starts_with(b" ") => padded,
        message => message,
    };
    Ok(Event { date, time: Some(time), utc, metadata, level: Some(level), node: b"", message })
}

/// `[$level] $message`.
pub(super) fn untimed(text: &[u8]) -> Option<Event<'_>> {
    let (level, message) = bracketed_level(text)?;
    Some(Event { level: Some(level), message, ..Event::default() })
}

/// The `$date` that `text` begins with, and the rest. Whether that date exists is seen when it is read.
pub(super) fn date(text: &[u8]) -> Option<(&[u8; DATE_LEN], &[u8])> {
    text.split_first_chunk().filter(|(date, _)| matches!(date, [_, _, _, _, b'-', _, _, b'-', _, _]))
}

/// The `$time` that `text` begins with, and the rest, like [`date`].
pub(super) fn time(text: &[u8]) -> Option<(&[u8; TIME_LEN], &[u8])> {
    text.split_first_chunk().filter(|(time, _)| matches!(time, [_, _, b':', _, _, b':', _, _, b'.', _, _, _]))
}

/// `rest` → the metadata, the level, the message.
fn split_at_level(rest: &[u8]) -> Option<(&[u8], Level<'_>, &[u8])> {
    let has_metadata = metadata::key_len(rest) > 0;
    memchr_iter(b'[', rest).find_map(|open| {
        let (level, message) = bracketed_level(&rest[open..])?;
        let metadata = &rest[..open];
        let sound = metadata.is_empty() || (has_metadata && metadata.ends_with(b" "));
        sound.then_some((metadata, level, message))
    })
}

/// `[info] GET /` → the level, the message. The blank may be missing where nothing follows.
fn bracketed_level(text: &[u8]) -> Option<(Level<'_>, &[u8])> {
    let (level, rest) = level(text.strip_prefix(b"[")?)?;
    let rest = rest.strip_prefix(b"]")?;
    let message = rest.strip_prefix(b" ").or(rest.is_empty().then_some(rest))?;
    Some((level, message))
}

/// The level that `text` begins with, and the rest: one of Logger's own words.
pub(super) fn level(text: &[u8]) -> Option<(Level<'_>, &[u8])> {
    const LONGEST: usize = b"emergency".len();
    let len = text.iter().take(LONGEST).take_while(|byte| byte.is_ascii_lowercase()).count();
    let (word, rest) = text.split_at(len);
    let severity = match word {
        b"debug" => "debug",
        b"info" | b"notice" => "info",
        b"warning" | b"warn" => "warn",
        b"error" => "error",
        b"critical" | b"alert" | b"emergency" => "fatal",
        _ => return None,
    };
    Some((Level { severity, text: word }, rest))
}

impl<'a> Event<'a> {
    fn set(
        &self,
        context: &Context<'_>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<(), ParseError> {
        self.set_time(context, record)?;
        record.level = self.level.or(record.level);
        record.role = Role::Logged;
        // Before anything is taken from it, so that what is taken has no secrets either.
        let message = crate::secrets::text(self.message, context.secret_names, scratch);
        record.set_text("body", message);
        metadata::set(self.metadata, context.secret_names, scratch, record);
        if !self.node.is_empty() && record.get("elixir.node").is_none() {
            record.set("elixir.node", Value::Text(self.node));
        }
        message::set(message, context, scratch, record);
        Ok(())
    }

    fn set_time(&self, context: &Context<'_>, record: &mut Record<'_>) -> Result<(), ParseError> {
        const NO_SUCH_TIME: ParseError = ParseError("a Logger time that does not exist");
        let Some(time) = self.time else { return Ok(()) };
        let zone_offset_s = if self.utc { 0 } else { context.zone_offset_s };
        if let Some(date) = self.date {
            let mut text = *b"0000-00-00 00:00:00.000";
            text[..DATE_LEN].copy_from_slice(date);
            text[DATE_LEN + 1..].copy_from_slice(time);
            let at = timestamp::date_time(&text, zone_offset_s).ok_or(NO_SUCH_TIME)?;
            let source = if self.utc { TimeSource::Log } else { TimeSource::Inferred };
            record.time = Some(Time { at, source });
            return Ok(());
        }
        let date = context.date.unwrap_or(Date::Near(Timestamp::from_ns(0)));
        let at = timestamp::time_of_day(time, zone_offset_s, date).ok_or(NO_SUCH_TIME)?;
        // A time of day far from the envelope's is in a zone we were not told: the envelope knows better.
        let trusted =
            record.time.is_none_or(|envelope| envelope.at.ns().abs_diff(at.ns()) <= CLOCK_DRIFT_MAX_NS);
        if trusted {
            record.time = Some(Time { at, source: TimeSource::Inferred });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed<'a>(line: &'a str, scratch: &'a Scratch) -> Result<Record<'a>, ParseError> {
        let date = timestamp::rfc3339(b"2026-11-21T00:00:01Z").map(Date::Near);
        let mut record = Record::new();
        parse(line.as_bytes(), &Context { date, ..Context::default() }, scratch, &mut record).map(|()| record)
    }

    fn time(record: &Record<'_>) -> String {
        let mut out = Vec::new();
        record.time.unwrap().at.write_rfc3339(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_without_a_time_is_believed_for_what_it_says_or_what_came_before() {
        let read = |line: &str, prefer| {
            let context = Context { prefer, ..Context::default() };
            parse(line.as_bytes(), &context, &Scratch::new(), &mut Record::new()).is_ok()
        };
        for known in
            ["[info] GET /x", "[info] Sent 200 in 812µs", "[debug] Processing with A.BController.c/2"]
        {
            assert!(read(known, None), "{known}");
        }
        for unknown in ["[error] no such file", "[notice] 12#12: start worker process 29", "[info] "] {
            assert!(!read(unknown, None) && !read(unknown, Some(Format::Nginx)), "{unknown}");
            assert!(read(unknown, Some(Format::Phoenix)), "{unknown}");
        }
        assert!(!read("[loud] GET /x", Some(Format::Phoenix)));
    }

    #[test]
    fn metadata_values_hold_blanks_and_brackets() {
        let scratch = Scratch::new();
        let line = "2026-11-20 21:13:54.233 request_id=client id with spaces 9 pid=<0.1.0> line=12 \
                    user_agent=M [x] (y) mfa=A.b/1 [warning] x [info] y=z";
        let record = parsed(line, &scratch).unwrap();
        for (name, value) in [
            ("body", "x [info] y=z"),
            ("request_id", "client id with spaces 9"),
            ("elixir.pid", "<0.1.0>"),
            ("elixir.user_agent", "M [x] (y)"),
            ("code.function.name", "A.b/1"),
        ] {
            assert_eq!(record.get(name), Some(Value::text(value)), "{name}");
        }
        assert_eq!(record.level, Level::of(b"warning"));
        assert_eq!(record.get("code.line.number"), Some(Value::Int(12)));
        assert_eq!(time(&record), "2026-11-20T21:13:54.233Z");
    }

    #[test]
    fn a_bare_time_finds_its_date_and_colours_go() {
        let scratch = Scratch::new();
        let record = parsed("\x1b[0m\x1b[31m23:59:59.960 [critical] ", &scratch).unwrap();
        assert_eq!(time(&record), "2026-11-20T23:59:59.960Z");
        assert_eq!(record.level.map(|level| level.severity), Some("fatal"));
        assert!(record.is_error());
        assert_eq!(record.get("body"), None);
    }

    #[test]
    fn the_envelope_is_believed_when_the_zones_differ() {
        let scratch = Scratch::new();
        let at = timestamp::rfc3339(b"2026-11-21T12:00:01Z").unwrap();
        for (line, source) in
            [("12:00:00.500 [info] x", TimeSource::Inferred), ("07:00:00.500 [info] x", TimeSource::Envelope)]
        {
            let mut record = Record::new();
            record.time = Some(Time { at, source: TimeSource::Envelope });
            let context = Context { date: Some(Date::Near(at)), ..Context::default() };
            parse(line.as_bytes(), &context, &scratch, &mut record).unwrap();
            assert_eq!(record.time.unwrap().source, source);
        }
    }

    #[test]
    fn a_value_that_looks_like_metadata_does_not_replace_it() {
        let scratch = Scratch::new();
        let record =
            parsed("10:00:00.000 request_id=own user_agent=x request_id=forged [info] x", &scratch).unwrap();
        assert_eq!(record.get("request_id"), Some(Value::text("own")));
        assert_eq!(record.fields().iter().filter(|field| field.key.bytes() == b"request_id").count(), 1);
    }

    #[test]
    fn trace_ids_need_to_be_real() {
        let scratch = Scratch::new();
        let ids = "otel_trace_id=0af7651916cd43dd8448eb211c80319c otel_span_id=b7ad6b7169203331";
        let record = parsed(&format!("10:00:00.000 {ids} [info] x"), &scratch).map(|r| r.fields().len());
        assert_eq!(record, Ok(4));
        let zero = "10:00:00.000 otel_trace_id=00000000000000000000000000000000 [info] x";
        let record = parsed(zero, &scratch).unwrap();
        assert_eq!(record.get("trace.trace_id"), None);
        assert!(record.get("elixir.otel_trace_id").is_some(), "nothing disappears");
    }

    #[test]
    fn forms_seen_unconfigured() {
        let scratch = Scratch::new();
        let inferred = TimeSource::Inferred;
        for (line, at, source, body) in [
            ("2026-11-20T21:13:54.233 a=1 [info] x", "2026-11-20T21:13:54.233Z", inferred, "x"),
            ("2026-11-20T21:13:54.233Z [info] x", "2026-11-20T21:13:54.233Z", TimeSource::Log, "x"),
            (
                "\x1b[22m\n23:59:59.960 [info]  padded by 1.13",
                "2026-11-20T23:59:59.960Z",
                inferred,
                "padded by 1.13",
            ),
            ("23:59:59.960 [info]   its own", "2026-11-20T23:59:59.960Z", inferred, "  its own"),
            ("23:59:59.960 [error]  its own", "2026-11-20T23:59:59.960Z", inferred, " its own"),
            (
                "23:59:59.960 dd.trace_id=1 a?=b [info] x (truncated)",
                "2026-11-20T23:59:59.960Z",
                inferred,
                "x (truncated)",
            ),
            ("23:59:59.960 note=line1\nline2 [info] x\ny", "2026-11-20T23:59:59.960Z", inferred, "x\ny"),
        ] {
            let record = parsed(line, &scratch).unwrap();
            assert_eq!(time(&record), at, "{line}");
            assert_eq!(record.time.map(|time| time.source), Some(source), "{line}");
            assert_eq!(record.get("body"), Some(Value::text(body)), "{line}");
        }
    }

    #[test]
    fn lines_without_time_are_for_sources_that_were_told() {
        let scratch = Scratch::new();
        let other = b"[warning] a message of any program";
        assert!(parse(other, &Context::default(), &scratch, &mut Record::new()).is_err());
        assert!(parse_told(other, &Context::default(), &scratch, &mut Record::new()).is_ok());
        let mut record = Record::new();
        let line = b"\x1b[0m\x1b[33m[warning] GET /a";
        parse_told(line, &Context::default(), &scratch, &mut record).unwrap();
        assert_eq!(record.level, Level::of(b"warning"));
        assert_eq!(record.time, None);
        assert_eq!(record.get("url.path"), Some(Value::text("/a")));
        for other in ["[loud] x", "[info]x", " [info] x", "[info", "info x"] {
            assert!(
                parse_told(other.as_bytes(), &Context::default(), &scratch, &mut record).is_err(),
                "{other}"
            );
        }
    }

    #[test]
    fn a_pattern_of_ones_own() {
        let scratch = Scratch::new();
        let pattern = Pattern::parse("$node|$level|$timeZ $date|$metadata|$message\n").unwrap();
        let mut record = Record::new();
        let line = b"app@host|notice|20:57:24.960Z 2026-11-21|request_id=a |Sent 200 in 1ms";
        parse_with(&pattern, line, &Context::default(), &scratch, &mut record).unwrap();
        assert_eq!(time(&record), "2026-11-21T20:57:24.960Z");
        assert_eq!(record.time.map(|time| time.source), Some(TimeSource::Log));
        for (name, value) in [("elixir.node", "app@host"), ("request_id", "a"), ("name", "Sent")] {
            assert_eq!(record.get(name), Some(Value::text(value)), "{name}");
        }
        assert!(
            parse_with(&pattern, b"20:57:24.960 [info] x", &Context::default(), &scratch, &mut record)
                .is_err()
        );
    }

    #[test]
    fn other_lines_are_refused() {
        let scratch = Scratch::new();
        for line in [
            "",
            "\n",
            "  Parameters: %{}",
            "25:00:00.000 [info] x",
            "2026-13-01 10:00:00.000 [info] x",
            "10:00:00.000 [loud] x",
            "10:00:00.000 x=1 y",
            "10:00:00.000 words before [info] x",
            "10:00:00.000Z[info] x",
            "FORMATTER ERROR: bad return value",
            "2026-11-21T20:59:56.311015+00:00 info: FORMATTER CRASH: {string,[<<\"x\">>]}",
        ] {
            assert!(parsed(line, &scratch).is_err(), "{line}");
        }
    }

    const GOOD: [&str; 3] = [
        "2026-11-20T21:13:54.233Z request_id=a b user_agent=M [x] (y) [warning] GET /a",
        "\x1b[36m20:57:24.960 [info]  Sent 200 in 812µs",
        "[error] GenServer A terminating\n** (A) b",
    ];

    fn read_in_every_way(line: &[u8]) {
        let patterns = ["$dateT$timeZ $metadata[$level] $message", "[$level] $message $node $metadata$time"];
        let scratch = Scratch::new();
        let _ = parse(line, &Context::default(), &scratch, &mut Record::new());
        let _ = parse_told(line, &Context::default(), &scratch, &mut Record::new());
        for pattern in patterns {
            let pattern = Pattern::parse(pattern).unwrap();
            let _ = parse_with(&pattern, line, &Context::default(), &scratch, &mut Record::new());
        }
    }

    #[test]
    fn any_cut_of_a_line_is_read_or_refused() {
        for line in GOOD {
            let scratch = Scratch::new();
            assert!(parse_told(line.as_bytes(), &Context::default(), &scratch, &mut Record::new()).is_ok());
            for end in 0..line.len() {
                read_in_every_way(&line.as_bytes()[..end]);
                read_in_every_way(&line.as_bytes()[end..]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            tail in prop::collection::vec(any::<u8>(), 0..120),
            which in 0..GOOD.len(),
        ) {
            read_in_every_way(&tail);
            read_in_every_way(&[GOOD[which].as_bytes(), &tail].concat());
            read_in_every_way(&[&b"20:57:24.960 "[..], &tail].concat());
        }
    }
}
