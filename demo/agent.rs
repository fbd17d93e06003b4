//! The agents: two `hivetail` processes, as they would run in production.
//!
//! Takes a folder for configuration, state and logs, and where the API is; gives the pipe to feed one of them,
//! and what each has counted when it has ended. They have process groups of their own, so that Ctrl-C in a
//! terminal reaches the demo alone, which stops them in order. None outlives its [`Agent`].

use std::{
    fs::{self, File},
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use tokio::{net::unix::pipe, time};

use crate::feeder::{INGRESS_FILE, PHOENIX_FILE};

const STOP_WITHIN: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const TAIL_LINES: usize = 20;

/// Both of them.
#[derive(Debug)]
pub(crate) struct Agents {
    run: Agent,
    pipe: Agent,
}

/// What both have counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accounts {
    pub(crate) run: Account,
    pub(crate) pipe: Account,
}

/// The summary that an agent logs last, in lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Account {
    pub(crate) read: u64,
    pub(crate) accepted: u64,
    pub(crate) joined: u64,
    pub(crate) refused: u64,
    pub(crate) dropped_at_shutdown: u64,
    pub(crate) open: u64,
}

#[derive(Debug)]
struct Agent {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Agents {
    /// Starts both.
    pub(crate) fn start(dir: &Path, api_url: &str) -> anyhow::Result<(Self, pipe::Sender)> {
        let binary = binary()?;
        let config = dir.join("hivetail.toml");
        fs::write(&config, config_text(dir, api_url))?;
        let mut command = Command::new(&binary);
        command.arg("run").arg("-c").arg(&config).stdin(Stdio::null());
        let run = Agent::start("run", dir, command)?;
        let mut command = Command::new(&binary);
        command.args(["pipe", "--format", "fly", "--service", "podsite", "--dataset", "podsite-fly"]);
        command.args(["--api-url", api_url]).stdin(Stdio::piped());
        let mut pipe = Agent::start("pipe", dir, command)?;
        let stdin = pipe.child.stdin.take().context("the pipe has no stdin")?;
        let sender = pipe::Sender::from_owned_fd(OwnedFd::from(stdin))?;
        Ok((Self { run, pipe }, sender))
    }

    /// Fails if one has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.run.check()?;
        self.pipe.check()
    }

    /// Stops the one by a signal; the other is to find the end of its input.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Accounts> {
        self.run.terminate()?;
        let accounts =
            async { Ok(Accounts { run: self.run.ended().await?, pipe: self.pipe.ended().await? }) };
        let late = || format!("the agents have not ended within {STOP_WITHIN:?}");
        time::timeout(STOP_WITHIN, accounts).await.with_context(late)?
    }
}

impl Agent {
    fn start(name: &'static str, dir: &Path, mut command: Command) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        command
            .env("HONEYCOMB_API_KEY", "demo")
            .env("NO_PROXY", "127.0.0.1")
            // At a level of somebody's own the summary could be missing.
            .env_remove("HIVETAIL_LOG")
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .process_group(0);
        let child = command.spawn().with_context(|| format!("hivetail {name} can't be started"))?;
        Ok(Self { name, child, log })
    }

    fn check(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        bail!("hivetail {} has ended unexpectedly ({status}):\n{}", self.name, self.log_tail())
    }

    fn terminate(&mut self) -> anyhow::Result<()> {
        self.check()?;
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "hivetail {} can't be stopped: kill: {status}", self.name);
        Ok(())
    }

    async fn ended(&mut self) -> anyhow::Result<Account> {
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None => time::sleep(POLL_INTERVAL).await,
            }
        };
        let log = fs::read_to_string(&self.log)?;
        match summary(&log).filter(|_| status.success()) {
            Some(account) => Ok(account),
            None => bail!("hivetail {} has failed ({status}):\n{}", self.name, self.log_tail()),
        }
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let skipped = log.lines().count().saturating_sub(TAIL_LINES);
        log.lines().skip(skipped).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Agent {
    /// Ends what still runs when the demo fails; of one that has ended nothing is left to do.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The agent beside this program: `target/debug/hivetail` for `target/debug/examples/demo`.
fn binary() -> anyhow::Result<PathBuf> {
    let demo = std::env::current_exe()?;
    let target = demo.parent().and_then(Path::parent).context("the demo has no folder")?;
    let binary = target.join("hivetail");
    ensure!(
        binary.is_file(),
        "{} is not there: build it by `cargo build --bin hivetail`, in the same profile",
        binary.display()
    );
    Ok(binary)
}

fn config_text(dir: &Path, api_url: &str) -> String {
    let source = |file, format, service| {
        let path = dir.join(file);
        format!(
            "[[source]]\ntype = \"file\"\npaths = [{path:?}]\nformat = \"{format}\"\nservice = \"{service}\"\n"
        )
    };
    format!(
        "[honeycomb]\napi_url = \"{api_url}\"\n[state]\ndir = {:?}\n{}{}",
        dir.join("state"),
        source(INGRESS_FILE, "ingress-nginx", "ingress"),
        source(PHOENIX_FILE, "phoenix", "podsite")
    )
}

/// The last summary in a log of JSON lines.
fn summary(log: &str) -> Option<Account> {
    let line = log.lines().rfind(|line| line.contains("\"message\":\"summary\""))?;
    serde_json::from_str(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_summary_counts() {
        let line = |read| {
            format!(
                "{{\"level\":\"INFO\",\"message\":\"summary\",\"read\":{read},\"accepted\":4,\"joined\":2,\"refused\":0,\
                 \"dropped_at_shutdown\":0,\"open\":1,\"requests\":2}}\n"
            )
        };
        let log = format!("{}not JSON\n{}{{\"message\":\"bye\"}}\n", line(5), line(7));
        let account = Account { read: 7, accepted: 4, joined: 2, open: 1, ..Account::default() };
        assert_eq!(summary(&log), Some(account));
        assert_eq!(summary("not JSON\n"), None);
    }
}
