//! What the variables of an access line mean.
//!
//! Takes a line whose values have been found, sets the fields of the event. The request line has its parts set by
//! [`super::request`], the upstream lists by [`super::upstream`].

use super::{
    log_format::{Escape, LogFormat},
    request::{self, Target, Told},
    upstream::Attempts,
    variable::Variable,
};
use crate::{
    ParseError,
    number::{seconds_to_ms, whole},
    record::{Record, Scratch, Time, TimeSource, Value},
    shape,
    timestamp::{self, Timestamp},
};

/// What several variables tell together.
#[derive(Default)]
struct Gathered<'a> {
    told: Told<'a>,
    /// The request line, or what it would have been put together from.
    request: Option<&'a [u8]>,
    uri: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
    status: &'a [u8],
    attempts: Attempts<'a>,
}

/// Sets the fields of a line whose values are escaped that way.
pub(super) fn set<'a>(
    format: &LogFormat,
    escape: Escape,
    line: &'a [u8],
    places: &[(usize, usize)],
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let first = record.fields().len();
    let mut gathered = Gathered::default();
    for (part, (start, end)) in format.parts.iter().zip(places) {
        let value = &line[*start..*end];
        set_variable(&part.variable, value, escape, &mut gathered, scratch, record)?;
    }
    let Gathered { told, attempts, .. } = gathered;
    attempts.set(escape, scratch, record);
    set_body(&gathered, escape, scratch, record);
    if let (Some(method), Some(path)) = (told.method, told.path) {
        shape::set(method, path, scratch, record);
    }
    if format.overlaps {
        record.keep_first(first);
    }
    Ok(())
}

fn set_variable<'a>(
    variable: &Variable,
    value: &'a [u8],
    escape: Escape,
    gathered: &mut Gathered<'a>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    match variable {
        Variable::Text(name) | Variable::Address(name) => record.set_text(name, escape.text(value, scratch)),
        Variable::Int(name) => {
            if let Some(value) = whole(value) {
                record.set(name, Value::Int(value));
            }
        }
        Variable::ClaimedInt(name, otherwise) => match whole(value) {
            Some(value) => record.set(name, Value::Int(value)),
            None => record.set_text(otherwise, escape.text(value, scratch)),
        },
        Variable::Header(name) | Variable::Other(name) => {
            let value = escape.text(value, scratch);
            if !value.is_empty() {
                record.set_free(scratch.copy(name.as_bytes()), Value::Text(value));
            }
        }
        Variable::TimeLocal => set_time(timestamp::clf(value), TimeSource::Log, record)?,
        Variable::TimeIso8601 => set_time(timestamp::rfc3339(value), TimeSource::Log, record)?,
        Variable::Msec => {
            record.time = None;
            set_time(timestamp::epoch(value), TimeSource::Log, record)?;
        }
        Variable::Request => {
            gathered.request = Some(value);
            gathered.told = request::set(value, escape, scratch, record);
        }
        Variable::Status => {
            gathered.status = value;
            // 000 means that nothing was sent.
            if let Some(status) = whole(value).filter(|status| *status > 0) {
                record.set("http.response.status_code", Value::Int(status));
                record.error |= status >= 500;
            }
        }
        Variable::RequestTime => {
            if let Some(ms) = seconds_to_ms(value) {
                record.set("duration_ms", Value::Float(ms));
            }
        }
        Variable::UpstreamAddr => gathered.attempts.addresses = Some(value),
        Variable::UpstreamStatus => gathered.attempts.statuses = Some(value),
        Variable::UpstreamTime => gathered.attempts.times = Some(value),
        Variable::UpstreamLength => gathered.attempts.lengths = Some(value),
        Variable::Method | Variable::RequestUri | Variable::Uri | Variable::Args | Variable::Protocol => {
            set_request_part(variable, value, escape, gathered, scratch, record);
        }
    }
    Ok(())
}

/// The parts of a request that a format logs one by one.
fn set_request_part<'a>(
    variable: &Variable,
    value: &'a [u8],
    escape: Escape,
    gathered: &mut Gathered<'a>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) {
    let text = escape.text(value, scratch);
    if text.is_empty() {
        return;
    }
    match variable {
        Variable::Method if request::is_method(text) => {
            record.set("http.request.method", Value::Text(text));
            gathered.told.method = gathered.told.method.or(Some(text));
        }
        Variable::RequestUri => {
            let path = Target::of(value).set(escape, scratch, record);
            gathered.told.path = gathered.told.path.or(path);
            gathered.uri = gathered.uri.or(Some(text));
        }
        Variable::Uri => {
            record.set_text("url.path", text);
            gathered.told.path = gathered.told.path.or(Some(text));
            gathered.uri = gathered.uri.or(Some(text));
        }
        Variable::Args => record.set_text("url.query", text),
        Variable::Protocol => {
            gathered.protocol = Some(text);
            if let Some(version) = request::protocol_version(text.trim_ascii_end()) {
                record.set("network.protocol.version", Value::Text(version));
            }
        }
        _ => {}
    }
}

/// The first time counts, unless a finer one follows.
fn set_time(at: Option<Timestamp>, source: TimeSource, record: &mut Record<'_>) -> Result<(), ParseError> {
    let at = at.ok_or(ParseError("a time that does not exist"))?;
    if record.time.is_none_or(|time| time.source == TimeSource::Envelope) {
        record.time = Some(Time { at, source });
    }
    Ok(())
}

/// `GET /path HTTP/1.1 200`, as far as the line tells it.
fn set_body<'a>(gathered: &Gathered<'a>, escape: Escape, scratch: &'a Scratch, record: &mut Record<'a>) {
    let body = match gathered.request {
        Some(request) => {
            let request = escape.text(request, scratch);
            if request.is_empty() || gathered.status.is_empty() {
                scratch.concat(&[request, gathered.status])
            } else {
                scratch.concat(&[request, b" ", gathered.status])
            }
        }
        None => {
            let [method, uri, protocol] =
                [gathered.told.method, gathered.uri, gathered.protocol].map(Option::unwrap_or_default);
            let text = scratch.concat(&[method, b" ", uri, b" ", protocol, b" ", gathered.status]);
            text.trim_ascii()
        }
    };
    record.set_text("body", body);
}
