//! `hivetail dead-letter`: what was refused for good and why, and sending it again.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::Subcommand;

use super::{complain, load};
use crate::dead_letter::{self, Letter};

/// What to do with dead letters.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Action {
    /// Say what was refused and why.
    List,
    /// Have the running agent, or the next start, send all of it again.
    Retry,
}

impl Action {
    pub(super) fn run(self, config: &Path) -> anyhow::Result<ExitCode> {
        let config = match load(config) {
            Ok(config) => config,
            Err(error) => return complain(&error),
        };
        match self {
            Self::List => list(&config.state.dir)?,
            Self::Retry => retry(&config.state.dir)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How many letters there are of each dataset and reason, and when the last was refused.
fn list(state_dir: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let folder = dead_letter::folder(state_dir);
    let mut reasons: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
    let (files, mut strange) = (dead_letter::files(&folder), 0);
    for file in &files {
        for line in fs::read(file)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(letter) = serde_json::from_slice::<Letter<'_>>(line) else {
                strange += 1;
                continue;
            };
            let key = (letter.dataset.into_owned(), letter.reason.into_owned());
            let entry = reasons.entry(key).or_default();
            entry.0 += 1;
            letter.time.clone_into(&mut entry.1);
        }
    }
    if reasons.is_empty() && strange == 0 {
        return writeln!(out, "no dead letters in {}", folder.display());
    }
    writeln!(out, "{:>8}  {:20}  {:30}  reason", "events", "last", "dataset")?;
    for ((dataset, reason), (count, last)) in &reasons {
        let last = last.get(..19).unwrap_or(last);
        writeln!(out, "{count:>8}  {last:20}  {dataset:30}  {reason}")?;
    }
    if strange > 0 {
        writeln!(out, "{strange:>8}  lines are no dead letters")?;
    }
    writeln!(out, "\nThe events are in {} of {}.", plural(files.len(), "file"), folder.display())?;
    let waiting = dead_letter::files(&dead_letter::retry_folder(state_dir)).len();
    if waiting > 0 {
        writeln!(out, "{} to be sent again.", plural(waiting, "more file"))?;
    }
    writeln!(out, "`hivetail dead-letter retry` has them sent again.")
}

/// Moves the files that nobody writes to.
fn retry(state_dir: &Path) -> io::Result<()> {
    let (folder, retry) = (dead_letter::folder(state_dir), dead_letter::retry_folder(state_dir));
    let (open, closed): (Vec<_>, Vec<_>) =
        dead_letter::files(&folder).into_iter().partition(|path| dead_letter::is_open(path));
    let mut out = io::stdout().lock();
    if !closed.is_empty() {
        fs::create_dir_all(&retry)?;
    }
    for file in &closed {
        if let Some(name) = file.file_name() {
            fs::rename(file, retry.join(name))?;
        }
    }
    writeln!(
        out,
        "{} will be sent again: within seconds if the agent runs, else when it starts.",
        plural(closed.len(), "file")
    )?;
    if !open.is_empty() {
        writeln!(out, "One is still being written; it can be sent again in a minute.")?;
    }
    Ok(())
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
