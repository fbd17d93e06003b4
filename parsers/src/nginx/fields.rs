//! What the variables of an access line mean.
//!
//! Takes the variables' values one by one, sets the fields of the event. The request line has its parts set by
//! [`super::request`], the upstream lists by [`super::upstream`].

use super::{
    log_format::{Escape, LogFormat},
    request::{self, Target, Told},
    upstream::Attempts,
    variable::Variable,
};
use crate::{
    Context,
    number::{seconds_to_ms, whole},
    record::{Record, Scratch, Time, TimeSource, Value},
    shape,
    timestamp::{self, Timestamp},
};

/// The fields of one line in the making; and what several of its variables tell together.
pub(super) struct Fields<'p, 'a> {
    escape: Escape,
    context: &'p Context<'p>,
    scratch: &'a Scratch,
    record: &'p mut Record<'a>,
    /// How many fields the envelope had set before.
    first: usize,
    told: Told<'a>,
    /// The request line, or what it would have been put together from.
    request: Option<&'a [u8]>,
    uri: Option<&'a [u8]>,
    args: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
    /// Whether the target is told as the client wrote it. `$args` may be those of an internal redirect.
    target_told: bool,
    status: &'a [u8],
    attempts: Attempts<'a>,
}

impl<'p, 'a> Fields<'p, 'a> {
    /// For a line whose values are escaped that way.
    pub(super) fn new(
        escape: Escape,
        context: &'p Context<'p>,
        scratch: &'a Scratch,
        record: &'p mut Record<'a>,
    ) -> Self {
        let first = record.fields().len();
        Self {
            escape,
            context,
            scratch,
            record,
            first,
            told: Told::default(),
            request: None,
            uri: None,
            args: None,
            protocol: None,
            target_told: false,
            status: b"",
            attempts: Attempts::default(),
        }
    }

    /// A variable's value. Answers whether it exists: a time may not.
    #[inline]
    pub(super) fn set(&mut self, variable: &Variable, value: &'a [u8]) -> bool {
        match variable {
            Variable::Text(name) | Variable::Address(name) => self.record.set_text(name, self.text(value)),
            Variable::Int(_) | Variable::Status => self.set_whole(variable, value, whole(value)),
            Variable::RequestTime => self.set_ms(seconds_to_ms(value)),
            Variable::ClaimedInt(name, otherwise) => match whole(value) {
                Some(value) => self.record.set(name, Value::Int(value)),
                None => self.record.set_text(otherwise, self.text(value)),
            },
            Variable::DashText(name) if value != b"-" => self.record.set_text(name, self.text(value)),
            Variable::DashText(_) => {}
            Variable::Traceparent => {
                let value = self.text(value);
                self.record.set_text("http.request.header.traceparent", value);
                self.record.set_traceparent(value);
            }
            Variable::Header(name) | Variable::Other(name) | Variable::OtherList(name, _) => {
                let value = self.text(value);
                if !value.is_empty() {
                    self.record.set_free(self.scratch.copy(name.as_bytes()), Value::Text(value));
                }
            }
            Variable::TimeLocal => return self.set_time(timestamp::clf(value)),
            Variable::TimeIso8601 => return self.set_time(timestamp::rfc3339(value)),
            Variable::Msec => {
                self.record.time = None;
                return self.set_time(timestamp::epoch(value));
            }
            Variable::Request => {
                self.request = Some(value);
                let told = request::set(value, self.escape, self.scratch, self.record);
                self.target_told |= told.path.is_some();
                self.told = told.or(self.told);
            }
            Variable::UpstreamAddr => self.attempts.addresses = Some(value),
            Variable::UpstreamStatus => self.attempts.statuses = Some(value),
            Variable::UpstreamTime => self.attempts.times = Some(value),
            Variable::UpstreamLength => self.attempts.lengths = Some(value),
            Variable::Method | Variable::RequestUri | Variable::Uri | Variable::Args | Variable::Protocol => {
                self.set_request_part(variable, value);
            }
        }
        true
    }

    /// The value of a variable that is a whole number, if it has one.
    #[inline]
    pub(super) fn set_whole(&mut self, variable: &Variable, written: &'a [u8], value: Option<i64>) {
        match (variable, value) {
            (Variable::Int(name), Some(value)) => self.record.set(name, Value::Int(value)),
            (Variable::Status, value) => {
                self.status = written;
                // 000 means that nothing was sent.
                if let Some(status) = value.filter(|status| *status > 0) {
                    self.record.set("http.response.status_code", Value::Int(status));
                    self.record.error |= status >= 500;
                }
            }
            _ => {}
        }
    }

    /// The request's time, if there is one.
    #[inline]
    pub(super) fn set_ms(&mut self, ms: Option<f64>) {
        if let Some(ms) = ms {
            self.record.set("duration_ms", Value::Float(ms));
        }
    }

    /// How many items the upstream lists have, if they were counted: 0 is no news.
    pub(super) fn count_attempts(&mut self, count: usize) {
        self.attempts.count = Some(count).filter(|count| *count > 0);
    }

    /// Completes the record after the last variable.
    pub(super) fn finish(self, format: &LogFormat) {
        if let Some(args) = self.args.filter(|_| !self.target_told) {
            self.record.set_text("url.query", args);
        }
        self.attempts.set(self.escape, self.scratch, self.record);
        let body = self.body();
        self.record.set_text("body", body);
        let Told { method, path, side_by_side } = self.told;
        if let (Some(method), Some(path)) = (method, path) {
            shape::set(method, path, side_by_side, self.context, self.scratch, self.record);
        }
        if format.overlaps {
            self.record.keep_first(self.first);
        }
    }

    fn text(&self, value: &'a [u8]) -> &'a [u8] {
        self.escape.text(value, self.scratch)
    }

    /// The parts of a request that a format logs one by one.
    fn set_request_part(&mut self, variable: &Variable, value: &'a [u8]) {
        let text = self.text(value);
        if text.is_empty() {
            return;
        }
        match variable {
            Variable::Method if request::is_method(text) => {
                self.record.set("http.request.method", Value::Text(text));
                self.told.method = self.told.method.or(Some(text));
            }
            Variable::RequestUri => {
                let path = Target::of(value).set(self.escape, self.scratch, self.record);
                self.told.path = self.told.path.or(path);
                self.uri = self.uri.or(Some(text));
                self.target_told = true;
            }
            Variable::Uri => {
                self.record.set_text("url.path", text);
                self.told.path = self.told.path.or(Some(text));
                self.uri = self.uri.or(Some(text));
            }
            Variable::Args => self.args = Some(text),
            Variable::Protocol => {
                self.protocol = Some(text);
                if let Some(version) = request::protocol_version(text.trim_ascii_end()) {
                    self.record.set("network.protocol.version", Value::Text(version));
                }
            }
            _ => {}
        }
    }

    /// The first time counts, unless a finer one follows.
    fn set_time(&mut self, at: Option<Timestamp>) -> bool {
        let Some(at) = at else { return false };
        if self.record.time.is_none_or(|time| time.source.is_envelopes()) {
            self.record.time = Some(Time { at, source: TimeSource::Log });
        }
        true
    }

    /// `GET /path HTTP/1.1 200`, as far as the line tells it.
    fn body(&self) -> &'a [u8] {
        match self.request {
            Some(request) => {
                let request = self.text(request);
                if request.is_empty() || self.status.is_empty() {
                    self.scratch.concat(&[request, self.status])
                } else {
                    self.scratch.concat(&[request, b" ", self.status])
                }
            }
            None => {
                let [method, uri, protocol] =
                    [self.told.method, self.uri, self.protocol].map(Option::unwrap_or_default);
                let said = [method, uri, protocol, self.status];
                let blank = |at: usize| {
                    let between = !said[at].is_empty() && said[..at].iter().any(|before| !before.is_empty());
                    if between { &b" "[..] } else { b"" }
                };
                self.scratch.concat(&[method, blank(1), uri, blank(2), protocol, blank(3), self.status])
            }
        }
    }
}
