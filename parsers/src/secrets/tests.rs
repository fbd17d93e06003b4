//! Secrets in text, form by form: what is found, how it is shown, and what stays.

use proptest::prelude::*;

use super::*;

fn filtered(line: &str) -> String {
    let (names, scratch) = (SecretNames::default().and_containing(&["card".to_owned()]), Scratch::new());
    String::from_utf8(text(line.as_bytes(), &names, &scratch).to_vec()).unwrap()
}

#[track_caller]
fn check(line: &str, expected: &str) {
    assert_eq!(filtered(line), expected);
    assert_eq!(filtered(expected), expected, "twice is once");
}

#[test]
fn queries_and_assignments() {
    for (line, expected) in [
        (
            "Request: GET /x?password=hunter2&user[token]=t&a=1",
            "Request: GET /x?password=[FILTERED]&user[token]=[FILTERED]&a=1",
        ),
        ("/x?user%5Bpassword%5D=x;y", "/x?user%5Bpassword%5D=[FILTERED]"),
        ("(https://a.test/?api-token=x)", "(https://a.test/?api-token=[FILTERED])"),
        (r#"{"url":"/?token=x","b":1}"#, r#"{"url":"/?token=[FILTERED]","b":1}"#),
        (r#"A.b("{\"url\":\"/?token=x\"}")"#, r#"A.b("{\"url\":\"/?token=[FILTERED]\"}")"#),
        (r#"token="a b\" c" d"#, r#"token="[FILTERED]" d"#),
        (r#"url="/?token=" b="c""#, r#"url="/?token=" b="c""#),
        ("CARD_number=1", "CARD_number=[FILTERED]"),
        (r#"tokens=["a", "b"] c"#, "tokens=[FILTERED] c"),
        ("token=a=b c", "token=[FILTERED] c"),
        ("/?pass%77ord=S&%74%6f%6B%65%6e=S", "/?pass%77ord=[FILTERED]&%74%6f%6B%65%6e=[FILTERED]"),
        ("/?user%5b%50assword%5d=S%zz&%=1", "/?user%5b%50assword%5d=[FILTERED]&%=1"),
        (
            "GET /\nRequest: GET /?password=it's,(a)&b=c\nd",
            "GET /\nRequest: GET /?password=[FILTERED]&b=c\nd",
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn what_a_client_wrote_ends_at_its_separators_only() {
    let (names, scratch) = (SecretNames::default(), Scratch::new());
    for (query, expected) in [
        ("password=it's+me&a=1", "password=[FILTERED]&a=1"),
        ("password=abc,def#x", "password=[FILTERED]#x"),
        ("token=abc(def)ghi x", "token=[FILTERED] x"),
        ("token=[a]REST&b", "token=[FILTERED]&b"),
        ("token='a'REST", "token=[FILTERED]"),
        ("token=\"a&to=b\"c&d", "token=[FILTERED]&d"),
        ("token=>b", "token=[FILTERED]"),
        ("sig=a;b>\"c", "sig=[FILTERED]"),
        ("to=token%3Da)REST%23b&c", "to=token%3D[FILTERED]&c"),
        ("to=token%3Da%2526b%26c", "to=token%3D[FILTERED]%26c"),
        ("to=token%253Da'b%2526c", "to=token%253D[FILTERED]%2526c"),
        ("to=token%253Da'b%26c", "to=token%253D[FILTERED]%26c"),
    ] {
        let cleaned = url(query.as_bytes(), &names, &scratch);
        assert_eq!(std::str::from_utf8(cleaned).unwrap(), expected);
        assert_eq!(url(cleaned, &names, &scratch), cleaned, "twice is once");
        // In prose a quote ends it.
        if !expected.contains(['>', ' ']) && !query.contains(['"', '>']) {
            check(&format!("see /?{query}, then"), &format!("see /?{expected}, then"));
        }
        check(&format!("GET /?{query}"), &format!("GET /?{expected}"));
    }
}

#[test]
fn maps_keywords_and_json() {
    for (line, expected) in [
        (r#"A.b(%{"password" => "hunter2", "a" => 1})"#, r#"A.b(%{"password" => "[FILTERED]", "a" => 1})"#),
        ("%{:token => 1, b: 2}", r#"%{:token => "[FILTERED]", b: 2}"#),
        (
            "State: %{secret: %{a: [1, 2]}, b: #PID<0.1.0>}",
            r#"State: %{secret: "[FILTERED]", b: #PID<0.1.0>}"#,
        ),
        (
            r#"[token: nil, "my-token": ~c"x", card: 'y']"#,
            r#"[token: "[FILTERED]", "my-token": "[FILTERED]", card: "[FILTERED]"]"#,
        ),
        ("#A<token: <<1, 2>>, b>", r#"#A<token: "[FILTERED]", b>"#),
        ("%{token: %A.B{c: :d}}", r#"%{token: "[FILTERED]"}"#),
        (r#"%{"a" => %{"token" => #A<"x">}}"#, r#"%{"a" => %{"token" => "[FILTERED]"}}"#),
        ("%{\"token\" =>\n  \"x\",\n  \"b\" => 1}", "%{\"token\" =>\n  \"[FILTERED]\",\n  \"b\" => 1}"),
        (r#"{"args":{"token":"x","b":1}}"#, r#"{"args":{"token":"[FILTERED]","b":1}}"#),
        (r#"{"tokens": [1, {"a": "]"}] , "b":1}"#, r#"{"tokens": "[FILTERED]" , "b":1}"#),
        (r#"{"secret":-1.5e3}"#, r#"{"secret":"[FILTERED]"}"#),
    ] {
        check(line, expected);
    }
}

#[test]
fn names_that_have_more_than_words() {
    for (line, expected) in [
        ("/?token+=S&password(1i)=S&a", "/?token+=[FILTERED]&password(1i)=[FILTERED]&a"),
        ("GET /?token*=S&$key:=S", "GET /?token*=[FILTERED]&$key:=[FILTERED]"),
        ("f(a)token=S", "f(a)token=[FILTERED]"),
    ] {
        check(line, expected);
    }
}

#[test]
fn schemes_and_headers() {
    for (line, expected) in [
        ("authorization=Bearer S x", "authorization=[FILTERED] x"),
        ("auth=basic Uz09==, x", "auth=[FILTERED], x"),
        ("GET /?auth=Bearer S HTTP/1.1", "GET /?auth=[FILTERED] HTTP/1.1"),
        (r#"auth=Digest username="S", response="S""#, "auth=[FILTERED]"),
        (r#""auth=Digest username=\"S\", response=\"S\"" x"#, r#""auth=[FILTERED]" x"#),
        ("auth=basic", "auth=[FILTERED]"),
        ("x-api-key:S, b", "x-api-key:[FILTERED], b"),
        ("authorization:Bearer S", "authorization:[FILTERED]"),
        ("Set-Cookie:\ta=S; b=S\nx", "Set-Cookie:\t[FILTERED]\nx"),
        ("-H 'Authorization: Bearer S' https://a.test", "-H 'Authorization: [FILTERED]' https://a.test"),
        (r#""X-Api-Key: \"S\"\nb" c"#, r#""X-Api-Key: [FILTERED]\nb" c"#),
        (r#"Authorization: Digest a="S", b="S""#, "Authorization: [FILTERED]"),
    ] {
        check(line, expected);
    }
}

#[test]
fn variables_structs_and_words() {
    for (line, expected) in [
        (r#"token = "S""#, r#"token = "[FILTERED]""#),
        (r#"WHERE u0."token" = 'S' AND"#, r#"WHERE u0."token" = "[FILTERED]" AND"#),
        ("password= hunter2\nb", "password= [FILTERED]\nb"),
        ("&{User:a Token:S Key:[a b]}", "&{User:a Token:[FILTERED] Key:[a b]}"),
        ("bad login, password: hunter2.", "bad login, password: [FILTERED]."),
        ("{token:abc123,b:1}", "{token:[FILTERED],b:1}"),
        ("{token:\"S\",b:1}", "{token:\"[FILTERED]\",b:1}"),
        ("map[a:[b] token:S] token:d", "map[a:[b] token:[FILTERED]] token:d"),
        ("map[a:b token:S c:d] token:e", "map[a:b token:[FILTERED] c:d] token:e"),
    ] {
        check(line, expected);
    }
}

#[test]
fn erlang() {
    for (line, expected) in [
        (r##"#{<<"password">> => <<"S">>,a => 1}"##, r##"#{<<"password">> => "[FILTERED]",a => 1}"##),
        (r##"#{password => "S"}"##, r##"#{password => "[FILTERED]"}"##),
        (r#"[{<<"token">>,<<"S">>},{token,"S"}]"#, r#"[{<<"token">>,"[FILTERED]"},{token,"[FILTERED]"}]"#),
        ("token: \"\"\"\nS \"S\"\n\"\"\"\nb", "token: \"[FILTERED]\"\nb"),
    ] {
        check(line, expected);
    }
}

#[test]
fn names_beside_values() {
    for (line, expected) in [
        (r#"["authorization","Bearer S"]"#, r#"["authorization","[FILTERED]"]"#),
        (r#"[["x-api-key", "S"], ["a", "b"]]"#, r#"[["x-api-key", "[FILTERED]"], ["a", "b"]]"#),
        (r#"{"name":"Authorization","value":"S"}"#, r#"{"name":"Authorization","value":"[FILTERED]"}"#),
        (r#"{"value":"S","name":"Authorization"}"#, r#"{"value":"[FILTERED]","name":"Authorization"}"#),
        (r#"%{name: "password", value: "S"}"#, r#"%{name: "password", value: "[FILTERED]"}"#),
        (r#"%{"name" => "token", "value" => 5}"#, r#"%{"name" => "token", "value" => "[FILTERED]"}"#),
        (r#"{\"field\":\"token\",\"value\":\"S\"}"#, r#"{\"field\":\"token\",\"value\":\"[FILTERED]\"}"#),
    ] {
        check(line, expected);
    }
}

/// What an independent tester found.
#[test]
fn other_programs_forms() {
    for (line, expected) in [
        (
            r#""GET / HTTP/1.1\r\nCookie: a=S\r\nAuthorization: Basic S\r\n""#,
            r#""GET / HTTP/1.1\r\nCookie: [FILTERED]\r\nAuthorization: [FILTERED]\r\n""#,
        ),
        (r#""a\nkey=S\tauth: \"S\"""#, r#""a\nkey=[FILTERED]\tauth: \"[FILTERED]\"""#),
        (
            r#"Config { token: Some("S"), b: 1 } key=Secret(S)"#,
            r#"Config { token: "[FILTERED]", b: 1 } key=[FILTERED]"#,
        ),
        ("WHERE `a`.`token` = 'S'", "WHERE `a`.`token` = \"[FILTERED]\""),
        (r#"[["token", "S"], ["LIMIT", 1]]"#, r#"[["token", "[FILTERED]"], ["LIMIT", 1]]"#),
        (r#"["Host","a","Authorization","Bearer S"]"#, r#"["Host","a","Authorization","[FILTERED]"]"#),
        ("{'password': b'S', 'key': u'S'}", "{'password': \"[FILTERED]\", 'key': \"[FILTERED]\"}"),
        ("[('Authorization', 'Bearer S')]", "[('Authorization', \"[FILTERED]\")]"),
        ("auth=('a', 'S') b", "auth=[FILTERED] b"),
        ("{client_secret,\n  <<\"S\">>}", "{client_secret,\n  \"[FILTERED]\"}"),
        (r#"{~c"authorization", ~c"Bearer S"}"#, r#"{~c"authorization", "[FILTERED]"}"#),
        ("{password:S user:a}", "{password:[FILTERED] user:a}"),
        (r#"Header{"Authorization":[]string{"Bearer S"}}"#, r#"Header{"Authorization":"[FILTERED]"}"#),
        (
            "postgres://u:a/S@h/b postgres://a@b.test:S@h",
            "postgres://u:[FILTERED]@h/b postgres://a@b.test:[FILTERED]@h",
        ),
        ("password: $2b$12$S1, API_KEY : \"S\"", "password: [FILTERED], API_KEY : \"[FILTERED]\""),
        ("password=a,S b=1, key=c,d=e", "password=[FILTERED] b=1, key=[FILTERED],d=e"),
    ] {
        check(line, expected);
    }
}

#[test]
fn sentences_stay() {
    for line in [
        "lookup auth-service: no such host",
        "my-auth-service-5d8f7: Pulled image",
        "upstream \"auth-service:8080\"",
        "KeyError: 'name', AuthError: 401",
        "unexpected token: 5 at line 3, Missing key: 'name', unknown key: \"foo\"",
        "Session: 5 users connected, cannot fetch token: 400 Bad Request",
        "sudo: a : PWD=/home/a ; USER=root",
        "authorization: user 5 is not allowed to read b",
        "Cookie: accepted by the user",
        r#"errors: [password: {"should be at least %{count}", [count: 12, validation: :length]}]"#,
        "obsession=5 tokenizer: \"bert\"",
        r#"["authorization","cookie"] getenv("TOKEN", "default")"#,
    ] {
        assert_eq!(filtered(line), line);
    }
}

#[test]
fn logins() {
    for (line, expected) in [
        ("postgres://app:S@db:5432/a failed", "postgres://app:[FILTERED]@db:5432/a failed"),
        ("mongodb://u:a@S@h1:1,h2:2/?token=S", "mongodb://u:[FILTERED]@h1:1,h2:2/?token=[FILTERED]"),
        ("GET http://u:S@a.test/b", "GET http://u:[FILTERED]@a.test/b"),
        (r#"{"url":"amqp://:S@h"}"#, r#"{"url":"amqp://:[FILTERED]@h"}"#),
    ] {
        check(line, expected);
    }
}

#[test]
fn encoded_names_of_any_length() {
    for len in 0..300 {
        let name = format!("{}%70assword{}", "%61".repeat(len), "b".repeat(300 - len));
        check(&format!("/?{name}=S&a=1"), &format!("/?{name}=[FILTERED]&a=1"));
    }
}

#[test]
fn tuples() {
    for (line, expected) in [
        (r#"{"password", "S"}"#, r#"{"password", "[FILTERED]"}"#),
        (r#"{:token, "S"}"#, r#"{:token, "[FILTERED]"}"#),
        (r#"{"x-csrf-token", "S"}"#, r#"{"x-csrf-token", "[FILTERED]"}"#),
        (r#"{:"x-csrf-token","S"}"#, r#"{:"x-csrf-token","[FILTERED]"}"#),
        (
            r#"[{"password", "S"}, {"a", 1}, {:token, ["S", {:a, 1}]}]"#,
            r#"[{"password", "[FILTERED]"}, {"a", 1}, {:token, "[FILTERED]"}]"#,
        ),
        (r#"{:token, "S", "c", 3}"#, r#"{:token, "[FILTERED]", "c", 3}"#),
        ("{:token?,\n  %A{b: 1},\n  2}", "{:token?,\n  \"[FILTERED]\",\n  2}"),
        (r#"{:ok, {:card, 5}}"#, r#"{:ok, {:card, "[FILTERED]"}}"#),
        (r#"{"a":"{\"token\", \"S\"}"}"#, r#"{"a":"{\"token\", \"[FILTERED]\"}"}"#),
        (r#""{:\"a-token\", \"S\\\"\"}, 1""#, r#""{:\"a-token\", \"[FILTERED]\"}, 1""#),
        (r#""{:token, 5}""#, r#""{:token, \"[FILTERED]\"}""#),
        ("{:token, [1\n{:card, 1}", "{:token, \"[FILTERED]\"\n{:card, \"[FILTERED]\"}"),
    ] {
        check(line, expected);
    }
}

#[test]
fn in_quoted_text() {
    for (line, expected) in [
        (r#"A.b("%{\"password\" => \"x, \\\"y\"}", 1)"#, r#"A.b("%{\"password\" => \"[FILTERED]\"}", 1)"#),
        (r#"{"a":"{\"token\":\"x\",\"b\":1}"}"#, r#"{"a":"{\"token\":\"[FILTERED]\",\"b\":1}"}"#),
        (
            r#"{"a":"{\"b\":\"{\\\"token\\\":{\\\"c\\\":1}}\"}"}"#,
            r#"{"a":"{\"b\":\"{\\\"token\\\":\\\"[FILTERED]\\\"}\"}"}"#,
        ),
        (r#"{"error":"** (A) %{token: 5}"}"#, r#"{"error":"** (A) %{token: \"[FILTERED]\"}"}"#),
        (r#"{"error":"x\ntoken: [\"a\"]"}"#, r#"{"error":"x\ntoken: \"[FILTERED]\""}"#),
        (r#""%{\"token\" => %{a: 1" x"#, r#""%{\"token\" => \"[FILTERED]\"" x"#),
    ] {
        check(line, expected);
    }
}

#[test]
fn what_is_no_secret_stays() {
    for line in [
        "",
        "Sent 200 in 15ms",
        "unexpected token: foo",
        "lib/token.ex:12: App.Token.x/1",
        "** (KeyError) key :password not found in: %{a: 1}",
        r#"SELECT u0."token" FROM "user_tokens" AS u0 WHERE (u0."token" = $1)"#,
        r#"%{"password" => "[FILTERED]", token: "[FILTERED]"} ?token=[FILTERED]&a=b {"secret":"[FILTERED]"}"#,
        "token= secret=&password=",
        "App.Token: 5, :token: 5, 9token: 5, a.token: 5",
        "\"token\": can't be blank",
        "a == b => c :: d",
        r#"{:ok, "token"} {"a", 1} {"a", "token", 1} {:token} {:token, } {:a, :token, 1}"#,
        r#"{} token, "x" :token, "x" "token", "x" f("token", 1) ["token", "x"] {token, "x"}"#,
        r#"{"token", "[FILTERED]"} {:token, "[FILTERED]"} {\\"token\", 1} {\"token", 1}"#,
        "one, two, three",
        "http://a.test:80/b@c ssh://git@a.test http://a.test:80 a@b.test http://@a",
        "see token: expired, key: v1.2, auth: oauth, Session:  ended, token:bad",
        "token == \"x\" token =~ x, key = value, key =\nvalue",
        r#"["x-api-key","x-auth-token","b"] ["token","x"] tokens.map(token => {})"#,
        r#"{"name":"a","value":"x"} {"value":"x","name":"a"} {"value":1}"#,
        "/?pass%7ord=a&pass%2577ord=b&%zz%=c&%5B=d&%7",
    ] {
        let (names, scratch) = (SecretNames::default(), Scratch::new());
        let same = text(line.as_bytes(), &names, &scratch);
        assert_eq!(same.as_ptr(), line.as_ptr(), "{line}");
        assert_eq!(same.len(), line.len(), "{line}");
    }
}

#[test]
fn a_source_s_own_names_count_instead() {
    let line = r#"{"pin":"1","token":"2"} Authorization: Basic 3
X-Pin: 4
cookie: 5
/?pin=6&key=7&to=%3Fpin%3D8"#;
    let expected = r#"{"pin":"[FILTERED]","token":"2"} Authorization: Basic 3
X-Pin: [FILTERED]
cookie: 5
/?pin=[FILTERED]&key=7&to=%3Fpin%3D[FILTERED]"#;
    let scratch = Scratch::new();
    for (words, expected) in [(&["PIN".to_owned()][..], expected), (&[], line)] {
        let cleaned = text(line.as_bytes(), &SecretNames::new(words), &scratch);
        assert_eq!(std::str::from_utf8(cleaned).unwrap(), expected);
    }
    let added = SecretNames::new(&[]).and_containing(&["author".to_owned()]);
    let cleaned = text(b"Authorization: Basic 3", &added, &scratch);
    assert_eq!(cleaned, b"Authorization: [FILTERED]");
}

#[test]
fn what_has_no_end_goes_to_the_end_of_its_line() {
    check("token: \"a\nb: 1", "token: \"[FILTERED]\"\nb: 1");
    check("%{token: [1, {2\nb: 1\n", "%{token: \"[FILTERED]\"\nb: 1\n");
    check("token: [1\ncard: {2}, a\n", "token: \"[FILTERED]\"\ncard: \"[FILTERED]\", a\n");
}

#[test]
fn hostile_text_costs_no_more_than_its_length() {
    for part in [
        "token: [",
        "token: [\n",
        "token=[",
        "token=[&",
        "token: \"",
        "\"token\" => \\\"",
        "\"token\":{",
        "token=%A",
        "token: 1 ",
        "token: '",
        "=>",
        "\":",
        "token ",
        "\\",
        "\\\"",
        "token:\n",
        "token=\"",
        "token: ~s(",
        "%{token: %",
        "token: \\\"",
        "token:     ",
        "{\"token\",",
        "{:token, ",
        "{:token, [\n",
        "{\\\"token\\\", \\\"",
        "{\"token\", \\\"",
        "\",",
        "{,",
        "token,",
        "{:token",
        "%74",
        "%74=",
        "%74oke%",
        "\"value\":\"",
        "\"value\":{",
        "\"value\":\"\\\"",
        "\"name\":\"token\",\"value\":[",
        "[\"x-api-key\",\"",
        "[\"x-api-key\",[",
        "://a:",
        "://",
        "x-api-key:",
        "X-Api-Key: \\",
        "token= ",
        "auth=Bearer ",
        "%22",
        "%22token%22%3A",
        "a%252522&",
        "\\u0022",
        "\\\\u0022token",
        "token => \"",
        "<<\"token\">> => <<",
        "Token:",
    ] {
        let hostile = part.repeat(100_000);
        let (names, scratch) = (SecretNames::default(), Scratch::new());
        let after_unclosed = format!("token: {{\n{hostile}");
        let _ =
            (text(hostile.as_bytes(), &names, &scratch), text(after_unclosed.as_bytes(), &names, &scratch));
    }
}

proptest! {
    #[test]
    fn any_text_is_filtered(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "token", "a", "=", ":", " ", "=>", "\"", "\\", "\\\"", "[", "]", "{", "}", "%", "<", ">", ",", "'", "~s", "\n", "1",
                "[FILTERED]", "&", "nil", "[\"x-api-key\",", "\"name\":", "\"value\":", "://", "@", "\\u0022", "%22", "%3A", "x-key:", "Bearer", "<<", "#A", "\nRequest: ", "{\"token\",", "{:", "%74", "{\\\"token\\\", ",
            ]),
            0..40,
        ),
    ) {
        let line = parts.concat();
        let (names, scratch) = (SecretNames::default(), Scratch::new());
        let once = text(line.as_bytes(), &names, &scratch);
        let _ = text(once, &names, &scratch);
    }
}
