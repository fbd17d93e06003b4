//! Bad input: nothing panics, the rest flows, and a count says what happened.

use std::fs;

use crate::support::{Stage, numbered, text};

#[tokio::test]
async fn bytes_of_every_kind_become_valid_events() {
    let stage = Stage::new().await;
    let mut garbage = Vec::new();
    let mut state = 1_u32;
    for _ in 0..200_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        garbage.push(state.to_be_bytes()[0]);
    }
    garbage.push(b'\n');
    let lines = garbage.split_inclusive(|byte| *byte == b'\n').count() as u64;
    stage.append("a.log", &garbage);
    stage.append("a.log", b"caf\xe9 \xf0\x9f\n");
    stage.append("a.log", "{\"n\":\"0\"}\n");
    let counts = stage.ship_once(&stage.toml("a.log", "", "")).await;
    assert_eq!((counts.read, counts.refused, counts.open), (lines + 2, 0, 0));
    assert_eq!(counts.accepted + counts.blank, lines + 2);
    let events = stage.hive.events();
    assert_eq!(text(&events[events.len() - 2], "body"), "caf\u{fffd} \u{fffd}");
    assert_eq!(text(&events[events.len() - 1], "n"), "0");
}

#[tokio::test]
async fn a_line_of_ten_megabytes_keeps_its_head_and_the_next_line_is_whole() {
    let stage = Stage::new().await;
    stage.append("a.log", numbered(0, 1));
    stage.append("a.log", "x".repeat(10 << 20));
    stage.append("a.log", "\n");
    stage.append("a.log", numbered(1, 1));
    // Another file of the same source takes the read buffer in between.
    stage.append("b.log", numbered(2, 10_000));
    let counts = stage.ship_once(&stage.toml("*.log", "", "")).await;
    assert_eq!((counts.read, counts.accepted), (10_003, 10_003));
    let events = stage.hive.events();
    let long = events.iter().find(|event| event.data.contains_key("meta.truncated")).expect("the long line");
    assert_eq!(text(long, "meta.truncated"), "body,line");
    assert_eq!(text(long, "body").len(), 65_535);
    assert_eq!(stage.seen("n").len(), 10_003, "every other line, and the long one without a number");
}

#[tokio::test]
async fn empty_files_folders_and_odd_names_disturb_nobody() {
    let stage = Stage::new().await;
    stage.append("empty.log", "");
    fs::create_dir(stage.path("folder.log")).unwrap();
    std::os::unix::fs::symlink("nowhere", stage.path("dangling.log")).unwrap();
    std::os::unix::fs::symlink("a b\n.log", stage.path("linked.log")).unwrap();
    stage.append("a b\n.log", numbered(0, 3));
    let counts = stage.ship_once(&stage.toml("*.log", "", "")).await;
    assert_eq!(counts.accepted, 3, "a file with two names is shipped once");
}

#[tokio::test]
async fn hostile_json_is_kept_within_the_limits() {
    let stage = Stage::new().await;
    let pairs: Vec<String> = (0..10_000).map(|n| format!("\"k{n}\":{n}")).collect();
    stage.append("a.log", format!("{{{}}}\n", pairs.join(",")));
    stage.append("a.log", format!("{{\"deep\":{}1{}}}\n", "[".repeat(100), "]".repeat(100)));
    stage.append("a.log", format!("{{\"deeper\":{}1{}}}\n", "[".repeat(10_000), "]".repeat(10_000)));
    stage.append("a.log", "{\"a\":1,\"a\":2,\"meta.parse_error\":\"forged\",\"\":3,\"x\\u0000\\\"y\":4}\n");
    let counts = stage.ship_once(&stage.toml("a.log", "format = \"json\"", "[columns]\nmax = 100_000")).await;
    assert_eq!((counts.accepted, counts.refused), (4, 0));
    let events = stage.hive.events();
    assert!(
        events[0].data.len() <= 2_000 && text(&events[0], "field.overflow").starts_with("{\"k1900\":1900,")
    );
    assert_eq!(
        text(&events[0], "meta.truncated"),
        "field.overflow",
        "100 kB of keys are over the limit of a string"
    );
    assert!(!events[1].data.contains_key("meta.parse_error"));
    assert_eq!(text(&events[2], "meta.parse_error"), "malformed JSON");
    assert_eq!(text(&events[3], "a"), "2");
    assert_eq!(text(&events[3], "field.meta.parse_error"), "forged");
}
