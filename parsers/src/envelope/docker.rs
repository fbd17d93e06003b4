//! Docker's `json-file` log driver: one JSON object a line (moby, daemon/logger/jsonfilelog).
//!
//! ```text
//! {"log":"a line\n","stream":"stdout","time":"2016-10-05T00:00:30.082640485Z"}
//! ```
//!
//! `log` ends with the line's own end, or with none if it is a piece of a long line. Any other key, `attrs` mostly,
//! is a field of its own. A log file that is truncated while it is written to goes on after a run of NULs.

use super::Inner;
use crate::{
    Context, ParseError, free,
    json::leaves::leaves,
    record::{Record, Scratch, Time, TimeSource, Value},
    timestamp,
};

/// Sets the time, `log.iostream` and whatever else there is, and answers the line.
pub(super) fn open<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<Inner<'a>, ParseError> {
    let nuls = line.iter().take_while(|byte| **byte == 0).count();
    let (mut log, mut at, mut stream) = (None, None, None);
    let first = record.fields().len();
    leaves(&line[nuls..], scratch, &mut |name, leaf| match name {
        b"log" => log = leaf.text(),
        b"time" => at = leaf.text().and_then(timestamp::rfc3339),
        b"stream" => {
            stream = ["stdout", "stderr"].into_iter().find(|name| leaf.text() == Some(name.as_bytes()));
            if let (None, Some(value)) = (stream, leaf.value()) {
                free::set(name, value, first, context, scratch, record);
            }
        }
        _ => {
            if let Some(value) = leaf.value() {
                free::set(name, value, first, context, scratch, record);
            }
        }
    })?;
    let log = log.ok_or(ParseError("no log in the Docker object"))?;
    let at = at.ok_or(ParseError("no time in the Docker object"))?;
    record.keep_last(first, scratch);
    record.time = Some(Time { at, source: TimeSource::Envelope });
    if let Some(stream) = stream {
        record.set("log.iostream", Value::text(stream));
    }
    let whole = log.strip_suffix(b"\n");
    let line = whole.map_or(log, |line| line.strip_suffix(b"\r").unwrap_or(line));
    Ok(Inner { partial: whole.is_none(), ..Inner::whole(line) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_escapes_and_unknown_keys() {
        for (log, partial, line) in [
            (r"text\n", false, "text"),
            (r"text\r\n", false, "text"),
            (r"\u003c134\u003e \u00e9 \u0000\n", false, "<134> é \0"),
            (r"\n", false, ""),
            (r"  piece\r", true, "  piece\r"),
            ("", true, ""),
        ] {
            let object = format!(
                "\0\0\0{{\"log\":\"{log}\",\"stream\":\"stderr\",\"attrs\":{{\"tag\":\"web\",\"n\":null}},\"x\":1,\"time\":\"2016-10-05T00:00:30.08264Z\"}}"
            );
            let scratch = Scratch::new();
            let mut record = Record::new();
            let inner = open(object.as_bytes(), &Context::default(), &scratch, &mut record);
            assert_eq!(inner, Ok(Inner { line: line.as_bytes(), by_platform: false, partial }));
            assert_eq!(record.get("log.iostream"), Some(Value::text("stderr")));
            assert_eq!(record.get("attrs.tag"), Some(Value::text("web")));
            assert_eq!(record.get("x"), Some(Value::Int(1)));
            assert_eq!(record.fields().len(), 3);
            let time = record.time.unwrap();
            assert_eq!((time.at.ns(), time.source), (1_475_625_630_082_640_000, TimeSource::Envelope));
        }
    }

    #[test]
    fn other_objects_are_refused() {
        for line in [
            "",
            "\0\0",
            "text",
            "[]",
            "{}",
            r#"{"log":"x\n","stream":"stdout"}"#,
            r#"{"stream":"stdout","time":"2016-10-05T00:00:30Z"}"#,
            r#"{"log":"x\n","time":"yesterday"}"#,
            r#"{"log":1,"time":"2016-10-05T00:00:30Z"}"#,
            r#"{"log":"x\n","time":"2016-10-05T00:00:30Z""#,
        ] {
            let scratch = Scratch::new();
            let opened = open(line.as_bytes(), &Context::default(), &scratch, &mut Record::new());
            assert!(opened.is_err(), "{line}");
        }
    }
}
