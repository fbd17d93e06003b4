//! Error log lines (`src/core/ngx_log.c`):
//!
//! ```text
//! 2026/11/21 20:52:42 [error] 31#31: *5 connect() failed (111: Connection refused) while …, client: 1.2.3.4, …
//! ```
//!
//! and the copies that nginx gives to its standard error when it starts, `nginx: [emerg] …`, which have no time of
//! their own. The time has no zone; the connection's number and all that follows the message are optional. Nothing
//! is escaped: a message may hold any byte, line breaks too.

mod tail;

use memchr::memmem;
use nom::{
    IResult, Parser,
    bytes::complete::{tag, take, take_while1},
    combinator::{map_opt, opt},
    sequence::{delimited, terminated},
};

use super::{log_format::Escape, request};
use crate::{
    Context, ParseError,
    number::whole,
    record::{Level, Record, Scratch, Time, TimeSource, Value},
    shape,
    timestamp::{self, Timestamp},
};
use tail::Tail;

/// What stands before the message.
struct Head<'a> {
    at: Option<Timestamp>,
    level: Level<'a>,
    process_and_thread: Option<(i64, i64)>,
    connection: Option<i64>,
}

/// Appends the line's fields to `record`.
pub(crate) fn parse<'a>(
    line: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Result<(), ParseError> {
    let (text, head) = head(line, context.zone_offset_s)
        .or_else(|_| startup(line))
        .map_err(|_| ParseError("not an nginx error line"))?;
    let (message, tail) = tail::split(text);
    if let Some(at) = head.at {
        record.time = Some(Time { at, source: TimeSource::Inferred });
    }
    record.level = Some(head.level);
    let body = if tail.byte_counts.is_empty() {
        message
    } else {
        scratch.concat(&[message, b", bytes from/to client:", tail.byte_counts])
    };
    record.set_text("body", body);
    if let Some((process, thread)) = head.process_and_thread {
        record.set("process.pid", Value::Int(process));
        record.set("thread.id", Value::Int(thread));
    }
    if let Some(connection) = head.connection {
        record.set("nginx.connection", Value::Int(connection));
    }
    if let Some((code, reason)) = system_error(message) {
        record.set("error.code", Value::Int(code));
        record.set_text("error.message", reason);
    }
    set_tail(&tail, context, scratch, record);
    Ok(())
}

fn head(input: &[u8], zone_offset_s: i32) -> IResult<&[u8], Head<'_>> {
    let time = map_opt(take(19_usize), |text| local_time(text, zone_offset_s));
    let (rest, at) = terminated(time, tag(" ")).parse(input)?;
    let (rest, level) = terminated(level, tag(" ")).parse(rest)?;
    let (rest, process) = terminated(number, tag("#")).parse(rest)?;
    let (rest, thread) = terminated(number, tag(": ")).parse(rest)?;
    let (rest, connection) = opt(delimited(tag("*"), number, tag(" "))).parse(rest)?;
    Ok((rest, Head { at: Some(at), level, process_and_thread: Some((process, thread)), connection }))
}

fn startup(input: &[u8]) -> IResult<&[u8], Head<'_>> {
    let (rest, level) = delimited(tag("nginx: "), level, tag(" ")).parse(input)?;
    let (rest, connection) = opt(delimited(tag("*"), number, tag(" "))).parse(rest)?;
    Ok((rest, Head { at: None, level, process_and_thread: None, connection }))
}

/// `2026/11/21 20:52:42`
fn local_time(text: &[u8], zone_offset_s: i32) -> Option<Timestamp> {
    let mut dashed: [u8; 19] = text.try_into().ok()?;
    if (dashed[4], dashed[7], dashed[10]) != (b'/', b'/', b' ') {
        return None;
    }
    (dashed[4], dashed[7]) = (b'-', b'-');
    timestamp::date_time(&dashed, zone_offset_s)
}

fn level(input: &[u8]) -> IResult<&[u8], Level<'_>> {
    let word = take_while1(|byte: u8| byte.is_ascii_lowercase());
    delimited(tag("["), map_opt(word, Level::of), tag("]")).parse(input)
}

fn number(input: &[u8]) -> IResult<&[u8], i64> {
    map_opt(take_while1(|byte: u8| byte.is_ascii_digit()), whole).parse(input)
}

/// The last ` (111: Connection refused)` that ends the message, or what it says before ` while `.
fn system_error(message: &[u8]) -> Option<(i64, &[u8])> {
    const REASON_BYTES_MAX: usize = 256;
    memmem::rfind_iter(message, b" (").find_map(|at| {
        let inside: IResult<&[u8], i64> = terminated(number, tag(": ")).parse(&message[at + 2..]);
        let (rest, code) = inside.ok()?;
        let end = memchr::memchr(b')', &rest[..rest.len().min(REASON_BYTES_MAX)])?;
        let after = &rest[end + 1..];
        (after.is_empty() || after.starts_with(b" while ")).then_some((code, &rest[..end]))
    })
}

fn set_tail<'a>(tail: &Tail<'a>, context: &Context<'_>, scratch: &'a Scratch, record: &mut Record<'a>) {
    record.set_text("client.address", tail.client);
    let (server, port) = listener(tail.server);
    record.set_text("server.address", server);
    if let Some(port) = port {
        record.set("server.port", Value::Int(port));
    }
    let request = if tail.request == b"-" { b"" } else { tail.request };
    let told = request::set(request, Escape::None, scratch, record);
    if let (Some(method), Some(path)) = (told.method, told.path) {
        shape::set(method, path, told.side_by_side, context, scratch, record);
    }
    record.set_text("nginx.subrequest", tail.subrequest);
    record.set_text("nginx.upstream.addr", upstream_address(tail.upstream));
    if upstream_address(tail.upstream) != tail.upstream {
        record.set_text("nginx.upstream.url", tail.upstream);
    }
    record.set_text("http.request.header.host", tail.host);
    record.set_text("http.request.header.referer", tail.referrer);
    record.set_text("request_id", tail.request_id);
}

/// Before a request is known nginx writes the address that it listens on instead of the server's name.
fn listener(server: &[u8]) -> (&[u8], Option<i64>) {
    let address = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b':');
    let listens = server.starts_with(b"[") || server.iter().all(address);
    if listens { request::authority(server) } else { (server, None) }
}

/// `http://10.0.0.1:80/path` → `10.0.0.1:80`; `fastcgi://unix:/run/php.sock:` → `unix:/run/php.sock`.
fn upstream_address(url: &[u8]) -> &[u8] {
    let address = memmem::find(url, b"://").map_or(url, |scheme| &url[scheme + 3..]);
    match address.strip_prefix(b"unix:") {
        Some(path) => &address[..5 + memchr::memchr(b':', path).unwrap_or(path.len())],
        None => {
            let authority = &address[..memchr::memchr(b'/', address).unwrap_or(address.len())];
            &authority[memchr::memrchr(b'@', authority).map_or(0, |at| at + 1)..]
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REFUSED: &str = concat!(
        r#"2026/11/21 20:52:42 [error] 4343#7: *12 connect() failed (111: Connection refused) while connecting "#,
        r#"to upstream, client: 2001:db8::1, server: podsite.test, request: "GET /api?n=1 HTTP/2.0", "#,
        r#"subrequest: "/auth", upstream: "http://127.0.0.1:9103/api?n=1", host: "podsite.test:8080", "#,
        r#"referrer: "https://changelog.test/""#,
    );

    fn parsed<'a>(line: &'a [u8], scratch: &'a Scratch) -> Result<Record<'a>, ParseError> {
        let mut record = Record::new();
        let context = Context { zone_offset_s: 3600, ..Context::default() };
        parse(line, &context, scratch, &mut record).map(|()| record)
    }

    #[test]
    fn a_line_with_everything() {
        let scratch = Scratch::new();
        let record = parsed(REFUSED.as_bytes(), &scratch).unwrap();
        for (name, value) in [
            ("body", Value::text("connect() failed (111: Connection refused) while connecting to upstream")),
            ("process.pid", Value::Int(4343)),
            ("thread.id", Value::Int(7)),
            ("nginx.connection", Value::Int(12)),
            ("error.code", Value::Int(111)),
            ("error.message", Value::text("Connection refused")),
            ("client.address", Value::text("2001:db8::1")),
            ("server.address", Value::text("podsite.test")),
            ("http.request.method", Value::text("GET")),
            ("url.path", Value::text("/api")),
            ("url.query", Value::text("n=1")),
            ("network.protocol.version", Value::text("2")),
            ("nginx.subrequest", Value::text("/auth")),
            ("nginx.upstream.addr", Value::text("127.0.0.1:9103")),
            ("nginx.upstream.url", Value::text("http://127.0.0.1:9103/api?n=1")),
            ("http.request.header.host", Value::text("podsite.test:8080")),
            ("http.request.header.referer", Value::text("https://changelog.test/")),
        ] {
            assert_eq!(record.get(name), Some(value), "{name}");
        }
        let at = timestamp::rfc3339(b"2026-11-21T19:52:42Z").unwrap();
        assert_eq!(record.time, Some(Time { at, source: TimeSource::Inferred }));
        assert_eq!(record.level.map(|level| level.severity), Some("error"));
        assert_eq!(record.get("http.request.line"), None);
    }

    #[test]
    fn messages_of_every_kind() {
        for (line, body, severity) in [
            (
                "2021/06/17 19:25:59 [notice] 133309#133309: signal process started",
                "signal process started",
                "info",
            ),
            (
                "2021/06/17 19:25:59 [crit] 1#0: *5 limiting requests, excess: 50.416 by zone \"z\", client: 1.1.1.1",
                "limiting requests, excess: 50.416 by zone \"z\"",
                "fatal",
            ),
            (
                "nginx: [emerg] invalid port in \"x:y\" in /etc/nginx/nginx.conf:12",
                "invalid port in \"x:y\" in /etc/nginx/nginx.conf:12",
                "fatal",
            ),
            (
                "2021/06/17 19:25:59 [error] 31#31: *5 lua entry thread aborted: runtime error: x\nstack traceback:\n\t[C]: in function 'error', client: 10.0.0.1, server: _",
                "lua entry thread aborted: runtime error: x\nstack traceback:\n\t[C]: in function 'error'",
                "error",
            ),
            ("2021/06/17 19:25:59 [debug] 31#31: ", "", "debug"),
        ] {
            let scratch = Scratch::new();
            let record = parsed(line.as_bytes(), &scratch).unwrap();
            assert_eq!(record.get("body"), Some(Value::text(body)).filter(|_| !body.is_empty()), "{line}");
            assert_eq!(record.level.map(|level| level.severity), Some(severity), "{line}");
        }
    }

    #[test]
    fn the_server_that_nginx_chose_counts() {
        let scratch = Scratch::new();
        let line = r#"2021/06/17 19:25:59 [error] 1#1: *1 x, client: 1.1.1.1, server: a, request: "GET http://b:81/p HTTP/1.1""#;
        let record = parsed(line.as_bytes(), &scratch).unwrap();
        assert_eq!(record.get("server.address"), Some(Value::text("a")));
        assert_eq!(record.get("server.port"), None);
        assert_eq!(record.get("url.path"), Some(Value::text("/p")));
    }

    #[test]
    fn the_system_s_own_error() {
        for (message, expected) in [
            ("a (1: x) b (2: y) while reading (z)", Some((2, "y"))),
            ("could not be resolved (3: Host not found)", Some((3, "Host not found"))),
            ("SSL_do_handshake() failed (SSL: error:14094418:SSL) while SSL handshaking", None),
            ("open() \"/a (2: b)c\" failed", None),
            ("write() ... (104: Connection reset by peer)", Some((104, "Connection reset by peer"))),
            ("cut (104: Connection re", None),
        ] {
            let expected = expected.map(|(code, text)| (code, text.as_bytes()));
            assert_eq!(system_error(message.as_bytes()), expected, "{message}");
        }
    }

    #[test]
    fn addresses() {
        for (url, address) in [
            ("http://127.0.0.1:9101/a:b", "127.0.0.1:9101"),
            ("fastcgi://unix:/run/php-fpm/php8.3-fpm.sock:", "unix:/run/php-fpm/php8.3-fpm.sock"),
            ("http://[::1]:81/", "[::1]:81"),
            ("10.0.0.1:53", "10.0.0.1:53"),
            ("http://user:password@a.test:81/b@c", "a.test:81"),
            ("http://unix:/a.sock:/path", "unix:/a.sock"),
        ] {
            assert_eq!(upstream_address(url.as_bytes()), address.as_bytes());
        }
        assert_eq!(listener(b"0.0.0.0:443"), (&b"0.0.0.0"[..], Some(443)));
        assert_eq!(listener(b"[::]:443"), (&b"[::]"[..], Some(443)));
        assert_eq!(listener(b"~^a@b:1$"), (&b"~^a@b:1$"[..], None));
    }

    #[test]
    fn other_lines_are_refused() {
        let scratch = Scratch::new();
        for line in [
            "",
            "stack traceback:",
            "2026/13/21 20:52:42 [error] 1#1: x",
            "2026-11-21 20:52:42 [error] 1#1: x",
            "2026/11/21 20:52:42 [loud] 1#1: x",
            "2026/11/21 20:52:42 [error] 1: x",
            "nginx: configuration file /etc/nginx/nginx.conf test is successful",
        ] {
            assert!(parsed(line.as_bytes(), &scratch).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_and_any_cut_are_survived(
            noise in prop::collection::vec(any::<u8>(), 0..60),
            at in 0..REFUSED.len(),
            end in 0..REFUSED.len(),
        ) {
            let scratch = Scratch::new();
            let _ = parsed(&noise, &scratch);
            let (before, after) = REFUSED.as_bytes().split_at(at);
            let _ = parsed(&[before, &noise, after].concat(), &scratch);
            let cut = parsed(&REFUSED.as_bytes()[..end], &scratch);
            prop_assert!(cut.is_ok() || end < 40);
        }
    }
}
