//! The handle: takes options, gives a running receiver to watch, to script and to stop.
//!
//! A [`Hive`] owns its tasks: when it is dropped or stopped, the port closes and every connection is cut, those
//! of hanging requests included.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::connection;
use crate::fault::Fault;
use crate::routes;
use crate::shared::Shared;
use crate::stats::Stats;
use crate::store::{Event, Store};

/// How to run a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to listen. By default a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// Count events and answer 202 to each, but store none and look into none: for benchmarks.
    pub sink: bool,
    /// Most events kept, 300,000 by default. The oldest are dropped beyond it.
    pub events_max: usize,
    /// Most bytes of events kept, text and bookkeeping together, 512 MiB by default. The oldest are dropped
    /// beyond it.
    pub bytes_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            sink: false,
            events_max: 300_000,
            bytes_max: 512 * 1024 * 1024,
        }
    }
}

/// A running receiver. Stops when dropped.
pub struct Hive {
    shared: Arc<Shared>,
    stop: DropGuard,
    serving: JoinHandle<()>,
}

impl Hive {
    /// Starts a receiver on the current tokio runtime. It listens once this returns.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on.
    pub async fn start(options: Options) -> io::Result<Hive> {
        let listener = TcpListener::bind(options.listen).await?;
        let listen = listener.local_addr()?;
        let store = Store::new(options.events_max, options.bytes_max);
        let shared = Arc::new(Shared::new(listen, options.sink, store));
        let stop = CancellationToken::new();
        let router = routes::router(Arc::clone(&shared));
        let serving = tokio::spawn(connection::serve(listener, router, stop.clone()));
        Ok(Hive { shared, stop: stop.drop_guard(), serving })
    }

    /// Where the receiver listens: `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        self.shared.url.clone()
    }

    /// Appends to the script: each batch request takes the next fault, and is answered as usual when none is
    /// left.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.script.append(faults);
    }

    /// Once the script is used up, each batch request that begins within `lasts` of tokio time, which a test may pause,
    /// meets this fault. It takes the place of an earlier one.
    pub fn script_for(&self, lasts: Duration, fault: Fault) {
        self.shared.script.last(fault, Instant::now() + lasts);
    }

    /// Forgets the rest of the script.
    pub fn clear_script(&self) {
        self.shared.script.clear();
    }

    /// From now on every body with that text in it is answered as malformed; with `None` none is.
    pub fn poison(&self, text: Option<&str>) {
        self.shared.poison.set(text.map(str::to_owned));
    }

    /// All stored events in the order they came, the oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.shared.store().events().map(Event::from).collect()
    }

    /// Takes all stored events out, the oldest first: of each the JSON text of its fields. What a test has taken
    /// needs no room any more, so it may run for longer than the store is large.
    pub fn take_events(&self) -> Vec<Box<str>> {
        let taken = self.shared.store().take();
        taken.map(|data| data.get().into()).collect()
    }

    /// The counters as they stand.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Resolves once `count` events in all were accepted, at once if they were already.
    pub async fn wait_for_events(&self, count: u64) {
        self.shared.counters.wait_for(|stats| stats.events_accepted >= count).await;
    }

    /// Resolves once `count` batch requests in all have begun, those met by a fault included, at once if they
    /// have already.
    pub async fn wait_for_requests(&self, count: u64) {
        self.shared.counters.wait_for(|stats| stats.requests >= count).await;
    }

    /// Stops the receiver. The port is closed and every connection is cut once this returns.
    pub async fn stop(self) {
        drop(self.stop);
        // An error would be a panic of the accept loop, which leaves nothing to stop.
        self.serving.await.ok();
    }
}
