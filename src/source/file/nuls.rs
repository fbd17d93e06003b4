//! NULs where text should be: a file made longer ahead of its writer, or one whose writer went on at its old offset
//! after it was truncated.
//!
//! Bytes that may still be written over must not be read, and holes of any size must cost nothing. So: NULs up to the
//! file's end are waited for; NULs before other bytes are, where a line should begin, no part of it.

use std::{fs::File, io, os::unix::fs::FileExt};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use super::print::read_full;

/// How much is looked through at a time.
const BLOCK_BYTES: usize = 64 * 1024;

/// What follows a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nuls {
    /// No NUL, or nothing.
    None,
    /// NULs as far as the file goes.
    ToTheEnd,
    /// NULs, and then something else there.
    Until(u64),
}

/// Reads into `room` from `at` on, and leaves out the NULs that the bytes read end with, unless they are all NULs with
/// something behind them. `known_to` is up to where NULs from `at` on are known of.
pub(super) fn read(file: &File, room: &mut [u8], at: u64, known_to: &mut u64) -> io::Result<usize> {
    let read = read_full(file, room, at)?;
    if read == 0 || room[read - 1] != 0 {
        return Ok(read);
    }
    let text = room[..read].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if text > 0 {
        return Ok(text);
    }
    Ok(match self::at(file, at, known_to)? {
        Nuls::Until(_) => read,
        Nuls::None | Nuls::ToTheEnd => 0,
    })
}

/// Looks for the end of the NULs at `at`. What was found up to `known_to` before is not looked through again.
pub(super) fn at(file: &File, at: u64, known_to: &mut u64) -> io::Result<Nuls> {
    let mut first = [0];
    if file.read_at(&mut first, at)? == 0 || first != [0] {
        return Ok(Nuls::None);
    }
    let mut block = vec![0; BLOCK_BYTES];
    let mut next = at.max(*known_to);
    loop {
        next = match next_data(file, next)? {
            Some(data) => data,
            None => break,
        };
        let read = read_full(file, &mut block, next)?;
        if let Some(found) = block[..read].iter().position(|byte| *byte != 0) {
            return Ok(Nuls::Until(next + found as u64));
        }
        next += read as u64;
        if read < block.len() {
            break;
        }
    }
    *known_to = next;
    Ok(Nuls::ToTheEnd)
}

/// Where the next bytes are that were written; `None` if there are only holes.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        // Not every file system knows its holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn the_end_of_nuls_is_found_in_holes_and_in_written_ones() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = OpenOptions::new();
        let file =
            options.create(true).truncate(true).read(true).write(true).open(dir.path().join("a")).unwrap();
        file.write_all_at(b"text\n", 0).unwrap();
        file.set_len(10 << 30).unwrap();
        let mut known = 0;
        assert_eq!(at(&file, 0, &mut known).unwrap(), Nuls::None);
        assert_eq!(at(&file, 5, &mut known).unwrap(), Nuls::ToTheEnd);
        let mut room = [1; 100];
        assert_eq!(read(&file, &mut room, 0, &mut 0).unwrap(), 5);
        assert_eq!(read(&file, &mut room, 5, &mut 0).unwrap(), 0, "they may be written over");
        file.write_all_at(b"more\n", 5).unwrap();
        assert_eq!(read(&file, &mut room, 5, &mut known).unwrap(), 5);
        file.write_all_at(&[0; 200_000], 10).unwrap();
        file.write_all_at(b"x", (9 << 30) + 7).unwrap();
        assert_eq!(at(&file, 10, &mut 0).unwrap(), Nuls::Until((9 << 30) + 7));
        assert_eq!(read(&file, &mut room, 10, &mut 0).unwrap(), 100, "NULs inside a line are part of it");
        assert_eq!(at(&file, (9 << 30) + 8, &mut 0).unwrap(), Nuls::ToTheEnd);
    }
}
