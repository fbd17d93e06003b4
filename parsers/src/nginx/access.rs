//! Access lines of any `log_format`.
//!
//! Takes a compiled format and a line, finds each variable's text, and has [`super::fields`] set what it means.
//! A value ends at the next occurrence of the literal after it at which all that follows fits, too; a value that
//! its variable can't have is not tried. So unquoted values with blanks, brackets or fake fields in them
//! (`$remote_user`, `$req_id`) are told as nginx meant them.
//!
//! Invariant: the work on one line is bounded, whatever the format and the line.

use memchr::{memchr, memmem};

use super::{
    fields,
    log_format::{Escape, LogFormat, Part},
    upstream::List,
};
use crate::{
    ParseError,
    record::{Record, Scratch},
};

/// How many ends of values are tried before a line counts as not of this format.
const TRIES_MAX: usize = 10_000;

/// ingress-nginx's `upstreaminfo` (`internal/ingress/controller/config/config.go`): the present one, and the one
/// without the alternative upstream.
pub(crate) const INGRESS: [&str; 2] = [
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#,
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#,
];

/// The same as they were until September 2019, with the client's address twice.
pub(crate) const INGRESS_OLD: [&str; 2] = [
    r#"$remote_addr - [$the_real_ip] - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#,
    r#"$remote_addr - [$the_real_ip] - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#,
];

/// nginx's predefined `combined`, the `main` of its packages, and both with a virtual host before them.
pub(crate) const NGINX: [&str; 6] = [
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for""#,
    r#"$host:$server_port $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
    r#"$host $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
    r#"$host:$server_port $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for""#,
    r#"$host $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for""#,
];

/// Whether a line begins as the ingress controller's lines did until September 2019, with the client's address
/// once more in brackets. Its present format would fit, too: a user may be called anything.
pub(crate) fn tells_address_twice(line: &[u8]) -> bool {
    let address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let bracketed = find_literal(line, b" - ").and_then(|dash| line[dash + 3..].strip_prefix(b"["));
    bracketed.is_some_and(|text| {
        let len = text.iter().take_while(|byte| address(byte)).count();
        len > 0 && text[len..].starts_with(b"] - ")
    })
}

/// Appends the fields of a line to `record`; the first of the formats that fits it counts.
pub(crate) fn parse<'a>(
    formats: &[LogFormat],
    line: &'a [u8],
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    for format in formats {
        let places = scratch.places(format.parts.len());
        if find(format, line, places).is_some() {
            let escape =
                if memchr(b'\\', line).is_some() { format.escape } else { format.escape.without_escapes() };
            return fields::set(format, escape, line, places, scratch, record);
        }
    }
    Err(ParseError("not an access line of this format"))
}

/// Finds where each variable's value stands. Goes back to the last value that may end later when one does not fit.
fn find(format: &LogFormat, line: &[u8], places: &mut [(usize, usize)]) -> Option<()> {
    let mut index = 0;
    let mut start = line.starts_with(&format.prefix).then_some(format.prefix.len())?;
    let mut from = start;
    let mut tries = 0;
    // How many items the upstream lists have, and whether that is to be trusted.
    let (mut attempts, mut trusted) = (None, true);
    while let Some(part) = format.parts.get(index) {
        let last = index + 1 == format.parts.len();
        if from == start
            && trusted
            && let Some((end, count)) = plain_end(part, last, line, start, attempts)
        {
            attempts = count;
            places[index] = (start, end);
            start = end + part.literal.len();
            from = start;
            index += 1;
            continue;
        }
        tries += 1;
        if tries > TRIES_MAX {
            return None;
        }
        match end(part, last, line, from).filter(|end| *end >= start) {
            Some(end) if fits(format, index, &line[start..end], line, places) => {
                trusted &= !part.variable.is_list();
                places[index] = (start, end);
                start = end + part.literal.len();
                from = start;
                index += 1;
            }
            Some(end) if !last && may_end_later(format.escape, part) => from = end + 1,
            _ => {
                trusted = false;
                index = index.checked_sub(1)?;
                start = places[index].0;
                from = places[index].1 + 1;
                if !may_end_later(format.escape, &format.parts[index]) {
                    // It cannot be longer: one before it must be.
                    from = line.len() + 1;
                }
            }
        }
    }
    Some(())
}

/// Where a value ends that looks as its variable's values mostly do, if the literal follows there; and how many items
/// the upstream lists have, as far as that is known then.
#[inline]
fn plain_end(
    part: &Part,
    last: bool,
    line: &[u8],
    start: usize,
    attempts: Option<usize>,
) -> Option<(usize, Option<usize>)> {
    if last {
        return None;
    }
    let rest = &line[start..];
    let (len, attempts) = if part.variable.is_list() {
        let (len, count) = List::plain(rest, attempts)?;
        // One item is soon checked; several are, too, before they count as the variable's.
        (part.variable.admits(&rest[..len], Some(count))).then_some((len, Some(count)))?
    } else {
        (part.variable.plain_len(rest)?, attempts)
    };
    rest[len..].starts_with(&part.literal).then_some((start + len, attempts))
}

/// The next place, not before `from`, at which a value can end.
fn end(part: &Part, last: bool, line: &[u8], from: usize) -> Option<usize> {
    let rest = line.get(from..)?;
    match (part.literal.as_slice(), last) {
        (literal, true) => {
            Some(line.len() - line.strip_suffix(literal).map(|_| literal.len())?).filter(|end| *end >= from)
        }
        ([], false) => Some(from),
        ([byte], false) => Some(from + find_byte(*byte, rest)?),
        (literal, false) => Some(from + find_literal(rest, literal)?),
    }
}

/// Most values are a few bytes long, which a loop is through with before a vector search has begun.
#[inline]
fn find_byte(byte: u8, text: &[u8]) -> Option<usize> {
    const NEAR: usize = 16;
    let near = &text[..text.len().min(NEAR)];
    match near.iter().position(|other| *other == byte) {
        None if text.len() > NEAR => memchr(byte, &text[NEAR..]).map(|at| NEAR + at),
        found => found,
    }
}

/// Literals are a few bytes that come soon: a search set up for long ones would cost more than it saves.
fn find_literal(text: &[u8], literal: &[u8]) -> Option<usize> {
    let mut at = 0;
    for _ in 0..8 {
        at += find_byte(literal[0], &text[at..])?;
        if text[at..].starts_with(literal) {
            return Some(at);
        }
        at += 1;
    }
    memmem::find(&text[at..], literal).map(|found| at + found)
}

fn fits(format: &LogFormat, index: usize, value: &[u8], line: &[u8], places: &[(usize, usize)]) -> bool {
    let Part { variable, literal } = &format.parts[index];
    if variable.is_free_text() {
        // Before the first quote there is none.
        let before_quote =
            format.escape == Escape::Default && literal.first() == Some(&b'"') && index + 1 < places.len();
        return (before_quote || format.escape.admits(value, literal)) && variable.admits(value, None);
    }
    let attempts = if variable.is_list() { attempts_before(format, index, line, places) } else { None };
    variable.admits(value, attempts)
}

/// How many attempts the upstream list before this one has; `None` if there is none or nothing in it.
fn attempts_before(
    format: &LogFormat,
    index: usize,
    line: &[u8],
    places: &[(usize, usize)],
) -> Option<usize> {
    let before = format.parts[..index].iter().rposition(|part| part.variable.is_list())?;
    let (start, end) = places[before];
    let list = &line[start..end];
    (!list.is_empty()).then(|| List(list).len())
}

/// Whether a longer value is worth a try: not if the escape mode forbids what it would have to hold.
fn may_end_later(escape: Escape, part: &Part) -> bool {
    // With a quote after it, a value that went on would hold that quote.
    !(escape == Escape::Default && part.literal.first() == Some(&b'"'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Time, record::Value};

    const RETRIED: &str = concat!(
        r#"2a02::1 - a [b] "#,
        r#"[07/Feb/2020:12:02:42 +0000] "GET /x/17?y HTTP/1.1" 200 61 "-" "M (\x22)" 348 0.101 [default-web2-8080] [] "#,
        "172.17.0.6:8080, 172.17.0.7:8080 61, 2 0.100, 0.002 502, 200 an id",
    );

    fn compiled(formats: &[&str]) -> Vec<LogFormat> {
        formats.iter().map(|format| LogFormat::parse(format).unwrap()).collect()
    }

    fn check(formats: &[&str], line: &str, expected: &[(&str, Value<'_>)]) {
        let scratch = Scratch::new();
        let mut record = Record::new();
        parse(&compiled(formats), line.as_bytes(), &scratch, &mut record).expect(line);
        for (name, value) in expected {
            assert_eq!(record.get(name).as_ref(), Some(value), "{name} of {line}");
        }
    }

    fn refuses(formats: &[&str], line: &str) {
        let scratch = Scratch::new();
        let result = parse(&compiled(formats), line.as_bytes(), &scratch, &mut Record::new());
        assert!(result.is_err(), "{line}");
    }

    #[test]
    fn a_retried_request_with_a_strange_user() {
        check(
            &INGRESS,
            RETRIED,
            &[
                ("body", Value::text("GET /x/17?y HTTP/1.1 200")),
                ("name", Value::text("GET /x/:id")),
                ("url.shape", Value::text("/x/:id")),
                ("user.name", Value::text("a [b]")),
                ("user_agent.original", Value::text("M (\")")),
                ("duration_ms", Value::Float(101.0)),
                ("nginx.upstream.addr", Value::text("172.17.0.7:8080")),
                ("nginx.upstream.status", Value::Int(200)),
                ("nginx.upstream.duration_ms", Value::Float(102.0)),
                ("nginx.upstream.attempts", Value::Int(2)),
                ("nginx.upstream.status_list", Value::text("502, 200")),
                ("request_id", Value::text("an id")),
            ],
        );
    }

    #[test]
    fn fake_fields_in_user_and_id_are_told() {
        let user = r#"x\x22 1 0.000 [fake-up] [] 10.0.0.1 [21/Nov/2026:20:52:42 +0000] y"#;
        let id = "200 : fake 61, 2";
        let line = format!(
            r#"1.2.3.4 - {user} [21/Nov/2026:20:52:43 +0000] "GET / HTTP/2.0" 200 1 "" "" 1 0.000 [] [] a:1 : b:2 0 : 1 - : 0.001 - : 200 {id}"#
        );
        check(
            &INGRESS,
            &line,
            &[
                (
                    "user.name",
                    Value::text("x\" 1 0.000 [fake-up] [] 10.0.0.1 [21/Nov/2026:20:52:42 +0000] y"),
                ),
                ("request_id", Value::text(id)),
                ("nginx.upstream.addr_list", Value::text("a:1 : b:2")),
                ("nginx.upstream.duration_ms", Value::Float(1.0)),
            ],
        );
    }

    #[test]
    fn older_generations_of_the_ingress() {
        let line = r#"30.0.20.221 - [30.0.20.221] - - [02/Sep/2019:04:49:22 +0000] "PROXY TCP4 30.0.20.59 30.0.20.59 48168 30385" 400 163 "-" "-" 0 0.000 [] [] - - - - 96c0c05e"#;
        assert!(tells_address_twice(line.as_bytes()) && !tells_address_twice(RETRIED.as_bytes()));
        check(
            &INGRESS_OLD,
            line,
            &[("request_id", Value::text("96c0c05e")), ("nginx.the_real_ip", Value::text("30.0.20.221"))],
        );
        let line = r#"1.2.3.4 - - [02/Sep/2019:04:49:22 +0000] "GET / HTTP/1.1" 200 1 "-" "-" 0 0.000 [up] 1.1.1.1:80 1 0.001 200 96c0"#;
        check(
            &INGRESS,
            line,
            &[("nginx.upstream.addr", Value::text("1.1.1.1:80")), ("request_id", Value::text("96c0"))],
        );
    }

    #[test]
    fn combined_and_its_kin() {
        let combined = r#"0.0.0.0 - - [04/Oct/2022:04:34:49 +0000] "" 000 0 "" """#;
        check(&NGINX, combined, &[("body", Value::text("000")), ("http.response.body.size", Value::Int(0))]);
        refuses(&INGRESS, combined);
        refuses(&NGINX, RETRIED);
        let forwarded =
            r#"0.0.0.0 - - [04/Oct/2022:04:34:49 +0000] "GET / HTTP/1.0" 200 0 "-" "-" "1.1.1.1, 2.2.2.2""#;
        check(&NGINX, forwarded, &[("http.request.header.x-forwarded-for", Value::text("1.1.1.1, 2.2.2.2"))]);
        let host = r#"some.domain:8443 ::1 - - [04/Oct/2022:04:34:49 +0000] "GET / HTTP/1.0" 200 0 "-" "-""#;
        check(
            &NGINX,
            host,
            &[("server.address", Value::text("some.domain")), ("server.port", Value::Int(8443))],
        );
    }

    #[test]
    fn json_formats_with_what_breaks_json() {
        let format = r#"escape=json {"t":"$msec","r":"$request","s":$status,"us": $upstream_status,"ut": $upstream_response_time,"ua":"$http_user_agent"}"#;
        let line = r#"{"t":"1700000000.123","r":"GET /a\"b HTTP/1.1","s":499,"us": ,"ut": 0.100, 0.143,"ua":"x\\\"y\u0001"}"#;
        check(
            &[format],
            line,
            &[
                ("url.path", Value::text("/a\"b")),
                ("http.response.status_code", Value::Int(499)),
                ("nginx.upstream.duration_ms", Value::Float(243.0)),
                ("user_agent.original", Value::text("x\\\"y\u{1}")),
            ],
        );
    }

    #[test]
    fn variables_of_every_kind() {
        let format =
            "${request_method} $scheme://$host$request_uri $server_protocol $args|$gzip_ratio|$connection x";
        check(
            &[format],
            "POST https://a.test/p/q?r=1 HTTP/2.0 r=1|-|42 x",
            &[
                ("http.request.method", Value::text("POST")),
                ("url.scheme", Value::text("https")),
                ("server.address", Value::text("a.test")),
                ("url.path", Value::text("/p/q")),
                ("url.query", Value::text("r=1")),
                ("network.protocol.version", Value::text("2")),
                ("nginx.connection", Value::Int(42)),
                ("body", Value::text("POST /p/q?r=1 HTTP/2.0")),
            ],
        );
    }

    #[test]
    fn the_finest_time_counts() {
        let scratch = Scratch::new();
        let mut record = Record::new();
        let formats = compiled(&["$time_iso8601 $msec $time_local"]);
        let line = b"2023-11-14T22:13:20+00:00 1700000000.123 14/Nov/2023:22:13:20 +0000";
        parse(&formats, line, &scratch, &mut record).unwrap();
        assert_eq!(record.time.map(|time: Time| time.at.ns()), Some(1_700_000_000_123_000_000));
    }

    #[test]
    fn the_work_on_a_hostile_line_is_bounded() {
        let format = "$a $b $c $d $e $f $g $h $status!";
        refuses(&[format], &"x ".repeat(100_000));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_not(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let formats = [&INGRESS[..], &NGINX, &["$host$request_uri\"$status", "escape=json {\"a\":\"$uri\"}"]].concat();
            let scratch = Scratch::new();
            let _ = parse(&compiled(&formats), &line, &scratch, &mut Record::new());
        }

        #[test]
        fn any_cut_of_a_line_is_a_line_or_not(end in 0..RETRIED.len(), flip in 0..RETRIED.len(), to in any::<u8>()) {
            let mut line = RETRIED.as_bytes().to_vec();
            line[flip] = to;
            line.truncate(end);
            let scratch = Scratch::new();
            let _ = parse(&compiled(&INGRESS), &line, &scratch, &mut Record::new());
        }
    }
}
