//! The last step of a pass: a record → bytes in the run of its dataset, and what it was made of.
//!
//! Invariant: an event that does not fit into the room that is left leaves nothing behind.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use super::{Chunk, Encoded};
use crate::{
    ack::{Claim, HeldAt, SpanId},
    batch::Run,
    dataset::{DatasetId, Datasets, Destination, Template},
    encode::{Encoder, Event},
    join::Taken,
    spare::Spares,
};

/// Encodes events into runs.
#[derive(Debug)]
pub(super) struct Emitter {
    /// As configured: a stream may have its own.
    pub(super) template: Template,
    pub(super) destination: Destination,
    pub(super) datasets: Arc<Mutex<Datasets>>,
    pub(super) encoder: Encoder,
    pub(super) spares: Spares,
}

impl Emitter {
    /// Adds an event made of those lines; `false` if it does not fit.
    #[inline]
    pub(super) fn emit(&mut self, chunk: &mut Chunk, event: &Event<'_, '_>, lines: &[Taken]) -> bool {
        self.emit_joined(chunk, event, lines, &[])
    }

    /// The same of lines that stand in two places.
    pub(super) fn emit_joined(
        &mut self,
        chunk: &mut Chunk,
        event: &Event<'_, '_>,
        lines: &[Taken],
        more: &[Taken],
    ) -> bool {
        let destination = event.constants.destination.as_ref().unwrap_or(&self.destination);
        let dataset = destination.of(event.record, &self.datasets);
        let index = run_index(&mut chunk.runs, dataset, &self.spares);
        let run = &mut chunk.runs[index];
        let before = run.events.len();
        let is_cut = self.encoder.event(&mut run.events, event);
        let (here, held) = drawn(lines, more);
        let last = run.claims.back_mut();
        let same = last.filter(|last| last.lines == here && last.held.is_empty() && held.is_empty());
        let claim_cost = if same.is_some() { 0 } else { size_of::<Claim>() + size_of_val(&*held) };
        let cost = Run::cost(run.events.len() - before, 1) + claim_cost;
        if cost > chunk.room_bytes {
            run.events.truncate(before);
            return false;
        }
        match same {
            Some(last) => last.events += 1,
            None => run.claims.push_back(Claim { span: SpanId::default(), events: 1, lines: here, held }),
        }
        run.ends.push(u32::try_from(run.events.len()).unwrap_or(u32::MAX));
        chunk.room_bytes -= cost;
        chunk.passed.lines += here;
        chunk.events += 1;
        chunk.truncated += u64::from(is_cut);
        true
    }
}

/// How many of an event's lines are of the chunk in hand, and which are held from before it.
fn drawn(lines: &[Taken], more: &[Taken]) -> (u32, Box<[HeldAt]>) {
    let all = || lines.iter().chain(more);
    let here = all().filter(|line| !line.is_known() && !line.is_context()).count();
    let held = all().filter(|line| line.is_known()).map(Taken::at).collect();
    (u32::try_from(here).unwrap_or(u32::MAX), held)
}

/// The run of that dataset, begun if there is none. A chunk has few datasets, mostly one.
fn run_index(runs: &mut Vec<Encoded>, dataset: DatasetId, spares: &Spares) -> usize {
    runs.iter().position(|run| run.dataset == dataset).unwrap_or_else(|| {
        runs.push(Encoded { dataset, events: spares.take(), ends: Vec::new(), claims: VecDeque::new() });
        runs.len() - 1
    })
}
