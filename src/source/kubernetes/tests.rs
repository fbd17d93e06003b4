//! Tests of what paths and the environment tell.

use std::path::PathBuf;

use hivetail_parsers::{Record, Timestamp};
use serde_json::{Value as Json, json};

use super::*;
use crate::encode::{Encoder, Event, Hidden, Place};

const ID: &str = "b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184";

fn of(path: &str) -> Option<Container> {
    Container::of(Path::new(path))
}

fn named(namespace: &str, pod: &str, name: &str) -> Container {
    Container {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        uid: None,
        name: name.to_owned(),
        restart_count: None,
        id: None,
    }
}

#[test]
fn a_pods_folder_tells_all_but_the_id() {
    for (path, namespace, pod, uid, name, restarts) in [
        (
            "/var/log/pods/shop_web-6d4cf56db6-x2x9q_0f9d3c52-9e0a-4b5f-8f0d-2b1c3d4e5f60/web/0.log",
            "shop",
            "web-6d4cf56db6-x2x9q",
            "0f9d3c52-9e0a-4b5f-8f0d-2b1c3d4e5f60",
            "web",
            0,
        ),
        // A static pod: the hash of its configuration.
        (
            "/host/pods/kube-system_etcd-node.example.com_a7ee8ba8a4d3b5f0fd5d6d8f13e5e7f9/etcd/12.log",
            "kube-system",
            "etcd-node.example.com",
            "a7ee8ba8a4d3b5f0fd5d6d8f13e5e7f9",
            "etcd",
            12,
        ),
        ("tmp/a_b.log.c_d/e.f/3.log.20260511-145902", "a", "b.log.c", "d", "e.f", 3),
        ("/a_b_c/d/4294967295.log.20260511-145902.gz", "a", "b", "c", "d", u32::MAX),
    ] {
        let uid = Some(uid.to_owned());
        let expected = Container { uid, restart_count: Some(restarts), ..named(namespace, pod, name) };
        assert_eq!(of(path), Some(expected), "{path}");
    }
}

#[test]
fn a_link_tells_all_but_uid_and_restarts() {
    for (name, id, expected) in [
        ("web-0_shop_app", Some(ID), named("shop", "web-0", "app")),
        ("web.v2.log.x_kube-system_side-car-2", Some(ID), named("kube-system", "web.v2.log.x", "side-car-2")),
        ("web-0_shop_app", None, named("shop", "web-0", "app")),
        // Whole names keep what only looks like an id.
        ("web-0_shop_app-cafe", None, named("shop", "web-0", "app-cafe")),
    ] {
        let stem = id.map_or_else(|| name.to_owned(), |id| format!("{name}-{id}"));
        for end in [".log", ".log.1", ".log.20260511-145902.gz"] {
            let path = format!("/var/log/containers/{stem}{end}");
            let expected = Container { id: id.map(str::to_owned), ..expected.clone() };
            assert_eq!(of(&path), Some(expected), "{path}");
        }
    }
}

#[test]
fn a_link_whose_name_was_cut_short_tells_its_pod() {
    let link = |pod: &str, name: &str| {
        let mut stem = format!("{pod}_shop_{name}-{ID}");
        stem.truncate(LINK_BYTES_MAX);
        of(&format!("/var/log/containers/{stem}.log"))
    };
    // 251 bytes are: the pod, `_shop_`, the name, `-` and what is left of the id.
    for (left, expected) in [(5, "side-car"), (0, "side-car"), (-1, "side-car"), (-4, "side-")] {
        let pod = "p".repeat(usize::try_from(251 - 6 - 8 - 1 - left).unwrap());
        let expected = named("shop", &pod, expected.trim_end_matches('-'));
        assert_eq!(link(&pod, "side-car"), Some(expected), "{left}");
    }
    assert_eq!(link(&"p".repeat(253), "app"), None, "nothing is left but the pod");
}

#[test]
fn other_files_are_no_container_s() {
    for path in [
        "/var/log/syslog",
        "/var/log/nginx/access.log",
        "/var/log/pods/a_b_c/d/current",
        "/var/log/pods/a_b_c/d/x.log",
        "/var/log/pods/a_b_c/d/+1.log",
        "/var/log/pods/a_b_c/d/99999999999.log",
        "/var/log/pods/a_b_c/d/.log",
        "/var/log/pods/a_c/d/0.log",
        "/var/log/pods/_b_c/d/0.log",
        "/0.log",
        "/var/log/containers/_b_c.log",
        "/var/log/containers/a_b_.log",
        "/var/log/containers/a_b_c.txt",
        "..",
        "",
    ] {
        assert_eq!(of(path), None, "{path}");
    }
    use std::os::unix::ffi::OsStringExt;
    let path = PathBuf::from(std::ffi::OsString::from_vec(b"/a_b_c/\xff/0.log".to_vec()));
    assert_eq!(Container::of(&path), None);
}

fn told(container: &Container, configured: &[(String, String)]) -> Json {
    let mut constants = Constants::default();
    container.tell(&mut constants, configured);
    let event = Event {
        record: &Record::new(),
        constants: &constants,
        offset: None,
        received: Timestamp::from_ns(0),
        line_cut: false,
        partial: false,
        incomplete: false,
        ambiguous: false,
        rate: 1,
        hidden: Hidden::default(),
    };
    let mut out = Vec::new();
    Encoder::default().event(&mut out, &event, |_| Place::Column);
    out.pop();
    let mut event: Json = serde_json::from_slice(&out).unwrap();
    let fields = event["data"].as_object_mut().unwrap();
    fields.retain(|name, _| !name.starts_with("meta."));
    assert!(fields.keys().all(|name| NAMES.contains(&name.as_str())));
    Json::Object(std::mem::take(fields))
}

#[test]
fn fields_have_the_types_of_the_contract_and_configuration_comes_first() {
    let of_pods = of("/var/log/pods/shop_web-0_77/app/2.log").unwrap();
    assert_eq!(
        told(&of_pods, &[]),
        json!({
            "service.name": "app", "k8s.namespace.name": "shop", "k8s.pod.name": "web-0", "k8s.pod.uid": "77",
            "k8s.container.name": "app", "k8s.container.restart_count": 2,
        })
    );
    let link = of(&format!("/var/log/containers/web-0_shop_app-{ID}.log")).unwrap();
    let configured = [("service.name", "x"), ("k8s.pod.name", "y")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(
        told(&link, &configured),
        json!({ "k8s.namespace.name": "shop", "k8s.container.name": "app", "container.id": ID })
    );
}

#[test]
fn the_own_pod_is_known_by_name_or_by_host_name() {
    let some = |text: &str| Some(text.to_owned());
    let shop = named("shop", "hivetail-x7k2p", "agent");
    let other = named("other", "hivetail-x7k2p", "agent");
    let whole = Environment {
        pod_name: some("hivetail-x7k2p"),
        pod_namespace: some("shop"),
        ..Environment::default()
    };
    let own = OwnPod::of(whole.clone());
    assert!(own.has(&shop) && !own.has(&other) && !own.has(&named("shop", "hivetail", "agent")));
    let own = OwnPod::of(Environment { pod_namespace: some(""), ..whole.clone() });
    assert!(own.has(&shop) && own.has(&other));

    let host = Environment { hostname: some("hivetail-x7k2p\n"), ..Environment::default() };
    assert_eq!(OwnPod::of(host.clone()), OwnPod::Unknown, "outside a cluster it is a machine's name");
    assert!(!OwnPod::Unknown.has(&shop));
    let host = Environment { service_host: some("10.0.0.1"), pod_name: some(" "), ..host };
    let own = OwnPod::of(host.clone());
    assert!(own.has(&shop) && own.has(&other) && !own.has(&named("shop", "hivetail", "agent")));
    assert_eq!(OwnPod::of(Environment { hostname: None, ..host.clone() }), OwnPod::Unknown);
    assert!(!OwnPod::of(Environment { pod_name: some("z"), ..host }).has(&shop), "the name comes first");

    let long = format!("{}-{}", "p".repeat(62), "x".repeat(9));
    let own = OwnPod::Host("p".repeat(62));
    assert!(own.has(&named("shop", &long, "agent")), "a host name is cut, and does not end with a dash");
    let _ = Environment::of_process();
}
