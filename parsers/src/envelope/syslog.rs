//! Syslog messages of both standards, with or without their priority, and of what is met in files.
//!
//! ```text
//! <165>1 2003-10-11T22:14:15.003Z host app 12 ID47 [exampleSDID@32473 iut="3"] a message      RFC 5424
//! <34>Oct 11 22:14:15 host app[12]: a message                                                 RFC 3164
//! 2026-11-21T20:52:42.123456+00:00 host app[12]: a message                 rsyslog's files (RSYSLOG_FileFormat)
//! ```
//!
//! A priority is facility × 8 + severity. What tells the two standards apart is the version.

mod rfc3164;
pub(super) mod rfc5424;

use super::{Inner, priority};
use crate::{
    Context, ParseError,
    number::whole,
    record::{Record, Scratch, Value},
};

/// Sets what the header tells and answers the message.
pub(super) fn open<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<Inner<'a>, ParseError> {
    let rest = set_priority(line, record)?;
    let message = match rfc5424::version(rest) {
        Some(rest) => {
            let rest = rfc5424::header(rest, record)?;
            rfc5424::structured_data(rest, context, scratch, record)?
        }
        None => rfc3164::header(rest, context, record)?,
    };
    Ok(Inner::whole(without_bom(message)))
}

/// `<165>` → level and facility, and what follows; all of `text` if it begins otherwise. A count of bytes before
/// it, which framing should have taken off (RFC 6587), is passed over.
pub(super) fn set_priority<'a>(text: &'a [u8], record: &mut Record<'a>) -> Result<&'a [u8], ParseError> {
    const PRIORITY_MAX: i64 = 191;
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = match &text[count..] {
        [b' ', counted @ ..] if count > 0 && counted.starts_with(b"<") => counted,
        _ => text,
    };
    let Some(number) = text.strip_prefix(b"<") else { return Ok(text) };
    let end = number.iter().take(4).position(|byte| *byte == b'>');
    let (number, rest) =
        end.map(|end| (&number[..end], &number[end + 1..])).ok_or(ParseError("no syslog priority in <>"))?;
    let priority = whole(number)
        .filter(|priority| *priority <= PRIORITY_MAX)
        .ok_or(ParseError("a syslog priority that does not exist"))?;
    priority::set_facility(priority / 8, record);
    record.level = priority::level(priority % 8);
    Ok(rest)
}

/// A message without the byte order mark that says it is UTF-8.
pub(super) fn without_bom(message: &[u8]) -> &[u8] {
    message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message)
}

/// A process id under its contract name if it is a number; some platforms put a word there.
pub(super) fn set_process<'a>(process: &'a [u8], record: &mut Record<'a>) {
    match whole(process) {
        Some(pid) => record.set("process.pid", Value::Int(pid)),
        None => record.set_text("syslog.procid", process),
    }
}
