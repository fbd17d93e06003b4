//! Heroku's log drains (heroku/logplex, `doc/README.http_drains.md`): RFC 5424 without structured data.
//!
//! ```text
//! <174>1 2012-07-22T00:06:26+00:00 host erlang console - Hi from erlang
//! ```
//!
//! The app's name is in the place of the program, the dyno in that of the process id. Messages are counted in octets,
//! their newline included; framing takes the count and the newline off.

use super::{
    Inner,
    syslog::{rfc5424, set_priority, without_bom},
};
use crate::{ParseError, record::Record};

/// Sets what the header tells and answers the message.
pub(super) fn open<'a>(line: &'a [u8], record: &mut Record<'a>) -> Result<Inner<'a>, ParseError> {
    let rest = set_priority(line, record)?;
    let rest = rfc5424::version(rest).ok_or(ParseError("no syslog version at the line's start"))?;
    let message = rfc5424::message(rfc5424::header(rest, record)?)?;
    Ok(Inner::whole(without_bom(message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::Value, timestamp};

    #[test]
    fn a_dyno_is_no_process_id_and_brackets_are_the_messages() {
        for (line, message) in [
            ("<174>1 2012-07-22T00:06:26+00:00 host erlang web.1 - [x] Hi", "[x] Hi"),
            ("70 <174>1 2012-07-22T00:06:26+00:00 host erlang web.1 - - Hi", "- Hi"),
            ("<174>1 2012-07-22T00:06:26+00:00 host erlang web.1 -", ""),
        ] {
            let mut record = Record::new();
            assert_eq!(open(line.as_bytes(), &mut record), Ok(Inner::whole(message.as_bytes())), "{line}");
            assert_eq!(record.get("service.name"), Some(Value::text("erlang")));
            assert_eq!(record.get("syslog.procid"), Some(Value::text("web.1")));
            assert_eq!(record.get("syslog.facility"), Some(Value::text("local5")));
            assert_eq!(record.level.map(|level| level.severity), Some("info"));
            assert_eq!(record.time.map(|time| time.at), timestamp::rfc3339(b"2012-07-22T00:06:26Z"));
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for line in
            ["", "<174>", "<174>1 2012-07-22T00:06:26+00:00 host erlang console", "Oct 11 22:14:15 h a: x"]
        {
            assert!(open(line.as_bytes(), &mut Record::new()).is_err(), "{line}");
        }
    }
}
