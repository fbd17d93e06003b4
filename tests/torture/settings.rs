//! What the environment says of a run: takes the variables, gives the numbers.
//!
//! - `HIVETAIL_TORTURE_MB_S`: what all writers write together, in MB a second; 20.
//! - `HIVETAIL_TORTURE_KILLS`: how often the agent is killed in each run that kills it; 5.
//! - `HIVETAIL_TORTURE_SEED`: of all random choices; another one each time. (Threads keep their own time, so a seed
//!   repeats the choices, not the moments.)
//! - `HIVETAIL_TORTURE_ROTATIONS`: which of `rename,copytruncate,gzip`; all.
//! - `HIVETAIL_TORTURE_KEEP`: if set, the folder stays, with the agent's log and state in it.

use std::{env, str::FromStr};

/// How hard it gets.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) mb_s: f64,
    pub(crate) kills: usize,
    pub(crate) seed: u64,
    pub(crate) rotations: Rotations,
    pub(crate) keep: bool,
}

/// What happens to files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotations {
    pub(crate) rename: bool,
    pub(crate) copytruncate: bool,
    pub(crate) gzip: bool,
}

impl Settings {
    pub(crate) fn from_env() -> Self {
        let rotations = env::var("HIVETAIL_TORTURE_ROTATIONS").ok();
        let has = |name| rotations.as_ref().is_none_or(|list| list.split(',').any(|one| one.trim() == name));
        let (rename, copytruncate, gzip) = (has("rename"), has("copytruncate"), has("gzip"));
        assert!(rename || copytruncate, "HIVETAIL_TORTURE_ROTATIONS: one of rename, copytruncate is needed");
        Self {
            mb_s: number("HIVETAIL_TORTURE_MB_S").unwrap_or(20.0),
            kills: number("HIVETAIL_TORTURE_KILLS").unwrap_or(5),
            seed: number("HIVETAIL_TORTURE_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000)),
            rotations: Rotations { rename, copytruncate, gzip },
            keep: env::var_os("HIVETAIL_TORTURE_KEEP").is_some(),
        }
    }
}

fn number<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
