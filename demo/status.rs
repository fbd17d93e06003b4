//! The status line: lines written, events received by dataset, requests.
//!
//! Takes the number of lines, asks `hive` over HTTP for the rest as anyone could, and writes to stdout: over
//! itself each second on a terminal, a new line every few seconds elsewhere.

use std::io::{self, IsTerminal, Write};

use serde::{Deserialize, de::DeserializeOwned};

/// Elsewhere than on a terminal, one call of so many is shown.
const SHOWN_INTERVAL: u64 = 5;

/// Shows how things stand.
#[derive(Debug)]
pub(crate) struct Status {
    http: reqwest::Client,
    url: String,
    terminal: bool,
    calls: u64,
}

#[derive(Debug, Deserialize)]
struct Listing {
    datasets: Vec<Dataset>,
}

#[derive(Debug, Deserialize)]
struct Dataset {
    name: String,
    events: u64,
}

#[derive(Debug, Deserialize)]
struct Stats {
    requests: u64,
}

impl Status {
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, url: url.to_owned(), terminal: io::stdout().is_terminal(), calls: 0 })
    }

    /// To be called once a second; the last call ends the line.
    pub(crate) async fn show(&mut self, lines: u64, last: bool) -> anyhow::Result<()> {
        self.calls += 1;
        if !(self.terminal || last || self.calls.is_multiple_of(SHOWN_INTERVAL)) {
            return Ok(());
        }
        let listing: Listing = self.get("/events?limit=0").await?;
        let stats: Stats = self.get("/stats").await?;
        let events: Vec<_> =
            listing.datasets.iter().map(|Dataset { name, events }| format!("{name} {events}")).collect();
        let events = if events.is_empty() { "no".to_owned() } else { events.join(", ") };
        let text = format!("{lines} lines → {events} events, {} requests", stats.requests);
        let mut out = io::stdout();
        match (self.terminal, last) {
            (true, false) => write!(out, "\r{text}\x1b[K")?,
            (true, true) => writeln!(out, "\r{text}\x1b[K")?,
            (false, _) => writeln!(out, "{text}")?,
        }
        Ok(out.flush()?)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }
}
