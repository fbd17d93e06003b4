//! `JetStream`: a stream that the server keeps, read by one durable consumer.
//!
//! A message is acknowledged when all its lines have their outcome; until then the server is told, now and then, that it is
//! being worked on. What is not acknowledged when the agent ends comes again, maybe behind newer messages. A consumer that the
//! server has lost is made anew where its acknowledgements ended.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, Subject,
    datetime::DateTime,
    jetstream::{
        self, AckKind, Message,
        consumer::{AckPolicy, Consumer, DeliverPolicy, pull},
        context::ConsumerInfoErrorKind,
    },
};
use futures_util::{FutureExt, StreamExt};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{Input, Left, NatsSource, Settings, acks::Acks, sleep_until};
use crate::{
    ack::{Mark, SharedLedger, StreamId},
    config::JetStream,
};

/// Messages asked for at once.
pub(super) const BATCH_MAX: usize = 1_000;
/// Bytes asked for at once, if no message may be larger.
const BATCH_BYTES: usize = 1_048_576;
/// What a message has beside its payload.
const MESSAGE_BYTES_EXTRA: usize = 65_536;
/// For how long the server collects them, if there are fewer.
const BATCH_EXPIRES: Duration = Duration::from_secs(5);
/// For the last answers.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// What the server waits for an acknowledgement before it sends a message again, and how often it is told to go on waiting.
const ACK_WAIT: Duration = Duration::from_secs(20);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(6);
/// How often it is asked what has its outcome.
const ACK_INTERVAL: Duration = Duration::from_millis(100);
/// After an error.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// How often it is asked how far the acknowledgements go.
const FLOOR_INTERVAL: Duration = Duration::from_secs(5);

/// How far the acknowledgements of a consumer go without a gap, when it was last asked.
#[derive(Clone, Copy, Debug)]
struct Floor {
    sequence: u64,
    /// When the stream was made: another one of its name begins to count anew.
    of: DateTime,
}

/// A message that was taken: of which input, where its bytes end in that one's stream, and where its answer goes.
type Taken = (usize, u64, Subject);

/// Answers for messages, in a task of its own: while the source waits for the budget, the server hears that they are being
/// worked on.
struct Answering {
    client: Client,
    ledger: Arc<SharedLedger>,
    streams: Vec<(StreamId, Acks)>,
}

impl Answering {
    fn new(client: Client, ledger: Arc<SharedLedger>, inputs: &[Input]) -> Self {
        let streams = inputs.iter().map(|input| (input.live.facts.stream, Acks::default())).collect();
        Self { client, ledger, streams }
    }

    /// Answers until no more messages are taken and those that were have their outcome, or `give_up`.
    async fn run(mut self, mut taken: mpsc::Receiver<Taken>, give_up: CancellationToken) {
        let every = |period| {
            let mut interval = interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let (mut ack, mut progress) = (every(ACK_INTERVAL), every(PROGRESS_INTERVAL));
        let mut more = true;
        while more || !self.is_done() {
            tokio::select! {
                biased;
                () = give_up.cancelled() => break,
                _ = progress.tick() => self.tell_progress().await,
                _ = ack.tick() => self.acknowledge().await,
                message = taken.recv(), if more => match message {
                    Some((input, end, reply)) => self.streams[input].1.push(end, reply),
                    None => {
                        more = false;
                        self.acknowledge().await;
                    }
                },
            }
        }
        self.acknowledge().await;
        // A server that is not there is not waited for.
        match tokio::time::timeout(FLUSH_TIMEOUT, self.client.flush()).await {
            Ok(Ok(())) => {}
            _ => tracing::warn!("the last acknowledgements may be lost: their messages will come again"),
        }
    }

    async fn tell_progress(&self) {
        for reply in self.streams.iter().flat_map(|(_, acks)| acks.pending()) {
            if !self.answer(reply.clone(), AckKind::Progress).await {
                return;
            }
        }
    }

    async fn acknowledge(&mut self) {
        let mut decided = Vec::new();
        for (stream, acks) in &mut self.streams {
            // A stream is gone when it is closed and all of it decided.
            let mark = self.ledger.read(|ledger| ledger.mark(*stream));
            let mark = mark.unwrap_or(Mark { resume: u64::MAX, ..Mark::default() });
            decided.extend(acks.decided(&mark));
        }
        for reply in decided {
            self.answer(reply, AckKind::Ack).await;
        }
    }

    /// Answers one message; an answer that is lost makes it come again.
    async fn answer(&self, reply: Subject, kind: AckKind) -> bool {
        let answered = self.client.publish(reply, kind.into()).await;
        if let Err(error) = &answered {
            tracing::warn!(%error, "a message can't be acknowledged: it will come again");
        }
        answered.is_ok()
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
    ) -> Left {
        let Some(first) = self.inputs.first() else { return Left::default() };
        let ledger = Arc::clone(&first.live.feed.ledger);
        let answering = Answering::new(client.clone(), ledger, &self.inputs);
        let (taken, messages) = mpsc::channel(BATCH_MAX);
        let answering = tokio::spawn(answering.run(messages, give_up.clone()));
        let context = jetstream::new(client.clone());
        let (mut goes_on, mut floor) = (true, None);
        while goes_on && !stop.is_cancelled() {
            let consumer = tokio::select! {
                () = stop.cancelled() => break,
                consumer = self.settings.consumer(&context, names, &mut floor) => consumer,
            };
            goes_on = match consumer {
                Ok(consumer) => self.read_consumer(&client, &consumer, &taken, &mut floor, stop).await,
                Err(error) => {
                    tracing::error!(stream = names.stream, durable = names.durable, %error, "can't be read, trying again");
                    true
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(RETRY_INTERVAL), if goes_on => {}
                () = std::future::ready(()), if !goes_on => {}
            }
        }
        drop(input);
        // Joins are not ended: their lines come again.
        let mut left = Left::default();
        for Input { live, .. } in &mut self.inputs {
            let Left { streams, held, .. } = Left::of(&mut live.feed.pass, [live.facts.stream]);
            left.streams.extend(streams);
            left.held.extend(held);
        }
        // The batcher ends when it is sure that nothing more comes.
        drop((self.inputs, taken));
        if let Err(error) = answering.await {
            tracing::error!(%error, "acknowledgements have failed: messages will come again");
        }
        left
    }

    /// Reads until `stop` or until something is wrong with the consumer; `false` when delivery has given up.
    async fn read_consumer(
        &mut self,
        client: &Client,
        consumer: &Consumer<pull::Config>,
        taken: &mpsc::Sender<Taken>,
        floor: &mut Option<Floor>,
        stop: &CancellationToken,
    ) -> bool {
        // A message that is larger than what is asked for is never sent.
        let batch_bytes = BATCH_BYTES.max(client.server_info().max_payload + MESSAGE_BYTES_EXTRA);
        let mut asked_at = Instant::now();
        loop {
            if asked_at.elapsed() >= FLOOR_INTERVAL
                && let (Some(floor), Ok(info)) = (&mut *floor, consumer.get_info().await)
            {
                (floor.sequence, asked_at) = (info.ack_floor.stream_sequence, Instant::now());
            }
            let batch =
                consumer.batch().max_messages(BATCH_MAX).max_bytes(batch_bytes).expires(BATCH_EXPIRES);
            let mut messages = match batch.messages().await {
                Ok(messages) => messages,
                Err(error) => {
                    tracing::warn!(%error, "no messages can be asked for, trying again");
                    return true;
                }
            };
            loop {
                let ends = self.wait();
                let next = tokio::select! {
                    biased;
                    () = stop.cancelled() => return true,
                    message = messages.next() => message,
                    // What was asked for over a connection that is gone does not come.
                    () = self.reconnected.notified() => break,
                    () = sleep_until(ends) => {
                        self.wake();
                        if !self.expire().await {
                            return false;
                        }
                        continue;
                    }
                };
                self.wake();
                let mut next = match next {
                    None => break,
                    Some(Ok(message)) => Some(message),
                    Some(Err(error)) => {
                        tracing::warn!(%error, "the consumer is gone: making it anew");
                        return true;
                    }
                };
                while let Some(message) = next {
                    if !self.take_kept(client, message, taken).await {
                        return false;
                    }
                    let waiting = tokio::task::unconstrained(messages.next()).now_or_never();
                    next = waiting.flatten().and_then(Result::ok);
                }
                if !self.pass().await {
                    return false;
                }
            }
        }
    }

    /// Takes a message; `false` when delivery has given up.
    async fn take_kept(&mut self, client: &Client, message: Message, taken: &mpsc::Sender<Taken>) -> bool {
        let message = message.message;
        let Some(reply) = message.reply.clone() else { return true };
        let app = super::app(&message.subject);
        let found = self.inputs.iter_mut().enumerate().find(|(_, input)| input.pick.picks_app(app));
        let Some((index, Input { live, .. })) = found else {
            // Nobody wants it. An answer that is lost makes it come again.
            let _ = client.publish(reply, AckKind::Ack.into()).await;
            return true;
        };
        let goes_on = live.take(&message.payload).await && live.take(b"\n").await;
        let end = live.buffer.read_position();
        // The other end goes when this one does.
        let _ = taken.send((index, end, reply)).await;
        goes_on
    }
}

impl Settings {
    /// The durable consumer, made if it is not there.
    async fn consumer(
        &self,
        context: &jetstream::Context,
        names: &JetStream,
        floor: &mut Option<Floor>,
    ) -> Result<Consumer<pull::Config>, async_nats::Error> {
        let stream = context.get_stream(&names.stream).await?;
        let made_at = stream.cached_info().created;
        let known = match stream.consumer_info(&names.durable).await {
            Ok(info) => Some(info),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let before = floor.filter(|floor| floor.of == made_at).map(|floor| floor.sequence);
        let deliver_policy = match (&known, before) {
            // It can't be changed.
            (Some(known), _) => known.config.deliver_policy,
            (None, Some(before)) => DeliverPolicy::ByStartSequence { start_sequence: before + 1 },
            (None, None) => DeliverPolicy::All,
        };
        let mut config = pull::Config {
            durable_name: Some(names.durable.clone()),
            deliver_policy,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: i64::try_from(self.acks_pending_max).unwrap_or(i64::MAX),
            ..pull::Config::default()
        };
        match &self.subjects[..] {
            [one] => config.filter_subject.clone_from(one),
            many => config.filter_subjects = many.to_vec(),
        }
        let consumer = stream.create_consumer(config).await?;
        let sequence = consumer.cached_info().ack_floor.stream_sequence;
        *floor = Some(Floor { sequence: sequence.max(before.unwrap_or(0)), of: made_at });
        Ok(consumer)
    }
}
