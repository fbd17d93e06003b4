//! Names that rotation gives: is `app.log.1` what `app.log` was?
//!
//! Takes file names, says how they relate. A name alone proves nothing: it only says where to look, the content
//! decides. Both ways to date a name are known: `app.log-20261122`, `app-20261122.log`.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// What may stand between a name and what rotation adds to it.
const SEPARATORS: &[u8] = b".-_~";

/// The names that a file may have been copied or renamed from, going by its own: `app.log.1` → `app.log`, `app`.
pub(super) fn origins(name: &[u8]) -> Vec<Vec<u8>> {
    let name = name.strip_suffix(b".gz").unwrap_or(name);
    let dot = name.iter().rposition(|byte| *byte == b'.').unwrap_or(name.len());
    let cuts = (1..name.len()).rev().filter(|at| SEPARATORS.contains(&name[*at]));
    let mut origins = Vec::new();
    for at in cuts {
        origins.push(name[..at].to_vec());
        if at < dot {
            origins.push([&name[..at], &name[dot..]].concat());
        }
    }
    origins
}

/// The paths in a file's own folder that [`origins`] gives.
pub(super) fn origin_paths(path: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    origins(name.as_encoded_bytes())
        .into_iter()
        .map(|origin| folder.join(OsString::from_vec(origin)))
        .collect()
}

/// Whether a file of that name may be a copy or a later name of one that was called `origin`.
pub(super) fn relates(name: &[u8], origin: &[u8]) -> bool {
    let plain = name.strip_suffix(b".gz").unwrap_or(name);
    plain == origin || origins(name).iter().any(|it| it == origin)
}

/// Whether a file of that name may be a copy or a later name of one that was called `other`, which may have been given its
/// name by rotation itself.
pub(super) fn are_kin(name: &[u8], other: &[u8]) -> bool {
    let by_origin =
        |origin: &Vec<u8>| is_rotation_of(other, origin) && (name == origin || relates(name, origin));
    relates(name, other) || origins(other).iter().any(by_origin)
}

/// Whether that is a name that only rotation gives: `origin` with a number or a date.
pub(super) fn is_rotation_of(name: &[u8], origin: &[u8]) -> bool {
    let name = name.strip_suffix(b".gz").unwrap_or(name);
    let dot = origin.iter().rposition(|byte| *byte == b'.').unwrap_or(origin.len());
    let (stem, extension) = origin.split_at(dot);
    let dated = |added: &[u8]| {
        added.iter().any(u8::is_ascii_digit)
            && added.first().is_some_and(|first| SEPARATORS.contains(first))
            && added.iter().all(|byte| byte.is_ascii_digit() || b".-_T:".contains(byte))
    };
    name.strip_prefix(origin).is_some_and(dated)
        || name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(extension)).is_some_and(dated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_are_known_by_their_names() {
        for name in [
            "app.log.1",
            "app.log.12.gz",
            "app.log-20261122",
            "app.log-20261122-1795000000.gz",
            "app.log.2026-11-22T10:00",
            "app-20261122.log",
            "app.1.log",
            "app-20261122.log.gz",
        ] {
            assert!(is_rotation_of(name.as_bytes(), b"app.log"), "{name}");
            assert!(relates(name.as_bytes(), b"app.log"), "{name}");
        }
        assert!(is_rotation_of(b"0.log.20260511-145902", b"0.log"));
        for name in ["app.log", "app-error.log", "app1.log", "myapp.log.1", "app.log.swp", "app.log.gz"] {
            assert!(!is_rotation_of(name.as_bytes(), b"app.log"), "{name}");
        }
    }

    #[test]
    fn a_copy_may_have_any_name_that_goes_on_with_the_first() {
        for name in
            ["app.log.bak", "app.log~", "app.log_copy", "app-copy.log", "app.log.old.gz", "app.log.gz"]
        {
            assert!(relates(name.as_bytes(), b"app.log"), "{name}");
        }
        for name in ["app2.log", "b.log", "ap.log.1"] {
            assert!(!relates(name.as_bytes(), b"app.log"), "{name}");
        }
        assert!(are_kin(b"app.log.2.gz", b"app.log.1") && are_kin(b"app.log", b"app.log.1"));
        assert!(!are_kin(b"b.log.2", b"app.log.1") && !are_kin(b"worker-2.log", b"worker-a.log"));
    }
}
