//! klog lines, as Kubernetes' own programs write them to standard error (klog/internal/buffer/buffer.go):
//!
//! ```text
//! I0420 12:34:56.123456       7 controller.go:190] "message" key="value" count=3
//! W0420 12:34:56.123456       7 controller.go:190] Service "default/x" does not have any active Endpoint.
//! ```
//!
//! The time has no year and no zone, the number is the process. A message in quotes has pairs behind it (klog/
//! internal/serialize/keyvalues.go), which become fields by the rules of `keys.rs`; what is not wholly of that form
//! is text and stays as it is.

use nom::{
    IResult, Parser,
    bytes::complete::{tag, take, take_till1, take_while, take_while1},
    combinator::{map_opt, opt},
    sequence::{preceded, terminated},
};

use crate::{
    Context, Date, ParseError,
    keys::Keys,
    logfmt::{
        self,
        pairs::{Form, Pairs, closing_quote},
        quoted,
    },
    number::whole,
    record::{Level, Record, Scratch, Time, TimeSource, Value},
    timestamp::{MonthDay, Timestamp},
};

struct Head<'a> {
    level: Level<'a>,
    month: i64,
    day: i64,
    time: &'a [u8],
    process: i64,
    file: &'a [u8],
    line_number: i64,
}

/// Appends the line's fields to `record`.
pub(crate) fn parse<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let (text, head) = head(line).map_err(|_| ParseError("not a klog line"))?;
    let date = context.date.unwrap_or(Date::Near(Timestamp::from_ns(0)));
    let at = MonthDay::of(head.month, head.day, head.time)
        .and_then(|time| time.at(context.zone_offset_s, Some(date)))
        .ok_or(ParseError("a klog time that does not exist"))?;
    record.time = Some(Time { at, source: TimeSource::Inferred });
    record.level = Some(head.level);
    let (message, pairs) = structured(text).unwrap_or((text, Pairs::new(b"")));
    let message = if message.len() < text.len() { quoted::unquote(message, scratch) } else { message };
    record.set_text("body", message);
    record.set("process.pid", Value::Int(head.process));
    record.set_text("code.file.path", head.file);
    if head.line_number > 0 {
        record.set("code.line.number", Value::Int(head.line_number));
    }
    let mut keys = Keys::new(context, scratch, record);
    for (count, written) in pairs.enumerate() {
        logfmt::set(count, written?, &mut keys, |keys, pair| keys.free(pair.name, pair.value));
    }
    keys.finish();
    Ok(())
}

fn head(input: &[u8]) -> IResult<&[u8], Head<'_>> {
    let (rest, level) = map_opt(take(1_usize), level).parse(input)?;
    let two_digits = || map_opt(take(2_usize), whole);
    let (rest, month) = two_digits().parse(rest)?;
    let (rest, day) = terminated(two_digits(), tag(" ")).parse(rest)?;
    let (rest, time) = terminated(take(15_usize), tag(" ")).parse(rest)?;
    let digits = || take_while1(|byte: u8| byte.is_ascii_digit());
    let (rest, process) = preceded(blanks, map_opt(digits(), whole)).parse(rest)?;
    let (rest, file) =
        preceded(blanks, take_till1(|byte| matches!(byte, b':' | b' ' | b'\n'))).parse(rest)?;
    let (rest, line_number) = preceded(tag(":"), map_opt(digits(), whole)).parse(rest)?;
    // FormatHeaderWithSpace sets the place apart, for editors that make a link of it.
    let (rest, _) = (opt(tag(" ")), tag("]"), opt(tag(" "))).parse(rest)?;
    Ok((rest, Head { level, month, day, time, process, file, line_number }))
}

fn blanks(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while(|byte| byte == b' ')(input)
}

fn level(letter: &[u8]) -> Option<Level<'_>> {
    let severity = match letter {
        b"I" => "info",
        b"W" => "warn",
        b"E" => "error",
        b"F" => "fatal",
        _ => return None,
    };
    Some(Level { severity, text: letter })
}

/// `"message" key=value` → what stands between the quotes, and the pairs.
fn structured(text: &[u8]) -> Option<(&[u8], Pairs<'_>)> {
    let [b'"', quoted @ ..] = text else { return None };
    let end = closing_quote(quoted)?;
    let rest = &quoted[end + 1..];
    let pairs = Pairs::new(rest);
    let sound = rest.first().is_none_or(|byte| *byte == b' ')
        && pairs.clone().all(|pair| pair.is_ok_and(|pair| pair.value != Form::Missing));
    sound.then_some((&quoted[..end], pairs))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = concat!(
        r#"I0420 12:34:56.123456       7 controller.go:190] "Sync \"done\"" pod="kube-system/x" n=3 ok=true "#,
        r#"err="a\nb" severity="x" body=1 obj={"a":"b c"} none=null"#,
    );

    fn parsed<'a>(line: &'a [u8], scratch: &'a Scratch) -> Result<Record<'a>, ParseError> {
        let mut record = Record::new();
        let date = crate::timestamp::rfc3339(b"2026-04-20T12:35:00Z").map(Date::Near);
        parse(line, &Context { date, ..Context::default() }, scratch, &mut record).map(|()| record)
    }

    #[test]
    fn a_structured_line() {
        let scratch = Scratch::new();
        let record = parsed(LINE.as_bytes(), &scratch).unwrap();
        for (name, value) in [
            ("body", Value::text("Sync \"done\"")),
            ("process.pid", Value::Int(7)),
            ("code.file.path", Value::text("controller.go")),
            ("code.line.number", Value::Int(190)),
            ("pod", Value::text("kube-system/x")),
            ("n", Value::Int(3)),
            ("ok", Value::Bool(true)),
            ("err", Value::text("a\nb")),
            ("field.severity", Value::text("x")),
            ("field.body", Value::text("1")),
            ("obj", Value::text(r#"{"a":"b c"}"#)),
        ] {
            assert_eq!(record.get(name), Some(value), "{name}");
        }
        assert_eq!(record.get("none"), None);
        let at = crate::timestamp::rfc3339(b"2026-04-20T12:34:56.123456Z").unwrap();
        assert_eq!(record.time, Some(Time { at, source: TimeSource::Inferred }));
        assert_eq!(record.level, Some(Level { severity: "info", text: b"I" }));
    }

    #[test]
    fn what_is_not_structured_stays_text() {
        for text in [
            "Service \"default/x\" does not have any active Endpoint.",
            r#"Event(v1.ObjectReference{Kind:"ConfigMap", Name:"a"}): type: 'Normal' reason: 'CREATE' x=1"#,
            r#""default/x" was not found"#,
            r#""cut" key="val"#,
            r#""cut" key="value" an"#,
            "\"",
        ] {
            let line = format!("E1231 23:59:59.000001 1234567 a/b.go:1] {text}");
            let scratch = Scratch::new();
            let record = parsed(line.as_bytes(), &scratch).unwrap();
            assert_eq!(record.get("body"), Some(Value::text(text)));
            assert_eq!(record.get("code.file.path"), Some(Value::text("a/b.go")));
            assert_eq!(record.fields().len(), 4, "{text}");
            assert!(record.is_error());
        }
    }

    #[test]
    fn the_pieces_may_be_empty_or_set_apart() {
        for (line, body) in [
            ("W0420 12:34:56.123456       7 x.go:1] ", None),
            ("W0420 12:34:56.123456       7 x.go:1]", None),
            ("W0420 12:34:56.123456 7 x.go:1 ] y", Some("y")),
            ("F0420 12:34:56.123456 7 x.go:0] \"y\"", Some("y")),
            ("W0420 12:34:56.123456 7 ???:1] \"y\" a=<\n\tz\n\ty\n > b=1", Some("y")),
        ] {
            let scratch = Scratch::new();
            let record = parsed(line.as_bytes(), &scratch).unwrap();
            assert_eq!(record.get("body"), body.map(Value::text), "{line}");
            let a = line.contains("a=").then_some(Value::text("z\ny"));
            assert_eq!(record.get("a"), a, "{line}");
        }
    }

    #[test]
    fn other_lines_are_refused() {
        let scratch = Scratch::new();
        for line in [
            "",
            "NGINX Ingress controller",
            "I0420 12:34:56.123456 controller.go:190] x",
            "D0420 12:34:56.123456       7 controller.go:190] x",
            "I1320 12:34:56.123456       7 controller.go:190] x",
            "I0420 12:34:66.123456       7 controller.go:190] x",
            "I0420 12:34:56.123456       7 controller.go:190 x",
        ] {
            assert!(parsed(line.as_bytes(), &scratch).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_and_any_cut_are_survived(
            noise in prop::collection::vec(any::<u8>(), 0..60),
            at in 0..LINE.len(),
        ) {
            let scratch = Scratch::new();
            let (before, after) = LINE.as_bytes().split_at(at);
            let _ = (parsed(&noise, &scratch).is_ok(), parsed(&[before, &noise, after].concat(), &scratch).is_ok());
            prop_assert!(parsed(before, &scratch).is_ok() || at < 49);
        }
    }
}
