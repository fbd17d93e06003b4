//! Core NATS: what is published at the moment. Nobody keeps it: what is lost on the way can only be counted.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use async_nats::{Client, Message, Statistics, Subscriber, connection::State};
use futures_util::{FutureExt, StreamExt, stream::SelectAll};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{Input, NatsSource, Settings, sleep_until};
use crate::telemetry::Metrics;

/// How many messages are taken in a row before their lines are passed.
const TAKEN_MAX: u64 = 4_096;

/// How many messages were taken, of those that came.
struct Taken {
    statistics: Arc<Statistics>,
    count: u64,
    /// How many had come but were not there to be taken when this was asked last.
    missing: u64,
}

impl Taken {
    /// How many are lost, of `came`: nothing was left to take since those had come. One that is on its way at that moment
    /// seems to be missing, but not twice in a row.
    fn lost(&mut self, came: u64) -> u64 {
        let missing = came.saturating_sub(self.count);
        std::mem::replace(&mut self.missing, missing).min(missing)
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
        let Some(mut messages) = self.settings.subscribe(&client, stop).await else { return };
        let mut taken = Taken { statistics: client.statistics(), count: 0, missing: 0 };
        let mut heard_at = Instant::now();
        loop {
            let ends = self.wait();
            let silent_at = heard_at + self.settings.silence;
            let goes_on = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                message = messages.next() => {
                    self.wake();
                    heard_at = Instant::now();
                    match message {
                        Some(first) => self.take(first, &mut messages, &mut taken).await,
                        // The client was closed, which only this source does.
                        None => false,
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
        // What is in memory already; nobody else has it.
        while let Some(first) = waiting(&mut messages) {
            if !self.take(first, &mut messages, &mut taken).await {
                break;
            }
        }
        for Input { live, .. } in self.inputs {
            live.end().await;
        }
    }

    /// Takes a message and those that wait behind it, and passes them; `false` when delivery has given up.
    async fn take(
        &mut self,
        first: Message,
        messages: &mut SelectAll<Subscriber>,
        taken: &mut Taken,
    ) -> bool {
        let (mut next, until) = (Some(first), taken.count + TAKEN_MAX);
        while let Some(message) = next {
            taken.count += 1;
            if let Some(live) = self.input(&message.subject)
                // One message is one record, whatever ends it.
                && !(live.take(&message.payload).await && live.take(b"\n").await)
            {
                return false;
            }
            if taken.count == until {
                break;
            }
            let came = taken.statistics.in_messages.load(Ordering::Relaxed);
            next = waiting(messages);
            if next.is_none() {
                self.metrics.nats_lost.fetch_max(taken.lost(came), Ordering::Relaxed);
            }
        }
        self.pass().await
    }
}

/// A message that has come already, if there is one. Unconstrained, since tokio else says now and then that there is none, to
/// have others run.
fn waiting(messages: &mut SelectAll<Subscriber>) -> Option<Message> {
    tokio::task::unconstrained(messages.next()).now_or_never().flatten()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_not_lost() {
        let mut taken = Taken { statistics: Arc::default(), count: 10, missing: 0 };
        assert_eq!(taken.lost(11), 0, "it may be on its way");
        taken.count = 11;
        assert_eq!((taken.lost(11), taken.lost(14)), (0, 0));
        taken.count = 12;
        assert_eq!(taken.lost(14), 2, "two are lost");
    }
}
