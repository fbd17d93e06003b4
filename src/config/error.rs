//! Configuration errors: `FILE:LINE: KEY = VALUE: what is wrong and what is allowed`.
//!
//! Invariant: the value of a key that may hold a secret is never shown.

use std::fmt;

/// What is wrong with the file, where.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: String,
    line: Option<usize>,
    key: Option<String>,
    value: Option<String>,
    message: String,
}

impl ConfigError {
    /// The file as a whole.
    pub(super) fn whole(file: &str, message: &str) -> Self {
        Self { file: file.to_owned(), line: None, key: None, value: None, message: message.to_owned() }
    }

    /// The file can't be read.
    #[must_use]
    pub fn unreadable(file: &str, error: &std::io::Error) -> Self {
        Self::whole(file, &format!("cannot be read: {error}"))
    }

    /// It is not TOML.
    pub(super) fn syntax(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map(|span| line_of(text, span.start));
        Self { line, ..Self::whole(file, error.message()) }
    }

    /// A key is unknown or its value is not allowed. `path` is the key's full name.
    pub(super) fn value(file: &str, text: &str, path: &str, error: &toml::de::Error) -> Self {
        // How `toml::Spanned` looks from inside.
        let path = &path.replace(".$__serde_spanned_private_value", "");
        let span = error.span().unwrap_or(0..0);
        let marked = text.get(span.clone()).unwrap_or_default().trim();
        let line = Some(line_of(text, span.start));
        let message = error.message().replace('`', "");
        if let Some(expected) = message.strip_prefix("unknown field ") {
            let allowed = expected.split_once(", ").map_or("", |(_, allowed)| allowed);
            let allowed = allowed.trim_start_matches("expected one of ").trim_start_matches("expected ");
            let table = path.trim_end_matches(marked).trim_end_matches('.');
            let key = if table.is_empty() || table == "." {
                marked.to_owned()
            } else {
                format!("{table}.{marked}")
            };
            let message = format!("no such key; allowed here: {allowed}");
            return Self { line, key: Some(key), message, ..Self::whole(file, "") };
        }
        let message = match message.split_once(", expected ") {
            Some((what, allowed)) if what.starts_with("unknown variant") => {
                format!("allowed: {}", allowed.trim_start_matches("one of "))
            }
            _ => message.replace("missing field ", "a key is missing: "),
        };
        let key = Some(path.to_owned()).filter(|path| path != ".");
        // A missing key is marked by its whole table, which is no value.
        let value =
            Some(marked).filter(|value| !value.is_empty() && !message.starts_with("a key is missing"));
        let value = value.map(|value| shown(path, value));
        Self { line, key, value, message, ..Self::whole(file, "") }
    }

    /// Something about the table that begins at `start`.
    #[must_use]
    pub fn at(file: &str, text: &str, start: usize, key: &str, message: &str) -> Self {
        Self { line: Some(line_of(text, start)), key: Some(key.to_owned()), ..Self::whole(file, message) }
    }

    /// A key whose place is found by its name, if it stands in the file at all.
    pub(super) fn key(file: &str, text: &str, key: &str, value: &str, message: &str) -> Self {
        let name = key.rsplit('.').next().unwrap_or(key);
        let is_it = |line: &str| {
            line.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        let line = text.lines().position(is_it).map(|index| index + 1);
        Self { line, key: Some(key.to_owned()), value: Some(value.to_owned()), ..Self::whole(file, message) }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// A value's text, unless its key may hold a secret.
fn shown(path: &str, value: &str) -> String {
    const CHARS_MAX: usize = 80;
    let secret = ["key", "password", "token", "secret"].iter().any(|word| path.contains(word));
    // A password can hide in a URL, too.
    let secret = (secret && !path.ends_with("_file")) || (value.contains("://") && value.contains('@'));
    if secret {
        return "(not shown)".to_owned();
    }
    let first_line = value.lines().next().unwrap_or_default();
    let short: String = first_line.chars().take(CHARS_MAX).collect();
    if short.len() < value.len() { format!("{short}…") } else { short }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(f, ": {key} = {value}")?,
            (Some(key), None) => write!(f, ": {key}")?,
            _ => {}
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}
