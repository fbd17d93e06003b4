//! JSON entries: what `fly logs --json` prints (flyctl, logs/entry.go) and what the log stream sends.
//!
//! ```text
//! {"level": …, "instance": …, "message": …, "region": …, "timestamp": …, "meta": {"Event": {"Provider": …}, …}}
//! {"event":{"provider":…},"fly":{"app":{"instance":…,"name":…},"region":…},"host":…,"log":{"level":…},"message":…,"timestamp":…}
//! ```
//!
//! flyctl's keys have capitals under `meta`, where the stream's are at the top and in small letters; what is empty or
//! zero there is not known. Any other key is a field of its own. The time has up to nine decimals.

use super::{Entry, Inner};
use crate::{
    Context, ParseError, ansi, free,
    json::leaves::{Leaf, leaves},
    record::{Record, Scratch},
    timestamp,
};

/// Sets what the object tells and answers its message.
pub(super) fn open<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<Inner<'a>, ParseError> {
    let first = record.fields().len();
    let mut entry = Entry::default();
    let (mut at, mut message) = (None, None);
    leaves(line, scratch, &mut |name, leaf| match name {
        b"timestamp" => at = leaf.text().and_then(timestamp::rfc3339),
        b"message" => message = leaf.text(),
        _ if entry.take(name, leaf) => {}
        _ => {
            if let Some(value) = leaf.value() {
                free::set(name, value, first, context, scratch, record);
            }
        }
    })?;
    let at = at.ok_or(ParseError("no timestamp in the Fly object"))?;
    let message: &[u8] = message.ok_or(ParseError("no message in the Fly object"))?;
    let message = message.strip_suffix(b"\n").unwrap_or(message);
    let inner = entry.close(at, ansi::strip(message, scratch), record);
    record.keep_last(first, scratch);
    Ok(inner)
}

impl<'a> Entry<'a> {
    /// Keeps a leaf that means something; answers whether it does.
    fn take(&mut self, name: &[u8], leaf: Leaf<'a>) -> bool {
        let mut lower = [0; 32];
        let Some(word) = lower.get_mut(..name.len()) else { return false };
        word.copy_from_slice(name);
        word.make_ascii_lowercase();
        let in_meta = word.starts_with(b"meta.");
        let place = match word.strip_prefix(b"meta.").unwrap_or(word) {
            b"event.provider" => &mut self.provider,
            b"instance" | b"fly.app.instance" => &mut self.instance,
            b"region" | b"fly.region" => &mut self.region,
            b"level" | b"log.level" => &mut self.level,
            b"fly.app.name" => &mut self.app,
            b"host" => &mut self.host,
            b"error.message" => &mut self.error_message,
            b"http.request.method" => &mut self.method,
            b"http.request.version" => &mut self.version,
            b"http.request.id" => &mut self.request_id,
            b"url.full" => &mut self.url,
            b"error.code" => return take_number(&mut self.error_code, leaf),
            b"http.response.status_code" => return take_number(&mut self.status, leaf),
            _ => return in_meta && matches!(leaf, Leaf::Text(b"") | Leaf::Number(b"0")),
        };
        match leaf {
            Leaf::Text(text) if place.is_empty() => *place = text,
            Leaf::Text(text) => return text.is_empty() || text == *place,
            _ => return leaf == Leaf::Null,
        }
        true
    }
}

fn take_number(place: &mut i64, leaf: Leaf<'_>) -> bool {
    let number = leaf.int();
    *place = number.unwrap_or(*place);
    number.is_some() || matches!(leaf, Leaf::Null | Leaf::Text(b""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Level, Value};

    fn opened<'a>(line: &'a str, scratch: &'a Scratch) -> Result<(Inner<'a>, Record<'a>), ParseError> {
        let mut record = Record::new();
        open(line.as_bytes(), &Context::default(), scratch, &mut record).map(|inner| (inner, record))
    }

    fn names<'r>(record: &'r Record<'_>) -> Vec<&'r str> {
        record.fields().iter().map(|field| std::str::from_utf8(field.key.bytes()).unwrap()).collect()
    }

    #[test]
    fn flyctl_objects_over_several_lines() {
        let line = r#"{
    "level": "info",
    "instance": "4d895d5ec41638",
    "message": "\u001b[31m14:58:44.102 [info] GET /\u003cx\u003e\u001b[0m",
    "region": "iad",
    "timestamp": "2026-05-11T14:58:44.102345678Z",
    "meta": {
        "Instance": "4d895d5ec41638",
        "Region": "iad",
        "Event": { "Provider": "app" },
        "HTTP": { "Request": { "ID": "", "Method": "", "Version": "" }, "Response": { "status_code": 0 } },
        "Error": { "Code": 0, "Message": "" },
        "URL": { "Full": "" },
        "New": { "Text": "", "Number": 0 }
    }
}"#;
        let scratch = Scratch::new();
        let (inner, record) = opened(line, &scratch).unwrap();
        assert_eq!(inner, Inner::whole(b"14:58:44.102 [info] GET /<x>"));
        assert_eq!(names(&record), ["fly.provider", "fly.app.instance", "fly.region", "cloud.region"]);
        assert_eq!(record.time.map(|time| time.at), timestamp::rfc3339(b"2026-05-11T14:58:44.102345678Z"));
        assert_eq!(record.level, Level::of(b"info"));
    }

    #[test]
    fn stream_objects_tell_the_app_and_what_is_unknown_stays() {
        let line = r#"{"event":{"provider":"app","x":true},"fly":{"app":{"instance":"0e286551c30586","name":"my-app"},"region":"sjc","new":{"a":1}},"host":"0ad1","log":{"level":"info"},"message":"litestream shut down","timestamp":"2022-09-27T20:34:37.253080674Z","user_id":7,"user_agent":{"original":"curl"}}"#;
        let scratch = Scratch::new();
        let (inner, record) = opened(line, &scratch).unwrap();
        assert_eq!(inner, Inner::whole(b"litestream shut down"));
        for (name, value) in [
            ("fly.app.name", Value::text("my-app")),
            ("service.name", Value::text("my-app")),
            ("fly.app.instance", Value::text("0e286551c30586")),
            ("fly.host", Value::text("0ad1")),
            ("cloud.region", Value::text("sjc")),
            ("event.x", Value::Bool(true)),
            ("fly.new.a", Value::Int(1)),
            ("user_id", Value::Int(7)),
            ("user_agent.original", Value::text("curl")),
        ] {
            assert_eq!(record.get(name), Some(value), "{name}");
        }
        assert_eq!(record.fields().len(), 11);
    }

    #[test]
    fn a_proxy_error_in_full() {
        let line = r#"{"event":{"provider":"proxy"},"fly":{"app":{"instance":"0e","name":"a"},"region":"sjc"},"log":{"level":"error"},"http":{"request":{"id":"01KR-iad","method":"GET","version":"HTTP/2.0"},"response":{"status_code":502}},"error":{"code":"2","message":"could not"},"url":{"full":"http://h/x"},"message":"[PU02] could not","timestamp":"2022-09-27T20:34:37Z"}"#;
        let scratch = Scratch::new();
        let (inner, record) = opened(line, &scratch).unwrap();
        assert!(inner.by_platform && record.error);
        for (name, value) in [
            ("fly.proxy.code", Value::text("PU02")),
            ("error.code", Value::Int(2)),
            ("error.message", Value::text("could not")),
            ("http.request.method", Value::text("GET")),
            ("network.protocol.version", Value::text("2")),
            ("request_id", Value::text("01KR-iad")),
            ("http.response.status_code", Value::Int(502)),
            ("url.full", Value::text("http://h/x")),
        ] {
            assert_eq!(record.get(name), Some(value), "{name}");
        }
        let odd = r#"{"error":{"code":"E7"},"event":{"provider":"runner"},"level":["x"],"message":"x","timestamp":"2022-09-27T20:34:37Z"}"#;
        let (inner, record) = opened(odd, &scratch).unwrap();
        assert!(inner.by_platform);
        assert_eq!(names(&record), ["field.error.code", "level", "fly.provider"]);
    }

    #[test]
    fn an_apps_entry_keeps_all_it_tells() {
        let line = r#"{"event":{"provider":"app"},"log":{"level":"weird"},"http":{"request":{"method":"GET","id":"rid"}},"error":{"message":"boom","code":5},"url":{"full":"http://h"},"message":"x\n","timestamp":"2022-09-27T20:34:37Z"}"#;
        let scratch = Scratch::new();
        let (inner, record) = opened(line, &scratch).unwrap();
        assert_eq!(inner, Inner::whole(b"x"));
        for (name, value) in [
            ("field.level", Value::text("weird")),
            ("http.request.method", Value::text("GET")),
            ("request_id", Value::text("rid")),
            ("error.message", Value::text("boom")),
            ("error.code", Value::Int(5)),
            ("url.full", Value::text("http://h")),
        ] {
            assert_eq!(record.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn other_objects_are_refused() {
        for line in [
            "{}",
            r#"{"message":"x"}"#,
            r#"{"timestamp":"2022-09-27T20:34:37Z"}"#,
            r#"{"message":"x","timestamp":"now"}"#,
            r#"{"message":1,"timestamp":"2022-09-27T20:34:37Z"}"#,
            r#"{"message":"x","timestamp":"2022-09-27T20:34:37Z""#,
        ] {
            assert!(opened(line, &Scratch::new()).is_err(), "{line}");
        }
    }
}
