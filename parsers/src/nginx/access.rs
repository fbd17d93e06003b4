//! Access lines of any `log_format`.
//!
//! Takes compiled formats and a line, and appends the fields of the first format that fits: [`super::straight`] reads an
//! ordinary line, [`super::search`] finds the values in any other, [`super::fields`] sets what they mean.

use memchr::{memchr, memchr_iter, memrchr};

use super::{fields::Fields, log_format::LogFormat, search, straight, variable::is_clf};
use crate::{
    Context, ParseError,
    record::{Record, Scratch},
};

/// ingress-nginx's `upstreaminfo` (`internal/ingress/controller/config/config.go`): the present one, the one without the
/// alternative upstream, and that of its TCP and UDP services (`log-format-stream`).
pub(crate) const INGRESS: [&str; 3] = [
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#,
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#,
    "[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time",
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
    let bracketed = memchr(b' ', line).and_then(|blank| line[blank..].strip_prefix(b" - ["));
    bracketed.is_some_and(|text| {
        let len = text.iter().take_while(|byte| address(byte)).count();
        len > 0 && text[len..].starts_with(b"] - ")
    })
}

/// What stands in quotes, from the first to the last: all that a client can say at length. The rest are addresses, times, numbers
/// and names of the cluster's.
pub(crate) fn quoted(line: &[u8]) -> &[u8] {
    memchr(b'"', line).zip(memrchr(b'"', line)).map_or(line, |(first, last)| &line[first..=last])
}

/// Whether `[…]` with a time in the Common Log Format is somewhere in the line. Nothing else has to be searched for the
/// ways to read it as a line with one.
fn has_time_in_brackets(line: &[u8]) -> bool {
    memchr_iter(b'[', line).any(|open| {
        line.get(open + 1..open + 28).is_some_and(|text| text.ends_with(b"]") && is_clf(&text[..26]))
    })
}

/// Appends the fields of a line to `record`; the first of the formats that fits it counts.
pub(crate) fn parse<'a>(
    formats: &[LogFormat],
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let escaped = memchr(b'\\', line).is_some();
    let mut has_time = None;
    for format in formats {
        let escape = if escaped { format.escape } else { format.escape.without_escapes() };
        let mark = record.mark();
        if straight::read(format, escape, line, context, scratch, record).is_some() {
            return Ok(());
        }
        record.rewind(mark);
        if format.time_in_brackets && !*has_time.get_or_insert_with(|| has_time_in_brackets(line)) {
            continue;
        }
        let places = scratch.places(format.parts.len());
        if search::find(format, line, places).is_some() {
            let mut fields = Fields::new(escape, context, scratch, record);
            for (part, (start, end)) in format.parts.iter().zip(places) {
                if !fields.set(&part.variable, &line[*start..*end]) {
                    return Err(ParseError("a time that does not exist"));
                }
            }
            fields.finish(format);
            return Ok(());
        }
    }
    Err(ParseError("not an access line of this format"))
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
        parse(&compiled(formats), line.as_bytes(), &Context::default(), &scratch, &mut record).expect(line);
        for (name, value) in expected {
            assert_eq!(record.get(name).as_ref(), Some(value), "{name} of {line}");
        }
    }

    fn refuses(formats: &[&str], line: &str) {
        let scratch = Scratch::new();
        let result =
            parse(&compiled(formats), line.as_bytes(), &Context::default(), &scratch, &mut Record::new());
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
    fn a_tcp_service_of_the_ingress() {
        check(
            &INGRESS,
            "[1.2.3.4] [07/Feb/2020:12:02:42 +0000] TCP 200 1 2 0.003",
            &[("client.address", Value::text("1.2.3.4")), ("nginx.protocol", Value::text("TCP"))],
        );
    }

    #[test]
    fn what_is_no_host_is_none() {
        let rest = r#" - - [21/Nov/2026:20:52:42 +0000] "GET /a HTTP/1.1" 200 2 "-" "c""#;
        for who in [
            "Nov 21 20:52:42 web1 nginx: 1.1.1.1",
            "web_1  | 1.1.1.1",
            "2026-11-21T20:52:42Z stdout F 1.1.1.1",
            "10.0.0.1, 1.1.1.1",
        ] {
            refuses(&NGINX, &format!("{who}{rest}"));
        }
    }

    #[test]
    fn a_quote_is_never_in_a_value_that_is_escaped() {
        let start = r#"1.1.1.1 - - [21/Nov/2026:20:52:42 +0000] "GET /a HTTP/1.1" 200 2"#;
        refuses(&NGINX, &format!(r#"{start} "-" "Mozilla/5.0" 0.123 "example.com" "10.0.0.1:80""#));
        refuses(&NGINX, &format!(r#"{start} "https://r/" 0.123 "Mozilla" "host""#));
        refuses(
            &[r#"$remote_addr "$request" "$http_user_agent" $status"#],
            r#"1.1.1.1 "GET / HTTP/1.1" x "b" "a" 200"#,
        );
    }

    #[test]
    fn every_upstream_list_is_one() {
        let format = "$status $upstream_connect_time $upstream_header_time $upstream_response_time";
        check(
            &[format],
            "200 0.000, 0.001 -, 0.002 0.003, 0.004",
            &[
                ("nginx.upstream_connect_time", Value::text("0.000, 0.001")),
                ("nginx.upstream_header_time", Value::text("-, 0.002")),
                ("nginx.upstream.duration_ms", Value::Float(7.0)),
            ],
        );
        let bytes = "$request_id $upstream_bytes_received $upstream_bytes_sent $upstream_cache_status";
        check(&[bytes], "abc 12, 13 14, 15 HIT", &[("nginx.upstream_cache_status", Value::text("HIT"))]);
    }

    #[test]
    fn a_separator_at_a_lists_end_is_no_attempt() {
        let line = r#"1.1.1.1 - - [07/Feb/2020:12:02:42 +0000] "GET /x HTTP/1.1" 200 61 "-" "M" 348 0.001 [up] [] 172.17.0.124:80 :  0 :  0.518 :  500 :  abc"#;
        check(
            &INGRESS,
            line,
            &[
                ("nginx.upstream.attempts", Value::Int(1)),
                ("nginx.upstream.addr", Value::text("172.17.0.124:80")),
                ("nginx.upstream.status", Value::Int(500)),
                ("nginx.upstream.response_length", Value::Int(0)),
                ("nginx.upstream.duration_ms", Value::Float(518.0)),
                ("request_id", Value::text("abc")),
            ],
        );
    }

    #[test]
    fn a_status_has_three_digits() {
        check(&["$remote_addr$status"], "1.1.1.1200", &[("client.address", Value::text("1.1.1.1"))]);
        check(&["$http_user_agent$status"], "M/5.0200", &[("user_agent.original", Value::text("M/5.0"))]);
        for status in ["200123", "20", "99999999999999999999"] {
            refuses(&["$remote_addr $status x"], &format!("1.1.1.1 {status} x"));
        }
    }

    #[test]
    fn parts_told_beside_a_missing_request_line_count() {
        let format = r#"$request_method $request_uri "$request" $status"#;
        check(
            &[format],
            r#"GET /x "-" 400"#,
            &[("name", Value::text("GET /x")), ("url.shape", Value::text("/x"))],
        );
        check(&["$request_method $uri $status"], "GET /x 200", &[("body", Value::text("GET /x 200"))]);
        let json = r#"escape=json {"u":"$request_uri","up":"$proxy_upstream_name"}"#;
        let scratch = Scratch::new();
        let mut record = Record::new();
        parse(&compiled(&[json]), br#"{"u":"/x","up":"-"}"#, &Context::default(), &scratch, &mut record)
            .unwrap();
        assert_eq!(record.get("nginx.upstream.name"), None);
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
    fn the_query_of_an_internal_redirect_is_not_the_requests() {
        for format in ["$args $request_uri $uri", "$uri $args $request_uri"] {
            let line = if format.starts_with("$args") { "tok=1 /x /internal" } else { "/internal tok=1 /x" };
            let scratch = Scratch::new();
            let mut record = Record::new();
            parse(&compiled(&[format]), line.as_bytes(), &Context::default(), &scratch, &mut record).unwrap();
            assert_eq!(record.get("url.query"), None, "{format}");
        }
        check(&["$uri $args!"], "/x a=1!", &[("url.query", Value::text("a=1"))]);
    }

    #[test]
    fn the_finest_time_counts() {
        let scratch = Scratch::new();
        let mut record = Record::new();
        let formats = compiled(&["$time_iso8601 $msec $time_local"]);
        let line = b"2023-11-14T22:13:20+00:00 1700000000.123 14/Nov/2023:22:13:20 +0000";
        parse(&formats, line, &Context::default(), &scratch, &mut record).unwrap();
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
            let _ = parse(&compiled(&formats), &line, &Context::default(), &scratch, &mut Record::new());
        }

        #[test]
        fn any_cut_of_a_line_is_a_line_or_not(end in 0..RETRIED.len(), flip in 0..RETRIED.len(), to in any::<u8>()) {
            let mut line = RETRIED.as_bytes().to_vec();
            line[flip] = to;
            line.truncate(end);
            let scratch = Scratch::new();
            let _ = parse(&compiled(&INGRESS), &line, &Context::default(), &scratch, &mut Record::new());
        }
    }
}
