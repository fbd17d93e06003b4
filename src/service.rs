//! The service manager: systemd hears when the agent is ready, that it is well, and when it stops (`sd_notify(3)`).
//!
//! Where there is no systemd, nobody hears, and nothing is different.

use std::time::Duration;

use crate::pulse::Pulse;

/// A task that keeps a thread for so long is not well.
pub const STUCK_AFTER: Duration = Duration::from_secs(30);

/// What the agent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its sources are being read.
    Ready,
    /// It ends what it is doing, to go on with another configuration.
    Reloading,
    /// It ends.
    Stopping,
}

/// Tells what the agent is doing.
#[cfg(target_os = "linux")]
pub fn tell(state: State) {
    use sd_notify::NotifyState;
    let notified = match state {
        State::Ready => sd_notify::notify(&[NotifyState::Ready]),
        State::Reloading => {
            let now = NotifyState::monotonic_usec_now();
            now.and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]))
        }
        State::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
    };
    if let Err(error) = notified {
        tracing::warn!(?state, %error, "systemd can't be told");
    }
}

/// Tells systemd, twice in each of its watchdog's periods, that all tasks are well, as long as they are.
#[cfg(target_os = "linux")]
pub async fn tell_pulse(pulse: Pulse) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut said = false;
    loop {
        match pulse.stuck(STUCK_AFTER) {
            None => {
                if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]) {
                    tracing::warn!(%error, "systemd's watchdog can't be told");
                }
            }
            Some(task) if !said => {
                tracing::error!(task, "a task does not come back: systemd will start the agent again");
                said = true;
            }
            Some(_) => {}
        }
        tokio::time::sleep(period / 2).await;
    }
}

/// Nobody is there to be told.
#[cfg(not(target_os = "linux"))]
pub fn tell(_state: State) {}

/// Nobody is there to be told.
#[cfg(not(target_os = "linux"))]
pub async fn tell_pulse(_pulse: Pulse) {}
