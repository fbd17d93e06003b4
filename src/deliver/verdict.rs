//! Verdicts: what Honeycomb's answer means for each event of a batch.
//!
//! Takes a status, a body and how many events were sent; gives one verdict an event, or one for the whole
//! request. HTTP 200 does not mean delivered: the body holds a status for each event, in order (Honeycomb,
//! "Create Events"). Pure.
//!
//! Invariant: only an event's own permanent status refuses it. Whatever is unclear is tried again.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

/// How many different reasons of refusal are remembered from one answer.
const REASONS_MAX: usize = 8;

/// One event's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored.
    Accepted,
    /// It will never be.
    Refused,
    /// It has to be sent again.
    Retry,
}

/// A whole answer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One verdict an event, as many as were sent, and why some were refused.
    Events(Vec<Verdict>, Vec<String>),
    /// All events have to be sent again: it will pass.
    Retry(String),
    /// All events have to be sent again, but nothing changes until a person acts.
    Alarm(String),
}

/// Reads an answer to a batch of `events` events.
#[must_use]
pub fn judge(status: u16, body: &[u8], events: usize) -> Answer {
    match status {
        200..=299 => judge_events(status, body, events),
        408 | 429 | 500..=599 => Answer::Retry(described(status, body)),
        _ => Answer::Alarm(described(status, body)),
    }
}

fn judge_events(status: u16, body: &[u8], events: usize) -> Answer {
    match serde_json::from_slice::<Statuses>(body) {
        Ok(mut statuses) => {
            // What was not answered was not stored, as far as we know.
            statuses.verdicts.resize(events, Verdict::Retry);
            Answer::Events(statuses.verdicts, statuses.reasons)
        }
        Err(error) => Answer::Retry(format!("HTTP {status} whose body is no list of statuses: {error}")),
    }
}

const fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Accepted,
        400..=407 | 409..=428 | 430..=499 => Verdict::Refused,
        _ => Verdict::Retry,
    }
}

/// The status and what the body says of it: Honeycomb's `error`, else the beginning of whatever it is.
pub(crate) fn described(status: u16, body: &[u8]) -> String {
    const EXCERPT_CHARS_MAX: usize = 200;
    #[derive(Deserialize)]
    struct Error {
        error: String,
    }
    let text = serde_json::from_slice::<Error>(body)
        .map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |body| body.error);
    let excerpt: String = text.trim().chars().filter(|c| !c.is_control()).take(EXCERPT_CHARS_MAX).collect();
    if excerpt.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {excerpt}") }
}

/// `[{"status":202},{"status":400,"error":"…"}]`, read without keeping it.
#[derive(Debug, Default)]
struct Statuses {
    verdicts: Vec<Verdict>,
    reasons: Vec<String>,
}

#[derive(Deserialize)]
struct EventStatus {
    status: u16,
    #[serde(default)]
    error: Option<String>,
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self::default())
    }
}

impl<'de> Visitor<'de> for Statuses {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of event statuses")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self, A::Error> {
        while let Some(event) = list.next_element::<EventStatus>()? {
            let verdict = verdict(event.status);
            if verdict == Verdict::Refused {
                let reason = format!("{} {}", event.status, event.error.unwrap_or_default());
                if self.reasons.len() < REASONS_MAX && !self.reasons.contains(&reason) {
                    self.reasons.push(reason);
                }
            }
            self.verdicts.push(verdict);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_200_is_read_event_by_event() {
        let body = br#"[{"status":202},{"status":400,"error":"Event has too many columns."},{"status":429},{"status":500}]"#;
        let verdicts =
            vec![Verdict::Accepted, Verdict::Refused, Verdict::Retry, Verdict::Retry, Verdict::Retry];
        let reasons = vec!["400 Event has too many columns.".to_owned()];
        assert_eq!(judge(200, body, 5), Answer::Events(verdicts, reasons), "the missing tail is tried again");
        assert_eq!(
            judge(200, br#"[{"status":202},{"status":202}]"#, 1),
            Answer::Events(vec![Verdict::Accepted], vec![])
        );
    }

    #[test]
    fn anything_unclear_is_tried_again() {
        for (status, body) in
            [(200, &b""[..]), (200, b"<html>"), (202, b"{}"), (429, b""), (503, b"x"), (408, b"")]
        {
            assert!(matches!(judge(status, body, 1), Answer::Retry(_)), "{status}");
        }
    }

    #[test]
    fn what_a_person_must_mend_raises_an_alarm() {
        let body = br#"{"error":"unknown API key - check your credentials"}"#;
        let text = "HTTP 401: unknown API key - check your credentials".to_owned();
        assert_eq!(judge(401, body, 1), Answer::Alarm(text));
        for status in [400, 403, 404, 413, 301] {
            assert!(matches!(judge(status, b"", 1), Answer::Alarm(_)), "{status}");
        }
    }
}
