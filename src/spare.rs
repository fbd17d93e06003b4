//! Spare buffers: large vectors that go round instead of being allocated anew for each chunk and batch.
//!
//! Fresh memory of that size comes from the system page by page, which costs more than filling it. A few are kept
//! while lines pour in; when traffic is so low that batches are sealed by age, none is.

use std::sync::{Arc, Mutex};

use crate::lock::lock;

/// How many are kept at most.
const SPARE_MAX: usize = 4;
/// A buffer that has grown larger than this is given back to the system.
const CAPACITY_MAX: usize = 2 * 1024 * 1024;

/// Emptied buffers, shared by those who fill and those who empty them.
#[derive(Clone, Debug, Default)]
pub struct Spares {
    buffers: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Spares {
    /// An empty buffer, with memory if one is to be had.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        lock(&self.buffers).pop().unwrap_or_default()
    }

    /// A buffer that is no longer needed.
    pub fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut buffers = lock(&self.buffers);
        if buffers.len() < SPARE_MAX && (1..=CAPACITY_MAX).contains(&buffer.capacity()) {
            buffers.push(buffer);
        }
    }

    /// Gives all memory back.
    pub fn clear(&self) {
        lock(&self.buffers).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_buffers_go_round() {
        let spares = Spares::default();
        for _ in 0..10 {
            spares.give(vec![1; 100]);
        }
        spares.give(Vec::with_capacity(CAPACITY_MAX + 1));
        assert_eq!(spares.buffers.lock().unwrap().len(), SPARE_MAX);
        let buffer = spares.take();
        assert!(buffer.is_empty() && buffer.capacity() >= 100);
        spares.clear();
        assert_eq!(spares.take().capacity(), 0);
    }
}
