//! The header and the structured data of RFC 5424 (6.2, 6.3).
//!
//! Fields stand between single blanks, `-` is one that is not there. Structured data is `-` or any number of
//! `[id name="value" …]`, in which `\"`, `\\` and `\]` are escapes; blanks after an equals sign, which some programs
//! write, are passed over. A parameter becomes the field `<id>.<name>`; of one that is repeated (6.3.3) the values are
//! kept as JSON's text of an array.

use memchr::{memchr, memchr2};
use nom::{
    IResult, Parser,
    bytes::complete::{tag, take_till1, take_while, take_while_m_n},
    combinator::{recognize, verify},
    sequence::{preceded, terminated},
};

use super::set_process;
use crate::{
    Context, ParseError, free,
    record::{Record, Scratch, Time, TimeSource, Value},
    timestamp,
};

/// Longer names than this are none of structured data's (RFC 5424 allows 32).
const NAME_BYTES_MAX: usize = 255;

const NO_HEADER: ParseError = ParseError("not an RFC 5424 header");
const NO_DATA: ParseError = ParseError("malformed structured data");

/// What follows a version and its blank, if the text begins with them.
pub(in crate::envelope) fn version(text: &[u8]) -> Option<&[u8]> {
    let digits = take_while_m_n(1, 3, |byte: u8| byte.is_ascii_digit());
    let nonzero = verify(digits, |digits: &[u8]| digits[0] != b'0');
    let parsed: IResult<&[u8], &[u8]> = terminated(nonzero, tag(" ")).parse(text);
    parsed.ok().map(|(rest, _)| rest)
}

/// `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID` → fields, and what follows, up to its blank.
pub(in crate::envelope) fn header<'a>(
    text: &'a [u8],
    record: &mut Record<'a>,
) -> Result<&'a [u8], ParseError> {
    let (rest, (time, host, app, process)) =
        (field, field, field, field).parse(text).map_err(|_| NO_HEADER)?;
    let (rest, message_id) = word(rest).map_err(|_| NO_HEADER)?;
    if let Some(time) = time {
        let at = timestamp::rfc3339(time).ok_or(ParseError("an RFC 5424 time that does not exist"))?;
        record.time = Some(Time { at, source: TimeSource::Envelope });
    }
    record.set_text("host.name", host.unwrap_or_default());
    record.set_text("service.name", app.unwrap_or_default());
    set_process(process.unwrap_or_default(), record);
    record.set_text("syslog.msgid", message_id.unwrap_or_default());
    Ok(rest)
}

/// A header's field and the blank after it.
fn field(input: &[u8]) -> IResult<&[u8], Option<&[u8]>> {
    terminated(word, tag(" ")).parse(input)
}

fn word(input: &[u8]) -> IResult<&[u8], Option<&[u8]>> {
    let (rest, word) = take_till1(|byte| byte == b' ')(input)?;
    Ok((rest, Some(word).filter(|word| *word != b"-")))
}

/// ` STRUCTURED-DATA` → fields, and the message.
pub(in crate::envelope) fn structured_data<'a>(
    text: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<&'a [u8], ParseError> {
    let mut rest = text.strip_prefix(b" ").ok_or(NO_DATA)?;
    if let Some(after) = rest.strip_prefix(b"-") {
        return message(after);
    }
    let first = record.fields().len();
    while let Some(element) = rest.strip_prefix(b"[") {
        let (after, id) = name(element).map_err(|_| NO_DATA)?;
        rest = after;
        while let Ok((after, (name, text))) = parameter(rest) {
            if record.fields().len() - first == free::FIELDS_MAX {
                return Err(ParseError("too many parameters in structured data"));
            }
            let name = scratch.concat(&[id, b".", name]);
            if !text.is_empty() {
                free::set(name, Value::Text(unescape(text, scratch)), first, context, scratch, record);
            }
            rest = after;
        }
        rest = rest.trim_ascii_start().strip_prefix(b"]").ok_or(NO_DATA)?;
    }
    record.join_repeated(first, scratch);
    if rest.len() == text.len() - 1 { Err(NO_DATA) } else { message(rest) }
}

/// What follows the structured data: nothing, or a blank and the message.
pub(in crate::envelope) fn message(text: &[u8]) -> Result<&[u8], ParseError> {
    let message = text.strip_prefix(b" ").or(text.is_empty().then_some(text));
    message.ok_or(ParseError("no blank before the syslog message"))
}

fn name(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while_m_n(1, NAME_BYTES_MAX, |byte: u8| !matches!(byte, b' ' | b'=' | b']' | b'"'))(input)
}

/// ` name="value"` → the name, and the value as it is written.
fn parameter(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    let blanks = |input| take_while(|byte| byte == b' ')(input);
    let (rest, name) = preceded((tag(" "), blanks), name).parse(input)?;
    let (rest, _) = (tag("="), blanks, tag("\"")).parse(rest)?;
    let (rest, value) = recognize(value).parse(rest)?;
    let (rest, _) = tag("\"")(rest)?;
    Ok((rest, (name, value)))
}

/// Up to the quote that is not escaped.
fn value(input: &[u8]) -> IResult<&[u8], ()> {
    let mut at = 0;
    while let Some(found) = memchr2(b'"', b'\\', &input[at..]) {
        if input[at + found] == b'"' {
            return Ok((&input[at + found..], ()));
        }
        at = (at + found + 2).min(input.len());
    }
    Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Eof)))
}

/// Resolves `\"`, `\\` and `\]`; a backslash before anything else stands for itself.
fn unescape<'a>(text: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    if memchr(b'\\', text).is_none() {
        return text;
    }
    scratch.fill(text.len(), |out| {
        let (mut read, mut written) = (0, 0);
        while let Some(byte) = text.get(read) {
            let escaped =
                text.get(read + 1).filter(|next| *byte == b'\\' && matches!(next, b'"' | b'\\' | b']'));
            out[written] = *escaped.unwrap_or(byte);
            written += 1;
            read += if escaped.is_some() { 2 } else { 1 };
        }
        written
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::syslog::open;

    fn opened<'a>(line: &'a str, scratch: &'a Scratch) -> Result<(&'a [u8], Record<'a>), ParseError> {
        let mut record = Record::new();
        open(line.as_bytes(), &Context::default(), scratch, &mut record).map(|inner| (inner.line, record))
    }

    #[test]
    fn a_header_in_full_and_one_of_nothing() {
        let scratch = Scratch::new();
        let line =
            "<165>1 2003-10-11T22:14:15.003Z host.example.com evntslog 8710 ID47 - \u{feff}a  message ";
        for line in [line, &line[5..]] {
            let (message, record) = opened(line, &scratch).unwrap();
            assert_eq!(message, b"a  message ");
            assert_eq!(record.get("host.name"), Some(Value::text("host.example.com")));
            assert_eq!(record.get("service.name"), Some(Value::text("evntslog")));
            assert_eq!(record.get("process.pid"), Some(Value::Int(8710)));
            assert_eq!(record.get("syslog.msgid"), Some(Value::text("ID47")));
            assert_eq!(record.time.map(|time| time.at), timestamp::rfc3339(b"2003-10-11T22:14:15.003Z"));
        }
        for line in ["<0>1 - - - - - -", "<0>1 - - - - - - "] {
            let (message, record) = opened(line, &scratch).unwrap();
            assert_eq!((message, record.fields().len(), record.time), (&b""[..], 1, None));
            assert_eq!(record.level.map(|level| level.severity), Some("fatal"));
        }
    }

    #[test]
    fn structured_data_with_escapes_and_oddities() {
        let scratch = Scratch::new();
        let line = r#"<13>1 2019-02-13T19:48:34+00:00 h root 8449 - [x@1 iut="3" src= "A \"B\" \\ \] \n é" e=""][empty][y a="1" a="2" meta.z="" ] qwerty"#;
        let (message, record) = opened(line, &scratch).unwrap();
        assert_eq!(message, b"qwerty");
        for (name, value) in [("x@1.iut", "3"), ("x@1.src", "A \"B\" \\ ] \\n é"), ("y.a", r#"["1","2"]"#)] {
            assert_eq!(record.get(name), Some(Value::text(value)), "{name}");
        }
        let (_, record) = opened(r#"1 - - - - - [meta x="1"][process pid="1"]"#, &scratch).unwrap();
        assert_eq!(record.get("field.meta.x"), Some(Value::text("1")));
        assert_eq!(record.get("field.process.pid"), Some(Value::text("1")), "not a number");
    }

    #[test]
    fn a_repeated_parameter_keeps_all_its_values() {
        let scratch = Scratch::new();
        let mut record = Record::new();
        let text = br#" [origin ip="192.0.2.1" ip="192.0.2.129" x=""] m"#;
        structured_data(text, &Context::default(), &scratch, &mut record).unwrap();
        assert_eq!(record.get("origin.ip"), Some(Value::text(r#"["192.0.2.1","192.0.2.129"]"#)));
        assert_eq!(record.fields().len(), 1);
    }

    #[test]
    fn malformed_headers_and_data_are_refused() {
        let many = format!("1 - - - - - [a{}]", " b=\"1\"".repeat(free::FIELDS_MAX + 1));
        for line in [
            "<13>1 2019-02-13T19:48:34+00:00 h a p",
            "<13>1 2019-02-13T19:48:34+00:00 h a p m",
            "<13>1 2019-02-13T19:48:34 h a p m - x",
            "<13>1  h a p m - x",
            "1 - - - - - x",
            "1 - - - - - -x",
            "1 - - - - - [a",
            "1 - - - - - [a b]",
            "1 - - - - - [a b=\"]",
            "1 - - - - - [a b=\"\\\"]",
            "1 - - - - - []",
            "1 - - - - - [a b=c]",
            "1 - - - - - [a]x",
            "1 - - - - - ",
            &many,
        ] {
            assert!(opened(line, &Scratch::new()).is_err(), "{line}");
        }
    }
}
