//! The `hive` command: takes its options from the command line, prints the receiver's URL on one line to
//! standard output once it listens, and stops on SIGINT or SIGTERM.
//!
//! That line is an interface: scripts start `hive --listen 127.0.0.1:0` and read where to send. It is the only
//! thing ever written there.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Parser;
use hive::{Hive, Options};
use tokio::signal::unix::{SignalKind, signal};

/// A local Honeycomb: receives event batches, shows them on a page, keeps the newest in memory.
#[derive(Parser)]
#[command(name = "hive")]
struct Arguments {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8088")]
    listen: SocketAddr,

    /// Count events and store none: for benchmarks
    #[arg(long)]
    sink: bool,

    /// Events kept in memory; the oldest are dropped beyond it
    #[arg(long, value_name = "N", default_value_t = Options::default().events_max)]
    events_max: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen, sink, events_max } = Arguments::parse();

    // Before the URL is printed: a script that has read it may send a signal at once.
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;

    let options = Options { listen, sink, events_max, ..Options::default() };
    let hive = Hive::start(options).await.with_context(|| format!("failed to listen on {listen}"))?;
    announce(&hive.url()).context("failed to print the URL")?;

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    hive.stop().await;
    Ok(())
}

fn announce(url: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{url}")?;
    stdout.flush()
}
