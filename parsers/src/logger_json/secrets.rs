//! Secrets in a `LoggerJSON` document.
//!
//! Takes a key and its value, gives them with `[FILTERED]` in the place of what `secrets.rs` takes for a
//! secret: parts of a text, and whole values of keys that no formatter makes.

use crate::{
    keys::{Keys, Pair},
    record::Value,
    secrets,
};

/// The pair without secrets in its text. Ids are the text of nothing else.
pub(super) fn without<'a>(pair: Pair<'a>, keys: &Keys<'_, 'a>) -> Pair<'a> {
    match pair.value {
        Value::Text(text) if !is_id(pair.name) => {
            let clean = secrets::under_name(pair.name, text, keys.context.secret_names, keys.scratch);
            let written = if pair.container { clean } else { pair.written };
            Pair { value: Value::Text(clean), written, ..pair }
        }
        _ => pair,
    }
}

/// The pair without its value if the last part of its name is a secret's.
pub(super) fn hidden<'a>(pair: Pair<'a>, keys: &Keys<'_, 'a>) -> Pair<'a> {
    let leaf = memchr::memrchr(b'.', pair.name).map_or(pair.name, |dot| &pair.name[dot + 1..]);
    let is_empty = pair.container && matches!(pair.written, b"{}" | b"[]");
    if is_empty || !keys.context.secret_names.is_secret(leaf) {
        return pair;
    }
    Pair { value: Value::Text(secrets::FILTERED), written: secrets::FILTERED, container: false, ..pair }
}

/// What ties events to others, and where code is.
fn is_id(name: &[u8]) -> bool {
    matches!(
        name,
        b"request_id"
            | b"http.request_id"
            | b"logging.googleapis.com/operation.id"
            | b"logging.googleapis.com/trace"
            | b"logging.googleapis.com/spanId"
            | b"trace"
            | b"trace.id"
            | b"trace_id"
            | b"otel_trace_id"
            | b"span"
            | b"span.id"
            | b"span_id"
            | b"otel_span_id"
            | b"pid"
            | b"mfa"
            | b"file"
            | b"line"
    )
}

#[cfg(test)]
mod tests {
    use crate::{Context, Format, Parser, Record, Scratch, Value};

    #[test]
    fn secrets_do_not_pass() {
        let line = concat!(
            r#"{"message":"GET /x?token=t","severity":"error","api_token":"t","secret_count":5,"tokens":["a"],"#,
            r#""conn":{"qs":"token=t&x=1","password":true,"list":[{"a":1,"password":"p"}],"secret":{}},"card":"c","#,
            r#""request_id":"a?token=x","http":{"url":"http://a.test/?token=t"},"file":"lib/token.ex","#,
            r#""metadata":{"secret":"s"},"error":{"reason":"** (A) b\n    A.b(%{\"password\" => \"p\"})"}}"#,
        );
        let parser =
            Parser::new(Format::LoggerJson).with_filter_parameters(vec!["card".into(), String::new()]);
        let (scratch, mut record) = (Scratch::new(), Record::new());
        parser.parse(line.as_bytes(), &Context::default(), &scratch, &mut record).unwrap();
        for (name, value) in [
            ("body", "GET /x?token=[FILTERED]"),
            ("elixir.api_token", "[FILTERED]"),
            ("elixir.secret_count", "[FILTERED]"),
            ("elixir.tokens", "[FILTERED]"),
            ("elixir.card", "[FILTERED]"),
            ("elixir.secret", "[FILTERED]"),
            ("conn.qs", "token=[FILTERED]&x=1"),
            ("conn.password", "[FILTERED]"),
            ("conn.list", r#"[{"a":1,"password":"[FILTERED]"}]"#),
            ("request_id", "a?token=x"),
            ("code.file.path", "lib/token.ex"),
            ("url.full", "http://a.test/?token=[FILTERED]"),
            ("url.query", "token=[FILTERED]"),
            ("exception.stacktrace", "    A.b(%{\"password\" => \"[FILTERED]\"})"),
        ] {
            assert_eq!(record.get(name), Some(Value::text(value)), "{name}");
        }
    }

    #[test]
    fn what_is_over_the_limit_of_fields_has_none_either() {
        let many: String = (0..2_000).map(|n| format!(r#""k{n}":1,"#)).collect();
        let line = format!(r#"{{{many}"token":"t"}}"#);
        let (scratch, mut record) = (Scratch::new(), Record::new());
        let parser = Parser::new(Format::LoggerJson);
        parser.parse(line.as_bytes(), &Context::default(), &scratch, &mut record).unwrap();
        let Some(Value::Text(rest)) = record.get("field.overflow") else { panic!("no overflow") };
        assert!(rest.ends_with(br#","token":"[FILTERED]"}"#));
    }
}
