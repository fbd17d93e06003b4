//! Fly's logs: the text and the JSON that `fly logs` prints, and the JSON of the log stream (NATS).
//!
//! All three tell the time, who spoke (the provider: `app`, `proxy`, `runner` …), which machine, where, and a level.
//! That level says little of an app (its lines are all `info`), so it counts only when the line inside has none. An
//! `app` line is the app's own, in the app's own format, unless the machine's init, kernel or monitor wrote it; all
//! others are plain text. A line whose first byte is `{` is JSON. Colour codes are taken off everywhere.

mod json;
mod platform;
mod proxy;
mod text;

use super::Inner;
use crate::{
    Context, ParseError,
    record::{Level, Record, Scratch, Time, TimeSource, Value},
    timestamp::Timestamp,
};

/// What an entry tells beside its message. What is empty or zero is not there.
#[derive(Debug, Default)]
struct Entry<'a> {
    provider: &'a [u8],
    instance: &'a [u8],
    region: &'a [u8],
    level: &'a [u8],
    app: &'a [u8],
    host: &'a [u8],
    error_code: i64,
    error_message: &'a [u8],
    method: &'a [u8],
    version: &'a [u8],
    url: &'a [u8],
    request_id: &'a [u8],
    status: i64,
    /// Whether the platform wrote it, whoever the provider is.
    by_platform: bool,
    /// Whether the time was written without its zone.
    no_zone: bool,
}

/// Sets what the entry tells and answers the message.
pub(super) fn open<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<Inner<'a>, ParseError> {
    if line.trim_ascii_start().starts_with(b"{") {
        json::open(line, context, scratch, record)
    } else {
        text::open(line, scratch, record)
    }
}

impl<'a> Entry<'a> {
    /// Sets the fields and answers the message, or the error's if there is no other.
    fn close(&self, at: Timestamp, message: &'a [u8], record: &mut Record<'a>) -> Inner<'a> {
        let source = if self.no_zone { TimeSource::InferredEnvelope } else { TimeSource::Envelope };
        record.time = Some(Time { at, source });
        record.level = Level::of(self.level);
        if record.level.is_none() {
            record.set_text("field.level", self.level);
        }
        record.set_text("fly.provider", self.provider);
        record.set_text("fly.app.instance", self.instance);
        record.set_text("fly.region", self.region);
        record.set_text("cloud.region", self.region);
        record.set_text("fly.app.name", self.app);
        record.set_text("service.name", self.app);
        record.set_text("fly.host", self.host);
        let line = if message.is_empty() { self.error_message } else { message };
        self.set_request(record);
        let by_platform = if matches!(self.provider, b"app" | b"") && !self.by_platform {
            let said = platform::said(line);
            record.level = said.and_then(Level::of).or(record.level);
            said.is_some()
        } else {
            if self.provider == b"proxy" {
                proxy::set(line, record);
            }
            true
        };
        Inner { line, by_platform, partial: false }
    }

    /// The request that a message of the proxy is about.
    fn set_request(&self, record: &mut Record<'a>) {
        if self.error_code != 0 {
            record.set("error.code", Value::Int(self.error_code));
        }
        record.set_text("error.message", self.error_message);
        record.set_text("http.request.method", self.method);
        let version = self.version.strip_prefix(b"HTTP/").unwrap_or(self.version);
        let version = if matches!(version, b"2.0" | b"3.0") { &version[..1] } else { version };
        record.set_text("network.protocol.version", version);
        record.set_text("url.full", self.url);
        record.set_text("request_id", self.request_id);
        if self.status != 0 {
            record.set("http.response.status_code", Value::Int(self.status));
            record.error |= self.status >= 500;
        }
    }
}
