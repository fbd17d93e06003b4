//! `hivetail run`: the daemon, which goes on with another configuration when it is told to (SIGHUP).
//!
//! A new configuration is read while the old one runs. If it is sound and only sources differ, those are ended, or begun, and
//! the others go on undisturbed. If more differs, what runs is ended as at a stop, with everything delivered or in the
//! checkpoint, and begun anew in the same process; else nothing happens but a word on it.

use std::{path::Path, process::ExitCode};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{Kind, complain, job, load, verdict};
use crate::{
    config::{Config, SourceType},
    pipeline::{self, Content, Difference, Job},
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
    let hangup = signal(SignalKind::hangup())?;
    let kind = Kind { once, ..KIND };
    let Some(now) = job(config, kind)? else { return Ok(ExitCode::from(super::EX_CONFIG)) };
    source::file::raise_limit();
    let mut reloads = Reloads { path, kind, hangup, content: Content::of(&now), now };
    let (mut old, mut worst): (Option<Job>, ExitCode) = (None, ExitCode::SUCCESS);
    loop {
        let round = stop.child_token();
        let (changes, changed) = mpsc::channel(1);
        let next = {
            let mut running = std::pin::pin!(pipeline::run(reloads.now.clone(), round.clone(), changed));
            let next = tokio::select! {
                ended = &mut running => match (ended, old.take()) {
                    (Err(error), Some(old)) => {
                        let error = anyhow::Error::from(error);
                        tracing::error!("the new configuration can't be used: going back to the old one: {error:#}");
                        reloads.take(old);
                        continue;
                    }
                    (Err(error), None) => return super::cant_start(error),
                    (Ok(report), _) => {
                        let code = verdict(&report, stop.is_cancelled(), &reloads.now.config.state.dir);
                        return Ok(if worst == ExitCode::SUCCESS { code } else { worst });
                    }
                },
                next = reloads.next(&changes) => next,
            };
            tracing::info!(path = %path.display(), "the configuration has changed: going on with it");
            service::tell(service::State::Reloading);
            round.cancel();
            let code = match running.await {
                Ok(report) => verdict(&report, true, &reloads.now.config.state.dir),
                Err(error) => super::cant_start(error)?,
            };
            // What one round has lost, the next can't mend.
            worst = if worst == ExitCode::SUCCESS { code } else { worst };
            next
        };
        if stop.is_cancelled() {
            return Ok(worst);
        }
        old = Some(reloads.take(next));
    }
}

/// What runs, and what another configuration makes of it.
struct Reloads<'p> {
    path: &'p Path,
    kind: Kind,
    hangup: Signal,
    now: Job,
    content: Content,
}

impl Reloads<'_> {
    /// From here on another job runs; answers the one that did.
    fn take(&mut self, next: Job) -> Job {
        self.content = Content::of(&next);
        std::mem::replace(&mut self.now, next)
    }

    /// Waits until there is another configuration that can be used and for which all has to begin anew; those of which only
    /// sources differ go to `changes`.
    async fn next(&mut self, changes: &mpsc::Sender<Job>) -> Job {
        loop {
            if self.hangup.recv().await.is_none() {
                return std::future::pending().await;
            }
            let Some(next) = self.read() else { continue };
            let difference = self.content.compare(&Content::of(&next));
            if stdin_of(&self.now.config) != stdin_of(&next.config)
                || (difference == Difference::More && stdin_of(&next.config).is_some())
            {
                tracing::error!(
                    "standard input can't be begun anew: going on with the old configuration, a restart takes the new one"
                );
                continue;
            }
            match difference {
                Difference::None => tracing::info!("the configuration has not changed"),
                Difference::More => return next,
                Difference::Sources => {
                    tracing::info!(path = %self.path.display(), "the configuration has changed: going on with it");
                    service::tell(service::State::Reloading);
                    self.take(next.clone());
                    // Nobody takes it only when what runs comes to its end.
                    let _ = changes.send(next).await;
                }
            }
        }
    }

    /// The configuration as it is now; `None` if it can't be used, which has been said.
    fn read(&self) -> Option<Job> {
        let next = match load(self.path) {
            Ok(config) => job(config, self.kind),
            Err(error) => {
                tracing::error!(%error, "the new configuration can't be used: going on with the old one");
                return None;
            }
        };
        let Ok(Some(next)) = next else {
            tracing::error!("there is no API key with the new configuration: going on with the old one");
            return None;
        };
        match pipeline::rehearse(&next) {
            Ok(()) => Some(next),
            Err(error) => {
                tracing::error!(%error, "the new configuration can't be used: going on with the old one");
                None
            }
        }
    }
}

/// What it says of standard input, if that is read.
fn stdin_of(config: &Config) -> Option<String> {
    let mut sources = config.source.iter().map(toml::Spanned::get_ref);
    sources.find(|source| source.kind == SourceType::Stdin).map(|source| format!("{source:?}"))
}
