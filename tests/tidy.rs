//! House rules as a test: what a reader can rely on in every file.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const FILE_LINES_MAX: usize = 500;

fn rust_files(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!files.is_empty());
    files
}

/// The part before the tests in the file.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

#[test]
fn every_file_begins_with_what_it_is() {
    for (path, text) in rust_files(&["src", "parsers/src", "hive/src", "tests", "benches", "demo"]) {
        assert!(text.starts_with("//! "), "{}: no header", path.display());
    }
}

#[test]
fn files_are_short() {
    for (path, text) in rust_files(&["src", "parsers/src", "hive/src"]) {
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{}: {lines} lines", path.display());
    }
}

#[test]
fn nothing_is_left_to_do() {
    let marks = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("];
    for (path, text) in rust_files(&["src", "parsers/src", "hive/src", "demo"]) {
        for mark in marks {
            assert!(!text.contains(mark), "{}: {mark}", path.display());
        }
        assert!(!path.ends_with("mod.rs"), "{}: foo.rs beside foo/ instead", path.display());
    }
}

/// Pure stages are told the time and do no I/O.
#[test]
fn pure_modules_stay_pure() {
    let pure = [
        "src/frame.rs",
        "src/frame/journal.rs",
        "src/frame/lines.rs",
        "src/frame/objects.rs",
        "src/frame/octets.rs",
        "src/pass.rs",
        "src/join.rs",
        "src/transform.rs",
        "src/encode.rs",
        "src/encode/constants.rs",
        "src/encode/text.rs",
        "src/dataset.rs",
        "src/batch.rs",
        "src/deliver/verdict.rs",
        "src/deliver/trim.rs",
        "src/deliver/gate.rs",
        "src/deliver/queue.rs",
        "src/deliver/retry.rs",
    ];
    let banned = [
        "std::fs",
        "std::net",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "tokio::spawn",
        "tokio::fs",
        "fastrand::",
    ];
    let files = rust_files(&["src", "parsers/src"]);
    let mut checked = 0;
    for (path, text) in &files {
        let parsers = path.starts_with("parsers");
        let of_pass = ["src/pass", "src/join", "src/transform"].iter().any(|stage| path.starts_with(stage));
        if !parsers && !of_pass && !pure.iter().any(|name| path == Path::new(name)) {
            continue;
        }
        checked += 1;
        for word in banned {
            assert!(!shipped(text).contains(word), "{}: {word}", path.display());
        }
        if parsers {
            assert!(!shipped(text).contains("tokio"), "{}: the parsers know no runtime", path.display());
        }
    }
    assert!(checked > pure.len(), "the list of pure modules is out of date");
    for name in pure {
        assert!(files.iter().any(|(path, _)| path == Path::new(name)), "{name} is gone");
    }
}

#[test]
fn only_the_pipeline_and_main_know_the_whole_configuration() {
    for (path, text) in rust_files(&["src"]) {
        let may = ["src/config.rs", "src/pipeline.rs", "src/cli.rs", "src/lib.rs"]
            .iter()
            .any(|name| path == Path::new(name))
            || path.starts_with("src/config")
            || path.starts_with("src/cli")
            || path.starts_with("src/pipeline");
        assert!(may || !shipped(&text).contains("config::Config"), "{}", path.display());
    }
}
