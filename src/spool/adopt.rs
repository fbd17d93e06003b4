//! Adopting: what pipes of the same kind have left in their spools, when nobody sends it.
//!
//! Takes a state directory that is ours, looks at those beside it whose names differ in their number only. A batch is moved
//! while the lock of the directory that it comes from is held.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use super::{folder, numbered};
use crate::checkpoint::Store;

/// Moves the batches that nobody sends out of the folders beside a state directory whose names begin like its own, into
/// its spool: other pipes of the same kind have left them.
pub fn adopt_siblings(state_dir: &Path) {
    let (Some(parent), Some(name)) =
        (state_dir.parent(), state_dir.file_name().and_then(|name| name.to_str()))
    else {
        return;
    };
    let base = base_of(name);
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let (path, other) = (entry.path(), entry.file_name());
        let is_sibling = other.to_str().is_some_and(|other| base_of(other) == base && other != name);
        if !is_sibling || numbered(&folder(&path)).is_ok_and(|batches| batches.is_empty()) {
            continue;
        }
        // Whoever has it sends what is in it.
        let Ok((_lock, _)) = Store::open(&path) else { continue };
        match adopt(&path, state_dir) {
            Ok(batches) => {
                tracing::info!(from = %path.display(), batches, "sending what another pipe has left");
            }
            Err(error) => {
                tracing::error!(from = %path.display(), %error, "what another pipe has left can't be moved");
            }
        }
    }
}

/// A pipe's directory without the number that tells it from others of its kind.
fn base_of(name: &str) -> &str {
    let (base, number) = name.rsplit_once('-').unwrap_or((name, ""));
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { base } else { name }
}

/// Moves the batches of another state directory, which nobody uses, into this one's spool, in their order behind those
/// that are there. Answers how many.
///
/// # Errors
/// When they can't be moved.
fn adopt(from: &Path, into: &Path) -> io::Result<usize> {
    let dir = folder(into);
    let theirs = numbered(&folder(from))?;
    if theirs.is_empty() {
        return Ok(0);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    let last = numbered(&dir)?.last().map_or(0, |(number, _)| *number);
    for (number, (_, path)) in (last + 1..).zip(&theirs) {
        fs::rename(path, dir.join(format!("{number:016}.batch")))?;
    }
    Ok(theirs.len())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::spool::{
        Spool,
        tests::{URL, stored},
    };

    #[test]
    fn what_another_has_left_comes_behind_what_is_there() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(adopt(theirs.path(), ours.path()).unwrap(), 0);
        for (dir, text) in [(&ours, "ours"), (&theirs, "a"), (&theirs, "b")] {
            Spool::open(dir.path(), URL, 10_000).unwrap().0.put(&stored(text), None, true).unwrap();
        }
        assert_eq!(adopt(theirs.path(), ours.path()).unwrap(), 2);
        let (spool, found) = Spool::open(ours.path(), URL, 10_000).unwrap();
        let bodies: Vec<Bytes> =
            found.items.iter().map(|item| spool.get(item).unwrap().unwrap().body).collect();
        assert_eq!(bodies, ["ours", "a", "b"]);
    }

    #[test]
    fn only_pipes_of_the_same_kind_are_adopted() {
        let dir = tempfile::tempdir().unwrap();
        let state = |name: &str| dir.path().join(name);
        for name in ["pipe", "pipe-2", "pipe-3", "pipe-b", "other"] {
            Spool::open(&state(name), URL, 10_000).unwrap().0.put(&stored(name), None, true).unwrap();
        }
        let _alive = Store::open(&state("pipe-3")).unwrap();
        adopt_siblings(&state("pipe-2"));
        let left = |name: &str| numbered(&folder(&state(name))).unwrap().len();
        assert_eq!(["pipe", "pipe-2", "pipe-3", "pipe-b", "other"].map(left), [0, 2, 1, 1, 1]);
        assert_eq!((base_of("a-b-12"), base_of("a-b"), base_of("a-")), ("a-b", "a-b", "a-"));
    }
}
