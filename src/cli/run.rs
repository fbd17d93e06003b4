//! `hivetail run`: the daemon, which goes on with another configuration when it is told to (SIGHUP).
//!
//! A new configuration is read while the old one runs. If it is sound and different, what runs is ended as at a stop, with
//! everything delivered or in the checkpoint, and begun anew in the same process; else nothing happens but a word on it.

use std::{fs, path::Path, process::ExitCode};

use secrecy::ExposeSecret;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Kind, complain, job, load, verdict};
use crate::{
    config::{Config, SourceType},
    pipeline::{self, Job},
    service, shutdown, source,
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
    source::file::raise_limit();
    let (mut old, mut worst): (Option<Job>, ExitCode) = (None, ExitCode::SUCCESS);
    loop {
        let round = stop.child_token();
        let next = {
            let mut running = std::pin::pin!(pipeline::run(now.clone(), round.clone()));
            let next = tokio::select! {
                ended = &mut running => match (ended, old.take()) {
                    (Err(error), Some(old)) => {
                        let error = anyhow::Error::from(error);
                        tracing::error!("the new configuration can't be used: going back to the old one: {error:#}");
                        now = old;
                        continue;
                    }
                    (Err(error), None) => return super::cant_start(error),
                    (Ok(report), _) => {
                        let code = verdict(&report, stop.is_cancelled(), &now.config.state.dir);
                        return Ok(if worst == ExitCode::SUCCESS { code } else { worst });
                    }
                },
                next = changed(path, &now, kind, &mut hangup) => next,
            };
            tracing::info!(path = %path.display(), "the configuration has changed: going on with it");
            service::tell(service::State::Reloading);
            round.cancel();
            let code = match running.await {
                Ok(report) => verdict(&report, true, &now.config.state.dir),
                Err(error) => super::cant_start(error)?,
            };
            // What one round has lost, the next can't mend.
            worst = if worst == ExitCode::SUCCESS { code } else { worst };
            next
        };
        if stop.is_cancelled() {
            return Ok(worst);
        }
        old = Some(std::mem::replace(&mut now, next));
    }
}

/// What another configuration is compared with: all values, in their order, the key, and what is in the files that are read
/// at a start only.
#[derive(PartialEq, Eq)]
struct Content {
    config: String,
    key: String,
    files: Vec<Option<Vec<u8>>>,
}

impl Content {
    fn of(job: &Job) -> Self {
        let config = &job.config;
        let sources = config.source.iter().map(toml::Spanned::get_ref).flat_map(|source| {
            [
                &source.password_file,
                &source.token_file,
                &source.creds_file,
                &source.nkey_file,
                &source.ca_file,
            ]
        });
        let files = std::iter::once(&config.deliver.ca_file).chain(sources).flatten();
        Self {
            config: format!("{config:?}"),
            key: job.api_key.key.expose_secret().to_owned(),
            files: files.map(|path| fs::read(path).ok()).collect(),
        }
    }
}

/// Waits until there is another configuration that can be used.
async fn changed(path: &Path, now: &Job, kind: Kind, hangup: &mut Signal) -> Job {
    let before = Content::of(now);
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
        if reads_stdin(&now.config) || reads_stdin(&next) {
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
                if Content::of(&next) != before {
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
