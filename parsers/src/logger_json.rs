//! Documents of Elixir's `LoggerJSON`, one a line: versions 5 to 7 with any of the formatters Basic, Google Cloud,
//! Datadog and Elastic.
//!
//! They share no schema. What they all say gets the names that Logger's text lines have (`phoenix/line.rs`): keys
//! that the formatters make themselves are in `logger_json/names.rs`; metadata, which Basic keeps in a section and
//! the others strew over the top, becomes `elixir.<key>` and is text, since a key's type changes from line to line;
//! sections of unknown names follow the rules of `keys.rs`. Version 5 knows four levels only: the true one is in
//! `erl_level`. Secrets do not pass, as they don't in text lines.

mod exception;
mod names;
mod secrets;

use crate::{
    Context, ParseError,
    json::{
        self,
        scan::{self, Token},
    },
    keys::{Keys, Pair},
    nginx::request::{Target, protocol_version},
    number::{count_to_ms, seconds_to_ms, whole},
    phoenix::message,
    record::{Record, Role, Scratch, Value, hex_id},
    shape,
};
use exception::Exception;
use names::{Meaning, meaning};

/// What is known only when all keys were seen.
#[derive(Default)]
struct Document<'a> {
    is_true_level: bool,
    message: &'a [u8],
    /// Elastic has the module and the function apart.
    module: &'a [u8],
    function: &'a [u8],
    exception: Exception<'a>,
    trace_id: Option<&'a [u8]>,
    span: Option<(Pair<'a>, &'a [u8])>,
    is_query: bool,
    /// Whether Oban wrote it, and the time that passed, whose unit that decides.
    is_job: bool,
    duration: &'a [u8],
}

/// Appends the line's fields to `record`.
pub(crate) fn parse<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let mut document = Document::default();
    let mut keys = Keys::new(context, scratch, record);
    json::flatten(line, &mut keys, |keys, pair| document.take(keys, pair))?;
    document.finish(&mut keys);
    keys.change_overflow(|pairs| crate::secrets::text(pairs, context.secret_names, scratch));
    keys.finish();
    shape::set_from_fields(context, scratch, record);
    Ok(())
}

impl<'a> Document<'a> {
    fn take(&mut self, keys: &mut Keys<'_, 'a>, pair: Pair<'a>) {
        let inner = pair.name.strip_prefix(b"metadata.");
        let pair = secrets::without(Pair { name: inner.unwrap_or(pair.name), ..pair }, keys);
        let done = match pair.name {
            b"erl_level" => {
                self.is_true_level |= keys.true_level(pair);
                self.is_true_level
            }
            b"log.logger" | b"log.origin.function" if !pair.container => {
                let piece = if pair.name == b"log.logger" { &mut self.module } else { &mut self.function };
                *piece = pair.text();
                true
            }
            _ if inner.is_none() && is_head(pair.name) => {
                if !self.head(keys, pair) {
                    keys.free(pair.name, pair.value);
                }
                true
            }
            // In a section of metadata it is whatever the app made of it.
            b"duration" if inner.is_some() => false,
            b"source" if pair.text() == b"oban" => {
                self.is_job = true;
                false
            }
            b"duration" if !pair.container => {
                self.duration = pair.text();
                true
            }
            _ => self.id(pair) || self.exception.take(pair) || self.known(keys, pair),
        };
        if !done {
            let pair = secrets::hidden(pair, keys);
            metadata(keys, pair);
        }
    }

    /// The event's time, level and message.
    fn head(&mut self, keys: &mut Keys<'_, 'a>, pair: Pair<'a>) -> bool {
        match pair.name {
            b"message" | b"msg" => {
                let is_body = keys.message(pair);
                self.message = if is_body { pair.text() } else { self.message };
                is_body
            }
            b"severity" | b"level" | b"log.level" | b"syslog.severity" => {
                self.is_true_level || keys.level(pair)
            }
            _ => keys.time(pair),
        }
    }

    /// The trace's and the span's ids, if they are real; Google Cloud's is a path that ends in the id.
    fn id(&mut self, pair: Pair<'a>) -> bool {
        let text = pair.text();
        match pair.name {
            b"trace" | b"trace.id" | b"trace_id" | b"otel_trace_id" | b"logging.googleapis.com/trace" => {
                let id = memchr::memrchr(b'/', text).map_or(text, |slash| &text[slash + 1..]);
                self.trace_id = hex_id(id, 32).or(self.trace_id);
                hex_id(id, 32).is_some()
            }
            b"span" | b"span.id" | b"span_id" | b"otel_span_id" | b"logging.googleapis.com/spanId" => {
                self.span = hex_id(text, 16).map(|id| (pair, id)).or(self.span);
                hex_id(text, 16).is_some()
            }
            _ => false,
        }
    }

    /// Keys that the formatters make.
    fn known(&mut self, keys: &mut Keys<'_, 'a>, pair: Pair<'a>) -> bool {
        let Some(meaning) = meaning(pair.name).filter(|_| !pair.container) else { return false };
        let text = pair.text();
        let put_text = |keys: &mut Keys<'_, 'a>, field, text| keys.put(field, Value::Text(text));
        match meaning {
            Meaning::Field(field) => keys.rename(field, pair),
            Meaning::Code(field) => put_text(keys, field, module(text)),
            Meaning::LineNumber => whole(text)
                .is_some_and(|number| number == 0 || keys.put("code.line.number", Value::Int(number))),
            Meaning::Process if text == b"nil" => true,
            Meaning::Process => put_text(keys, "elixir.pid", text.strip_prefix(b"#PID").unwrap_or(text)),
            Meaning::Protocol => protocol_version(text)
                .is_some_and(|version| put_text(keys, "network.protocol.version", version)),
            Meaning::Url => url(keys, text),
            Meaning::Duration(field, units_per_ms) => {
                self.is_query |= pair.name.starts_with(b"query.");
                let ms = count_to_ms(text, units_per_ms);
                ms.is_some_and(|ms| keys.put(field, Value::Float(ms)))
            }
            Meaning::Latency => {
                let ms = text.strip_suffix(b"s").and_then(seconds_to_ms);
                ms.is_some_and(|ms| keys.put("duration_ms", Value::Float(ms)))
            }
        }
    }

    fn finish(&self, keys: &mut Keys<'_, 'a>) {
        let module = module(self.module);
        let dot = if module.is_empty() || self.function.is_empty() { &b""[..] } else { b"." };
        let function = keys.scratch.concat(&[module, dot, self.function]);
        keys.put("code.function.name", Value::Text(function));
        // Oban's are in microseconds, Plug's and Phoenix' in nanoseconds.
        if let Some(ms) = count_to_ms(self.duration, if self.is_job { 1e3 } else { 1e6 }) {
            keys.put("duration_ms", Value::Float(ms));
        } else if !self.duration.is_empty() {
            keys.free(b"duration", Value::Text(self.duration));
        }
        self.exception.set(keys);
        match (self.trace_id, self.span) {
            (None, Some((pair, _))) => metadata(keys, pair),
            (trace_id, span) => keys.record.set_trace(trace_id, span.map(|(_, id)| id)),
        }
        if self.is_query {
            keys.put("db.query.text", Value::Text(self.message));
        }
        let told = ["http.request.method", "http.response.status_code", "duration_ms"];
        if told.iter().all(|name| keys.record.get(name).is_none()) {
            // What the document says itself counts more than what its message's text tells.
            let before = keys.record.fields().len();
            keys.record.role = Role::Logged;
            message::set(self.message, keys.context, keys.scratch, keys.record);
            keys.record.drop_repeated(0, before);
        }
    }
}

/// Names of the event's time, level and message, unless they are in a section.
fn is_head(name: &[u8]) -> bool {
    matches!(
        name,
        b"time"
            | b"@timestamp"
            | b"syslog.timestamp"
            | b"severity"
            | b"level"
            | b"log.level"
            | b"syslog.severity"
            | b"message"
            | b"msg"
    )
}

/// Any other key: a section's keeps its name, one by itself is metadata.
fn metadata<'a>(keys: &mut Keys<'_, 'a>, pair: Pair<'a>) {
    if pair.container && pair.written == b"{}" {
        return;
    }
    if pair.name.is_empty() || memchr::memchr(b'.', pair.name).is_some() {
        return keys.free(pair.name, pair.value);
    }
    let text = match pair.name {
        b"domain" if pair.container => joined(pair.written, keys.scratch).unwrap_or(pair.written),
        _ => module(pair.text()),
    };
    if !text.is_empty() {
        keys.free(keys.scratch.concat(&[b"elixir.", pair.name]), Value::Text(text));
    }
}

/// `["elixir","phoenix"]` → `elixir.phoenix`, as Logger prints a domain.
fn joined<'a>(list: &'a [u8], scratch: &'a Scratch) -> Option<&'a [u8]> {
    let mut rest = scan::skip_blanks(list.strip_prefix(b"[")?);
    let mut joined = &b""[..];
    loop {
        let (after, Token::Text(item, false)) = scan::value(rest).ok()? else { return None };
        joined = if joined.is_empty() { item } else { scratch.concat(&[joined, b".", item]) };
        match scan::skip_blanks(after) {
            [b',', after @ ..] => rest = scan::skip_blanks(after),
            _ => return Some(joined),
        }
    }
}

/// An Elixir module's name as Elixir shows it; an atom's text has a prefix that no one writes.
fn module(text: &[u8]) -> &[u8] {
    let name = text.strip_prefix(b"Elixir.").filter(|name| name.first().is_some_and(u8::is_ascii_uppercase));
    name.unwrap_or(text)
}

fn url<'a>(keys: &mut Keys<'_, 'a>, text: &'a [u8]) -> bool {
    let target = Target::of(text);
    if target.scheme.is_empty() {
        return false;
    }
    for (field, part) in [
        ("url.scheme", target.scheme),
        ("server.address", target.host),
        ("url.path", target.path),
        ("url.query", target.query),
    ] {
        keys.put(field, Value::Text(part));
    }
    if let Some(port) = target.port {
        keys.put("server.port", Value::Int(port));
    }
    keys.put("url.full", Value::Text(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, timestamp};

    const BASIC_5: &str = concat!(
        r#"{"time":"2026-11-21T21:13:19.392Z","severity":"error","message":"GenServer X terminating","metadata":{"#,
        r#""domain":["elixir","phoenix"],"erl_level":"critical","request_id":"GOor1fSXVl4ueAYAAACi","user_id":42,"#,
        r#""error":{"initial_call":null,"reason":"** (KeyError) key :x\n    (app 0.1.0) lib/a.ex:1: A.b/2\n"},"#,
        r#""remote_ip":[127,0,0,1],"registered_name":"Elixir.App.Stats","opts":{"a":1},"duration":"12ms"}}"#,
    );

    const GCLOUD_5: &str = concat!(
        r#"{"erl_level":"warning","severity":"WARNING","time":"2026-11-21T21:13:31.003Z","message":"GET /x","#,
        r#""logging.googleapis.com/operation":{"id":"GOor"},"request_id":"GOor","#,
        r#""logging.googleapis.com/sourceLocation":{"file":null,"line":0,"function":"Elixir.A.b/3"}}"#,
    );

    const DATADOG_7: &str = concat!(
        r##"{"dd.trace_id":"3309500741668975922","domain":["elixir"],"duration":1337000,"error":{"kind":"error","##,
        r##""message":"hi"},"http":{"url":"http://www.example.com/a?b=c","status_code":503,"method":"GET","##,
        r##""referer":"http://r/","request_id":null,"useragent":"Mozilla","url_details":{"host":"www.example.com","##,
        r##""port":80,"path":"/a","queryString":"b=c","scheme":"http"}},"logger":{"thread_name":"#PID<0.1.0>","##,
        r##""method_name":"Elixir.A.b/2","file_name":"lib/a.ex","line":103},"message":"hi","network":{"client":"##,
        r##"{"ip":"10.0.0.1"}},"syslog":{"hostname":"vm","severity":"error","timestamp":"2026-11-21T21:13:42.862Z"}}"##,
    );

    const ELASTIC_7: &str = concat!(
        r#"{"@timestamp":"2024-05-17T16:20:00.000Z","ecs.version":"8.11.0","error.message":"oops","error.stack_trace":"#,
        r#""** (RuntimeError) oops\n    a.exs:1: A.b/0\n","error.type":"Elixir.RuntimeError","error.code":42,"#,
        r#""log.level":"error","log.logger":"Elixir.A.B","log.origin":{"file.line":18,"file.name":"a.exs","#,
        r#""function":"c/1"},"message":"Something went wrong","trace.id":"294740ce41cc9f202dedb563db123532","#,
        r#""span.id":"bff20904aa5883a6","client.ip":"","http.version":"HTTP/1.1","event.duration":1500000}"#,
    );

    fn parsed<'a>(line: &'a [u8], scratch: &'a Scratch) -> Result<Record<'a>, ParseError> {
        let mut record = Record::new();
        parse(line, &Context::default(), scratch, &mut record).map(|()| record)
    }

    fn check(line: &str, time: &str, level: &str, expected: &[(&str, Value<'_>)]) {
        let scratch = Scratch::new();
        let record = parsed(line.as_bytes(), &scratch).unwrap();
        assert_eq!(record.time.map(|time| time.at), timestamp::rfc3339(time.as_bytes()));
        assert_eq!(record.level, Level::of(level.as_bytes()));
        for (name, value) in expected {
            assert_eq!(record.get(name), Some(*value), "{name}");
        }
        let names: Vec<&[u8]> = record.fields().iter().map(|field| field.key.bytes()).collect();
        let unexpected: Vec<_> = names
            .iter()
            .filter(|name| !expected.iter().any(|(known, _)| known.as_bytes() == **name))
            .map(|name| String::from_utf8_lossy(name))
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
    }

    #[test]
    fn basic() {
        check(
            BASIC_5,
            "2026-11-21T21:13:19.392Z",
            "critical",
            &[
                ("body", Value::text("GenServer X terminating")),
                ("request_id", Value::text("GOor1fSXVl4ueAYAAACi")),
                ("elixir.domain", Value::text("elixir.phoenix")),
                ("elixir.user_id", Value::text("42")),
                ("elixir.remote_ip", Value::text("[127,0,0,1]")),
                ("elixir.registered_name", Value::text("App.Stats")),
                ("elixir.duration", Value::text("12ms")),
                ("opts.a", Value::Int(1)),
                ("exception.type", Value::text("KeyError")),
                ("exception.message", Value::text("key :x")),
                ("exception.stacktrace", Value::text("    (app 0.1.0) lib/a.ex:1: A.b/2")),
                ("exception.fingerprint", Value::text("9c23875b2072a098")),
                ("elixir.crash_kind", Value::text("genserver")),
                ("elixir.process", Value::text("X")),
                ("name", Value::text("GenServer terminating")),
            ],
        );
    }

    #[test]
    fn google_cloud() {
        check(
            GCLOUD_5,
            "2026-11-21T21:13:31.003Z",
            "warning",
            &[
                ("body", Value::text("GET /x")),
                ("request_id", Value::text("GOor")),
                ("code.function.name", Value::text("A.b/3")),
                ("http.request.method", Value::text("GET")),
                ("url.path", Value::text("/x")),
                ("url.shape", Value::text("/x")),
                ("name", Value::text("GET /x")),
            ],
        );
        let line = r##"{"@type":"x","context":{"httpRequest":{"status":1}},"httpRequest":{"latency":"0.015s","protocol":
            "HTTP/1.1","referer":null,"remoteIp":"::1","requestMethod":"GET","requestUrl":"http://a.test:81/b","status":
            200,"userAgent":"curl"},"logging.googleapis.com/operation":{"producer":"#PID<0.1.0>"},"logging.googleapis.com/spanId":
            "bff20904aa5883a6","logging.googleapis.com/trace":"projects/p/traces/294740ce41cc9f202dedb563db123532","message":
            {"a":1},"severity":"DEFAULT","stack_trace":"** (EXIT from #PID<0.250.0>) :foo","time":"2026-11-21T21:13:31.003Z"}"##;
        check(
            line,
            "2026-11-21T21:13:31.003Z",
            "",
            &[
                ("elixir.@type", Value::text("x")),
                ("context.httpRequest.status", Value::Int(1)),
                ("duration_ms", Value::Float(15.0)),
                ("network.protocol.version", Value::text("1.1")),
                ("client.address", Value::text("::1")),
                ("http.request.method", Value::text("GET")),
                ("http.response.status_code", Value::Int(200)),
                ("user_agent.original", Value::text("curl")),
                ("url.full", Value::text("http://a.test:81/b")),
                ("url.scheme", Value::text("http")),
                ("url.path", Value::text("/b")),
                ("url.shape", Value::text("/b")),
                ("name", Value::text("GET /b")),
                ("server.address", Value::text("a.test")),
                ("server.port", Value::Int(81)),
                ("elixir.pid", Value::text("<0.1.0>")),
                ("trace.trace_id", Value::text("294740ce41cc9f202dedb563db123532")),
                ("trace.parent_id", Value::text("bff20904aa5883a6")),
                ("meta.annotation_type", Value::text("span_event")),
                ("message.a", Value::Int(1)),
                ("field.severity", Value::text("DEFAULT")),
                ("exception.message", Value::text(":foo")),
            ],
        );
    }

    #[test]
    fn datadog() {
        check(
            DATADOG_7,
            "2026-11-21T21:13:42.862Z",
            "error",
            &[
                ("url.shape", Value::text("/a")),
                ("name", Value::text("GET /a")),
                ("body", Value::text("hi")),
                ("dd.trace_id", Value::text("3309500741668975922")),
                ("elixir.domain", Value::text("elixir")),
                ("duration_ms", Value::Float(1.337)),
                ("url.full", Value::text("http://www.example.com/a?b=c")),
                ("url.scheme", Value::text("http")),
                ("url.path", Value::text("/a")),
                ("url.query", Value::text("b=c")),
                ("server.address", Value::text("www.example.com")),
                ("server.port", Value::Int(80)),
                ("http.request.method", Value::text("GET")),
                ("http.response.status_code", Value::Int(503)),
                ("http.request.header.referer", Value::text("http://r/")),
                ("user_agent.original", Value::text("Mozilla")),
                ("client.address", Value::text("10.0.0.1")),
                ("elixir.pid", Value::text("<0.1.0>")),
                ("code.function.name", Value::text("A.b/2")),
                ("code.file.path", Value::text("lib/a.ex")),
                ("code.line.number", Value::Int(103)),
                ("host.name", Value::text("vm")),
            ],
        );
    }

    #[test]
    fn elastic() {
        check(
            ELASTIC_7,
            "2024-05-17T16:20:00.000Z",
            "error",
            &[
                ("body", Value::text("Something went wrong")),
                ("ecs.version", Value::text("8.11.0")),
                ("exception.type", Value::text("RuntimeError")),
                ("exception.message", Value::text("oops")),
                ("exception.stacktrace", Value::text("    a.exs:1: A.b/0")),
                ("exception.fingerprint", Value::text("decac184fe81a4f7")),
                ("error.code", Value::Int(42)),
                ("code.function.name", Value::text("A.B.c/1")),
                ("code.file.path", Value::text("a.exs")),
                ("code.line.number", Value::Int(18)),
                ("trace.trace_id", Value::text("294740ce41cc9f202dedb563db123532")),
                ("trace.parent_id", Value::text("bff20904aa5883a6")),
                ("meta.annotation_type", Value::text("span_event")),
                ("network.protocol.version", Value::text("1.1")),
                ("duration_ms", Value::Float(1.5)),
            ],
        );
    }

    #[test]
    fn queries_and_bad_ids() {
        let scratch = Scratch::new();
        let line = r#"{"message":"SELECT 1","metadata":{"query":{"repo":"A.Repo","execution_time_μs":696,
            "decode_time_us":3,"queue_time_μs":505,"latency_μs":1206},"message":"mine","time":"noon"},
            "trace":"00000000000000000000000000000000","span":"bff20904aa5883a6","severity":"warn"}"#;
        let record = parsed(line.as_bytes(), &scratch).unwrap();
        for (name, value) in [
            ("body", Value::text("SELECT 1")),
            ("db.query.text", Value::text("SELECT 1")),
            ("ecto.db_ms", Value::Float(0.696)),
            ("ecto.decode_ms", Value::Float(0.003)),
            ("ecto.queue_ms", Value::Float(0.505)),
            ("duration_ms", Value::Float(1.206)),
            ("query.repo", Value::text("A.Repo")),
            ("elixir.message", Value::text("mine")),
            ("elixir.time", Value::text("noon")),
            ("elixir.trace", Value::text("00000000000000000000000000000000")),
            ("elixir.span", Value::text("bff20904aa5883a6")),
        ] {
            assert_eq!(record.get(name), Some(value), "{name}");
        }
        assert_eq!(record.get("trace.trace_id"), None);
        assert_eq!(record.level, Level::of(b"warn"));
        assert!(!record.is_error());
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let scratch = Scratch::new();
        for line in ["", "2026-11-21T20:59:56.311015+00:00 info: FORMATTER CRASH: {string,[1]}", "[1]"] {
            assert!(parsed(line.as_bytes(), &scratch).is_err(), "{line}");
        }
    }
}
