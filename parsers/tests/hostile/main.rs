//! Lines made to cost more than their length: all are parsed in a time that grows with it alone.
//!
//! Each would take minutes to hours if work grew with the square of a line's length.

#![forbid(unsafe_code)]

use hivetail_parsers::{Context, Format, Parser, Record, Scratch};

/// What each line repeats.
const PARTS: [&str; 36] = [
    "a%3D",
    "%3D",
    "%3Da",
    "a%253Db",
    "token%253D%2526",
    "token%3D%26",
    "%61",
    "%2561%253D",
    "%25",
    "%2525",
    "a%26",
    "token%3Da%2526",
    "key=",
    "&key=",
    "?a=b",
    "/token=",
    "a=",
    ":",
    "\"a\":",
    "'a':",
    "{\"",
    "\\\"",
    "\\",
    "token=(",
    "token='",
    "token:\"",
    "key:b",
    "a: ",
    "authorization=Bearer ",
    "a://b@",
    "[\"authorization\",",
    "%7B%22token%22%3A",
    "@",
    "bob@example.com,",
    "://a:",
    "x-api-key: a b c ",
];

const LEN: usize = 1_000_000;

#[test]
fn no_line_costs_more_than_its_length() {
    for part in PARTS {
        let text = part.repeat(LEN / part.len());
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        for (format, line) in [
            (Format::Raw, text.clone()),
            (Format::Raw, format!("{{{text}")),
            (Format::Json, format!("{{\"url\":\"{quoted}\",\"msg\":\"{quoted}\"}}")),
            (Format::Logfmt, format!("level=info msg=\"{quoted}\" url=x")),
            (Format::Phoenix, format!("15:00:00.000 [info] GET /?{text}")),
        ] {
            let (scratch, mut record) = (Scratch::new(), Record::new());
            let _ = Parser::new(format).parse(line.as_bytes(), &Context::default(), &scratch, &mut record);
            assert!(!record.fields().is_empty(), "{part}");
        }
    }
}
