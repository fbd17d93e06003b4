//! The checkpoint's task: saves the marks at most a second after they moved, and at the end.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    ack::SharedLedger,
    checkpoint::{Entry, Register, Store},
};

/// The least time between two saves.
const INTERVAL: Duration = Duration::from_secs(1);

/// Saves until `end`, and once more then.
pub(super) async fn run(
    store: Arc<Store>,
    ledger: Arc<SharedLedger>,
    register: Arc<Register>,
    end: CancellationToken,
) {
    let mut saved = None;
    let mut failing = false;
    while !end.is_cancelled() {
        tokio::select! {
            () = ledger.changed() => {}
            // A full disk may have room again.
            () = tokio::time::sleep(INTERVAL), if failing => {}
            () = end.cancelled() => {}
        }
        let entries = ledger.read(|ledger| register.entries(ledger));
        if saved.as_ref() != Some(&entries) {
            let result = save(&store, entries.clone()).await;
            if let Err(error) = &result {
                if !failing {
                    tracing::error!(%error, "the checkpoint can't be saved: shipping goes on, a restart would repeat lines");
                }
            } else if failing {
                tracing::info!("the checkpoint is saved again");
            }
            failing = result.is_err();
            saved = result.ok().map(|()| entries);
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = end.cancelled() => {}
        }
    }
    let entries = ledger.read(|ledger| register.entries(ledger));
    if saved.as_ref() != Some(&entries)
        && let Err(error) = save(&store, entries).await
    {
        tracing::error!(%error, "the last checkpoint can't be saved: the next start repeats lines");
    }
}

/// Syncing may take long: not on a thread that others wait for.
async fn save(store: &Arc<Store>, entries: Vec<Entry>) -> std::io::Result<()> {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || store.save(&entries)).await.map_err(std::io::Error::other)?
}
