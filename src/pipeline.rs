//! The pipeline: the only module that knows all stages. It builds them from the configuration, runs them as
//! tasks, and drains them when reading ends.
//!
//! One task a source, one for the batcher, one for delivery (which has one a request), one for checkpoints;
//! between them bounded channels of runs and parcels. They end in the order in which lines travel: sources stop,
//! the batcher seals what it has, delivery finishes or gives up, the last checkpoint is saved.

mod batching;
mod book;
mod content;
mod delivery;
mod saving;
mod sources;
mod tasks;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use batching::Batching;
pub use book::{BookError, book};
pub use content::{Content, Difference};
use delivery::Delivery;
use sources::Sources;
use tasks::Tasks;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use toml::Spanned;

use crate::{
    ack::{Counts, SharedLedger},
    admin::{Admin, Desk},
    api_key,
    batch::Batcher,
    budget::{Flow, JoinShare},
    checkpoint::{Loaded, Register, Store, StoreError},
    clock::Clock,
    config::{Config, SourceType},
    dataset::Datasets,
    deliver::client::ClientError,
    deliver::holds::{Holds, holds},
    service,
    shutdown::Deadlines,
    source::{
        file::remove_strays,
        nats::login::{Login, LoginError},
    },
    spare::Spares,
    spool::Spool,
    telemetry::{Instruments, Metrics},
    transform::Book,
};

/// Runs on their way to the batcher; each has its bytes reserved.
const RUNS_QUEUED_MAX: usize = 8;
/// Parcels on their way to delivery, likewise.
const PARCELS_QUEUED_MAX: usize = 8;

/// What a pipeline is to do.
#[derive(Clone, Debug)]
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
    /// How many of the open ones will not, since their file is gone or they came through a pipe.
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
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What the agent is to tell a NATS server.
    #[error(transparent)]
    Nats(#[from] LoginError),
    /// The admin endpoint.
    #[error("[admin] listen = \"{0}\"")]
    Admin(SocketAddr, #[source] std::io::Error),
    /// The rules.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The compressor.
    #[error("the compressor can't be set up")]
    Compressor(#[from] std::io::Error),
}

/// What all tasks share.
struct Shared {
    flow: Flow,
    joins: JoinShare,
    ledger: Arc<SharedLedger>,
    metrics: Arc<Metrics>,
    register: Arc<Register>,
    datasets: Arc<Mutex<Datasets>>,
    spares: Spares,
    clock: Clock,
    give_up: CancellationToken,
    tasks: Tasks,
    holds: Holds,
    book: Arc<Book>,
}

impl Shared {
    fn new(config: &Config, book: Book, loaded: Loaded, holds: Holds, stop: CancellationToken) -> Self {
        let metrics = Metrics::default();
        metrics.damaged_checkpoints.store(loaded.damaged as u64, Ordering::Relaxed);
        Self {
            flow: Flow::new(config.plan().map_or(0, |plan| plan.flow_bytes)),
            joins: JoinShare::default(),
            ledger: Arc::default(),
            metrics: Arc::new(metrics),
            register: Arc::new(Register::new(loaded)),
            datasets: Arc::default(),
            spares: Spares::default(),
            clock: Clock::System,
            give_up: CancellationToken::new(),
            tasks: Tasks::new(stop),
            holds,
            book: Arc::new(book),
        }
    }

    /// Begins to save what must outlive the process.
    fn save(&self, store: Store, state_dir: PathBuf, end: &CancellationToken) -> [JoinHandle<()>; 2] {
        let (ledger, register) = (Arc::clone(&self.ledger), Arc::clone(&self.register));
        [
            tokio::spawn(saving::run(Arc::new(store), ledger, register, end.clone())),
            tokio::spawn(book::keep(Arc::clone(&self.book), state_dir, end.clone())),
        ]
    }

    fn instruments(&self, spool: Option<Arc<Spool>>) -> Instruments {
        Instruments {
            ledger: Arc::clone(&self.ledger),
            metrics: Arc::clone(&self.metrics),
            book: Arc::clone(&self.book),
            register: Arc::clone(&self.register),
            flow: self.flow.clone(),
            spool,
            clock: self.clock,
            started: self.clock.now(),
        }
    }
}

/// Runs until `stop` is cancelled or the input ends, and drains. Meanwhile `changes` bring other jobs, of which only the
/// sources differ.
///
/// # Errors
/// When it can't start.
pub async fn run(
    job: Job,
    stop: CancellationToken,
    mut changes: mpsc::Receiver<Job>,
) -> Result<Report, StartError> {
    let config = &job.config;
    let (logins, book) = (logins(config)?, book(config)?);
    let (store, loaded) = match job.keeps_state.then(|| Store::open(&config.state.dir)).transpose()? {
        Some((store, loaded)) => (Some(store), loaded),
        None => (None, Loaded::default()),
    };
    if job.keeps_state {
        let ids: Vec<u64> = loaded.entries.iter().map(|entry| entry.id).collect();
        remove_strays(&config.state.dir, &ids);
        book::restore(&book, &config.state.dir);
    }
    let (holder, holds) = holds();
    let shared = Shared::new(config, book, loaded, holds, stop.clone());
    let Delivery { courier, behind, packer, spool } = delivery::set_up(&job, &shared, holder)?;
    let instruments = Arc::new(shared.instruments(spool.clone()));
    let admin = listen(&job).await?;
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
    let saving = store.map(|store| shared.save(store, config.state.dir.clone(), &saved));
    let drain = TaskTracker::new();
    let reading = stop.child_token();
    let mut sources = Sources::new(&shared, to_batcher, &reading, &drain);
    sources.begin(&job, logins);
    shared.tasks.spawn(&drain, "batcher", batching.run(runs));
    shared.tasks.spawn(&drain, "delivery", courier.run(parcels));
    drain.close();

    let admin = tokio::spawn(admin.run(Desk {
        instruments: Arc::clone(&instruments),
        pulse: shared.tasks.pulse(),
        unready_after: Duration::from_secs(config.admin.unready_after_s.get() as u64),
    }));
    let pulse = tokio::spawn(service::tell_pulse(shared.tasks.pulse()));
    service::tell(service::State::Ready);
    let summaries = tokio::spawn(log_summaries(Arc::clone(&instruments)));
    loop {
        tokio::select! {
            () = sources.ended() => break,
            () = stop.cancelled() => break,
            Some(job) = changes.recv() => change(&mut sources, &job).await,
        }
    }
    reading.cancel();
    // The batcher ends when the last source has dropped its end of the queue, too.
    drop(sources);
    let deadlines = Deadlines::from_now(config.limits.shutdown_ms.as_ms());
    drain_until(&deadlines, &drain, &shared.give_up).await;
    summaries.abort();
    admin.abort();
    // Its socket is gone when it is.
    let _ = admin.await;
    pulse.abort();
    saved.cancel();
    for task in saving.into_iter().flatten() {
        let _ = tokio::time::timeout_at(deadlines.end, task).await;
    }
    instruments.log_summary();
    Ok(report(&shared, spool.as_deref()))
}

/// Goes on with the sources of another job.
async fn change(sources: &mut Sources<'_>, job: &Job) {
    match logins(&job.config) {
        Ok(logins) => sources.change(job, logins).await,
        Err(error) => tracing::error!(%error, "the new sources can't be begun: going on with the old ones"),
    }
    service::tell(service::State::Ready);
}

/// Whether a job can be started as far as files and secrets are concerned that it names.
///
/// # Errors
/// What is wrong with them.
pub fn rehearse(job: &Job) -> Result<(), StartError> {
    logins(&job.config)?;
    book(&job.config)?;
    delivery::client(job)?;
    Ok(())
}

/// Who the agent is for each NATS server.
fn logins(config: &Config) -> Result<Vec<Login>, LoginError> {
    let sources = config.source.iter().map(Spanned::get_ref).filter(|source| source.kind == SourceType::Nats);
    sources.map(|source| Login::find(source, &|name: &str| std::env::var(name).ok())).collect()
}

/// Where the agent can be asked how it fares.
async fn listen(job: &Job) -> Result<Admin, StartError> {
    let settings = &job.config.admin;
    let state_dir = Some(job.config.state.dir.as_path()).filter(|_| job.keeps_state && settings.socket);
    let address = settings.listen.map(|listen| listen.0);
    Admin::listen(state_dir, address).await.map_err(|(address, error)| StartError::Admin(address, error))
}

/// What became of everything.
fn report(shared: &Shared, spool: Option<&Spool>) -> Report {
    let counts = shared.ledger.read(crate::ack::Ledger::counts);
    debug_assert_eq!(counts.balance(), 0, "{counts:?}");
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

async fn log_summaries(instruments: Arc<Instruments>) {
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    minute.tick().await;
    loop {
        minute.tick().await;
        instruments.log_summary();
    }
}
