//! `JetStream`: a stream that the server keeps, read by one durable consumer.
//!
//! A message is acknowledged when all its lines have their outcome; until then the server is told, now and then, that it is
//! being worked on. What is not acknowledged when the agent ends comes again, maybe behind newer messages.

use std::time::Duration;

use async_nats::{
    Client, Subject,
    jetstream::{
        self, AckKind, Message,
        consumer::{AckPolicy, pull},
    },
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{Input, NatsSource, Settings, acks::Acks, sleep_until};
use crate::{
    ack::{Mark, SharedLedger, StreamId},
    config::JetStream,
};

/// Messages asked for at once.
pub(super) const BATCH_MAX: usize = 1_000;
/// For how long the server collects them, if there are fewer.
const BATCH_EXPIRES: Duration = Duration::from_secs(20);
/// What the server waits for an acknowledgement before it sends a message again, and how often it is told to go on waiting.
const ACK_WAIT: Duration = Duration::from_secs(20);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(6);
/// How often it is asked what has its outcome.
const ACK_INTERVAL: Duration = Duration::from_millis(100);
/// After an error.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// The messages that wait for their outcome, and the clocks by which they are asked for.
struct Waiting {
    client: Client,
    streams: Vec<(StreamId, Acks)>,
    ack: Interval,
    progress: Interval,
}

impl Waiting {
    fn new(client: Client, inputs: &[Input]) -> Self {
        let every = |period| {
            let mut interval = interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let streams = inputs.iter().map(|input| (input.live.facts.stream, Acks::default())).collect();
        Self { client, streams, ack: every(ACK_INTERVAL), progress: every(PROGRESS_INTERVAL) }
    }

    /// Waits until there is something to do for them, and does it.
    async fn tend(&mut self, ledger: &SharedLedger) {
        tokio::select! {
            _ = self.ack.tick() => self.acknowledge(ledger).await,
            _ = self.progress.tick() => {
                let pending: Vec<Subject> = self.streams.iter().flat_map(|(_, acks)| acks.pending().cloned()).collect();
                self.answer(pending, AckKind::Progress).await;
            }
        }
    }

    /// Waits a while, not idly.
    async fn rest(&mut self, ledger: &SharedLedger, stop: &CancellationToken) {
        let until = tokio::time::Instant::now() + RETRY_INTERVAL;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep_until(Some(until)) => return,
                () = self.tend(ledger) => {}
            }
        }
    }

    async fn acknowledge(&mut self, ledger: &SharedLedger) {
        let mut decided = Vec::new();
        for (stream, acks) in &mut self.streams {
            // A stream is gone when it is closed and all of it decided.
            let mark = ledger.read(|ledger| ledger.mark(*stream));
            let mark = mark.unwrap_or(Mark { resume: u64::MAX, ..Mark::default() });
            decided.extend(acks.decided(&mark));
        }
        self.answer(decided, AckKind::Ack).await;
    }

    /// Answers messages. An answer that is lost makes one come again.
    async fn answer(&self, replies: Vec<Subject>, kind: AckKind) {
        let text: Bytes = kind.into();
        for reply in replies {
            if let Err(error) = self.client.publish(reply, text.clone()).await {
                tracing::warn!(%error, "a message can't be acknowledged: it will come again");
                return;
            }
        }
    }

    /// Whether all that was read has its outcome, but for what joins hold.
    fn is_done(&self) -> bool {
        self.streams.iter().all(|(_, acks)| acks.is_read())
    }
}

impl NatsSource {
    /// Takes messages until `stop`, then waits for the outcome of those that were taken.
    pub(super) async fn read_stream(
        mut self,
        client: Client,
        names: &JetStream,
        stop: &CancellationToken,
        give_up: &CancellationToken,
        input: TaskTrackerToken,
    ) {
        let mut waiting = Waiting::new(client.clone(), &self.inputs);
        let ledger = self.inputs.first().map(|input| std::sync::Arc::clone(&input.live.feed.ledger));
        let Some(ledger) = ledger else { return };
        let context = jetstream::new(client.clone());
        let mut goes_on = true;
        while goes_on && !stop.is_cancelled() {
            let consumer = tokio::select! {
                () = stop.cancelled() => break,
                consumer = self.settings.consumer(&context, names) => consumer,
            };
            goes_on = match consumer {
                Ok(consumer) => self.read_consumer(&consumer, &mut waiting, &ledger, stop).await,
                Err(error) => {
                    tracing::error!(stream = names.stream, durable = names.durable, %error, "can't be read, trying again");
                    waiting.rest(&ledger, stop).await;
                    true
                }
            };
        }
        drop(input);
        // The batcher ends when it is sure that nothing more comes. Joins are not ended: their lines come again.
        drop(self.inputs);
        waiting.acknowledge(&ledger).await;
        while !waiting.is_done() && !give_up.is_cancelled() {
            tokio::select! {
                () = give_up.cancelled() => {}
                () = waiting.tend(&ledger) => {}
            }
        }
        waiting.acknowledge(&ledger).await;
        if let Err(error) = client.flush().await {
            tracing::warn!(%error, "the last acknowledgements may be lost: their messages will come again");
        }
    }

    /// Reads until `stop` or until something is wrong with the consumer; `false` when delivery has given up.
    async fn read_consumer(
        &mut self,
        consumer: &jetstream::consumer::Consumer<pull::Config>,
        waiting: &mut Waiting,
        ledger: &SharedLedger,
        stop: &CancellationToken,
    ) -> bool {
        loop {
            let batch = consumer.batch().max_messages(BATCH_MAX).expires(BATCH_EXPIRES).messages().await;
            let mut messages = match batch {
                Ok(messages) => messages,
                Err(error) => {
                    tracing::warn!(%error, "no messages can be asked for, trying again");
                    waiting.rest(ledger, stop).await;
                    return true;
                }
            };
            loop {
                let ends = self.wait();
                let goes_on = tokio::select! {
                    biased;
                    () = stop.cancelled() => return true,
                    () = waiting.tend(ledger) => true,
                    message = messages.next() => {
                        self.wake();
                        let mut next = match message {
                            None => break,
                            Some(Ok(message)) => Some(message),
                            Some(Err(error)) => {
                                tracing::warn!(%error, "the consumer is gone: making it anew");
                                waiting.rest(ledger, stop).await;
                    return true;
                            }
                        };
                        let mut goes_on = true;
                        while let Some(message) = next.filter(|_| goes_on) {
                            goes_on = self.take_kept(message, waiting).await;
                            let waiting = tokio::task::unconstrained(messages.next()).now_or_never();
                            next = waiting.flatten().and_then(Result::ok);
                        }
                        goes_on && self.pass().await
                    }
                    () = sleep_until(ends) => {
                        self.wake();
                        self.expire().await
                    }
                };
                if !goes_on {
                    return false;
                }
            }
        }
    }

    /// Takes a message; `false` when delivery has given up.
    async fn take_kept(&mut self, message: Message, waiting: &mut Waiting) -> bool {
        let message = message.message;
        let reply = message.reply.clone();
        let app = super::app(&message.subject);
        let found = self.inputs.iter_mut().enumerate().find(|(_, input)| input.pick.picks_app(app));
        let Some((index, Input { live, .. })) = found else {
            // Nobody wants it.
            waiting.answer(reply.into_iter().collect(), AckKind::Ack).await;
            return true;
        };
        let taken = live.take(&message.payload).await && live.take(b"\n").await;
        if let Some(reply) = reply {
            waiting.streams[index].1.push(live.buffer.read_position(), reply);
        }
        taken
    }
}

impl Settings {
    /// The durable consumer, made if it is not there.
    async fn consumer(
        &self,
        context: &jetstream::Context,
        names: &JetStream,
    ) -> Result<jetstream::consumer::Consumer<pull::Config>, async_nats::Error> {
        let stream = context.get_stream(&names.stream).await?;
        let mut config = pull::Config {
            durable_name: Some(names.durable.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: i64::try_from(self.acks_pending_max).unwrap_or(i64::MAX),
            ..pull::Config::default()
        };
        match &self.subjects[..] {
            [one] => config.filter_subject.clone_from(one),
            many => config.filter_subjects = many.to_vec(),
        }
        Ok(stream.create_consumer(config).await?)
    }
}
