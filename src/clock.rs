//! The wall clock, read only here; every pure stage is told the time.

use std::time::{SystemTime, UNIX_EPOCH};

use hivetail_parsers::Timestamp;

/// What time it is.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Always that time: for `parse --now` and tests.
    Fixed(Timestamp),
}

impl Clock {
    /// Now. Before 1970 and after 2262 the nearest instant that can be told.
    #[must_use]
    pub fn now(self) -> Timestamp {
        match self {
            Self::System => of(SystemTime::now()),
            Self::Fixed(at) => at,
        }
    }
}

/// A file's time stamp, say.
#[must_use]
pub fn of(time: SystemTime) -> Timestamp {
    let ns = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    Timestamp::from_ns(i64::try_from(ns).unwrap_or(i64::MAX))
}
