//! Verdicts: what Honeycomb's answer means for each event of a batch.
//!
//! Takes a status, a body and how many events were sent; gives one verdict an event, or one for the whole request. HTTP
//! 200 does not mean delivered: the body holds a status for each event, in order (Honeycomb, "Create Events"). Pure: this
//! is the whole table, what follows from it is done elsewhere.
//!
//! | answer | what becomes of the events |
//! | --- | --- |
//! | 2xx with a list of statuses | each has its own; those without one are sent again |
//! | 2xx with anything else | sent again |
//! | 400 "too large", 413, 414, 431 with several events | sent again in two halves |
//! | 400, 422 that says something else in JSON | the same: some event is wrong, halving finds it |
//! | 400, 422 without JSON | sent again: it is a proxy's |
//! | 404, 400 "Dataset has too many columns" | the dataset is held: somebody has to mend it |
//! | 401, 403, 429 "denylist", other 3xx and 4xx | all that goes to this API is held |
//! | 408, 421, 425, 429, 5xx, anything else, none | sent again |
//!
//! Invariant: only an event's own permanent status refuses it. Whatever is unclear is tried again.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

/// How many different reasons of refusal are told apart in one answer.
const REASONS_MAX: usize = 16;
/// How much of a reason is kept.
const REASON_CHARS_MAX: usize = 200;

/// One event's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored.
    Accepted,
    /// It will never be, for the reason of that number.
    Refused(usize),
    /// It will not be as it is: it has too many fields.
    Trim,
    /// It has to be sent again.
    Retry,
}

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything: the key, or the URL, is wrong.
    Destination,
    /// One dataset.
    Dataset,
}

/// A whole answer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One verdict an event, as many as were sent, and the reasons of the refusals.
    Events(Vec<Verdict>, Vec<String>),
    /// All events have to be sent again: it will pass. The other end may be telling us to send less.
    Retry {
        /// What it said.
        reason: String,
        /// Whether it was that we send too much.
        limited: bool,
    },
    /// The body is not taken as it is: its halves may be. A single event never will.
    Split(String),
    /// Nothing is taken until a person acts.
    Hold(Scope, String),
}

/// Reads an answer to a batch of `events` events.
#[must_use]
pub fn judge(status: u16, body: &[u8], events: usize) -> Answer {
    let reason = || described(status, body);
    let error = error_text(body);
    match (status, error.as_deref()) {
        (200..=299, _) => judge_events(status, body, events),
        (413 | 414 | 431, _) => Answer::Split(reason()),
        (400, Some(text)) if contains(text, "dataset has too many columns") => {
            Answer::Hold(Scope::Dataset, reason())
        }
        (400 | 422, Some(_)) => Answer::Split(reason()),
        (404, _) => Answer::Hold(Scope::Dataset, reason()),
        (429, Some(text)) if contains(text, "denylist") => Answer::Hold(Scope::Destination, reason()),
        (400 | 408 | 421 | 422 | 425, _) => Answer::Retry { reason: reason(), limited: false },
        (429, _) => Answer::Retry { reason: reason(), limited: true },
        (300..=499, _) => Answer::Hold(Scope::Destination, reason()),
        _ => Answer::Retry { reason: reason(), limited: false },
    }
}

fn contains(text: &str, words: &str) -> bool {
    text.to_ascii_lowercase().contains(words)
}

fn judge_events(status: u16, body: &[u8], events: usize) -> Answer {
    match serde_json::from_slice::<Statuses>(body) {
        Ok(mut statuses) => {
            // What was not answered was not stored, as far as we know.
            statuses.verdicts.resize(events, Verdict::Retry);
            Answer::Events(statuses.verdicts, statuses.reasons)
        }
        Err(error) => {
            let reason = format!("HTTP {status} whose body is no list of statuses: {error}");
            Answer::Retry { reason, limited: false }
        }
    }
}

/// What an error's JSON says: Honeycomb's own form, or RFC 7807's; `None` if it is no JSON object with such a text.
fn error_text(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Error {
        error: Option<String>,
        detail: Option<String>,
        title: Option<String>,
    }
    let Error { error, detail, title } = serde_json::from_slice(body).ok()?;
    error.or(detail).or(title)
}

/// The status and what the body says of it: Honeycomb's `error`, else the beginning of whatever it is.
pub(crate) fn described(status: u16, body: &[u8]) -> String {
    let text = error_text(body).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let excerpt = excerpt(&text);
    if excerpt.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {excerpt}") }
}

/// The status that a reason begins with: `400 …` of an event, `HTTP 413: …` of a whole request.
pub(super) fn status_in(reason: &str) -> &str {
    let text = reason.strip_prefix("HTTP ").unwrap_or(reason);
    text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default()
}

fn excerpt(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
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

impl Statuses {
    fn verdict(&mut self, event: EventStatus) -> Verdict {
        let error = event.error.unwrap_or_default();
        match event.status {
            200..=299 => Verdict::Accepted,
            400 if contains(&error, "event has too many columns") => Verdict::Trim,
            400..=407 | 409..=428 | 430..=499 => {
                Verdict::Refused(self.reason(&format!("{} {error}", event.status)))
            }
            _ => Verdict::Retry,
        }
    }

    /// The reason's number; from some number on all others are one.
    fn reason(&mut self, text: &str) -> usize {
        let text = excerpt(text);
        if let Some(known) = self.reasons.iter().position(|known| *known == text) {
            return known;
        }
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(text);
        }
        self.reasons.len() - 1
    }
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
            let verdict = self.verdict(event);
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
        use Verdict::{Accepted, Refused, Retry, Trim};
        let body = br#"[{"status":202},{"status":400,"error":"Event has too many columns."},{"status":429},
            {"status":500,"error":"something went wrong!"},{"status":400,"error":"Request body should not be empty."},
            {"status":400,"error":"other"},{"status":400,"error":"other"}]"#;
        let verdicts = vec![Accepted, Trim, Retry, Retry, Refused(0), Refused(1), Refused(1), Retry];
        let reasons = vec!["400 Request body should not be empty.".to_owned(), "400 other".to_owned()];
        assert_eq!(judge(200, body, 8), Answer::Events(verdicts, reasons), "the missing tail is tried again");
        let two = br#"[{"status":202},{"status":202}]"#;
        assert_eq!(judge(200, two, 1), Answer::Events(vec![Accepted], vec![]), "one too many");
    }

    #[test]
    fn reasons_beyond_the_limit_are_one() {
        let body: Vec<String> = (0..40).map(|n| format!("{{\"status\":400,\"error\":\"{n}\"}}")).collect();
        let answer = judge(200, format!("[{}]", body.join(",")).as_bytes(), 40);
        let Answer::Events(verdicts, reasons) = answer else { panic!("{answer:?}") };
        assert_eq!((reasons.len(), verdicts[39]), (REASONS_MAX, Verdict::Refused(REASONS_MAX - 1)));
    }

    /// Whole requests, a row each: the kind of the answer by its first letter.
    #[test]
    fn the_table_of_whole_requests() {
        let json = |text: &str| format!("{{\"error\":\"{text}\"}}");
        let html = || "<html><body>400 Bad Request</body></html>".to_owned();
        let rows = [
            (200, String::new(), "retry"),
            (200, html(), "retry"),
            (202, "{}".to_owned(), "retry"),
            (200, "[{\"status\":202}".to_owned(), "retry"),
            (200, "[{\"status\":\"no\"}]".to_owned(), "retry"),
            (301, String::new(), "hold all"),
            (307, String::new(), "hold all"),
            (400, json("Request body is too large."), "split"),
            (400, json("Request body is malformed and cannot be read."), "split"),
            (400, json("Request body should not be empty."), "split"),
            (400, json("anything else"), "split"),
            (400, "{\"status\":400,\"title\":\"Bad\",\"detail\":\"x\"}".to_owned(), "split"),
            (400, json("Dataset has too many columns."), "hold dataset"),
            (400, html(), "retry"),
            (400, String::new(), "retry"),
            (401, json("unknown API key - check your credentials"), "hold all"),
            (401, String::new(), "hold all"),
            (402, String::new(), "hold all"),
            (403, json("Event dropped due to administrative throttling"), "hold all"),
            (403, html(), "hold all"),
            (404, json("dataset not found"), "hold dataset"),
            (404, html(), "hold dataset"),
            (405, html(), "hold all"),
            (407, html(), "hold all"),
            (408, String::new(), "retry"),
            (413, html(), "split"),
            (415, String::new(), "hold all"),
            (421, String::new(), "retry"),
            (422, json("x"), "split"),
            (422, html(), "retry"),
            (425, String::new(), "retry"),
            (429, json("Request dropped due to rate limiting."), "limited"),
            (429, html(), "limited"),
            (429, json("Event dropped due to administrative denylist"), "hold all"),
            (431, String::new(), "split"),
            (500, json("x"), "retry"),
            (502, html(), "retry"),
            (503, html(), "retry"),
            (504, html(), "retry"),
            (599, String::new(), "retry"),
            (600, String::new(), "retry"),
            (100, String::new(), "retry"),
        ];
        for (status, body, expected) in rows {
            let answer = match judge(status, body.as_bytes(), 3) {
                Answer::Events(..) => "events",
                Answer::Retry { limited: true, .. } => "limited",
                Answer::Retry { limited: false, .. } => "retry",
                Answer::Split(_) => "split",
                Answer::Hold(Scope::Destination, _) => "hold all",
                Answer::Hold(Scope::Dataset, _) => "hold dataset",
            };
            assert_eq!(answer, expected, "{status} {body}");
        }
    }

    #[test]
    fn a_reason_tells_its_status() {
        let body = br#"{"error":"too large"}"#;
        assert_eq!((status_in(&described(413, body)), status_in(&described(400, b""))), ("413", "400"));
        assert_eq!(status_in("400 Event has too many columns"), "400");
    }

    #[test]
    fn what_an_answer_says_is_shown_in_one_line() {
        let body = br#"{"error":"unknown API key - check your credentials"}"#;
        assert_eq!(described(401, body), "HTTP 401: unknown API key - check your credentials");
        assert_eq!(described(502, b"<html>\n<b>x</b>\x1b[2J"), "HTTP 502: <html><b>x</b>[2J");
        assert_eq!(described(500, b""), "HTTP 500");
        assert!(described(500, "x".repeat(9_999).as_bytes()).len() < 300);
    }
}
