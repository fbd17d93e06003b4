//! Framing: bytes as they come → lines.
//!
//! Takes whatever pieces a reader got, gives lines without their `\n` (and one `\r` before it). Any cut of the
//! input gives the same lines. A line over the cap keeps its head: the rest is read past in fixed memory, and
//! the line is given when its newline is seen, with a position that reaches past it.
//!
//! Invariant: positions are offsets in the stream; `position()` is always the start of a line not yet taken.

use memchr::memchr;

/// Bytes read at a time, and how much of a chunk of whole lines is passed on at once.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// A framed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'b> {
    /// The line without its end; only its head if it was longer than the cap.
    pub text: &'b [u8],
    /// Where it starts in the stream.
    pub start: u64,
    /// Where the next one starts.
    pub end: u64,
    /// Whether the line was longer than the cap.
    pub cut: bool,
    /// Whether the stream ended before the line did.
    pub partial: bool,
}

/// A source's read buffer: bytes of one stream that are not yet taken as lines.
#[derive(Debug)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    line_bytes_max: usize,
    /// Where the first untaken byte is in `bytes`, and in the stream.
    start: usize,
    position: u64,
    /// How many bytes of `bytes[start..]` are known to hold no newline.
    searched: usize,
    /// Bytes read past between the head of a line over the cap and the end of `bytes`.
    skipped: u64,
}

impl LineBuffer {
    /// An empty buffer for lines of at most `line_bytes_max` bytes.
    #[must_use]
    pub const fn new(line_bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), line_bytes_max, start: 0, position: 0, searched: 0, skipped: 0 }
    }

    /// The most memory that such a buffer takes, in bytes.
    #[must_use]
    pub const fn bytes_max(line_bytes_max: usize) -> usize {
        line_bytes_max + 2 + CHUNK_BYTES
    }

    /// Forgets what it holds and goes on at that position, which must be the start of a line.
    pub fn reset(&mut self, position: u64) {
        self.bytes.clear();
        (self.start, self.searched, self.skipped, self.position) = (0, 0, 0, position);
    }

    /// Goes on inside a line over the cap of which `skipped` bytes were read past: takes its head anew from
    /// `read`. If the head is no longer there, the line is begun again.
    ///
    /// # Errors
    /// What `read` fails with.
    pub fn restore<E>(
        &mut self,
        position: u64,
        skipped: u64,
        read: impl FnOnce(&mut [u8], u64) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.reset(position);
        if skipped > 0 {
            self.bytes.resize(self.line_bytes_max + 2, 0);
            let head = read(&mut self.bytes, position)?;
            if head == self.bytes.len() {
                (self.searched, self.skipped) = (head, skipped);
            } else {
                self.bytes.clear();
            }
        }
        Ok(())
    }

    /// How many bytes of a line over the cap have been read past, for [`LineBuffer::restore`].
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The start of the first line not yet taken.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Where in the stream the next bytes to read are.
    #[must_use]
    pub fn read_position(&self) -> u64 {
        self.position + self.skipped + (self.bytes.len() - self.start) as u64
    }

    /// Whether nothing of the stream is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read_position() == self.position
    }

    /// Takes up to [`CHUNK_BYTES`] from `read`, which fills the slice's front and answers how much. Answers
    /// that number: 0 means that the reader has no more for now.
    ///
    /// # Errors
    /// What `read` fails with; the buffer is then as it was.
    pub fn fill<E>(&mut self, read: impl FnOnce(&mut [u8], u64) -> Result<usize, E>) -> Result<usize, E> {
        self.make_room();
        let at = self.read_position();
        let held = self.bytes.len();
        self.bytes.reserve_exact(CHUNK_BYTES);
        self.bytes.resize(held + CHUNK_BYTES, 0);
        let result = read(&mut self.bytes[held..], at);
        self.bytes.truncate(held + *result.as_ref().unwrap_or(&0));
        result
    }

    /// Moves what is held to the front; of a line over the cap only the head is kept.
    fn make_room(&mut self) {
        self.bytes.drain(..self.start);
        self.start = 0;
        // A line of exactly the cap may still be followed by `\r\n`.
        let unfinished = self.searched == self.bytes.len();
        if unfinished && self.bytes.len() > self.line_bytes_max + 1 {
            let excess = self.bytes.len() - (self.line_bytes_max + 2);
            self.skipped += excess as u64;
            self.bytes.truncate(self.line_bytes_max + 2);
            self.searched = self.bytes.len();
        }
    }

    /// Whether there is a whole line to take.
    pub fn has_line(&mut self) -> bool {
        match memchr(b'\n', &self.bytes[self.start + self.searched..]) {
            Some(_) => true,
            None => {
                self.searched = self.bytes.len() - self.start;
                false
            }
        }
    }

    /// The whole lines held, in order. Nothing is taken until [`LineBuffer::take`].
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            rest: &self.bytes[self.start..],
            searched: self.searched,
            skipped: self.skipped,
            position: self.position,
            line_bytes_max: self.line_bytes_max,
        }
    }

    /// Takes all lines up to `position`, which is the `end` of one of [`LineBuffer::lines`].
    pub fn take(&mut self, position: u64) {
        if position == self.position {
            return;
        }
        let taken = usize::try_from(position - self.position - self.skipped).unwrap_or(usize::MAX);
        self.start = (self.start + taken).min(self.bytes.len());
        (self.position, self.searched, self.skipped) = (position, 0, 0);
    }

    /// The last line, which the stream ended without ending; `None` if there is none.
    #[must_use]
    pub fn unfinished_line(&self) -> Option<Line<'_>> {
        let text = &self.bytes[self.start..];
        let cut = text.len() > self.line_bytes_max || self.skipped > 0;
        let kept = &text[..text.len().min(self.line_bytes_max)];
        let line = Line { text: kept, start: self.position, end: self.read_position(), cut, partial: true };
        (!self.is_empty()).then_some(line)
    }
}

/// The whole lines of a buffer.
#[derive(Clone, Debug)]
pub struct Lines<'b> {
    rest: &'b [u8],
    searched: usize,
    skipped: u64,
    position: u64,
    line_bytes_max: usize,
}

impl<'b> Iterator for Lines<'b> {
    type Item = Line<'b>;

    #[inline]
    fn next(&mut self) -> Option<Line<'b>> {
        let newline = self.searched + memchr(b'\n', &self.rest[self.searched..])?;
        let text = &self.rest[..newline];
        // Of a line read past, what is held is its head and its end: the head alone is its text.
        let text = if self.skipped > 0 { text } else { text.strip_suffix(b"\r").unwrap_or(text) };
        let cut = text.len() > self.line_bytes_max;
        let end = self.position + self.skipped + newline as u64 + 1;
        let text = if cut { &text[..self.line_bytes_max] } else { text };
        let line = Line { text, start: self.position, end, cut, partial: false };
        self.rest = &self.rest[newline + 1..];
        (self.position, self.searched, self.skipped) = (end, 0, 0);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAP: usize = 10;

    type Owned = (Vec<u8>, u64, u64, bool);

    fn own(line: Line<'_>) -> Owned {
        (line.text.to_vec(), line.start, line.end, line.cut)
    }

    /// The obviously right way: the whole input at once.
    fn naive(input: &[u8]) -> Vec<Owned> {
        let mut lines = Vec::new();
        let mut start = 0;
        while let Some(len) = input[start..].iter().position(|byte| *byte == b'\n') {
            let text = &input[start..start + len];
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let end = start + len + 1;
            lines.push((text[..text.len().min(CAP)].to_vec(), start as u64, end as u64, text.len() > CAP));
            start = end;
        }
        lines
    }

    fn framed(input: &[u8], cuts: &[usize]) -> (Vec<Owned>, LineBuffer) {
        let mut buffer = LineBuffer::new(CAP);
        let mut lines = Vec::new();
        let mut rest = input;
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let cut = rest.len().min(*cuts.next().unwrap_or(&usize::MAX));
            let read: Result<_, ()> = buffer.fill(|room, _| {
                room[..cut].copy_from_slice(&rest[..cut]);
                Ok(cut)
            });
            rest = &rest[read.unwrap()..];
            if buffer.has_line() {
                lines.extend(buffer.lines().map(own));
                let end = lines.last().unwrap().2;
                buffer.take(end);
            }
        }
        (lines, buffer)
    }

    fn input() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![3 => Just(b'x'), 1 => Just(b'\r'), 1 => Just(b'\n')], 0..200)
    }

    proptest! {
        #[test]
        fn any_cut_of_the_input_gives_the_same_lines(
            input in input(),
            cuts in prop::collection::vec(1_usize..40, 1..8),
        ) {
            let (lines, buffer) = framed(&input, &cuts);
            let expected = naive(&input);
            let end = expected.last().map_or(0, |line| line.2);
            prop_assert_eq!(lines, expected);
            prop_assert_eq!(buffer.position(), end);
            prop_assert_eq!(buffer.read_position(), input.len() as u64);
            let rest = &input[usize::try_from(end).unwrap()..];
            match buffer.unfinished_line() {
                Some(line) => prop_assert_eq!(line.text, &rest[..rest.len().min(CAP)]),
                None => prop_assert!(rest.is_empty()),
            }
        }
    }

    #[test]
    fn a_huge_line_is_read_past_in_fixed_memory() {
        let mut buffer = LineBuffer::new(CAP);
        for _ in 0..100 {
            let read: Result<_, ()> = buffer.fill(|room, _| {
                room.fill(b'x');
                Ok(room.len())
            });
            read.unwrap();
            assert!(!buffer.has_line());
        }
        let read: Result<_, ()> = buffer.fill(|room, _| {
            room[..4].copy_from_slice(b"\nab\n");
            Ok(4)
        });
        read.unwrap();
        assert!(buffer.bytes.capacity() <= 2 * LineBuffer::bytes_max(CAP));
        let lines: Vec<Owned> = buffer.lines().map(own).collect();
        let huge = 100 * CHUNK_BYTES as u64;
        assert_eq!(
            lines,
            [(vec![b'x'; CAP], 0, huge + 1, true), (b"ab".to_vec(), huge + 1, huge + 4, false),]
        );
    }

    #[test]
    fn a_long_line_is_gone_on_with_after_another_file_had_the_buffer() {
        let input = [&[b'x'; 300][..], b"\nab\n"].concat();
        let read = |room: &mut [u8], at: u64| -> Result<usize, ()> {
            let rest = &input[usize::try_from(at).unwrap()..];
            let len = rest.len().min(room.len()).min(100);
            room[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        };
        let mut buffer = LineBuffer::new(CAP);
        buffer.fill(read).unwrap();
        assert!(!buffer.has_line());
        buffer.fill(read).unwrap();
        let skipped = buffer.skipped();
        buffer.reset(7);
        buffer.restore(0, skipped, read).unwrap();
        while !buffer.has_line() {
            buffer.fill(read).unwrap();
        }
        let lines: Vec<Owned> = buffer.lines().map(own).collect();
        assert_eq!(lines, [(vec![b'x'; CAP], 0, 301, true), (b"ab".to_vec(), 301, 304, false)]);
    }

    #[test]
    fn lines_can_be_taken_one_by_one() {
        let (_, mut buffer) = framed(b"rest", &[1]);
        let read: Result<_, ()> = buffer.fill(|room, at| {
            assert_eq!(at, 4);
            room[..5].copy_from_slice(b"\nb\nc\n");
            Ok(5)
        });
        read.unwrap();
        let first = buffer.lines().next().map(own).unwrap();
        assert_eq!(first.0, b"rest");
        buffer.take(first.2);
        assert_eq!(buffer.lines().map(|line| line.text.to_vec()).collect::<Vec<_>>(), [b"b", b"c"]);
    }
}
