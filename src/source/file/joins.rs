//! The joins of a file source: their clocks, when they end, and the lines that they held when the agent stopped.
//!
//! A lineage's clock runs while its newest file is read to its end. When a join may end, that file is looked at once
//! more: only if there is nothing new in it, the join ends.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{FileSource, follow::FileNo};
use crate::{
    ack::HeldAt,
    budget::{Flow, Reservation},
};

impl FileSource {
    /// Ends all joins: what comes later is the next run's.
    pub(super) async fn end_joins(&mut self, flow: &Flow, stop: &CancellationToken) {
        let Some(followed) = self.table.files.values().next_back() else { return };
        let (stream, end) = (followed.stream, followed.end());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                reservation = flow.reserve() => {
                    if !self.feed.flush(stream, end, reservation).await {
                        return;
                    }
                }
            }
        }
    }

    /// Ends all joins if some of what they hold could not be read again by the next start.
    pub(super) async fn end_unreachable(&mut self) {
        let gone = &self.truncated;
        if self.feed.ledger.read(|ledger| gone.iter().any(|stream| ledger.holds(*stream))) {
            let flow = self.feed.flow.clone();
            self.end_joins(&flow, &CancellationToken::new()).await;
        }
    }

    /// Joins wait while nothing is read: their time stands still.
    pub(super) fn pause_clocks(&mut self) {
        let now = Instant::now().into_std();
        self.table.lineages.values_mut().for_each(|lineage| lineage.clock.pause(now));
    }

    /// When the next join may end.
    pub(super) fn next_join(&self) -> Option<Instant> {
        let when = |(lineage, at_ms)| self.table.lineages.get(&lineage)?.clock.when(at_ms);
        self.feed.pass.deadlines().filter_map(when).min().map(Instant::from_std)
    }

    /// Looks whether there is more of what may end: only if there is nothing, it does.
    pub(super) fn look_for_ends(&mut self) {
        let now = Instant::now().into_std();
        let mut newest = Vec::new();
        for (lineage, at_ms) in self.feed.pass.deadlines() {
            let Some(lineage) = self.table.lineages.get(&lineage) else { continue };
            if lineage.clock.when(at_ms).is_some_and(|when| when <= now) {
                newest.extend(self.table.newest(lineage));
            }
        }
        newest.into_iter().for_each(|no| self.table.make_ready(no));
    }

    /// Passes a line that joins held when the agent stopped.
    pub(super) async fn recover(&mut self, no: FileNo, reservation: Reservation) -> std::io::Result<bool> {
        let Self { feed, buffer, table, loaded, .. } = self;
        let Some(followed) = table.files.get_mut(&no) else { return Ok(false) };
        let Some(held) = followed.held.pop_front() else { return Ok(true) };
        *loaded = None;
        let line = match followed.load_held(held, buffer) {
            Ok(true) => buffer.lines().next().or_else(|| buffer.unfinished_line()),
            Ok(false) => None,
            Err(error) => {
                followed.held.push_front(held);
                return Err(error);
            }
        };
        let Some(line) = line else {
            tracing::error!(
                path = %followed.path.display(), position = held.position,
                "a line that was held for what follows it is no longer there: it is lost"
            );
            let at = HeldAt { stream: followed.stream, position: held.position, context: held.is_context() };
            feed.ledger.with(|ledger| ledger.release(at));
            return Ok(true);
        };
        if feed.recover(&line, held, &followed.facts, followed.end(), reservation).await {
            followed.held.push_front(held);
        }
        Ok(true)
    }
}
