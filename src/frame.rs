//! Framing: bytes as they come → records, most of them lines.
//!
//! Takes whatever pieces a reader got, gives records without what ends them. How records are found in the stream is
//! the buffer's [`Framing`]. Any cut of the input gives the same records. A record over the cap keeps its head: the
//! rest is read past in fixed memory, and the record is given when its end is seen, with a position that reaches
//! past it.
//!
//! Invariant: positions are offsets in the stream; `position()` is always the start of a record not yet taken.

mod journal;
mod lines;
mod objects;
mod octets;

use hivetail_parsers::envelope::Envelope;

/// Bytes read at a time, and how much of a chunk of whole lines is passed on at once.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// What is kept of a record over the cap beyond the cap: a line of exactly the cap may still be followed by `\r\n`,
/// and a count may stand before it.
const HEAD_EXTRA_BYTES: usize = 16;

/// How many bytes at the end of what was read may have to be seen again with those that follow them: the start of a
/// journal's field.
const UNDECIDED_BYTES_MAX: usize = 112;

/// How many bytes before its position a buffer keeps: by them its source knows the stream again.
pub const BEFORE_BYTES: usize = 256;

/// How records are found in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// A record is a line; a `\r` before its `\n` is no part of it.
    #[default]
    Lines,
    /// JSON objects, over several lines or not; any line outside an object is a record, too.
    Objects,
    /// The entries of the journal's export format; a line that begins with `{` is one in JSON.
    Journal,
    /// Syslog messages after their length in bytes (RFC 6587); what begins otherwise is a line.
    Octets,
}

impl Framing {
    /// The framing of the lines that come in an envelope.
    #[must_use]
    pub const fn of(envelope: Envelope) -> Self {
        match envelope {
            Envelope::Fly => Self::Objects,
            Envelope::Journald => Self::Journal,
            Envelope::Logplex | Envelope::Syslog => Self::Octets,
            Envelope::None | Envelope::Cri | Envelope::Docker => Self::Lines,
        }
    }

    /// Goes on with the search for the end of the record that `held` begins with.
    ///
    /// # Errors
    /// Where to go on when there is more.
    #[inline]
    fn find(self, held: &[u8], search: Search) -> Result<Found<'_>, Search> {
        if self == Self::Lines { lines::find(held, search) } else { self.find_other(held, search) }
    }

    /// Apart, so that the search for a line's end stays small enough to stand where it is needed.
    #[inline(never)]
    fn find_other(self, held: &[u8], search: Search) -> Result<Found<'_>, Search> {
        match self {
            Self::Lines => lines::find(held, search),
            Self::Objects => objects::find(held, search),
            Self::Journal => journal::find(held, search),
            Self::Octets => octets::find(held, search),
        }
    }
}

/// How far a record has been searched for its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Search {
    /// How many of the bytes held are known not to end it.
    at: usize,
    /// What those bytes leave the search in.
    inside: Inside,
}

/// What a search is in the middle of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    /// Nothing: the record begins here.
    #[default]
    Start,
    /// A line that is the whole record.
    Line,
    /// A JSON object.
    Object(objects::Depth),
    /// A journal entry, at the start of one of its fields.
    Field,
    /// A journal entry, in a field that ends with its line.
    Text,
    /// So many bytes of any kind.
    Counted(u64),
}

/// A record in the bytes held: its text, and how many of them it takes.
#[derive(Clone, Copy, Debug)]
struct Found<'h> {
    text: &'h [u8],
    len: usize,
}

/// A framed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'b> {
    /// The record without what ends it; only its head if it was longer than the cap.
    pub text: &'b [u8],
    /// Where it starts in the stream.
    pub start: u64,
    /// Where the next one starts.
    pub end: u64,
    /// Whether the record was longer than the cap.
    pub cut: bool,
    /// Whether the stream ended before the record did.
    pub partial: bool,
}

/// What has been read past inside a record over the cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    bytes: u64,
    inside: Inside,
}

impl Skipped {
    /// Whether that is nothing.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.bytes == 0
    }
}

/// A source's read buffer: bytes of one stream that are not yet taken as lines.
#[derive(Debug)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    framing: Framing,
    line_bytes_max: usize,
    /// Where the first untaken byte is in `bytes`, and in the stream.
    start: usize,
    position: u64,
    /// How far the first record has been searched.
    search: Search,
    /// Bytes read past between the head of a record over the cap and what follows in `bytes`.
    skipped: u64,
    /// From here on, what is in `bytes` follows one another in the stream.
    whole_from: usize,
}

impl LineBuffer {
    /// An empty buffer for lines of at most `line_bytes_max` bytes.
    #[must_use]
    pub const fn new(line_bytes_max: usize) -> Self {
        Self::framed(Framing::Lines, line_bytes_max)
    }

    /// An empty buffer for records of at most `line_bytes_max` bytes.
    #[must_use]
    pub const fn framed(framing: Framing, line_bytes_max: usize) -> Self {
        let search = Search { at: 0, inside: Inside::Start };
        Self {
            bytes: Vec::new(),
            framing,
            line_bytes_max,
            start: 0,
            position: 0,
            search,
            skipped: 0,
            whole_from: 0,
        }
    }

    /// The most memory that such a buffer takes, in bytes.
    #[must_use]
    pub const fn bytes_max(line_bytes_max: usize) -> usize {
        BEFORE_BYTES + line_bytes_max + HEAD_EXTRA_BYTES + UNDECIDED_BYTES_MAX + CHUNK_BYTES
    }

    /// Forgets what it holds and goes on at that position, which must be the start of a record; `before` are the bytes
    /// of the stream right before it, as far as they are known.
    pub fn reset(&mut self, position: u64, before: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(before);
        (self.start, self.search, self.skipped, self.position) =
            (before.len(), Search::default(), 0, position);
        self.whole_from = 0;
    }

    /// The [`BEFORE_BYTES`] bytes of the stream right before its position, or all that there are; `None` if it did not
    /// see them all.
    #[must_use]
    pub fn before(&self) -> Option<&[u8]> {
        let wanted = usize::try_from(self.position).unwrap_or(usize::MAX).min(BEFORE_BYTES);
        let from = self.start.checked_sub(wanted).filter(|from| *from >= self.whole_from)?;
        Some(&self.bytes[from..self.start])
    }

    /// The bytes of the stream right before its position, as many as it still has.
    #[must_use]
    pub fn taken(&self) -> &[u8] {
        &self.bytes[self.whole_from.min(self.start)..self.start]
    }

    /// Up to [`BEFORE_BYTES`] bytes of the stream right before what is to be read next.
    #[must_use]
    pub fn last_read(&self) -> &[u8] {
        let from = self.bytes.len().saturating_sub(BEFORE_BYTES).max(self.whole_from.min(self.bytes.len()));
        &self.bytes[from..]
    }

    /// Like [`LineBuffer::reset`], but goes on inside a record over the cap of which `skipped` was read past: takes its
    /// head anew from `read`. If the head is no longer there, the record is begun again.
    ///
    /// # Errors
    /// What `read` fails with.
    pub fn restore<E>(
        &mut self,
        position: u64,
        before: &[u8],
        skipped: Skipped,
        read: impl FnOnce(&mut [u8], u64) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.reset(position, before);
        if !skipped.is_none() {
            self.bytes.resize(self.start + self.head_bytes(), 0);
            let head = read(&mut self.bytes[self.start..], position)?;
            if head == self.head_bytes() {
                self.search = Search { at: head, inside: skipped.inside };
                self.skipped = skipped.bytes;
                self.whole_from = self.bytes.len();
            } else {
                self.bytes.truncate(self.start);
            }
        }
        Ok(())
    }

    /// What of a record over the cap has been read past, for [`LineBuffer::restore`].
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        let bytes = self.skipped + self.search.at.saturating_sub(self.head_bytes()) as u64;
        if bytes == 0 { Skipped::default() } else { Skipped { bytes, inside: self.search.inside } }
    }

    /// How much is kept of a record over the cap.
    const fn head_bytes(&self) -> usize {
        self.line_bytes_max + HEAD_EXTRA_BYTES
    }

    /// The start of the first record not yet taken.
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

    /// Takes bytes that somebody else has read. Who does so takes the records, too, before there are too many.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.make_room();
        self.bytes.extend_from_slice(bytes);
    }

    /// Moves what is held to the front; of a record over the cap only the head is kept.
    fn make_room(&mut self) {
        let gone = self.start.saturating_sub(BEFORE_BYTES);
        self.bytes.drain(..gone);
        self.start -= gone;
        self.whole_from = self.whole_from.saturating_sub(gone);
        let head = self.head_bytes();
        if self.search.at > head {
            self.bytes.drain(self.start + head..self.start + self.search.at);
            self.skipped += (self.search.at - head) as u64;
            self.search.at = head;
            self.whole_from = self.start + head;
        }
    }

    /// Whether its next record would begin with a NUL.
    #[must_use]
    pub fn begins_with_nul(&self) -> bool {
        self.bytes.get(self.start) == Some(&0)
    }

    /// Whether there is a whole record to take.
    pub fn has_line(&mut self) -> bool {
        match self.framing.find(&self.bytes[self.start..], self.search) {
            Ok(_) => true,
            Err(search) => {
                self.search = search;
                false
            }
        }
    }

    /// The whole records held, in order. Nothing is taken until [`LineBuffer::take`].
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            rest: &self.bytes[self.start..],
            framing: self.framing,
            search: self.search,
            skipped: self.skipped,
            position: self.position,
            line_bytes_max: self.line_bytes_max,
        }
    }

    /// Takes all records up to `position`, which is the `end` of one of [`LineBuffer::lines`].
    pub fn take(&mut self, position: u64) {
        if position == self.position {
            return;
        }
        let taken = usize::try_from(position - self.position - self.skipped).unwrap_or(usize::MAX);
        self.start = (self.start + taken).min(self.bytes.len());
        (self.position, self.search, self.skipped) = (position, Search::default(), 0);
    }

    /// The last record, which the stream ended without ending; `None` if there is none.
    #[must_use]
    pub fn unfinished_line(&self) -> Option<Line<'_>> {
        let held = &self.bytes[self.start..];
        let text = if self.framing == Framing::Octets { octets::without_count(held) } else { held };
        let cut = text.len() > self.line_bytes_max || self.skipped > 0;
        let kept = &text[..text.len().min(self.line_bytes_max)];
        let line = Line { text: kept, start: self.position, end: self.read_position(), cut, partial: true };
        (!self.is_empty()).then_some(line)
    }
}

/// The whole records of a buffer.
#[derive(Clone, Debug)]
pub struct Lines<'b> {
    rest: &'b [u8],
    framing: Framing,
    search: Search,
    skipped: u64,
    position: u64,
    line_bytes_max: usize,
}

impl<'b> Iterator for Lines<'b> {
    type Item = Line<'b>;

    #[inline]
    fn next(&mut self) -> Option<Line<'b>> {
        let Found { text, len } = self.framing.find(self.rest, self.search).ok()?;
        // What is held of a record read past is its head and its end; the head alone is its text.
        let cut = self.skipped > 0 || text.len() > self.line_bytes_max;
        let text = if cut { &text[..text.len().min(self.line_bytes_max)] } else { text };
        let end = self.position + self.skipped + len as u64;
        let line = Line { text, start: self.position, end, cut, partial: false };
        self.rest = &self.rest[len..];
        (self.position, self.search, self.skipped) = (end, Search::default(), 0);
        Some(line)
    }
}

#[cfg(test)]
mod tests;
