//! `hivetail status`: how the running agent fares, asked at its socket.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;

use super::say;
use crate::{admin::socket_path, telemetry::Snapshot};

/// Between the two questions that rates are made of.
const RATE_INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
/// So many files are shown.
const STREAMS_SHOWN: usize = 20;

/// Asks, and prints a table, or the answer as it is.
pub(super) async fn run(state_dir: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let socket = socket_path(state_dir);
    let first = match ask(&socket).await {
        Ok(text) => text,
        Err(error) => {
            say(&format!(
                "hivetail: nobody answers at {}: {error:#}. Is the agent running, with this configuration and `[admin] socket`?",
                socket.display()
            ))?;
            return Ok(ExitCode::from(1));
        }
    };
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{first}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let before = read(&first)?;
    tokio::time::sleep(RATE_INTERVAL).await;
    let now = read(&ask(&socket).await?)?;
    write!(out, "{}", table(&before, &now)?)?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(socket: &Path) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().unix_socket(socket).no_proxy().timeout(TIMEOUT).build()?;
    let answer = client.get("http://agent/status").send().await.map_err(reqwest::Error::without_url)?;
    Ok(answer.error_for_status()?.text().await?)
}

fn read(text: &str) -> anyhow::Result<Snapshot> {
    serde_json::from_str(text).context("the agent is of another version: its answer is not understood")
}

/// How things stand, for people; rates are of the time between the two.
fn table(before: &Snapshot, now: &Snapshot) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let get = |name: &str| now.numbers.get(name).copied().unwrap_or(0);
    let lines = &now.lines;
    let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / RATE_INTERVAL.as_secs_f64();
    writeln!(out, "hivetail {}, up {}", now.version, time(get("uptime_seconds")))?;
    writeln!(
        out,
        "lines     {} read ({:.0}/s), {} accepted ({:.0}/s), {} filtered, {} sampled, {} joined, {} blank, {} open",
        lines.read,
        rate(lines.read, before.lines.read),
        lines.accepted,
        rate(lines.accepted, before.lines.accepted),
        lines.filtered,
        lines.sampled,
        lines.joined,
        lines.blank,
        lines.open,
    )?;
    let dropped = lines.refused + lines.spool_dropped + lines.shutdown;
    writeln!(
        out,
        "          {} in the spool since the start, {} dead letters, {dropped} dropped, {} unparsed",
        lines.spooled,
        lines.dead_lettered,
        get("lines_unparsed"),
    )?;
    let gate = if get("gate_closed") == 1 { "closed, one request at a time tries" } else { "open" };
    writeln!(
        out,
        "delivery  gate {gate}; {} of {} requests under way, {} batches waiting, {} datasets held",
        get("requests_in_flight"),
        get("requests_limit"),
        get("batches_waiting"),
        get("datasets_held"),
    )?;
    let retried: u64 = now.retried.values().sum();
    let causes: Vec<String> = now.retried.iter().map(|(cause, count)| format!("{cause}: {count}")).collect();
    let causes = if causes.is_empty() { String::new() } else { format!(" ({})", causes.join(", ")) };
    writeln!(
        out,
        "          {} sent in {} requests, {retried} events sent again{causes}",
        bytes(get("sent_bytes")),
        get("requests")
    )?;
    if let Some(trouble) = &now.trouble {
        let stuck = now.stuck_s.map_or(String::new(), |seconds| format!(" for {}", time(seconds)));
        writeln!(out, "          nothing taken{stuck}: {trouble}")?;
    }
    writeln!(out, "memory    {} of {} in use", bytes(get("budget_used_bytes")), bytes(get("budget_bytes")))?;
    let spool = match get("spool_bytes") {
        0 => "empty".to_owned(),
        size => format!("{}, the oldest batch is {} old", bytes(size), time(get("spool_age_seconds"))),
    };
    writeln!(out, "spool     {spool}")?;
    writeln!(out, "files     {} followed, {} to go", get("streams"), bytes(get("lag_bytes")))?;
    write_rules(&mut out, &now.rules)?;
    write_streams(&mut out, now)?;
    Ok(out)
}

/// How many events each rule was for, by what became of them; nothing if there are no rules.
fn write_rules(out: &mut String, rules: &BTreeMap<String, BTreeMap<String, u64>>) -> std::fmt::Result {
    if !rules.is_empty() {
        writeln!(out, "\n{:>10} {:>10} {:>10}  rule", "kept", "filtered", "sampled")?;
    }
    for (rule, outcomes) in rules {
        let [kept, filtered, sampled] =
            ["kept", "filtered", "sampled"].map(|outcome| outcomes.get(outcome).copied().unwrap_or(0));
        writeln!(out, "{kept:>10} {filtered:>10} {sampled:>10}  {rule}")?;
    }
    Ok(())
}

/// The files that are behind most.
fn write_streams(out: &mut String, now: &Snapshot) -> std::fmt::Result {
    if !now.streams.is_empty() {
        writeln!(out, "\n{:>10} {:>8} {:>10}  file", "to go", "waiting", "done")?;
    }
    for stream in now.streams.iter().take(STREAMS_SHOWN) {
        let (lag, done, path) = (bytes(stream.lag_bytes), bytes(stream.done_bytes), stream.path.display());
        writeln!(out, "{lag:>10} {:>8} {done:>10}  {path}", time(stream.lag_s))?;
    }
    let followed = now.numbers.get("streams").copied().unwrap_or(0);
    if followed > STREAMS_SHOWN as u64 {
        writeln!(out, "and {} more", followed - STREAMS_SHOWN as u64)?;
    }
    Ok(())
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if count < 1_000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1_000.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for next in units {
        if value < 999.95 {
            break;
        }
        (value, unit) = (value / 1_000.0, next);
    }
    format!("{value:.1} {unit}")
}

fn time(seconds: u64) -> String {
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=86_399 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_short() {
        let sizes = [0, 999, 1_000, 999_949, 999_950, 5_000_000, u64::MAX].map(bytes);
        assert_eq!(sizes, ["0 B", "999 B", "1.0 KB", "999.9 KB", "1.0 MB", "5.0 MB", "18446.7 PB"]);
        let times = [0, 59, 60, 3_599, 3_600, 90_000].map(time);
        assert_eq!(times, ["0 s", "59 s", "1 min", "59 min", "1 h 0 min", "1 d 1 h"]);
    }
}
