//! Envelopes: the outer layer that a platform puts round each line.
//!
//! Takes a line, sets the envelope's own fields and time, gives the inner line. What is no envelope is handed
//! on as it is, with the reason: a message with a line break in it leaves lines without a prefix.

mod fly;

use crate::{ParseError, Record, Scratch};

/// What was in an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner<'a> {
    /// The line.
    pub line: &'a [u8],
    /// Whether the platform itself said it: plain text, whatever the format of the app's own lines.
    pub by_platform: bool,
}

/// The envelopes that a source may be told its lines have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Envelope {
    /// None: the line is the message.
    #[default]
    None,
    /// `fly logs`: time, provider, machine, region, level, then the app's own line.
    Fly,
}

impl Envelope {
    /// Every envelope.
    pub const ALL: [Self; 2] = [Self::None, Self::Fly];

    /// The name used in configuration and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fly => "fly",
        }
    }

    /// The envelope of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|envelope| envelope.name() == name)
    }

    /// Opens `line`: fields and time go to `record`, the inner line is answered.
    ///
    /// # Errors
    /// Says why the line is not in this envelope; the record is then as it was.
    pub fn open<'a>(
        self,
        line: &'a [u8],
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<Inner<'a>, ParseError> {
        match self {
            Self::None => Ok(Inner { line, by_platform: false }),
            Self::Fly => fly::open(line, scratch, record),
        }
    }
}
