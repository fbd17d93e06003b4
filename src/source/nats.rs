//! NATS: the messages of some subjects, each a record. Fly's log stream is the one that is meant.
//!
//! Takes what the server sends, passes it on by app: each route of the source has a stream of its own. What is published at
//! the moment (core NATS) can't be asked for again: what finds no room here is lost, and counted. A stream that the server
//! keeps (`jetstream`) is read with acknowledgements.
//!
//! Invariant: memory is bounded by the byte budget and the queues' own bounds; the connection is never given up.

mod acks;
mod core;
mod jetstream;
pub mod login;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, ConnectErrorKind, Event};
use tokio::{sync::Notify, time::Instant};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use self::login::Login;
use super::{Left, live::Live};
use crate::{
    checkpoint::Register,
    config::{JetStream, Pick, Ranged, Source},
    telemetry::Metrics,
};

/// Messages that wait in the connection for a moment; more are lost.
const QUEUED_MAX: usize = 2_048;
/// Between two attempts to connect, from the first to the longest.
const RECONNECT_MIN: Duration = Duration::from_millis(100);
const RECONNECT_MAX: Duration = Duration::from_secs(10);
/// How often the server is asked whether it is there; two answers that do not come end the connection.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// What a source has to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server is.
    pub url: String,
    /// Which subjects.
    pub subjects: Vec<String>,
    /// The group that shares the messages.
    pub queue_group: Option<String>,
    /// The stream to read instead.
    pub jetstream: Option<JetStream>,
    /// Without any message for so long, the connection is made anew.
    pub silence: Duration,
    /// Certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Who the agent is.
    pub login: Login,
    /// Messages without an acknowledgement, more than open joins can hold.
    pub acks_pending_max: usize,
}

impl Settings {
    /// Of a source; `join_bytes_max` are the open joins' of all its routes.
    #[must_use]
    pub fn new(source: &Source, login: Login, join_bytes_max: usize) -> Self {
        /// A line that a join holds takes more than this.
        const HELD_BYTES_MIN: usize = 64;
        const SILENCE_S: usize = 300;
        let silence_s = source.silence_timeout_s.map_or(SILENCE_S, Ranged::get);
        Self {
            url: source.url.as_ref().map_or(String::new(), |url| url.0.to_string()),
            subjects: source.subjects.iter().map(|subject| subject.0.clone()).collect(),
            queue_group: source.queue_group.clone(),
            jetstream: source.jetstream.clone(),
            silence: Duration::from_secs(silence_s as u64),
            ca_file: source.ca_file.clone(),
            login,
            acks_pending_max: join_bytes_max / HELD_BYTES_MIN + jetstream::BATCH_MAX * 4,
        }
    }
}

impl Settings {
    /// Connects, and stays connected. An address that is not there is tried for as long as it takes.
    async fn connect(&self, metrics: &Arc<Metrics>, reconnected: &Arc<Notify>) -> Client {
        loop {
            match self.try_to_connect(Arc::clone(metrics), Arc::clone(reconnected)).await {
                Ok(client) => return client,
                Err(error) => {
                    tracing::error!(url = self.url, %error, "NATS can't be used, trying again");
                }
            }
            tokio::time::sleep(RECONNECT_MAX).await;
        }
    }

    async fn try_to_connect(
        &self,
        metrics: Arc<Metrics>,
        reconnected: Arc<Notify>,
    ) -> Result<Client, async_nats::ConnectError> {
        let options = self.login.options();
        let mut options = options.map_err(|error| {
            async_nats::error::Error::with_source(ConnectErrorKind::Authentication, error)
        })?;
        if let Some(ca_file) = &self.ca_file {
            options = options.add_root_certificates(ca_file.clone());
        }
        let connection = Connection {
            url: self.url.clone(),
            metrics,
            reconnected,
            is_slow: false.into(),
            is_up: false.into(),
        };
        options
            .name("hivetail")
            .retry_on_initial_connect()
            .require_tls(self.url.starts_with("tls:"))
            .subscription_capacity(QUEUED_MAX)
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(|attempts| {
                let doubled = RECONNECT_MIN * 2_u32.pow(u32::try_from(attempts).unwrap_or(u32::MAX).min(10));
                doubled.min(RECONNECT_MAX).mul_f64(fastrand::f64().mul_add(0.5, 0.5))
            })
            .event_callback(move |event| {
                connection.tell(&event);
                std::future::ready(())
            })
            .connect(&self.url)
            .await
    }
}

/// The messages of some apps.
#[derive(Debug)]
pub struct Input {
    /// Their stream.
    pub live: Live,
    /// Which apps.
    pub pick: Pick,
}

/// A nats source.
#[derive(Debug)]
pub struct NatsSource {
    /// What it has to know.
    pub settings: Settings,
    /// One for each route, and one for all others.
    pub inputs: Vec<Input>,
    /// Is told what can't be read again.
    pub register: Arc<Register>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Hears when the connection is there, and there again.
    pub reconnected: Arc<Notify>,
}

impl NatsSource {
    /// Reads until `stop`. `input` is dropped when nothing more is read.
    pub async fn run(
        mut self,
        stop: CancellationToken,
        give_up: CancellationToken,
        input: TaskTrackerToken,
    ) -> Left {
        for Input { live, .. } in &mut self.inputs {
            live.open();
            if self.settings.jetstream.is_none() {
                self.register.gone(live.facts.stream);
            }
        }
        let connected = tokio::select! {
            client = self.settings.connect(&self.metrics, &self.reconnected) => Some(client),
            () = stop.cancelled() => None,
        };
        let Some(client) = connected else { return Left::default() };
        match self.settings.jetstream.clone() {
            None => {
                self.read_core(client, &stop, input).await;
                Left::default()
            }
            Some(stream) => self.read_stream(client, &stream, &stop, &give_up, input).await,
        }
    }

    /// The input that a subject's messages are for.
    fn input(&mut self, subject: &str) -> Option<&mut Live> {
        let app = app(subject);
        self.inputs.iter_mut().find(|input| input.pick.picks_app(app)).map(|input| &mut input.live)
    }

    /// Nothing is to be read at the moment; answers when a join may have waited long enough.
    fn wait(&mut self) -> Option<Instant> {
        self.inputs.iter_mut().filter_map(|input| input.live.wait()).min()
    }

    fn wake(&mut self) {
        self.inputs.iter_mut().for_each(|input| input.live.wake());
    }

    /// Ends joins; `false` when delivery has given up.
    async fn expire(&mut self) -> bool {
        for input in &mut self.inputs {
            if !input.live.expire().await {
                return false;
            }
        }
        true
    }

    /// Passes what has come, which ends with a message; `false` when delivery has given up.
    async fn pass(&mut self) -> bool {
        for input in &mut self.inputs {
            if !(input.live.pass().await && input.live.end_record().await) {
                return false;
            }
        }
        true
    }
}

/// Which app a subject is of: `logs.<app>.<region>.<machine>`.
fn app(subject: &str) -> &str {
    let mut parts = subject.split('.');
    if parts.next() == Some("logs") { parts.next().unwrap_or_default() } else { "" }
}

/// Sleeps until then; for ever if there is no such time.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What a connection goes through is said and counted; one that ends is up no more.
struct Connection {
    url: String,
    metrics: Arc<Metrics>,
    reconnected: Arc<Notify>,
    is_slow: AtomicBool,
    is_up: AtomicBool,
}

impl Connection {
    fn set_up(&self, is_up: bool) {
        match (self.is_up.swap(is_up, Ordering::Relaxed), is_up) {
            (false, true) => self.metrics.nats_connected.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.metrics.nats_connected.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    fn tell(&self, event: &Event) {
        let url = &self.url;
        match event {
            Event::Connected => {
                self.set_up(true);
                self.reconnected.notify_one();
                tracing::info!(url, "connected to NATS");
            }
            Event::Disconnected => {
                self.set_up(false);
                tracing::warn!(url, "NATS is gone: connecting again");
            }
            Event::SlowConsumer(_) => {
                if !self.is_slow.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        url,
                        "messages come faster than they can be taken: some are lost, and counted (nats_lost)"
                    );
                }
            }
            Event::ServerError(error) => tracing::error!(url, %error, "NATS complains"),
            Event::ClientError(error) => tracing::warn!(url, %error, "NATS can't be reached, trying again"),
            Event::LameDuckMode | Event::Draining | Event::Closed => tracing::info!(url, %event, "NATS"),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.set_up(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_tells_its_app() {
        assert_eq!(app("logs.my-app.sjc.0e286551c30586"), "my-app");
        assert_eq!((app("logs.a"), app("logs"), app("other.a.b.c"), app("")), ("a", "", "", ""));
    }
}
