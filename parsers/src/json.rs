//! One JSON object a line → flat fields.
//!
//! Objects are flattened with dots down to depth 5, deeper ones and arrays are kept as JSON text; nulls are left
//! out. What becomes of each name is for `keys.rs` to say, or for a preset that knows it better.

pub(crate) mod leaves;
pub(crate) mod scan;

use crate::{
    Context, ParseError,
    free::FIELDS_MAX,
    keys::{Keys, Pair, number},
    record::{Record, Scratch, Value},
};
use scan::{Token, punctuation};

/// How many levels of objects become dotted names.
const DEPTH_MAX: usize = 5;

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
    let mut keys = Keys::new(context, scratch, record);
    flatten(line, &mut keys, Keys::set)?;
    keys.finish();
    Ok(())
}

/// Gives each value of the line's object to `set`, under its dotted name.
pub(crate) fn flatten<'p, 'a>(
    line: &'a [u8],
    keys: &mut Keys<'p, 'a>,
    set: impl FnMut(&mut Keys<'p, 'a>, Pair<'a>),
) -> Result<(), ParseError> {
    let text = scan::skip_blanks(line);
    if text.first() != Some(&b'{') {
        return Err(ParseError("not a JSON object"));
    }
    let mut flat = Flattener { keys, set, names: 0 };
    let rest = flat.object(b"", text, 1)?;
    if !scan::skip_blanks(rest).is_empty() {
        return Err(ParseError("text after the JSON object"));
    }
    Ok(())
}

/// The text of a JSON string, its escapes resolved.
pub(crate) fn unescape<'a>(text: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    scratch.fill(text.len(), |out| scan::unescape(text, out))
}

struct Flattener<'k, 'p, 'a, F> {
    keys: &'k mut Keys<'p, 'a>,
    set: F,
    /// How many names there were: of fields, and of objects that were flattened.
    names: usize,
}

impl<'p, 'a, F: FnMut(&mut Keys<'p, 'a>, Pair<'a>)> Flattener<'_, 'p, 'a, F> {
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
        if escaped { unescape(text, self.keys.scratch) } else { text }
    }

    /// Names take memory that the line's length does not bound, so they are counted.
    fn name(&mut self, prefix: &'a [u8], (key, escaped): (&'a [u8], bool)) -> &'a [u8] {
        self.names += 1;
        let key = self.decode(key, escaped);
        if prefix.is_empty() { key } else { self.keys.scratch.concat(&[prefix, b".", key]) }
    }

    fn leaf(&mut self, name: &'a [u8], token: Token<'a>) {
        let (value, written) = match token {
            Token::Null => return,
            Token::Bool(value) => (Value::Bool(value), if value { &b"true"[..] } else { b"false" }),
            Token::Number(text) => (number(text), text),
            Token::Text(text, escaped) => (Value::Text(self.decode(text, escaped)), text),
            Token::Array(text) | Token::Object(text) => (Value::Text(text), text),
        };
        let container = matches!(token, Token::Array(_) | Token::Object(_));
        (self.set)(self.keys, Pair { name, value, written, container });
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
        let overflow = self.keys.overflow();
        if !prefix.is_empty() {
            scan::quote(prefix, overflow);
            overflow.extend_from_slice(b":{");
        }
        overflow.extend_from_slice(&pairs[..pairs.len() - end.len() - 1]);
        if !prefix.is_empty() {
            overflow.push(b'}');
        }
        Ok(end)
    }
}

/// Whether `text` begins with an object that has something in it.
fn opens_object(text: &[u8]) -> bool {
    text.first() == Some(&b'{') && scan::skip_blanks(&text[1..]).first() != Some(&b'}')
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
    fn the_first_level_and_message_count_and_no_other_is_lost() {
        for (line, level, name, value) in [
            (r#"{"severity":"ERROR","level":"info","msg":"x"}"#, "error", "level", "info"),
            (r#"{"level":"info","log.level":"error"}"#, "info", "field.log.level", "error"),
            (r#"{"msg":"","message":"x","level":"info"}"#, "info", "body", "x"),
            (r#"{"body":"b","msg":"x","level":"info"}"#, "info", "msg", "x"),
        ] {
            let scratch = Scratch::new();
            let mut record = Record::new();
            parse(line.as_bytes(), &Context::default(), &scratch, &mut record).unwrap();
            assert_eq!(record.level.map(|level| level.severity), Some(level), "{line}");
            assert_eq!(record.get(name), Some(Value::text(value)), "{line}");
        }
    }

    #[test]
    fn only_real_ids_tie_an_event_to_its_trace() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        for (line, tied) in [
            (format!(r#"{{"traceparent":"00-{trace}-{span}-01"}}"#), true),
            (format!(r#"{{"trace":{{"trace_id":"{trace}","span_id":"{span}"}}}}"#), true),
            (format!(r#"{{"trace_id":"{trace}","span_id":"{span}"}}"#), true),
            (r#"{"trace.trace_id":"-","trace.span_id":"x"}"#.to_owned(), false),
            (format!(r#"{{"traceparent":"00-{trace}-{span}"}}"#), false),
        ] {
            let scratch = Scratch::new();
            let mut record = Record::new();
            parse(line.as_bytes(), &Context::default(), &scratch, &mut record).unwrap();
            let expected = tied.then_some((Value::text(trace), Value::text(span)));
            assert_eq!(record.get("trace.trace_id").zip(record.get("trace.parent_id")), expected, "{line}");
            assert_eq!(record.get("trace.span_id"), None);
        }
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
