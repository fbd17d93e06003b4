//! The reference of the configuration: its JSON Schema, and the same for people.
//!
//! Both are made of the types in this module and their comments, so they can't be wrong about names, ranges and defaults.

use std::fmt::Write;

use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Map, Value};

use super::Config;

/// The schema of the whole file, everything in its place.
#[must_use]
pub fn schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Config>()
}

/// The schema as text.
///
/// # Errors
/// Never, as long as text can be written to memory.
pub fn schema_text() -> serde_json::Result<String> {
    serde_json::to_string_pretty(&schema())
}

/// The keys of each table: name, what it takes, its default and what it is for.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Configuration\n\nMade by `hivetail config reference` of the code itself. `hivetail config schema` gives the same to editors, and \
         [config.example.toml](../config.example.toml) shows it at work. What is not set has its default; a key that is not known is an error.\n",
    );
    tables(&mut out, "", schema().as_value(), &mut Vec::new());
    out
}

/// Writes the table of that name, then those inside. What is as another table, of those `written`, need not be said again.
fn tables(out: &mut String, name: &str, table: &Value, written: &mut Vec<(String, Value)>) {
    if let Some((same, _)) = written.iter().find(|(_, other)| other == table) {
        let _ = write!(out, "\n## {name}\n\nAs in `{same}`.\n");
        return;
    }
    written.push((name.to_owned(), table.clone()));
    let properties = table["properties"].as_object().cloned().unwrap_or_default();
    let (inner, keys): (Map<String, Value>, Map<String, Value>) =
        properties.into_iter().partition(|(_, property)| table_in(property).is_some());
    if !keys.is_empty() {
        // A list of tables is written so in TOML.
        let _ = write!(out, "\n## {name}\n\n| key | takes | by default | |\n|---|---|---|---|\n");
        for (key, property) in &keys {
            let (takes, default) = (takes(property), default_of(property));
            let text = description(property);
            let _ = writeln!(out, "| `{key}` | {takes} | {default} | {text} |");
        }
    }
    for (key, property) in &inner {
        let path = name.trim_start_matches('[').trim_end_matches(']');
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let is_list = property["type"] == "array";
        let name = if is_list { format!("[[{path}]]") } else { format!("[{path}]") };
        if let Some(table) = table_in(property) {
            tables(out, &name, table, written);
        }
    }
}

/// The table that a property is, or is a list of, or may be.
fn table_in(property: &Value) -> Option<&Value> {
    if property["properties"].is_object() {
        return Some(property);
    }
    if property["items"]["properties"].is_object() {
        return Some(&property["items"]);
    }
    property["anyOf"].as_array()?.iter().find_map(table_in)
}

fn takes(property: &Value) -> String {
    if let Some(names) = property["enum"].as_array() {
        let names: Vec<String> = names.iter().filter(|name| !name.is_null()).map(code).collect();
        return names.join(", ");
    }
    if let Some(choices) = property["oneOf"].as_array().or(property["anyOf"].as_array()) {
        let names = choices.iter().filter(|choice| choice["type"] != "null");
        let mut names: Vec<String> = names
            .map(|choice| choice.get("const").map_or_else(|| takes(choice), code))
            .filter(|name| !name.is_empty())
            .collect();
        names.dedup();
        return names.join(", ");
    }
    let kinds = &property["type"];
    let kind = kinds
        .as_str()
        .or_else(|| kinds.as_array()?.iter().filter_map(Value::as_str).find(|kind| *kind != "null"));
    match kind {
        Some("integer") => match (property["minimum"].as_u64(), property["maximum"].as_u64()) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            _ => "a number".to_owned(),
        },
        Some("number") => "a number".to_owned(),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("string") => "text".to_owned(),
        Some("array") => format!("a list of {}", takes(&property["items"])),
        Some("object") => format!("a table of {}", takes(&property["additionalProperties"])),
        _ => String::new(),
    }
}

fn default_of(property: &Value) -> String {
    match property.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Array(list)) if list.is_empty() => String::new(),
        Some(Value::Object(table)) if table.is_empty() => String::new(),
        Some(value) => code(value),
    }
}

/// A value as it is written in the file.
fn code(value: &Value) -> String {
    format!("`{value}`")
}

fn description(property: &Value) -> String {
    let text = property["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
