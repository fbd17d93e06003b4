//! Following files: what twenty thousand idle ones cost, a backlog in a thousand files against the same in one, and files
//! that live for a tenth of a second.
//!
//! The real command, with its defaults, to `hive --sink` on this machine. Prints figures, asserts nothing.
//!
//! `cargo bench --bench tailing -- [BACKLOG_MB]`

#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(clippy::disallowed_methods, reason = "what is measured is how time passes")]

mod sink;

use std::{
    error::Error,
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const IDLE_FILES: usize = 20_000;
const IDLE_FOR: Duration = Duration::from_secs(30);
const BACKLOG_FILES: usize = 1_000;
const BACKLOG_MB_DEFAULT: usize = 1_000;
/// Fast rotation: so many files, each written and renamed away within its life.
const SHORT_FILES: usize = 50;
const SHORT_LIFE: Duration = Duration::from_millis(100);
const SHORT_BYTES: usize = 5_000_000;

fn main() -> Outcome<()> {
    let backlog_mb = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(BACKLOG_MB_DEFAULT);
    let (mut hive, url) = sink::start()?;
    idle(&url)?;
    let one = backlog(&url, 1, backlog_mb)?;
    let many = backlog(&url, BACKLOG_FILES, backlog_mb)?;
    println!(
        "backlog of {backlog_mb} MB  one file {one:.1} s, {BACKLOG_FILES} files {many:.1} s: {:.0} %",
        100.0 * one / many
    );
    short_lives(&url)?;
    hive.kill()?;
    hive.wait()?;
    Ok(())
}

/// Starts the agent over the folder's logs.
fn start_agent(dir: &Path, url: &str, once: bool) -> Outcome<Child> {
    let config = dir.join("config.toml");
    let (state, logs) = (dir.join("state"), dir.join("*.log"));
    let text = format!(
        "[honeycomb]\napi_url = \"{url}\"\n[state]\ndir = {state:?}\n[[source]]\ntype = \"file\"\npaths = [{logs:?}]\n"
    );
    fs::write(&config, text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivetail"));
    command.args(["run", "-c"]).arg(&config).args(once.then_some("--once"));
    Ok(command.env("HONEYCOMB_API_KEY", "bench").stderr(Stdio::piped()).spawn()?)
}

/// Stops it, and gives a number of its last summary.
fn stop(mut agent: Child, key: &str) -> Outcome<u64> {
    Command::new("kill").arg(agent.id().to_string()).status()?;
    let stderr = BufReader::new(agent.stderr.take().ok_or("no stderr")?);
    let lines: Vec<String> = stderr.lines().collect::<Result<_, _>>()?;
    agent.wait()?;
    let summary = lines.iter().rev().find(|line| line.contains("\"summary\"")).ok_or("no summary")?;
    let summary: serde_json::Value = serde_json::from_str(summary)?;
    summary[key].as_u64().ok_or_else(|| "no such number".into())
}

fn line(n: usize) -> String {
    format!("{{\"n\":{n},\"msg\":\"{}\"}}\n", "a line of a log, as long as most of them are ".repeat(4))
}

/// Milliseconds of CPU that a process has used (proc(5): fields 14 and 15, in hundredths of a second).
fn cpu_ms(pid: u32) -> Outcome<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Ok((ticks(11) + ticks(12)) * 10)
}

fn idle(url: &str) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    for n in 0..IDLE_FILES {
        fs::write(dir.path().join(format!("{n}.log")), line(n))?;
    }
    let agent = start_agent(dir.path(), url, false)?;
    thread::sleep(Duration::from_secs(15));
    let before = cpu_ms(agent.id())?;
    thread::sleep(IDLE_FOR);
    let used = cpu_ms(agent.id())? - before;
    let descriptors = fs::read_dir(format!("/proc/{}/fd", agent.id()))?.count();
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim();
    let share = 100.0 * used as f64 / IDLE_FOR.as_millis() as f64;
    println!("{IDLE_FILES} idle files  {share:.2} % of a core, {descriptors} descriptors, peak {peak}");
    println!("                  {} lines shipped", stop(agent, "accepted")?);
    Ok(())
}

/// How many seconds it takes.
fn backlog(url: &str, files: usize, mb: usize) -> Outcome<f64> {
    let dir = tempfile::tempdir()?;
    for n in 0..files {
        let mut out = BufWriter::new(File::create(dir.path().join(format!("{n}.log")))?);
        let text = line(n);
        for _ in 0..mb * 1_000_000 / files / text.len() {
            out.write_all(text.as_bytes())?;
        }
        out.flush()?;
    }
    let start = Instant::now();
    let mut agent = start_agent(dir.path(), url, true)?;
    agent.wait()?;
    Ok(start.elapsed().as_secs_f64())
}

fn short_lives(url: &str) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let agent = start_agent(dir.path(), url, false)?;
    thread::sleep(Duration::from_secs(1));
    let text: String = (0..SHORT_BYTES / line(0).len()).map(line).collect();
    let log = dir.path().join("a.log");
    for _ in 0..SHORT_FILES {
        let start = Instant::now();
        fs::write(&log, &text)?;
        thread::sleep(SHORT_LIFE.saturating_sub(start.elapsed()));
        fs::remove_file(&log)?;
    }
    thread::sleep(Duration::from_secs(10));
    let written = SHORT_FILES * text.lines().count();
    let accepted = stop(agent, "accepted")?;
    println!("{SHORT_FILES} files of 100 ms at 50 MB/s  {accepted} of {written} lines shipped");
    Ok(())
}
