//! The four `$upstream_*` lists of an access line.
//!
//! nginx writes them from one array (`ngx_http_upstream.c`): `, ` between servers of a group, ` : ` between
//! groups after an internal redirect, `-` for a missing value or for a request that reached no upstream. All
//! four have the same length, which is how a list is told from what follows it.

use memchr::memmem;
use nom::{IResult, Parser, bytes::complete::take_till1, error::ErrorKind};

use super::text;
use crate::{
    number::{seconds_to_ms, whole},
    record::{Record, Scratch, Value},
};

/// One list: as written, and how many items it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    raw: &'a [u8],
    count: i64,
    last: &'a [u8],
}

/// The address list, which tells how many items the others have.
pub(super) fn addresses(input: &[u8]) -> IResult<&[u8], List<'_>> {
    list(input, i64::MAX)
}

/// Another list of the same request.
pub(super) fn like<'a>(
    model: List<'a>,
) -> impl Parser<&'a [u8], Output = List<'a>, Error = nom::error::Error<&'a [u8]>> {
    move |input| {
        let (rest, found) = list(input, model.count)?;
        if found.count == model.count {
            Ok((rest, found))
        } else {
            Err(nom::Err::Error(nom::error::Error::new(input, ErrorKind::Count)))
        }
    }
}

fn list(input: &[u8], count_max: i64) -> IResult<&[u8], List<'_>> {
    let mut rest = input;
    let mut count = 0;
    let last = loop {
        let (after, item) = take_till1(|byte| byte == b' ')(rest)?;
        count += 1;
        let (item, comma) = match item {
            [item @ .., b','] if count < count_max && !item.is_empty() => (item, true),
            item => (item, false),
        };
        rest = match after {
            [b' ', next @ ..] if comma => next,
            [b' ', b':', b' ', next @ ..] if !comma && count < count_max => next,
            _ => {
                rest = after;
                break item;
            }
        };
    };
    Ok((rest, List { raw: &input[..input.len() - rest.len()], count, last }))
}

impl<'a> List<'a> {
    fn items(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = Some(self.raw);
        std::iter::from_fn(move || {
            let text = rest?;
            let comma = memmem::find(text, b", ").map(|at| (at, 2));
            let colon = memmem::find(text, b" : ").map(|at| (at, 3));
            let Some((at, width)) = [comma, colon].into_iter().flatten().min() else {
                rest = None;
                return Some(text);
            };
            rest = Some(&text[at + width..]);
            Some(&text[..at])
        })
    }
}

/// The four lists of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts<'a> {
    pub(super) addresses: List<'a>,
    pub(super) lengths: List<'a>,
    pub(super) times: List<'a>,
    pub(super) statuses: List<'a>,
}

impl<'a> Attempts<'a> {
    /// Sets the fields of the last attempt, the sum of times and, if there were several, the lists themselves.
    pub(super) fn set(&self, scratch: &'a Scratch, record: &mut Record<'a>) {
        if self.addresses.raw == b"-" {
            return;
        }
        record.set_text("nginx.upstream.addr", text(self.addresses.last, scratch));
        if let Some(status) = whole(self.statuses.last) {
            record.set("nginx.upstream.status", Value::Int(status));
        }
        if let Some(length) = whole(self.lengths.last) {
            record.set("nginx.upstream.response_length", Value::Int(length));
        }
        let times = if self.times.count == 1 {
            seconds_to_ms(self.times.raw)
        } else {
            self.times.items().filter_map(seconds_to_ms).reduce(|sum, ms| sum + ms)
        };
        if let Some(ms) = times {
            record.set("nginx.upstream.duration_ms", Value::Float(ms));
        }
        record.set("nginx.upstream.attempts", Value::Int(self.addresses.count));
        if self.addresses.count > 1 {
            record.set("nginx.upstream.addr_list", Value::Text(text(self.addresses.raw, scratch)));
            record.set("nginx.upstream.status_list", Value::Text(self.statuses.raw));
            record.set("nginx.upstream.duration_list", Value::Text(self.times.raw));
            record.set("nginx.upstream.length_list", Value::Text(self.lengths.raw));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_end_where_the_next_field_begins() {
        for (input, raw, count, last) in [
            ("- 12 x", "-", 1, "-"),
            ("10.0.0.1:80 12 x", "10.0.0.1:80", 1, "10.0.0.1:80"),
            ("a:1, b:2 0, 3 x", "a:1, b:2", 2, "b:2"),
            ("a:1, b:2 : c:3 0, 3 : 4 x", "a:1, b:2 : c:3", 3, "c:3"),
            ("unix:/run/a.sock : [::1]:81 x", "unix:/run/a.sock : [::1]:81", 2, "[::1]:81"),
        ] {
            let (_, list) = addresses(input.as_bytes()).unwrap();
            assert_eq!(
                (list.raw, list.count, list.last),
                (raw.as_bytes(), count, last.as_bytes()),
                "{input}"
            );
        }
    }

    #[test]
    fn a_request_id_that_looks_like_a_list_stays_a_request_id() {
        let (_, one) = addresses(b"a:1 ").unwrap();
        let (rest, statuses) = like(one).parse(b"200 : x").unwrap();
        assert_eq!((statuses.raw, rest), (&b"200"[..], &b" : x"[..]));
        assert!(like(addresses(b"a, b ").unwrap().1).parse(b"200 x").is_err());
    }
}
