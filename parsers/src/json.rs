//! One JSON object a line → flat fields.
//!
//! Objects are flattened with dots down to depth 5, deeper ones and arrays are kept as JSON text. The usual
//! time, level and message keys fill the event's time, severity and `body`; other keys ship as written, but
//! none can set what is ours (`meta.*`, `log.*`, what configuration or the envelope set, a contract name with
//! a value of another type): those become `field.<key>`. Nulls are left out; of a repeated key the last counts.

pub(crate) mod scan;

use crate::{
    Context, ParseError,
    names::{self, Type},
    number::whole,
    record::{Level, Record, Scratch, Time, TimeSource, Value},
    timestamp::{self, Timestamp},
};
use scan::{Token, punctuation};

/// How many levels of objects become dotted names.
const DEPTH_MAX: usize = 5;
/// How many fields a line may have of its own (Honeycomb takes 2,000 an event); the rest is kept as text.
const FIELDS_MAX: usize = 1_900;

/// A name that would be this long is not made longer: the object under it stays text (Honeycomb's columns take
/// 255 bytes).
const NAME_BYTES_MAX: usize = 255;

const MALFORMED: ParseError = ParseError("malformed JSON");

/// Appends the line's fields to `record`.
pub(crate) fn parse<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let text = scan::skip_blanks(line);
    if text.first() != Some(&b'{') {
        return Err(ParseError("not a JSON object"));
    }
    let first = record.fields().len();
    let mut flat =
        Flattener { context, scratch, record, first, has_body: false, names: 0, overflow: Vec::new() };
    let rest = flat.object(b"", text, 1)?;
    if !scan::skip_blanks(rest).is_empty() {
        return Err(ParseError("text after the JSON object"));
    }
    flat.finish();
    record.keep_last(first);
    Ok(())
}

/// The text of a JSON string, its escapes resolved.
pub(crate) fn unescape<'a>(text: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    scratch.fill(text.len(), |out| scan::unescape(text, out))
}

struct Flattener<'p, 'a> {
    context: &'p Context<'p>,
    scratch: &'a Scratch,
    record: &'p mut Record<'a>,
    /// How many fields the envelope had set before.
    first: usize,
    has_body: bool,
    /// How many names there were: of fields, and of objects that were flattened.
    names: usize,
    /// The pairs beyond the limit, as JSON text without its last brace; not allocated unless there are some.
    overflow: Vec<u8>,
}

impl<'a> Flattener<'_, 'a> {
    /// The object that `text` begins with; answers what follows it.
    fn object(&mut self, prefix: &'a [u8], text: &'a [u8], depth: usize) -> Result<&'a [u8], ParseError> {
        let (mut rest, ()) = punctuation(b'{')(text).map_err(|_| MALFORMED)?;
        if let [b'}', after @ ..] = rest {
            return Ok(after);
        }
        loop {
            if self.names >= FIELDS_MAX {
                return self.overflow(prefix, rest);
            }
            let (after, key) = scan::string(rest).map_err(|_| MALFORMED)?;
            let (value, ()) = punctuation(b':')(after).map_err(|_| MALFORMED)?;
            rest = if depth < DEPTH_MAX && prefix.len() + key.0.len() < NAME_BYTES_MAX && opens_object(value)
            {
                let name = self.name(prefix, key);
                self.object(name, value, depth + 1)?
            } else {
                let (after, token) = scan::value(value).map_err(|_| MALFORMED)?;
                if token != Token::Null {
                    let name = self.name(prefix, key);
                    self.leaf(name, token);
                }
                after
            };
            match scan::skip_blanks(rest) {
                [b',', after @ ..] => rest = scan::skip_blanks(after),
                [b'}', after @ ..] => return Ok(after),
                _ => return Err(MALFORMED),
            }
        }
    }

    fn decode(&self, text: &'a [u8], escaped: bool) -> &'a [u8] {
        if escaped { unescape(text, self.scratch) } else { text }
    }

    /// Names take memory that the line's length does not bound, so they are counted.
    fn name(&mut self, prefix: &'a [u8], (key, escaped): (&'a [u8], bool)) -> &'a [u8] {
        self.names += 1;
        let key = self.decode(key, escaped);
        if prefix.is_empty() { key } else { self.scratch.concat(&[prefix, b".", key]) }
    }

    fn leaf(&mut self, name: &'a [u8], token: Token<'a>) {
        let value = match token {
            Token::Null => return,
            Token::Bool(value) => Value::Bool(value),
            Token::Number(text) => number(text),
            Token::Text(text, escaped) => Value::Text(self.decode(text, escaped)),
            Token::Array(text) | Token::Object(text) => Value::Text(text),
        };
        let container = matches!(token, Token::Array(_) | Token::Object(_));
        if container || !self.well_known(name, token, value) {
            self.free(name, value);
        }
    }

    /// Keys that fill the event's time, level and message.
    fn well_known(&mut self, name: &'a [u8], token: Token<'a>, value: Value<'a>) -> bool {
        match (name, value) {
            (b"time" | b"@timestamp" | b"timestamp" | b"ts" | b"msec", _) => self.time(token, value),
            (b"level" | b"severity" | b"log.level" | b"lvl", Value::Text(text)) => {
                let level = Level::of(text);
                self.record.level = level.or(self.record.level);
                level.is_some()
            }
            (b"msg" | b"message" | b"body", Value::Text(text)) if !self.has_body => {
                self.has_body = true;
                self.record.set_text("body", text);
                true
            }
            (b"error", Value::Bool(error)) => {
                self.record.error |= error;
                true
            }
            _ => false,
        }
    }

    fn time(&mut self, token: Token<'a>, value: Value<'a>) -> bool {
        if self.record.time.is_some_and(|time| time.source != TimeSource::Envelope) {
            return false;
        }
        let (at, source) = match (token, value) {
            (Token::Number(text), _) => (timestamp::epoch(text), TimeSource::Log),
            (_, Value::Text(text)) => text_time(text, self.context),
            _ => (None, TimeSource::Log),
        };
        if let Some(at) = at {
            self.record.time = Some(Time { at, source });
        }
        at.is_some()
    }

    /// Any other key: kept under its own name unless that name is taken for something else.
    fn free(&mut self, name: &'a [u8], value: Value<'a>) {
        if name == b"http.response.status_code" && matches!(value, Value::Int(500..)) {
            self.record.error = true;
        }
        let envelope = self.record.fields()[..self.first].iter().any(|field| field.key.bytes() == name);
        let config = self.context.reserved.iter().any(|reserved| reserved.as_bytes() == name);
        let taken = envelope || config || is_filled_otherwise(name) || names::is_reserved(name);
        match contract(name, value).filter(|_| !taken) {
            Some(Value::Text(b"")) if names::type_of(name).is_some() => {}
            Some(value) => self.record.set_free(name, value),
            None => self.record.set_free(self.scratch.concat(&[b"field.", name]), value),
        }
    }

    /// The pairs that no longer fit, up to the object's end, are kept as they are written.
    #[cold]
    fn overflow(&mut self, prefix: &[u8], pairs: &'a [u8]) -> Result<&'a [u8], ParseError> {
        let mut rest = pairs;
        let end = loop {
            rest = punctuation(b':')(scan::string(rest).map_err(|_| MALFORMED)?.0).map_err(|_| MALFORMED)?.0;
            rest = scan::skip_blanks(scan::value(rest).map_err(|_| MALFORMED)?.0);
            match rest {
                [b',', after @ ..] => rest = scan::skip_blanks(after),
                [b'}', after @ ..] => break after,
                _ => return Err(MALFORMED),
            }
        };
        let separator = if self.overflow.is_empty() { b'{' } else { b',' };
        self.overflow.push(separator);
        if !prefix.is_empty() {
            scan::quote(prefix, &mut self.overflow);
            self.overflow.extend_from_slice(b":{");
        }
        self.overflow.extend_from_slice(&pairs[..pairs.len() - end.len() - 1]);
        if !prefix.is_empty() {
            self.overflow.push(b'}');
        }
        Ok(end)
    }

    fn finish(&mut self) {
        if !self.overflow.is_empty() {
            self.overflow.push(b'}');
            self.record.set("field.overflow", Value::Text(self.scratch.copy(&self.overflow)));
        }
        self.trace_ids();
    }

    /// `trace_id` and `span_id` tie the event to its trace, if they are real ids.
    fn trace_ids(&mut self) {
        let id = |name, digits| match self.record.get(name) {
            Some(Value::Text(text)) => crate::record::hex_id(text, digits),
            _ => None,
        };
        let (trace_id, span_id) = (id("trace_id", 32), id("span_id", 16));
        self.record.set_trace(trace_id, span_id);
    }
}

/// Names that events have from elsewhere; and a name has to be one.
fn is_filled_otherwise(name: &[u8]) -> bool {
    matches!(name, b"" | b"body" | b"error" | b"severity" | b"severity_text")
}

/// Whether `text` begins with an object that has something in it.
fn opens_object(text: &[u8]) -> bool {
    text.first() == Some(&b'{') && scan::skip_blanks(&text[1..]).first() != Some(&b'}')
}

/// The value under a contract name, if it has the contract's type; any value under a free name.
fn contract<'a>(name: &[u8], value: Value<'a>) -> Option<Value<'a>> {
    match (names::type_of(name), value) {
        (None, _) | (Some(Type::String), Value::Text(_)) | (Some(Type::Int), Value::Int(_)) => Some(value),
        #[expect(
            clippy::cast_precision_loss,
            reason = "a measure above 2^53 has lost its last digits anyway"
        )]
        (Some(Type::Float), Value::Int(whole)) => Some(Value::Float(whole as f64)),
        (Some(Type::Float), Value::Number(_)) => Some(value),
        _ => None,
    }
}

/// Whole numbers stay exact; what neither 64-bit kind holds is kept as text.
fn number(text: &[u8]) -> Value<'_> {
    let is_whole = !text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    if is_whole {
        return match whole(digits) {
            Some(value) => Value::Int(if negative { -value } else { value }),
            None => Value::Text(text),
        };
    }
    let finite =
        std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_finite);
    if finite { Value::Number(text) } else { Value::Text(text) }
}

fn text_time(text: &[u8], context: &Context<'_>) -> (Option<Timestamp>, TimeSource) {
    let own = timestamp::rfc3339(text).or_else(|| timestamp::epoch(text)).or_else(|| timestamp::clf(text));
    match own {
        Some(at) => (Some(at), TimeSource::Log),
        None => (timestamp::date_time(text, context.zone_offset_s), TimeSource::Inferred),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str, reserved: &[&str], check: impl FnOnce(&Record<'_>)) {
        let scratch = Scratch::new();
        let mut record = Record::new();
        let reserved: Vec<String> = reserved.iter().map(|name| (*name).to_owned()).collect();
        let context = Context { reserved: &reserved, ..Context::default() };
        parse(line.as_bytes(), &context, &scratch, &mut record).unwrap();
        check(&record);
    }

    #[test]
    fn objects_are_flattened_and_arrays_are_text() {
        let line = r#" {"a":{"b":{"c":{"d":{"e":{"f":1}}}}},"l":[1, "x"],"e":{},"n":null,"t":true} "#;
        parsed(line, &[], |record| {
            assert_eq!(record.get("a.b.c.d.e"), Some(Value::text(r#"{"f":1}"#)));
            assert_eq!(record.get("l"), Some(Value::text(r#"[1, "x"]"#)));
            assert_eq!(record.get("e"), Some(Value::text("{}")));
            assert_eq!(record.get("n"), None);
            assert_eq!(record.get("t"), Some(Value::Bool(true)));
        });
    }

    #[test]
    fn time_level_and_message_are_recognised() {
        let line = r#"{"ts":1700000000.5,"level":"ERROR","msg":"a\nb","message":"c","time":"x"}"#;
        parsed(line, &[], |record| {
            assert_eq!(record.time.map(|time| time.at.ns()), Some(1_700_000_000_500_000_000));
            assert_eq!(record.level.map(|level| level.severity), Some("error"));
            assert_eq!(record.get("body"), Some(Value::text("a\nb")));
            assert_eq!(record.get("message"), Some(Value::text("c")));
            assert_eq!(record.get("time"), Some(Value::text("x")));
        });
    }

    #[test]
    fn input_cannot_set_what_is_ours() {
        let line =
            r#"{"meta.x":1,"log":{"format":"y"},"service.name":"z","request_id":7,"duration_ms":7,"body":1}"#;
        parsed(line, &["service.name"], |record| {
            for name in
                ["field.meta.x", "field.log.format", "field.service.name", "field.request_id", "field.body"]
            {
                assert!(record.get(name).is_some(), "{name}");
            }
            assert_eq!(record.get("duration_ms"), Some(Value::Float(7.0)));
        });
    }

    #[test]
    fn what_is_filled_otherwise_is_not_doubled() {
        let line = r#"{"level":"info","severity":"weird","severity_text":"x","body":[1],"msg":"y","error":"z","":1}"#;
        parsed(line, &[], |record| {
            assert_eq!(record.level.map(|level| level.severity), Some("info"));
            assert_eq!(record.get("body"), Some(Value::text("y")));
            for name in ["severity", "severity_text", "body", "error", ""] {
                assert!(record.get(&format!("field.{name}")).is_some(), "{name}");
                assert!(name == "body" || record.get(name).is_none(), "{name}");
            }
        });
    }

    #[test]
    fn numbers_keep_their_digits() {
        let line = r#"{"a":9007199254740993,"b":18446744073709551615,"c":1.10,"d":1e999,"e":-3}"#;
        parsed(line, &[], |record| {
            assert_eq!(record.get("a"), Some(Value::Int(9_007_199_254_740_993)));
            assert_eq!(record.get("b"), Some(Value::text("18446744073709551615")));
            assert_eq!(record.get("c"), Some(Value::Number(b"1.10")));
            assert_eq!(record.get("d"), Some(Value::text("1e999")));
            assert_eq!(record.get("e"), Some(Value::Int(-3)));
        });
    }

    #[test]
    fn ten_thousand_keys_keep_their_values() {
        let pairs: Vec<String> = (0..10_000).map(|n| format!("\"k{n}\":{n}")).collect();
        parsed(&format!("{{{}}}", pairs.join(",")), &[], |record| {
            assert_eq!(record.fields().len(), FIELDS_MAX + 1);
            let Some(Value::Text(rest)) = record.get("field.overflow") else { panic!("no overflow") };
            assert!(rest.starts_with(br#"{"k1900":1900,"#) && rest.ends_with(br#""k9999":9999}"#));
        });
        parsed(&format!("{{\"a\":{{{}}},\"b\":1}}", pairs.join(",")), &[], |record| {
            let Some(Value::Text(rest)) = record.get("field.overflow") else { panic!("no overflow") };
            assert!(
                rest.starts_with(br#"{"a":{"k1899":1899,"#) && rest.ends_with(br#""k9999":9999},"b":1}"#)
            );
        });
    }

    #[test]
    fn broken_objects_fail() {
        for line in ["", "[1]", "{", "{\"a\":1", "{\"a\":1}x", "{\"a\" 1}", "{\"a\":1,}"] {
            let scratch = Scratch::new();
            let result = parse(line.as_bytes(), &Context::default(), &scratch, &mut Record::new());
            assert!(result.is_err(), "{line}");
        }
    }
}
