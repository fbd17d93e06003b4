//! The demo: real lines with fresh times and ids flow through the agent into a local Honeycomb, to be looked at.
//!
//! Takes the built `hivetail` and the sample logs beside this file; gives the URL of `hive`'s page, a line that
//! tells how things stand, and at the end (Ctrl-C, SIGTERM or `--seconds`) what became of the lines.
//!
//! Two agents run as they would in production: one follows two files, one is fed `fly logs` through its stdin.

#![forbid(unsafe_code)]

mod agent;
mod feeder;
mod fly;
mod replay;
mod status;
mod verdict;

use std::{
    future,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    process::ExitCode,
    time::Duration,
};

use agent::Agents;
use anyhow::Context;
use clap::Parser;
use feeder::Feeder;
use hive::{Hive, Options};
use status::Status;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use verdict::Verdict;

const PORT: u16 = 8088;
const FEED_INTERVAL: Duration = Duration::from_millis(50);
/// No event for this long, which is twice the age at which the agent seals a batch: all has come.
const QUIET: Duration = Duration::from_secs(2);
const QUIET_WITHIN: Duration = Duration::from_secs(10);

/// Replays an ingress log, a Phoenix log and `fly logs` through hivetail into a local Honeycomb.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Args {
    /// Stop after this many seconds, instead of at Ctrl-C.
    #[arg(long)]
    seconds: Option<u64>,
    /// Lines a second, all three logs together.
    #[arg(long, default_value = "40")]
    rate: NonZeroU32,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(verdict) if verdict.lost() == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            // If nobody listens, the exit code still tells.
            let _ = writeln!(io::stderr(), "\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<Verdict> {
    let stop = Stop::new(args.seconds)?;
    let hive = start_hive().await.context("hive can't be started")?;
    let dir = tempfile::tempdir().context("no temporary folder")?;
    let (mut agents, pipe) = Agents::start(dir.path(), &hive.url())?;
    let mut feeder = Feeder::new(dir.path(), pipe, args.rate)?;
    let mut status = Status::new(&hive.url())?;
    writeln!(io::stdout(), "hive: {}/  (Ctrl-C stops)", hive.url())?;

    replay(&mut feeder, &mut agents, &mut status, stop).await?;

    let written = feeder.end();
    quiet(&hive).await;
    let accounts = agents.stop().await?;
    status.show(written.all(), true).await?;
    let verdict = Verdict { written, accounts, received: hive.stats().events_accepted };
    writeln!(io::stdout(), "{verdict}")?;
    Ok(verdict)
}

/// On the port that people remember, or on a free one.
async fn start_hive() -> io::Result<Hive> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    match Hive::start(Options { listen, ..Options::default() }).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Hive::start(Options::default()).await,
        started => started,
    }
}

/// Feeds the agents until it is told to stop.
async fn replay(
    feeder: &mut Feeder,
    agents: &mut Agents,
    status: &mut Status,
    mut stop: Stop,
) -> anyhow::Result<()> {
    let mut feed = interval(FEED_INTERVAL);
    feed.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tell = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            // A feeder that is always behind its rate must not keep the others from their turn.
            biased;
            () = stop.asked() => return Ok(()),
            _ = tell.tick() => {
                agents.check()?;
                status.show(feeder.written().all(), false).await?;
            }
            _ = feed.tick() => if let Err(error) = feeder.feed().await {
                // An agent that has died says more than the broken pipe that it leaves.
                sleep(FEED_INTERVAL).await;
                agents.check()?;
                return Err(error).context("lines can't be written");
            },
        }
    }
}

/// Waits until the agents have delivered what was written.
async fn quiet(hive: &Hive) {
    let all_come = async {
        loop {
            let next = hive.stats().events_accepted + 1;
            if timeout(QUIET, hive.wait_for_events(next)).await.is_err() {
                return;
            }
        }
    };
    // In vain only if the agents are stuck, and then the verdict tells.
    let _ = timeout(QUIET_WITHIN, all_come).await;
}

/// Whatever may end the replay.
struct Stop {
    signals: [Signal; 3],
    at: Option<Instant>,
}

impl Stop {
    fn new(seconds: Option<u64>) -> io::Result<Self> {
        let [hangup, interrupt, terminate] =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        let at = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        Ok(Self { signals: [hangup?, interrupt?, terminate?], at })
    }

    async fn asked(&mut self) {
        let [hangup, interrupt, terminate] = &mut self.signals;
        let time_is_up = async {
            match self.at {
                Some(at) => sleep_until(at).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = time_is_up => {}
        }
    }
}
