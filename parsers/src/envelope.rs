//! Envelopes: the outer layer that a platform puts round each line.
//!
//! Takes a line, sets the envelope's own fields, time and level, gives the inner line. What is no envelope is
//! handed on as it is, with the reason: a message with a line break in it leaves lines without a prefix.

mod cri;
mod docker;
mod fly;
mod journald;
mod logplex;
mod priority;
mod syslog;

use crate::{Context, ParseError, Record, Scratch, ansi};

/// What was in an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner<'a> {
    /// The line.
    pub line: &'a [u8],
    /// Whether the platform itself said it: plain text, whatever the format of the app's own lines.
    pub by_platform: bool,
    /// Whether the platform split a long line, and the next one of the same stream goes on with it.
    pub partial: bool,
}

impl<'a> Inner<'a> {
    /// A whole line of the app.
    #[must_use]
    pub const fn whole(line: &'a [u8]) -> Self {
        Self { line, by_platform: false, partial: false }
    }
}

/// The envelopes that a source may be told its lines have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Envelope {
    /// None: the line is the message.
    #[default]
    None,
    /// `fly logs`, as text or as JSON, and the JSON of Fly's log stream.
    Fly,
    /// What containerd and CRI-O write: `<time> <stdout|stderr> <tags> <line>`.
    Cri,
    /// Docker's `json-file` log driver: one JSON object a line.
    Docker,
    /// RFC 5424 and RFC 3164, with or without `<PRI>`.
    Syslog,
    /// Journal entries: `journalctl -o json` or `-o export`.
    Journald,
    /// Heroku's log drains: RFC 5424 without structured data.
    Logplex,
}

impl Envelope {
    /// Every envelope.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Fly, Self::Cri, Self::Docker, Self::Syslog, Self::Journald, Self::Logplex];

    /// The name used in configuration and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fly => "fly",
            Self::Cri => "cri",
            Self::Docker => "docker",
            Self::Syslog => "syslog",
            Self::Journald => "journald",
            Self::Logplex => "logplex",
        }
    }

    /// The envelope of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|envelope| envelope.name() == name)
    }

    /// Whether it may tell the `service.name`.
    #[must_use]
    pub const fn names_service(self) -> bool {
        matches!(self, Self::Fly | Self::Syslog | Self::Journald | Self::Logplex)
    }

    /// Whether it splits long lines into pieces.
    #[must_use]
    pub const fn splits(self) -> bool {
        matches!(self, Self::Cri | Self::Docker)
    }

    /// Opens `line`: fields, time and level go to `record`, the inner line is answered.
    ///
    /// # Errors
    /// Says why the line is not in this envelope; the record is then as it was.
    pub fn open<'a>(
        self,
        line: &'a [u8],
        context: &Context<'_>,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Result<Inner<'a>, ParseError> {
        let mark = record.mark();
        let opened = match self {
            // These touch the record only when they open.
            Self::None => return Ok(Inner::whole(line)),
            Self::Cri => return cri::open(line, record),
            Self::Fly => fly::open(line, context, scratch, record),
            Self::Docker => docker::open(line, context, scratch, record),
            Self::Syslog => syslog::open(line, context, scratch, record),
            Self::Journald => journald::open(line, context, scratch, record),
            Self::Logplex => logplex::open(line, record),
        };
        if opened.is_err() {
            record.rewind(mark);
        }
        opened
    }
}

/// Fields that say who wrote a line and where: an envelope with nothing else in it is worth no event.
const ORIGIN: [&str; 11] = [
    "_",
    "cloud.",
    "container.",
    "fly.",
    "host.name",
    "k8s.",
    "log.iostream",
    "process.pid",
    "service.name",
    "syslog.",
    "systemd.",
];

/// Whether an envelope without a line tells more than who wrote it and where. Of the journal's fields those that begin
/// with an underscore are the journal's own.
#[must_use]
pub fn tells_more(record: &Record<'_>) -> bool {
    let is_origin = |name: &[u8]| ORIGIN.iter().any(|prefix| name.starts_with(prefix.as_bytes()));
    record.fields().iter().any(|field| !is_origin(field.key.bytes()))
}

/// Whether there is nothing in a line but blanks and colour codes.
#[must_use]
pub fn is_blank(line: &[u8]) -> bool {
    let mut rest = line.trim_ascii_start();
    while let len @ 1.. = ansi::sequence_len(rest) {
        rest = rest[len..].trim_ascii_start();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One good line of each kind.
    const LINES: [(Envelope, &[u8]); 12] = [
        (Envelope::Fly, b"2026-05-11T14:58:44Z app[4d895d5ec41638] iad [info]14:58:44.102 [info] Sent 200 in 15ms"),
        (Envelope::Fly, b"error.message=\"a\" b\" 2026-05-11T14:58:49Z proxy[e8] ams [error]error.code=7 request.url=\"/\" "),
        (Envelope::Fly, b"2022-01-05T10:11:12.345 proxy[c9b72c04] sea [info] [PR03] last error: [PM05] x"),
        (Envelope::Fly, br#"{"event":{"provider":"app"},"fly":{"app":{"instance":"0e","name":"a"},"region":"sjc"},"message":"x","timestamp":"2022-09-27T20:34:37.2Z"}"#),
        (Envelope::Cri, b"2016-10-06T00:17:09.669794202Z stdout P:x First part"),
        (Envelope::Docker, br#"{"log":"a\r\n","stream":"stdout","attrs":{"tag":"web"},"time":"2016-10-05T00:00:30.082640485Z"}"#),
        (Envelope::Syslog, b"<131>Jun  8 11:54:08 master apache_error[12]: [Tue Jun 08"),
        (Envelope::Syslog, br#"<165>1 2003-10-11T22:14:15.003Z host app 12 ID47 [x@1 k="a\"b" l= "c"][e] hello"#),
        (Envelope::Journald, br#"{"MESSAGE":[27,91],"PRIORITY":"3","_PID":"7","X":["a","b"],"N":null,"__REALTIME_TIMESTAMP":"1778512722710332"}"#),
        (Envelope::Journald, b"__REALTIME_TIMESTAMP=1778512722710332\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nPRIORITY=4\n"),
        (Envelope::Logplex, b"<174>1 2012-07-22T00:06:26+00:00 host erlang console - Hi from erlang"),
        (Envelope::None, b"x"),
    ];

    fn open(envelope: Envelope, line: &[u8]) -> bool {
        let scratch = Scratch::new();
        let mut record = Record::new();
        let opened = envelope.open(line, &Context::default(), &scratch, &mut record);
        let untouched = record.fields().is_empty() && record.time.is_none() && record.level.is_none();
        assert!(opened.is_ok() || untouched, "a half opened envelope must leave nothing behind");
        opened.is_ok()
    }

    #[test]
    fn good_lines_open_and_no_cut_of_them_panics() {
        for (envelope, line) in LINES {
            assert!(open(envelope, line), "{}", line.escape_ascii());
            for cut in 0..line.len() {
                open(envelope, &line[..cut]);
                open(envelope, &line[cut..]);
            }
        }
    }

    proptest! {
        #[test]
        fn no_envelope_panics_on_any_bytes(line in prop::collection::vec(any::<u8>(), 0..200)) {
            for envelope in Envelope::ALL {
                open(envelope, &line);
            }
        }

        #[test]
        fn no_envelope_panics_on_damaged_lines(
            which in 0..LINES.len(),
            at in any::<prop::sample::Index>(),
            bytes in prop::collection::vec(any::<u8>(), 0..4),
        ) {
            let (envelope, line) = LINES[which];
            let at = at.index(line.len());
            open(envelope, &[&line[..at], &bytes, &line[at..]].concat());
            open(envelope, &[&line[..at], &bytes, line.get(at + bytes.len()..).unwrap_or_default()].concat());
        }
    }
}
