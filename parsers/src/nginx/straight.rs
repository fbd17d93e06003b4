//! The straight way through an access line, which nearly every line goes.
//!
//! Takes a compiled format and a line, has the values set as they are found, and gives up as soon as one does not look
//! as its variable's mostly do.
//!
//! Invariant: every value ends at the first place where [`super::search`] would let it end, so what is read here is
//! what it would find.

use memchr::memchr;

use super::{
    fields::Fields,
    log_format::{Escape, LogFormat, Part},
    upstream::List,
    variable::{self, Variable},
};
use crate::{
    Context,
    record::{Record, Scratch},
};

/// How the end of a value is told, from its variable and the literal after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Digits.
    Digits,
    /// Seconds with three decimals.
    Seconds,
    /// Text up to the first blank.
    Token,
    /// A time in the Common Log Format.
    Time,
    /// An upstream list of such items; and whether it may have groups: not where what follows could begin with a colon.
    List(Item, bool),
    /// Any text up to the first quote.
    Quoted,
    /// What the variable admits, up to the literal.
    Until,
    /// No literal tells its end: left to the search.
    Odd,
}

/// The form of an upstream list's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Token,
    Digits,
    Seconds,
}

impl Form {
    /// The form of a variable's values before that literal and the variable after it.
    pub(super) fn of(variable: &Variable, literal: &[u8], after: Option<&Variable>, escape: Escape) -> Self {
        let next = literal.first().copied().unwrap_or(b'0');
        // A literal that a value might begin with would end it elsewhere.
        let ends_number = !next.is_ascii_digit() && !matches!(next, b'.' | b'-');
        let groups = after.is_some_and(|after| after.is_list() && *after != Variable::UpstreamAddr);
        match variable {
            Variable::Int(_) | Variable::Status if ends_number => Self::Digits,
            Variable::RequestTime if ends_number => Self::Seconds,
            Variable::Address(_) if next == b' ' => Self::Token,
            Variable::TimeLocal if ends_number => Self::Time,
            Variable::UpstreamAddr if next == b' ' => Self::List(Item::Token, groups),
            Variable::UpstreamStatus | Variable::UpstreamLength if next == b' ' => {
                Self::List(Item::Digits, groups)
            }
            Variable::UpstreamTime if next == b' ' => Self::List(Item::Seconds, groups),
            Variable::OtherList(_, item) if next == b' ' => Self::List(*item, groups),
            _ if literal.is_empty() || next == b'-' => Self::Odd,
            Variable::RequestUri | Variable::Uri => Self::Until,
            free if free.is_free_text() && next == b'"' && escape != Escape::None => Self::Quoted,
            _ => Self::Until,
        }
    }
}

/// Reads a line whose values are escaped that way, and appends its fields to `record`. Answers nothing, and may leave
/// fields behind, when the line is not an ordinary one.
pub(super) fn read<'a>(
    format: &LogFormat,
    escape: Escape,
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Option<()> {
    // A quote may then be a value's own.
    if escape == Escape::Json {
        return None;
    }
    let mut fields = Fields::new(escape, context, scratch, record);
    let mut rest = line.strip_prefix(&*format.prefix)?;
    let mut attempts = 0;
    let (last, parts) = format.parts.split_last()?;
    for part in parts {
        let len = value(part, escape, rest, &mut attempts, &mut fields)?;
        rest = &rest[len + part.literal.text().len()..];
    }
    let value = rest.strip_suffix(last.literal.text())?;
    let fits = last.variable.admits(value, (attempts > 0).then_some(attempts))
        && (!last.variable.is_free_text() || escape.admits(value, last.literal.text()));
    (fields.set(&last.variable, value) && fits).then_some(())?;
    fields.count_attempts(attempts);
    fields.finish(format);
    Some(())
}

/// Sets the value at the front of `rest`, if the literal follows it there, and answers its length. `attempts` is how
/// many items the upstream lists have, 0 before the first.
#[inline]
fn value<'a>(
    part: &Part,
    escape: Escape,
    rest: &'a [u8],
    attempts: &mut usize,
    fields: &mut Fields<'_, 'a>,
) -> Option<usize> {
    let Part { variable, literal, form } = part;
    let absent = rest.first() == Some(&b'-') && literal.follows(rest, 1);
    let len = match form {
        Form::Digits | Form::Seconds | Form::Token | Form::Quoted if absent => 1,
        Form::Digits => {
            let (len, number) = digits(rest).filter(|(len, _)| *len == 3 || *variable != Variable::Status)?;
            fields.set_whole(variable, &rest[..len], (len > 0).then_some(number));
            return literal.follows(rest, len).then_some(len);
        }
        Form::Seconds => {
            let (len, ms) = seconds(rest)?;
            #[expect(clippy::cast_precision_loss, reason = "durations stay far below 2^53 ms")]
            fields.set_ms(Some(ms as f64));
            return literal.follows(rest, len).then_some(len);
        }
        Form::Token => memchr(b' ', rest).filter(|len| !rest[..*len].ends_with(b","))?,
        Form::Time => rest.get(..26).filter(|value| variable::is_clf(value))?.len(),
        Form::List(item, groups) => list(*item, *groups, rest, attempts)?,
        Form::Quoted => memchr(b'"', rest)?,
        Form::Until => until(part, escape, rest, attempts)?,
        Form::Odd => return None,
    };
    (fields.set(variable, &rest[..len]) && literal.follows(rest, len)).then_some(len)
}

/// An upstream list: as many items as the lists before it have, if there were any.
#[inline]
fn list(item: Item, groups: bool, rest: &[u8], attempts: &mut usize) -> Option<usize> {
    let (mut at, mut count) = (0, 0);
    loop {
        let text = &rest[at..];
        let len = match item {
            Item::Token => {
                memchr(b' ', text).map(|len| len - usize::from(len > 0 && text[len - 1] == b','))?
            }
            _ if text.first() == Some(&b'-') => 1,
            Item::Digits => digits(text)?.0,
            Item::Seconds => seconds(text)?.0,
        };
        count += 1;
        at += len;
        match rest[at..] {
            _ if len == 0 => return None,
            [b',', b' ', ..] => at += 2,
            [b' ', b':', b' ', ..] if *attempts > 0 && count == *attempts => break,
            [b' ', b':', b' ', ..] if groups || *attempts > 0 => at += 3,
            [b' ', b':', b' ', ..] => return None,
            _ => break,
        }
    }
    let fits = *attempts == 0 || *attempts == count;
    *attempts = count;
    fits.then_some(at)
}

/// Digits, few enough to be a number: how many, and the number.
#[inline]
fn digits(text: &[u8]) -> Option<(usize, i64)> {
    const LEN_MAX: usize = 18;
    let mut number = 0;
    for (len, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Some((len, number));
        }
        if len == LEN_MAX {
            break;
        }
        number = number * 10 + i64::from(digit);
    }
    None
}

/// Digits, a point and three digits, as nginx prints seconds: how many bytes, and the milliseconds.
#[inline]
fn seconds(text: &[u8]) -> Option<(usize, i64)> {
    const LEN_MAX: usize = 12;
    let (len, seconds) = digits(text).filter(|(len, _)| (1..=LEN_MAX).contains(len))?;
    let (decimals, thousandths) = digits(text[len..].strip_prefix(b".")?)?;
    (decimals == 3).then_some((len + 4, seconds * 1000 + thousandths))
}

/// What the variable admits, up to the literal's first occurrence.
#[inline]
fn until(part: &Part, escape: Escape, rest: &[u8], attempts: &mut usize) -> Option<usize> {
    let Part { variable, literal, .. } = part;
    let first = *literal.text().first()?;
    if rest.first() == Some(&b'-') && variable.is_free_text() && literal.follows(rest, 1) {
        return Some(1);
    }
    let mut len = memchr(first, rest)?;
    while !literal.follows(rest, len) {
        len += 1 + memchr(first, &rest[len + 1..])?;
    }
    let value = &rest[..len];
    if variable.is_list() && value.ends_with(b" : ") {
        return None;
    }
    if variable.is_list() && !value.is_empty() {
        let known = (*attempts > 0).then_some(*attempts);
        *attempts = List(value).len();
        return variable.admits(value, known).then_some(len);
    }
    let fits = !variable.is_free_text() || escape.admits(value, literal.text());
    (fits && variable.admits(value, None)).then_some(len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nginx::search;

    const FORMATS: [&str; 4] = [
        crate::nginx::access::INGRESS[0],
        crate::nginx::access::NGINX[2],
        "escape=json {\"a\":\"$uri\",\"s\":$status,\"u\":\"$http_user_agent\",\"l\":$upstream_status,\"t\":$request_time}",
        "escape=none $host $request_uri \"$request\" $upstream_status $upstream_response_time $msec",
    ];

    /// Values of every kind, in the order of no format.
    const VALUES: [&str; 16] = [
        "-",
        "",
        "1.2.3.4",
        "a b",
        "21/Nov/2026:20:52:42 +0000",
        "GET /x?y=1 HTTP/1.1",
        "200",
        "0.001",
        "502, 200",
        "0.1 : -",
        "[a] [b]",
        "\"",
        "\\\"",
        "\\x22",
        "/a",
        "200 : 1",
    ];

    fn same(format: &LogFormat, line: &[u8]) -> bool {
        let escape = if line.contains(&b'\\') { format.escape } else { format.escape.without_escapes() };
        let (context, scratch) = (Context::default(), Scratch::new());
        let (mut straight, mut searched) = (Record::new(), Record::new());
        if read(format, escape, line, &context, &scratch, &mut straight).is_none() {
            return false;
        }
        let mut places = vec![(0, 0); format.parts.len()];
        assert!(search::find(format, line, &mut places).is_some(), "{}", line.escape_ascii());
        let mut fields = Fields::new(escape, &context, &scratch, &mut searched);
        for (part, (start, end)) in format.parts.iter().zip(places) {
            assert!(fields.set(&part.variable, &line[start..end]));
        }
        fields.finish(format);
        assert_eq!(format!("{straight:?}"), format!("{searched:?}"), "{}", line.escape_ascii());
        true
    }

    #[test]
    fn an_ordinary_line_goes_straight_and_an_odd_one_does_not() {
        let format = LogFormat::parse(FORMATS[0]).unwrap();
        let line = |upstream: &str| {
            format!(
                "::1 - - [21/Nov/2026:20:52:42 +0000] \"GET /x HTTP/1.1\" 200 2 \"-\" \"curl\" 244 0.001 [up] [] {upstream} ca6b"
            )
        };
        assert!(same(&format, line("127.0.0.1:9101 2 0.001 200").as_bytes()));
        assert!(same(&format, line("- - - -").as_bytes()));
        assert!(same(&format, line("a:1, b:2 -, 7 0.001, 0.200 502, 200").as_bytes()));
        assert!(!same(&format, line("a:1, b:2 -, 7 0.001, 0.200 502").as_bytes()));
        assert!(same(&format, line("a:1, b:2 : c:3 -, 1 : 2 0.001, - : 0.001 502, - : 200").as_bytes()));
        assert!(!same(&format, line("a:1, b:2 - : - 0.001 200").as_bytes()));
        assert!(same(&format, line("a:1 2 0.001 200 : 3").as_bytes()));
        let addr_then_text = LogFormat::parse("$upstream_addr $req_id").unwrap();
        assert!(!same(&addr_then_text, b"a:1 : b:2 x"));
    }

    #[test]
    fn a_number_too_long_for_one_is_left_to_the_search() {
        let format = LogFormat::parse("$bytes_sent $request_time x").unwrap();
        let nines = "9".repeat(40);
        for (bytes, time) in [(&*nines, "0.001"), (&nines[..19], "0.001"), ("200", &*format!("{nines}.001"))]
        {
            assert!(!same(&format, format!("{bytes} {time} x").as_bytes()));
        }
        assert!(same(&format, format!("{} 999999999999.999 x", &nines[..18]).as_bytes()));
    }

    proptest! {
        #[test]
        fn what_it_finds_the_search_finds(
            which in 0..FORMATS.len(),
            values in prop::collection::vec(prop::sample::select(&VALUES[..]), 20),
            noise in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let format = LogFormat::parse(FORMATS[which]).unwrap();
            let mut line = format.prefix.clone();
            for (part, value) in format.parts.iter().zip(values.iter().cycle()) {
                line.extend_from_slice(value.as_bytes());
                line.extend_from_slice(part.literal.text());
            }
            if let Some((at, byte)) = noise {
                let at = at.index(line.len());
                line[at] = byte;
            }
            same(&format, &line);
        }
    }
}
