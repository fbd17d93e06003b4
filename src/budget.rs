//! The byte budget: one bound on everything between read and final outcome.
//!
//! Takes `memory_bytes` and what the configuration needs at once (the fixed part), gives the flow pool: bytes
//! that a source reserves before each pass, that travel with its runs into batches, and that come back when a
//! batch has its outcome. A reservation is a value; dropping it gives the bytes back, so none can leak.
//!
//! Invariant: nobody waits for flow bytes while holding flow bytes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::frame::LineBuffer;

/// What a source reserves before each pass; no pass makes more.
pub const PASS_BYTES: usize = 2 * 1024 * 1024;

/// How `memory_bytes` is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Read buffers, and one compression and one decompression buffer.
    pub fixed_bytes: usize,
    /// Kept for open joins: a quarter of what the fixed part leaves.
    pub join_bytes: usize,
    /// For runs and batches.
    pub flow_bytes: usize,
}

impl Plan {
    /// The division, or the least `memory_bytes` that would do.
    ///
    /// # Errors
    /// The minimum, when `memory_bytes` is below fixed + 4 × max(2 MiB, `body_bytes_max`).
    pub fn new(
        memory_bytes: usize,
        sources: usize,
        line_bytes_max: usize,
        body_bytes_max: usize,
    ) -> Result<Self, usize> {
        let fixed_bytes = sources * LineBuffer::bytes_max(line_bytes_max) + 2 * body_bytes_max;
        let minimum = fixed_bytes + 4 * PASS_BYTES.max(body_bytes_max);
        if memory_bytes < minimum {
            return Err(minimum);
        }
        let rest = memory_bytes - fixed_bytes;
        Ok(Self { fixed_bytes, join_bytes: rest / 4, flow_bytes: rest - rest / 4 })
    }
}

/// What the open joins of one pass may take: the same for all, and another when a reload changes how many there are.
#[derive(Clone, Debug, Default)]
pub struct JoinShare(Arc<AtomicUsize>);

impl JoinShare {
    /// Divides the plan's bytes for joins among so many passes.
    pub fn divide(&self, join_bytes: usize, passes: usize) {
        self.0.store(join_bytes / passes.max(1), Ordering::Relaxed);
    }

    /// Its bytes at the moment.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl From<usize> for JoinShare {
    fn from(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }
}

/// The flow pool.
#[derive(Clone, Debug)]
pub struct Flow {
    bytes: Arc<Semaphore>,
    total: Arc<AtomicUsize>,
    /// Sources that wait for bytes.
    waiting: Arc<AtomicUsize>,
    /// Sealed batches that are queued or in flight.
    sealed: Arc<AtomicUsize>,
    pressure: Arc<Notify>,
}

impl Flow {
    /// A pool of that many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(bytes)),
            total: Arc::new(AtomicUsize::new(bytes)),
            waiting: Arc::default(),
            sealed: Arc::default(),
            pressure: Arc::default(),
        }
    }

    /// Waits for [`PASS_BYTES`], first come, first served. The batcher hears of the wait.
    pub async fn reserve(&self) -> Reservation {
        if let Ok(permit) = Arc::clone(&self.bytes).try_acquire_many_owned(bytes_to_permits(PASS_BYTES)) {
            return Reservation { permit: Some(permit) };
        }
        let _waiting = Waiting::begin(self);
        let permit = Arc::clone(&self.bytes).acquire_many_owned(bytes_to_permits(PASS_BYTES)).await;
        // The semaphore is never closed; an empty reservation would only mean an unaccounted pass.
        Reservation { permit: permit.ok() }
    }

    /// Whether a source would get its bytes at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.bytes.available_permits() >= PASS_BYTES
    }

    /// Counts a sealed batch until the answer is dropped.
    #[must_use]
    pub fn sealed(&self) -> Sealed {
        self.sealed.fetch_add(1, Ordering::AcqRel);
        Sealed(self.clone())
    }

    /// Whether only sealing an open batch can bring back bytes that a source waits for.
    #[must_use]
    pub fn must_seal(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 && self.sealed.load(Ordering::Acquire) == 0
    }

    /// Resolves when [`Flow::must_seal`] may have become true since the last call.
    pub async fn pressed(&self) {
        self.pressure.notified().await;
    }

    /// All bytes of the pool.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Makes the pool larger or smaller; what it is to lose and is reserved now goes when it comes back.
    pub fn resize(&self, bytes: usize) {
        let before = self.total.swap(bytes, Ordering::Relaxed);
        if let Some(more) = bytes.checked_sub(before) {
            return self.bytes.add_permits(more);
        }
        let (pool, less) = (Arc::clone(&self.bytes), bytes_to_permits(before - bytes));
        tokio::spawn(async move {
            if let Ok(permit) = pool.acquire_many_owned(less).await {
                permit.forget();
            }
        });
    }

    /// Bytes reserved at the moment.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.total().saturating_sub(self.bytes.available_permits())
    }
}

/// A sealed batch without its outcome.
#[derive(Debug)]
pub struct Sealed(Flow);

impl Sealed {
    /// One more, of which this was a part.
    #[must_use]
    pub fn another(&self) -> Self {
        self.0.sealed()
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.0.sealed.fetch_sub(1, Ordering::AcqRel);
        self.0.pressure.notify_one();
    }
}

/// Counts a waiting source, also when its wait is given up.
struct Waiting<'f>(&'f Flow);

impl<'f> Waiting<'f> {
    fn begin(flow: &'f Flow) -> Self {
        flow.waiting.fetch_add(1, Ordering::AcqRel);
        flow.pressure.notify_one();
        Self(flow)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Bytes of the flow pool that are spoken for, until dropped.
#[derive(Debug, Default)]
pub struct Reservation {
    permit: Option<OwnedSemaphorePermit>,
}

impl Reservation {
    /// How many bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes `bytes` out of this one, or all of it if it has fewer.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes());
        Self { permit: self.permit.as_mut().and_then(|permit| permit.split(bytes)) }
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        drop(self.split(self.bytes().saturating_sub(bytes)));
    }

    /// Adds the other's bytes to this one.
    pub fn merge(&mut self, other: Self) {
        match (&mut self.permit, other.permit) {
            (Some(permit), Some(other)) => permit.merge(other),
            (mine @ None, other) => *mine = other,
            (Some(_), None) => {}
        }
    }
}

fn bytes_to_permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_too_small_names_the_minimum() {
        let minimum = Plan::new(0, 2, 1_048_576, 1_000_000).unwrap_err();
        assert_eq!(minimum, 2 * LineBuffer::bytes_max(1_048_576) + 2_000_000 + 4 * PASS_BYTES);
        let plan = Plan::new(minimum, 2, 1_048_576, 1_000_000).unwrap();
        assert_eq!(plan.fixed_bytes + plan.join_bytes + plan.flow_bytes, minimum);
        assert!(plan.flow_bytes >= 3 * PASS_BYTES);
        assert!(Plan::new(minimum - 1, 2, 1_048_576, 1_000_000).is_err());
    }

    #[tokio::test]
    async fn bytes_come_back_when_a_reservation_goes() {
        let flow = Flow::new(PASS_BYTES + 10);
        let mut first = flow.reserve().await;
        let kept = first.split(5);
        assert_eq!((first.bytes(), kept.bytes()), (PASS_BYTES - 5, 5));
        drop(first);
        assert_eq!(flow.in_use(), 5);
        let second = flow.reserve().await;
        assert!(!flow.must_seal());
        let mut third = std::pin::pin!(flow.reserve());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(third.as_mut().poll(&mut context).is_pending());
        flow.pressed().await;
        assert!(flow.must_seal());
        let sealed = flow.sealed();
        assert!(!flow.must_seal(), "a batch on its way will bring bytes back");
        drop(sealed);
        flow.pressed().await;
        assert!(flow.must_seal());
        drop(second);
        assert_eq!(third.await.bytes(), PASS_BYTES);
        assert!(!flow.must_seal());
    }

    #[tokio::test]
    async fn a_pool_that_shrinks_waits_for_what_is_reserved() {
        let flow = Flow::new(2 * PASS_BYTES);
        let (first, second) = (flow.reserve().await, flow.reserve().await);
        flow.resize(PASS_BYTES);
        tokio::task::yield_now().await;
        drop(first);
        assert_eq!(flow.in_use(), PASS_BYTES);
        assert!(!flow.has_room(), "what came back is gone");
        drop(second);
        assert!(flow.has_room());
        flow.resize(3 * PASS_BYTES);
        let _all = (flow.reserve().await, flow.reserve().await, flow.reserve().await);
        assert_eq!((flow.in_use(), flow.total()), (3 * PASS_BYTES, 3 * PASS_BYTES));
    }
}
