//! Faults: the ways in which a receiver misbehaves on request, and the script that hands them out.
//!
//! A test appends faults; each batch request takes the next one, in the order in which requests begin. A
//! script that has run out is a receiver that works.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// What happens to one batch request.
///
/// Except for [`Fault::Reset`], the request body is read to its end first, so that the sender is never stuck
/// in writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The whole request is refused with this HTTP status and `{"error": error}`; nothing is stored. A status
    /// outside of 100–999 becomes 500.
    Status {
        /// The HTTP status.
        status: u16,
        /// The text of the error.
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
    /// Accept and store as usual, then close the connection without an answer.
    ReplyLost,
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
pub(crate) struct Script(Mutex<VecDeque<Fault>>);

impl Script {
    pub(crate) fn append(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(faults);
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault of the request that begins now; [`Fault::Pass`] once the script is over.
    pub(crate) fn next(&self) -> Fault {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(Fault::Pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_handed_out_in_order_and_then_requests_pass() {
        let script = Script::default();
        script.append([Fault::Hang, Fault::Reset]);
        script.append([Fault::Garbage]);

        let taken: Vec<_> = (0..4).map(|_| script.next()).collect();

        assert_eq!(taken, [Fault::Hang, Fault::Reset, Fault::Garbage, Fault::Pass]);
    }
}
