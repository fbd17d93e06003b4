//! Joins: lines → events, and the events of a request → one event.
//!
//! Two joins, one behind the other. `lines` puts lines together before they are parsed: a trace's lines with the one
//! they belong to, and the pieces of a line that a platform has split. `requests` puts parsed events together: what
//! Phoenix logs of a request becomes one wide event. Both work within a lane (`lanes`): lines of different lanes never
//! meet. Pure: the time comes in, from the lineage's [clock].
//!
//! Invariants: a line is in at most one join; what joins hold is bounded in bytes and count; what is held when a chunk
//! ends is told, so that the ledger knows.

pub mod clock;
mod kept;
pub(crate) mod lanes;
pub(crate) mod lines;
pub(crate) mod requests;
mod table;

use crate::{
    ack::{Held, HeldAt, StreamId},
    budget::JoinShare,
    pass::Chunk,
};

/// How the joins of a source work.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which lines belong together.
    pub rule: lines::Rule,
    /// The most lines of an event.
    pub lines_max: usize,
    /// The most bytes of an event's lines.
    pub event_bytes_max: usize,
    /// How long an event waits for its next line, in milliseconds of the lineage's clock.
    pub timeout_ms: u64,
    /// The same for the next piece of a line that was split.
    pub partial_timeout_ms: u64,
    /// Whether the events of a request become one.
    pub requests: bool,
    /// Whether queries inside a request are events, too.
    pub query_events: bool,
    /// How long a request waits for its end, in milliseconds.
    pub window_ms: u64,
    /// The most bytes that the open joins take.
    pub share: JoinShare,
}

/// A line that a join took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) stream: StreamId,
    pub(crate) held: Held,
}

impl Taken {
    /// Set while the ledger knows that the line is held; no business of the checkpoint's.
    const KNOWN: u32 = 1 << 31;
    /// Set while there is more to say of it than the ledger knows.
    const STALE: u32 = 1 << 30;

    /// A line that was read for the first time.
    pub(crate) const fn new(stream: StreamId, start: u64, end: u64) -> Self {
        // Lines over the cap may be long; 4 GiB is beyond what is read again for one.
        let len = if end - start > u32::MAX as u64 { u32::MAX } else { (end - start) as u32 };
        Self { stream, held: Held { position: start, len, flags: 0 } }
    }

    /// A line that a join held when the agent stopped.
    pub(crate) const fn recovered(stream: StreamId, held: Held) -> Self {
        Self { stream, held: Held { flags: held.flags | Self::KNOWN, ..held } }
    }

    pub(crate) const fn at(&self) -> HeldAt {
        HeldAt { stream: self.stream, position: self.held.position, context: self.is_context() }
    }

    pub(crate) const fn is_known(&self) -> bool {
        self.held.flags & Self::KNOWN != 0
    }

    pub(crate) const fn is_context(&self) -> bool {
        self.held.is_context()
    }

    pub(crate) const fn is_last(&self) -> bool {
        self.held.flags & Held::LAST != 0
    }

    /// The same line with more said about it.
    pub(crate) const fn with(self, flags: u32) -> Self {
        let more = self.held.flags | flags;
        let stale = if self.is_known() && more != self.held.flags { Self::STALE } else { 0 };
        Self { held: Held { flags: more | stale, ..self.held }, ..self }
    }

    /// Whether the ledger knows all of it.
    pub(crate) const fn is_told(&self) -> bool {
        self.held.flags & (Self::KNOWN | Self::STALE) == Self::KNOWN
    }

    /// Tells the ledger what it does not know yet.
    pub(crate) fn tell(&mut self, chunk: &mut Chunk) {
        let bare = Held { flags: self.held.flags & !(Self::KNOWN | Self::STALE), ..self.held };
        if !self.is_known() {
            chunk.held.push(bare);
        } else if !self.is_told() {
            chunk.retold.push((self.at(), bare.flags));
        }
        self.held.flags = bare.flags | Self::KNOWN;
    }
}

/// The soonest deadline of each lineage, or an earlier time: then it is looked for anew.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    soonest: std::collections::BTreeMap<u32, u64>,
}

impl Deadlines {
    /// Something of that lineage ends then.
    pub(crate) fn note(&mut self, lineage: u32, at_ms: u64) {
        let soonest = self.soonest.entry(lineage).or_insert(at_ms);
        *soonest = at_ms.min(*soonest);
    }

    pub(crate) fn of(&self, lineage: u32) -> Option<u64> {
        self.soonest.get(&lineage).copied()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, u64)> {
        self.soonest.iter().map(|(lineage, at_ms)| (*lineage, *at_ms))
    }

    /// What was due has ended; that is the next.
    pub(crate) fn renew(&mut self, lineage: u32, next_ms: Option<u64>) {
        match next_ms {
            Some(at_ms) => drop(self.soonest.insert(lineage, at_ms)),
            None => drop(self.soonest.remove(&lineage)),
        }
    }
}
