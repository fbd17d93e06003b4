//! Lines of a content delivery network, one JSON object each: `varnishncsa -j` with text for all values, and
//! Fastly's JSON with numbers, padding blanks and `(null)`; also in the shape of Honeycomb's batch events,
//! `{"time":…,"data":{…}}`.
//!
//! Keys that these formats use by custom get the names of an access line (the custom is that of Fastly's logging
//! documentation and of the formats that thechangelog/pipely and its Fastly forerunner give to both); others follow
//! the rules of `keys.rs`. `-`, an empty text and `(null)` mean that there is nothing.

mod repair;

use crate::{
    Context, ParseError, json,
    keys::{Keys, Pair},
    nginx::request::{self, Target},
    number::{count_to_ms, seconds_to_ms, whole},
    record::{Record, Scratch, Value},
    shape,
};

/// What the body is made of, as written.
#[derive(Default)]
struct Summary<'a> {
    method: &'a [u8],
    url: &'a [u8],
    status: &'a [u8],
}

/// Appends the line's fields to `record`.
pub(crate) fn parse<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let mut summary = Summary::default();
    let mut keys = Keys::new(context, scratch, record);
    json::flatten(repair::repair(line, scratch), &mut keys, |keys, pair| {
        let pair = Pair { name: pair.name.strip_prefix(b"data.").unwrap_or(pair.name), ..pair };
        if !is_nothing(pair) && !summary.known(keys, pair) {
            keys.set(pair);
        }
    })?;
    keys.body(summary.body(scratch));
    keys.finish();
    shape::set_from_fields(context, scratch, record);
    Ok(())
}

fn is_nothing(pair: Pair<'_>) -> bool {
    matches!(pair.value, Value::Text(b"" | b"-" | b"(null)"))
}

impl<'a> Summary<'a> {
    /// A key that means one of our fields; answers whether it could be set.
    fn known(&mut self, keys: &mut Keys<'_, 'a>, pair: Pair<'a>) -> bool {
        let text = pair.text();
        match pair.name {
            b"request" | b"request_method" | b"method" => {
                let known = request::is_method(text) && keys.rename("http.request.method", pair);
                self.method = if known { text } else { self.method };
                known
            }
            b"status" | b"response_status" | b"resp_status" => {
                let known = whole(text).is_some_and(|status| status == 0 || keys.rename(STATUS, pair));
                self.status = if known { text } else { self.status };
                known
            }
            b"url" => {
                self.url = text;
                url(keys, text)
            }
            b"host" => host(keys, text),
            b"protocol" | b"request_protocol" => {
                let version = request::protocol_version(text);
                version.is_some_and(|version| keys.put("network.protocol.version", Value::Text(version)))
            }
            b"time_elapsed" => duration(keys, "duration_ms", count_to_ms(text, 1000.0)),
            b"time_first_byte_s" => duration(keys, "cdn.ttfb_ms", seconds_to_ms(text)),
            name => field_of(name).is_some_and(|field| keys.rename(field, pair)),
        }
    }

    /// As for an access line, of whatever is there.
    fn body(&self, scratch: &'a Scratch) -> &'a [u8] {
        let blank = |before: bool, after: &[u8]| if before && !after.is_empty() { &b" "[..] } else { b"" };
        let before_url = blank(!self.method.is_empty(), self.url);
        let before_status = blank(!self.method.is_empty() || !self.url.is_empty(), self.status);
        scratch.concat(&[self.method, before_url, self.url, before_status, self.status])
    }
}

const STATUS: &str = "http.response.status_code";

/// Keys whose values need no more than the field's type.
fn field_of(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"client_ip" => "client.address",
        b"cache_status" | b"response_state" => "cdn.cache_status",
        b"server_datacenter" | b"fastly_server" => "cdn.datacenter",
        b"hits" => "cdn.hits",
        b"req_total_size" => "http.request.size",
        b"req_body_size" | b"request_body_size" => "http.request.body.size",
        b"resp_total_size" => "http.response.size",
        b"resp_body_size" | b"response_body_size" => "http.response.body.size",
        b"request_user_agent" | b"user_agent" => "user_agent.original",
        b"request_referer" | b"referer" => "http.request.header.referer",
        _ => return None,
    })
}

fn url<'a>(keys: &mut Keys<'_, 'a>, text: &'a [u8]) -> bool {
    let target = Target::of(text);
    let server = keys.put("url.scheme", Value::Text(target.scheme))
        && keys.put("server.address", Value::Text(target.host))
        && target.port.is_none_or(|port| keys.put("server.port", Value::Int(port)));
    let rest =
        keys.put("url.path", Value::Text(target.path)) && keys.put("url.query", Value::Text(target.query));
    server && rest
}

fn host<'a>(keys: &mut Keys<'_, 'a>, text: &'a [u8]) -> bool {
    let address = memchr::memchr_iter(b':', text).count() > 1 && !text.starts_with(b"[");
    let (host, port) = if address { (text, None) } else { request::authority(text) };
    port.is_none_or(|port| keys.put("server.port", Value::Int(port)))
        && keys.put("server.address", Value::Text(host))
}

fn duration(keys: &mut Keys<'_, '_>, field: &'static str, ms: Option<f64>) -> bool {
    ms.is_some_and(|ms| keys.put(field, Value::Float(ms)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp;

    const VARNISH: &str = concat!(
        r#"{"time": "2026-01-17T18:23:17Z", "request_id":"01K-lhr", "request_referer": "-", "#,
        r#""request_user_agent": "curl/8", "req_header_size": "1", "req_body_size": "0", "req_total_size": "12", "#,
        r#""client_ip": "2a01:4f9::1", "protocol": "HTTP/2.0", "request": "GET", "host": "a.test", "#,
        r#""url": "/podcast/feed?x=1", "content_type": "", "status": "503", "cache_status": "hit", "hits": "3", "#,
        r#""ttl": "-0.5", "server_datacenter": "lhr", "time_first_byte_s": "0.000123", "time_elapsed": "183", "#,
        r#""resp_header_size": "440", "resp_body_size": "69752", "resp_total_size": "70192"}"#,
    );

    const FASTLY: &str = concat!(
        r#"{     "timestamp": "2024-08-09T18:23:17+0000",     "client_ip": "3.219.254.95",     "geo_city": "(null)", "#,
        r#""host": "b.test:8443",     "url": "/a.mp3",     "request_method": "HEAD",     "request_protocol": "HTTP/2", "#,
        r#""request_referer": "",     "request_user_agent": "caf\xC3\xA9",     "response_state": "HIT-CLUSTER", "#,
        r#""response_status": 200,     "response_reason": "OK",     "response_body_size": 0, "#,
        r#""fastly_server": "cache-iad-1-IAD",     "fastly_is_edge": true   }"#,
    );

    fn parsed<'a>(line: &'a [u8], scratch: &'a Scratch) -> Result<Record<'a>, ParseError> {
        let mut record = Record::new();
        parse(line, &Context::default(), scratch, &mut record).map(|()| record)
    }

    #[test]
    fn varnish_lines() {
        let scratch = Scratch::new();
        let record = parsed(VARNISH.as_bytes(), &scratch).unwrap();
        assert_eq!(record.time.map(|time| time.at), timestamp::rfc3339(b"2026-01-17T18:23:17Z"));
        assert!(record.is_error(), "503");
        for (name, value) in [
            ("body", Value::text("GET /podcast/feed?x=1 503")),
            ("request_id", Value::text("01K-lhr")),
            ("http.request.method", Value::text("GET")),
            ("url.path", Value::text("/podcast/feed")),
            ("url.query", Value::text("x=1")),
            ("server.address", Value::text("a.test")),
            ("client.address", Value::text("2a01:4f9::1")),
            ("network.protocol.version", Value::text("2")),
            ("http.response.status_code", Value::Int(503)),
            ("duration_ms", Value::Float(0.183)),
            ("cdn.ttfb_ms", Value::Float(0.123)),
            ("cdn.cache_status", Value::text("hit")),
            ("cdn.datacenter", Value::text("lhr")),
            ("cdn.hits", Value::Int(3)),
            ("http.request.size", Value::Int(12)),
            ("http.request.body.size", Value::Int(0)),
            ("http.response.size", Value::Int(70_192)),
            ("http.response.body.size", Value::Int(69_752)),
            ("user_agent.original", Value::text("curl/8")),
            ("req_header_size", Value::text("1")),
            ("ttl", Value::text("-0.5")),
        ] {
            assert_eq!(record.get(name), Some(value), "{name}");
        }
        for absent in ["content_type", "http.request.header.referer", "request", "status", "time"] {
            assert_eq!(record.get(absent), None, "{absent}");
        }
    }

    #[test]
    fn fastly_lines() {
        let scratch = Scratch::new();
        let record = parsed(FASTLY.as_bytes(), &scratch).unwrap();
        assert_eq!(record.time.map(|time| time.at), timestamp::rfc3339(b"2024-08-09T18:23:17Z"));
        for (name, value) in [
            ("body", Value::text("HEAD /a.mp3 200")),
            ("server.address", Value::text("b.test")),
            ("server.port", Value::Int(8443)),
            ("network.protocol.version", Value::text("2")),
            ("http.response.status_code", Value::Int(200)),
            ("http.response.body.size", Value::Int(0)),
            ("user_agent.original", Value::text("café")),
            ("cdn.cache_status", Value::text("HIT-CLUSTER")),
            ("cdn.datacenter", Value::text("cache-iad-1-IAD")),
            ("fastly_is_edge", Value::Bool(true)),
            ("response_reason", Value::text("OK")),
        ] {
            assert_eq!(record.get(name), Some(value), "{name}");
        }
        assert_eq!(record.get("geo_city"), None);
        assert!(!record.is_error());
    }

    #[test]
    fn honeycomb_s_shape_is_opened() {
        let scratch = Scratch::new();
        let line = r#"{"time":"2026-01-17T18:23:17Z","data":{"status":"200","is_tls":true,"time_elapsed":1500,"a":{"b":1}}}"#;
        let record = parsed(line.as_bytes(), &scratch).unwrap();
        assert_eq!(record.get("http.response.status_code"), Some(Value::Int(200)));
        assert_eq!(record.get("duration_ms"), Some(Value::Float(1.5)));
        assert_eq!(record.get("is_tls"), Some(Value::Bool(true)));
        assert_eq!(record.get("a.b"), Some(Value::Int(1)));
        assert_eq!(record.get("body"), Some(Value::text("200")));
        assert!(record.time.is_some());
    }

    #[test]
    fn what_does_not_fit_stays_under_its_own_name() {
        let scratch = Scratch::new();
        let line = r#"{"request":"GET / HTTP/1.1","status":"ok","protocol":"QUIC","time_elapsed":"soon","hits":"-",
            "server_datacenter":"lhr","fastly_server":"cache-1","url":"/","host":"2a01::1","msg":"said"}"#;
        let record = parsed(line.as_bytes(), &scratch).unwrap();
        for (name, value) in [
            ("request", "GET / HTTP/1.1"),
            ("status", "ok"),
            ("protocol", "QUIC"),
            ("time_elapsed", "soon"),
            ("cdn.datacenter", "lhr"),
            ("fastly_server", "cache-1"),
            ("server.address", "2a01::1"),
            ("body", "said"),
        ] {
            assert_eq!(record.get(name), Some(Value::text(value)), "{name}");
        }
    }
}
