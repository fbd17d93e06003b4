//! Rescue: copies, in the state directory, of bytes that would otherwise be out of reach after a stop: the rest of a
//! file that was deleted, or that there is only a `.gz` of by now.
//!
//! A copy has its bytes at the same positions as the original, with holes for what is not needed, so that it is read
//! as the original would be. Takes open files; gives a copy that is whole on the disk, or none.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Seek},
    os::unix::fs::{DirBuilderExt, FileExt},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

use super::print::{HEAD_BYTES, Print, read_full};
use crate::{ack::Held, durable, frame::BEFORE_BYTES};

const BLOCK_BYTES: usize = 256 * 1024;

/// What a `.gz` may become at most: so many bytes, and so many times its size. Logs shrink to a tenth, to a hundredth
/// at best.
const UNPACKED_BYTES_MIN: u64 = 64 * 1024 * 1024;
const UNPACKED_RATIO_MAX: u64 = 250;

/// What is needed of a file: where it is to be read on from, and lines before that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needed<'h> {
    pub(super) position: u64,
    pub(super) held: &'h [Held],
}

impl Needed<'_> {
    /// Where it begins, but for the head that a file is known by.
    fn from(&self) -> u64 {
        let first = self.held.iter().map(|held| held.position).min().unwrap_or(self.position);
        first.min(self.position.saturating_sub(BEFORE_BYTES as u64))
    }
}

/// Where the copy of that file is.
pub(super) fn path(state_dir: &Path, id: u64) -> PathBuf {
    state_dir.join("rescue").join(format!("{id:016x}.log"))
}

/// Removes the copies in a state directory that are of none of these files.
pub fn remove_strays(state_dir: &Path, known: &[u64]) {
    let known: Vec<PathBuf> = known.iter().map(|id| path(state_dir, *id)).collect();
    let entries = fs::read_dir(state_dir.join("rescue")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| !known.contains(path)).for_each(|path| remove(&path));
}

/// Removes a copy; one that is not there is as good as removed.
pub(super) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a rescued copy that is no longer needed can't be removed");
    }
}

fn create_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| DirBuilder::new().recursive(true).mode(0o700).create(folder))
}

/// Copies what is needed of `from`, up to its end. Answers `None` if that is more than `bytes_max`.
///
/// # Errors
/// When it can't be read or written; then there is no copy.
pub(super) fn copy(from: &File, to: &Path, needed: Needed<'_>, bytes_max: u64) -> io::Result<Option<File>> {
    let len = from.metadata()?.len();
    let mut ranges = vec![(0, HEAD_BYTES as u64), (needed.position.saturating_sub(BEFORE_BYTES as u64), len)];
    ranges.extend(needed.held.iter().map(|held| (held.position, held.position + u64::from(held.len))));
    if ranges.iter().map(|(from, to)| to.saturating_sub(*from)).sum::<u64>() > bytes_max {
        return Ok(None);
    }
    create_folder_of(to)?;
    // The copy that there may be already is the one that counts until this one is whole.
    let copy = durable::replace(to, |file| {
        file.set_len(len)?;
        ranges.into_iter().try_for_each(|(start, end)| copy_range(from, file, start, end.min(len)))
    });
    copy.map(Some)
}

fn copy_range(from: &File, to: &File, mut at: u64, end: u64) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(block.len());
        let read = read_full(from, &mut block[..wanted], at)?;
        if read == 0 {
            break;
        }
        to.write_all_at(&block[..read], at)?;
        at += read as u64;
    }
    Ok(())
}

/// Unpacks what is needed of a `.gz`, if it is what its print at some position says, which is not before what is needed. Answers `None` if it is not, or too large.
///
/// # Errors
/// When it can't be read or written; then there is no copy.
pub(super) fn unpack(
    gz: &File,
    to: &Path,
    needed: Needed<'_>,
    (print, position): (Print, u64),
    bytes_max: u64,
) -> io::Result<Option<File>> {
    // Most files there are others: that must not cost unpacking each of them.
    if !begins_like(gz, print, position)? {
        return Ok(None);
    }
    let result = unpacked(gz, to, needed, bytes_max).and_then(|file| match file {
        Some(file) if print.fits(&file, position, true)? => {
            file.sync_all()?;
            durable::sync_folder_of(to)?;
            Ok(Some(file))
        }
        _ => Ok(None),
    });
    if !matches!(result, Ok(Some(_))) {
        remove(to);
    }
    result
}

/// Whether the first bytes of a `.gz` are those of a print at some position.
fn begins_like(mut gz: &File, print: Print, position: u64) -> io::Result<bool> {
    let Some(head) = print.head.filter(|head| position == 0 || u64::from(head.len) <= position) else {
        return Ok(true);
    };
    gz.rewind()?;
    let mut first = Vec::new();
    MultiGzDecoder::new(gz).take(head.len.into()).read_to_end(&mut first)?;
    Ok(first.len() == usize::from(head.len) && crc32fast::hash(&first) == head.crc)
}

fn unpacked(mut gz: &File, to: &Path, needed: Needed<'_>, bytes_max: u64) -> io::Result<Option<File>> {
    let read_max = UNPACKED_BYTES_MIN.max(gz.metadata()?.len().saturating_mul(UNPACKED_RATIO_MAX));
    let from = needed.from();
    create_folder_of(to)?;
    let (file, mut block) = (durable::create(to)?, vec![0; BLOCK_BYTES]);
    let (mut at, mut whole_to) = (0, 0);
    gz.rewind()?;
    let mut decoder = MultiGzDecoder::new(gz);
    loop {
        let read = match decoder.read(&mut block) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // One that is being written, or is damaged: the whole lines that could be read count.
            Err(_) if whole_to > needed.position => {
                file.set_len(whole_to)?;
                break;
            }
            Err(error) => return Err(error),
        };
        let end = at + read as u64;
        if end > read_max || end.saturating_sub(from) > bytes_max {
            tracing::error!(bytes = end, "a .gz is too large when unpacked: not read any further");
            return Ok(None);
        }
        let skip = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX).min(read);
        file.write_all_at(&block[skip..read], at + skip as u64)?;
        if at < HEAD_BYTES as u64 {
            file.write_all_at(&block[..skip.min(HEAD_BYTES)], at)?;
        }
        if let Some(newline) = memchr::memrchr(b'\n', &block[..read]) {
            whole_to = at + newline as u64 + 1;
        }
        at = end;
    }
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::MetadataExt};

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::source::file::print::{head_of, tail_at};

    fn text() -> Vec<u8> {
        (0..200_000).flat_map(|n: u32| format!("line {n}\n").into_bytes()).collect()
    }

    fn print(file: &File, position: u64) -> Print {
        Print {
            born: Some(1),
            head: head_of(file, position).unwrap(),
            tail: tail_at(file, position).unwrap(),
        }
    }

    #[test]
    fn a_copy_has_what_is_needed_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (path, to) = (dir.path().join("a"), path(dir.path(), 7));
        let text = text();
        fs::write(&path, &text).unwrap();
        let file = File::open(&path).unwrap();
        let held = [Held { position: 100_000, len: 10, flags: 0 }];
        let position = text.len() as u64 - 1_000;
        let needed = Needed { position, held: &held };
        assert!(copy(&file, &to, needed, 100).unwrap().is_none(), "it does not fit");
        let copied = copy(&file, &to, needed, 10_000).unwrap().unwrap();
        assert!(print(&file, position).fits(&copied, position, true).unwrap());
        let mut rest = vec![0; 2_000];
        assert_eq!(read_full(&copied, &mut rest, position).unwrap(), 1_000);
        assert_eq!(rest[..1_000], text[text.len() - 1_000..]);
        assert_eq!(read_full(&copied, &mut rest[..10], 100_000).unwrap(), 10);
        assert_eq!(rest[..10], text[100_000..100_010]);
        assert!(copied.metadata().unwrap().blocks() * 512 < text.len() as u64 / 4, "the rest are holes");
        assert_eq!(copied.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_gz_is_unpacked_only_if_it_is_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, gz, to) = (dir.path().join("a"), dir.path().join("a.gz"), path(dir.path(), 7));
        let text = text();
        fs::write(&path, &text).unwrap();
        let mut encoder = GzEncoder::new(File::create(&gz).unwrap(), Compression::fast());
        encoder.write_all(&text).unwrap();
        encoder.finish().unwrap();
        let (file, gz) = (File::open(&path).unwrap(), File::open(&gz).unwrap());
        for position in [0, 7, 300, 100_000, text.len() as u64] {
            let held = [Held { position: position / 2, len: 5, flags: 0 }];
            let needed = Needed { position, held: &held };
            let print = print(&file, position);
            let copied = unpack(&gz, &to, needed, (print, position), 1 << 30).unwrap().unwrap();
            let mut rest = vec![0; text.len()];
            let read = read_full(&copied, &mut rest, position).unwrap();
            assert_eq!(rest[..read], text[usize::try_from(position).unwrap()..]);
            let other = Print { tail: print.tail.map(|tail| tail ^ 1), ..print };
            assert!(unpack(&gz, &to, needed, (other, position), 1 << 30).unwrap().is_none() && !to.exists());
        }
        let needed = Needed { position: 0, held: &[] };
        assert!(unpack(&gz, &to, needed, (Print::default(), 0), 1_000).unwrap().is_none(), "too large");
    }

    /// Found by torture: part of a line, from a `.gz` that was just being made, was shipped as a line.
    #[test]
    fn of_a_gz_that_is_being_made_only_whole_lines_count() {
        let dir = tempfile::tempdir().unwrap();
        let (path, gz, to) = (dir.path().join("a"), dir.path().join("a.gz"), path(dir.path(), 7));
        let text = text();
        fs::write(&path, &text).unwrap();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).unwrap();
        let packed = encoder.finish().unwrap();
        fs::write(&gz, &packed[..packed.len() / 2]).unwrap();
        let (file, gz) = (File::open(&path).unwrap(), File::open(&gz).unwrap());
        let needed = Needed { position: 7, held: &[] };
        unpack(&gz, &to, needed, (print(&file, 7), 7), 1 << 30).unwrap().unwrap();
        let unpacked = fs::read(&to).unwrap();
        assert!(unpacked.len() > text.len() / 4 && unpacked.len() < text.len());
        assert!(unpacked == text[..unpacked.len()] && unpacked.last() == Some(&b'\n'));
    }
}
