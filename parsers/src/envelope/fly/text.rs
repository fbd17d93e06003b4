//! The text that `fly logs` prints (flyctl, internal/render/logs.go), in three generations:
//!
//! ```text
//! 2026-05-11T14:58:44Z app[4d895d5ec41638] iad [info]14:58:44.102 [info] Sent 200 in 15ms     since 2022
//! 2022-01-05T10:11:12.345 app[c9b72c04] sea [info] a message                                  2021, and web copies
//! 2021-03-31T14:28:22.881Z c9b72c04 sea [info] a message                                      before
//! ```
//!
//! Today's has whole seconds and no blank between the level and the message: one there belongs to the message. The
//! older ones have milliseconds and a blank. Provider, machine and region may each be missing. Parts of an entry may
//! stand between the level and the message, `name=value ` in a fixed order; an error's message is printed before
//! everything else, in the place of the message. Their text is quoted, but the quotes in it are not escaped.

use memchr::{memchr, memmem};
use nom::{
    IResult, Parser,
    bytes::complete::{tag, take_till, take_till1, take_while, take_while_m_n},
    combinator::{map_opt, opt},
    sequence::{delimited, terminated},
};

use super::{Entry, Inner, platform};
use crate::{
    ParseError, ansi,
    number::whole,
    record::{Record, Scratch},
    timestamp::{self, Timestamp},
};

/// The parts between the level and the message, as they begin, in their order.
const PARTS: [&[u8]; 5] =
    [b"error.code=", b"request.method=\"", b"request.url=\"", b"request.id=\"", b"response.status="];

const NO_PREFIX: ParseError = ParseError("no fly logs prefix");

struct Prefix<'a> {
    at: Timestamp,
    /// Whether a blank after the level is not the message's.
    old: bool,
    entry: Entry<'a>,
}

/// Sets what the prefix tells and answers the message.
pub(super) fn open<'a>(
    line: &'a [u8],
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<Inner<'a>, ParseError> {
    let text = ansi::strip(line, scratch);
    let (rest, Prefix { at, old, mut entry }) = match text.strip_prefix(b"error.message=\"") {
        Some(quoted) => error_first(quoted).ok_or(NO_PREFIX)?,
        None => prefix(text).map_err(|_| NO_PREFIX)?,
    };
    // Init's own lines begin with a blank, which copies from the web have once only.
    let spaced = old && platform::said(rest).is_none();
    let rest = if spaced { rest.strip_prefix(b" ").unwrap_or(rest) } else { rest };
    entry.by_platform = !entry.error_message.is_empty();
    let apps = matches!(entry.provider, b"app" | b"") && !entry.by_platform;
    let message = if apps { rest } else { entry.take_parts(rest) };
    Ok(entry.close(at, message, record))
}

/// `an error's message" ` and a prefix after it.
fn error_first(quoted: &[u8]) -> Option<(&[u8], Prefix<'_>)> {
    memmem::find_iter(quoted, b"\" ").find_map(|end| {
        let (rest, mut prefix) = prefix(&quoted[end + 2..]).ok()?;
        prefix.entry.error_message = &quoted[..end];
        Some((rest, prefix))
    })
}

fn prefix(input: &[u8]) -> IResult<&[u8], Prefix<'_>> {
    let (rest, Written { at, old, no_zone }) =
        terminated(map_opt(take_till1(|byte| byte == b' '), time), tag(" ")).parse(input)?;
    let in_word =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let (rest, who) = take_while(in_word)(rest)?;
    let instance = take_till(|byte| byte == b']' || byte == b' ');
    let (rest, instance) = opt(delimited(tag("["), instance, tag("]"))).parse(rest)?;
    // A machine id stands alone where the provider is not known; no provider has a digit in its name.
    let (provider, instance) = match instance {
        None if who.iter().any(u8::is_ascii_digit) => (&b""[..], who),
        instance => (who, instance.unwrap_or_default()),
    };
    let region = take_while_m_n(0, 3, |byte: u8| byte.is_ascii_lowercase());
    let (rest, region) = delimited(tag(" "), region, tag(" ")).parse(rest)?;
    let (rest, level) =
        delimited(tag("["), take_till(|byte| byte == b']' || byte == b' '), tag("]")).parse(rest)?;
    Ok((
        rest,
        Prefix { at, old, entry: Entry { provider, instance, region, level, no_zone, ..Entry::default() } },
    ))
}

/// A time as a generation wrote it.
struct Written {
    at: Timestamp,
    /// With a fraction, or without a zone, as older generations did.
    old: bool,
    /// Without its zone, which is UTC.
    no_zone: bool,
}

fn time(text: &[u8]) -> Option<Written> {
    match timestamp::rfc3339(text) {
        Some(at) => Some(Written { at, old: text.contains(&b'.'), no_zone: false }),
        None => Some(Written { at: timestamp::date_time(text, 0)?, old: true, no_zone: true }),
    }
}

impl<'a> Entry<'a> {
    /// Takes the parts that the text begins with; answers what follows them.
    fn take_parts(&mut self, text: &'a [u8]) -> &'a [u8] {
        let mut rest = text;
        for (index, part) in PARTS.into_iter().enumerate() {
            let Some(value) = rest.strip_prefix(part) else { continue };
            let taken = if part.ends_with(b"\"") { quoted(value, &PARTS[index + 1..]) } else { word(value) };
            let Some((value, after)) = taken else { break };
            match index {
                0 => self.error_code = signed(value).unwrap_or_default(),
                1 => self.method = value,
                2 => self.url = value,
                3 => self.request_id = value,
                _ => self.status = signed(value).unwrap_or_default(),
            }
            rest = after;
        }
        rest
    }
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = memchr(b' ', text).unwrap_or(text.len());
    signed(&text[..blank]).map(|_| (&text[..blank], text.get(blank + 1..).unwrap_or_default()))
}

/// A whole number, which Go may have written with a sign.
fn signed(text: &[u8]) -> Option<i64> {
    text.strip_prefix(b"-").map_or_else(|| whole(text), |digits| whole(digits).map(|number| -number))
}

/// Up to the quote after which the line ends or one of the parts to come begins; or up to the first, if the message
/// follows.
fn quoted<'a>(text: &'a [u8], to_come: &[&[u8]]) -> Option<(&'a [u8], &'a [u8])> {
    let split = |end: usize| (&text[..end], text.get(end + 2..).unwrap_or_default());
    let last = |end: &usize| {
        let (_, after) = split(*end);
        after.is_empty() || to_come.iter().any(|part| after.starts_with(part))
    };
    let mut ends = memmem::find_iter(text, b"\" ");
    let first = ends.clone().next();
    // The blank at the line's end gets lost in copies.
    let end = text.ends_with(b"\"").then(|| text.len() - 1);
    ends.find(last).or(end).or(first).map(split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Level, TimeSource, Value};

    fn opened<'a>(line: &'a str, scratch: &'a Scratch) -> Result<(Inner<'a>, Record<'a>), ParseError> {
        let mut record = Record::new();
        open(line.as_bytes(), scratch, &mut record).map(|inner| (inner, record))
    }

    #[test]
    fn coloured_and_plain_prefixes() {
        let plain = "2026-05-11T14:58:42Z app[4d89] sin [info]  x";
        let coloured = "\x1b[2m2026-05-11T14:58:42Z\x1b[0m app[4d89] \x1b[32msin\x1b[0m [\x1b[34minfo\x1b[0m]\x1b[31m  x";
        for line in [plain, coloured] {
            let scratch = Scratch::new();
            let (inner, record) = opened(line, &scratch).unwrap();
            assert_eq!(inner, Inner::whole(b"  x"));
            assert_eq!(record.get("fly.app.instance"), Some(Value::text("4d89")));
            assert_eq!(record.get("cloud.region"), Some(Value::text("sin")));
            assert_eq!(record.level, Level::of(b"info"));
            assert_eq!(record.time.unwrap().source, TimeSource::Envelope);
        }
    }

    #[test]
    fn an_error_that_stands_first_is_never_lost() {
        for who in ["4d895d5ec41638", "app[4d89]", "health-check[4d89]"] {
            let line = format!(
                "error.message=\"boom\" 2025-01-02T03:04:05Z {who} ams [error]error.code=-2 request.url=\"/u\" "
            );
            let scratch = Scratch::new();
            let (inner, record) = opened(&line, &scratch).unwrap();
            assert_eq!((inner.line, inner.by_platform), (&b"boom"[..], true), "{line}");
            assert_eq!(record.get("error.message"), Some(Value::text("boom")));
            assert_eq!(record.get("error.code"), Some(Value::Int(-2)));
            assert_eq!(record.get("url.full"), Some(Value::text("/u")));
        }
    }

    #[test]
    fn only_older_generations_have_a_blank_of_their_own() {
        for (prefix, message, inner, by_platform) in [
            ("2021-03-31T14:28:22.881Z c9b72c04 sea [info]", " x", "x", false),
            ("2022-01-05T10:11:12.345 app[c9b72c04] sea [info]", "   x", "  x", false),
            ("2022-01-05T10:11:12 app[c9b72c04] sea [info]", " x", "x", false),
            (
                "2022-01-05T10:11:12.345 app[c9b72c04] sea [info]",
                "  INFO Starting init",
                " INFO Starting init",
                true,
            ),
            (
                "2022-01-05T10:11:12.345 app[c9b72c04] sea [info]",
                " INFO Starting init",
                " INFO Starting init",
                true,
            ),
            ("2022-01-05T10:11:12.345 app[c9b72c04] sea [info]", " [ 0.035736] PCI", "[ 0.035736] PCI", true),
            (
                "2022-01-05T10:11:12Z app[c9b72c04] sea [info]",
                " INFO Starting init",
                " INFO Starting init",
                true,
            ),
            ("2022-01-05T10:11:12+02:00 app[c9b72c04] sea [info]", " x", " x", false),
            ("2023-02-09T15:23:07Z   [info]", "    (elixir", "    (elixir", false),
            ("2023-02-09T15:23:07Z runner[c9] sea []", "x", "x", true),
            ("2023-02-09T15:23:07Z health[c9] sea [error]", "", "", true),
        ] {
            let line = format!("{prefix}{message}");
            let scratch = Scratch::new();
            let (opened, record) = opened(&line, &scratch).expect(&line);
            assert_eq!((opened.line, opened.by_platform), (inner.as_bytes(), by_platform), "{line}");
            assert!(record.time.is_some());
        }
        let scratch = Scratch::new();
        let (_, record) = opened("2022-01-05T10:11:12.345 app[c9] sea [info] x", &scratch).unwrap();
        assert_eq!(record.time.map(|time| time.at), timestamp::rfc3339(b"2022-01-05T10:11:12.345Z"));
    }

    #[test]
    fn the_provider_or_the_machine_may_be_missing() {
        for (who, provider, instance) in
            [("app", Some("app"), None), ("4d895d5ec41638", None, Some("4d895d5ec41638")), ("", None, None)]
        {
            let line = format!("2026-05-11T14:58:42Z {who} sin [info]x");
            let scratch = Scratch::new();
            let (inner, record) = opened(&line, &scratch).unwrap();
            assert_eq!(inner, Inner::whole(b"x"));
            assert_eq!(record.get("fly.provider"), provider.map(Value::text));
            assert_eq!(record.get("fly.app.instance"), instance.map(Value::text));
        }
    }

    #[test]
    fn an_error_stands_first_and_its_parts_after_the_level() {
        let prefix = "2026-05-11T14:58:49Z proxy[e82e550c226228] ams [error]";
        for (message, parts, url) in [
            (
                "connection closed",
                "request.method=\"GET\" request.url=\"http://h/?url=https://x/y.m3u8\" ",
                "http://h/?url=https://x/y.m3u8",
            ),
            (
                "a \"b\" c (os error 110))",
                "error.code=7 request.method=\"GET\" request.url=\"/\" b\" request.id=\"01GR-arn\" response.status=502 ",
                "/\" b",
            ),
            ("x", "request.method=\"GET\" request.url=\"/\"", "/"),
        ] {
            let line = format!("error.message=\"{message}\" {prefix}{parts}");
            let scratch = Scratch::new();
            let (inner, record) = opened(&line, &scratch).expect(&line);
            assert_eq!((inner.line, inner.by_platform), (message.as_bytes(), true));
            assert_eq!(record.get("error.message"), Some(Value::text(message)));
            assert_eq!(record.get("http.request.method"), Some(Value::text("GET")));
            assert_eq!(record.get("url.full"), Some(Value::text(url)));
            let full = parts.contains("error.code").then_some(());
            assert_eq!(record.get("error.code"), full.map(|()| Value::Int(7)));
            assert_eq!(record.get("request_id"), full.map(|()| Value::text("01GR-arn")));
            assert_eq!(record.get("http.response.status_code"), full.map(|()| Value::Int(502)));
            assert_eq!(record.error, full.is_some());
            assert_eq!(record.level.map(|level| level.severity), Some("error"));
        }
        let scratch = Scratch::new();
        let line = format!("error.message=\"machine was recently stopped\" {prefix}");
        assert_eq!(opened(&line, &scratch).unwrap().0.line, b"machine was recently stopped");
    }

    #[test]
    fn parts_before_a_message_and_parts_that_an_app_wrote() {
        let scratch = Scratch::new();
        let line = "2026-05-11T14:58:49Z proxy[e8] ams [error]request.method=\"GET\" [PR03] x \"y\" [PM05]";
        let (inner, record) = opened(line, &scratch).unwrap();
        assert_eq!(inner.line, b"[PR03] x \"y\" [PM05]");
        assert_eq!(record.get("fly.proxy.cause_code"), Some(Value::text("PM05")));
        let line = "2026-05-11T14:58:49Z app[e8] ams [info]request.method=\"GET\" x";
        let (inner, record) = opened(line, &scratch).unwrap();
        assert_eq!((inner.line, record.fields().len()), (&b"request.method=\"GET\" x"[..], 4));
    }

    #[test]
    fn a_line_without_a_prefix_is_refused() {
        for line in [
            "",
            "    (app 1.0) lib/a.ex:1",
            "2026-05-11T14:58:42Z app[4d89] sin",
            "14:58:42 app sin [info]x",
            "2026-05-11T14:58:42Z app[4d89 sin [info]x",
            "error.message=\"x\" y",
            "error.message=\"x",
        ] {
            assert!(opened(line, &Scratch::new()).is_err(), "{line}");
        }
    }
}
