//! An open request: what its lines have told so far.

use std::sync::Arc;

use hivetail_parsers::{Record, Role, Scratch, Time, Timestamp, Value};

use super::{
    super::{
        Taken,
        kept::Kept,
        table::{NONE, Slot},
    },
    is_own_crash, text,
};
use crate::encode::{Constants, Event, Hidden};

/// What an event's record does not tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'o> {
    /// The fields of its stream.
    pub(crate) constants: &'o Arc<Constants>,
    /// Where it is in its stream, if that is worth telling.
    pub(crate) offset: Option<u64>,
    /// When it was read.
    pub(crate) received: Timestamp,
    /// Its lineage, and the time by the lineage's clock.
    pub(crate) lineage: u32,
    pub(crate) elapsed_ms: u64,
}

/// When a request was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(super) elapsed_ms: u64,
    pub(super) time: Option<Timestamp>,
}

/// A request whose end has not come yet.
#[derive(Debug)]
pub(crate) struct Open {
    pub(super) state: State,
    pub(crate) constants: Arc<Constants>,
    pub(crate) lines: Vec<Taken>,
    kept: Kept,
}

/// All of it but what is kept in memory of its own.
#[derive(Debug)]
pub(super) struct State {
    pub(super) lane: u32,
    pub(super) lineage: u32,
    /// The next one with the same key.
    pub(super) next: Slot,
    pub(super) key: u64,
    pub(super) pid: Option<u64>,
    /// Method and path.
    pub(super) request: u64,
    pub(super) opened_ms: u64,
    pub(super) answer: Option<Answer>,
    /// Whether another one shared its key.
    pub(super) ambiguous: bool,
    crashed: bool,
    pub(super) touched: bool,
    offset: Option<u64>,
    received: Timestamp,
    status: Option<i64>,
    duration_ms: Option<f64>,
    queries: u32,
    query_ms: f64,
    slowest_ms: f64,
    logs: u32,
    log_errors: u32,
}

impl Default for Open {
    fn default() -> Self {
        Self { state: State::new(), constants: Arc::default(), lines: Vec::new(), kept: Kept::default() }
    }
}

impl State {
    const fn new() -> Self {
        Self {
            lane: 0,
            lineage: 0,
            next: NONE,
            key: 0,
            pid: None,
            request: 0,
            opened_ms: 0,
            answer: None,
            ambiguous: false,
            crashed: false,
            touched: false,
            offset: None,
            received: Timestamp::from_ns(0),
            status: None,
            duration_ms: None,
            queries: 0,
            query_ms: 0.0,
            slowest_ms: 0.0,
            logs: 0,
            log_errors: 0,
        }
    }
}

/// How far the time between two lines may be from the duration that the second one tells: each was taken by itself.
const CLOCKS_APART_MAX_MS: f64 = 10.0;

/// So many lines of a request are held.
const LINES_MAX: usize = 4_096;

/// What is kept of a request's memory for the next one: little where many are open at once.
const SPARE_BYTES: usize = 16_384;
const SPARE_BYTES_OF_MANY: usize = 1_024;
const SPARE_LINES_OF_MANY: usize = 8;
/// What a request takes in the tables beside its own bytes.
const ENTRY_BYTES: usize = 48;

impl Open {
    pub(super) fn begin(&mut self, lane: u32, record: &Record<'_>, origin: &Origin<'_>) {
        self.kept.begin(record);
        (self.state.lane, self.state.lineage, self.state.opened_ms) =
            (lane, origin.lineage, origin.elapsed_ms);
        (self.state.offset, self.state.received) = (origin.offset, origin.received);
        self.constants = Arc::clone(origin.constants);
    }

    /// Makes it as if new, but for a little memory.
    pub(super) fn clear(&mut self, one_of_many: bool) {
        self.state = State::new();
        self.lines.clear();
        let line_bytes = size_of::<Taken>();
        let (bytes, count) = if one_of_many {
            (SPARE_BYTES_OF_MANY, SPARE_LINES_OF_MANY)
        } else {
            (SPARE_BYTES, SPARE_BYTES / line_bytes)
        };
        self.kept.shrink_to(bytes);
        self.lines.shrink_to(count);
    }

    /// The bytes that it takes.
    pub(super) const fn bytes(&self) -> usize {
        size_of::<Self>() + ENTRY_BYTES + self.kept.capacity() + self.lines.capacity() * size_of::<Taken>()
    }

    /// Adds lines to those that it is made of. Most requests have one or two: no room is taken for more in advance.
    pub(super) fn hold(&mut self, taken: &[Taken], flags: u32) {
        if self.lines.capacity() - self.lines.len() < taken.len() {
            self.lines.reserve_exact(taken.len() + self.lines.len() / 2);
        }
        self.lines.extend(taken.iter().map(|line| line.with(flags)));
    }

    /// Whether it has so many lines that it takes no more: its claim on them has to fit beside an event.
    pub(super) const fn is_full(&self) -> bool {
        self.lines.len() >= LINES_MAX
    }

    /// When it began.
    pub(super) fn time(&self) -> Option<Timestamp> {
        self.kept.time().map(|time: Time| time.at)
    }

    /// Whether it began when the answer's duration says that its request did, as far as times are told.
    pub(super) fn began_before(&self, answer: &Record<'_>) -> bool {
        let (Some(began), Some(answered)) = (self.time(), answer.time) else { return true };
        let Some(Value::Float(ms)) = answer.get("duration_ms") else { return true };
        let told_ms = answered.at.ns().saturating_sub(began.ns()) as f64 / 1e6;
        (told_ms - ms).abs() <= CLOCKS_APART_MAX_MS
    }

    /// Takes what one of its lines tells of the request. The same line may come twice.
    pub(super) fn merge(&mut self, record: &Record<'_>) {
        let learns = matches!(record.role, Role::Routed | Role::Answered | Role::Converted);
        for field in record.fields() {
            let name = field.key.bytes();
            match (record.role, name, field.value) {
                (Role::Answered, b"http.response.status_code", Value::Int(status)) => {
                    self.state.status = Some(status);
                }
                (Role::Answered, b"duration_ms", Value::Float(ms)) => self.state.duration_ms = Some(ms),
                (Role::Routed, [b'p', b'h', b'o', b'e', b'n', b'i', b'x', b'.', ..], value)
                | (
                    Role::Crashed,
                    b"exception.type" | b"exception.message" | b"exception.fingerprint",
                    value,
                ) => {
                    self.kept.put(name, value);
                }
                (Role::Converted, b"exception.type", value) if !self.state.crashed => {
                    self.kept.put(name, value);
                }
                (_, _, value) if learns && is_learnt(name) && !self.kept.has(name) => {
                    self.kept.put(name, value);
                }
                _ => {}
            }
        }
        self.state.crashed |= record.role == Role::Crashed;
    }

    /// Counts one of its lines, which comes once.
    pub(super) fn count(&mut self, record: &Record<'_>) {
        match record.role {
            Role::Queried => self.count_query(record),
            Role::Logged => self.count_log(record),
            Role::Crashed if !is_own_crash(record) => self.count_log(record),
            _ => {}
        }
    }

    fn count_log(&mut self, record: &Record<'_>) {
        self.state.logs += 1;
        self.state.log_errors += u32::from(record.is_error());
    }

    fn count_query(&mut self, record: &Record<'_>) {
        let ms = match record.get("duration_ms") {
            Some(Value::Float(ms)) => ms,
            _ => 0.0,
        };
        self.state.queries += 1;
        self.state.query_ms += ms;
        if self.state.queries == 1 || ms > self.state.slowest_ms {
            self.state.slowest_ms = ms;
            for name in ["db.collection.name", "db.query.text"] {
                self.kept.put(name.as_bytes(), Value::Text(text(record, name).unwrap_or_default()));
            }
        }
    }

    /// What else is to be said of its event.
    pub(crate) fn event<'e>(&'e self, record: &'e Record<'e>) -> Event<'e, 'e> {
        Event {
            record,
            constants: &self.constants,
            offset: self.state.offset,
            received: self.state.received,
            line_cut: false,
            partial: false,
            incomplete: false,
            ambiguous: self.state.ambiguous,
            rate: 1,
            hidden: Hidden::default(),
        }
    }

    /// Whether its answer was logged.
    pub(crate) const fn is_answered(&self) -> bool {
        self.state.answer.is_some()
    }

    /// Whether its crash was logged.
    pub(super) const fn has_crashed(&self) -> bool {
        self.state.crashed
    }

    /// The line that it began with, as it was.
    pub(crate) fn fill_line<'a>(&'a self, record: &mut Record<'a>) {
        self.kept.fill(record, |_, _| true);
    }

    /// The wide event.
    pub(crate) fn fill<'a>(&'a self, scratch: &'a Scratch, record: &mut Record<'a>) {
        let State { status, duration_ms, .. } = self.state;
        // An exception that was logged and handled is no failure of the request.
        let handled = status.is_some_and(|status| status < 500);
        let (mut method, mut path, mut name, mut route) = (&b""[..], &b""[..], &b""[..], &b""[..]);
        self.kept.fill(record, |key, value| {
            let Value::Text(text) = value else { return true };
            match key {
                b"http.request.method" => method = text,
                b"url.path" => path = text,
                b"http.route" => route = text,
                b"name" => name = text,
                b"body" => return false,
                _ => return !(handled && key.starts_with(b"exception.")),
            }
            key != b"name"
        });
        let name = if route.is_empty() { name } else { scratch.concat(&[method, b" ", route]) };
        record.set_text("name", name);
        let body = scratch.concat(&[method, b" ", path, &status_text(status)]);
        record.set("body", Value::Text(body.trim_ascii_end()));
        if let Some(status) = status {
            record.set("http.response.status_code", Value::Int(status));
        }
        if let Some(ms) = duration_ms {
            record.set("duration_ms", Value::Float(ms));
        }
        if self.state.queries > 0 {
            record.set("db.query.count", Value::Int(i64::from(self.state.queries)));
            record.set("db.duration_ms", Value::Float(self.state.query_ms));
        }
        for (name, count) in [("log.count", self.state.logs), ("log.error_count", self.state.log_errors)] {
            if count > 0 {
                record.set(name, Value::Int(i64::from(count)));
            }
        }
        record.error = status.is_some_and(|status| status >= 500) || (!handled && self.state.crashed);
    }
}

/// What the app learns of a request while it runs, such as its user.
fn is_learnt(name: &[u8]) -> bool {
    name.starts_with(b"elixir.") || name.starts_with(b"trace.") || name == b"http.route"
}

/// ` 200`; blank where there is no status, or none of three digits.
fn status_text(status: Option<i64>) -> [u8; 4] {
    let Some(status) = status.and_then(|status| u16::try_from(status).ok()).filter(|status| *status < 1_000)
    else {
        return *b"    ";
    };
    let digit = |of: u16| b"0123456789"[usize::from(of % 10)];
    [b' ', digit(status / 100), digit(status / 10), digit(status)]
}

#[cfg(test)]
mod tests {
    use hivetail_parsers::{Context, Format, Parser};

    use super::*;

    #[test]
    fn an_open_request_takes_little_more_than_its_text() {
        const BYTES_MAX: usize = 512;
        let line = b"14:03:11.482 request_id=F1ssWNn62XasBTYAAAEj [info] GET /podcast/600/comments";
        let (scratch, mut record) = (Scratch::new(), Record::new());
        let parsed = Parser::new(Format::Phoenix).parse(line, &Context::default(), &scratch, &mut record);
        assert_eq!(parsed, Ok(Format::Phoenix));
        let constants = Arc::default();
        let received = Timestamp::from_ns(0);
        let origin = Origin { constants: &constants, offset: Some(0), received, lineage: 0, elapsed_ms: 0 };
        let mut open = Open::default();
        open.begin(0, &record, &origin);
        open.hold(&[Taken::new(crate::ack::StreamId::default(), 0, line.len() as u64)], 0);
        let values = record.fields().iter().map(|field| match field.value {
            Value::Text(text) => text.len(),
            _ => size_of::<i64>(),
        });
        let text: usize = values.sum();
        assert!(open.bytes() - text <= BYTES_MAX, "{} beside {text} of text", open.bytes() - text);
    }
}
