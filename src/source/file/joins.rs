//! The joins of a file source: their clocks, when they end, and the lines that they held when the agent stopped.
//!
//! A lineage's clock runs while its newest file is read to its end. When a join may end, that file is looked at once
//! more: only if there is nothing new in it, the join ends.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{FileSource, Followed, Identity, make_ready};
use crate::{
    ack::HeldAt,
    budget::{Flow, Reservation},
};

impl FileSource {
    /// Ends all joins: what comes later is the next run's.
    pub(super) async fn end_joins(&mut self, flow: &Flow, stop: &CancellationToken) {
        let Some(followed) = self.files.values().next_back() else { return };
        let (stream, position) = (followed.stream, followed.position);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                reservation = flow.reserve() => {
                    if !self.feed.flush(stream, position, reservation).await {
                        return;
                    }
                }
            }
        }
    }

    /// Ends all joins if some of what they hold could not be read again by the next start.
    pub(super) async fn end_unreachable(&mut self) {
        let deleted =
            self.files.values().filter(|followed| followed.is_deleted()).map(|followed| followed.stream);
        let gone: Vec<_> = deleted.chain(self.truncated.iter().copied()).collect();
        if self.feed.ledger.read(|ledger| gone.iter().any(|stream| ledger.holds(*stream))) {
            let flow = self.feed.flow.clone();
            self.end_joins(&flow, &CancellationToken::new()).await;
        }
    }

    /// Joins wait while nothing is read: their time stands still.
    pub(super) fn pause_clocks(&mut self) {
        let now = Instant::now().into_std();
        self.clocks.values_mut().for_each(|clock| clock.pause(now));
    }

    /// When the next join may end.
    pub(super) fn next_join(&self) -> Option<Instant> {
        let when = |(lineage, at_ms)| self.clocks.get(&lineage)?.when(at_ms);
        self.feed.pass.deadlines().filter_map(when).min().map(Instant::from_std)
    }

    /// Looks whether there is more of what may end: only if there is nothing, it does.
    pub(super) fn look_for_ends(&mut self) {
        let now = Instant::now().into_std();
        let Self { feed, clocks, files, ready, .. } = self;
        for (lineage, at_ms) in feed.pass.deadlines() {
            let when = clocks.get(&lineage).and_then(|clock| clock.when(at_ms));
            let of_lineage = files.values().filter(|followed| followed.facts.lineage == lineage);
            if when.is_some_and(|when| when <= now)
                && let Some(newest) = of_lineage.max_by_key(|followed| followed.stream)
            {
                make_ready(ready, newest.key.identity);
            }
        }
    }

    /// Passes a line that joins held when the agent stopped.
    pub(super) async fn recover(
        &mut self,
        identity: Identity,
        reservation: Reservation,
    ) -> std::io::Result<bool> {
        let Self { feed, buffer, files, loaded, .. } = self;
        let Some(followed) = files.get_mut(&identity) else { return Ok(false) };
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
        if feed.recover(&line, held, &followed.facts, followed.position, reservation).await {
            followed.held.push_front(held);
        }
        Ok(true)
    }

    /// Whether what is written to its lineage is written to that file.
    pub(super) fn is_newest(&self, identity: Identity) -> bool {
        self.files.get(&identity).is_some_and(|file| {
            let of_lineage = |other: &&Followed| other.facts.lineage == file.facts.lineage;
            self.files.values().filter(of_lineage).all(|other| other.stream <= file.stream)
        })
    }
}
