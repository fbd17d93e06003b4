//! News of the file system: which files were written to, came and went, and when to look at the folders again.
//!
//! By inotify on the folders where it is to be had; where it is not, the answer is to look at everything each second
//! ([`Watch::polls`]). Missed news cost time only, never lines: the source also looks at everything every ten seconds.

use std::path::{Path, PathBuf};

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file was written to.
    Written(PathBuf),
    /// A name leads to a file now.
    Appeared(PathBuf, Came),
    /// A name is gone.
    Vanished(PathBuf),
    /// Folders came, went or changed names.
    Folders,
    /// Anything may have happened.
    Anything,
}

/// How a name came to lead to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// The file was made.
    Made,
    /// It had that name in one of the folders before.
    Renamed(PathBuf),
    /// Nobody knows.
    Somehow,
}

/// Brings news of some folders.
#[derive(Debug)]
pub struct Watch {
    #[cfg(target_os = "linux")]
    inotify: Option<linux::Folders>,
    polls: bool,
}

impl Watch {
    /// Watches nothing yet; with `poll` it never will.
    #[must_use]
    pub fn nothing(poll: bool) -> Self {
        #[cfg(target_os = "linux")]
        {
            let inotify = if poll { None } else { linux::Folders::new() };
            Self { polls: inotify.is_none(), inotify }
        }
        #[cfg(not(target_os = "linux"))]
        Self { polls: poll || true }
    }

    /// Whether there are folders of which there is no news.
    #[must_use]
    pub const fn polls(&self) -> bool {
        self.polls
    }

    /// Watches a folder, too. One that can't be watched, or of which news can't be relied on, has to be polled.
    pub fn add(&mut self, dir: &Path) {
        #[cfg(target_os = "linux")]
        if let Some(folders) = &mut self.inotify {
            self.polls |= !folders.add(dir);
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
                None => (self.inotify, self.polls) = (None, true),
            }
            return Change::Anything;
        }
        std::future::pending().await
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashMap;

    use inotify::{EventMask, EventStream, Inotify, StreamExt, WatchDescriptor, WatchMask};

    use super::{Came, Change, Path, PathBuf};

    /// Room for some hundred events.
    const EVENTS_BYTES: usize = 16 * 1024;

    /// File systems whose files others may write to without this machine's knowledge: NFS, SMB, CIFS, FUSE, 9P, Ceph,
    /// AFS, Coda (statfs(2)).
    const REMOTE: [u64; 9] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x6573_5546,
        0x0102_1997,
        0x00c3_6400,
        0x5346_414f,
        0x7375_7245,
    ];

    pub(super) struct Folders {
        events: EventStream<Vec<u8>>,
        dirs: HashMap<WatchDescriptor, PathBuf>,
        watched: HashMap<PathBuf, WatchDescriptor>,
        /// The last name that a file was moved away from.
        moved: Option<(u32, PathBuf)>,
    }

    impl std::fmt::Debug for Folders {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_tuple("Folders").field(&self.watched.keys()).finish()
        }
    }

    impl Folders {
        pub(super) fn new() -> Option<Self> {
            let events = Inotify::init().and_then(|inotify| inotify.into_event_stream(vec![0; EVENTS_BYTES]));
            match events {
                Ok(events) => {
                    Some(Self { events, dirs: HashMap::new(), watched: HashMap::new(), moved: None })
                }
                Err(error) => {
                    tracing::warn!(%error, "no inotify: looking at the files each second instead");
                    None
                }
            }
        }

        /// Answers whether its news can be relied on.
        pub(super) fn add(&mut self, dir: &Path) -> bool {
            if self.watched.contains_key(dir) {
                return true;
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
                    self.dirs.insert(descriptor.clone(), dir.to_owned());
                    self.watched.insert(dir.to_owned(), descriptor);
                    let remote = rustix::fs::statfs(dir).is_ok_and(|stat| {
                        u64::try_from(stat.f_type).is_ok_and(|kind| REMOTE.contains(&(kind & 0xffff_ffff)))
                    });
                    if remote {
                        tracing::info!(dir = %dir.display(), "a network file system: looking at it each second");
                    }
                    !remote
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
                Err(error) => {
                    tracing::warn!(
                        dir = %dir.display(), %error,
                        "folder can't be watched: looking at all files each second (see fs.inotify.max_user_watches)"
                    );
                    false
                }
            }
        }

        /// `None` when inotify itself has failed.
        pub(super) async fn next(&mut self) -> Option<Change> {
            loop {
                let event = match self.events.next().await? {
                    Ok(event) => event,
                    Err(error) => {
                        tracing::warn!(%error, "inotify failed: looking at the files each second instead");
                        return None;
                    }
                };
                let (mask, cookie) = (event.mask, event.cookie);
                let moved = self.moved.take().filter(|(its, _)| *its == cookie);
                if mask.contains(EventMask::Q_OVERFLOW) {
                    return Some(Change::Anything);
                }
                if mask.intersects(EventMask::IGNORED | EventMask::MOVE_SELF) {
                    if let Some(dir) = self.dirs.remove(&event.wd) {
                        self.watched.remove(&dir);
                    }
                    return Some(Change::Folders);
                }
                let (Some(dir), Some(name)) = (self.dirs.get(&event.wd), event.name) else { continue };
                let path = dir.join(name);
                if mask.contains(EventMask::ISDIR) {
                    return Some(Change::Folders);
                }
                if mask.contains(EventMask::MODIFY) {
                    return Some(Change::Written(path));
                }
                if mask.contains(EventMask::CREATE) {
                    return Some(Change::Appeared(path, Came::Made));
                }
                if mask.contains(EventMask::MOVED_TO) {
                    let came = moved.map_or(Came::Somehow, |(_, from)| Came::Renamed(from));
                    return Some(Change::Appeared(path, came));
                }
                if mask.contains(EventMask::MOVED_FROM) {
                    self.moved = Some((cookie, path.clone()));
                }
                return Some(Change::Vanished(path));
            }
        }
    }
}
