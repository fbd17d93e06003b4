//! nginx against itself: the same requests, ordinary and hostile, as it logged them in five formats at once. What it
//! wrote as JSON, read by a JSON library, tells what the fields of the other four lines must be.
//!
//! Line n of each file beside this one is of the same request. `-` is what nginx prints for a missing value, so a
//! value that really is `-` can't be told from one; and with `escape=none` a value with a quote in it can be any text.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::{fs, path::Path};

use hivetail_parsers::{Context, Format, LogFormat, Parser, Record, Scratch, Value};
use serde_json::Value as Json;

const JSON: &str = r#"escape=json {"time":"$time_iso8601","msec":$msec,"req_id":"$req_id","remote_addr":"$remote_addr","remote_user":"$remote_user","method":"$request_method","host":"$host","uri":"$request_uri","path":"$uri","args":"$args","protocol":"$server_protocol","request":"$request","status":$status,"bytes_sent":$bytes_sent,"body_bytes_sent":$body_bytes_sent,"request_length":$request_length,"request_time":$request_time,"referer":"$http_referer","user_agent":"$http_user_agent","x_forwarded_for":"$http_x_forwarded_for","ssl_protocol":"$ssl_protocol","upstream_name":"$proxy_upstream_name","upstream_addr":"$upstream_addr","upstream_status":"$upstream_status","upstream_response_time":"$upstream_response_time","upstream_response_length":"$upstream_response_length","cookie":"$http_cookie","connection":"$connection","pipe":"$pipe"}"#;
const KV: &str = r#"ts=$msec time="$time_iso8601" id=$req_id ip=$remote_addr port=$remote_port realip="$realip_remote_addr" user="$remote_user" host="$host" http_host="$http_host" method=$request_method request="$request" uri="$uri" request_uri="$request_uri" args="$args" proto=$server_protocol scheme=$scheme status=$status bytes=$bytes_sent body=$body_bytes_sent len=$request_length rt=$request_time conn=$connection conn_reqs=$connection_requests pipe=$pipe completion="$request_completion" ref="$http_referer" ua="$http_user_agent" xff="$http_x_forwarded_for" cookie="$http_cookie" range="$http_range" ctype="$content_type" clen="$content_length" sent_ctype="$sent_http_content_type" sent_loc="$sent_http_location" gzip="$gzip_ratio" tls="$ssl_protocol/$ssl_cipher" h2="$http2" pp="$proxy_protocol_addr" ups=[$upstream_addr] ups_status=[$upstream_status] ups_connect=[$upstream_connect_time] ups_header=[$upstream_header_time] ups_time=[$upstream_response_time] ups_len=[$upstream_response_length] ups_recv=[$upstream_bytes_received] ups_sent=[$upstream_bytes_sent] cache=$upstream_cache_status srv=$server_addr:$server_port name=$server_name node=$hostname pid=$pid"#;
const NONE: &str = r#"escape=none $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#;

fn lines(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nginx_pairs").join(name);
    let text = fs::read(path).unwrap();
    text.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// What nginx says of each request. The status of one that got no answer is 000, which is no number in JSON.
fn truths() -> Vec<Json> {
    let truth = |line: &Vec<u8>| {
        let line = String::from_utf8_lossy(line).replace("\"status\":000", "\"status\":0");
        serde_json::from_str(&line).unwrap()
    };
    lines("json.log").iter().map(truth).collect()
}

fn text<'t>(truth: &'t Json, name: &str) -> &'t str {
    truth[name].as_str().unwrap()
}

/// A list's last item, and the sum of those that are numbers.
fn last(list: &str) -> &str {
    list.rsplit([' ']).next().unwrap_or_default()
}

fn sum_ms(list: &str) -> Option<f64> {
    let seconds = list.split([' ', ',', ':']).filter_map(|item| item.parse::<f64>().ok());
    seconds.map(|seconds| (seconds * 1000.0).round()).reduce(|sum, ms| sum + ms)
}

/// The fields that any of the formats must give for it, where the format has them; `None` for one that must be absent.
fn expected(truth: &Json) -> Vec<(&'static str, Option<String>)> {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let whole = |name: &str| truth[name].as_i64().map(|whole| whole.to_string());
    let lists = ["upstream_addr", "upstream_status", "upstream_response_time", "upstream_response_length"]
        .map(|name| text(truth, name));
    let [addr, status, time, length] = lists;
    let several = |list: &str| some(list).filter(|_| addr.contains([' ', ',']));
    let number = |item: &str| item.parse::<i64>().ok().map(|number| number.to_string());
    vec![
        ("client.address", some(text(truth, "remote_addr"))),
        ("user.name", some(text(truth, "remote_user"))),
        ("http.response.status_code", whole("status").filter(|status| status != "0")),
        ("http.response.body.size", whole("body_bytes_sent")),
        ("http.request.size", whole("request_length")),
        ("duration_ms", truth["request_time"].as_f64().map(|s| format!("{:?}", (s * 1000.0).round()))),
        ("http.request.header.referer", some(text(truth, "referer"))),
        ("user_agent.original", some(text(truth, "user_agent"))),
        ("nginx.upstream.name", some(text(truth, "upstream_name"))),
        ("nginx.upstream.addr", some(last(addr))),
        ("nginx.upstream.status", number(last(status))),
        ("nginx.upstream.response_length", number(last(length))),
        ("nginx.upstream.duration_ms", sum_ms(time).map(|ms| format!("{ms:?}"))),
        ("nginx.upstream.addr_list", several(addr)),
        ("nginx.upstream.status_list", several(status)),
        ("nginx.upstream.duration_list", several(time)),
        ("nginx.upstream.length_list", several(length)),
        ("request_id", some(text(truth, "req_id"))),
    ]
}

/// The parts of the request, which nginx takes from the same bytes that it logs as the request line.
fn expected_request(truth: &Json, record: &Record<'_>) -> Vec<(&'static str, Option<String>)> {
    let request = text(truth, "request");
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    if record.get("http.request.line").is_some() || request.is_empty() {
        return vec![("http.request.line", some(request))];
    }
    let mut fields = vec![
        ("http.request.method", some(text(truth, "method"))),
        ("network.protocol.version", some(&text(truth, "protocol").replace("HTTP/", "").replace(".0", ""))),
    ];
    if text(truth, "protocol") == "HTTP/1.0" {
        fields[1].1 = some("1.0");
    }
    let uri = text(truth, "uri");
    if uri.starts_with('/') {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        fields.extend([("url.path", some(path)), ("url.query", some(query))]);
    }
    fields
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Text(text) | Value::Number(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Int(whole) => whole.to_string(),
        Value::Float(float) => format!("{float:?}"),
        Value::Bool(value) => value.to_string(),
    }
}

/// Compares every line of a file with what nginx said as JSON; answers how many.
fn compare(name: &str, parser: &Parser, lacks: &[&str], is_fair: impl Fn(&Json) -> bool) -> usize {
    let (lines, truths) = (lines(name), truths());
    assert_eq!(lines.len(), truths.len());
    let mut compared = 0;
    for (line, truth) in lines.iter().zip(&truths).filter(|(_, truth)| is_fair(truth)) {
        let scratch = Scratch::new();
        let mut record = Record::new();
        let parsed = parser.parse(line, &Context::default(), &scratch, &mut record);
        assert!(parsed.is_ok(), "{name}: {}", line.escape_ascii());
        let mut fields = expected(truth);
        fields.extend(expected_request(truth, &record));
        for (field, value) in fields {
            if lacks.iter().any(|prefix| field.starts_with(prefix)) || value.as_deref() == Some("-") {
                continue;
            }
            assert_eq!(record.get(field).map(shown), value, "{field} in {name}: {}", line.escape_ascii());
        }
        let mut time = Vec::new();
        record.time.unwrap().at.write_rfc3339(&mut time);
        assert_eq!(time[..19], text(truth, "time").as_bytes()[..19], "{}", line.escape_ascii());
        compared += 1;
    }
    compared
}

fn told(format: &str) -> Parser {
    Parser::new(Format::Nginx).with_log_format(LogFormat::parse(format).unwrap())
}

#[test]
fn ingress_lines_say_what_nginx_said_as_json() {
    assert_eq!(compare("ingress.log", &Parser::new(Format::IngressNginx), &[], |_| true), truths().len());
}

#[test]
fn combined_lines_say_what_nginx_said_as_json() {
    let lacks = ["nginx.upstream", "http.request.size", "duration_ms", "request_id"];
    assert_eq!(compare("combined.log", &Parser::new(Format::Nginx), &lacks, |_| true), truths().len());
}

#[test]
fn lines_of_a_format_of_ones_own_say_what_nginx_said_as_json() {
    assert_eq!(compare("kv.log", &told(KV), &["nginx.upstream.name"], |_| true), truths().len());
    assert_eq!(compare("json.log", &told(JSON), &[], |_| true), truths().len());
}

#[test]
fn unescaped_lines_say_what_nginx_said_as_json_where_no_quote_is_forged() {
    let fair = |truth: &Json| {
        ["request", "referer", "user_agent", "remote_user", "req_id"]
            .iter()
            .all(|name| !text(truth, name).contains('"'))
    };
    assert!(compare("none.log", &told(NONE), &[], fair) > 400);
}
