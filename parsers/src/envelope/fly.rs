//! The text that `fly logs` prints (flyctl, internal/render/logs.go):
//!
//! ```text
//! 2026-05-11T14:58:44Z app[4d895d5ec41638] iad [info]14:58:44.102 [info] Sent 200 in 15ms
//! ```
//!
//! Each part is coloured even into a pipe; codes are taken off first, everywhere. There is no blank between the
//! level and the message: one there belongs to the message. The time has whole seconds. The level says little
//! (an app's lines are all `info`), so it counts only when the line inside has none.

use nom::{
    IResult, Parser,
    bytes::complete::{tag, take_till, take_till1, take_while, take_while_m_n},
    combinator::{map_opt, opt},
    sequence::{delimited, terminated},
};

use super::Inner;
use crate::{
    ParseError, ansi,
    record::{Level, Record, Scratch, Time, TimeSource},
    timestamp::{self, Timestamp},
};

struct Prefix<'a> {
    at: Timestamp,
    provider: &'a [u8],
    instance: Option<&'a [u8]>,
    region: &'a [u8],
    level: &'a [u8],
}

/// Sets what the prefix tells and answers the message.
pub(super) fn open<'a>(
    line: &'a [u8],
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<Inner<'a>, ParseError> {
    let text = ansi::strip(line, scratch);
    let (message, prefix) = prefix(text).map_err(|_| ParseError("no fly logs prefix"))?;
    record.time = Some(Time { at: prefix.at, source: TimeSource::Envelope });
    record.set_text("fly.provider", prefix.provider);
    record.set_text("fly.app.instance", prefix.instance.unwrap_or_default());
    record.set_text("fly.region", prefix.region);
    record.set_text("cloud.region", prefix.region);
    record.level = Level::of(prefix.level);
    Ok(Inner { line: message, by_platform: !matches!(prefix.provider, b"app" | b"") })
}

fn prefix(input: &[u8]) -> IResult<&[u8], Prefix<'_>> {
    let (rest, at) =
        terminated(map_opt(take_till1(|byte| byte == b' '), timestamp::rfc3339), tag(" ")).parse(input)?;
    let (rest, who) = take_while(|byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit())(rest)?;
    let instance = take_till1(|byte| byte == b']' || byte == b' ');
    let (rest, instance) = opt(delimited(tag("["), instance, tag("]"))).parse(rest)?;
    // A machine id stands alone where the provider is not known; no provider has a digit in its name.
    let (provider, instance) = match instance {
        None if who.iter().any(u8::is_ascii_digit) => (&b""[..], Some(who)),
        instance => (who, instance),
    };
    let region = take_while_m_n(3, 3, |byte: u8| byte.is_ascii_lowercase());
    let (rest, region) = delimited(tag(" "), region, tag(" ")).parse(rest)?;
    let (rest, level) =
        delimited(tag("["), take_till(|byte| byte == b']' || byte == b' '), tag("]")).parse(rest)?;
    Ok((rest, Prefix { at, provider, instance, region, level }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Value;

    #[test]
    fn coloured_and_plain_prefixes() {
        let plain = "2026-05-11T14:58:42Z app[4d89] sin [info] INFO Starting";
        let coloured = "\x1b[2m2026-05-11T14:58:42Z\x1b[0m app[4d89] \x1b[32msin\x1b[0m [\x1b[34minfo\x1b[0m] INFO Starting";
        for line in [plain, coloured] {
            let scratch = Scratch::new();
            let mut record = Record::new();
            let inner = Inner { line: b" INFO Starting", by_platform: false };
            assert_eq!(open(line.as_bytes(), &scratch, &mut record), Ok(inner));
            assert_eq!(record.get("fly.app.instance"), Some(Value::text("4d89")));
            assert_eq!(record.get("cloud.region"), Some(Value::text("sin")));
            assert_eq!(record.level, Level::of(b"info"));
            assert_eq!(record.time.unwrap().source, TimeSource::Envelope);
        }
    }

    #[test]
    fn the_provider_or_the_machine_may_be_missing() {
        for (who, provider, instance) in
            [("app", Some("app"), None), ("4d895d5ec41638", None, Some("4d895d5ec41638")), ("", None, None)]
        {
            let line = format!("2026-05-11T14:58:42Z {who} sin [info]x");
            let scratch = Scratch::new();
            let mut record = Record::new();
            let inner = open(line.as_bytes(), &scratch, &mut record).unwrap();
            assert_eq!((inner.line, inner.by_platform), (&b"x"[..], false));
            assert_eq!(record.get("fly.provider"), provider.map(Value::text));
            assert_eq!(record.get("fly.app.instance"), instance.map(Value::text));
        }
    }

    #[test]
    fn a_line_without_a_prefix_is_refused() {
        let scratch = Scratch::new();
        for line in
            ["", "    (app 1.0) lib/a.ex:1", "2026-05-11T14:58:42Z app[4d89] sin", "14:58:42 app sin [info]x"]
        {
            let mut record = Record::new();
            assert!(open(line.as_bytes(), &scratch, &mut record).is_err(), "{line}");
            assert!(record.fields().is_empty());
        }
    }
}
