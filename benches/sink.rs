//! The receiver that benches ship to: `hive --sink`, which counts events and stores none.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Starts it; gives its URL, too.
pub(crate) fn start() -> Result<(Child, String), Box<dyn std::error::Error>> {
    let agent = Path::new(env!("CARGO_BIN_EXE_hivetail"));
    let hive = agent.with_file_name("hive");
    let mut child = Command::new(&hive)
        .args(["--listen", "127.0.0.1:0", "--sink"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            format!("{}: {error} (build it first: cargo build --release -p hive)", hive.display())
        })?;
    let stdout = child.stdout.take().ok_or("no stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let url =
        line.split_whitespace().find(|word| word.starts_with("http://")).ok_or("hive printed no URL")?;
    Ok((child, url.to_owned()))
}
