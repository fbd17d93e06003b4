//! Whose key it is: the team and the environment that events go to, as the API tells (Honeycomb, "Auth").
//!
//! Asked at the start and whenever the key changes, beside all else; an API that does not say, or can't be reached, stops
//! nothing. It is known for one purpose: what was spooled for one environment is not sent to another.

use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::client::Client;
use crate::spool::Owner;

/// When it is asked again if there was no answer.
const ASK_INTERVAL: Duration = Duration::from_secs(60);

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing yet.
    Asking,
    /// Nothing: it was asked.
    Nothing,
    /// All.
    Owner(Owner),
}

/// Whose key it is.
#[derive(Debug)]
pub struct Whose {
    known: watch::Sender<Known>,
    changed: Notify,
}

impl Default for Whose {
    fn default() -> Self {
        Self { known: watch::Sender::new(Known::Asking), changed: Notify::new() }
    }
}

impl Whose {
    /// Asks, and asks again when the key has changed, until dropped.
    pub async fn ask(&self, client: &Client) {
        loop {
            let answer = client.auth().await;
            let is_final = match &answer {
                Ok(Ok(auth)) => {
                    tracing::info!(
                        team = auth.team.slug,
                        environment = auth.environment.slug,
                        "delivering to this team and environment"
                    );
                    true
                }
                // Not every receiver has this path.
                Ok(Err(reply)) => matches!(reply.status, 404 | 405 | 501),
                Err(_) => false,
            };
            self.known.send_replace(match answer {
                Ok(Ok(auth)) => {
                    Known::Owner(Owner { team: auth.team.slug, environment: auth.environment.slug })
                }
                _ => Known::Nothing,
            });
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(ASK_INTERVAL), if !is_final => {}
            }
        }
    }

    /// There is another key.
    pub fn key_changed(&self) {
        self.known.send_replace(Known::Asking);
        self.changed.notify_one();
    }

    /// Waits until the answer has come, or none will.
    pub async fn asked(&self) {
        // The sender is here: it can't be gone.
        let _ = self.known.subscribe().wait_for(|known| *known != Known::Asking).await;
    }

    /// Whose it is, if that is known.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        match &*self.known.borrow() {
            Known::Owner(owner) => Some(owner.clone()),
            Known::Asking | Known::Nothing => None,
        }
    }
}
