//! Stopping: signals → two tokens.
//!
//! The first SIGTERM or SIGINT cancels `stop`: sources read no more and the rest drains. A second one exits at
//! once. [`Deadlines`] says how `shutdown_ms` is spent.

use std::time::Duration;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::service;

/// Cancels `stop` at the first signal and ends the process at the second.
///
/// # Errors
/// When signals can't be listened to.
pub fn listen(stop: CancellationToken) -> std::io::Result<()> {
    let mut signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        next(&mut signals).await;
        service::tell(service::State::Stopping);
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

/// How `shutdown_ms` is spent after reading has ended.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Delivery tries until 2 s, or a quarter, before the end.
    pub give_up: Instant,
    /// What does not end then is left.
    pub leave: Instant,
    /// The last checkpoint is saved by then.
    pub end: Instant,
}

impl Deadlines {
    /// For a stop that begins now.
    #[must_use]
    pub fn from_now(shutdown: Duration) -> Self {
        const RESERVE_MAX: Duration = Duration::from_secs(2);
        let reserve = RESERVE_MAX.min(shutdown / 4);
        let end = Instant::now() + shutdown;
        Self { give_up: end - reserve, leave: end - reserve / 2, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_deadline_is_kept_for_saving() {
        for (shutdown_ms, give_up_ms) in [(10_000, 8_000), (4_000, 3_000)] {
            let deadlines = Deadlines::from_now(Duration::from_millis(shutdown_ms));
            assert_eq!(deadlines.give_up - Instant::now(), Duration::from_millis(give_up_ms));
            assert!(deadlines.give_up < deadlines.leave && deadlines.leave < deadlines.end);
        }
    }
}
