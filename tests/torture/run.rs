//! One run: writers, rotators, an agent that is killed, a receiver; takes a plan, gives what came of it.

use std::{
    collections::VecDeque,
    ops::Range,
    path::PathBuf,
    time::{Duration, Instant},
};

use hive::{Hive, Options};

use crate::{
    agent::Agent,
    field::Field,
    history::History,
    line,
    oracle::{Oracle, Verdict},
    rotator::Pace,
    settings::Settings,
};

/// As logrotate would be configured by someone in a hurry.
const PACE: Pace = Pace { interval: Duration::from_secs(1), pack_after: Duration::from_secs(2), keep: 60 };
/// From one look at the receiver to the next.
const LOOK: Duration = Duration::from_millis(50);
/// How long the agent lives at least, and at most, before it is killed.
const LIFE_MS: Range<u64> = 200..1_300;
/// The longest until it is started again.
const DEATH_MS_MAX: u64 = 1_500;
/// When everything has arrived: how long nothing more may come before it is asked to stop.
const QUIET: Duration = Duration::from_millis(1_500);
/// When something is missing: after how long without news it is lost. Longer than the agent needs to look at
/// everything anew.
const HOPE: Duration = Duration::from_secs(12);
/// How long everything may take after the writers have stopped, and how long stopping may.
const DRAIN_MAX: Duration = Duration::from_secs(120);
const STOP_MAX: Duration = Duration::from_secs(20);
/// Bodies that are under way at a time, the open one included.
const BODIES: u64 = 5;
const BODY_BYTES: u64 = 1_000_000;

/// What to do.
pub(crate) struct Plan {
    /// The glob of the agent.
    pub(crate) pattern: &'static str,
    pub(crate) kills: usize,
    /// How long the writers write, if the kills do not say.
    pub(crate) lasts: Duration,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// How many lines may be repeated after a kill.
    pub(crate) repeated_max: u64,
    pub(crate) exit_code: Option<i32>,
    /// When the agent was not running.
    pub(crate) down: Vec<Range<Duration>>,
    pub(crate) took: Duration,
    pub(crate) last_words: String,
    /// Where everything is, if it was to be kept.
    pub(crate) kept: Option<PathBuf>,
}

/// A run under way.
struct Run {
    hive: Hive,
    agent: Agent,
    oracle: Oracle,
    start: Instant,
    random: fastrand::Rng,
    down: Vec<Range<Duration>>,
    /// What came in the last second, look by look, and the most that came in one.
    second: VecDeque<(Instant, u64)>,
    peak: u64,
    newest: Instant,
}

/// Does what the plan says, in a folder that is gone afterwards unless the settings keep it.
pub(crate) async fn run(plan: &Plan, settings: &Settings) -> Outcome {
    let mut folder = tempfile::tempdir().expect("a folder");
    folder.disable_cleanup(settings.keep);
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).expect("room on the disk");
    let hive = Hive::start(Options { events_max: 4_000_000, bytes_max: 2 << 30, ..Options::default() });
    let hive = hive.await.expect("a port on loopback");
    let start = Instant::now();
    let field = Field::start(&logs, settings, PACE, start);
    let agent = Agent::start(folder.path(), &logs.join(plan.pattern), &hive.url());
    let mut run = Run::new(hive, agent, start, settings);
    for _ in 0..plan.kills {
        run.one_life().await;
    }
    if plan.kills == 0 {
        run.collect_for(plan.lasts).await;
    }
    let histories = tokio::task::spawn_blocking(|| field.stop()).await.expect("no panic");
    run.drain(&histories).await;
    let kept = settings.keep.then(|| folder.path().to_owned());
    Outcome { kept, ..run.end(&histories).await }
}

impl Run {
    fn new(hive: Hive, agent: Agent, start: Instant, settings: &Settings) -> Self {
        Self {
            hive,
            agent,
            oracle: Oracle::default(),
            start,
            random: fastrand::Rng::with_seed(!settings.seed),
            down: Vec::new(),
            second: VecDeque::new(),
            peak: 0,
            newest: start,
        }
    }

    /// The agent lives for a while, is killed, and started again, at once or later.
    async fn one_life(&mut self) {
        let life = Duration::from_millis(self.random.u64(LIFE_MS));
        self.collect_for(life).await;
        self.agent.kill();
        let died = self.start.elapsed();
        self.collect();
        self.oracle.next_life();
        if self.random.bool() {
            let death = Duration::from_millis(self.random.u64(..DEATH_MS_MAX));
            self.collect_for(death).await;
        }
        self.agent.restart();
        self.down.push(died..self.start.elapsed());
    }

    async fn collect_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            tokio::time::sleep(left.min(LOOK)).await;
            self.collect();
        }
    }

    /// Takes from the receiver what it has.
    fn collect(&mut self) {
        let (now, events) = (Instant::now(), self.hive.take_events());
        if !events.is_empty() {
            self.newest = now;
        }
        self.second.push_back((now, events.len() as u64));
        while self.second.front().is_some_and(|(then, _)| *then + Duration::from_secs(1) < now) {
            self.second.pop_front();
        }
        self.peak = self.peak.max(self.second.iter().map(|(_, count)| count).sum());
        for event in events {
            self.oracle.enter(&event);
        }
    }

    /// Waits until everything is there and nothing more comes, or until hope is gone.
    async fn drain(&mut self, histories: &[History]) {
        let until = Instant::now() + DRAIN_MAX;
        while Instant::now() < until {
            self.collect_for(4 * LOOK).await;
            let quiet = self.newest.elapsed();
            if quiet > HOPE || quiet > QUIET && self.oracle.is_complete(histories) {
                return;
            }
        }
    }

    /// Stops the agent in order and says what there is to say.
    async fn end(mut self, histories: &[History]) -> Outcome {
        self.agent.terminate();
        let until = Instant::now() + STOP_MAX;
        while self.agent.ended().is_none() && Instant::now() < until {
            self.collect_for(LOOK).await;
        }
        let ended = self.agent.ended();
        self.collect();
        let verdict = self.oracle.verdict(histories);
        let wrote = verdict.written * 1_000 / u64::try_from(self.start.elapsed().as_millis()).unwrap_or(1);
        let traffic = self.peak.max(wrote) * 3 / 2;
        Outcome {
            verdict,
            repeated_max: BODIES * BODY_BYTES / line::BYTES_MEAN as u64 + traffic,
            exit_code: ended.and_then(|status| status.code()),
            down: self.down,
            took: self.start.elapsed(),
            last_words: self.agent.last_words(),
            kept: None,
        }
    }
}
