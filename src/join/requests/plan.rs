//! What becomes of an event: the policy of the request join. Nothing here changes anything.

use hivetail_parsers::{Record, Role, Value};

use super::{super::table::Slot, CRASH_WAIT_NS, Key, Open, Requests, Siblings, is_own_crash, text};

/// More requests that share an id are not kept open: each line would have to look at all of them.
const SIBLINGS_MAX: usize = 64;

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// It is an event of its own and nothing else.
    Alone,
    /// A request begins with it.
    Open,
    /// It becomes part of a request.
    Absorb(Slot),
    /// It is an event of its own, and a request counts it.
    Note(Slot),
    /// It is a request's answer, which completes it.
    Answer(Slot),
    /// It is a request's answer, but the crash that made it so may follow.
    Await(Slot),
    /// It is the crash that a request waits for: that is shipped, and then planned again.
    Crash(Slot),
    /// It begins a request, but too many share its id: that is shipped as it is, and then planned again.
    Evict(Slot),
    /// It begins a request that can't be told from another one: that is shipped as the line that it is, and then planned
    /// again.
    Split(Slot),
}

impl Requests {
    /// The requests of a key that have no answer yet; of several, those of the event's process, if it is told.
    pub(super) fn unanswered(&self, key: Key) -> (Option<Slot>, usize) {
        if key.pid.is_some() {
            let is_of_process = |open: &Open| open.state.answer.is_none() && open.state.pid == key.pid;
            let mut of_process = self.chain(key.hash).filter(|(_, open)| is_of_process(open));
            if let (Some((slot, _)), None) = (of_process.next(), of_process.next()) {
                return (Some(slot), 1);
            }
        }
        let mut all = self.chain(key.hash).filter(|(_, open)| open.state.answer.is_none());
        let first = all.next().map(|(slot, _)| slot);
        (first, usize::from(first.is_some()) + all.count())
    }

    /// The only request of a key, if it shares it with none.
    fn only(&self, key: Key) -> Option<Slot> {
        let mut chain = self.chain(key.hash);
        let (slot, _) = chain.next().filter(|(_, open)| !open.state.ambiguous)?;
        (!key.nameless && chain.next().is_none()).then_some(slot)
    }

    /// The only request of a key that can still take something in.
    fn running(&self, key: Key) -> Option<Slot> {
        if key.nameless {
            return None;
        }
        let (slot, count) = self.unanswered(key);
        slot.filter(|slot| count == 1 && self.table.get(*slot).is_some_and(|open| !open.state.ambiguous))
    }

    /// What becomes of an event of that lane.
    pub(crate) fn plan(&self, lane: u32, record: &Record<'_>) -> Plan {
        if record.role == Role::Alone || (record.role == Role::Logged && self.by_key.is_empty()) {
            return Plan::Alone;
        }
        let key = self.key(lane, record);
        match record.role {
            Role::Started if key.nameless => self.plan_nameless_start(lane, key),
            Role::Started => self.crowded(key).map_or(Plan::Open, Plan::Evict),
            Role::Answered => self.plan_answer(lane, key, record),
            Role::Queried if self.query_events => self.running(key).map_or(Plan::Alone, Plan::Note),
            Role::Routed | Role::Queried => self.plan_part(self.running(key)),
            Role::Converted => self.plan_part(self.only(key)),
            Role::Crashed => self.plan_crash(lane, key, record),
            Role::Alone => Plan::Alone,
            Role::Logged => self.running(key).or_else(|| self.only(key)).map_or(Plan::Alone, Plan::Note),
        }
    }

    /// A line that becomes part of a request; one that has too many already only counts it.
    fn plan_part(&self, slot: Option<Slot>) -> Plan {
        let is_full = |slot: &Slot| self.table.get(*slot).is_some_and(Open::is_full);
        match slot {
            None => Plan::Alone,
            Some(slot) if is_full(&slot) => Plan::Note(slot),
            Some(slot) => Plan::Absorb(slot),
        }
    }

    /// The oldest of the requests that share a key, when there are too many of them.
    fn crowded(&self, key: Key) -> Option<Slot> {
        self.chain(key.hash).nth(SIBLINGS_MAX - 1)?;
        self.chain(key.hash).next().map(|(slot, _)| slot)
    }

    fn plan_nameless_start(&self, lane: u32, key: Key) -> Plan {
        if self.lanes.get(lane as usize).is_some_and(Siblings::is_jammed) {
            return Plan::Alone;
        }
        self.unanswered(key).0.map_or(Plan::Open, Plan::Split)
    }

    fn plan_answer(&self, lane: u32, key: Key, record: &Record<'_>) -> Plan {
        let jammed = || self.lanes.get(lane as usize).is_some_and(Siblings::is_jammed);
        if key.nameless && jammed() {
            return Plan::Alone;
        }
        let Some(slot) = self.unanswered(key).0 else { return Plan::Alone };
        if key.nameless && !self.table.get(slot).is_some_and(|open| open.began_before(record)) {
            return Plan::Alone;
        }
        let failed = matches!(record.get("http.response.status_code"), Some(Value::Int(500..)));
        let crashed = self.table.get(slot).is_some_and(Open::has_crashed);
        if failed && !crashed { Plan::Await(slot) } else { Plan::Answer(slot) }
    }

    fn plan_crash(&self, lane: u32, key: Key, record: &Record<'_>) -> Plan {
        if !is_own_crash(record) {
            return self.running(key).map_or(Plan::Alone, Plan::Note);
        }
        let named = text(record, "request_id").and_then(|_| self.running(key).or_else(|| self.only(key)));
        let Some(slot) = named.or_else(|| self.suspect(lane, record)) else { return Plan::Alone };
        match self.table.get(slot) {
            Some(open) if open.state.answer.is_some() => Plan::Crash(slot),
            _ => Plan::Note(slot),
        }
    }

    /// The request that a crash report without an id must be of: of its process, if that is told, else the only one of
    /// late with that method and path.
    fn suspect(&self, lane: u32, record: &Record<'_>) -> Option<Slot> {
        let process =
            text(record, "elixir.process").map(|of| self.hash(of.strip_prefix(b"#PID").unwrap_or(of)));
        let request = self.request_hash(record);
        let of_lane =
            || self.table.iter().filter(|(_, open)| open.state.lane == lane && !open.state.ambiguous);
        let same = |open: &Open| request.is_none_or(|request| request == open.state.request);
        let mut of_process =
            of_lane().filter(|(_, open)| open.state.pid.is_some() && open.state.pid == process && same(open));
        if let Some((slot, _)) = of_process.next() {
            return of_process.next().is_none().then_some(slot);
        }
        let request = request?;
        let all =
            || self.table.iter().filter(|(_, open)| open.state.lane == lane && open.state.request == request);
        let mut candidates = all().filter(|(_, open)| open.state.pid.is_none() || process.is_none());
        let (slot, open) = candidates.next()?;
        let alone = candidates.next().is_none() && !open.state.ambiguous;
        let others = self.lanes.get(lane as usize);
        let certain = alone
            && !others.is_some_and(|lane| {
                lane.answered_lately(request, record.time.map(|time| time.at), self.window_ms)
            });
        certain.then_some(slot)
    }

    pub(super) fn request_hash(&self, record: &Record<'_>) -> Option<u64> {
        let method = text(record, "http.request.method")?;
        Some(self.hash((method, text(record, "url.path")?)))
    }

    /// A request that waits for a crash which can't come any more, since its lane has moved on to the event's time.
    pub(crate) fn ruled_out(&self, lane: u32, record: &Record<'_>) -> Option<Slot> {
        let slot = *self.lanes.get(lane as usize)?.waiting.front()?;
        let answered = self.table.get(slot)?.state.answer?.time?;
        let past = record.time?.at.ns().abs_diff(answered.ns()) > CRASH_WAIT_NS;
        past.then_some(slot)
    }
}
