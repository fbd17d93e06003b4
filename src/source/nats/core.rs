//! Core NATS: what is published at the moment. Nobody keeps it: what is lost on the way can only be counted.
//!
//! A task takes what comes from the connection at once, into a queue that is bounded in bytes; the source takes from there when
//! the budget lets it. What finds no room is lost and counted, in the queue or before it in the connection.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, Message, Statistics, Subscriber, connection::State};
use futures_util::{FutureExt, StreamExt, stream::SelectAll};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{Input, NatsSource, Settings, sleep_until};
use crate::telemetry::Metrics;

/// How many messages are taken in a row before their lines are passed.
const TAKEN_MAX: usize = 4_096;
/// What may wait in the queue, in bytes; each message counts for this more than its payload.
const QUEUE_BYTES_MAX: usize = 4 * 1_048_576;
const MESSAGE_BYTES: usize = 256;
/// When nothing has come for so long, what came and is not here is lost.
const QUIET: Duration = Duration::from_millis(200);

/// The other end of the queue.
struct Queue {
    messages: mpsc::Receiver<Message>,
    bytes: Arc<AtomicUsize>,
}

impl Queue {
    async fn next(&mut self) -> Option<Message> {
        let message = self.messages.recv().await;
        self.counted_out(message)
    }

    /// One that waits, if there is one.
    fn waiting(&mut self) -> Option<Message> {
        let message = self.messages.try_recv().ok();
        self.counted_out(message)
    }

    fn counted_out(&self, message: Option<Message>) -> Option<Message> {
        let bytes = message.as_ref().map_or(0, cost);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        message
    }
}

fn cost(message: &Message) -> usize {
    MESSAGE_BYTES + message.subject.len() + message.payload.len()
}

/// What fills the queue.
struct Intake {
    subscribers: SelectAll<Subscriber>,
    queue: mpsc::Sender<Message>,
    bytes: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    /// How many messages the connection has seen, and how many came here.
    statistics: Arc<Statistics>,
    came: u64,
    /// How many were lost before they came here, as far as that is counted.
    lost_before: u64,
}

impl Intake {
    /// Takes what comes until `stop`, then what has come already.
    async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                message = self.subscribers.next() => match message {
                    Some(message) => self.take(message),
                    None => break,
                },
                () = tokio::time::sleep(QUIET) => self.count_lost(),
            }
        }
        // What is in memory already; nobody else has it. Unconstrained, since tokio else says now and then that there is
        // nothing, to have others run.
        while let Some(Some(message)) = tokio::task::unconstrained(self.subscribers.next()).now_or_never() {
            self.take(message);
        }
        self.count_lost();
    }

    fn take(&mut self, message: Message) {
        self.came += 1;
        let bytes = cost(&message);
        let has_room = self.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes <= QUEUE_BYTES_MAX;
        if !has_room || self.queue.try_send(message).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.metrics.nats_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts what the connection has seen and had no room for.
    fn count_lost(&mut self) {
        let lost = self.statistics.in_messages.load(Ordering::Relaxed).saturating_sub(self.came);
        self.metrics.nats_lost.fetch_add(lost.saturating_sub(self.lost_before), Ordering::Relaxed);
        self.lost_before = self.lost_before.max(lost);
    }
}

impl NatsSource {
    /// Takes messages until `stop`, then what has come already.
    pub(super) async fn read_core(
        mut self,
        client: Client,
        stop: &CancellationToken,
        input: TaskTrackerToken,
    ) {
        let Some(subscribers) = self.settings.subscribe(&client, stop).await else { return };
        let (queue, messages) = mpsc::channel(QUEUE_BYTES_MAX / MESSAGE_BYTES);
        let bytes = Arc::new(AtomicUsize::new(0));
        let intake = Intake {
            subscribers,
            queue,
            bytes: Arc::clone(&bytes),
            metrics: Arc::clone(&self.metrics),
            statistics: client.statistics(),
            came: 0,
            lost_before: 0,
        };
        let intake = tokio::spawn(intake.run(stop.clone()));
        let mut queue = Queue { messages, bytes };
        let mut heard_at = Instant::now();
        loop {
            let (ends, silent_at) = (self.wait(), heard_at + self.settings.silence);
            let goes_on = tokio::select! {
                biased;
                message = queue.next() => {
                    self.wake();
                    heard_at = Instant::now();
                    match message {
                        Some(first) => self.take(first, &mut queue).await,
                        // The intake has ended, and with it the input.
                        None => break,
                    }
                }
                () = sleep_until(ends) => {
                    self.wake();
                    self.expire().await
                }
                () = sleep_until(Some(silent_at)) => {
                    heard_at = Instant::now();
                    self.settings.renew(&client, &self.metrics).await;
                    true
                }
            };
            if !goes_on {
                break;
            }
        }
        drop(input);
        intake.abort();
        for Input { live, .. } in self.inputs {
            live.end().await;
        }
    }

    /// Takes a message and those that wait behind it, and passes them; `false` when delivery has given up.
    async fn take(&mut self, first: Message, queue: &mut Queue) -> bool {
        let mut next = Some(first);
        for left in (0..TAKEN_MAX).rev() {
            let Some(message) = next else { break };
            if let Some(live) = self.input(&message.subject)
                && !(live.take(&message.payload).await && live.take(b"\n").await)
            {
                return false;
            }
            next = if left > 0 { queue.waiting() } else { None };
        }
        self.pass().await
    }
}

impl Settings {
    /// Subscribes to all subjects; `None` if it is told to stop meanwhile.
    async fn subscribe(&self, client: &Client, stop: &CancellationToken) -> Option<SelectAll<Subscriber>> {
        let mut all = SelectAll::new();
        let mut left: VecDeque<&String> = self.subjects.iter().collect();
        while let Some(subject) = left.pop_front() {
            let subscribed = match &self.queue_group {
                Some(group) => client.queue_subscribe(subject.clone(), group.clone()).left_future(),
                None => client.subscribe(subject.clone()).right_future(),
            };
            match subscribed.await {
                Ok(subscriber) => all.push(subscriber),
                Err(error) => {
                    tracing::error!(subject, %error, "can't subscribe, trying again");
                    left.push_back(subject);
                    tokio::select! {
                        () = stop.cancelled() => return None,
                        () = tokio::time::sleep(super::RECONNECT_MAX) => {}
                    }
                }
            }
        }
        Some(all)
    }

    /// A connection can fall silent without an end: it is made anew, and subscribes again by itself.
    async fn renew(&self, client: &Client, metrics: &Metrics) {
        if client.connection_state() != State::Connected {
            return;
        }
        metrics.nats_silences.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            seconds = self.silence.as_secs(),
            "no message for long: connecting to NATS anew, in case that it has forgotten us"
        );
        if let Err(error) = client.force_reconnect().await {
            tracing::error!(%error, "NATS can't be asked to connect again");
        }
    }
}
