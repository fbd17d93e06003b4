//! Access lines: ingress-nginx's `upstreaminfo` and nginx's `combined`.
//!
//! ```text
//! $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"
//!   … $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr
//!   $upstream_response_length $upstream_response_time $upstream_status $req_id
//! ```
//!
//! (the second and third line only with ingress-nginx: internal/ingress/controller/config/config.go). A quote is
//! always escaped inside a variable, so the first `"` ends the head. `$remote_user` may hold anything else:
//! what stands before the head's last 29 bytes, the bracketed time. `$req_id` is the rest of the line.

use memchr::{memchr, memmem};
use nom::{
    IResult, Parser,
    bytes::complete::{tag, take, take_till, take_till1, take_while1},
    combinator::map_opt,
    error::{Error, ErrorKind},
    sequence::{delimited, preceded, terminated},
};

use super::{
    request, text,
    upstream::{self, Attempts},
};
use crate::{
    ParseError,
    number::{seconds_to_ms, whole},
    record::{Record, Scratch, Time, TimeSource, Value},
    timestamp::{self, Timestamp},
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Combined,
    Ingress,
}

/// What both layouts have.
struct Common<'a> {
    address: &'a [u8],
    user: &'a [u8],
    at: Timestamp,
    request: &'a [u8],
    status: &'a [u8],
    body_size: i64,
    referer: &'a [u8],
    user_agent: &'a [u8],
}

/// What ingress-nginx adds.
struct Ingress<'a> {
    request_size: i64,
    duration_ms: f64,
    upstream: &'a [u8],
    alternative: &'a [u8],
    attempts: Attempts<'a>,
    request_id: &'a [u8],
}

/// Appends the line's fields to `record`.
pub(crate) fn parse<'a>(
    layout: Layout,
    line: &'a [u8],
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    const NOT_ACCESS: ParseError = ParseError("not an nginx access line");
    let (rest, line) = common(line).map_err(|_| NOT_ACCESS)?;
    let ingress = match layout {
        Layout::Combined if rest.is_empty() => None,
        Layout::Combined => return Err(ParseError("text after the combined format's user agent")),
        Layout::Ingress => {
            let (_, ingress) = ingress(rest).map_err(|_| ParseError("not an ingress-nginx access line"))?;
            Some(ingress)
        }
    };
    record.time = Some(Time { at: line.at, source: TimeSource::Log });
    line.set(scratch, record);
    if let Some(ingress) = ingress {
        ingress.set(scratch, record);
    }
    Ok(())
}

impl<'a> Common<'a> {
    fn set(&self, scratch: &'a Scratch, record: &mut Record<'a>) {
        let request = text(self.request, scratch);
        let body =
            if request.is_empty() { self.status } else { scratch.concat(&[request, b" ", self.status]) };
        record.set("body", Value::Text(body));
        request::set(self.request, scratch, record);
        if let Some(status) = whole(self.status).filter(|status| *status > 0) {
            record.set("http.response.status_code", Value::Int(status));
            record.error |= status >= 500;
        }
        record.set("http.response.body.size", Value::Int(self.body_size));
        record.set_text("client.address", text(self.address, scratch));
        record.set_text("user.name", text(self.user, scratch));
        record.set_text("http.request.header.referer", text(self.referer, scratch));
        record.set_text("user_agent.original", text(self.user_agent, scratch));
    }
}

impl<'a> Ingress<'a> {
    fn set(&self, scratch: &'a Scratch, record: &mut Record<'a>) {
        record.set("http.request.size", Value::Int(self.request_size));
        record.set("duration_ms", Value::Float(self.duration_ms));
        record.set_text("nginx.upstream.name", text(self.upstream, scratch));
        record.set_text("nginx.upstream.alternative_name", text(self.alternative, scratch));
        self.attempts.set(scratch, record);
        record.set_text("request_id", text(self.request_id, scratch));
    }
}

fn common(input: &[u8]) -> IResult<&[u8], Common<'_>> {
    let (rest, (address, user, at)) = head(input)?;
    let (rest, request) = terminated(quoted, tag(" ")).parse(rest)?;
    let (rest, status) = terminated(take_while1(|byte: u8| byte.is_ascii_digit()), tag(" ")).parse(rest)?;
    let (rest, body_size) = terminated(number, tag(" ")).parse(rest)?;
    let (rest, referer) = terminated(quoted, tag(" ")).parse(rest)?;
    let (rest, user_agent) = quoted(rest)?;
    Ok((rest, Common { address, user, at, request, status, body_size, referer, user_agent }))
}

/// The address, the user and the time.
type Head<'a> = (&'a [u8], &'a [u8], Timestamp);

/// Up to the first quote.
fn head(input: &[u8]) -> IResult<&[u8], Head<'_>> {
    /// ` [21/Nov/2026:20:52:42 +0000] `
    const TIME_LEN: usize = 30;
    let failed = || nom::Err::Error(Error::new(input, ErrorKind::Tag));
    let quote = memchr(b'"', input).filter(|at| *at >= TIME_LEN).ok_or_else(failed)?;
    let (who, time) = input[..quote].split_at(quote - TIME_LEN);
    let (_, at) = delimited(tag(" ["), map_opt(take(26_usize), timestamp::clf), tag("] ")).parse(time)?;
    let dash = memmem::find(who, b" - ").ok_or_else(failed)?;
    Ok((&input[quote..], (&who[..dash], &who[dash + 3..], at)))
}

fn ingress(input: &[u8]) -> IResult<&[u8], Ingress<'_>> {
    let (rest, request_size) = preceded(tag(" "), number).parse(input)?;
    let (rest, duration_ms) = preceded(tag(" "), map_opt(word, seconds_to_ms)).parse(rest)?;
    let (rest, upstream) = preceded(tag(" "), bracketed).parse(rest)?;
    let (rest, alternative) = preceded(tag(" "), bracketed).parse(rest)?;
    let (rest, addresses) = preceded(tag(" "), upstream::addresses).parse(rest)?;
    let (rest, lengths) = preceded(tag(" "), upstream::like(addresses)).parse(rest)?;
    let (rest, times) = preceded(tag(" "), upstream::like(addresses)).parse(rest)?;
    let (rest, statuses) = preceded(tag(" "), upstream::like(addresses)).parse(rest)?;
    let (request_id, _) = tag(" ")(rest)?;
    let attempts = Attempts { addresses, lengths, times, statuses };
    Ok((&[], Ingress { request_size, duration_ms, upstream, alternative, attempts, request_id }))
}

fn quoted(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let (text, _) = tag("\"")(input)?;
    let end = memchr(b'"', text).ok_or_else(|| nom::Err::Error(Error::new(input, ErrorKind::Char)))?;
    Ok((&text[end + 1..], &text[..end]))
}

fn bracketed(input: &[u8]) -> IResult<&[u8], &[u8]> {
    delimited(tag("["), take_till(|byte| byte == b']'), tag("]")).parse(input)
}

fn word(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_till1(|byte| byte == b' ')(input)
}

fn number(input: &[u8]) -> IResult<&[u8], i64> {
    map_opt(word, whole).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIED: &str = concat!(
        r#"2a02::1 - a [b] "#,
        r#"[07/Feb/2020:12:02:42 +0000] "GET /x?y HTTP/1.1" 200 61 "-" "M (\x22)" 348 0.101 [default-web2-8080] [] "#,
        "172.17.0.6:8080, 172.17.0.7:8080 61, 2 0.100, 0.002 502, 200 an id",
    );

    fn parsed<'a>(layout: Layout, line: &'a str, scratch: &'a Scratch) -> Result<Record<'a>, ParseError> {
        let mut record = Record::new();
        parse(layout, line.as_bytes(), scratch, &mut record).map(|()| record)
    }

    #[test]
    fn a_retried_request_with_a_strange_user() {
        let scratch = Scratch::new();
        let record = parsed(Layout::Ingress, RETRIED, &scratch).unwrap();
        for (name, value) in [
            ("body", Value::text("GET /x?y HTTP/1.1 200")),
            ("user.name", Value::text("a [b]")),
            ("user_agent.original", Value::text("M (\")")),
            ("duration_ms", Value::Float(101.0)),
            ("nginx.upstream.addr", Value::text("172.17.0.7:8080")),
            ("nginx.upstream.status", Value::Int(200)),
            ("nginx.upstream.duration_ms", Value::Float(102.0)),
            ("nginx.upstream.attempts", Value::Int(2)),
            ("nginx.upstream.status_list", Value::text("502, 200")),
            ("request_id", Value::text("an id")),
        ] {
            assert_eq!(record.get(name), Some(value), "{name}");
        }
        assert_eq!(record.get("nginx.upstream.alternative_name"), None);
        assert_eq!(record.get("http.request.header.referer"), None);
    }

    #[test]
    fn each_layout_refuses_the_other() {
        let scratch = Scratch::new();
        let combined = r#"1.2.3.4 - - [07/Feb/2020:12:02:42 +0000] "" 000 0 "" """#;
        let record = parsed(Layout::Combined, combined, &scratch).unwrap();
        assert_eq!(record.get("http.response.status_code"), None, "000 means that nothing was sent");
        assert_eq!(record.get("body"), Some(Value::text("000")));
        assert!(parsed(Layout::Ingress, combined, &scratch).is_err());
        assert!(parsed(Layout::Combined, RETRIED, &scratch).is_err());
    }

    #[test]
    fn any_cut_of_a_line_fails_or_parses_but_never_panics() {
        let scratch = Scratch::new();
        for end in 0..RETRIED.len() {
            for layout in [Layout::Combined, Layout::Ingress] {
                let _ = parsed(layout, &RETRIED[..end], &scratch);
            }
        }
    }
}
