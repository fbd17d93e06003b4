//! Faults: the ways in which a receiver misbehaves on request, and the script that hands them out.
//!
//! A test appends faults, or a script does so over HTTP (`control`); each batch request takes the next one, in the
//! order in which requests begin. Once they are used up, the fault that is to last for a while is every request's. A
//! script that has run out is a receiver that works.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use tokio::time::Instant;

/// What happens to one batch request.
///
/// Except for [`Fault::Reset`] and [`Fault::ResetMidBody`], the request body is read to its end first, so that the
/// sender is never stuck in writing.
///
/// In JSON, as the control endpoint takes it: the name alone (`"hang"`), or an object of the name and what belongs to it
/// (`{"status": {"status": 429, "error": "…", "retry_after": "7"}}`, `{"per_event": [202, 500]}`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The whole request is refused with this HTTP status and `{"error": error}`; nothing is stored. A status
    /// outside of 100–999 becomes 500.
    Status {
        /// The HTTP status.
        status: u16,
        /// The text of the error.
        #[serde(default)]
        error: String,
        /// Value of the `Retry-After` header, sent as it stands.
        retry_after: Option<String>,
    },
    /// Statuses for the events of the batch, repeated from the start when they run out: 202 stores the event,
    /// any other refuses it with that status. An event that is wrong in itself keeps its own refusal. An empty
    /// list changes nothing.
    PerEvent(Vec<u16>),
    /// Wait, then answer as usual. Nothing is stored if the sender hangs up meanwhile.
    Delay {
        /// The wait in milliseconds of tokio time, which a test may pause.
        delay_ms: u64,
    },
    /// Never answer. Ends when the sender hangs up or the receiver stops.
    Hang,
    /// Read nothing more and close the connection without an answer; nothing is stored.
    Reset,
    /// Read the first part of the body and close the connection without an answer; nothing is stored.
    ResetMidBody,
    /// Accept and store as usual, then close the connection without an answer.
    ReplyLost,
    /// Accept and store as usual, then close the connection in the middle of the answer's body.
    ReplyCut,
    /// Accept and store as usual, then answer byte by byte, as a slow loris does.
    ReplyTrickles {
        /// The wait before each byte of the answer's body, in milliseconds of tokio time.
        interval_ms: u64,
    },
    /// Accept and store as usual, but answer only this many of the statuses.
    ShortReply(usize),
    /// HTTP 200 with a body that is not JSON; nothing is stored.
    Garbage,
    /// The whole request is refused with this HTTP status and a page of HTML, as by a proxy; nothing is stored. A status
    /// outside of 100–999 becomes 500.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// Every event is refused for having too many columns.
    TooManyColumns,
    /// Nothing: this request is answered as usual.
    Pass,
}

/// A text that makes every body malformed which has it, until told otherwise.
#[derive(Default)]
pub(crate) struct Poison(Mutex<Option<String>>);

impl Poison {
    pub(crate) fn set(&self, text: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    pub(crate) fn is_in(&self, content: &[u8]) -> bool {
        let poison = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_in = |text: &String| content.windows(text.len().max(1)).any(|part| part == text.as_bytes());
        poison.as_ref().is_some_and(is_in)
    }
}

/// The faults still to come.
#[derive(Default)]
pub(crate) struct Script(Mutex<Faults>);

#[derive(Default)]
struct Faults {
    next: VecDeque<Fault>,
    /// What happens to every request until then, if nothing comes before it.
    lasting: Option<(Fault, Instant)>,
}

impl Script {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn append(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults().next.extend(faults);
    }

    pub(crate) fn last(&self, fault: Fault, until: Instant) {
        self.faults().lasting = Some((fault, until));
    }

    pub(crate) fn clear(&self) {
        *self.faults() = Faults::default();
    }

    /// How many requests still have a fault of their own.
    pub(crate) fn len(&self) -> usize {
        self.faults().next.len()
    }

    /// The fault of the request that begins now; [`Fault::Pass`] once the script is over.
    pub(crate) fn next(&self) -> Fault {
        let mut faults = self.faults();
        faults.lasting.take_if(|(_, until)| *until <= Instant::now());
        let next = faults.next.pop_front();
        next.or_else(|| faults.lasting.as_ref().map(|(fault, _)| fault.clone())).unwrap_or(Fault::Pass)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn faults_are_handed_out_in_order_and_then_requests_pass() {
        let script = Script::default();
        script.append([Fault::Hang, Fault::Reset]);
        script.append([Fault::Garbage]);

        let taken: Vec<_> = (0..4).map(|_| script.next()).collect();

        assert_eq!(taken, [Fault::Hang, Fault::Reset, Fault::Garbage, Fault::Pass]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lasting_fault_is_everybodys_until_its_time_is_over() {
        let script = Script::default();
        script.last(Fault::Hang, Instant::now() + Duration::from_secs(3_600));
        script.append([Fault::Reset]);

        let taken: Vec<_> = (0..3).map(|_| script.next()).collect();
        tokio::time::advance(Duration::from_secs(3_600)).await;

        assert_eq!(taken, [Fault::Reset, Fault::Hang, Fault::Hang]);
        assert_eq!(script.next(), Fault::Pass);
    }

    #[test]
    fn faults_are_written_as_they_are_named() {
        let text = r#"["hang", {"per_event": [202, 500]}, {"status": {"status": 429, "retry_after": "7"}}, {"short_reply": 1}]"#;
        let faults: Vec<Fault> = serde_json::from_str(text).unwrap();
        let slow_down = Fault::Status { status: 429, error: String::new(), retry_after: Some("7".into()) };
        assert_eq!(faults, [Fault::Hang, Fault::PerEvent(vec![202, 500]), slow_down, Fault::ShortReply(1)]);

        assert!(serde_json::from_str::<Fault>(r#""hamg""#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"delay": {"delay_ms": 1, "of": 2}}"#).is_err());
    }
}
