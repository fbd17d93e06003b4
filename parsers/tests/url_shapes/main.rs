//! A source's own patterns and parameters, in every format that tells a request.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use hivetail_parsers::{Context, Format, LogFormat, Parser, Record, Scratch, UrlShapes, Value};

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn parser(format: Format) -> Parser {
    let shapes = UrlShapes::parse(&owned(&["/podcast/:slug", "/reset/:token", "/static/*"])).unwrap();
    Parser::new(format).with_url_shapes(shapes.with_params(owned(&["q", "slug", "api_key"])))
}

/// A field's text; empty if there is none.
fn text<'a>(record: &Record<'a>, name: &str) -> &'a str {
    let value = record.get(name).unwrap_or(Value::Text(b""));
    assert!(matches!(value, Value::Text(_)), "{name} = {value:?}");
    if let Value::Text(text) = value { std::str::from_utf8(text).unwrap() } else { "" }
}

/// The shape, the name, and the parameters `slug`, `q`, `token` and `api_key`.
#[track_caller]
fn check(parser: &Parser, line: &str, expected: [&str; 6]) {
    let (scratch, mut record) = (Scratch::new(), Record::new());
    let parsed = parser.parse(line.as_bytes(), &Context::default(), &scratch, &mut record);
    assert!(parsed.is_ok(), "{parsed:?} {line}");
    let names =
        ["url.shape", "name", "url.param.slug", "url.param.q", "url.param.token", "url.param.api_key"];
    assert_eq!(names.map(|name| text(&record, name)), expected, "{line}");
}

/// Lines of one request, as each of those formats writes it that log its query.
fn with_query(target: &str) -> Vec<(Parser, String)> {
    let (path, query) = target.split_once('?').unwrap();
    let access = |user: &str| {
        format!(r#"192.0.2.1 - {user} [18/Mar/2026:15:00:00 +0000] "GET {target} HTTP/1.1" 200 5 "-" "curl""#)
    };
    let upstream = "4 0.050 [a-b-80] [] 10.0.0.1:80 5 0.049 200 75217";
    let one_by_one = LogFormat::parse("$request_method $uri $args $status").unwrap();
    vec![
        (parser(Format::Nginx), access("-")),
        // The search reads that one.
        (parser(Format::Nginx), access("a [b]")),
        (parser(Format::IngressNginx), format!("{} {upstream}", access("-"))),
        (parser(Format::Auto), format!("{} {upstream}", access("-"))),
        (parser(Format::Nginx).with_log_format(one_by_one), format!("GET {path} {query} 200")),
        (
            parser(Format::NginxError),
            format!(
                r#"2026/03/18 15:00:00 [error] 7#7: *1 no, client: ::1, server: a, request: "GET {target} HTTP/1.1""#
            ),
        ),
        (parser(Format::Varnish), format!(r#"{{"request":"GET","url":"{target}","status":"200"}}"#)),
        (
            parser(Format::Fastly),
            format!(r#"{{"request_method":"GET","url":"{target}","response_status":200}}"#),
        ),
        (
            parser(Format::LoggerJson),
            format!(
                r#"{{"httpRequest":{{"requestMethod":"GET","requestUrl":"http://a.test{target}","status":200}}}}"#
            ),
        ),
    ]
}

#[test]
fn a_pattern_that_fits_is_the_shape_and_names_the_fields() {
    for (parser, line) in with_query("/podcast/caf%C3%A9/?slug=x&q=a+b&q=c&api_key=s") {
        check(&parser, &line, ["/podcast/:slug", "GET /podcast/:slug", "café", "a b", "", "[FILTERED]"]);
    }
    for (parser, line) in with_query("/reset/s3cret?a=1&q=") {
        check(&parser, &line, ["/reset/:token", "GET /reset/:token", "", "", "[FILTERED]", ""]);
    }
    for (parser, line) in with_query("/podcast/x?q=%2Fa%3Ftoken%3Ds") {
        let expected = ["/podcast/:slug", "GET /podcast/:slug", "x", "/a?token=[FILTERED]", "", ""];
        check(&parser, &line, expected);
    }
    for (parser, line) in with_query("/podcast/x%26token%3Ds?") {
        let expected = ["/podcast/:slug", "GET /podcast/:slug", "x&token=[FILTERED]", "", "", ""];
        check(&parser, &line, expected);
    }
}

#[test]
fn where_none_fits_our_rules_hold() {
    for (parser, line) in with_query("/podcast/600/comments?slug=x") {
        check(&parser, &line, ["/podcast/:id/comments", "GET /podcast/:id/comments", "x", "", "", ""]);
    }
}

#[test]
fn lines_without_a_query() {
    let told = "request_id=x [info] GET";
    for (format, line) in [
        (Format::Phoenix, format!("15:00:00.000 {told} /podcast/go-time/")),
        (Format::Auto, format!("15:00:00.000 {told} /podcast/go-time")),
        (Format::LoggerJson, r#"{"message":"GET /podcast/go-time","severity":"info"}"#.to_owned()),
    ] {
        check(&parser(format), &line, ["/podcast/:slug", "GET /podcast/:slug", "go-time", "", "", ""]);
    }
    let crash = "15:00:00.000 [error] #PID<0.1.0> running A.Endpoint (connection #PID<0.2.0>, stream id 1) terminated\n\
                 Server: a.test:80 (http)\nRequest: GET /podcast/go-time?q=1\n** (exit) :killed";
    check(
        &parser(Format::Phoenix),
        crash,
        ["/podcast/:slug", "Request process terminated", "go-time", "", "", ""],
    );
}

#[test]
fn what_the_line_says_itself_counts_more() {
    let line = r#"{"method":"GET","url":"/podcast/a?q=1","http.route":"/p/:s","url.param.slug":"mine"}"#;
    check(&parser(Format::Varnish), line, ["/podcast/:slug", "GET /p/:s", "mine", "1", "", ""]);
}
