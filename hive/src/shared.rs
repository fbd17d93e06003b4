//! What the handlers of one receiver share: the store, the counters, the script and the mode.
//!
//! There is one of these per [`Hive`](crate::Hive) and none per process. The store's lock is never held across
//! an await.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::api::Shelf;
use crate::fault::{Poison, Script};
use crate::limits::QUERIES_AT_ONCE;
use crate::stats::{Counters, Stats};
use crate::store::Store;

pub(crate) struct Shared {
    /// Where the receiver listens, to tell a reader of the page where to send.
    pub(crate) url: String,
    pub(crate) listen: SocketAddr,
    /// Count events and store none.
    pub(crate) sink: bool,
    pub(crate) counters: Counters,
    pub(crate) script: Script,
    pub(crate) poison: Poison,
    /// Turns of those who ask queries.
    pub(crate) queries: Arc<Semaphore>,
    /// What was created over the API.
    pub(crate) shelf: Shelf,
    store: Mutex<Store>,
}

impl Shared {
    pub(crate) fn new(listen: SocketAddr, sink: bool, store: Store) -> Shared {
        let (script, poison) = (Script::default(), Poison::default());
        let queries = Arc::new(Semaphore::new(QUERIES_AT_ONCE));
        let url = format!("http://{listen}");
        let (counters, shelf, store) = (Counters::new(), Shelf::default(), Mutex::new(store));
        Shared { url, listen, sink, counters, script, poison, queries, shelf, store }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats { datasets: self.store().datasets_count() as u64, ..self.counters.read() }
    }
}
