//! The agent: the real command as a process of its own, killed and started again.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

/// An agent, running. It is gone when this is.
pub(crate) struct Agent {
    config: PathBuf,
    log: PathBuf,
    child: Child,
}

impl Agent {
    /// Starts one on the files that match `pattern`; its configuration, state and log go to `folder`.
    pub(crate) fn start(folder: &Path, pattern: &Path, api_url: &str) -> Self {
        let (config, log) = (folder.join("config.toml"), folder.join("agent.log"));
        let text = format!(
            "[honeycomb]\napi_url = {api_url:?}\n[state]\ndir = {:?}\n\
             [[source]]\ntype = \"file\"\npaths = [{pattern:?}]\nformat = \"json\"\n",
            folder.join("state"),
        );
        fs::write(&config, text).expect("room on the disk");
        let child = spawn(&config, &log);
        Self { config, log, child }
    }

    /// Kill -9, and nothing is running any more.
    pub(crate) fn kill(&mut self) {
        assert!(self.ended().is_none(), "the agent has ended by itself:\n{}", self.last_words());
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }

    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.config, &self.log);
    }

    /// Asks it to stop in order.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(status.expect("kill is there").success());
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a process of ours")
    }

    /// The end of what it said.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(config: &Path, log: &Path) -> Child {
    let log: File = OpenOptions::new().create(true).append(true).open(log).expect("room on the disk");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivetail"));
    command.args(["run", "-c"]).arg(config).env("HONEYCOMB_API_KEY", "test");
    command.env_remove("HIVETAIL_LOG").env_remove("CREDENTIALS_DIRECTORY");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the command starts")
}
