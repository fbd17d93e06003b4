//! A node's container logs, as kubelet lays them out and rotates them.

use std::fs;

use crate::support::{Stage, soon, text};

fn cri(stream: &str, tag: &str, line: &str) -> String {
    format!("2026-11-22T10:00:00.5Z {stream} {tag} {line}\n")
}

/// A configuration over the stage's own folder of pods.
fn toml(stage: &Stage, routes: &str) -> String {
    let quick = "[batch]\nmax_age_ms = 20\n[limits]\nmemory_bytes = 33_554_432";
    let toml = stage.toml("pods/*/*/*.log", "", quick);
    toml.replace("type = \"file\"", "type = \"kubernetes\"") + routes
}

fn pod(stage: &Stage, pod: &str, container: &str) -> String {
    let dir = format!("pods/{pod}/{container}");
    fs::create_dir_all(stage.path(&dir)).unwrap();
    format!("{dir}/0.log")
}

#[tokio::test]
async fn each_container_has_its_fields_its_dataset_and_its_format() {
    let stage = Stage::new().await;
    let web = pod(&stage, "shop_web-7d_0a1b", "web");
    let ingress = pod(&stage, "ingress_controller-x_0a1c", "controller");
    let noise = pod(&stage, "kube-system_noise-y_0a1d", "noise");
    let legacy = pod(&stage, "shop_old-z_0a1e", "old");
    stage.append(&web, cri("stdout", "F", "{\"n\":\"1\"}"));
    stage.append(
        &ingress,
        cri("stdout", "F", "10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"x\""),
    );
    stage.append(&noise, cri("stderr", "F", "noise"));
    stage.append(
        &legacy,
        "{\"log\":\"from docker\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-22T10:00:00Z\"}\n",
    );
    let routes = "[[source.route]]\nnamespace = \"ingress\"\nformat = \"nginx\"\nservice = \"edge\"\n\
                  [[source.route]]\nnamespace = \"kube-*\"\ndrop = true\n";
    let counts = stage.ship_once(&toml(&stage, routes)).await;
    assert_eq!((counts.read, counts.accepted), (3, 3));
    let events = stage.hive.events();
    let of =
        |container: &str| events.iter().find(|event| text(event, "k8s.container.name") == container).unwrap();
    let web = of("web");
    assert_eq!(web.dataset, "web");
    let told = ["service.name", "k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "log.iostream", "n"];
    assert_eq!(told.map(|field| text(web, field)), ["web", "shop", "web-7d", "0a1b", "stdout", "1"]);
    assert_eq!(web.data["k8s.container.restart_count"], 0);
    let edge = of("controller");
    assert_eq!((edge.dataset.as_str(), text(edge, "log.format").as_str()), ("edge", "nginx"));
    assert_eq!(text(edge, "http.response.status_code"), "200");
    let old = of("old");
    assert_eq!((text(old, "body").as_str(), text(old, "log.iostream").as_str()), ("from docker", "stderr"));
}

/// kubelet renames, has the runtime begin a new file, and later compresses: a line that was split stays whole.
#[tokio::test]
async fn a_split_line_is_joined_over_a_rotation() {
    let stage = Stage::new().await;
    let log = pod(&stage, "shop_web-7d_0a1b", "web");
    let agent = stage.start(&toml(&stage, ""), false);
    let (head, tail) = "Привет, Мир".split_at("Привет, М".len());
    let mut half = format!("2026-11-22T10:00:00Z stdout P {head}").into_bytes();
    half.push(tail.as_bytes()[0]);
    half.push(b'\n');
    stage.append(&log, cri("stderr", "F", "another stream"));
    stage.append(&log, half);
    soon("the other stream's line", stage.hive.wait_for_events(1)).await;
    fs::rename(stage.path(&log), stage.path(&format!("{log}.20261122-100000"))).unwrap();
    let mut rest = b"2026-11-22T10:00:01Z stdout F ".to_vec();
    rest.extend_from_slice(&tail.as_bytes()[1..]);
    rest.push(b'\n');
    stage.append(&log, rest);
    soon("the line", stage.hive.wait_for_events(2)).await;
    agent.stopped().await;
    let bodies: Vec<String> = stage.hive.events().iter().map(|event| text(event, "body")).collect();
    assert!(bodies.contains(&"Привет, Мир".to_owned()), "{bodies:?}");
}

#[tokio::test]
async fn a_split_line_whose_rest_never_comes_is_shipped_as_incomplete() {
    let stage = Stage::new().await;
    let log = pod(&stage, "shop_web-7d_0a1b", "web");
    stage.append(&log, cri("stdout", "P", "the process died"));
    let toml =
        toml(&stage, "").replace("type = \"kubernetes\"", "type = \"kubernetes\"\npartial_timeout_ms = 100");
    let agent = stage.start(&toml, false);
    soon("the line", stage.hive.wait_for_events(1)).await;
    agent.stopped().await;
    let event = &stage.hive.events()[0];
    assert_eq!(
        (text(event, "body").as_str(), text(event, "meta.incomplete").as_str()),
        ("the process died", "true")
    );
}
