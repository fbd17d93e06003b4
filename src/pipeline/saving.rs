//! The checkpoint's task: saves what has changed shortly after, and at the end.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    ack::SharedLedger,
    checkpoint::{Register, Store},
};

/// The least time between two saves: a kill repeats what was shipped since the last one.
const INTERVAL: Duration = Duration::from_millis(250);

/// Saves until `end`, and once more then.
pub(super) async fn run(
    store: Arc<Store>,
    ledger: Arc<SharedLedger>,
    register: Arc<Register>,
    end: CancellationToken,
) {
    let mut failing = false;
    loop {
        let ending = tokio::select! {
            () = ledger.changed() => false,
            () = register.changed() => false,
            // A full disk may have room again.
            () = tokio::time::sleep(INTERVAL), if failing => false,
            () = end.cancelled() => true,
        };
        let result = save(&store, &ledger, &register, failing || ending).await;
        match &result {
            Err(error) if ending => {
                tracing::error!(%error, "the last checkpoint can't be saved: the next start repeats lines");
            }
            Err(error) if !failing => {
                tracing::error!(%error, "the checkpoint can't be saved: shipping goes on, a restart would repeat lines");
            }
            Ok(()) if failing => tracing::info!("the checkpoint is saved again"),
            _ => {}
        }
        failing = result.is_err();
        if ending {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = end.cancelled() => {}
        }
    }
}

/// Saves what has changed; with `always` also nothing: the next start asks when the last run was still there.
/// Syncing may take long: not on a thread that others wait for.
async fn save(
    store: &Arc<Store>,
    ledger: &Arc<SharedLedger>,
    register: &Arc<Register>,
    always: bool,
) -> std::io::Result<()> {
    if !always && !ledger.read(|ledger| register.has_changed(ledger)) {
        return Ok(());
    }
    let (store, ledger, register) = (Arc::clone(store), Arc::clone(ledger), Arc::clone(register));
    let saving = move || store.save(|due, tell| ledger.quietly(|ledger| register.tell(due, ledger, tell)));
    tokio::task::spawn_blocking(saving).await.map_err(std::io::Error::other)?
}
