//! What the tests share: a receiver, a folder, an agent in process or as a command.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hive::{Event, Fault, Hive, Options};
use hivetail::{
    ack::Counts,
    api_key::Found,
    config::Config,
    pipeline::{self, Job},
};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver and a folder for logs, state and configuration.
pub(crate) struct Stage {
    pub(crate) hive: Hive,
    pub(crate) dir: TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with_faults([]).await
    }

    pub(crate) async fn with_faults(faults: impl IntoIterator<Item = Fault>) -> Self {
        let hive = Hive::start(Options { events_max: 2_000_000, bytes_max: 1 << 31, ..Options::default() });
        let hive = hive.await.expect("a port on loopback");
        hive.script(faults);
        Self { hive, dir: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).expect("a file");
        file.write_all(text.as_ref()).expect("room on the disk");
    }

    /// A configuration's text: one file source over `pattern`, and whatever else is given.
    pub(crate) fn toml(&self, pattern: &str, source: &str, rest: &str) -> String {
        format!(
            "{rest}\n[honeycomb]\napi_url = {:?}\n[state]\ndir = {:?}\n[[source]]\ntype = \"file\"\npaths = [{:?}]\n{source}\n",
            self.hive.url(),
            self.path("state"),
            self.path(pattern),
        )
    }

    /// Starts an agent in this process.
    pub(crate) fn start(&self, toml: &str, once: bool) -> Agent {
        let (stop, job) = (CancellationToken::new(), job(toml, once));
        let (changes, changed) = mpsc::channel(1);
        let task = tokio::spawn(pipeline::run(job, stop.clone(), changed));
        Agent { stop, task, changes }
    }

    /// Ships what is there and checks that every line has its outcome.
    pub(crate) async fn ship_once(&self, toml: &str) -> Counts {
        self.start(toml, true).ended().await
    }

    /// How often each value of a field arrived.
    pub(crate) fn seen(&self, field: &str) -> BTreeMap<String, usize> {
        let mut seen = BTreeMap::new();
        for event in self.hive.events() {
            *seen.entry(text(&event, field)).or_default() += 1;
        }
        seen
    }

    /// Writes a configuration file and gives its path.
    pub(crate) fn config_file(&self, toml: &str) -> PathBuf {
        let path = self.path("config.toml");
        fs::write(&path, toml).expect("room on the disk");
        path
    }
}

/// A field's value as text; empty when absent.
pub(crate) fn text(event: &Event, field: &str) -> String {
    match event.data.get(field) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// An agent in this process.
pub(crate) struct Agent {
    stop: CancellationToken,
    changes: mpsc::Sender<Job>,
    task: JoinHandle<Result<pipeline::Report, pipeline::StartError>>,
}

fn job(toml: &str, once: bool) -> Job {
    let config = Config::parse("test.toml", toml).unwrap_or_else(|error| panic!("{error}"));
    let api_key = Found { key: "test".into(), file: None };
    Job { config, api_key, once, keeps_state: true, adopts: false }
}

impl Agent {
    /// Goes on with other sources.
    pub(crate) async fn change(&self, toml: &str) {
        self.changes.send(job(toml, false)).await.expect("it runs");
    }

    pub(crate) async fn stopped(self) -> Counts {
        self.stop.cancel();
        self.ended().await
    }

    pub(crate) async fn ended(self) -> Counts {
        let ended = tokio::time::timeout(PATIENCE, self.task).await.expect("the agent ends in time");
        let counts = ended.expect("no panic").expect("a start").counts;
        assert_eq!(counts.balance(), 0, "every line has one outcome: {counts:?}");
        counts
    }
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// `count` numbered JSON lines.
pub(crate) fn numbered(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("{{\"n\":\"{n}\",\"msg\":\"line {n}\"}}\n")).collect()
}

/// Asserts that each of the first `count` numbers arrived exactly once.
pub(crate) fn assert_each_once(stage: &Stage, count: usize) {
    let seen = stage.seen("n");
    for n in 0..count {
        assert_eq!(seen.get(&n.to_string()), Some(&1), "line {n}");
    }
    assert_eq!(seen.len(), count);
}

/// The real command.
pub(crate) fn hivetail() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivetail"));
    command.env("HONEYCOMB_API_KEY", "test").env_remove("HIVETAIL_LOG").env_remove("CREDENTIALS_DIRECTORY");
    command.env_remove("HOME").env_remove("XDG_STATE_HOME");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts the daemon as a process of its own.
pub(crate) fn spawn_run(config: &Path) -> Child {
    hivetail().args(["run", "-c"]).arg(config).spawn().expect("the command starts")
}

/// Sends a signal to a process of ours.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
}
