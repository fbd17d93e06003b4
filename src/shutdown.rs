//! Stopping: signals → two tokens.
//!
//! The first SIGTERM or SIGINT cancels `stop`: sources read no more and the rest drains. A second one exits at
//! once. [`retry_for`] says how long delivery goes on trying within `shutdown_ms`.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` at the first signal and ends the process at the second.
///
/// # Errors
/// When signals can't be listened to.
pub fn listen(stop: CancellationToken) -> std::io::Result<()> {
    let mut signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        next(&mut signals).await;
        tracing::info!("stopping: reading no more, delivering what is left; a second signal exits at once");
        stop.cancel();
        let code = next(&mut signals).await;
        std::process::exit(code);
    });
    Ok(())
}

/// Waits for a signal; answers the exit code that a shell would give for it.
async fn next((term, int): &mut (Signal, Signal)) -> i32 {
    tokio::select! {
        _ = term.recv() => 143,
        _ = int.recv() => 130,
    }
}

/// How long delivery goes on trying after reading has ended.
#[must_use]
pub fn retry_for(shutdown: Duration) -> Duration {
    const RESERVE_MAX: Duration = Duration::from_secs(2);
    shutdown - RESERVE_MAX.min(shutdown / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_deadline_is_kept_for_saving() {
        assert_eq!(retry_for(Duration::from_secs(10)), Duration::from_secs(8));
        assert_eq!(retry_for(Duration::from_secs(4)), Duration::from_secs(3));
    }
}
