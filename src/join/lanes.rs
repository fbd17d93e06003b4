//! Lanes: which lines could belong together. Within a lineage, lines of the same container and stream, Fly machine,
//! host and program, or unit.
//!
//! Takes what an envelope told, gives the lane. At most [`LANES_MAX`]: beyond that, the one that was used least recently
//! makes room, once it is empty.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
};

use hivetail_parsers::{Form, Format, ParseError, Record, Start, Value, envelope::Envelope};

use super::{Taken, lines::Pending};

/// More lanes are not kept open at once.
pub(crate) const LANES_MAX: usize = 1_000;

/// One lane.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) lineage: u32,
    /// The format that last succeeded in it.
    pub(crate) prefer: Option<Format>,
    /// The form of its Logger events.
    pub(crate) form: Option<Form>,
    /// How many lines of another form came since the last one of that.
    pub(crate) quoted: u8,
    /// How many events were in it, as far as that matters.
    in_form: u8,
    /// Whether its last event was ended by a limit: lines that go on with it may follow.
    pub(crate) overflowed: bool,
    /// The event that may go on.
    pub(crate) pending: Pending,
    key: u64,
    used: u64,
    touched: bool,
}

/// All lanes of a source.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    by_key: HashMap<u64, u32>,
    hasher: RandomState,
    /// Of the last line: most lines are of the same lane as the one before.
    last: (u64, u32),
    tick: u64,
    names: &'static [&'static str],
    touched: Vec<u32>,
}

/// The fields by which an envelope's lanes differ.
const fn names(envelope: Envelope) -> &'static [&'static str] {
    match envelope {
        Envelope::None => &[],
        Envelope::Cri | Envelope::Docker => &["log.iostream"],
        Envelope::Fly => &["fly.app.name", "fly.app.instance"],
        Envelope::Syslog | Envelope::Logplex => {
            &["host.name", "service.name", "process.pid", "syslog.procid"]
        }
        Envelope::Journald => {
            &["host.name", "systemd.unit", "service.name", "container.id", "process.pid", "_TRANSPORT"]
        }
    }
}

/// The form of a lane is that of its events from so many on: the first ones may be of a program that only starts another.
const IN_FORM_MIN: u8 = 2;
/// A message quotes fewer lines of a log than that; more of them are a log in another form.
const QUOTED_MAX: u8 = 3;

impl Lane {
    /// What a line is, once it is known how many like it came: a program may be started anew with another form.
    pub(crate) const fn settle(&mut self, start: Start) -> Start {
        match start {
            Start::Quoted(_) if self.in_form >= IN_FORM_MIN && self.quoted < QUOTED_MAX => {
                self.quoted += 1;
                Start::Nothing
            }
            Start::Quoted(form) => {
                (self.quoted, self.in_form) = (0, 1);
                Start::Open(Some(form))
            }
            Start::Whole(Some(_)) | Start::Open(Some(_)) => {
                (self.quoted, self.in_form) = (0, self.in_form.saturating_add(1));
                start
            }
            _ => start,
        }
    }

    /// After a silence anything may follow.
    pub(crate) const fn forget_form(&mut self) {
        (self.form, self.quoted, self.in_form, self.overflowed) = (None, 0, 0, false);
    }

    /// Remembers the format that parsed an event of it.
    pub(crate) fn parsed(&mut self, parsed: Result<Format, ParseError>) {
        self.prefer = parsed.ok().filter(|format| *format != Format::Raw).or(self.prefer);
    }
}

impl Lanes {
    pub(crate) fn new(envelope: Envelope) -> Self {
        Self {
            lanes: Vec::new(),
            by_key: HashMap::new(),
            hasher: RandomState::new(),
            last: (0, u32::MAX),
            tick: 0,
            names: names(envelope),
            touched: Vec::new(),
        }
    }

    /// What the lane is found by.
    pub(crate) fn key(&self, lineage: u32, record: &Record<'_>) -> u64 {
        if self.names.is_empty() {
            return u64::from(lineage);
        }
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(lineage);
        for name in self.names {
            match record.get(name) {
                Some(Value::Text(text)) => hasher.write(text),
                Some(Value::Int(number)) => hasher.write_i64(number),
                _ => {}
            }
            hasher.write_u8(0);
        }
        hasher.finish()
    }

    /// The lane of that key, if there is one.
    #[inline]
    pub(crate) fn find(&mut self, key: u64) -> Option<u32> {
        if self.last == (key, self.last.1) && self.last.1 != u32::MAX {
            return Some(self.last.1);
        }
        let lane = *self.by_key.get(&key)?;
        self.turn_to(key, lane);
        Some(lane)
    }

    /// The lane that has to be emptied before another one can be begun.
    pub(crate) fn crowded(&self) -> Option<u32> {
        let oldest = || (0..).zip(&self.lanes).min_by_key(|(_, lane)| lane.used).map(|(index, _)| index);
        (self.lanes.len() >= LANES_MAX).then(oldest)?
    }

    /// Begins a lane; in the place of `emptied`, if that is one.
    pub(crate) fn begin(&mut self, key: u64, lineage: u32, emptied: Option<u32>) -> u32 {
        let index = emptied.unwrap_or_else(|| {
            self.lanes.push(Lane::default());
            (self.lanes.len() - 1) as u32
        });
        let lane = &mut self.lanes[index as usize];
        if emptied.is_some() {
            self.by_key.remove(&lane.key);
        }
        let pending = std::mem::take(&mut lane.pending);
        *lane = Lane { lineage, pending, key, touched: lane.touched, ..Lane::default() };
        self.by_key.insert(key, index);
        self.turn_to(key, index);
        index
    }

    /// The lane that lines were of until now was used until now.
    fn turn_to(&mut self, key: u64, lane: u32) {
        self.tick += 2;
        if let Some(before) = self.lanes.get_mut(self.last.1 as usize) {
            before.used = self.tick - 1;
        }
        self.last = (key, lane);
        self.lanes[lane as usize].used = self.tick;
    }

    pub(crate) fn get(&self, lane: u32) -> &Lane {
        &self.lanes[lane as usize]
    }

    pub(crate) fn get_mut(&mut self, lane: u32) -> &mut Lane {
        &mut self.lanes[lane as usize]
    }

    /// All lanes' numbers.
    pub(crate) fn all(&self) -> std::ops::Range<u32> {
        0..self.lanes.len() as u32
    }

    /// Remembers that a lane took a line in this chunk.
    pub(crate) fn touch(&mut self, lane: u32) {
        let entry = &mut self.lanes[lane as usize];
        if !entry.touched {
            entry.touched = true;
            self.touched.push(lane);
        }
    }

    /// The lines taken in this chunk that are still pending.
    pub(crate) fn newly_held(&mut self, mut held: impl FnMut(&mut Taken)) {
        for lane in self.touched.drain(..) {
            let lane = &mut self.lanes[lane as usize];
            lane.touched = false;
            lane.pending.lines.iter_mut().for_each(&mut held);
        }
    }

    /// The lane whose pending event takes most.
    pub(crate) fn largest(&self) -> Option<u32> {
        let pending = (0..).zip(&self.lanes).filter(|(_, lane)| lane.pending.is_open());
        pending.max_by_key(|(_, lane)| lane.pending.bytes()).map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_differ_by_what_the_envelope_tells() {
        let mut lanes = Lanes::new(Envelope::Fly);
        let key = |lanes: &Lanes, lineage, instance: &'static str| {
            let mut record = Record::new();
            record.set("fly.app.name", Value::text("app"));
            record.set("fly.app.instance", Value::text(instance));
            lanes.key(lineage, &record)
        };
        let (a, b, c) = (key(&lanes, 1, "a"), key(&lanes, 1, "b"), key(&lanes, 2, "a"));
        assert!(a != b && a != c && b != c);
        let first = lanes.begin(a, 1, None);
        assert_eq!((lanes.find(a), lanes.find(b)), (Some(first), None));
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let mut lanes = Lanes::new(Envelope::Fly);
        for key in 0..LANES_MAX as u64 {
            assert_eq!(lanes.crowded(), None);
            lanes.begin(key, 0, None);
        }
        assert_eq!(lanes.find(0), Some(0));
        assert_eq!(lanes.crowded(), Some(1));
        assert_eq!(lanes.begin(5_000, 0, Some(1)), 1);
        assert_eq!((lanes.find(1), lanes.find(5_000)), (None, Some(1)));
    }
}
