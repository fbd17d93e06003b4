//! The lines that containerd and CRI-O write for Kubernetes: `<time> <stdout|stderr> <tags> <content>`.
//!
//! ```text
//! 2016-10-06T00:17:09.669794202Z stdout F a line
//! ```
//!
//! The time is RFC 3339 with a fraction of any length or none, at any offset (containerd, internal/cri/io/logger.go;
//! conmon, `ctr_logging.c`). Tags are a list with colons of which only the first counts (kubelet, logs.go): `F` is a
//! full line, `P` a part that the next line of the same stream goes on with. The content is what follows one blank:
//! it may be empty and may begin with blanks.

use memchr::memchr;

use super::Inner;
use crate::{
    ParseError,
    record::{Record, Time, TimeSource, Value},
    timestamp,
};

/// Sets the time and `log.iostream` and answers the content.
pub(super) fn open<'a>(line: &'a [u8], record: &mut Record<'a>) -> Result<Inner<'a>, ParseError> {
    let (time, rest) = word(line);
    let at = timestamp::rfc3339(time).ok_or(ParseError("no CRI time at the line's start"))?;
    let (stream, rest) = match rest.split_first_chunk() {
        Some((b"stdout ", rest)) => ("stdout", rest),
        Some((b"stderr ", rest)) => ("stderr", rest),
        _ => return Err(ParseError("neither stdout nor stderr in the CRI prefix")),
    };
    let (partial, line) = match rest {
        [tag @ (b'F' | b'P'), b' ', line @ ..] => (*tag == b'P', line),
        [tag @ (b'F' | b'P')] => (*tag == b'P', &b""[..]),
        [tag @ (b'F' | b'P'), b':', rest @ ..] => (*tag == b'P', word(rest).1),
        _ => return Err(ParseError("neither F nor P in the CRI prefix")),
    };
    record.time = Some(Time { at, source: TimeSource::Envelope });
    record.set("log.iostream", Value::text(stream));
    Ok(Inner { partial, ..Inner::whole(line) })
}

/// What stands before the first blank, and what stands after it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    memchr(b' ', text).map_or((text, b""), |blank| (&text[..blank], &text[blank + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Timestamp;

    #[test]
    fn times_tags_and_contents_of_every_kind() {
        for (line, time, stream, partial, content) in [
            (
                "2016-10-06T00:17:09.669794202Z stdout P a b",
                "2016-10-06T00:17:09.669794202Z",
                "stdout",
                true,
                "a b",
            ),
            ("2023-01-01T00:00:00Z stdout F ", "2023-01-01T00:00:00Z", "stdout", false, ""),
            ("2023-01-01T00:00:00Z stdout F", "2023-01-01T00:00:00Z", "stdout", false, ""),
            ("2026-03-29T03:00:00.5+02:00 stderr F x", "2026-03-29T01:00:00.5Z", "stderr", false, "x"),
            (
                "2026-03-29T03:00:00.000000001-00:30 stderr P:foo:bar   x",
                "2026-03-29T03:30:00.000000001Z",
                "stderr",
                true,
                "  x",
            ),
            ("2026-03-29T03:00:00Z stdout F:x \tat a", "2026-03-29T03:00:00Z", "stdout", false, "\tat a"),
        ] {
            let mut record = Record::new();
            let inner = Inner { line: content.as_bytes(), by_platform: false, partial };
            assert_eq!(open(line.as_bytes(), &mut record), Ok(inner), "{line}");
            let at = timestamp::rfc3339(time.as_bytes()).unwrap();
            assert_eq!(record.time, Some(Time { at, source: TimeSource::Envelope }), "{line}");
            assert_eq!(record.get("log.iostream"), Some(Value::text(stream)));
        }
        let cut = b"2021-08-05T17:35:26.640507539Z stdout P \xd0\x9c\xd0\xb8\xd1";
        assert_eq!(
            open(cut, &mut Record::new()).map(|inner| inner.line.len()),
            Ok(5),
            "a cut character stays"
        );
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "x",
            "2023-01-01T00:00:00Z",
            "2023-01-01T00:00:00Z stdout",
            "2023-01-01T00:00:00Z  stdout F x",
            "2023-01-01T00:00:00Z stdin F x",
            "2023-01-01T00:00:00Z stdout X x",
            "2023-01-01T00:00:00Z stdout  x",
            "2023-01-01T00:00:00Z stdout FP x",
            "2023-01-01 00:00:00Z stdout F x",
            "2023-01-01T00:00:00 stdout F x",
        ] {
            assert!(open(line.as_bytes(), &mut Record::new()).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn print_then_open_is_identity(
            ns in 0..i64::MAX,
            full in any::<bool>(),
            content in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut line = Vec::new();
            Timestamp::from_ns(ns).write_rfc3339(&mut line);
            line.extend_from_slice(if full { b" stdout F " } else { b" stdout P " });
            line.extend_from_slice(&content);
            let mut record = Record::new();
            let inner = open(&line, &mut record).unwrap();
            prop_assert_eq!((inner.line, inner.partial), (&content[..], !full));
            prop_assert_eq!(record.time.map(|time| time.at.ns()), Some(ns));
        }
    }
}
