//! One Logger line: `[$date ]$time $metadata[$level] $message`, the pattern of `mix phx.new` and its dated kin.
//!
//! Metadata is `key=value ` without any quoting (lib/logger/lib/logger/formatter.ex): a value may hold blanks,
//! brackets and equals signs. The level is the first `[known level] ` that comes after sound metadata; a value
//! ends where ` key=` follows. Colour codes are stripped first.

use memchr::memchr_iter;
use nom::{
    IResult, Parser,
    bytes::complete::{tag, take_while_m_n},
    combinator::{map_opt, opt, recognize},
    sequence::{delimited, terminated},
};

use super::message;
use crate::{
    Context, Date, ParseError, ansi,
    number::whole,
    record::{Level, Record, Scratch, Time, TimeSource, Value, hex_id},
    timestamp::{self, Timestamp},
};

/// How far an app's clock may be from its envelope's before the envelope is believed.
const CLOCK_DRIFT_MAX_NS: u64 = 5_000_000_000;

/// Appends the line's fields to `record`.
pub(crate) fn parse<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let text = ansi::strip(line, scratch);
    let (rest, (date, time)) = clock(text).map_err(|_| ParseError("no Logger time at the line's start"))?;
    let (metadata, level, message) =
        split_at_level(rest).ok_or(ParseError("no [level] after the Logger time"))?;
    let date_and_time = &text[..text.len() - rest.len() - 1];
    set_time(date.map(|_| date_and_time), time, context, record)?;
    record.level = Some(level);
    record.set_text("body", message);
    set_metadata(metadata, scratch, record);
    message::set(message, record);
    Ok(())
}

type Clock<'a> = (Option<&'a [u8]>, &'a [u8]);

/// `2026-11-21 ` if there, then `21:13:54.233 `.
fn clock(input: &[u8]) -> IResult<&[u8], Clock<'_>> {
    let digits = |count| take_while_m_n(count, count, |byte: u8| byte.is_ascii_digit());
    let date = recognize((digits(4), tag("-"), digits(2), tag("-"), digits(2)));
    let time = recognize((digits(2), tag(":"), digits(2), tag(":"), digits(2), tag("."), digits(3)));
    (opt(terminated(date, tag(" "))), terminated(time, tag(" "))).parse(input)
}

/// `rest` → the metadata, the level, the message.
fn split_at_level(rest: &[u8]) -> Option<(&[u8], Level<'_>, &[u8])> {
    memchr_iter(b'[', rest).find_map(|open| {
        let metadata = &rest[..open];
        let (after, level) = level(&rest[open..]).ok()?;
        let sound = metadata.is_empty() || metadata.ends_with(b" ") && key_len(metadata) > 0;
        let message = after.strip_prefix(b" ").or(after.is_empty().then_some(after))?;
        sound.then_some((metadata.strip_suffix(b" ").unwrap_or(metadata), level, message))
    })
}

fn level(input: &[u8]) -> IResult<&[u8], Level<'_>> {
    let word = take_while_m_n(4, 9, |byte: u8| byte.is_ascii_lowercase());
    delimited(tag("["), map_opt(word, Level::of), tag("]")).parse(input)
}

/// The length of the key that `text` begins with, if `=` follows it; else 0.
fn key_len(text: &[u8]) -> usize {
    let len = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let key = len > 0 && !text[0].is_ascii_digit() && text.get(len) == Some(&b'=');
    if key { len } else { 0 }
}

fn set_time(
    date_and_time: Option<&[u8]>,
    time: &[u8],
    context: &Context<'_>,
    record: &mut Record<'_>,
) -> Result<(), ParseError> {
    const NO_SUCH_TIME: ParseError = ParseError("a Logger time that does not exist");
    let zone_offset_s = context.zone_offset_s;
    if let Some(text) = date_and_time {
        let at = timestamp::date_time(text, zone_offset_s).ok_or(NO_SUCH_TIME)?;
        record.time = Some(Time { at, source: TimeSource::Inferred });
        return Ok(());
    }
    let date = context.date.unwrap_or(Date::Near(Timestamp::from_ns(0)));
    let at = timestamp::time_of_day(time, zone_offset_s, date).ok_or(NO_SUCH_TIME)?;
    // A time of day far from the envelope's is in a zone we were not told: the envelope knows better.
    let trusted = record.time.is_none_or(|envelope| envelope.at.ns().abs_diff(at.ns()) <= CLOCK_DRIFT_MAX_NS);
    if trusted {
        record.time = Some(Time { at, source: TimeSource::Inferred });
    }
    Ok(())
}

/// `key=value key=value` → fields. Values stay strings: a key must not change its type from line to line.
fn set_metadata<'a>(metadata: &'a [u8], scratch: &'a Scratch, record: &mut Record<'a>) {
    let mut rest = metadata;
    let first = record.fields().len();
    let (mut trace_id, mut span_id) = (None, None);
    while let len @ 1.. = key_len(rest) {
        let value_and_more = &rest[len + 1..];
        let end = memchr_iter(b' ', value_and_more)
            .find(|blank| key_len(&value_and_more[blank + 1..]) > 0)
            .unwrap_or(value_and_more.len());
        let (key, value) = (&rest[..len], &value_and_more[..end]);
        match key {
            b"otel_trace_id" if hex_id(value, 32).is_some() => trace_id = hex_id(value, 32),
            b"otel_span_id" if hex_id(value, 16).is_some() => span_id = hex_id(value, 16),
            _ => set_pair(key, value, scratch, record),
        }
        rest = value_and_more.get(end + 1..).unwrap_or_default();
    }
    record.set_trace(trace_id, span_id);
    // A value with ` request_id=` in it looks like another pair; those that Logger wrote first are its own.
    record.keep_first(first);
}

fn set_pair<'a>(key: &'a [u8], value: &'a [u8], scratch: &'a Scratch, record: &mut Record<'a>) {
    match key {
        b"request_id" => record.set_text("request_id", value),
        b"pid" => record.set_text("elixir.pid", value),
        b"mfa" => record.set_text("code.function.name", value),
        b"file" => record.set_text("code.file.path", value),
        b"line" if whole(value).is_some() => {
            record.set("code.line.number", Value::Int(whole(value).unwrap_or_default()));
        }
        _ if value.is_empty() => {}
        _ => record.set_free(scratch.concat(&[b"elixir.", key]), Value::Text(value)),
    }
}

#[cfg(test)]
mod tests {
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
    fn other_lines_are_refused() {
        let scratch = Scratch::new();
        for line in
            ["", "  Parameters: %{}", "25:00:00.000 [info] x", "10:00:00.000 [loud] x", "10:00:00.000 x=1 y"]
        {
            assert!(parsed(line, &scratch).is_err(), "{line}");
        }
    }
}
