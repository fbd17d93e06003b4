//! Whether a line begins an event: what a join of lines asks of each.
//!
//! Takes a line and the form of the lane's events so far, gives what it is. Messages may quote log lines, so a line
//! counts only in the form of those before it.

use super::{
    line::{TIME_LEN, date, time, timed, untimed, without_decoration},
    metadata,
    pattern::Pattern,
    request,
};
use crate::{Form, Start, ansi, record::Scratch};

/// What a line in one of the usual forms begins; `form` is that of the events before it.
pub(crate) fn start(line: &[u8], told: bool, form: Option<Form>) -> Start {
    let mut text = line;
    while let len @ 1.. = ansi::sequence_len(text) {
        text = &text[len..];
    }
    if is_alone(text) {
        return Start::Whole(form);
    }
    let (dated, bare) = match date(text) {
        Some((_, [b' ' | b'T', rest @ ..])) => (Form::Dated, rest),
        _ => (Form::Timed, text),
    };
    let fits = |own: Form| form.is_none_or(|form| form == own);
    if time(bare).is_some() {
        return match timed(text) {
            Ok(_) if !fits(dated) => Start::Quoted(dated),
            Err(_) if !fits(dated) => Start::Nothing,
            Ok(event) if request::is_one_line(event.message) => Start::Whole(Some(dated)),
            Ok(_) => Start::Open(Some(dated)),
            // A metadata value may hold a line break: the level is then on the next line.
            Err(_) if metadata_follows(&bare[TIME_LEN..]) => Start::Open(Some(dated)),
            Err(_) => Start::Nothing,
        };
    }
    match untimed(text) {
        Some(_) if !fits(Form::Untimed) => Start::Quoted(Form::Untimed),
        Some(event) if request::is_one_line(event.message) => Start::Whole(Some(Form::Untimed)),
        Some(_) if told || form == Some(Form::Untimed) => Start::Open(Some(Form::Untimed)),
        _ => Start::Nothing,
    }
}

/// The same where the source's pattern is known.
pub(crate) fn start_with(pattern: &Pattern, line: &[u8], scratch: &Scratch) -> Start {
    let text = without_decoration(line, scratch);
    match pattern.split(text) {
        _ if is_alone(text) => Start::Whole(None),
        Some(event) if request::is_one_line(event.message) => Start::Whole(None),
        Some(_) => Start::Open(None),
        // What stands after the message may stand on a later line.
        None if pattern.begins(text) => Start::Open(None),
        None => Start::Nothing,
    }
}

/// `Z key=` or ` key=` after a time.
fn metadata_follows(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b"Z").unwrap_or(rest);
    rest.strip_prefix(b" ").is_some_and(|rest| metadata::key_len(rest) > 0)
}

/// What Erlang prints past Logger, and Logger when a formatter fails: no part of the event before it.
fn is_alone(text: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 6] = [
        b"FORMATTER CRASH: ",
        b"FORMATTER ERROR: ",
        b"Kernel pid terminated ",
        b"Crash dump is being written to: ",
        b"Runtime terminating during boot ",
        b"init terminating in ",
    ];
    matches!(text.first(), Some(b'F' | b'K' | b'C' | b'R' | b'i'))
        && BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_an_event() {
        use Form::{Dated, Timed, Untimed};
        for (line, form, expected) in [
            ("14:03:11.482 [info] hello", None, Start::Open(Some(Timed))),
            ("\x1b[0m\x1b[22m14:03:11.482 a=b [info] hello", Some(Timed), Start::Open(Some(Timed))),
            ("2026-11-21 14:03:11.482 [info] hello", None, Start::Open(Some(Dated))),
            ("14:03:11.482 request_id=a b [info] GET /x", Some(Timed), Start::Whole(Some(Timed))),
            ("14:03:11.482 [info] Sent 200 in 812µs", None, Start::Whole(Some(Timed))),
            ("14:03:11.482 [info] Sent with love", None, Start::Open(Some(Timed))),
            ("14:03:11.482 [info] GET /x y", None, Start::Open(Some(Timed))),
            ("14:03:11.482 note=line1", None, Start::Open(Some(Timed))),
            ("14:03:11.482 is the time", None, Start::Nothing),
            ("14:03:11.482 [info] quoted", Some(Dated), Start::Quoted(Timed)),
            ("[info] hello", None, Start::Open(Some(Untimed))),
            ("[info] quoted", Some(Timed), Start::Quoted(Untimed)),
            ("    (a 0.1.0) lib/a.ex:1: A.b/1", Some(Timed), Start::Nothing),
            ("FORMATTER ERROR: bad return value", Some(Timed), Start::Whole(Some(Timed))),
            ("", Some(Timed), Start::Nothing),
        ] {
            assert_eq!(start(line.as_bytes(), true, form), expected, "{line}");
        }
        assert_eq!(start(b"[info] hello", false, None), Start::Nothing, "other programs write so, too");
        assert_eq!(start(b"[info] GET /x", false, None), Start::Whole(Some(Untimed)));
        assert_eq!(start(b"[info] hello", false, Some(Untimed)), Start::Open(Some(Untimed)));
    }

    #[test]
    fn a_pattern_says_what_begins_an_event() {
        let scratch = Scratch::new();
        let pattern = Pattern::parse("$date $time [$level] $metadata| $message ($node)\n").unwrap();
        for (line, expected) in [
            ("2026-11-21 14:03:11.482 [info] a=b | x (a@b)", Start::Open(None)),
            ("2026-11-21 14:03:11.482 [info] | GET /x (a@b)", Start::Whole(None)),
            ("2026-11-21 14:03:11.482 [info] | first line", Start::Open(None)),
            ("last line (a@b)", Start::Nothing),
        ] {
            assert_eq!(start_with(&pattern, line.as_bytes(), &scratch), expected, "{line}");
        }
    }
}
