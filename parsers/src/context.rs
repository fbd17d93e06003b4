//! What a parser has to be told of a line, and what its source's configuration says.
//!
//! Takes nothing by itself: a parser has no clock and no configuration, so whoever calls it fills this in.
//! Invariant: the default is a line of which nothing is known, in a source that was told nothing.

use crate::{Format, SecretNames, Timestamp, UrlShapes};

/// How to find the day of a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Date {
    /// The line was written about then: its envelope's time.
    Near(Timestamp),
    /// The line was written before then, if clocks were right: its file's last change, or now.
    Before(Timestamp),
}

/// What a parser has to be told, since it has no clock and no configuration of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'c> {
    /// What tells the day of a line that has a time of day only.
    pub date: Option<Date>,
    /// Offset from UTC, in seconds, of times written without a zone.
    pub zone_offset_s: i32,
    /// The format that last succeeded in this lane; tried first under [`Format::Auto`].
    pub prefer: Option<Format>,
    /// Names that configuration has set already, which input can't set again.
    pub reserved: &'c [String],
    /// The names that secrets stand under; a [`Parser`](crate::Parser) sets its source's.
    pub secret_names: &'c SecretNames,
    /// What configuration says of URLs; a [`Parser`](crate::Parser) sets its source's.
    pub url_shapes: Option<&'c UrlShapes>,
}
