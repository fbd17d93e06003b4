//! The nats source against a real server: routes, queue groups, outages on both sides, and a stream that the server keeps.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use async_nats::jetstream;
use hive::Fault;
use tempfile::TempDir;

use crate::{
    admin::ask,
    support::{Stage, hivetail, signal, soon, spawn_run, text},
};

mod logins;

/// A server of the test's own, with a password if nothing else is said.
pub(crate) struct Server {
    process: Child,
    dir: TempDir,
    port: u16,
}

impl Server {
    pub(crate) async fn start() -> Option<Self> {
        Self::configured("authorization { user: my-org, password: fm2_secret }").await
    }

    /// Starts one; `None`, which `tests/tools` has said, where there is no nats-server. In CI there is.
    async fn configured(settings: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        if Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI has nats-server");
            return None;
        }
        fs::write(dir.path().join("config"), settings).expect("room on the disk");
        let (process, port) = Self::spawn(dir.path(), -1).await;
        Some(Self { process, dir, port })
    }

    async fn spawn(dir: &Path, port: i32) -> (Child, u16) {
        let mut command = Command::new("nats-server");
        command
            .args(["-a", "127.0.0.1", "-js", "-p"])
            .arg(port.to_string())
            .arg("-c")
            .arg(dir.join("config"));
        command.arg("-sd").arg(dir).arg("--ports_file_dir").arg(dir).arg("-l").arg(dir.join("log"));
        let process = command.spawn().expect("it starts");
        let ports = dir.join(format!("nats-server_{}.ports", process.id()));
        let port = soon("the server's port", async {
            loop {
                let text = fs::read_to_string(&ports).unwrap_or_default();
                let ports: Option<serde_json::Value> = serde_json::from_str(&text).ok();
                let url = ports.and_then(|ports| ports["nats"][0].as_str().map(str::to_owned));
                if let Some(port) = url.and_then(|url| url.rsplit_once(':')?.1.parse().ok()) {
                    return port;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        (process, port.await)
    }

    /// Kills it, and starts it again at the same port with what it kept.
    async fn restart(&mut self) {
        self.kill();
        (self.process, self.port) = Self::spawn(self.dir.path(), i32::from(self.port)).await;
    }

    fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it has ended");
    }

    pub(crate) async fn client(&self) -> async_nats::Client {
        let options =
            async_nats::ConnectOptions::with_user_and_password("my-org".into(), "fm2_secret".into());
        soon("a connection", options.connect(format!("127.0.0.1:{}", self.port))).await.expect("a connection")
    }

    /// A configuration with a source that reads here.
    pub(crate) fn toml(&self, stage: &Stage, source: &str, rest: &str) -> String {
        let password = stage.path("password");
        fs::write(&password, "FlyV1 fm2_secret\n").expect("room on the disk");
        format!(
            "{rest}\n[honeycomb]\napi_url = {:?}\n[state]\ndir = {:?}\n[[source]]\ntype = \"nats\"\nurl = \"nats://127.0.0.1:{}\"\n\
             user = \"my-org\"\npassword_file = {password:?}\n{source}\n",
            stage.hive.url(),
            stage.path("state"),
            self.port,
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A message of Fly's log stream.
fn message(app: &str, text: &str) -> String {
    serde_json::json!({
        "event": {"provider": "app"}, "fly": {"app": {"instance": "0e28", "name": app}, "region": "sjc"}, "host": "0ad1",
        "log": {"level": "info"}, "message": text, "timestamp": "2026-11-22T10:34:37.253080674Z",
    })
    .to_string()
}

fn numbered(n: usize) -> String {
    message("web", &format!("{{\"n\":\"{n}\"}}"))
}

pub(crate) async fn publish(client: &async_nats::Client, from: usize, count: usize) {
    for n in from..from + count {
        client.publish("logs.web.sjc.0e28", numbered(n).into()).await.expect("a connection");
    }
    client.flush().await.expect("a connection");
}

/// Publishes until something of it arrives: only then is it certain that the agent has subscribed.
pub(crate) async fn until_heard(stage: &Stage, client: &async_nats::Client) {
    let heard = async {
        while stage.hive.stats().events_accepted == 0 {
            client
                .publish("logs.probe.sjc.0e28", message("probe", "probe").into())
                .await
                .expect("a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon("a first message", heard).await;
}

/// How often each number arrived.
pub(crate) fn numbers(stage: &Stage) -> BTreeMap<String, usize> {
    let mut numbers = stage.seen("n");
    numbers.remove("");
    numbers
}

pub(crate) async fn all_of(stage: &Stage, count: usize) {
    soon(&format!("{count} numbers"), async {
        while numbers(stage).len() < count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn messages_become_events_of_their_app_and_routes_choose() {
    let Some(server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let routes = "[[source.route]]\napp = \"noise-*\"\ndrop = true\n[[source.route]]\napp = \"api\"\nformat = \"raw\"\ndataset = \"apis\"";
    let agent = stage.start(&server.toml(&stage, routes, "[batch]\nmax_age_ms = 50"), false);
    let client = server.client().await;
    until_heard(&stage, &client).await;
    for (app, text) in [
        ("noise-1", "no"),
        ("web", "10:34:37.102 request_id=01KRBRQ6EJ4MG3QB [info] Sent 200 in 15ms"),
        ("api", "{\"n\":\"1\"}"),
        ("web", "\r"),
    ] {
        client
            .publish(format!("logs.{app}.sjc.0e28"), message(app, text).into())
            .await
            .expect("a connection");
    }
    client.publish("other", "no log at all".into()).await.expect("a connection");
    soon("two events", async {
        while stage.hive.events().iter().filter(|event| event.dataset != "probe").count() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    agent.stopped().await;
    let events = stage.hive.events();
    let of = |dataset: &str| events.iter().find(|event| event.dataset == dataset).expect(dataset);
    let (web, api) = (of("web"), of("apis"));
    assert_eq!(text(web, "service.name") + &text(web, "request_id"), "web01KRBRQ6EJ4MG3QB");
    assert_eq!(text(api, "meta.timestamp_source"), "envelope");
    assert_eq!(text(api, "body") + &text(api, "fly.app.name"), "{\"n\":\"1\"}api");
    assert!(events.iter().all(|event| event.dataset != "noise-1"));
}

#[tokio::test]
async fn an_agent_comes_back_when_its_server_does() {
    let Some(mut server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let config = server.toml(&stage, "silence_timeout_s = 1", "");
    server.kill();
    let agent = stage.start(&config, false);
    (server.process, server.port) = Server::spawn(server.dir.path(), i32::from(server.port)).await;
    let client = server.client().await;
    until_heard(&stage, &client).await;
    publish(&client, 0, 100).await;
    all_of(&stage, 100).await;
    server.restart().await;
    let client = server.client().await;
    // It may take the agent a moment to be there again, and nobody keeps what is published meanwhile.
    let mut next = 100;
    soon("a number after the restart", async {
        while numbers(&stage).len() <= 100 {
            publish(&client, next, 1).await;
            next += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let counts = agent.stopped().await;
    assert_eq!(counts.open, 0);
    assert!(numbers(&stage).values().all(|count| *count == 1));
}

#[tokio::test]
async fn a_queue_group_shares_messages_and_doubles_none() {
    let Some(server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let toml = |n: usize| {
        let rest = "[batch]\nmax_age_ms = 50";
        let toml = server.toml(&stage, "queue_group = \"hivetail\"", rest);
        toml.replace("/state\"", &format!("/state{n}\""))
    };
    let config = |n: usize| -> PathBuf {
        let path = stage.path(&format!("{n}.toml"));
        fs::write(&path, toml(n)).expect("room on the disk");
        path
    };
    let mut children: Vec<Child> = (0..3).map(|n| spawn_run(&config(n))).collect();
    let client = server.client().await;
    until_heard(&stage, &client).await;
    publish(&client, 0, 1_000).await;
    all_of(&stage, 1_000).await;
    // What this one has and has not delivered is lost, and nobody else's.
    children[0].kill().expect("it runs");
    children[0].wait().expect("it has ended");
    publish(&client, 1_000, 1_000).await;
    all_of(&stage, 2_000).await;
    assert!(numbers(&stage).values().all(|count| *count == 1), "none is doubled");
    for mut child in children.drain(1..) {
        signal(&child, "TERM");
        assert!(child.wait().expect("it ends").success());
    }
}

#[tokio::test]
async fn what_comes_in_an_outage_goes_to_the_spool() {
    let Some(server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let config = stage.config_file(&server.toml(&stage, "", "[batch]\nmax_age_ms = 50"));
    let mut child = spawn_run(&config);
    let client = server.client().await;
    until_heard(&stage, &client).await;
    stage.hive.script_for(Duration::from_secs(3_600), Fault::Html { status: 502 });
    publish(&client, 0, 1_000).await;
    let before = stage.hive.stats().events_accepted;
    soon("all numbers in the agent", async {
        loop {
            let (_, status) = ask(&stage, "GET /status").await;
            let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
            if status["lines"]["read"].as_u64().is_some_and(|read| read >= before + 1_000) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success(), "what is in the spool is safe");
    stage.hive.clear_script();
    let mut child = spawn_run(&config);
    all_of(&stage, 1_000).await;
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
    assert!(numbers(&stage).values().all(|count| *count == 1));
}

/// The server's stream and the agent's consumer.
async fn kept(server: &Server) -> jetstream::stream::Stream {
    let context = jetstream::new(server.client().await);
    let config = jetstream::stream::Config {
        name: "LOGS".to_owned(),
        subjects: vec!["logs.>".to_owned()],
        ..jetstream::stream::Config::default()
    };
    context.get_or_create_stream(config).await.expect("a stream")
}

const KEPT: &str = "jetstream = { stream = \"LOGS\", durable = \"hivetail\" }";

/// Waits until the server has nothing left for the agent.
async fn acknowledged(stream: &jetstream::stream::Stream) {
    soon("all acknowledgements", async {
        loop {
            if let Ok(info) = stream.consumer_info("hivetail").await
                && (info.num_pending, info.num_ack_pending) == (0, 0)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_stream_survives_kills_of_the_agent_and_of_the_server() {
    let Some(mut server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let stream = kept(&server).await;
    let config = stage.config_file(&server.toml(&stage, KEPT, "[batch]\nmax_bytes = 20000\nmax_age_ms = 50"));
    let client = server.client().await;
    stage.hive.script((0..200).map(|_| Fault::Delay { delay_ms: 5 }));
    publish(&client, 0, 5_000).await;
    let mut child = spawn_run(&config);
    soon("some events", stage.hive.wait_for_events(1_000)).await;
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
    // Nobody listens, and nothing is lost.
    publish(&client, 5_000, 1_000).await;
    let mut child = spawn_run(&config);
    soon("more events", stage.hive.wait_for_events(3_000)).await;
    server.restart().await;
    let client = server.client().await;
    publish(&client, 6_000, 1_000).await;
    all_of(&stage, 7_000).await;
    acknowledged(&stream).await;
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_the_server_has_lost_is_made_anew_where_it_was() {
    let Some(server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let stream = kept(&server).await;
    let client = server.client().await;
    let toml = server.toml(&stage, KEPT, "[batch]\nmax_age_ms = 50");
    publish(&client, 0, 100).await;
    let agent = stage.start(&toml, false);
    all_of(&stage, 100).await;
    acknowledged(&stream).await;
    agent.stopped().await;
    // An agent knows how far the acknowledgements went when it last asked, as it does when it begins.
    let agent = stage.start(&toml, false);
    publish(&client, 100, 100).await;
    all_of(&stage, 200).await;
    stream.delete_consumer("hivetail").await.expect("it is there");
    publish(&client, 200, 100).await;
    all_of(&stage, 300).await;
    acknowledged(&stream).await;
    agent.stopped().await;
    let numbers = numbers(&stage);
    assert!(
        (0..100).all(|n| numbers[&n.to_string()] == 1),
        "what was acknowledged before comes again: {numbers:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_an_open_join_holds_is_not_acknowledged() {
    let Some(server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let stream = kept(&server).await;
    let client = server.client().await;
    let say = async |text: &str| {
        let message = message("web", &format!("10:34:37.102 request_id=01KRBRQ6EJ4MG3QB [info] {text}"));
        client.publish("logs.web.sjc.0e28", message.into()).await.expect("a connection");
        client.flush().await.expect("a connection");
    };
    let config = stage.config_file(&server.toml(&stage, KEPT, "[batch]\nmax_age_ms = 50"));
    say("GET /items/7").await;
    let child = spawn_run(&config);
    soon("the message on its way", async {
        loop {
            if let Ok(info) = stream.consumer_info("hivetail").await
                && info.num_ack_pending == 1
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    signal(&child, "TERM");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(stage.hive.events().len(), 0, "a request is not cut in two");
    say("Sent 200 in 15ms").await;
    let mut child = spawn_run(&config);
    // The server gives a message again when its minute is over; or at once, as a new consumer's.
    stream.delete_consumer("hivetail").await.expect("it is there");
    soon("the request", stage.hive.wait_for_events(1)).await;
    acknowledged(&stream).await;
    signal(&child, "TERM");
    assert!(child.wait().expect("it ends").success());
    let events = stage.hive.events();
    let request = events.iter().find(|event| text(event, "url.path") == "/items/7").expect("the request");
    assert_eq!(text(request, "http.response.status_code"), "200");
}

#[tokio::test]
async fn a_wrong_password_is_said_and_never_shown() {
    let Some(server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let config = stage.config_file(&server.toml(&stage, "", ""));
    fs::write(stage.path("password"), "fm2_wrong_one").expect("room on the disk");
    let mut command = hivetail();
    let child =
        command.args(["run", "-c"]).arg(&config).env("HIVETAIL_LOG", "trace").spawn().expect("it starts");
    tokio::time::sleep(Duration::from_secs(1)).await;
    signal(&child, "TERM");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.to_lowercase().contains("authorization violation"), "{said}");
    assert!(!said.contains("fm2_"), "{said}");
    assert!(output.status.success());
}

/// Acknowledgements were lost when their channel was full, and messages came twice with nothing wrong anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_kept_stream_comes_twice_while_all_is_well_or_slow() {
    let Some(server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let stream = kept(&server).await;
    let client = server.client().await;
    publish(&client, 0, 30_000).await;
    let agent = stage.start(&server.toml(&stage, KEPT, ""), false);
    soon("all events", stage.hive.wait_for_events(30_000)).await;
    acknowledged(&stream).await;
    agent.stopped().await;
    assert!(numbers(&stage).len() == 30_000 && stage.hive.events().len() == 30_000);
}

#[tokio::test]
async fn one_message_is_one_record_whatever_is_in_it() {
    let Some(server) = Server::start().await else { return };
    let stage = Stage::new().await;
    let stream = kept(&server).await;
    let client = server.client().await;
    for text in ["{\"a\":1", "plain", "", "}", " {\"b\":2}", "\u{0}\u{ff}", "{\"last\":"] {
        client.publish("logs.x", text.to_owned().into()).await.expect("a connection");
    }
    client.flush().await.expect("a connection");
    let agent = stage.start(&server.toml(&stage, KEPT, "[batch]\nmax_age_ms = 50"), false);
    acknowledged(&stream).await;
    let counts = agent.stopped().await;
    assert_eq!((counts.read, counts.accepted + counts.blank, counts.open), (7, 7, 0));
}
