//! `hivetail explain`: what rules would do to a log is what they do.

use std::fs;

use crate::support::{Stage, hivetail};

const ACCESS: &str =
    "10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] \"GET /healthz HTTP/1.1\" 200 5 \"-\" \"kube-probe/1.31\"";
/// What the second samples the first has dropped before: the one line of a container has one fate.
const RULES: &str = "[[rule]]\nname = \"shop\"\nwhen = [{ field = \"k8s.namespace.name\", operator = \"=\", value = \"shop\" }]\ndrop = true\n\
    [[rule]]\nname = \"health checks\"\nwhen = [{ field = \"client.kind\", operator = \"=\", value = \"health-check\" }]\nsample = 8\n";

/// What it prints, or says if it can't.
fn explain(stage: &Stage, toml: &str, log: &str) -> Result<String, String> {
    let mut command = hivetail();
    command.args(["explain", "-c"]).arg(stage.config_file(toml)).arg(stage.path(log));
    let output = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn explain_counts_what_rules_do_and_shows_some() {
    let stage = Stage::new().await;
    let failed = ACCESS.replace(" 200 ", " 503 ");
    let person = ACCESS.replace("/healthz", "/a?token=x").replace("kube-probe/1.31", "Firefox");
    stage.append("a.log", format!("{ACCESS}\n").repeat(80) + &failed + "\n" + &person + "\n");
    let toml = stage.toml("a.log", "format = \"nginx\"", RULES);
    let told = explain(&stage, &toml, "a.log").expect("it is explained");
    for expected in [
        "          81    98.7 %           11           81          1  health checks\n",
        "           0     0.0 %            0            0          0  shop\n",
        "           1     1.2 %            1            1          0  (none)\n",
        "82 lines, 82 events before; 12 shipped (14.6 %), which stand for 82\n",
        "[FILTERED] in url.query: 1 events\n",
        "health checks: left out by the sampler\n  1 in 8       \"GET /healthz HTTP/1.1 200\"\n",
        "health checks: shipped whatever the sampler says\n               \"GET /healthz HTTP/1.1 503\"\n",
    ] {
        assert!(told.contains(expected), "{expected}{told}");
    }
    assert!(stage.hive.events().is_empty());
}

/// A path tells which route a container has, and fields that rules may ask for.
#[tokio::test]
async fn explain_knows_the_routes_and_fields_of_containers() {
    let stage = Stage::new().await;
    let routes = "[[source.route]]\nnamespace = \"edge\"\nformat = \"nginx\"\n[[source.route]]\nnamespace = \"kube-*\"\ndrop = true\n";
    let toml = stage.toml("pods/*/*/*.log", "", RULES).replace("type = \"file\"", "type = \"kubernetes\"");
    let toml = toml + routes;
    let told = |namespace: &str| {
        let folder = format!("pods/{namespace}_web-1_77/web");
        fs::create_dir_all(stage.path(&folder)).expect("room on the disk");
        stage.append(&format!("{folder}/0.log"), format!("2026-11-22T10:00:00.5Z stdout F {ACCESS}\n"));
        explain(&stage, &toml, &format!("{folder}/0.log"))
    };
    let edge = told("edge").expect("it is explained");
    assert!(edge.contains("format nginx\n") && edge.contains(" 1   100.0 %"), "{edge}");
    let shop = told("shop").expect("it is explained");
    assert!(shop.contains("format auto\n") && shop.contains("stand for 0\n"), "{shop}");
    let dropped = told("kube-system").expect_err("it is not shipped");
    assert!(dropped.contains("has a route that drops this container"), "{dropped}");
}

#[tokio::test]
async fn explain_says_which_sources_there_are() {
    let stage = Stage::new().await;
    stage.append("a.log", "x\n");
    let config = stage.config_file(&stage.toml("a.log", "", ""));
    let mut command = hivetail();
    command.args(["explain", "--source", "7", "-c"]).arg(config).arg(stage.path("a.log"));
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("it has 1 sources, from 0 on"), "{said}");
}
