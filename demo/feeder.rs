//! The feeder: writes the replay at a steady rate, to two files and into a pipe.
//!
//! Takes the folder, the pipe and the rate; gives the number of lines written. An event goes out in one write. Now and
//! then the files are rotated, one by rename, the other as logrotate's `copytruncate` does it.

use std::{
    fs::{self, File},
    io::{self, Write},
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    net::unix::pipe,
    time::{Instant, timeout},
};

use crate::{
    fly::Fly,
    replay::{Log, Replay},
};

pub(crate) const INGRESS_FILE: &str = "ingress.log";
pub(crate) const PHOENIX_FILE: &str = "phoenix.log";

/// How long a file is written to before it is rotated.
const ROTATE_INTERVAL: Duration = Duration::from_secs(15);

/// A pipe that takes nothing for so long is stuck.
const PIPE_WITHIN: Duration = Duration::from_secs(10);

/// Lines written, by the agent that is to ship them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) files: u64,
    pub(crate) pipe: u64,
}

impl Written {
    pub(crate) const fn all(self) -> u64 {
        self.files + self.pipe
    }
}

/// Writes the replay.
#[derive(Debug)]
pub(crate) struct Feeder {
    dir: PathBuf,
    replay: Replay,
    fly: Fly,
    ingress: File,
    phoenix: File,
    pipe: pipe::Sender,
    rate: NonZeroU32,
    start: Instant,
    rotated: Instant,
    written: Written,
}

impl Feeder {
    pub(crate) fn new(dir: &Path, pipe: pipe::Sender, rate: NonZeroU32) -> io::Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            replay: Replay::new(),
            fly: Fly::default(),
            ingress: appended(&dir.join(INGRESS_FILE))?,
            phoenix: appended(&dir.join(PHOENIX_FILE))?,
            pipe,
            rate,
            start: Instant::now(),
            rotated: Instant::now(),
            written: Written::default(),
        })
    }

    pub(crate) const fn written(&self) -> Written {
        self.written
    }

    /// Closes files and pipe.
    pub(crate) fn end(self) -> Written {
        self.written
    }

    /// Writes the events that are due by now.
    pub(crate) async fn feed(&mut self) -> io::Result<()> {
        if self.rotated.elapsed() >= ROTATE_INTERVAL {
            self.rotate()?;
        }
        let due = self.start.elapsed().as_millis() * u128::from(self.rate.get()) / 1000;
        while u128::from(self.written.all()) < due {
            self.write_event().await?;
        }
        Ok(())
    }

    /// One generation of each is kept, under a name that the agent is not told of.
    fn rotate(&mut self) -> io::Result<()> {
        self.rotated = Instant::now();
        let [ingress, phoenix] = [INGRESS_FILE, PHOENIX_FILE].map(|name| self.dir.join(name));
        let old = |path: &Path| path.with_extension("log.1");
        fs::rename(&ingress, old(&ingress))?;
        self.ingress = appended(&ingress)?;
        fs::copy(&phoenix, old(&phoenix))?;
        self.phoenix.set_len(0)
    }

    async fn write_event(&mut self) -> io::Result<()> {
        let now = Timestamp::now();
        let Some(event) = self.replay.next(now) else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        self.written.files += lines(&event.text);
        match event.log {
            Log::Ingress => self.ingress.write_all(event.text.as_bytes()),
            Log::Phoenix => {
                self.phoenix.write_all(event.text.as_bytes())?;
                let piped = self.fly.lines(event.id, &event.text, now);
                self.written.pipe += lines(&piped);
                timeout(PIPE_WITHIN, write_pipe(&self.pipe, piped.as_bytes())).await?
            }
        }
    }
}

fn appended(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

fn lines(text: &str) -> u64 {
    text.lines().map(|_| 1).sum()
}

async fn write_pipe(pipe: &pipe::Sender, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        pipe.writable().await?;
        match pipe.try_write(rest) {
            Ok(len) => rest = &rest[len..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
