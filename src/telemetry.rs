//! The agent's own logs and numbers.
//!
//! Logs go to stderr: for people on a terminal, as JSON otherwise; `HIVETAIL_LOG` sets the level. Once a minute
//! and at exit a summary says what became of the lines; the same numbers are to be had at any time (`admin`).

mod exposition;
mod instruments;
mod metrics;
pub mod numbers;

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

pub use exposition::{CONTENT_TYPE, expose};
pub use instruments::{Instruments, Snapshot};
pub use metrics::{ByReason, Metrics, Trouble};

/// Starts logging. `level` is `HIVETAIL_LOG`: a level, or levels by module as in `hivetail=debug,hyper=warn`.
/// Answers what is wrong with it, to be said once logging works.
pub fn init(level: Option<&str>) -> Option<String> {
    let default =
        || Targets::new().with_default(LevelFilter::WARN).with_target("hivetail", LevelFilter::INFO);
    let (targets, complaint) = match level.filter(|level| !level.trim().is_empty()).map(str::parse::<Targets>)
    {
        Some(Ok(targets)) => (targets, None),
        Some(Err(error)) => (default(), Some(error.to_string())),
        None => (default(), None),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(targets);
    // A second call, as from tests, leaves the first in place.
    let _ = if std::io::stderr().is_terminal() {
        registry.with(layer.with_target(false)).try_init()
    } else {
        registry.with(layer.json().flatten_event(true).with_current_span(false)).try_init()
    };
    complaint
}
