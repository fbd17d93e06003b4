//! The commands that the documents show are run as written, block by block, in a shell.
//!
//! `hivetail` and `curl` are the real ones, against hive and an agent of the test's own. What a reader has and the test has not
//! (Fly, a cluster, another's logs, root) is played by scripts that take any words; folders that belong to the system are the
//! test's own.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    documents::{blocks, documents},
    support::{Stage, signal, soon, spawn_run},
};

/// A line as ingress-nginx writes it: the one that the README shows.
const ACCESS: &str = r#"2a02::1 - - [18/Mar/2026:15:00:00 +0000] "GET /podcast/600?a=1 HTTP/2.0" 200 12312 "-" "Overcast/3.0" 462 0.050 [default-web-4000] [] 10.0.50.80:4000 19437 0.049 200 752178adb17130b2"#;

/// The programs that are played, and how.
const PLAYED: [(&str, &str); 14] = [
    ("sudo", "exec \"$@\""),
    (
        "fly",
        r#"case "$*" in
*--json*) echo '{"event":{"provider":"app"},"fly":{"app":{"instance":"0e28","name":"my-app"},"region":"fra"},"host":"0ad1","log":{"level":"info"},"message":"hello","timestamp":"2026-11-22T10:34:37.253Z"}' ;;
logs*) echo '2026-11-22T10:34:37Z app[0e28] fra [info]hello' ;;
tokens*) echo 'FlyV1 fm2_none' ;;
esac"#,
    ),
    ("journalctl", r#"echo '{"MESSAGE":"hello","__REALTIME_TIMESTAMP":"1763800000000000","PRIORITY":"6"}'"#),
    (
        "varnishncsa",
        // Its own escapes, filled in.
        r#"printf '%s\n' "$3" | sed 's/"time":"[^"]*}t"/"time":"2026-11-22T10:34:37+0000"/; s/"%s"/"200"/; s/"%m"/"GET"/; s/"%D"/"1500"/; s/%{[^}]*}[a-z]/x/g; s/%[A-Za-z]/y/g'"#,
    ),
    ("kubectl", "cat >/dev/null"),
    ("install", "cat >/dev/null"),
    ("apt", ""),
    ("sudoedit", ""),
    ("systemctl", ""),
    ("setfacl", ""),
    ("cargo", ""),
    ("make", ""),
    ("honeytail", ""),
    ("release/build", ""),
];

/// Puts the scripts where the shell finds them.
fn play(stage: &Stage) {
    let bin = stage.path("bin");
    let real = env!("CARGO_BIN_EXE_hivetail");
    let (config, other) = (stage.path("config.toml"), stage.path("other.toml"));
    let url = stage.hive.url();
    let hivetail = format!(
        "case \"$*\" in\nrun*) shift; timeout -s TERM 2 {real} run -c {other:?} \"$@\" || [ $? = 124 ] ;;\n\
         check*|status*|dead-letter*) {real} \"$@\" -c {config:?} ;;\n\
         pipe*--api-url*) {real} \"$@\" --state-dir {state:?} ;;\n\
         pipe*) {real} \"$@\" --api-url {url} --state-dir {state:?} ;;\n*) {real} \"$@\" ;;\nesac",
        state = stage.path("pipe"),
    );
    let scripts = PLAYED.iter().map(|(name, script)| (*name, (*script).to_owned()));
    for (name, script) in scripts.chain([("hivetail", hivetail)]) {
        // A script is found by its path from the checkout's root, or by its name.
        let path = if name.contains('/') { stage.path(name) } else { bin.join(name) };
        fs::create_dir_all(path.parent().expect("a folder")).expect("room on the disk");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("room on the disk");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
}

/// Runs a block; answers what it printed.
fn run(stage: &Stage, place: &str, block: &str) -> String {
    // The system's folders are the test's.
    let block = block
        .replace("/var/lib/hivetail", &stage.path("state").to_string_lossy())
        .replace("/etc/hivetail", &stage.dir.path().to_string_lossy())
        .replace("/var/log/nginx/access.log", "access.log")
        .replace("http://127.0.0.1:8088", &stage.hive.url());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &block])
        .current_dir(stage.dir.path())
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", stage.path("bin").display()))
        .env("HONEYCOMB_API_KEY", "test")
        .env("FORMAT", r#"{"status":"%s","url":"%U","time":"%t"}"#)
        .envs([("TOKEN", "t"), ("KEY", "k")])
        .env_remove("HIVETAIL_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{place}: {}\n{block}\n{said}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// A block of a session shows its command after a prompt, and then what it prints.
fn session(block: &str) -> Option<(&str, &str)> {
    block.strip_prefix("$ ")?.split_once('\n')
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_shown_runs_as_written() {
    let stage = Stage::new().await;
    play(&stage);
    stage.append("access.log", format!("{ACCESS}\n"));
    let other = stage.toml("access.log", "format = \"auto\"", "").replace("/state\"", "/other\"");
    fs::write(stage.path("other.toml"), other).expect("room on the disk");
    fs::write(stage.path("honeycomb.key"), "test").expect("room on the disk");
    let mut agent = spawn_run(&stage.config_file(&stage.toml("access.log", "format = \"auto\"", "")));
    soon("an event of the agent", stage.hive.wait_for_events(1)).await;
    let (mut ran, mut events) = (0, 1);
    for path in documents() {
        let text = fs::read_to_string(&path).expect("text");
        for (line, block) in blocks(&text, "sh") {
            let place = format!("{}:{line}", path.display());
            let (command, shown) = session(&block).unwrap_or((&block, ""));
            let printed = run(&stage, &place, command);
            assert!(shown.is_empty() || printed.contains(shown), "{place}: it prints\n{printed}");
            ran += 1;
            let sends = ["| hivetail pipe", "hivetail pipe --api-url", "/1/events/"];
            let pipes = sends.iter().map(|words| command.matches(words).count() as u64).sum::<u64>();
            events +=
                pipes + command.lines().filter(|line| line.starts_with("hivetail run")).count().min(1) as u64;
            assert!(stage.hive.stats().events_accepted >= events, "{place}: something did not arrive");
        }
    }
    assert!(ran >= 20, "{ran}");
    signal(&agent, "TERM");
    assert!(agent.wait().expect("it ends").success());
    assert_eq!(stage.hive.stats().events_refused, 0);
    assert!(Path::new(&stage.path("pipe")).exists());
}
