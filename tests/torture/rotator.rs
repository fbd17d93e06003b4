//! The rotator: does to one log file what logrotate does, each second, sometimes twice, and writes down what it did.
//!
//! `x.log` becomes `x.log.1`, `.1` becomes `.2` and so on, by renaming it while the writer still has it open, or in
//! turn by copying it and truncating it under the writer's hands. Some old ones become `.gz`, under their last name
//! from the first byte (as logrotate does it), or under another until they are whole (as kubelet does it).

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};

use crate::{
    history::{Fate, Generation, History},
    settings::Rotations,
    writer::{Pen, hold},
};

/// How often, how long, how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// From one rotation to the next.
    pub(crate) interval: Duration,
    /// How old a file is before it may be gzipped.
    pub(crate) pack_after: Duration,
    /// How many old ones are kept.
    pub(crate) keep: usize,
}

/// One file's rotator.
pub(crate) struct Rotator {
    pub(crate) number: usize,
    pub(crate) path: PathBuf,
    pub(crate) pen: Arc<Mutex<Pen>>,
    pub(crate) rotations: Rotations,
    pub(crate) pace: Pace,
    pub(crate) start: Instant,
    pub(crate) random: fastrand::Rng,
    pub(crate) log: Log,
}

/// What it has done so far.
#[derive(Default)]
pub(crate) struct Log {
    history: History,
    /// The old files: `x.log.1` first.
    old: VecDeque<Old>,
    turn: usize,
}

/// An old file.
struct Old {
    /// Which generation it is.
    generation: usize,
    packed: bool,
    /// Whether it will be gzipped.
    chosen: bool,
}

impl Rotator {
    /// Rotates until the other end of `stop` is gone.
    pub(crate) fn run(&mut self, stop: &Receiver<()>) {
        let mut pause = self.pace.interval.mul_f64(0.2 + self.random.f64());
        while stop.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let twice = self.random.u8(..5) == 0;
            self.rotate(stop);
            self.pack_one(twice);
            pause = if twice { Duration::from_millis(self.random.u64(..30)) } else { self.pace.interval };
        }
    }

    /// What the log file has when its writer is gone.
    pub(crate) fn finish(mut self) -> History {
        let had = hold(&self.pen).end();
        self.log.history.generations.push(Generation::whole(Fate::Stayed, had, self.start.elapsed()));
        self.log.history
    }

    fn rotate(&mut self, stop: &Receiver<()>) {
        self.log.turn += 1;
        self.shift();
        let by_copy =
            self.rotations.copytruncate && (!self.rotations.rename || self.log.turn.is_multiple_of(2));
        let generation = if by_copy { self.copy_truncate(stop) } else { self.rename(stop) };
        let chosen = self.rotations.gzip && self.random.u8(..3) == 0;
        let old = Old { generation: self.log.history.generations.len(), packed: false, chosen };
        self.log.old.push_front(old);
        self.log.history.generations.push(generation);
    }

    /// Frees the name `x.log.1`, the oldest first.
    fn shift(&mut self) {
        if self.log.old.len() == self.pace.keep {
            let oldest = self.name(self.log.old.len() - 1);
            fs::remove_file(oldest).expect("an old file");
            let gone = self.log.old.pop_back().map(|old| old.generation);
            let gone = gone.and_then(|gone| self.log.history.generations.get_mut(gone));
            if let Some(gone) = gone {
                gone.deleted = Some(self.start.elapsed());
            }
        }
        for index in (0..self.log.old.len()).rev() {
            let packed = self.log.old[index].packed;
            fs::rename(self.name(index), numbered(&self.path, index + 2, packed)).expect("an old file");
        }
    }

    /// The writer goes on in the renamed file until it is told to open the new one, which logrotate has made or not.
    fn rename(&mut self, stop: &Receiver<()>) -> Generation {
        fs::rename(&self.path, numbered(&self.path, 1, false)).expect("a log file");
        if self.random.bool() {
            File::create_new(&self.path).expect("a free name");
        }
        self.pause(stop, 100);
        let had = hold(&self.pen).reopen();
        Generation::whole(Fate::Renamed, had, self.start.elapsed())
    }

    /// What is written after the copy has seen the end and before the truncation is gone for good.
    fn copy_truncate(&mut self, stop: &Receiver<()>) -> Generation {
        let begin = hold(&self.pen).begin();
        let bytes = copy(&self.path, &numbered(&self.path, 1, false)).expect("a copy");
        if self.random.bool() {
            self.pause(stop, 10);
        }
        let had = hold(&self.pen).truncate();
        Generation::copied(begin.later(self.number, bytes), had, self.start.elapsed())
    }

    /// Gzips an old file that is old enough: the newest one if `newest` says so, or else the newest that was chosen.
    fn pack_one(&mut self, newest: bool) {
        let (now, after) = (self.start.elapsed(), self.pace.pack_after);
        let due = |old: &Old| {
            let closed = self.log.history.generations[old.generation].closed;
            !old.packed && (old.chosen || newest) && closed + after <= now
        };
        let Some(index) = self.log.old.iter().position(due).filter(|_| self.rotations.gzip) else { return };
        let (plain, packed) = (self.name(index), numbered(&self.path, index + 1, true));
        if self.random.bool() {
            pack(&plain, &packed).expect("room on the disk");
        } else {
            let meanwhile = plain.with_added_extension("tmp");
            pack(&plain, &meanwhile).expect("room on the disk");
            fs::rename(meanwhile, packed).expect("a file of ours");
        }
        fs::remove_file(plain).expect("an old file");
        let old = &mut self.log.old[index];
        old.packed = true;
        self.log.history.generations[old.generation].packed = Some(self.start.elapsed());
    }

    fn name(&self, index: usize) -> PathBuf {
        numbered(&self.path, index + 1, self.log.old[index].packed)
    }

    /// Up to `ms`, or until it is over.
    fn pause(&mut self, stop: &Receiver<()>, ms: u64) {
        stop.recv_timeout(Duration::from_millis(self.random.u64(..ms))).ok();
    }
}

fn numbered(path: &Path, number: usize, packed: bool) -> PathBuf {
    let path = path.with_added_extension(number.to_string());
    if packed { path.with_added_extension("gz") } else { path }
}

/// Reads and writes in turns until it sees the end, as logrotate does; gives how many bytes it saw.
fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    let (mut from, mut to) = (File::open(from)?, File::create_new(to)?);
    let (mut room, mut bytes) = (vec![0; 65_536], 0);
    loop {
        let len = from.read(&mut room)?;
        if len == 0 {
            return Ok(bytes);
        }
        to.write_all(&room[..len])?;
        bytes += len as u64;
    }
}

/// Compresses a file, piece by piece, and gives the result its age.
fn pack(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let to = OpenOptions::new().write(true).create_new(true).open(to)?;
    let mut encoder = GzEncoder::new(to, Compression::fast());
    io::copy(&mut from, &mut encoder)?;
    encoder.finish()?.set_modified(from.metadata()?.modified()?)
}
