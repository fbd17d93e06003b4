//! The sources: for each of the configuration one task, or one for each of its variants, begun and ended one by one.
//!
//! A reload that changes some of them ends those as at a stop, begins the new ones, and leaves the others alone. What reads
//! files goes on from the marks of what read them before.
//!
//! Invariant: a file's new reader begins when its old one has ended and what that had read has its outcome, or, in an outage,
//! when `shutdown_ms` is over: then lines come again.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Job, Shared, content::SourceContent};
use crate::{
    batch::Run,
    config::{Ranged, Source, SourceType, Start, Variant},
    dead_letter::retry_folder,
    encode::Constants,
    frame::LineBuffer,
    pass::{Pass, StreamFacts},
    shutdown::Deadlines,
    source::{
        Feed, Left,
        dead_letters::DeadLetterSource,
        file::{Ends, FileSource, Settings as FileSettings, discover::Discovery},
        journald::{self, JournaldSource},
        kubernetes::{Environment, OwnPod},
        live::Live,
        nats::{self, NatsSource, login::Login},
        stdin::StdinSource,
    },
};

/// For how long the others wait until new sources have found what is theirs.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The sources that run.
pub(super) struct Sources<'a> {
    shared: &'a Shared,
    runs: mpsc::Sender<Run>,
    /// Ends all of them.
    stop: &'a CancellationToken,
    /// Waits for all tasks.
    drain: &'a TaskTracker,
    /// Waits until all of them have come to the end of their input, which for stdin is before its last lines have entered.
    inputs: TaskTracker,
    /// Waits until sources of files have found what others have left.
    beginning: TaskTracker,
    running: Vec<Running>,
}

/// One source of the configuration.
struct Running {
    content: SourceContent,
    /// Ends it.
    stop: CancellationToken,
    /// Says that it has to end with what it has not passed on.
    give_up: CancellationToken,
    /// What its tasks leave behind, when they have ended.
    left: Vec<oneshot::Receiver<Left>>,
}

/// A source to begin.
struct Planned {
    content: SourceContent,
    variants: Vec<Variant>,
    login: Login,
}

impl Planned {
    fn kind(&self) -> Option<SourceType> {
        self.variants.first().map(|variant| variant.source.kind)
    }

    /// Whether what it reads is kept by nobody: it had better begin at once.
    fn is_core_nats(&self) -> bool {
        let is_core = |variant: &Variant| variant.source.jetstream.is_none();
        self.kind() == Some(SourceType::Nats) && self.variants.first().is_some_and(is_core)
    }
}

impl<'a> Sources<'a> {
    /// None yet; what they read goes to `runs`.
    pub(super) fn new(
        shared: &'a Shared,
        runs: mpsc::Sender<Run>,
        stop: &'a CancellationToken,
        drain: &'a TaskTracker,
    ) -> Self {
        Self {
            shared,
            runs,
            stop,
            drain,
            inputs: TaskTracker::new(),
            beginning: TaskTracker::new(),
            running: Vec::new(),
        }
    }

    /// Begins those of a job. `logins` are those of the nats sources, in their order.
    pub(super) fn begin(&mut self, job: &Job, logins: Vec<Login>) {
        let planned = plan(job, logins);
        self.divide_joins(job, planned.iter());
        planned.into_iter().for_each(|planned| self.begin_one(job, planned));
        if job.keeps_state {
            let letters = self.spawner(job).dead_letters();
            let letters = letters.run(self.stop.clone(), self.drain.clone(), self.shared.give_up.clone());
            // They never end an agent's life, nor keep it alive.
            let tracker = if job.once { &self.inputs } else { self.drain };
            self.shared.tasks.spawn(tracker, "dead letters", letters);
        }
        self.inputs.close();
    }

    /// Resolves when all have come to the end of their input.
    pub(super) async fn ended(&self) {
        self.inputs.wait().await;
    }

    /// Goes on with those of another job, of which only the sources differ.
    pub(super) async fn change(&mut self, job: &Job, logins: Vec<Login>) {
        // Between two sources there may be none.
        let _not_ended = self.inputs.token();
        let deadlines = Deadlines::from_now(job.config.limits.shutdown_ms.as_ms());
        let mut planned = plan(job, logins);
        if let Ok(plan) = job.config.plan() {
            self.shared.flow.resize(plan.flow_bytes);
        }
        self.divide_joins(job, planned.iter());
        let (mut kept, mut ended) = (Vec::new(), Vec::new());
        for running in self.running.drain(..) {
            match planned.iter().position(|planned| planned.content == running.content) {
                Some(same) => {
                    planned.remove(same);
                    kept.push(running);
                }
                None => ended.push(running),
            }
        }
        self.running = kept;
        tracing::info!(
            ended = ended.len(),
            begun = planned.len(),
            undisturbed = self.running.len(),
            "only sources have changed"
        );
        ended.iter().for_each(|running| running.stop.cancel());
        let (at_once, later): (Vec<_>, Vec<_>) = planned.into_iter().partition(Planned::is_core_nats);
        at_once.into_iter().for_each(|planned| self.begin_one(job, planned));
        tokio::select! {
            () = self.take_over(ended, deadlines) => {}
            () = self.stop.cancelled() => return,
        }
        self.beginning = TaskTracker::new();
        later.into_iter().for_each(|planned| self.begin_one(job, planned));
        self.beginning.close();
        // What the new ones don't want the others may.
        let _ = timeout(BEGIN_TIMEOUT, self.beginning.wait()).await;
        self.shared.register.offer();
    }

    /// Waits for the end of sources and for the outcome of what they have read, and takes what they leave behind.
    async fn take_over(&self, ended: Vec<Running>, deadlines: Deadlines) {
        let left_at = SystemTime::now();
        for Running { left, give_up, .. } in ended {
            for mut left in left {
                let in_time = timeout_at(deadlines.give_up, &mut left).await;
                let left = match in_time {
                    Ok(left) => left,
                    Err(_) => {
                        tracing::warn!(
                            "what a changed source has read can't be delivered now: some of it may come twice"
                        );
                        give_up.cancel();
                        left.await
                    }
                };
                // What a task that has failed knew is lost with it, and the agent stops.
                let Ok(left) = left else { continue };
                let Shared { ledger, register, .. } = self.shared;
                ledger.with(|ledger| register.hand_over(ledger, &left, left_at));
            }
        }
    }

    /// Divides the bytes for open joins among all that join.
    fn divide_joins<'p>(&self, job: &Job, planned: impl Iterator<Item = &'p Planned>) {
        let variants = planned.flat_map(|planned| &planned.variants);
        let joining = variants.filter(|variant| variant.source.joins_anything()).count();
        self.shared.joins.divide(job.config.plan().map_or(0, |plan| plan.join_bytes), joining);
    }

    fn spawner<'s>(&'s self, job: &'s Job) -> Spawner<'s> {
        Spawner { job, shared: self.shared, runs: &self.runs }
    }

    fn begin_one(&mut self, job: &Job, planned: Planned) {
        let (stop, give_up) = (self.stop.child_token(), self.shared.give_up.child_token());
        let (kind, content) = (planned.kind(), planned.content.clone());
        let spawner = self.spawner(job);
        let mut left = Vec::new();
        match kind {
            Some(SourceType::Stdin) => {
                for variant in &planned.variants {
                    let live = spawner.live(&variant.source, &give_up);
                    let stdin = StdinSource { live, register: Arc::clone(&self.shared.register) };
                    let stdin = stdin.run(stop.clone(), self.inputs.token());
                    left.push(self.spawn(self.drain, "stdin source", async {
                        stdin.await;
                        Left::default()
                    }));
                }
            }
            Some(SourceType::Nats) => {
                let nats = spawner.nats(planned.variants, planned.login, &give_up);
                let nats = nats.run(stop.clone(), give_up.clone(), self.inputs.token());
                left.push(self.spawn(self.drain, "nats source", nats));
            }
            Some(SourceType::Journald) => {
                for variant in &planned.variants {
                    let state_dir = job.keeps_state.then(|| job.config.state.dir.clone());
                    let settings = journald::Settings::new(&variant.source, state_dir);
                    let journal = JournaldSource { settings, live: spawner.live(&variant.source, &give_up) };
                    let journal = journal.run(stop.clone(), give_up.clone(), self.inputs.token());
                    left.push(self.spawn(self.drain, "journald source", journal));
                }
            }
            Some(SourceType::File | SourceType::Kubernetes) => {
                for Variant { source, pick } in planned.variants {
                    let (feed, settings) = (spawner.feed(&source), file_settings(job, &source));
                    let discovery = Discovery::new(&source, pick);
                    let files = FileSource::new(feed, discovery, settings, Arc::clone(&self.shared.register));
                    let ends =
                        Ends { stop: self.stop.clone(), retire: stop.clone(), give_up: give_up.clone() };
                    let files = files.run(ends, self.beginning.token());
                    left.push(self.spawn(&self.inputs, "file source", files));
                }
            }
            None => {}
        }
        self.running.push(Running { content, stop, give_up, left });
    }

    /// Starts a source's task.
    fn spawn(
        &self,
        tracker: &TaskTracker,
        name: &'static str,
        source: impl Future<Output = Left> + Send + 'static,
    ) -> oneshot::Receiver<Left> {
        let (tell, left) = oneshot::channel();
        let source = async move {
            // At a stop nobody asks.
            let _ = tell.send(source.await);
        };
        self.shared.tasks.spawn(tracker, name, source);
        left
    }
}

/// The sources of a job.
fn plan(job: &Job, logins: Vec<Login>) -> Vec<Planned> {
    let (own_pod, mut logins) = (OwnPod::of(Environment::of_process()), logins.into_iter());
    let planned = job.config.source.iter().map(|source| {
        let source = source.get_ref();
        let login = if source.kind == SourceType::Nats { logins.next() } else { None };
        Planned {
            content: SourceContent::of(source),
            variants: source.variants(&own_pod),
            login: login.unwrap_or(Login::Nobody),
        }
    });
    planned.collect()
}

/// What all sources are made of.
struct Spawner<'a> {
    job: &'a Job,
    shared: &'a Shared,
    runs: &'a mpsc::Sender<Run>,
}

impl Spawner<'_> {
    fn feed(&self, source: &Source) -> Feed {
        let Shared { flow, ledger, metrics, clock, datasets, holds, spares, joins, book, .. } = self.shared;
        let template = &self.job.config.honeycomb.dataset.0;
        Feed {
            pass: Pass::new(source, template, Arc::clone(datasets), spares.clone(), joins.clone(), book),
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

    fn live(&self, source: &Source, give_up: &CancellationToken) -> Live {
        let mut constants = Constants::default();
        for (name, value) in source.constants() {
            constants.push(&name, &value);
        }
        let feed = self.feed(source);
        let buffer = LineBuffer::framed(feed.pass.framing(), self.job.config.limits.line_bytes.get());
        Live::new(feed, StreamFacts::new(constants), buffer, give_up.clone())
    }

    fn nats(&self, variants: Vec<Variant>, login: Login, give_up: &CancellationToken) -> NatsSource {
        // Whatever its routes change, all its variants have the same server.
        let join_bytes_max = self.shared.joins.bytes() * variants.len();
        let settings = nats::Settings::new(&variants[0].source, login, join_bytes_max);
        let input = |Variant { source, pick }| nats::Input { live: self.live(&source, give_up), pick };
        NatsSource {
            settings,
            inputs: variants.into_iter().map(input).collect(),
            register: Arc::clone(&self.shared.register),
            metrics: Arc::clone(&self.shared.metrics),
            reconnected: Arc::default(),
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
