//! Oban's default logger: a JSON object as the message of a Logger line, told by `"source":"oban"`.
//!
//! `Oban.Telemetry.attach_default_logger/1` writes it (`oban/lib/oban/telemetry.ex`), its keys in any order,
//! times in microseconds. A job's own data, `args`, `meta` and `tags`, stays in `body`: it would make columns
//! without end.

use memchr::memmem;

use super::{exception, measure::float};
use crate::{
    json::scan::{self, Token},
    number::whole,
    record::{Record, Scratch, Value},
};

const US_PER_MS: f64 = 1000.0;

/// What there is to tell; text still has its escapes.
#[derive(Default)]
struct Job<'a> {
    source: Option<Token<'a>>,
    event: Option<Token<'a>>,
    worker: Option<Token<'a>>,
    queue: Option<Token<'a>>,
    state: Option<Token<'a>>,
    error: Option<Token<'a>>,
    attempt: Option<Token<'a>>,
    duration: Option<Token<'a>>,
    queue_time: Option<Token<'a>>,
}

/// Sets the fields of such a message.
pub(super) fn set<'a>(message: &'a [u8], scratch: &'a Scratch, record: &mut Record<'a>) -> Option<()> {
    memmem::find(message, br#""source":"oban""#)?;
    let job = Job::read(message)?;
    if job.source != Some(Token::Text(b"oban", false)) {
        return None;
    }
    let event = decoded(job.event, scratch);
    for (name, text) in [
        ("name", event),
        ("oban.event", event),
        ("oban.worker", decoded(job.worker, scratch)),
        ("oban.queue", decoded(job.queue, scratch)),
        ("oban.state", decoded(job.state, scratch)),
    ] {
        record.set_text(name, text);
    }
    if let Some(Token::Number(attempt)) = job.attempt
        && let Some(attempt) = whole(attempt)
    {
        record.set("oban.attempt", Value::Int(attempt));
    }
    for (name, time) in [("oban.queue_time_ms", job.queue_time), ("duration_ms", job.duration)] {
        if let Some(Token::Number(us)) = time
            && let Some(us) = float(us)
        {
            record.set(name, Value::Float(us / US_PER_MS));
        }
    }
    record.error |= event.ends_with(b":exception");
    if let Some(exception) = exception::find(decoded(job.error, scratch), &[]) {
        exception.set(scratch, record);
    }
    Some(())
}

impl<'a> Job<'a> {
    /// `None` for what is no JSON object.
    fn read(message: &'a [u8]) -> Option<Self> {
        let mut job = Self::default();
        let (mut rest, ()) = scan::punctuation(b'{')(message).ok()?;
        loop {
            let (after, (key, _)) = scan::string(rest).ok()?;
            let (after, ()) = scan::punctuation(b':')(after).ok()?;
            let (after, value) = scan::value(after).ok()?;
            if let Some(place) = job.place(key) {
                *place = Some(value);
            }
            match scan::skip_blanks(after) {
                [b',', after @ ..] => rest = scan::skip_blanks(after),
                [b'}', after @ ..] if scan::skip_blanks(after).is_empty() => return Some(job),
                _ => return None,
            }
        }
    }

    fn place(&mut self, key: &[u8]) -> Option<&mut Option<Token<'a>>> {
        Some(match key {
            b"source" => &mut self.source,
            b"event" => &mut self.event,
            b"worker" => &mut self.worker,
            b"queue" => &mut self.queue,
            b"state" => &mut self.state,
            b"error" => &mut self.error,
            b"attempt" => &mut self.attempt,
            b"duration" => &mut self.duration,
            b"queue_time" => &mut self.queue_time,
            _ => return None,
        })
    }
}

/// The text of a string; empty for any other value.
fn decoded<'a>(token: Option<Token<'a>>, scratch: &'a Scratch) -> &'a [u8] {
    match token {
        Some(Token::Text(text, true)) => scratch.fill(text.len(), |out| scan::unescape(text, out)),
        Some(Token::Text(text, false)) => text,
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::shown;

    #[test]
    fn jobs() {
        for (message, fields) in [
            (
                r#"{"args":{"path":"/tmp/a \"b\".wav","source":"x"},"attempt":1,"duration":4327295,"event":"job:stop","id":123,"max_attempts":20,"meta":{},"queue":"alpha","queue_time":3127905,"source":"oban","state":"success","tags":[],"worker":"My.Worker"}"#,
                "name=job:stop|oban.event=job:stop|oban.worker=My.Worker|oban.queue=alpha|oban.state=success|\
                 oban.attempt=1|oban.queue_time_ms=3127.905|duration_ms=4327.295",
            ),
            (
                r#"{"source":"oban","error":"** (A.Error) a\n\tb","event":"job:exception","queue_time":-5}"#,
                "name=job:exception|oban.event=job:exception|oban.queue_time_ms=-0.005|exception.type=A.Error|\
                 exception.message=a\n\tb|error",
            ),
            (
                r#"{"event":"plugin:exception","source":"oban","attempt":"1","queue":null}"#,
                "name=plugin:exception|oban.event=plugin:exception|error",
            ),
        ] {
            assert_eq!(shown(message), fields, "{message}");
        }
    }

    #[test]
    fn other_objects_are_not_jobs() {
        for message in [
            r#"{"args":{"source":"oban"},"event":"x"}"#,
            r#"{"source":"oban","event":"x""#,
            r#"{"source":"oban","event":"x"} y"#,
            r#"{"ep":12,"event":"play"}"#,
        ] {
            assert_eq!(shown(message), "", "{message}");
        }
    }
}
