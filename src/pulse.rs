//! The pulse: whether every task still comes back.
//!
//! Takes tasks, tells which one has kept a thread for too long. A task that waits, for the budget, the gate, a hold or news, is
//! healthy: it has given its thread back. One that is inside a step without an end is not, and only a restart helps.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crate::lock::lock;

/// The tasks of a process.
#[derive(Clone, Debug)]
pub struct Pulse {
    started: Instant,
    tasks: Arc<Mutex<Vec<Weak<Beat>>>>,
}

/// One task's.
#[derive(Debug)]
struct Beat {
    name: &'static str,
    /// When it was given the thread that it has, in milliseconds since the start; 0 while it has none.
    busy_since_ms: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { started: Instant::now(), tasks: Arc::default() }
    }
}

impl Pulse {
    /// Watches a task.
    pub fn watch<F: Future>(&self, name: &'static str, task: F) -> impl Future<Output = F::Output> + use<F> {
        let beat = Arc::new(Beat { name, busy_since_ms: AtomicU64::new(0) });
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| task.strong_count() > 0);
        tasks.push(Arc::downgrade(&beat));
        Watched { task: Box::pin(task), beat, started: self.started }
    }

    /// A task that has had a thread for longer than that without giving it back.
    #[must_use]
    pub fn stuck(&self, longer_than: Duration) -> Option<&'static str> {
        let now_ms = ms(self.started.elapsed());
        let is_stuck = |beat: &Arc<Beat>| {
            let since_ms = beat.busy_since_ms.load(Ordering::Acquire);
            since_ms > 0 && now_ms.saturating_sub(since_ms) > ms(longer_than)
        };
        let tasks = lock(&self.tasks);
        tasks.iter().filter_map(Weak::upgrade).find(is_stuck).map(|beat| beat.name)
    }
}

/// Never 0.
fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

struct Watched<F> {
    task: Pin<Box<F>>,
    beat: Arc<Beat>,
    started: Instant,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.beat.busy_since_ms.store(ms(self.started.elapsed()), Ordering::Release);
        let poll = self.task.as_mut().poll(context);
        self.beat.busy_since_ms.store(0, Ordering::Release);
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_task_that_waits_is_well_and_one_that_does_not_come_back_is_not() {
        let pulse = Pulse::default();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let waits = tokio::spawn(pulse.watch("waits", std::future::pending::<()>()));
        let spins = tokio::spawn(pulse.watch("spins", async move { held.recv().is_err() }));
        let stuck = async {
            while pulse.stuck(Duration::from_millis(20)).is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), stuck).await.unwrap();
        assert_eq!(pulse.stuck(Duration::from_millis(20)), Some("spins"));
        assert_eq!(pulse.stuck(Duration::from_secs(3_600)), None);
        drop(release);
        assert!(spins.await.unwrap());
        assert_eq!(pulse.stuck(Duration::ZERO), None);
        waits.abort();
    }
}
