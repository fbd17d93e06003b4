//! The header of RFC 3164 (4.1), as programs and files have it.
//!
//! The host may be missing: then a word that ends with a colon comes first. The tag ends with its colon, with its
//! process id, or with a blank if a bracket follows (Apache's `ErrorLog "|logger"`); a message without a tag is all
//! message. The time may also be RFC 3339, with or without a zone.

use memchr::memchr;

use super::set_process;
use crate::{
    Context, ParseError,
    record::{Record, Time, TimeSource},
    timestamp,
};

/// `Oct 11 22:14:15 host app[12]: message` → the message.
pub(super) fn header<'a>(
    text: &'a [u8],
    context: &Context<'_>,
    record: &mut Record<'a>,
) -> Result<&'a [u8], ParseError> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let (time, rest) = time(text, context).ok_or(ParseError("no syslog time at the line's start"))?;
    let rest = match rest {
        [b' ', rest @ ..] => rest,
        [b':', ..] | [] => rest,
        _ => return Err(ParseError("no blank after the syslog time")),
    };
    record.time = time;
    let (message, tag) = match tag(rest) {
        Some((after, tag)) if matches!(after.first(), None | Some(b' ')) => (after, Some(tag)),
        _ => host(rest, record),
    };
    if let Some(tag) = tag {
        record.set_text("service.name", tag.name);
        set_process(tag.process, record);
        return Ok(message.strip_prefix(b" ").unwrap_or(message));
    }
    Ok(message)
}

/// The time that the text begins with, if its year can be told, and what follows.
fn time<'a>(text: &'a [u8], context: &Context<'_>) -> Option<(Option<Time>, &'a [u8])> {
    let inferred = |at| Time { at, source: TimeSource::InferredEnvelope };
    if let Some((time, rest)) = timestamp::syslog(text) {
        let (zone_offset_s, rest) = zone(rest).unwrap_or((context.zone_offset_s, rest));
        return Some((time.at(zone_offset_s, context.date).map(inferred), rest));
    }
    let (time, rest) = text.split_at(memchr(b' ', text).unwrap_or(text.len()));
    let told = timestamp::rfc3339(time).map(|at| Time { at, source: TimeSource::Envelope });
    let time = told.or_else(|| timestamp::date_time(time, context.zone_offset_s).map(inferred));
    Some((Some(time?), rest))
}

/// The zone that some programs write after the time, as an offset or as a name for UTC.
fn zone(text: &[u8]) -> Option<(i32, &[u8])> {
    let word = text.strip_prefix(b" ")?;
    let (word, rest) = word.split_at(memchr(b' ', word)?);
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    match word {
        b"UTC" | b"GMT" | b"Z" => Some((0, rest)),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = (digit(h1)? * 10 + digit(h2)?) * 60 + digit(m1)? * 10 + digit(m2)?;
            Some((if *sign == b'-' { -minutes } else { minutes } * 60, rest))
        }
        _ => None,
    }
}

/// Who wrote a message.
struct Tag<'a> {
    name: &'a [u8],
    process: &'a [u8],
}

/// The first word is the host if more follows; then what follows its blank, without the tag if there is one.
fn host<'a>(text: &'a [u8], record: &mut Record<'a>) -> (&'a [u8], Option<Tag<'a>>) {
    let Some(blank) = memchr(b' ', text) else { return (text, None) };
    let (host, rest) = (&text[..blank], &text[blank + 1..]);
    record.set_text("host.name", if host == b"-" { b"" } else { host });
    tag(rest).or_else(|| bare_tag(rest)).map_or((rest, None), |(after, tag)| (after, Some(tag)))
}

/// `name:`, `name[process]:` or `name[process]` with a blank after it.
fn tag(text: &[u8]) -> Option<(&[u8], Tag<'_>)> {
    let end = text.iter().position(|byte| matches!(byte, b' ' | b':' | b'['))?;
    let (name, rest) = text.split_at(end);
    match rest {
        [b':', rest @ ..] => Some((rest, Tag { name, process: b"" })),
        [b'[', rest @ ..] if end > 0 => {
            let close = rest.iter().position(|byte| matches!(byte, b' ' | b']'))?;
            let after = rest[close..].strip_prefix(b"]")?;
            let colon = after.strip_prefix(b":");
            let after = colon.or((after.is_empty() || after.starts_with(b" ")).then_some(after))?;
            Some((after, Tag { name, process: &rest[..close] }))
        }
        _ => None,
    }
}

/// A word before a bracketed message.
fn bare_tag(text: &[u8]) -> Option<(&[u8], Tag<'_>)> {
    let blank = memchr(b' ', text).filter(|blank| *blank > 0)?;
    text[blank..].starts_with(b" [").then(|| (&text[blank..], Tag { name: &text[..blank], process: b"" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Date,
        envelope::syslog::open,
        record::{Scratch, Value},
    };

    fn opened<'a>(line: &'a str, scratch: &'a Scratch) -> Result<(&'a [u8], Record<'a>), ParseError> {
        let date = timestamp::rfc3339(b"2026-11-21T12:00:00Z").map(Date::Before);
        let context = Context { date, zone_offset_s: 3600, ..Context::default() };
        let mut record = Record::new();
        open(line.as_bytes(), &context, scratch, &mut record).map(|inner| (inner.line, record))
    }

    #[test]
    fn a_zone_after_the_time_is_the_times() {
        for (line, time) in [
            ("<34>Oct 11 22:14:15 UTC host su: x", "2026-10-11T22:14:15Z"),
            ("<34>Oct 11 22:14:15 +02:00 host su: x", "2026-10-11T20:14:15Z"),
            ("<34>Oct 11 22:14:15 host su: x", "2026-10-11T21:14:15Z"),
        ] {
            let scratch = Scratch::new();
            let (message, record) = opened(line, &scratch).unwrap();
            assert_eq!((message, record.get("host.name")), (&b"x"[..], Some(Value::text("host"))), "{line}");
            let at = record.time.unwrap();
            assert_eq!(
                (Some(at.at), at.source),
                (timestamp::rfc3339(time.as_bytes()), TimeSource::InferredEnvelope)
            );
        }
    }

    /// Host, app, process id, message.
    type Parts<'a> = (Option<&'a str>, Option<&'a str>, Option<i64>, &'a str);

    #[test]
    fn old_headers_of_every_kind() {
        let lines: [(&str, Parts<'_>); 19] = [
            (
                "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
                (Some("mymachine"), Some("su"), None, "'su root' failed"),
            ),
            (
                "<133>Jun 13 16:33:35 haproxy[73411]: Proxy sticky-servers",
                (None, Some("haproxy"), Some(73_411), "Proxy sticky-servers"),
            ),
            (
                "<190>Nov 21 10:52:42 web nginx: 1.2.3.4 - - [x] \"GET / HTTP/1.1\"",
                (Some("web"), Some("nginx"), None, "1.2.3.4 - - [x] \"GET / HTTP/1.1\""),
            ),
            (
                "<131>Jun 8 11:54:08 master apache_error [Tue Jun 08 11:54:08] [php7:emerg]",
                (Some("master"), Some("apache_error"), None, "[Tue Jun 08 11:54:08] [php7:emerg]"),
            ),
            (
                "Jun 13 16:33:35 host postfix/smtpd[12]: x: y",
                (Some("host"), Some("postfix/smtpd"), Some(12), "x: y"),
            ),
            ("Jun 13 16:33:35 host kernel: [    0.0] x", (Some("host"), Some("kernel"), None, "[    0.0] x")),
            ("Jun 13 16:33:35 host app:    at main.rs", (Some("host"), Some("app"), None, "   at main.rs")),
            ("Jun 13 16:33:35 host app:x", (Some("host"), Some("app"), None, "x")),
            ("Jun 13 16:33:35 fe80::1 app: x", (Some("fe80::1"), Some("app"), None, "x")),
            ("Jun 13 16:33:35 host -- MARK --", (Some("host"), None, None, "-- MARK --")),
            (
                "Jun 13 16:33:35 host last message repeated 2 times",
                (Some("host"), None, None, "last message repeated 2 times"),
            ),
            ("Jun 13 16:33:35 host  {\"a\": 1}", (Some("host"), None, None, " {\"a\": 1}")),
            ("<34>Oct 11 22:14:15 : a message", (None, None, None, "a message")),
            ("<189>Oct 11 22:14:15.123: %SYS-5-CONFIG_I: x", (None, None, None, "%SYS-5-CONFIG_I: x")),
            ("<34>Oct 11 22:14:15 mymachine: a message", (None, Some("mymachine"), None, "a message")),
            ("<13>Oct 11 22:14:15 alone", (None, None, None, "alone")),
            ("2026-11-21T10:52:42.123456+00:00 host app[1]: x", (Some("host"), Some("app"), Some(1), "x")),
            ("<54> 1970-01-01T00:01:31+00:00 host :", (Some("host"), None, None, "")),
            ("Jun 13 16:33:35 host app[1]:", (Some("host"), Some("app"), Some(1), "")),
        ];
        for (line, (host, app, pid, message)) in lines {
            let scratch = Scratch::new();
            let (inner, record) = opened(line, &scratch).expect(line);
            assert_eq!(inner, message.as_bytes(), "{line}");
            assert_eq!(record.get("host.name"), host.map(Value::text), "{line}");
            assert_eq!(record.get("service.name"), app.map(Value::text), "{line}");
            assert_eq!(record.get("process.pid"), pid.map(Value::Int), "{line}");
            assert!(record.time.is_some(), "{line}");
            assert_eq!(record.level.is_some(), line.starts_with('<'), "{line}");
        }
    }

    #[test]
    fn priority_time_and_what_is_no_process_id() {
        let scratch = Scratch::new();
        let (_, record) = opened("<131>Jun  8 11:54:08 h .NetRuntime[-x]: m", &scratch).unwrap();
        assert_eq!(record.get("syslog.facility"), Some(Value::text("local0")));
        assert_eq!(record.level.map(|level| (level.severity, level.text)), Some(("error", &b"err"[..])));
        assert_eq!(record.get("syslog.procid"), Some(Value::text("-x")));
        let expected = timestamp::rfc3339(b"2026-06-08T10:54:08Z");
        assert_eq!(record.time.map(|time| time.at), expected, "in the zone that was told");
        let (counted, record) = opened("41 <131>Jun  8 11:54:08 h a: \u{feff}m", &scratch).unwrap();
        assert_eq!((counted, record.fields().len()), (&b"m"[..], 3));
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "text",
            "<34>",
            "<34>text",
            "<192>Oct 11 22:14:15 h a: x",
            "<>Oct 11 22:14:15 h a: x",
            "<34Oct 11 22:14:15 h a: x",
            "<34>Oct 32 22:14:15 h a: x",
            "Oct 11 22:14:15x h a: x",
            "<34>1 yesterday h a - - - x",
            "<99999>Oct 11 22:14:15 h a: x",
        ] {
            assert!(opened(line, &Scratch::new()).is_err(), "{line}");
        }
    }
}
