//! Locks whose holders leave nothing half done, not even by panicking: whoever comes next takes what is there.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the lock, and has it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
