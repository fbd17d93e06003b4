//! nginx's own configuration: where a log format is defined.
//!
//! Takes the main file and the format's name, follows `include` (with globs, relative to the main file's folder, as
//! nginx does), gives the compiled format or says what is wrong.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use hivetail_parsers::{LogFormat, nginx::config};

/// How many files are read at most.
const FILES_MAX: usize = 1_000;

/// Why there is no format.
#[derive(Debug, thiserror::Error)]
pub enum NginxConfError {
    /// The main file can't be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is nowhere.
    #[error("{}: no log_format {name} in it or in what it includes; there are: {known}", path.display())]
    Unknown {
        /// The main file.
        path: PathBuf,
        /// The name that was looked for.
        name: String,
        /// Those that were found.
        known: String,
    },
    /// It can't be understood.
    #[error("{}: log_format {name}: {message}", path.display())]
    Malformed {
        /// The main file.
        path: PathBuf,
        /// The format's name.
        name: String,
        /// What is wrong with it.
        message: String,
    },
}

/// The format of that name, as nginx would find it from its main file.
///
/// # Errors
/// When the file can't be read, or the format is not there or not understood.
pub fn log_format(path: &Path, name: &str) -> Result<LogFormat, NginxConfError> {
    let text = fs::read(path).map_err(|error| NginxConfError::Unreadable { path: path.to_owned(), error })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut directives = Vec::new();
    let mut seen = HashSet::from([path.to_owned()]);
    collect(&String::from_utf8_lossy(&text), folder, &mut directives, &mut seen);
    if let Some(found) = LogFormat::find(&directives, name) {
        let malformed =
            |message| NginxConfError::Malformed { path: path.to_owned(), name: name.to_owned(), message };
        return found.map_err(malformed);
    }
    let names = directives.iter().filter(|words| words[0] == "log_format").filter_map(|words| words.get(1));
    let known = names.cloned().collect::<Vec<_>>().join(", ");
    Err(NginxConfError::Unknown { path: path.to_owned(), name: name.to_owned(), known })
}

/// Appends a file's directives, those of included files in the place of the include.
fn collect(text: &str, folder: &Path, directives: &mut Vec<config::Directive>, seen: &mut HashSet<PathBuf>) {
    for directive in config::directives(text) {
        let [name, pattern] = directive.as_slice() else {
            directives.push(directive);
            continue;
        };
        if name != "include" {
            directives.push(directive);
            continue;
        }
        let pattern = folder.join(pattern);
        for path in glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten() {
            if seen.len() < FILES_MAX
                && seen.insert(path.clone())
                && let Ok(text) = fs::read(&path)
            {
                collect(&String::from_utf8_lossy(&text), folder, directives, seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_found_through_includes() {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("nginx.conf");
        fs::create_dir(dir.path().join("conf.d")).unwrap();
        fs::write(&main, "http {\n include conf.d/*.conf;\n include nginx.conf;\n log_format b '$uri';\n}")
            .unwrap();
        fs::write(
            dir.path().join("conf.d/a.conf"),
            "log_format a\n  escape=json\n  '{\"u\":\"$uri\",'\n  '\"s\":$status}';",
        )
        .unwrap();
        let expected = LogFormat::parse("escape=json {\"u\":\"$uri\",\"s\":$status}").unwrap();
        assert_eq!(log_format(&main, "a").unwrap(), expected);
        let unknown = log_format(&main, "c").unwrap_err().to_string();
        assert!(
            unknown.ends_with("no log_format c in it or in what it includes; there are: a, b"),
            "{unknown}"
        );
        assert!(log_format(&dir.path().join("none"), "a").is_err());
    }
}
