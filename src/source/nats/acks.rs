//! Acknowledgements: which messages of a stream have their outcome, so that the server need not keep them for us.
//!
//! Takes messages by where their bytes end in a live stream, and the ledger's mark; gives the messages to acknowledge. A
//! message with a line that an open join holds waits until that has its outcome. Pure.

use std::collections::VecDeque;

use async_nats::Subject;

use crate::ack::Mark;

/// A message without an acknowledgement.
#[derive(Debug)]
struct Pending {
    start: u64,
    end: u64,
    /// Where the acknowledgement goes.
    reply: Subject,
}

/// The messages of one live stream.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// In their order.
    unread: VecDeque<Pending>,
    /// All of it is behind the mark, but a join holds some.
    held: Vec<Pending>,
    end: u64,
}

impl Acks {
    /// A message was taken, and its bytes end there.
    pub(super) fn push(&mut self, end: u64, reply: Subject) {
        self.unread.push_back(Pending { start: self.end, end, reply });
        self.end = end;
    }

    /// The messages that have their outcome.
    pub(super) fn decided(&mut self, mark: &Mark) -> Vec<Subject> {
        let is_held = |message: &Pending| {
            let from = mark.held.partition_point(|held| held.position < message.start);
            let mut inside = mark.held[from..].iter().take_while(|held| held.position < message.end);
            // What is held as context only has its outcome.
            inside.any(|held| !held.is_context())
        };
        let mut decided: Vec<Subject> =
            self.held.extract_if(.., |message| !is_held(message)).map(|message| message.reply).collect();
        while let Some(message) = self.unread.pop_front_if(|message| message.end <= mark.resume) {
            if is_held(&message) {
                self.held.push(message);
            } else {
                decided.push(message.reply);
            }
        }
        decided
    }

    /// All that wait, to tell the server that they are not forgotten.
    pub(super) fn pending(&self) -> impl Iterator<Item = &Subject> {
        self.held.iter().chain(&self.unread).map(|message| &message.reply)
    }

    /// Whether none waits but those that joins hold.
    pub(super) fn is_read(&self) -> bool {
        self.unread.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ack::Held;

    fn mark(resume: u64, held: &[(u64, u32)]) -> Mark {
        let held = held.iter().map(|(position, flags)| Held { position: *position, len: 5, flags: *flags });
        Mark { resume, tail: None, held: held.collect() }
    }

    #[test]
    fn a_message_is_acknowledged_when_all_of_it_has_its_outcome() {
        let mut acks = Acks::default();
        for (end, name) in [(10, "a"), (20, "b"), (30, "c"), (40, "d")] {
            acks.push(end, name.into());
        }
        let mut decided =
            |mark: Mark| -> Vec<String> { acks.decided(&mark).iter().map(ToString::to_string).collect() };
        assert_eq!(decided(mark(9, &[])), [""; 0]);
        assert_eq!(decided(mark(25, &[(10, 0)])), ["a"], "b is held, c is not read whole");
        assert_eq!(decided(mark(40, &[(10, 0), (30, Held::CONTEXT)])), ["c", "d"]);
        assert_eq!(decided(mark(40, &[])), ["b"]);
        assert_eq!(acks.pending().count(), 0);
    }
}
