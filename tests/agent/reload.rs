//! Another configuration for a running agent (SIGHUP): taken if it is sound, said if it is not, and nothing lost or doubled.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Child,
    sync::mpsc,
};

use crate::{
    nats::{Server, all_of, numbers, publish, until_heard},
    support::{PATIENCE, Stage, assert_each_once, numbered, signal, soon, spawn_run},
};

/// The agent's log, line by line.
struct Log(mpsc::Receiver<String>);

impl Log {
    /// Waits for a line with that text, but not for ever.
    fn until_said(&self, text: &str) {
        let mut said = String::new();
        while !said.lines().last().is_some_and(|line| line.contains(text)) {
            let line = self.0.recv_timeout(PATIENCE);
            said.push_str(&line.unwrap_or_else(|error| panic!("{error}, and {text:?} is not said: {said}")));
        }
    }
}

fn started(stage: &Stage, toml: &str) -> (Child, Log) {
    let mut child = spawn_run(&stage.config_file(toml));
    let log = BufReader::new(child.stderr.take().expect("a pipe"));
    let (tell, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            let _ = tell.send(line + "\n");
        }
    });
    (child, Log(lines))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_configuration_is_gone_on_with() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 1_000));
    let (mut child, log) = started(&stage, &stage.toml("a.log", "", ""));
    soon("the first file", stage.hive.wait_for_events(1_000)).await;
    stage.append("b.log", numbered(1_000, 1_000));
    stage.config_file(&stage.toml("*.log", "", "[batch]\nmax_age_ms = 50"));
    signal(&child, "HUP");
    log.until_said("going on with it");
    soon("the second file", stage.hive.wait_for_events(2_000)).await;
    stage.append("a.log", numbered(2_000, 10));
    soon("what was appended", stage.hive.wait_for_events(2_010)).await;
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
    assert_each_once(&stage, 2_010);
}

/// A reload ended every source, and what core NATS published in that moment was seen by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_keeps_goes_on_undisturbed_while_files_change() {
    let Some(server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let base = server.toml(&stage, "", "[batch]\nmax_age_ms = 50");
    let with_file =
        |name: &str| format!("{base}[[source]]\ntype = \"file\"\npaths = [{:?}]\n", stage.path(name));
    let (mut child, log) = started(&stage, &base);
    let client = server.client().await;
    until_heard(&stage, &client).await;
    for round in 0..6 {
        publish(&client, round * 1_000, 500).await;
        stage.config_file(&if round % 2 == 0 { with_file(&format!("{round}.log")) } else { base.clone() });
        signal(&child, "HUP");
        publish(&client, round * 1_000 + 500, 500).await;
        log.until_said("\"undisturbed\":1");
    }
    all_of(&stage, 6_000).await;
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
    assert!(numbers(&stage).values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_used_is_said_and_changes_nothing() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 10));
    let sound = stage.toml("a.log", "", "");
    let (mut child, log) = started(&stage, &sound);
    soon("the first lines", stage.hive.wait_for_events(10)).await;
    let ca_file = "[deliver]\nca_file = \"/gone.pem\"";
    for (toml, said) in [
        ("[batches]\n".to_owned() + &sound, "batches: no such key"),
        (stage.toml("a.log", "", ca_file), "/gone.pem"),
        ("[[source]]\ntype = \"stdin\"\n".to_owned() + &sound, "can't be begun anew"),
        (sound.clone(), "has not changed"),
    ] {
        stage.config_file(&toml);
        signal(&child, "HUP");
        log.until_said(said);
    }
    fs::remove_file(stage.path("config.toml")).expect("it is there");
    signal(&child, "HUP");
    log.until_said("config.toml");
    stage.append("a.log", numbered(10, 10));
    let goes_on = tokio::time::timeout(PATIENCE, stage.hive.wait_for_events(20));
    goes_on.await.expect("it goes on as before");
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
    assert_each_once(&stage, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_begun_is_taken_back() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 10));
    let (mut child, log) = started(&stage, &stage.toml("a.log", "", ""));
    soon("the first lines", stage.hive.wait_for_events(10)).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("[admin]\nlisten = \"{}\"", taken.local_addr().expect("an address"));
    stage.config_file(&stage.toml("a.log", "", &listen));
    signal(&child, "HUP");
    log.until_said("going back to the old one");
    stage.append("a.log", numbered(10, 10));
    soon("what was appended", stage.hive.wait_for_events(20)).await;
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
    assert_each_once(&stage, 20);
}
