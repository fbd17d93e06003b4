//! logfmt, which has no specification: `level=info msg="a \"b\"" took=0.5 dry_run empty=`
//!
//! Values without quotes are numbers, `true` and `false` where they look so, and text otherwise; a key alone is
//! true; `null` and `<nil>` (go-logfmt, fmt) are absent. Keys that are text by contract stay text. The rules for
//! names are those of JSON (`keys.rs`).
//!
//! Invariant: prose is no logfmt, although it may hold a pair. [`parse`] is for lines of which no one said what
//! they are: it takes a line only if it begins with a pair, has two of them at least (or the one is a time, a
//! level or a message), and no more keys alone than pairs. [`parse_told`] is for lines that are logfmt by
//! configuration: one pair is enough.

pub(crate) mod pairs;
pub(crate) mod quoted;

use crate::{
    Context, ParseError,
    free::FIELDS_MAX,
    json::scan::{self, Token},
    keys::{Keys, Pair, number},
    names::{self, Type},
    record::{Record, Scratch, Value},
    secrets,
};
use pairs::{Form, Pairs, Written};

/// Appends the line's fields to `record`, if the line can be nothing but logfmt.
pub(crate) fn parse<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    if !is_plausible(line) {
        return Err(ParseError("too few key=value pairs for logfmt"));
    }
    parse_told(line, context, scratch, record)
}

/// Appends the line's fields to `record`.
pub(crate) fn parse_told<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let mut keys = Keys::new(context, scratch, record);
    let (mut has_pair, mut before) = (false, Form::Missing);
    for (count, written) in Pairs::new(line).enumerate() {
        let written = written?;
        has_pair |= written.value != Form::Missing;
        if goes_on(before, written.value) {
            before = written.value;
            continue;
        }
        let is_secret = written.value != Form::Missing && context.secret_names.is_secret(written.key);
        before = if is_secret { written.value } else { Form::Missing };
        set(count, written, &mut keys, Keys::set);
    }
    keys.finish();
    if has_pair { Ok(()) } else { Err(ParseError("no key=value pair")) }
}

/// Whether that is no pair but the rest of a secret, which a blank does not end: `authorization=Bearer x==`,
/// `cookie=a=x; b=y`.
fn goes_on(secret: Form<'_>, next: Form<'_>) -> bool {
    let Form::Plain(secret) = secret else { return false };
    match next {
        Form::Plain(padding) if padding.iter().any(|byte| *byte != b'=') => secret.ends_with(b";"),
        Form::Missing | Form::Plain(_) => secret.ends_with(b";") || secrets::is_scheme(secret),
        Form::Quoted(_) => false,
    }
}

/// Gives the pair to `set`, unless there were too many before.
pub(crate) fn set<'p, 'a>(
    count: usize,
    written: Written<'a>,
    keys: &mut Keys<'p, 'a>,
    set: impl Fn(&mut Keys<'p, 'a>, Pair<'a>),
) {
    let Some(pair) = read(written, keys.scratch) else { return };
    if count < FIELDS_MAX {
        set(keys, pair);
    } else {
        let overflow = keys.overflow();
        scan::quote(pair.name, overflow);
        overflow.push(b':');
        scan::quote(pair.text(), overflow);
    }
}

/// Whether the line can hardly be anything else.
fn is_plausible(line: &[u8]) -> bool {
    let mut first = &b""[..];
    let (mut pairs, mut alone) = (0_usize, 0_usize);
    for written in Pairs::new(line) {
        match written {
            Ok(Written { value: Form::Missing, .. }) if pairs == 0 => return false,
            Ok(Written { value: Form::Missing, .. }) => alone += 1,
            Ok(Written { key, .. }) => {
                first = if pairs == 0 { key } else { first };
                pairs += 1;
            }
            Err(_) => return false,
        }
    }
    let named = first.first().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@'));
    let telling = matches!(
        first,
        b"time"
            | b"ts"
            | b"timestamp"
            | b"@timestamp"
            | b"level"
            | b"lvl"
            | b"severity"
            | b"msg"
            | b"message"
    );
    named && alone <= pairs && (pairs >= 2 || telling)
}

/// The pair's value; `None` for one that says that there is none.
fn read<'a>(written: Written<'a>, scratch: &'a Scratch) -> Option<Pair<'a>> {
    let name = written.key;
    let (value, written) = match written.value {
        Form::Missing => (Value::Bool(true), &b"true"[..]),
        Form::Quoted(text) => (Value::Text(quoted::unquote(text, scratch)), text),
        Form::Plain(b"null" | b"<nil>") => return None,
        Form::Plain([b'<', b'\n', text @ .., b'\n', b' ', b'>']) => {
            (Value::Text(quoted::unindent(text, scratch)), text)
        }
        Form::Plain(text) => match plain(text) {
            Value::Int(_) | Value::Number(_) | Value::Bool(_) if is_text(name) => (Value::Text(text), text),
            value => (value, text),
        },
    };
    Some(Pair { name, value, written, container: false })
}

/// Names whose values are text even if they look like something else.
fn is_text(name: &[u8]) -> bool {
    matches!(name, b"msg" | b"message") || names::type_of(name) == Some(Type::String)
}

fn plain(text: &[u8]) -> Value<'_> {
    match scan::value(text) {
        Ok(([], Token::Bool(value))) => Value::Bool(value),
        Ok(([], Token::Number(text))) => number(text),
        _ => Value::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Level, timestamp};

    const LINE: &str = concat!(
        r#"ts=2026-11-21T20:52:42.5Z level=warn msg="a \"b\"" took=0.50 n=-7 ok=true request_id=123 "#,
        r#"debug empty= error=false list=[a, b] commit=007 none=null"#,
    );

    fn parsed(line: &str, check: impl FnOnce(&Record<'_>)) {
        let scratch = Scratch::new();
        let mut record = Record::new();
        parse(line.as_bytes(), &Context::default(), &scratch, &mut record).unwrap();
        check(&record);
    }

    #[test]
    fn values_have_types() {
        parsed(LINE, |record| {
            assert_eq!(record.time.map(|time| time.at), timestamp::rfc3339(b"2026-11-21T20:52:42.5Z"));
            assert_eq!(record.level, Level::of(b"warn"));
            assert!(!record.is_error());
            for (name, value) in [
                ("body", Value::text("a \"b\"")),
                ("took", Value::Number(b"0.50")),
                ("n", Value::Int(-7)),
                ("ok", Value::Bool(true)),
                ("request_id", Value::text("123")),
                ("debug", Value::Bool(true)),
                ("empty", Value::text("")),
                ("list", Value::text("[a, b]")),
                ("commit", Value::text("007")),
            ] {
                assert_eq!(record.get(name), Some(value), "{name}");
            }
            for name in ["none", "ts", "level", "msg"] {
                assert_eq!(record.get(name), None, "{name}");
            }
        });
    }

    #[test]
    fn the_rules_of_json_hold() {
        parsed("meta.x=1 log.y=2 duration_ms=5 severity=loud a=1 a=2 url.path=true", |record| {
            assert_eq!(record.get("field.meta.x"), Some(Value::Int(1)));
            assert_eq!(record.get("field.log.y"), Some(Value::Int(2)));
            assert_eq!(record.get("duration_ms"), Some(Value::Float(5.0)));
            assert_eq!(record.get("field.severity"), Some(Value::text("loud")));
            assert_eq!(record.get("a"), Some(Value::Int(2)));
            assert_eq!(record.get("url.path"), Some(Value::text("true")));
            assert_eq!(record.fields().len(), 6);
        });
    }

    #[test]
    fn secrets_go_on_after_a_blank() {
        let line = "a=1 authorization=Bearer x== cookie=b=x; c=y; d=z e=2 token=Basic x f=3 g=Basic h";
        parsed(line, |record| {
            let names: Vec<_> =
                record.fields().iter().map(|field| field.key.bytes().escape_ascii()).collect();
            let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
            assert_eq!(names, ["a", "authorization", "cookie", "e", "token", "f", "g", "h"]);
        });
    }

    #[test]
    fn real_lines() {
        for line in [
            r#"at=info method=GET path="/x?a=b" host=a.test request_id=8 fwd="1.2.3.4" dyno=web.1 connect=1ms service=18ms status=200 bytes=13"#,
            r#"time="2015-03-26T01:27:38-04:00" level=debug msg="Started observing beach" animal=walrus number=8"#,
            r"foo=bar a=14 baz='x' cool%story=bro f %^asdf",
            "source=heroku.2808254.web.1 dyno=web.1 sample#load_avg_1m=2.46 sample#load_avg_5m=1.06",
            "foo= bar= tar=data",
            "msg=started",
        ] {
            parsed(line, |record| assert!(!record.fields().is_empty(), "{line}"));
        }
    }

    #[test]
    fn prose_and_broken_lines_are_refused() {
        let scratch = Scratch::new();
        for line in [
            "",
            "An ordinary sentence.",
            "Error: retry with x=1 or y=2",
            "a=b is all there is to say",
            "PATH=/usr/bin",
            "x = 5, y = 6",
            "QUERY OK source=\"episodes\" db=1.2ms queue=0.1ms",
            "level=error field=\"no quote here \"\"",
            "argh=no =",
            "level=info msg=\"cut",
        ] {
            let result = parse(line.as_bytes(), &Context::default(), &scratch, &mut Record::new());
            assert!(result.is_err(), "{line}");
        }
        let told = |line: &'static str| {
            parse_told(line.as_bytes(), &Context::default(), &scratch, &mut Record::new()).is_ok()
        };
        assert!(told("PATH=/usr/bin") && told("dry-run debug n=1") && !told("An ordinary sentence"));
    }

    #[test]
    fn ten_thousand_keys_keep_their_values() {
        let pairs: Vec<String> = (0..10_000).map(|n| format!("k{n}=\"{n}\"")).collect();
        parsed(&pairs.join(" "), |record| {
            assert_eq!(record.fields().len(), FIELDS_MAX + 1);
            let Some(Value::Text(rest)) = record.get("field.overflow") else { panic!("no overflow") };
            assert!(rest.starts_with(br#"{"k1900":"1900","#) && rest.ends_with(br#""k9999":"9999"}"#));
        });
    }

    proptest! {
        #[test]
        fn print_then_parse_is_identity(values in prop::collection::vec("\\PC*", 1..5)) {
            let print = |(n, value): (usize, &String)| format!("x{n}={value:?}");
            let line: Vec<String> = values.iter().enumerate().map(print).collect();
            let line = line.join(" ");
            prop_assume!(!line.contains("\\u{"), "Rust's own escape");
            let scratch = Scratch::new();
            let mut record = Record::new();
            parse_told(line.as_bytes(), &Context::default(), &scratch, &mut record).unwrap();
            for (n, value) in values.iter().enumerate() {
                prop_assert_eq!(record.get(&format!("x{n}")), Some(Value::text(value)));
            }
        }
    }
}
