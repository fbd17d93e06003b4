//! News of the file system: which files were written to, and when to look at the folders again.
//!
//! By inotify on the folders where it is to be had; otherwise by looking at everything each second. Missed news
//! cost time only, never lines: the source also looks at everything every ten seconds.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file was written to.
    Written(PathBuf),
    /// Files came, went or changed names.
    Names,
    /// Anything may have happened.
    Anything,
}

/// How often to look where there is no inotify.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Brings news of some folders.
#[derive(Debug)]
pub struct Watch {
    #[cfg(target_os = "linux")]
    inotify: Option<linux::Folders>,
}

impl Watch {
    /// Watches nothing yet.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            inotify: linux::Folders::new(),
        }
    }

    /// Watches a folder, too. One that can't be watched is only polled.
    pub fn add(&mut self, dir: &Path) {
        #[cfg(target_os = "linux")]
        if let Some(folders) = &mut self.inotify {
            folders.add(dir);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = dir;
    }

    /// The next piece of news. Can be dropped without losing one.
    pub async fn next(&mut self) -> Change {
        #[cfg(target_os = "linux")]
        if let Some(folders) = &mut self.inotify {
            match folders.next().await {
                Some(change) => return change,
                None => self.inotify = None,
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        Change::Anything
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use inotify::{EventMask, EventStream, Inotify, StreamExt, WatchDescriptor, WatchMask};

    use super::{Change, HashMap, Path, PathBuf};

    /// Room for some hundred events.
    const EVENTS_BYTES: usize = 16 * 1024;

    pub(super) struct Folders {
        events: EventStream<Vec<u8>>,
        dirs: HashMap<WatchDescriptor, PathBuf>,
    }

    impl std::fmt::Debug for Folders {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_tuple("Folders").field(&self.dirs.values()).finish()
        }
    }

    impl Folders {
        pub(super) fn new() -> Option<Self> {
            let events = Inotify::init().and_then(|inotify| inotify.into_event_stream(vec![0; EVENTS_BYTES]));
            match events {
                Ok(events) => Some(Self { events, dirs: HashMap::new() }),
                Err(error) => {
                    tracing::warn!(%error, "no inotify: looking at the files each second instead");
                    None
                }
            }
        }

        pub(super) fn add(&mut self, dir: &Path) {
            if self.dirs.values().any(|known| known == dir) {
                return;
            }
            let mask = WatchMask::MODIFY
                | WatchMask::CREATE
                | WatchMask::DELETE
                | WatchMask::MOVE
                | WatchMask::DELETE_SELF
                | WatchMask::MOVE_SELF
                | WatchMask::ONLYDIR;
            match self.events.watches().add(dir, mask) {
                Ok(descriptor) => {
                    self.dirs.insert(descriptor, dir.to_owned());
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(dir = %dir.display(), %error, "folder can't be watched, looking at it every 10 s");
                }
            }
        }

        /// `None` when inotify itself has failed.
        pub(super) async fn next(&mut self) -> Option<Change> {
            let event = match self.events.next().await? {
                Ok(event) => event,
                Err(error) => {
                    tracing::warn!(%error, "inotify failed: looking at the files each second instead");
                    return None;
                }
            };
            if event.mask.contains(EventMask::Q_OVERFLOW) {
                return Some(Change::Anything);
            }
            if event.mask.intersects(EventMask::IGNORED | EventMask::MOVE_SELF) {
                self.dirs.remove(&event.wd);
                return Some(Change::Names);
            }
            match (self.dirs.get(&event.wd), event.name) {
                (Some(dir), Some(name)) if event.mask.contains(EventMask::MODIFY) => {
                    Some(Change::Written(dir.join(name)))
                }
                _ => Some(Change::Names),
            }
        }
    }
}
