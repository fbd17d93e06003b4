//! Tasks: one that panics must not pass for one that has ended.
//!
//! Each runs under a watcher that notices, says so, and stops the agent, so that a restart can do better.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::pulse::Pulse;

/// The tasks of a pipeline.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    stop: CancellationToken,
    failed: Arc<AtomicBool>,
    pulse: Pulse,
}

impl Tasks {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { stop, failed: Arc::default(), pulse: Pulse::default() }
    }

    /// Starts a task that `tracker` waits for.
    pub(super) fn spawn(
        &self,
        tracker: &TaskTracker,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let tasks = self.clone();
        let task = tokio::spawn(self.pulse.watch(name, task));
        tracker.spawn(async move {
            if let Err(error) = task.await {
                tracing::error!(task = name, %error, "a task failed: stopping");
                tasks.failed.store(true, Ordering::Release);
                tasks.stop.cancel();
            }
        });
    }

    /// Whether all of them still come back.
    pub(super) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Whether one has failed.
    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_stops_the_agent() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let tracker = TaskTracker::new();
        tasks.spawn(&tracker, "good", async {});
        tasks.spawn(&tracker, "bad", async { panic!("on purpose") });
        tracker.close();
        tracker.wait().await;
        assert!(tasks.failed() && stop.is_cancelled());
    }
}
