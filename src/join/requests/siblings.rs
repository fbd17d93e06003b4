//! What a lane remembers of its requests beside those that are open: which wait for a crash, which were answered of
//! late, and how many without a name are on their way at once.

use std::collections::VecDeque;

use hivetail_parsers::Timestamp;

use super::super::table::Slot;

/// A process that crashes after its answer was sent as a whole does so within this time.
const CRASH_AFTER_SENT_NS: u64 = 20_000_000;
/// So many answers of each kind are remembered.
const ANSWERS_MAX: usize = 1_024;
/// So many requests without a name are counted.
const JAM_MAX: usize = 10_000;

/// Method and path, and when it was answered.
type Answered = (u64, Option<Timestamp>);

/// The requests of one lane.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    /// Answered with 500 or more, oldest first.
    pub(super) waiting: VecDeque<Slot>,
    /// Answered with less, and shipped: they may crash yet.
    sent: VecDeque<Answered>,
    /// The same where the answer had only begun.
    chunked: VecDeque<Answered>,
    /// When requests without a name began that could not be told apart, oldest first.
    jammed: VecDeque<Option<Timestamp>>,
}

impl Siblings {
    /// Remembers an answer.
    pub(super) fn answered(&mut self, request: u64, at: Option<Timestamp>, chunked: bool) {
        let answers = if chunked { &mut self.chunked } else { &mut self.sent };
        if answers.len() == ANSWERS_MAX {
            answers.pop_front();
        }
        answers.push_back((request, at));
    }

    /// Whether a crash at `now` may be of a request that was answered already.
    pub(super) fn answered_lately(&self, request: u64, now: Option<Timestamp>, window_ms: u64) -> bool {
        let any = |answers: &VecDeque<Answered>, ns: u64| {
            let recent = |at: Timestamp| now.is_none_or(|now| now.ns().abs_diff(at.ns()) <= ns);
            answers.iter().any(|(other, at)| *other == request && at.is_none_or(recent))
        };
        any(&self.sent, CRASH_AFTER_SENT_NS) || any(&self.chunked, window_ms.saturating_mul(1_000_000))
    }

    /// Whether requests without a name are on their way that can't be told apart.
    pub(super) fn is_jammed(&self) -> bool {
        !self.jammed.is_empty()
    }

    /// One of them begins, or one of them is answered. Those that began longer ago than the window have no answer.
    pub(super) fn jam(&mut self, begins: bool, at: Option<Timestamp>, window_ms: u64) {
        if !begins {
            self.jammed.pop_front();
        } else if self.jammed.len() < JAM_MAX {
            self.jammed.push_back(at);
        }
        let window_ns = window_ms.saturating_mul(1_000_000);
        let is_over = |began: &mut Option<Timestamp>| {
            let since = at.zip(*began).map(|(now, began)| now.ns().abs_diff(began.ns()));
            since.is_some_and(|ns| ns > window_ns)
        };
        while self.jammed.pop_front_if(is_over).is_some() {}
    }
}
