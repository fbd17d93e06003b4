//! What holds for every line, however hostile: the laws that the properties here and the fuzz targets check.
//!
//! Each function takes bytes and panics when a parser breaks its word.

#![allow(unreachable_pub, reason = "the fuzz targets are another crate that takes this file in")]

use std::sync::LazyLock;

use hivetail_parsers::{
    Context, Date, ElixirFormat, Field, Format, Key, LogFormat, Parser, Record, Scratch, Timestamp,
    UrlShapes, Value, envelope::Envelope, names,
};

/// Any day will do, but it must be one: without it, times of day would stop before they are read to the end.
const NOW: Timestamp = Timestamp::from_ns(1_795_000_000_000_000_000);

static PARSERS: LazyLock<Vec<Parser>> = LazyLock::new(|| Format::ALL.into_iter().map(Parser::new).collect());

/// The same with patterns that many paths fit.
static SHAPED: LazyLock<Vec<Parser>> = LazyLock::new(|| {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let shapes = UrlShapes::parse(&owned(&["/", "/:a/*/:c", "/:a", "/a/*"])).expect("patterns");
    let shapes = shapes.with_params(owned(&["a", "q", "token"]));
    Format::ALL.into_iter().map(|format| Parser::new(format).with_url_shapes(shapes.clone())).collect()
});

fn context() -> Context<'static> {
    Context { date: Some(Date::Before(NOW)), ..Context::default() }
}

/// A parser answers with sound fields, or with the whole line and a reason and nothing else.
pub fn of_parser(parser: &Parser, line: &[u8]) -> bool {
    let scratch = Scratch::new();
    let mut record = Record::new();
    let parsed = parser.parse(line, &context(), &scratch, &mut record);
    if parsed.is_err() {
        let is_whole = |body: &[u8]| body == line || body.windows(10).any(|part| part == b"[FILTERED]");
        let body = record.get("body");
        assert!(matches!(body, Some(Value::Text(body)) if is_whole(body)), "{}", line.escape_ascii());
        assert!(record.get("meta.parse_error").is_some() && record.fields().len() == 2);
        assert!(record.time.is_none() && record.level.is_none());
    }
    of_fields(&record);
    parsed.is_ok()
}

/// The same of the parser for a format, without patterns and with some.
pub fn of_format(format: Format, line: &[u8]) -> bool {
    let (plain, shaped) = (&PARSERS[format as usize], &SHAPED[format as usize]);
    of_shapes(plain, shaped, line);
    of_parser(plain, line)
}

/// A source's patterns change what a request's shape is called and what its URL tells, and nothing else.
fn of_shapes(plain: &Parser, shaped: &Parser, line: &[u8]) {
    let (scratch, [mut without, mut with]) = (Scratch::new(), [Record::new(), Record::new()]);
    let parsed = plain.parse(line, &context(), &scratch, &mut without);
    assert_eq!(parsed, shaped.parse(line, &context(), &scratch, &mut with), "{}", line.escape_ascii());
    of_fields(&with);
    let is_other = |field: &&Field<'_>| {
        let name = field.key.bytes();
        name != b"url.shape" && name != b"name" && !name.starts_with(b"url.param.")
    };
    let shown =
        |record: &Record<'_>| format!("{:?}", record.fields().iter().filter(is_other).collect::<Vec<_>>());
    assert_eq!(shown(&without), shown(&with), "{}", line.escape_ascii());
}

/// An envelope opens, and a parser reads what is inside, or the record is as it was.
pub fn of_envelope(envelope: Envelope, line: &[u8]) -> bool {
    let scratch = Scratch::new();
    let mut record = Record::new();
    let opened = envelope.open(line, &context(), &scratch, &mut record);
    of_fields(&record);
    let Ok(inner) = opened else {
        assert!(record.fields().is_empty() && record.time.is_none() && record.level.is_none());
        return false;
    };
    let _ = PARSERS[Format::Auto as usize].parse(inner.line, &context(), &scratch, &mut record);
    of_fields(&record);
    true
}

/// Text up to the first line break is a `log_format`, the rest a line of it.
pub fn of_log_format(text: &[u8]) {
    let Some((format, line)) = split(text) else { return };
    if let Ok(format) = LogFormat::parse(format) {
        of_parser(&Parser::new(Format::Nginx).with_log_format(format), line);
    }
}

/// Text up to the first line break is a Logger pattern, the rest a line of it.
pub fn of_elixir_format(text: &[u8]) {
    let Some((pattern, line)) = split(text) else { return };
    if let Ok(pattern) = ElixirFormat::parse(pattern) {
        of_parser(&Parser::new(Format::Phoenix).with_elixir_format(pattern), line);
    }
}

fn split(text: &[u8]) -> Option<(&str, &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&text[..end]).ok()?, &text[end + 1..]))
}

/// Every name stands once; a name of the contract has its type; numbers are numbers; what is the agent's own was not
/// set by the input.
fn of_fields(record: &Record<'_>) {
    let mut seen = std::collections::HashSet::new();
    for field in record.fields() {
        let name = field.key.bytes();
        assert!(seen.insert(name), "{} twice", name.escape_ascii());
        assert!(is_sound(field.value), "{} = {:?}", name.escape_ascii(), field.value);
        assert!(has_its_type(name, field.value), "{} = {:?}", name.escape_ascii(), field.value);
        assert!(!matches!(field.key, Key::Free(name) if names::is_reserved(name)), "{}", name.escape_ascii());
    }
}

fn is_sound(value: Value<'_>) -> bool {
    match value {
        Value::Float(number) => number.is_finite(),
        Value::Number(text) => std::str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok()),
        Value::Text(_) | Value::Int(_) | Value::Bool(_) => true,
    }
}

fn has_its_type(name: &[u8], value: Value<'_>) -> bool {
    match names::type_of(name) {
        Some(names::Type::String) => matches!(value, Value::Text(_)),
        Some(names::Type::Int) => matches!(value, Value::Int(_)),
        Some(names::Type::Float) => matches!(value, Value::Float(_) | Value::Number(_) | Value::Int(_)),
        Some(names::Type::Bool) => matches!(value, Value::Bool(_)),
        None => true,
    }
}
