//! Holds, as sources see them: which datasets' lines are better left unread.
//!
//! A dataset that takes nothing may keep half of the flow pool busy. From then on delivery names it here, and a stream
//! whose last chunk gave something to it is not read before the hold ends or the half is free again: others go on.

use std::{collections::HashSet, sync::Arc};

use tokio::sync::watch;

type Names = Arc<HashSet<Arc<str>>>;

/// Delivery's end.
#[derive(Debug)]
pub struct Holder(watch::Sender<Names>);

/// A source's end.
#[derive(Clone, Debug)]
pub struct Holds(watch::Receiver<Names>);

/// Nothing is held yet.
#[must_use]
pub fn holds() -> (Holder, Holds) {
    let (sender, receiver) = watch::channel(Names::default());
    (Holder(sender), Holds(receiver))
}

impl Holder {
    /// From now on these datasets' lines are to be left unread.
    pub fn set(&self, datasets: impl Iterator<Item = Arc<str>>) {
        let datasets: HashSet<Arc<str>> = datasets.collect();
        self.0.send_if_modified(|known| {
            let is_new = **known != datasets;
            if is_new {
                *known = datasets.into();
            }
            is_new
        });
    }
}

impl Holds {
    /// Whether any dataset's lines are to be left unread.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.0.borrow().is_empty()
    }

    /// Whether that dataset's are.
    #[must_use]
    pub fn has(&self, dataset: &str) -> bool {
        self.0.borrow().contains(dataset)
    }

    /// Resolves when that has changed since the last call; never once delivery has ended.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sources_hear_of_what_has_changed() {
        let (holder, mut holds) = holds();
        assert!(!holds.any());
        holder.set(["a".into()].into_iter());
        holds.changed().await;
        assert!(holds.any() && holds.has("a") && !holds.has("b"));
        holder.set(["a".into()].into_iter());
        let mut other = holds.clone();
        let mut again = std::pin::pin!(other.changed());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(again.as_mut().poll(&mut context).is_pending(), "it is the same");
        holder.set(std::iter::empty());
        again.await;
        assert!(!holds.any());
    }
}
