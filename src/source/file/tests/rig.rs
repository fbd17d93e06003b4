//! A file source that is driven by hand, with a receiver, and a checkpoint that outlives it.

use std::{
    collections::VecDeque,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::mpsc;

use super::super::{
    FileSource, Settings,
    discover::Discovery,
    watch::{Change, Watch},
};
use crate::{
    ack::{Outcome, SharedLedger},
    batch::Run,
    budget::Flow,
    checkpoint::{Change as Saved, Due, Loaded, Register},
    clock::Clock,
    config::{FormatName, Glob, Pick, Source, SourceType},
    dataset::Template,
    pass::Pass,
    source::Feed,
    spare::Spares,
    telemetry::Metrics,
};

/// A running agent, as far as files matter.
struct Agent {
    source: FileSource,
    runs: mpsc::Receiver<Run>,
    watch: Watch,
    /// Passed, not delivered.
    queue: VecDeque<Run>,
    metrics: Arc<Metrics>,
}

/// What is driven.
pub(super) struct Rig {
    dir: PathBuf,
    config: Source,
    saved: Vec<Saved>,
    agent: Option<Agent>,
    passed: Vec<String>,
    missed: u64,
}

/// The bodies of a run's events.
fn bodies(run: &Run) -> Vec<String> {
    let mut start = 0;
    let text = |end: &u32| {
        let text = &run.events[start..*end as usize - 1];
        start = *end as usize;
        let event: serde_json::Value = serde_json::from_slice(text).unwrap();
        event["data"]["body"].as_str().unwrap_or_default().to_owned()
    };
    run.ends.iter().map(text).collect()
}

impl Rig {
    pub(super) fn new(dir: &Path, pattern: &str) -> Self {
        let mut config = Source::new(SourceType::File);
        config.paths = vec![Glob::try_from(dir.join(pattern).to_str().unwrap().to_owned()).unwrap()];
        config.format = FormatName(hivetail_parsers::Format::Raw);
        Self { dir: dir.to_owned(), config, saved: Vec::new(), agent: None, passed: Vec::new(), missed: 0 }
    }

    pub(super) const fn is_up(&self) -> bool {
        self.agent.is_some()
    }

    pub(super) fn start(&mut self) {
        let mut loaded = Loaded::default();
        for saved in self.saved.clone() {
            match saved {
                Saved::Put(entry) => loaded.entries.push(entry),
                Saved::Looked(source) => loaded.looked.push(source),
                Saved::Remove(_) => {}
            }
        }
        loaded.saved_at = fs::metadata(self.dir.join("saved")).and_then(|metadata| metadata.modified()).ok();
        let (sender, runs) = mpsc::channel(10_000);
        let metrics: Arc<Metrics> = Arc::default();
        let template = Template::field("service.name");
        let feed = Feed {
            pass: Pass::new(
                &self.config,
                &template,
                Arc::default(),
                Spares::default(),
                1 << 20,
                &Arc::default(),
            ),
            replayable: true,
            flow: Flow::new(1 << 30),
            ledger: Arc::<SharedLedger>::default(),
            runs: sender,
            metrics: Arc::clone(&metrics),
            clock: Clock::System,
            datasets: Arc::default(),
            holds: crate::deliver::holds::holds().1,
            gave_to_held: false,
        };
        let settings = Settings {
            fields: Vec::new(),
            once: false,
            kubernetes: false,
            start_at_end: false,
            ignore_older: None,
            partial_timeout: None,
            poll: true,
            line_bytes_max: 10_000,
            unlinked_files_max: 64,
            unlinked_bytes_max: 1 << 30,
            state_dir: Some(self.dir.join("state")),
        };
        let discovery = Discovery::new(&self.config, Pick::All);
        let mut source = FileSource::new(feed, discovery, settings, Arc::new(Register::new(loaded)));
        let mut watch = Watch::nothing(true);
        source.begin(&mut watch);
        self.agent = Some(Agent { source, runs, watch, queue: VecDeque::new(), metrics });
    }

    pub(super) fn hear(&mut self, news: Vec<Change>) {
        let Some(agent) = &mut self.agent else { return };
        news.into_iter().for_each(|change| agent.source.news(change, &mut agent.watch));
    }

    pub(super) fn look(&mut self) {
        self.hear(vec![Change::Anything]);
    }

    pub(super) async fn read(&mut self, chunks: u8) {
        let Some(agent) = &mut self.agent else { return };
        for _ in 0..chunks {
            if !agent.source.table.anything_ready() {
                break;
            }
            let reservation = agent.source.feed.flow.reserve().await;
            agent.source.read(reservation).await;
        }
        while let Ok(run) = agent.runs.try_recv() {
            self.passed.extend(bodies(&run));
            agent.queue.push_back(run);
        }
    }

    pub(super) fn passed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.passed)
    }

    pub(super) fn deliver(&mut self, runs: u8) -> Vec<String> {
        let Some(agent) = &mut self.agent else { return Vec::new() };
        let mut received = Vec::new();
        for _ in 0..runs {
            let Some(run) = agent.queue.pop_front() else { break };
            received.extend(bodies(&run));
            agent.source.feed.ledger.with(|ledger| {
                run.claims.iter().for_each(|claim| ledger.decide(claim, claim.events, Outcome::Accepted));
            });
        }
        received
    }

    /// The receiver takes everything, and the agent does not know.
    pub(super) fn swallow(&mut self) -> Vec<String> {
        let Some(agent) = &mut self.agent else { return Vec::new() };
        // It would be sent again for ever: only a kill ends that.
        agent.queue.drain(..).collect::<Vec<_>>().iter().flat_map(bodies).collect()
    }

    pub(super) fn save(&mut self) {
        let Some(agent) = &mut self.agent else { return };
        let register = Arc::clone(&agent.source.register);
        self.saved.clear();
        let saved = &mut self.saved;
        agent.source.feed.ledger.quietly(|ledger| {
            register.tell(Due::Everything, ledger, &mut |change| saved.push(change.clone()));
        });
        File::create(self.dir.join("saved")).unwrap();
    }

    pub(super) async fn wait(&mut self) {
        tokio::time::advance(Duration::from_secs(6)).await;
        if let Some(agent) = &mut self.agent {
            agent.source.tick();
        }
    }

    pub(super) fn kill(&mut self) {
        if let Some(agent) = self.agent.take() {
            self.missed += agent.metrics.missed_bytes.load(Ordering::Relaxed);
        }
    }

    pub(super) async fn end(&mut self) {
        if let Some(agent) = &mut self.agent {
            agent.source.end().await;
        }
        self.save();
        self.kill();
    }

    pub(super) fn balance(&self) -> i128 {
        self.agent
            .as_ref()
            .map_or(0, |agent| agent.source.feed.ledger.read(|ledger| ledger.counts().balance()))
    }

    pub(super) const fn missed_bytes(&self) -> u64 {
        self.missed
    }
}
