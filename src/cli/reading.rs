//! Reading a log for people: `parse` and `explain` pass all of a file, or of standard input, as the agent would.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::Path,
};

use crate::{
    clock::{self, Clock},
    encode::Constants,
    frame::LineBuffer,
    pass::{Chunk, Moment, Pass, StreamFacts},
};

/// Passes all lines of a file, or of standard input if its name is `-`; `take` gets each chunk, and the pass that made it.
pub(super) fn pass_file(
    path: &Path,
    constants: Constants,
    clock: Clock,
    line_bytes_max: usize,
    pass: &mut Pass,
    take: &mut dyn FnMut(&mut Pass, &Chunk) -> io::Result<()>,
) -> io::Result<()> {
    let mut facts = StreamFacts::new(constants);
    let mut reading = Reading { clock, line_bytes_max, pass, take };
    if path == Path::new("-") {
        return reading.lines(&mut io::stdin().lock(), &facts);
    }
    let mut file = File::open(path)?;
    if matches!(clock, Clock::System) {
        facts.date = file.metadata().and_then(|metadata| metadata.modified()).ok().map(clock::of);
    }
    reading.lines(&mut file, &facts)
}

struct Reading<'r> {
    clock: Clock,
    line_bytes_max: usize,
    pass: &'r mut Pass,
    take: &'r mut dyn FnMut(&mut Pass, &Chunk) -> io::Result<()>,
}

impl Reading<'_> {
    fn lines(&mut self, input: &mut impl Read, facts: &StreamFacts) -> io::Result<()> {
        let mut buffer = LineBuffer::framed(self.pass.framing(), self.line_bytes_max);
        loop {
            let read = buffer.fill(|room, _| {
                loop {
                    match input.read(room) {
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        result => return result,
                    }
                }
            })?;
            while buffer.has_line() {
                let moment = Moment::at(self.clock.now());
                let chunk = self.pass.run(buffer.lines(), facts, moment, usize::MAX);
                buffer.take(chunk.end);
                (self.take)(self.pass, &chunk)?;
            }
            if read == 0 {
                let line = buffer.unfinished_line().into_iter();
                let moment = Moment::at(self.clock.now());
                let chunk = self.pass.run(line, facts, moment, usize::MAX);
                (self.take)(self.pass, &chunk)?;
                let chunk = self.pass.flush(moment, usize::MAX);
                return (self.take)(self.pass, &chunk);
            }
        }
    }
}
