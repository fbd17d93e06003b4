//! The writers: each appends its lines to one log file, in blocks that sometimes end in the middle of a line.
//!
//! A [`Pen`] is shared with the rotator. Its lock is held for one write, one reopening, one truncation, so that which
//! bytes are in which generation is known exactly; what the kernel does with them is what it does without the lock,
//! since it holds one of its own.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use crate::line::{self, Spot};

/// The longest a writer is silent.
const PAUSE_MS_MAX: u64 = 20;
/// The largest write.
const BLOCK_BYTES_MAX: usize = 65_536;

/// A log file that is being written.
pub(crate) struct Pen {
    number: usize,
    path: PathBuf,
    file: File,
    random: fastrand::Rng,
    /// Where the file's first byte is.
    begin: Spot,
    /// Where its next byte is.
    spot: Spot,
    /// How many bytes there must be in it.
    len: u64,
}

/// What a file had when it was let go of: everything between two spots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) begin: Spot,
    pub(crate) end: Spot,
}

impl Pen {
    pub(crate) fn new(number: usize, path: PathBuf, random: fastrand::Rng) -> Mutex<Self> {
        let file = append(&path);
        let (begin, spot) = (Spot::default(), Spot::default());
        Mutex::new(Self { number, path, file, random, begin, spot, len: 0 })
    }

    /// One write of about `bytes`; one in three ends in the middle of a line, which the next one completes.
    fn write(&mut self, bytes: usize) {
        let mut block = line::text(self.number, self.spot.line).split_off(self.spot.cut);
        let (mut last, mut last_at) = (self.spot.line, 0);
        while block.len() < bytes {
            (last, last_at) = (last + 1, block.len());
            block.push_str(&line::text(self.number, last));
        }
        let begun = if last == self.spot.line { self.spot.cut } else { 0 };
        let rest = block.len() - last_at;
        if rest > 1 && self.random.u8(..3) == 0 {
            let part = self.random.usize(1..rest);
            block.truncate(last_at + part);
            self.spot = Spot { line: last, cut: begun + part };
        } else {
            self.spot = Spot { line: last + 1, cut: 0 };
        }
        self.file.write_all(block.as_bytes()).expect("room on the disk");
        self.len += block.len() as u64;
    }

    /// Writes what is missing of the line that was begun, if one was.
    fn finish_line(&mut self) {
        if self.spot.cut > 0 {
            let rest = line::text(self.number, self.spot.line).split_off(self.spot.cut);
            self.file.write_all(rest.as_bytes()).expect("room on the disk");
            self.len += rest.len() as u64;
            self.spot = Spot { line: self.spot.line + 1, cut: 0 };
        }
    }

    /// Goes on in a new file of the same name, as a program does when it is told to; gives what the old one has.
    pub(crate) fn reopen(&mut self) -> Stretch {
        self.finish_line();
        self.file = append(&self.path);
        self.let_go()
    }

    /// Empties the file behind the writer's back; gives what it had.
    pub(crate) fn truncate(&mut self) -> Stretch {
        self.check_len();
        self.file.set_len(0).expect("a file of ours");
        self.let_go()
    }

    /// What the file has when nobody will write any more.
    pub(crate) fn end(&mut self) -> Stretch {
        self.finish_line();
        self.check_len();
        self.let_go()
    }

    /// Where the file's first byte is.
    pub(crate) fn begin(&self) -> Spot {
        self.begin
    }

    fn let_go(&mut self) -> Stretch {
        let stretch = Stretch { begin: self.begin, end: self.spot };
        (self.begin, self.len) = (self.spot, 0);
        stretch
    }

    fn check_len(&self) {
        assert_eq!(self.file.metadata().expect("an open file").len(), self.len, "the book-keeping is wrong");
    }
}

/// The pen, whoever has it.
pub(crate) fn hold(pen: &Mutex<Pen>) -> MutexGuard<'_, Pen> {
    pen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes at a pace until the other end of `stop` is gone.
pub(crate) fn write(pen: &Mutex<Pen>, bytes_s: f64, stop: &Receiver<()>, mut random: fastrand::Rng) {
    let (start, mut written) = (Instant::now(), 0.0);
    loop {
        let pause = Duration::from_millis(random.u64(..PAUSE_MS_MAX));
        if stop.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        while written < bytes_s * start.elapsed().as_secs_f64() {
            let bytes = random.usize(1..BLOCK_BYTES_MAX);
            hold(pen).write(bytes);
            written += bytes as f64;
        }
    }
}

fn append(path: &PathBuf) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a log file")
}
