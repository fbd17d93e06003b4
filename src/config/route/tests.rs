//! Tests of routes: who is picked by which, what is merged, what is refused.

use std::path::Path;

use hivetail_parsers::{Format, envelope::Envelope};

use super::*;
use crate::{config::Config, source::kubernetes::Environment};

const KUBERNETES: &str = "[[source]]\ntype = \"kubernetes\"\n";

/// With memory for many variants.
fn parsed(keys: &str) -> Config {
    let text = format!("{KUBERNETES}{keys}\n[limits]\nmemory_bytes = 50_000_000");
    Config::parse("test", &text).unwrap_or_else(|error| panic!("{error}"))
}

fn variants(keys: &str) -> Vec<Variant> {
    parsed(keys).source[0].get_ref().variants(&OwnPod::Unknown)
}

fn error(keys: &str) -> String {
    Config::parse("test", &format!("{KUBERNETES}{keys}")).unwrap_err().to_string()
}

fn container(namespace: &str, pod: &str, name: &str) -> Container {
    Container::of(Path::new(&format!("/var/log/pods/{namespace}_{pod}_77/{name}/0.log"))).unwrap()
}

/// The variants that pick it: none or one.
fn pick(variants: &[Variant], container: &Container) -> Option<usize> {
    let picked: Vec<usize> =
        (0..).zip(variants).filter(|(_, v)| v.pick.picks(container)).map(|(i, _)| i).collect();
    assert!(picked.len() <= 1, "{picked:?} for {container:?}");
    picked.first().copied()
}

#[test]
fn without_routes_there_is_one_variant_for_all() {
    let variants = variants("");
    assert_eq!(variants.len(), 1);
    let Source { kind, paths, envelope, .. } = &variants[0].source;
    assert_eq!((*kind, envelope.0), (SourceType::Kubernetes, Envelope::Cri));
    assert_eq!(paths[0].0.as_str(), "/var/log/pods/*/*/*.log");
    assert_eq!(pick(&variants, &container("a", "b", "c")), Some(0));
    let file = Source::new(SourceType::File).variants(&OwnPod::Unknown);
    assert!(
        file.len() == 1 && file[0].pick.picks(&container("a", "b", "c")) && file[0].pick.picks_strangers()
    );
    let named = parsed("paths = [\"/x/*.log\"]\nenvelope = \"docker\"");
    let named = named.source[0].get_ref();
    assert_eq!((named.paths[0].0.as_str(), named.envelope.0), ("/x/*.log", Envelope::Docker));
}

#[test]
fn the_first_route_that_matches_wins_and_all_its_globs_must() {
    let variants = variants(
        "[[source.route]]\nnamespace = \"kube-system\"\npod = \"ingress-*\"\n\
         [[source.route]]\nnamespace = \"kube-*\"\ndrop = true\n\
         [[source.route]]\ncontainer = \"app\"\nnamespace = \"shop\"\nformat = \"phoenix\"\n\
         [[source.route]]\nnamespace = \"shop\"\nservice = \"rest\"\n",
    );
    assert_eq!(variants.len(), 4);
    for (namespace, pod, name, expected) in [
        ("kube-system", "ingress-1", "x", Some(1)),
        ("kube-system", "dns", "x", None),
        ("kube-public", "ingress-1", "x", None),
        ("shop", "web", "app", Some(2)),
        ("shop", "web", "app2", Some(3)),
        ("other", "web", "app", Some(0)),
    ] {
        assert_eq!(pick(&variants, &container(namespace, pod, name)), expected, "{namespace} {pod} {name}");
    }
    let strangers = variants.iter().filter(|variant| variant.pick.picks_strangers()).count();
    assert!(strangers == 1 && variants[0].pick.picks_strangers());
    assert!(variants.iter().all(|variant| variant.source.route.is_empty()));
}

#[test]
fn a_last_route_that_drops_all_others_makes_a_list_of_what_is_shipped() {
    let variants = variants("[[source.route]]\nnamespace = \"shop\"\n[[source.route]]\ndrop = true\n");
    assert_eq!(pick(&variants, &container("shop", "a", "b")), Some(1));
    assert_eq!(pick(&variants, &container("other", "a", "b")), None);
}

#[test]
fn the_agents_own_pod_is_picked_by_none() {
    let config = parsed("[[source.route]]\nnamespace = \"logs\"\nservice = \"logs\"\n");
    let environment = Environment { pod_name: Some("hivetail-x".to_owned()), ..Environment::default() };
    let variants = config.source[0].get_ref().variants(&OwnPod::of(environment));
    assert_eq!(pick(&variants, &container("logs", "hivetail-x", "agent")), None);
    assert_eq!(pick(&variants, &container("other", "hivetail-x", "agent")), None);
    assert_eq!(pick(&variants, &container("logs", "hivetail-y", "agent")), Some(1));
}

#[test]
fn a_route_takes_over_what_it_does_not_choose() {
    let variants = variants(
        "format = \"phoenix\"\nelixir_format = \"$message\"\njoin = true\nservice = \"own\"\ndataset = \"all\"\n\
         [[source.route]]\ncontainer = \"a\"\nformat = \"nginx\"\nlog_format = \"$uri\"\n\
         [[source.route]]\ncontainer = \"b\"\nservice = \"b\"\ndataset = \"b\"\njoin_requests = false\n\
         [[source.route]]\ncontainer = \"c\"\nformat = \"json\"\njoin = { indented = true }\ntimezone = \"Europe/Berlin\"\n\
         [[source.route]]\ncontainer = \"d\"\nelixir_format = \"[$level] $message\"\n",
    );
    let [_, a, b, c, d] = [0, 1, 2, 3, 4].map(|index| &variants[index].source);
    assert_eq!((a.format.0, a.service.as_deref()), (Format::Nginx, Some("own")));
    assert!(
        a.log_format.is_some() && a.elixir_format.is_none() && a.join.is_none() && a.join_requests.is_none()
    );
    assert_eq!((b.format.0, b.service.as_deref()), (Format::Phoenix, Some("b")));
    assert!(b.elixir_format.is_some() && b.join.is_some() && b.join_requests == Some(false));
    assert_eq!(b.dataset.as_ref().and_then(|dataset| dataset.0.fixed()).as_deref(), Some("b"));
    assert!(c.elixir_format.is_none() && matches!(c.join, Some(Join::By(_))));
    assert_eq!(c.timezone.offset_s(hivetail_parsers::Timestamp::from_ns(0)), 3_600);
    assert!(d.elixir_format.is_some() && d.format.0 == Format::Phoenix);
}

#[test]
fn a_join_that_says_how_is_kept_with_another_format() {
    for (join, kept) in [
        ("{ indented = true }", true),
        ("{ start = \"^x\" }", true),
        ("false", true),
        ("{ max_lines = 5 }", false),
    ] {
        let keys = format!("join = {join}\n[[source.route]]\ncontainer = \"a\"\nformat = \"json\"\n");
        assert_eq!(variants(&keys)[1].source.join.is_some(), kept, "{join}");
    }
}

#[test]
fn log_formats_that_are_named_are_found_in_routes() {
    let named = "log_format_file = \"/n\"\nlog_format_name = \"m\"\n";
    let mut config =
        parsed(&format!("format = \"nginx\"\n{named}[[source.route]]\ncontainer = \"a\"\n{named}"));
    let keys: Vec<String> = config.named_log_formats().into_iter().map(|named| named.key).collect();
    assert_eq!(keys, ["source[0].log_format_file", "source[0].route[0].log_format_file"]);
}

#[test]
fn every_variant_has_a_read_buffer() {
    let fixed = |keys: &str| parsed(keys).plan().unwrap().fixed_bytes;
    let kept = "[[source.route]]\ncontainer = \"a\"\nservice = \"a\"\n";
    let dropped = "[[source.route]]\ncontainer = \"b\"\ndrop = true\n";
    assert_eq!(fixed(dropped), fixed(""));
    let buffer = fixed(kept) - fixed("");
    assert!(buffer > 1_048_576);
    assert_eq!(fixed(&format!("{kept}{dropped}{kept}")), fixed("") + 2 * buffer);
}

#[test]
fn what_is_wrong_with_a_route_names_it_and_its_line() {
    let first = "[[source.route]]\nnamespace = \"a\"\n";
    for (route, line, wrong) in [
        ("", 5, "source[0].route[1]: it says neither for what it is"),
        ("drop = false\n", 5, "source[0].route[1]: it says neither"),
        ("pod = \"a\"\ndrop = true\nservice = \"x\"\n", 5, "source[0].route[1]: `drop = true` goes with"),
        ("log_format = \"$uri\"\n", 5, "source[0].route[1]: `log_format` needs `format = \"nginx\"`"),
        ("elixir_format = \"$message\"\nformat = \"json\"\n", 5, "source[0].route[1]: `elixir_format` needs"),
        ("format = \"nginx\"\nlog_format_name = \"x\"\n", 5, "source[0].route[1]: `log_format_file` and"),
        ("format = \"json\"\njoin = true\n", 5, "source[0].route[1]: `join = true` is for"),
        ("pod = \"[\"\n", 6, "source[0].route[1].pod = \"[\": not a glob"),
        ("pod = \"\"\n", 6, "source[0].route[1].pod = \"\": allowed: a path, a name or a glob"),
        (
            "pods = \"a\"\n",
            6,
            "source[0].route[1].pods: no such key; allowed here: namespace, pod, container, app, drop",
        ),
    ] {
        let error = error(&format!("{first}[[source.route]]\n{route}"));
        assert!(error.starts_with(&format!("test:{line}: {wrong}")), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_source_that_has_or_needs_no_routes() {
    let route = "[[source.route]]\npod = \"a\"\n";
    for text in [
        format!("[[source]]\ntype = \"file\"\npaths = [\"/a\"]\n{route}"),
        format!("[[source]]\ntype = \"stdin\"\n{route}"),
    ] {
        let error = Config::parse("test", &text).unwrap_err().to_string();
        assert_eq!(error, "test:1: source[0]: `route` is for a kubernetes or nats source");
    }
    let syslog = error("envelope = \"syslog\"\n");
    assert!(syslog.starts_with("test:1: source[0]: `envelope` of a kubernetes source"), "{syslog}");
    let named = error(&format!("fields = {{ \"service.name\" = \"a\" }}\n{route}service = \"b\"\n"));
    assert!(named.starts_with("test:4: source[0].route[0]: `service` and a field"), "{named}");
}
