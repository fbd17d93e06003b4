//! The documents: each configuration that they show is sound, and each number that the agent tells is explained.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hivetail::{
    config::{Config, reference},
    telemetry::numbers::{Kind, NUMBERS},
};

/// The files below a folder with such an ending.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// All that people read.
pub(crate) fn documents() -> Vec<PathBuf> {
    let mut documents = files("docs", ".md");
    documents.extend(files("deploy", ".md"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    documents.extend(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    documents
}

/// What stands between fences of that kind, with its line.
pub(crate) fn blocks(text: &str, kind: &str) -> Vec<(usize, String)> {
    let (opening, mut blocks, mut lines) = (format!("```{kind}"), Vec::new(), text.lines().zip(1..));
    while let Some((line, number)) = lines.next() {
        if line == opening {
            let block: Vec<&str> =
                lines.by_ref().map(|(line, _)| line).take_while(|line| !line.starts_with("```")).collect();
            blocks.push((number + 1, block.join("\n")));
        }
    }
    blocks
}

/// A configuration as shown: keys alone are a source's, and tables without a source get one.
fn assert_sound(place: &str, shown: &str) {
    let source = "[[source]]\ntype = \"stdin\"\n";
    let whole = if !shown.lines().any(|line| line.starts_with('[')) {
        format!("{source}{shown}")
    } else if shown.contains("[[source]]") {
        shown.to_owned()
    } else {
        format!("{shown}\n{source}")
    };
    let parsed = Config::parse(place, &whole);
    assert!(parsed.is_ok(), "{}\n{shown}", parsed.expect_err("it is wrong"));
}

#[test]
fn every_configuration_shown_is_sound() {
    let mut shown = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).expect("text");
        for (line, block) in blocks(&text, "toml") {
            // What others have, beside what takes its place.
            if ["[sources.", "[sinks.", "[transforms."].iter().any(|other| block.contains(other)) {
                continue;
            }
            assert_sound(&format!("{}:{line}", path.display()), &block);
            shown += 1;
        }
    }
    assert!(shown >= 10, "{shown}");
}

#[test]
fn every_configuration_to_deploy_is_sound() {
    let manifests = files("deploy", ".yaml");
    let mut embedded = 0;
    for path in manifests {
        let text = fs::read_to_string(&path).expect("text");
        let Some((_, after)) = text.split_once("config.toml: |\n") else { continue };
        let lines = after.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
        let config: Vec<&str> = lines.map(str::trim_start).collect();
        assert_sound(&path.display().to_string(), &config.join("\n"));
        embedded += 1;
    }
    assert_eq!(embedded, 2);
    for path in files("deploy", ".toml").into_iter().filter(|path| !path.ends_with("fly.toml")) {
        assert_sound(&path.display().to_string(), &fs::read_to_string(&path).expect("text"));
    }
}

/// What is made of the code has to be made anew when it changes: `HIVETAIL_WRITE=1 cargo test --test agent documents`.
#[test]
fn what_is_made_of_the_code_is_up_to_date() {
    let schema = reference::schema_text().expect("text") + "\n";
    for (name, made) in [("configuration.md", reference::markdown()), ("config.schema.json", schema)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        if std::env::var_os("HIVETAIL_WRITE").is_some() {
            fs::write(&path, &made).expect("room on the disk");
        }
        assert!(
            fs::read_to_string(&path).is_ok_and(|text| text == made),
            "docs/{name} is of another version"
        );
    }
}

#[test]
fn every_number_is_explained() {
    let text = include_str!("../../docs/operations.md");
    for number in NUMBERS {
        let ending = if number.kind == Kind::Counter { "_total" } else { "" };
        let name = format!("`hivetail_{}{ending}`", number.key());
        assert!(text.contains(&name), "docs/operations.md does not tell what {name} is");
    }
}
