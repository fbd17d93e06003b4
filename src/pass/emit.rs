//! The last step of a pass: a record, transformed → bytes in the run of its dataset, and what it was made of.
//!
//! Takes an event, gives it to the transform, and what comes of that to its run; lines of events that are not shipped are done
//! with when the chunk is entered.
//!
//! Invariant: an event that does not fit into the room that is left leaves nothing behind.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use super::{Bench, Chunk, Encoded};
use crate::{
    ack::{Claim, HeldAt, SpanId},
    batch::Run,
    dataset::{DatasetId, Datasets, Destination, Template},
    encode::{Encoder, Event},
    join::Taken,
    spare::Spares,
    transform::{Fate, Places, Transform},
};

/// Encodes events into runs.
#[derive(Debug)]
pub(super) struct Emitter {
    pub(super) transform: Transform,
    pub(super) writer: Writer,
    bench: Bench,
}

/// Writes what the transform has left.
#[derive(Debug)]
pub(super) struct Writer {
    /// As configured: a stream may have its own.
    pub(super) template: Template,
    pub(super) destination: Destination,
    pub(super) datasets: Arc<Mutex<Datasets>>,
    pub(super) encoder: Encoder,
    pub(super) places: Places,
    pub(super) spares: Spares,
}

impl Emitter {
    pub(super) fn new(transform: Transform, writer: Writer) -> Self {
        Self { transform, writer, bench: Bench::default() }
    }

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
        let Self { transform, writer, bench: Bench { scratch, record } } = self;
        if transform.leaves_alone(event) {
            return writer.write(chunk, event, None, drawn(lines, more));
        }
        scratch.reset();
        let mut draft = std::mem::take(record).recycle();
        let settled = transform.apply(event, scratch, &mut draft, |fate| {
            let (here, held) = drawn(lines, more);
            match fate {
                Fate::Shipped { event, dataset } => writer.write(chunk, &event, dataset, (here, held)),
                Fate::Filtered => finish(&mut chunk.filtered, &mut chunk.passed.lines, here, held),
                Fate::Sampled => finish(&mut chunk.sampled, &mut chunk.passed.lines, here, held),
            }
        });
        *record = draft.recycle();
        settled
    }
}

impl Writer {
    fn write(
        &mut self,
        chunk: &mut Chunk,
        event: &Event<'_, '_>,
        dataset: Option<&Template>,
        (here, held): (u32, Box<[HeldAt]>),
    ) -> bool {
        let dataset = self.dataset(event, dataset);
        let index = run_index(&mut chunk.runs, dataset, &self.spares);
        let run = &mut chunk.runs[index];
        let before = run.events.len();
        let is_cut = self.encoder.event(&mut run.events, event, |name| self.places.of(dataset, name));
        let is_new = !goes_on(&run.claims, here, &held);
        let claim_cost = if is_new { size_of::<Claim>() + size_of_val(&*held) } else { 0 };
        let cost = Run::cost(run.events.len() - before, 1) + claim_cost;
        if cost > chunk.room_bytes {
            run.events.truncate(before);
            return false;
        }
        claim(&mut run.claims, here, held);
        run.ends.push(u32::try_from(run.events.len()).unwrap_or(u32::MAX));
        chunk.room_bytes -= cost;
        chunk.passed.lines += here;
        chunk.events += 1;
        chunk.truncated += u64::from(is_cut);
        true
    }

    /// Where an event goes: where a rule says, or its stream, or its source.
    #[inline]
    fn dataset(&self, event: &Event<'_, '_>, by_rule: Option<&Template>) -> DatasetId {
        match by_rule {
            Some(template) => template.of(event, &self.datasets),
            None => {
                let destination = event.constants.destination.as_ref().unwrap_or(&self.destination);
                destination.of(event, &self.datasets)
            }
        }
    }
}

/// Notes that an event has its outcome when the chunk is entered.
fn finish(claims: &mut VecDeque<Claim>, lines: &mut u32, here: u32, held: Box<[HeldAt]>) -> bool {
    *lines += here;
    claim(claims, here, held);
    true
}

/// Whether an event draws on as many lines as those before it, and on none that are held.
fn goes_on(claims: &VecDeque<Claim>, here: u32, held: &[HeldAt]) -> bool {
    let same = |last: &Claim| last.lines == here && last.held.is_empty() && held.is_empty();
    claims.back().is_some_and(same)
}

/// Adds an event's claim.
fn claim(claims: &mut VecDeque<Claim>, here: u32, held: Box<[HeldAt]>) {
    let goes_on = goes_on(claims, here, &held);
    match claims.back_mut().filter(|_| goes_on) {
        Some(last) => last.events += 1,
        None => claims.push_back(Claim { span: SpanId::default(), events: 1, lines: here, held }),
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
