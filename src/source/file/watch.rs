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
    use std::{
        collections::{HashMap, VecDeque},
        ffi::OsString,
    };

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
        /// One folder may be watched under several names, if links lead to it.
        dirs: HashMap<WatchDescriptor, Vec<PathBuf>>,
        watched: HashMap<PathBuf, WatchDescriptor>,
        /// The names, in each of its folder's names, that the last event was about.
        news: VecDeque<Change>,
        /// The last name that a file was moved away from.
        moved: Option<(u32, OsString, WatchDescriptor)>,
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
                    let (dirs, watched) = (HashMap::new(), HashMap::new());
                    Some(Self { events, dirs, watched, news: VecDeque::new(), moved: None })
                }
                Err(error) => {
                    tracing::warn!(%error, "no inotify: looking at the files each second instead");
                    None
                }
            }
        }

        /// Answers whether its news can be relied on. Asked anew each time: the name may lead to another folder by now.
        pub(super) fn add(&mut self, dir: &Path) -> bool {
            let mask = WatchMask::MODIFY
                | WatchMask::CREATE
                | WatchMask::DELETE
                | WatchMask::MOVE
                | WatchMask::DELETE_SELF
                | WatchMask::MOVE_SELF
                | WatchMask::ONLYDIR;
            match self.events.watches().add(dir, mask) {
                Ok(descriptor) => self.watched.get(dir) == Some(&descriptor) || self.entered(dir, descriptor),
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

        fn entered(&mut self, dir: &Path, descriptor: WatchDescriptor) -> bool {
            if let Some(before) = self.watched.insert(dir.to_owned(), descriptor.clone())
                && let Some(names) = self.dirs.get_mut(&before)
            {
                names.retain(|name| name != dir);
                if names.is_empty() {
                    self.dirs.remove(&before);
                    let _ = self.events.watches().remove(before);
                }
            }
            self.dirs.entry(descriptor).or_default().push(dir.to_owned());
            let remote = rustix::fs::statfs(dir).is_ok_and(|stat| {
                u64::try_from(stat.f_type).is_ok_and(|kind| REMOTE.contains(&(kind & 0xffff_ffff)))
            });
            if remote {
                tracing::info!(dir = %dir.display(), "a network file system: looking at it each second");
            }
            !remote
        }

        /// `None` when inotify itself has failed.
        pub(super) async fn next(&mut self) -> Option<Change> {
            loop {
                if let Some(change) = self.news.pop_front() {
                    return Some(change);
                }
                let event = match self.events.next().await? {
                    Ok(event) => event,
                    Err(error) => {
                        tracing::warn!(%error, "inotify failed: looking at the files each second instead");
                        return None;
                    }
                };
                let mask = event.mask;
                if mask.contains(EventMask::Q_OVERFLOW) {
                    return Some(Change::Anything);
                }
                if mask.intersects(EventMask::IGNORED | EventMask::MOVE_SELF) {
                    for dir in self.dirs.remove(&event.wd).into_iter().flatten() {
                        self.watched.remove(&dir);
                    }
                    return Some(Change::Folders);
                }
                let Some(name) = event.name else { continue };
                if mask.contains(EventMask::ISDIR) {
                    return Some(Change::Folders);
                }
                let moved =
                    self.moved.take().filter(|_| event.cookie != 0 && mask.contains(EventMask::MOVED_TO));
                let from = moved.filter(|(cookie, ..)| *cookie == event.cookie);
                for dir in self.dirs.get(&event.wd).into_iter().flatten() {
                    let path = dir.join(&name);
                    self.news.push_back(if mask.contains(EventMask::MODIFY) {
                        Change::Written(path)
                    } else if mask.contains(EventMask::CREATE) {
                        Change::Appeared(path, Came::Made)
                    } else if mask.contains(EventMask::MOVED_TO) {
                        let from = from
                            .as_ref()
                            .and_then(|(_, name, wd)| Some(self.dirs.get(wd)?.first()?.join(name)));
                        Change::Appeared(path, from.map_or(Came::Somehow, Came::Renamed))
                    } else {
                        Change::Vanished(path)
                    });
                }
                if mask.contains(EventMask::MOVED_FROM) {
                    self.moved = Some((event.cookie, name, event.wd));
                }
            }
        }
    }
}
