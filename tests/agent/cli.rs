//! The command line: what scripts rely on.

use std::{
    io::Write,
    process::{Output, Stdio},
};

use crate::support::{Stage, hivetail};

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = hivetail().args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn parse_prints_the_wire_and_a_summary() {
    let input = "14:03:11.497 request_id=abc [info] Sent 200 in 15ms\nplain\n\n";
    let output = run(&["parse", "--now", "2026-11-21T14:03:12Z", "-"], input);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        stdout(&output),
        concat!(
            r#"{"time":"2026-11-21T14:03:11.497Z","samplerate":1,"data":{"meta.signal_type":"log","#,
            r#""meta.timestamp_source":"inferred","severity":"info","severity_text":"info","body":"Sent 200 in 15ms","#,
            r#""request_id":"abc","name":"Sent","http.response.status_code":200,"duration_ms":15.0,"log.format":"phoenix"}}"#,
            "\n",
            r#"{"time":"2026-11-21T14:03:12Z","samplerate":1,"data":{"meta.signal_type":"log","#,
            r#""meta.timestamp_source":"received","body":"plain","meta.parse_error":"no known format"}}"#,
            "\n",
        )
    );
    assert_eq!(
        stderr(&output),
        "3 lines, 2 events, 1 unparsed (50.0 %), 1 phoenix (50.0 %)\n\
         shipped unparsed, the first 1:\n  no known format: \"plain\"\n"
    );
}

#[test]
fn the_summary_shows_the_first_five_unparsed_lines_and_no_control_character() {
    let long = "x".repeat(300);
    let input =
        format!("a\u{1b}[2J\nb \"q\"\n{long}\nd\ne\nf\n{{\"msg\":\",\\\"meta.parse_error\\\":\\\"\"}}\n");
    let output = run(&["parse"], &input);
    let summary = stderr(&output);
    assert!(summary.starts_with("7 lines, 7 events, 6 unparsed (85.7 %), 1 json (14.2 %)\n"), "{summary}");
    assert!(summary.contains("the first 5:\n  no known format: \"a\\u001b[2J\"\n"), "{summary}");
    assert!(
        summary.contains(&format!("\"{}…\"", "x".repeat(200))) && !summary.contains("\"f\""),
        "{summary}"
    );
    assert_eq!(summary.lines().count(), 7, "{summary}");
}

#[test]
fn colours_are_not_for_pipes_unless_asked_for() {
    let input = "{\"msg\":\"x\"}\n";
    assert!(!stdout(&run(&["parse", "--pretty"], input)).contains('\x1b'));
    assert!(
        stdout(&run(&["parse", "--pretty", "--color", "always"], input)).contains("\x1b[32m\"x\"\x1b[0m")
    );
}

#[test]
fn an_envelope_named_as_format_means_auto_inside() {
    let input = "2026-05-11T14:58:44Z app[4d895d5ec41638] iad [info]14:58:44.102 [error] boom\n";
    let output = run(&["parse", "--format", "fly", "--pretty"], input);
    let text = stdout(&output);
    assert!(text.starts_with("2026-05-11T14:58:44.102Z\n"), "{text}");
    assert!(text.contains("fly.region") && text.contains("\"phoenix\""), "{text}");
    assert_eq!(text.matches("severity ").count(), 1, "the inner level is the one that counts: {text}");
}

#[test]
fn any_log_format_can_be_given() {
    let format = r#"log_format x escape=json '{"s":$status,"r":"$request","t":$msec}';"#;
    let output = run(
        &["parse", "--log-format", format],
        "{\"s\":404,\"r\":\"GET /a\\\"b HTTP/1.1\",\"t\":1700000000.123}\n",
    );
    let text = stdout(&output);
    assert!(text.starts_with("{\"time\":\"2023-11-14T22:13:20.123Z\""), "{text}");
    assert!(
        text.contains(r#""url.path":"/a\"b""#) && text.contains(r#""http.response.status_code":404"#),
        "{text}"
    );
    assert_eq!(run(&["parse", "--log-format", "no variable"], "").status.code(), Some(2));
}

#[test]
fn wrong_usage_is_2_and_bad_configuration_78() {
    let wrong = run(&["parse", "--format", "nonsense"], "");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("allowed: auto, ingress-nginx"), "{}", stderr(&wrong));
    assert_eq!(run(&["pipe", "--dataset", "a/b"], "").status.code(), Some(2));
    let missing = run(&["run", "-c", "/nonexistent/config.toml"], "");
    assert_eq!(missing.status.code(), Some(78));
    assert!(
        stderr(&missing).starts_with("hivetail: /nonexistent/config.toml: cannot be read"),
        "{}",
        stderr(&missing)
    );
    let keyless = hivetail().env_remove("HONEYCOMB_API_KEY").args(["pipe"]).output().unwrap();
    assert_eq!(keyless.status.code(), Some(78));
    assert!(stderr(&keyless).contains("no API key: set HONEYCOMB_API_KEY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_whose_key_it_is() {
    let stage = Stage::new().await;
    let config = stage.config_file(&stage.toml("a.log", "", ""));
    let path = config.to_str().unwrap().to_owned();
    let output = tokio::task::spawn_blocking(move || run(&["check", "-c", &path], "")).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("team hive, environment local"), "{}", stdout(&output));
    stage.hive.stop().await;
    let path = config.to_str().unwrap().to_owned();
    let output = tokio::task::spawn_blocking(move || run(&["check", "-c", &path], "")).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let offline = run(&["check", "--offline", "-c", config.to_str().unwrap()], "");
    assert_eq!(offline.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_never_shown() {
    let stage = Stage::with_faults([hive::Fault::Status {
        status: 401,
        error: "unknown API key".to_owned(),
        retry_after: None,
    }])
    .await;
    let url = stage.hive.url();
    let output = tokio::task::spawn_blocking(move || {
        let mut command = hivetail();
        command.env("HONEYCOMB_API_KEY", "hcaik_secret").env("HIVETAIL_LOG", "trace").stdin(Stdio::piped());
        let mut child = command.args(["pipe", "--api-url", &url]).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"x\n").unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("unknown API key") && !stderr(&output).contains("secret"));
}
