//! Secrets planted into lines of every format, wherever a client or a program can put them: no field has them.

#![forbid(unsafe_code)]

use hivetail_parsers::{Context, Format, Parser, Record, Scratch, SecretNames, UrlShapes, Value};
use proptest::prelude::*;

/// Names under which secrets stand.
const NAMES: [&str; 16] = [
    "password",
    "user[password]",
    "user%5Bpassword%5D",
    "api_key",
    "apiKey",
    "access_token",
    "X-Amz-Signature",
    "session_id",
    "auth",
    "client_secret",
    "_csrf_token",
    "credentials",
    "cookie",
    "sig",
    "pass%77ord",
    "jwt",
];

/// The same where names are words.
const WORDS: [&str; 8] =
    ["password", "api_key", "access_token", "session_id", "auth", "client_secret", "credentials", "jwt"];

/// What every planted value has in it.
const MARK: &str = "PLANTED";

fn secret() -> impl Strategy<Value = String> {
    // As a URL has them; none may end a value in the places below.
    ("[A-Za-z0-9._~+/-]{0,8}", "([A-Za-z0-9._~+/-]|%[2-7][0-57-9AC]){0,8}")
        .prop_map(|(before, after)| format!("{before}{MARK}{after}"))
}

/// Lines with a secret in each place where one can stand.
fn lines(name: &str, word: &str, secret: &str) -> Vec<(Format, String)> {
    let target = format!("/a?x=1&{name}={secret}&b=2");
    let nested = format!("/a?to=%2Fb%3Fc%3D1%26{name}%3D{secret}%26d%3D1&e=1");
    let twice = format!("/a?to=%252Fb%253F{name}%253D{secret}%2526d%253D1");
    let segment = format!("/a/{name}={secret}/b");
    let encoded = format!("/a/b%26{name}%3D{secret}");
    let mut lines = Vec::new();
    for target in [&target, &nested, &twice, &segment, &encoded] {
        let request = format!("\"GET {target} HTTP/1.1\"");
        lines.extend([
            (Format::Nginx, format!("192.0.2.1 - - [18/Mar/2026:15:00:00 +0000] {request} 200 5 \"https://a.test{target}\" \"curl\"")),
            (Format::IngressNginx, format!("192.0.2.1 - - [18/Mar/2026:15:00:00 +0000] {request} 200 5 \"https://a.test{target}\" \"curl\" 4 0.050 [a-b-80] [] 10.0.0.1:80 5 0.049 200 752178adb17130b2")),
            (Format::NginxError, format!("2026/03/18 15:00:00 [error] 7#7: *1 upstream timed out, client: 192.0.2.1, server: a, request: {request}, upstream: \"http://10.0.0.1:80{target}\", host: \"a.test\", referrer: \"https://a.test{target}\"")),
            (Format::Phoenix, format!("15:00:00.000 request_id=F1a2b3c4d5e6f7a8b9c0 [info] GET {target}")),
            (Format::Json, format!("{{\"msg\":\"called {target}\",\"url\":\"https://a.test{target}\",\"deep\":{{\"list\":[\"{target}\"]}}}}")),
            (Format::Logfmt, format!("level=info msg=\"called {target}\" url=https://a.test{target}")),
            (Format::Raw, format!("called https://a.test{target} in vain")),
        ]);
    }
    let agent = format!("\\x22{word}\\x22: \\x22{secret}\\x22");
    lines.push((
        Format::Nginx,
        format!("192.0.2.1 - - [18/Mar/2026:15:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"{{{agent}}}\""),
    ));
    lines.push((Format::Json, format!("{{\"msg\":\"{{\\u0022{word}\\u0022:\\u0022{secret}\\u0022}}\"}}")));
    lines.extend([
        (Format::Json, format!("{{\"{word}\":\"{secret}\",\"a\":{{\"{word}\":\"{secret}\"}},\"b\":[{{\"{word}\":\"{secret}\"}}]}}")),
        (Format::Json, format!("{{\"msg\":\"{{\\\"{word}\\\":\\\"{secret}\\\"}}\",\"headers\":{{\"Authorization\":\"Bearer {secret}\"}}}}")),
        (Format::Json, format!("{{\"msg\":\"sent\\nAuthorization: Bearer {secret}\\nCookie: a={secret}; b={secret}\\nx\"}}")),
        (Format::Logfmt, format!("level=info {word}={secret} {word}=\"{secret} {secret}\"")),
        (Format::Phoenix, format!("15:00:00.000 [info] Parameters: %{{\"a\" => %{{\"{word}\" => \"{secret}\"}}}}")),
        (Format::Phoenix, format!("15:00:00.000 [error] ** (A) no\n    (a 1.0) lib/a.ex:1: A.b(%{{{word}: \"{secret}\"}}, \"/?{word}={secret}\")")),
        (Format::Raw, format!("> X-Api-Key: {secret}")),
        (Format::Raw, format!("Proxy-Authorization: Basic {secret}")),
        (Format::Raw, format!("Set-Cookie: id={secret}; Path=/; {word}={secret}")),
        (Format::Raw, format!("    at connect ({word}: '{secret}', {word}=\"{secret}\")")),
    ]);
    lines
}

/// Lines of programs that tell names and values in forms of their own.
fn other_lines(word: &str, secret: &str) -> Vec<(Format, String)> {
    let login = format!("postgres://app:{}@db:5432/a", secret.replace('/', "_"));
    let quoted = format!("{{\\\"{word}\\\":\\\"{secret}\\\"}}");
    let escaped = format!("{{\\\\u0022{word}\\\\u0022:\\\\u0022{secret}\\\\u0022}}");
    let spelt = format!("{{\\\"\\\\u0070assword\\\":\\\"{secret}\\\"}}");
    let mut lines = Vec::new();
    for (quote, sign) in [("%22", "%3A"), ("%22", ":"), ("%2522", "%253A"), ("%27", "%3a+")] {
        let json = format!("{{{quote}{word}{quote}{sign}{quote}{secret}{quote}}}");
        lines.push((Format::Nginx, requested(&format!("/a?q={json}&b=1"))));
        lines.push((Format::Nginx, requested(&format!("/a/{}?b=1", json.replace('{', "%7B")))));
    }
    lines.extend([
        (Format::Nginx, requested(&format!("/a?h=Authorization%3A+Bearer+{secret}&b=1"))),
        (Format::Nginx, requested(&format!("/a?{word}+={secret}&{word}(1i)={secret}"))),
        (Format::Nginx, requested(&format!("/a?db={}", login.replace('%', "%25").replace(':', "%3A").replace('/', "%2F").replace('@', "%40")))),
        (Format::Json, format!("{{\"msg\":\"{quoted}\",\"a\":\"{escaped}\",\"b\":[\"{spelt}\"]}}")),
        (Format::Json, format!("{{\"msg\":\"no {login}\",\"dsn\":\"{login}\",\"c\":[\"{login}\"]}}")),
        (Format::Json, format!("{{\"h\":[\"authorization\",\"Bearer {secret}\"],\"i\":[[\"x-api-key\", \"{secret}\"]]}}")),
        (Format::Json, format!("{{\"h\":[{{\"name\":\"{word}\",\"value\":\"{secret}\"}},{{\"value\":\"{secret}\",\"name\":\"{word}\"}}]}}")),
        (Format::Json, format!("{{\"h\":{{\"name\":\"{word}\",\"value\":\"{secret}\"}},\"i\":{{\"Value\":\"{secret}\",\"Key\":\"{word}\"}}}}")),
        (Format::Json, format!("{{\"/a?{word}={secret}\":1}}")),
        (Format::Logfmt, format!("level=info authorization=Bearer {secret} x=1 auth=Basic {secret}== {word}={secret}; b={secret}")),
        (Format::Logfmt, format!("level=info obj={{User:a Token:{secret}}} {login} x-api-key:{secret}")),
        (Format::Raw, format!("sent authorization=Bearer {secret}, x-api-key:{secret}")),
        (Format::Raw, format!("{word} = \"{secret}\" and \"{word}\" = '{secret}'")),
        (Format::Raw, format!("{word}: 1{secret}")),
        (Format::Raw, format!("[{{<<\"{word}\">>,<<\"{secret}\">>}},{{{word},\"{secret}\"}},#{{{word} => <<\"{secret}\">>}}]")),
        (Format::Raw, format!("Proxy-Authorization: Digest username=\"{secret}\", response=\"{secret}\"")),
        (Format::Phoenix, format!("15:00:00.000 [error] no {login}\n    %{{name: \"{word}\", value: \"{secret}\"}} {word}: \"\"\"\n    {secret} \"{secret}\"\n    \"\"\"")),
    ]);
    lines
}

/// A line of nginx's about that request.
fn requested(target: &str) -> String {
    format!(
        "192.0.2.1 - - [18/Mar/2026:15:00:00 +0000] \"GET {target} HTTP/1.1\" 200 5 \"https://a.test{target}\" \"curl\""
    )
}

/// Everything in the URLs below becomes a field.
fn url_shapes() -> UrlShapes {
    let patterns = ["/:a", "/:a/:b", "/:a/:b/:c", "/:a/:b/:c/:d", "/:a/:b/:c/:d/:e"].map(str::to_owned);
    let params = ["to", "x", "b", "e"].into_iter().chain(NAMES).map(str::to_owned).collect();
    UrlShapes::parse(&patterns).expect("patterns").with_params(params)
}

/// Requests whose secret has what ends a value elsewhere.
fn requests(name: &str, secret: &str) -> Vec<(Format, String)> {
    let mut lines = Vec::new();
    for target in [
        format!("/a?x=1&{name}={secret}&b=2"),
        format!("/a?{name}={secret}"),
        format!("/a?to=%2Fb%3Fc%3D1%26{name}%3D{secret}%26d%3D1&e=1"),
        format!("/a?to=%252Fb%253F{name}%253D{secret}%2526d%253D1"),
        format!("/a?to={name}%253D{secret}%2526d%253D1"),
    ] {
        let escaped = target.replace('"', "\\x22");
        let quoted = target.replace('"', "\\\"");
        let request = format!("\"GET {escaped} HTTP/1.1\"");
        lines.extend([
            (Format::Nginx, format!("192.0.2.1 - - [18/Mar/2026:15:00:00 +0000] {request} 200 5 \"https://a.test{escaped}\" \"curl\"")),
            (Format::IngressNginx, format!("192.0.2.1 - - [18/Mar/2026:15:00:00 +0000] {request} 200 5 \"https://a.test{escaped}\" \"curl\" 4 0.050 [a-b-80] [] 10.0.0.1:80 5 0.049 200 752178adb17130b2")),
            (Format::NginxError, format!("2026/03/18 15:00:00 [error] 7#7: *1 upstream timed out, client: 192.0.2.1, server: a, request: {request}, upstream: \"http://10.0.0.1:80{escaped}\", host: \"a.test\", referrer: \"https://a.test{escaped}\"")),
            (Format::Phoenix, format!("15:00:00.000 request_id=F1a2b3c4d5e6f7a8b9c0 [info] GET {target}")),
            (Format::Json, format!("{{\"msg\":\"GET {quoted}\",\"url\":\"https://a.test{quoted}\",\"request\":\"GET {quoted} HTTP/1.1\"}}")),
            (Format::Fastly, format!("{{\"time\":\"2026-03-18T15:00:00Z\",\"url\":\"{quoted}\",\"request_referer\":\"https://a.test{quoted}\"}}")),
            (Format::LoggerJson, format!("{{\"message\":\"GET {quoted}\",\"severity\":\"info\",\"metadata\":{{\"http\":{{\"url\":\"http://a.test{quoted}\"}}}}}}")),
        ]);
        if !target.contains('"') && !target.contains('>') && !target.contains('<') {
            lines.push((Format::Raw, format!("called https://a.test{target}, in vain")));
        }
    }
    lines
}

fn assert_clean(format: Format, line: &str) {
    for parser in [Parser::new(format), Parser::new(format).with_url_shapes(url_shapes())] {
        assert_clean_by(&parser, line);
    }
}

fn assert_clean_by(parser: &Parser, line: &str) {
    // Bumped for each line, as in the agent.
    let (scratch, mut record) = (Scratch::new(), Record::new());
    let _ = parser.parse(line.as_bytes(), &Context::default(), &scratch, &mut record);
    for field in record.fields() {
        let name = String::from_utf8_lossy(field.key.bytes());
        let text = match field.value {
            Value::Text(text) | Value::Number(text) => String::from_utf8_lossy(text),
            _ => "".into(),
        };
        assert!(!text.contains(MARK) && !name.contains(MARK), "{name} = {text}\nof {line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_planted_secret_is_shipped(name in 0..NAMES.len(), word in 0..WORDS.len(), secret in secret()) {
        let lines = lines(NAMES[name], WORDS[word], &secret).into_iter().chain(other_lines(WORDS[word], &secret));
        for (format, line) in lines {
            assert_clean(format, &line);
            assert_clean(Format::Auto, &line);
        }
    }

    #[test]
    fn a_path_that_names_a_secret_has_none(secret in "[A-Za-z0-9._~+%-]{0,8}PLANTED[A-Za-z0-9._~+%-]{0,8}") {
        for target in [format!("/reset/{secret}"), format!("/reset/{secret}/?a=1")] {
            let quoted = target.replace('"', "\\\"");
            for line in [
                requested(&target),
                format!("15:00:00.000 request_id=F1a2b3c4d5e6f7a8b9c0 [info] GET {target}"),
                format!("{{\"msg\":\"GET {quoted}\",\"url\":\"https://a.test{quoted}\",\"b\":[\"{quoted}\"]}}"),
                format!("level=info path={target} url=\"https://a.test{target}\""),
                format!("called https://a.test{target} in vain"),
            ] {
                let patterns = ["/reset/:token".to_owned()];
                let shapes = UrlShapes::parse(&patterns).expect("patterns");
                assert_clean_by(&Parser::new(Format::Auto).with_url_shapes(shapes), &line);
            }
        }
    }

    #[test]
    fn what_ends_a_value_elsewhere_does_not_cut_a_requests(
        name in 0..NAMES.len(),
        before in r#"[A-Za-z0-9\[(<{'",;:)>}\]@!$*|^`=-]{0,6}"#,
        after in r#"[A-Za-z0-9\[(<{'",;:)>}\]@!$*|^`=-]{0,6}"#,
    ) {
        for (format, line) in requests(NAMES[name], &format!("{before}{MARK}{after}{MARK}")) {
            assert_clean(format, &line);
            assert_clean(Format::Auto, &line);
        }
    }

    #[test]
    fn text_without_a_secrets_name_stays_as_it_is(text in "[a-z ]{0,9}(monkey|author|design|keyboard|compassion|x)[=:] ?[A-Za-z0-9&=:;,\"{}\\[\\]-]{0,40}") {
        let words = ["password", "passwd", "token", "secret", "signature", "cookie", "credential", "session", "auth", "key", "sig", "jwt", "pwd"];
        let lower = text.to_lowercase().replace("monkey", "").replace("author", "").replace("keyboard", "").replace("design", "");
        prop_assume!(!words.iter().any(|word| lower.contains(word)));
        let (scratch, mut record) = (Scratch::new(), Record::new());
        let _ = Parser::new(Format::Raw).parse(text.as_bytes(), &Context::default(), &scratch, &mut record);
        let body = record.get("body");
        prop_assert_eq!(body, Some(Value::Text(text.as_bytes())));
    }
}

/// The line does not name what a log format's variables hold.
#[test]
fn a_log_formats_own_names_tell_secrets() {
    let format = r#"$remote_addr [$time_local] "$request" $status "$http_authorization" "$cookie_id" "$http_x_api_key""#;
    let log_format = hivetail_parsers::LogFormat::parse(format).expect("a log format");
    let line = format!(
        r#"192.0.2.1 [18/Mar/2026:15:00:00 +0000] "GET / HTTP/1.1" 200 "Bearer {MARK}" "{MARK}" "{MARK}""#
    );
    let (scratch, mut record) = (Scratch::new(), Record::new());
    let parser = Parser::new(Format::Nginx).with_log_format(log_format);
    let parsed = parser.parse(line.as_bytes(), &Context::default(), &scratch, &mut record);
    assert_eq!(parsed, Ok(Format::Nginx));
    let hidden = record.fields().iter().filter(|field| field.value == Value::text("[FILTERED]")).count();
    assert_eq!(hidden, 3, "{:?}", record.fields());
}

/// The same line as several parsers read it: with the names of their sources, in whichever order they were told.
#[test]
fn a_sources_own_names_count_instead_of_ours() {
    let (none, pin) = (SecretNames::new(&[]), SecretNames::new(&["pin".to_owned()]));
    let card = || vec!["card".to_owned()];
    let phoenix = "15:00:00.000 pin=1 token=2 cardno=3 [info] ?pin=1&token=2&cardno=3";
    let json = r#"{"pin":"1","token":"2","cardno":"3","msg":"?pin=1&token=2&cardno=3"}"#;
    for (format, line) in [(Format::Phoenix, phoenix), (Format::Json, json), (Format::LoggerJson, json)] {
        let parser = Parser::new(format);
        let hidden = "[FILTERED]";
        for (parser, expected) in [
            (parser.clone(), ["1", hidden, "3"]),
            (parser.clone().with_secret_names(none.clone()), ["1", "2", "3"]),
            (parser.clone().with_secret_names(pin.clone()), [hidden, "2", "3"]),
            (
                parser.clone().with_secret_names(pin.clone()).with_filter_parameters(card()),
                [hidden, "2", hidden],
            ),
            (
                parser.clone().with_filter_parameters(card()).with_secret_names(none.clone()),
                ["1", "2", hidden],
            ),
        ] {
            let (scratch, mut record) = (Scratch::new(), Record::new());
            let parsed = parser.parse(line.as_bytes(), &Context::default(), &scratch, &mut record);
            assert_eq!(parsed, Ok(format));
            for (name, value) in ["pin", "token", "cardno"].into_iter().zip(expected) {
                let field = record.get(name).or_else(|| record.get(&format!("elixir.{name}")));
                assert_eq!(field, Some(Value::text(value)), "{name} of {line}");
            }
            let [pin, token, card] = expected;
            let body = format!("?pin={pin}&token={token}&cardno={card}");
            assert_eq!(record.get("body"), Some(Value::text(&body)), "{line}");
        }
    }
}
