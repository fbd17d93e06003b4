//! Setting up the sources: for each of the configuration one task, or one for each of its variants.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Job, Shared};
use crate::{
    batch::Run,
    config::{Ranged, Source, SourceType, Start, Variant},
    dead_letter::retry_folder,
    encode::Constants,
    frame::LineBuffer,
    pass::{Pass, StreamFacts},
    source::{
        Feed,
        dead_letters::DeadLetterSource,
        file::{FileSource, Settings as FileSettings, discover::Discovery},
        kubernetes::{Environment, OwnPod},
        stdin::StdinSource,
    },
};

/// Starts the sources; the answer's wait ends when all of them have come to the end of their input, which for
/// stdin is before its last lines have entered.
pub(super) fn spawn(
    job: &Job,
    shared: &Shared,
    runs: &mpsc::Sender<Run>,
    stop: &CancellationToken,
    drain: &TaskTracker,
) -> TaskTracker {
    let inputs = TaskTracker::new();
    let line_bytes_max = job.config.limits.line_bytes.get();
    let own_pod = OwnPod::of(Environment::of_process());
    let variants: Vec<Variant> =
        job.config.source.iter().flat_map(|source| source.get_ref().variants(&own_pod)).collect();
    let joining = variants.iter().filter(|variant| variant.source.joins_anything()).count();
    let join_bytes_max = job.config.plan().map_or(0, |plan| plan.join_bytes) / joining.max(1);
    for Variant { source, pick } in variants {
        let feed = Feed {
            pass: Pass::new(
                &source,
                &job.config.honeycomb.dataset.0,
                Arc::clone(&shared.datasets),
                shared.spares.clone(),
                join_bytes_max,
            ),
            replayable: source.kind != SourceType::Stdin,
            flow: shared.flow.clone(),
            ledger: Arc::clone(&shared.ledger),
            runs: runs.clone(),
            metrics: Arc::clone(&shared.metrics),
            clock: shared.clock,
            datasets: Arc::clone(&shared.datasets),
            holds: shared.holds.clone(),
            gave_to_held: false,
        };
        if source.kind == SourceType::Stdin {
            let buffer = LineBuffer::framed(feed.pass.framing(), line_bytes_max);
            let register = Arc::clone(&shared.register);
            let stdin = StdinSource { feed, facts: stdin_facts(&source), buffer, register };
            let ended = inputs.token();
            let stdin = stdin.run(stop.clone(), shared.give_up.clone(), ended);
            shared.tasks.spawn(drain, "stdin source", stdin);
        } else {
            let settings = file_settings(job, &source);
            let discovery = Discovery::new(&source, pick);
            let files = FileSource::new(feed, discovery, settings, Arc::clone(&shared.register));
            shared.tasks.spawn(&inputs, "file source", files.run(stop.clone()));
        }
    }
    if job.keeps_state {
        let letters = DeadLetterSource {
            dir: retry_folder(&job.config.state.dir),
            flow: shared.flow.clone(),
            ledger: Arc::clone(&shared.ledger),
            runs: runs.clone(),
            datasets: Arc::clone(&shared.datasets),
            once: job.once,
        };
        let letters = letters.run(stop.clone(), drain.clone(), shared.give_up.clone());
        // They never end an agent's life, nor keep it alive.
        let tracker = if job.once { &inputs } else { drain };
        shared.tasks.spawn(tracker, "dead letters", letters);
    }
    inputs.close();
    inputs
}

fn file_settings(job: &Job, source: &Source) -> FileSettings {
    let limits = &job.config.limits;
    FileSettings {
        fields: source.constants(),
        once: job.once,
        kubernetes: source.kind == SourceType::Kubernetes,
        start_at_end: source.start == Start::End,
        ignore_older: source.ignore_older_s.map(|age| Duration::from_secs(age.get() as u64)),
        partial_timeout: source.partial_timeout_ms.map(Ranged::as_ms),
        poll: source.poll,
        line_bytes_max: limits.line_bytes.get(),
        unlinked_files_max: limits.unlinked_files.get(),
        unlinked_bytes_max: limits.unlinked_bytes.get() as u64,
        state_dir: job.keeps_state.then(|| job.config.state.dir.clone()),
    }
}

fn stdin_facts(source: &Source) -> StreamFacts {
    let mut constants = Constants::default();
    for (name, value) in source.constants() {
        constants.push(&name, &value);
    }
    StreamFacts::new(constants)
}
