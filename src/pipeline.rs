//! The pipeline: the only module that knows all stages. It builds them from the configuration, runs them as
//! tasks, and drains them when reading ends.
//!
//! One task a source, one for the batcher, one for delivery (which has one a request), one for checkpoints;
//! between them bounded channels of runs and parcels. They end in the order in which lines travel: sources stop,
//! the batcher seals what it has, delivery finishes or gives up, the last checkpoint is saved.

mod batching;
mod delivery;
mod saving;
mod tasks;

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use batching::Batching;
use delivery::Delivery;
use tasks::Tasks;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ack::{Counts, SharedLedger},
    api_key,
    batch::{Batcher, Run},
    budget::Flow,
    checkpoint::{Loaded, Register, Store, StoreError},
    clock::Clock,
    config::{Config, Ranged, Source, SourceType, Start, Variant},
    dataset::Datasets,
    dead_letter::retry_folder,
    deliver::client::ClientError,
    deliver::holds::{Holds, holds},
    encode::Constants,
    frame::LineBuffer,
    pass::{Pass, StreamFacts},
    shutdown::Deadlines,
    source::{
        Feed,
        dead_letters::DeadLetterSource,
        file::{FileSource, Settings as FileSettings, discover::Discovery, remove_strays},
        kubernetes::{Environment, OwnPod},
        stdin::StdinSource,
    },
    spare::Spares,
    spool::Spool,
    telemetry::Metrics,
};

/// Runs on their way to the batcher; each has its bytes reserved.
const RUNS_QUEUED_MAX: usize = 8;
/// Parcels on their way to delivery, likewise.
const PARCELS_QUEUED_MAX: usize = 8;

/// What a pipeline is to do.
#[derive(Debug)]
pub struct Job {
    /// How.
    pub config: Config,
    /// With which key.
    pub api_key: api_key::Found,
    /// Whether to end when all files have been read.
    pub once: bool,
    /// Whether there is a state directory.
    pub keeps_state: bool,
    /// Whether to send what others have left in the directories beside it, as a pipe does.
    pub adopts: bool,
}

/// What became of everything.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Every line's outcome; `open` ones will be read again from the checkpoint.
    pub counts: Counts,
    /// How many of the open ones will not, since their file is gone.
    pub unreachable: u64,
    /// How many events are in the spool.
    pub in_spool: u64,
    /// How many batches in the spool were damaged: their events are lost.
    pub spool_damaged: u64,
    /// Whether a task failed, so that not everything was done.
    pub failed: bool,
}

/// Why a pipeline can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StoreError),
    /// The HTTP client.
    #[error("the HTTP client can't be set up: {0}")]
    Client(#[from] ClientError),
    /// The compressor.
    #[error("the compressor can't be set up: {0}")]
    Compressor(#[from] std::io::Error),
}

/// What all tasks share.
struct Shared {
    flow: Flow,
    ledger: Arc<SharedLedger>,
    metrics: Arc<Metrics>,
    register: Arc<Register>,
    datasets: Arc<Mutex<Datasets>>,
    spares: Spares,
    clock: Clock,
    give_up: CancellationToken,
    tasks: Tasks,
    holds: Holds,
}

/// Runs until `stop` is cancelled or the input ends, and drains.
///
/// # Errors
/// When it can't start.
pub async fn run(job: Job, stop: CancellationToken) -> Result<Report, StartError> {
    let config = &job.config;
    let (store, loaded) = match job.keeps_state.then(|| Store::open(&config.state.dir)).transpose()? {
        Some((store, loaded)) => (Some(store), loaded),
        None => (None, Loaded::default()),
    };
    if job.keeps_state {
        let ids: Vec<u64> = loaded.entries.iter().map(|entry| entry.id).collect();
        remove_strays(&config.state.dir, &ids);
    }
    let damaged = loaded.damaged as u64;
    let (holder, holds) = holds();
    let shared = Shared {
        flow: Flow::new(config.plan().map_or(0, |plan| plan.flow_bytes)),
        ledger: Arc::default(),
        metrics: Arc::default(),
        register: Arc::new(Register::new(loaded)),
        datasets: Arc::default(),
        spares: Spares::default(),
        clock: Clock::System,
        give_up: CancellationToken::new(),
        tasks: Tasks::new(stop.clone()),
        holds,
    };
    shared.metrics.damaged_checkpoints.store(damaged, Ordering::Relaxed);
    let Delivery { courier, behind, packer, spool } = delivery::set_up(&job, &shared, holder)?;
    let (to_batcher, runs) = mpsc::channel(RUNS_QUEUED_MAX);
    let (to_courier, parcels) = mpsc::channel(PARCELS_QUEUED_MAX);
    let batching = Batching {
        batcher: Batcher::new(config.batch.max_bytes.get(), shared.spares.clone()),
        packer,
        parcels: to_courier,
        age_max: config.batch.max_age_ms.as_ms(),
        behind,
        flow: shared.flow.clone(),
        datasets: Arc::clone(&shared.datasets),
        spares: shared.spares.clone(),
    };

    let saved = CancellationToken::new();
    let saving = store.map(|store| {
        let (ledger, register) = (Arc::clone(&shared.ledger), Arc::clone(&shared.register));
        tokio::spawn(saving::run(Arc::new(store), ledger, register, saved.clone()))
    });
    let drain = TaskTracker::new();
    let reading = stop.child_token();
    let inputs = spawn_sources(&job, &shared, &to_batcher, &reading, &drain);
    // The batcher ends when the last source has dropped its own.
    drop(to_batcher);
    shared.tasks.spawn(&drain, "batcher", batching.run(runs));
    shared.tasks.spawn(&drain, "delivery", courier.run(parcels));
    drain.close();

    let summaries = tokio::spawn(log_summaries(Arc::clone(&shared.ledger), Arc::clone(&shared.metrics)));
    tokio::select! {
        () = inputs.wait() => {}
        () = stop.cancelled() => {}
    }
    reading.cancel();
    let deadlines = Deadlines::from_now(config.limits.shutdown_ms.as_ms());
    drain_until(&deadlines, &drain, &shared.give_up).await;
    summaries.abort();
    saved.cancel();
    if let Some(saving) = saving {
        let _ = tokio::time::timeout_at(deadlines.end, saving).await;
    }
    Ok(report(&shared, spool.as_deref()))
}

/// What became of everything.
fn report(shared: &Shared, spool: Option<&Spool>) -> Report {
    let counts = shared.ledger.read(crate::ack::Ledger::counts);
    debug_assert_eq!(counts.balance(), 0, "{counts:?}");
    shared.metrics.log_summary(&counts);
    let unreachable = shared.ledger.read(|ledger| shared.register.lines_gone(ledger));
    let in_spool = spool.map_or(0, Spool::events);
    let spool_damaged = shared.metrics.spool_damaged.load(Ordering::Relaxed);
    Report { counts, unreachable, in_spool, spool_damaged, failed: shared.tasks.failed() }
}

/// Waits for the drain; tells delivery to give up shortly before the end, and leaves it in time for the last save.
async fn drain_until(deadlines: &Deadlines, drain: &TaskTracker, give_up: &CancellationToken) {
    if tokio::time::timeout_at(deadlines.give_up, drain.wait()).await.is_err() {
        give_up.cancel();
        let _ = tokio::time::timeout_at(deadlines.leave, drain.wait()).await;
    }
}

/// Starts the sources; the answer's wait ends when all of them have come to the end of their input, which for
/// stdin is before its last lines have entered.
fn spawn_sources(
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
            let stdin = StdinSource { feed, facts: stdin_facts(&source), buffer };
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

async fn log_summaries(ledger: Arc<SharedLedger>, metrics: Arc<Metrics>) {
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    minute.tick().await;
    loop {
        minute.tick().await;
        metrics.log_summary(&ledger.read(crate::ack::Ledger::counts));
    }
}
