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
        journald::{self, JournaldSource},
        kubernetes::{Environment, OwnPod},
        live::Live,
        nats::{self, NatsSource, login::Login},
        stdin::StdinSource,
    },
};

/// Starts the sources; the answer's wait ends when all of them have come to the end of their input, which for
/// stdin is before its last lines have entered. `logins` are those of the nats sources, in their order.
pub(super) fn spawn(
    job: &Job,
    shared: &Shared,
    runs: &mpsc::Sender<Run>,
    stop: &CancellationToken,
    drain: &TaskTracker,
    logins: Vec<Login>,
) -> TaskTracker {
    let (inputs, mut logins) = (TaskTracker::new(), logins.into_iter());
    let own_pod = OwnPod::of(Environment::of_process());
    let sources: Vec<(SourceType, Vec<Variant>)> =
        job.config.source.iter().map(|s| (s.get_ref().kind, s.get_ref().variants(&own_pod))).collect();
    let variants = sources.iter().flat_map(|(_, variants)| variants);
    let joining = variants.filter(|variant| variant.source.joins_anything()).count();
    let join_bytes_max = job.config.plan().map_or(0, |plan| plan.join_bytes) / joining.max(1);
    let spawner = Spawner { job, shared, runs, join_bytes_max };
    for (kind, variants) in sources {
        match kind {
            SourceType::Stdin => {
                for variant in &variants {
                    let live = spawner.live(&variant.source);
                    let stdin = StdinSource { live, register: Arc::clone(&shared.register) };
                    shared.tasks.spawn(drain, "stdin source", stdin.run(stop.clone(), inputs.token()));
                }
            }
            SourceType::Nats => {
                let nats = spawner.nats(variants, logins.next().unwrap_or(Login::Nobody));
                let nats = nats.run(stop.clone(), shared.give_up.clone(), inputs.token());
                shared.tasks.spawn(drain, "nats source", nats);
            }
            SourceType::Journald => {
                for variant in &variants {
                    let state_dir = job.keeps_state.then(|| job.config.state.dir.clone());
                    let settings = journald::Settings::new(&variant.source, state_dir);
                    let journal = JournaldSource { settings, live: spawner.live(&variant.source) };
                    let journal = journal.run(stop.clone(), shared.give_up.clone(), inputs.token());
                    shared.tasks.spawn(drain, "journald source", journal);
                }
            }
            SourceType::File | SourceType::Kubernetes => {
                for Variant { source, pick } in variants {
                    let (feed, settings) = (spawner.feed(&source), file_settings(job, &source));
                    let discovery = Discovery::new(&source, pick);
                    let files = FileSource::new(feed, discovery, settings, Arc::clone(&shared.register));
                    shared.tasks.spawn(&inputs, "file source", files.run(stop.clone()));
                }
            }
        }
    }
    if job.keeps_state {
        let letters = spawner.dead_letters();
        let letters = letters.run(stop.clone(), drain.clone(), shared.give_up.clone());
        // They never end an agent's life, nor keep it alive.
        let tracker = if job.once { &inputs } else { drain };
        shared.tasks.spawn(tracker, "dead letters", letters);
    }
    inputs.close();
    inputs
}

/// What all sources are made of.
struct Spawner<'a> {
    job: &'a Job,
    shared: &'a Shared,
    runs: &'a mpsc::Sender<Run>,
    /// What the open joins of one pass may take.
    join_bytes_max: usize,
}

impl Spawner<'_> {
    fn feed(&self, source: &Source) -> Feed {
        let Shared { flow, ledger, metrics, clock, datasets, holds, spares, .. } = self.shared;
        let template = &self.job.config.honeycomb.dataset.0;
        Feed {
            pass: Pass::new(source, template, Arc::clone(datasets), spares.clone(), self.join_bytes_max),
            replayable: source.is_replayable(),
            flow: flow.clone(),
            ledger: Arc::clone(ledger),
            runs: self.runs.clone(),
            metrics: Arc::clone(metrics),
            clock: *clock,
            datasets: Arc::clone(datasets),
            holds: holds.clone(),
            gave_to_held: false,
        }
    }

    fn live(&self, source: &Source) -> Live {
        let mut constants = Constants::default();
        for (name, value) in source.constants() {
            constants.push(&name, &value);
        }
        let feed = self.feed(source);
        let buffer = LineBuffer::framed(feed.pass.framing(), self.job.config.limits.line_bytes.get());
        Live::new(feed, StreamFacts::new(constants), buffer, self.shared.give_up.clone())
    }

    fn nats(&self, variants: Vec<Variant>, login: Login) -> NatsSource {
        // Whatever its routes change, all its variants have the same server.
        let join_bytes_max = self.join_bytes_max * variants.len();
        let settings = nats::Settings::new(&variants[0].source, login, join_bytes_max);
        let input = |Variant { source, pick }| nats::Input { live: self.live(&source), pick };
        NatsSource {
            settings,
            inputs: variants.into_iter().map(input).collect(),
            register: Arc::clone(&self.shared.register),
            metrics: Arc::clone(&self.shared.metrics),
        }
    }

    fn dead_letters(&self) -> DeadLetterSource {
        DeadLetterSource {
            dir: retry_folder(&self.job.config.state.dir),
            flow: self.shared.flow.clone(),
            ledger: Arc::clone(&self.shared.ledger),
            runs: self.runs.clone(),
            datasets: Arc::clone(&self.shared.datasets),
            once: self.job.once,
        }
    }
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
