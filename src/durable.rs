//! Files that a crash leaves whole: made for the agent's eyes only, and on the disk when that is said.
//!
//! Takes paths and what writes the files. Invariant: a path that is replaced has all of what was there before or all of what
//! is new, whenever the process or the machine stops.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

/// An empty file, in the place of whatever file was there; a link there is not followed.
///
/// # Errors
/// When it can't be made.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).read(true).write(true).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

/// Puts the names in a file's folder on the disk, its own among them.
///
/// # Errors
/// When the disk says so.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Puts what `write` writes in a file's place. It has another name until it is whole: its own with the extension `new`.
///
/// # Errors
/// When it can't be written; what was there before still is, unless only the folder can't be synced.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<File> {
    let new = path.with_extension("new");
    let replaced = create(&new).and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_folder_of(path)?;
        Ok(file)
    });
    if replaced.is_err() {
        let _ = fs::remove_file(&new);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        for text in ["first and long", "second"] {
            replace(&path, |file| file.write_all(text.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_fails_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        fs::write(&path, "before").unwrap();
        let half = |file: &mut File| {
            file.write_all(b"half")?;
            Err(io::Error::other("no room"))
        };
        assert_eq!(replace(&path, half).unwrap_err().to_string(), "no room");
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (dir.path().join("state.json"), dir.path().join("elsewhere"));
        fs::write(&elsewhere, "untouched").unwrap();
        symlink(&elsewhere, path.with_extension("new")).unwrap();
        replace(&path, |file| file.write_all(b"x")).unwrap_err();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "untouched");
    }
}
