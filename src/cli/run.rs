//! `hivetail run`: the daemon, which goes on with another configuration when it is told to (SIGHUP).
//!
//! A new configuration is read while the old one runs. If it is sound and different, what runs is ended as at a stop, with
//! everything delivered or in the checkpoint, and begun anew in the same process; else nothing happens but a word on it.

use std::{path::Path, process::ExitCode};

use secrecy::ExposeSecret;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Kind, complain, job, load, run_job};
use crate::{
    config::{Config, SourceType},
    pipeline::{self, Job},
    service, shutdown,
};

const KIND: Kind = Kind { once: false, keeps_state: true, is_pipe: false };

/// Ships until a signal, or until all input has come to its end.
pub(super) async fn run(path: &Path, once: bool) -> anyhow::Result<ExitCode> {
    let config = match load(path) {
        Ok(config) => config,
        Err(error) => return complain(&error),
    };
    let endless = |source: SourceType| matches!(source, SourceType::Nats | SourceType::Journald);
    if once && config.source.iter().any(|source| endless(source.get_ref().kind)) {
        super::say("hivetail run --once: nats and journald sources have no end")?;
        return Ok(ExitCode::from(2));
    }
    let stop = CancellationToken::new();
    shutdown::listen(stop.clone())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let kind = Kind { once, ..KIND };
    let Some(mut now) = job(config, kind)? else { return Ok(ExitCode::from(super::EX_CONFIG)) };
    loop {
        let (round, before) = (stop.child_token(), Before::of(&now));
        let config = now.config.clone();
        let mut running = std::pin::pin!(run_job(now, &round));
        let next = tokio::select! {
            ended = &mut running => return ended,
            next = changed(path, &before, &config, kind, &mut hangup) => next,
        };
        tracing::info!(path = %path.display(), "the configuration has changed: going on with it");
        service::tell(service::State::Reloading);
        round.cancel();
        let code = running.await?;
        if stop.is_cancelled() {
            return Ok(code);
        }
        now = next;
    }
}

/// What another configuration is compared with.
struct Before {
    /// All values, in their order: there is nothing in a configuration that its own form does not tell.
    config: String,
    key: String,
}

impl Before {
    fn of(job: &Job) -> Self {
        Self { config: format!("{:?}", job.config), key: job.api_key.key.expose_secret().to_owned() }
    }
}

/// Waits until there is another configuration that can be used.
async fn changed(path: &Path, before: &Before, running: &Config, kind: Kind, hangup: &mut Signal) -> Job {
    loop {
        if hangup.recv().await.is_none() {
            return std::future::pending().await;
        }
        let reads_stdin =
            |config: &Config| config.source.iter().any(|source| source.get_ref().kind == SourceType::Stdin);
        let next = match load(path) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, "the new configuration can't be used: going on with the old one");
                continue;
            }
        };
        if reads_stdin(running) || reads_stdin(&next) {
            tracing::error!(
                "standard input can't be begun anew: going on with the old configuration, a restart takes the new one"
            );
            continue;
        }
        match job(next, kind) {
            Ok(Some(next)) => {
                if let Err(error) = pipeline::rehearse(&next) {
                    tracing::error!(%error, "the new configuration can't be used: going on with the old one");
                    continue;
                }
                let after = Before::of(&next);
                if (&after.config, &after.key) != (&before.config, &before.key) {
                    return next;
                }
                tracing::info!("the configuration has not changed");
            }
            Ok(None) | Err(_) => {
                tracing::error!("there is no API key with the new configuration: going on with the old one");
            }
        }
    }
}
