//! Prints: what a file is known again by. Device and inode say which file it should be, its print whether it still is:
//! inodes are used again, and files are truncated and written anew.
//!
//! Takes open files, never names. A print only ever refutes: two files with the same content stay two files.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::FileExt,
    time::UNIX_EPOCH,
};

use crate::{
    checkpoint::{Entry, Head},
    frame::BEFORE_BYTES,
};

/// How many bytes at a file's beginning count.
pub(super) const HEAD_BYTES: usize = 256;

/// Before this position two files may well begin with the same bytes, if not with the same lines.
const SHORT_BYTES: u64 = 256;

/// What a file is known again by at some position in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Print {
    /// When it was made, in nanoseconds since 1970, where the file system tells.
    pub(super) born: Option<i64>,
    /// A checksum of its first bytes, at most [`HEAD_BYTES`]: before anything is taken, of those that are there, else of
    /// those before the position.
    pub(super) head: Option<Head>,
    /// A checksum of the [`BEFORE_BYTES`] before the position; `None` if it is not known.
    pub(super) tail: Option<u32>,
}

impl Print {
    /// What a checkpoint says of a file.
    pub(super) const fn of(entry: &Entry) -> Self {
        Self { born: entry.born, head: entry.head, tail: entry.tail }
    }

    /// Whether a file may be the one with this print at `position`; with `is_copy` it may have been made at another time.
    ///
    /// # Errors
    /// When it can't be read.
    pub(super) fn fits(&self, file: &File, position: u64, is_copy: bool) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let other_birth =
            !is_copy && matches!((self.born, born(&metadata)), (Some(ours), Some(its)) if ours != its);
        if metadata.len() < position || other_birth {
            return Ok(false);
        }
        let tail = match self.tail {
            Some(tail) => tail_at(file, position)? == Some(tail),
            None => true,
        };
        // Near the beginning the tail is all there is, and a copy may end before the head does.
        let head = match self.head.filter(|head| position == 0 || u64::from(head.len) <= position) {
            Some(head) => head_of(file, head.len.into())? == Some(head),
            None => true,
        };
        let is_likely = !is_copy || position >= SHORT_BYTES || position == 0 || metadata.len() == position;
        Ok(tail && head && (is_likely || ends_line(file, position)?))
    }

    /// Whether it says anything of what is in a file.
    pub(super) const fn tells(&self) -> bool {
        self.head.is_some() || self.tail.is_some()
    }

    /// Takes note of the file's first bytes up to `len`; answers whether that are more than before.
    ///
    /// # Errors
    /// When it can't be read.
    pub(super) fn learn_head(&mut self, file: &File, len: u64) -> io::Result<bool> {
        let known = self.head.map_or(0, |head| u64::from(head.len));
        if known >= len.min(HEAD_BYTES as u64) {
            return Ok(false);
        }
        let before = self.head;
        self.head = head_of(file, len)?.or(before);
        Ok(self.head != before)
    }
}

/// When a file was made.
pub(super) fn born(metadata: &Metadata) -> Option<i64> {
    let born = metadata.created().ok()?;
    i64::try_from(born.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// The checksum of a file's first bytes up to `len`, or, if there are not many, of the whole lines among them; `None` if
/// there are none. NULs that may be written over do not count.
pub(super) fn head_of(file: &File, len: u64) -> io::Result<Option<Head>> {
    let mut bytes = [0; HEAD_BYTES];
    let wanted = usize::try_from(len).unwrap_or(usize::MAX).min(HEAD_BYTES);
    let read = read_full(file, &mut bytes[..wanted], 0)?;
    // Two files may well begin with the same part of a line.
    let whole = |read: usize| memchr::memrchr(b'\n', &bytes[..read]).map_or(0, |last| last + 1);
    let text = if read == HEAD_BYTES && bytes[read - 1] != 0 { read } else { whole(read) };
    let head = u16::try_from(text).ok().filter(|len| *len > 0);
    Ok(head.map(|len| Head { len, crc: crc32fast::hash(&bytes[..text]) }))
}

/// The checksum of the [`BEFORE_BYTES`] before `position`, or of all that there are; `None` if they are not there.
pub(super) fn tail_at(file: &File, position: u64) -> io::Result<Option<u32>> {
    let mut room = [0; BEFORE_BYTES];
    Ok(before(file, position, &mut room)?.map(crc32fast::hash))
}

/// The [`BEFORE_BYTES`] before `position`, or all that there are; `None` if they are not there.
pub(super) fn before<'r>(
    file: &File,
    position: u64,
    room: &'r mut [u8; BEFORE_BYTES],
) -> io::Result<Option<&'r [u8]>> {
    let wanted = usize::try_from(position).unwrap_or(usize::MAX).min(BEFORE_BYTES);
    let read = read_full(file, &mut room[..wanted], position - wanted as u64)?;
    Ok((read == wanted).then_some(&room[..wanted]))
}

/// Reads until `room` is full or the file ends; answers how much.
pub(super) fn read_full(file: &File, room: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < room.len() {
        match file.read_at(&mut room[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What was read before the error is good; the error will come again.
            Err(_) if filled > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether a line ends right before a position.
fn ends_line(file: &File, position: u64) -> io::Result<bool> {
    let mut last = [0];
    Ok(read_full(file, &mut last, position - 1)? == 1 && last == [b'\n'])
}

/// Whether two files hold the same bytes up to the shorter one's end, going by the first and the last of them; `None`
/// if there is nothing to go by.
pub(super) fn begin_alike(a: &File, b: &File) -> io::Result<Option<bool>> {
    let shared = a.metadata()?.len().min(b.metadata()?.len());
    if shared == 0 {
        return Ok(None);
    }
    let head = shared.min(HEAD_BYTES as u64);
    // The same part of a line tells nothing.
    if shared < HEAD_BYTES as u64 && head_of(a, shared)?.is_none() {
        return Ok(None);
    }
    Ok(Some(tail_at(a, head)? == tail_at(b, head)? && tail_at(a, shared)? == tail_at(b, shared)?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_print_refutes_whatever_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let text: Vec<u8> = (0..1_000_u32).flat_map(u32::to_be_bytes).collect();
        fs::write(&path, &text).unwrap();
        let file = File::open(&path).unwrap();
        let mut print = Print { born: born(&file.metadata().unwrap()), ..Print::default() };
        assert!(print.fits(&file, 0, false).unwrap(), "nothing is known of it");
        assert!(!print.learn_head(&file, 0).unwrap() && !print.learn_head(&file, 10).unwrap(), "no line yet");
        assert!(print.learn_head(&file, 1_000).unwrap() && !print.learn_head(&file, 2_000).unwrap());
        print.tail = tail_at(&file, 2_000).unwrap();
        assert!(print.fits(&file, 2_000, false).unwrap());
        for changed in [0, 255, 1_744, 1_999] {
            let mut other = text.clone();
            other[changed] ^= 1;
            fs::write(&path, &other).unwrap();
            assert!(!print.fits(&file, 2_000, false).unwrap(), "{changed}");
        }
        fs::write(&path, &text[..1_999]).unwrap();
        assert!(!print.fits(&file, 2_000, false).unwrap(), "shorter");
        fs::write(&path, &text[..2_000]).unwrap();
        assert!(print.fits(&file, 2_000, false).unwrap());
        let reborn = Print { born: Some(1), ..print };
        assert_eq!(reborn.fits(&file, 2_000, false).unwrap(), print.born.is_none());
        assert!(reborn.fits(&file, 2_000, true).unwrap(), "a copy is younger");
    }

    #[test]
    fn files_begin_alike_up_to_the_shorter_ones_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            File::open(dir.path().join(name)).unwrap()
        };
        let long = file("a", &"012345678\n".repeat(100));
        assert_eq!(begin_alike(&long, &file("b", "")).unwrap(), None);
        assert_eq!(begin_alike(&long, &file("c", "01")).unwrap(), None, "part of a line");
        assert_eq!(begin_alike(&long, &file("d", "012345678\n0")).unwrap(), Some(true));
        assert_eq!(begin_alike(&long, &file("g", "012345679\n0")).unwrap(), Some(false));
        assert_eq!(begin_alike(&file("e", &"012345678\n".repeat(50)), &long).unwrap(), Some(true));
        let differs = format!("{}x", "012345678\n".repeat(50));
        assert_eq!(begin_alike(&file("f", &differs), &long).unwrap(), Some(false));
    }
}
