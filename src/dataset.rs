//! Datasets: which one an event goes to.
//!
//! A [`Template`] such as `{service.name}` or `logs-{fly.app.name}` makes a name from an event's fields; the
//! [`Datasets`] of a process give each name a number, so that runs and batches need not carry text.
//!
//! Rules (Honeycomb, "Create a dataset"): names are compared without case and displayed as first seen, trimmed,
//! at most 255 characters; a slash can't be encoded, so `/` and control characters become `-`. At most 100 per
//! process, so that a template over user input can't fill an account: beyond that the fallback, counted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use hivetail_parsers::Value;

use crate::{encode::Event, lock::lock};

/// Where events go whose template has no value, and those beyond the limit. The name that Honeycomb itself
/// gives to logs without a service.
pub const FALLBACK: &str = "unknown_log_source";

const NAME_CHARS_MAX: usize = 255;
const DATASETS_MAX: usize = 100;

/// A dataset's number in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatasetId(usize);

/// A name with fields to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

impl Template {
    /// Reads a template: text with `{field}` in it.
    ///
    /// # Errors
    /// What is wrong, for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut rest = text;
        if text.trim().is_empty() {
            return Err("a dataset needs a name");
        }
        if text.contains('/') {
            return Err("a dataset's name can't have a slash");
        }
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').ok_or("`{` without `}`")? + open;
            let field = &rest[open + 1..close];
            if field.is_empty() || field.contains('{') {
                return Err("`{}` needs the name of a field");
            }
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            parts.push(Part::Field(field.to_owned()));
            rest = &rest[close + 1..];
        }
        if rest.contains('}') {
            return Err("`}` without `{`");
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The value of one field.
    #[must_use]
    pub fn field(name: &str) -> Self {
        Self { parts: vec![Part::Field(name.to_owned())] }
    }

    /// The template with the fields filled in that are the same for all events of a stream.
    #[must_use]
    pub fn with(&self, constants: &[(String, String)]) -> Self {
        let fill = |part: &Part| match part {
            Part::Field(name) => {
                let found = constants.iter().rev().find(|(constant, _)| constant == name);
                found.map_or_else(|| part.clone(), |(_, value)| Part::Text(value.clone()))
            }
            Part::Text(_) => part.clone(),
        };
        Self { parts: self.parts.iter().map(fill).collect() }
    }

    /// The name, if it does not depend on the event.
    #[must_use]
    pub fn fixed(&self) -> Option<String> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                Part::Field(_) => None,
            })
            .collect()
    }

    /// The dataset of one event.
    #[must_use]
    pub fn of(&self, event: &Event<'_, '_>, datasets: &Mutex<Datasets>) -> DatasetId {
        let name = self.fill(|field| event.get(field));
        lock(datasets).id(name.as_deref().unwrap_or(FALLBACK))
    }

    /// The name for one event, of which `get` gives the fields; `None` if a field is absent.
    #[must_use]
    pub fn fill<'v>(&self, get: impl Fn(&str) -> Option<Value<'v>>) -> Option<String> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Field(field) => match get(field)? {
                    Value::Text(text) | Value::Number(text) => name.push_str(&String::from_utf8_lossy(text)),
                    Value::Int(value) => name.push_str(&value.to_string()),
                    Value::Float(value) => name.push_str(&value.to_string()),
                    Value::Bool(value) => name.push_str(&value.to_string()),
                },
            }
        }
        Some(name)
    }
}

/// Where a stream's events go.
#[derive(Clone, Debug)]
pub struct Destination {
    template: Template,
    /// Where all go, if that is one dataset.
    fixed: Option<DatasetId>,
}

impl Destination {
    /// Of events that all have these fields.
    #[must_use]
    pub fn new(template: &Template, constants: &[(String, String)], datasets: &Mutex<Datasets>) -> Self {
        let template = template.with(constants);
        let fixed = template.fixed().map(|name| lock(datasets).id(&name));
        Self { template, fixed }
    }

    /// Where an event goes.
    #[inline]
    pub fn of(&self, event: &Event<'_, '_>, datasets: &Mutex<Datasets>) -> DatasetId {
        self.fixed.unwrap_or_else(|| self.template.of(event, datasets))
    }
}

/// The datasets of a process.
#[derive(Debug, Default)]
pub struct Datasets {
    names: Vec<Arc<str>>,
    /// By name as made and by name in lower case.
    ids: HashMap<String, DatasetId>,
    /// Events that went to the fallback because there were too many datasets.
    pub overflowed: u64,
}

impl Datasets {
    /// The number of a name, made sound first.
    pub fn id(&mut self, name: &str) -> DatasetId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let sound = sound(name);
        let key = sound.to_lowercase();
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        if self.names.len() >= DATASETS_MAX && sound != FALLBACK {
            self.overflowed += 1;
            return self.id(FALLBACK);
        }
        let id = DatasetId(self.names.len());
        self.names.push(sound.as_str().into());
        self.ids.insert(key, id);
        self.ids.insert(sound, id);
        id
    }

    /// The name behind a number.
    #[must_use]
    pub fn name(&self, id: DatasetId) -> Arc<str> {
        self.names.get(id.0).cloned().unwrap_or_else(|| FALLBACK.into())
    }
}

fn sound(name: &str) -> String {
    let tame = |c: char| if c == '/' || c.is_control() { '-' } else { c };
    let sound: String = name.trim().chars().map(tame).take(NAME_CHARS_MAX).collect();
    // As segments of a path, dots lead elsewhere.
    if matches!(sound.as_str(), "" | "." | "..") { FALLBACK.to_owned() } else { sound }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let template = Template::parse("{service.name}-{fly.region}").unwrap();
        assert_eq!(template.fixed(), None);
        let template = template.with(&[("service.name".to_owned(), "web".to_owned())]);
        let mut record = hivetail_parsers::Record::new();
        assert_eq!(template.fill(|field| record.get(field)), None);
        record.set("fly.region", Value::text("iad"));
        assert_eq!(template.fill(|field| record.get(field)).as_deref(), Some("web-iad"));
        assert_eq!(Template::parse("logs").unwrap().fixed().as_deref(), Some("logs"));
        for bad in ["", " ", "a/b", "{a", "a}", "{}", "{a{b}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_made_sound_and_compared_without_case() {
        let mut datasets = Datasets::default();
        let id = datasets.id(" My/App\n ");
        assert_eq!(&*datasets.name(id), "My-App");
        assert_eq!(datasets.id("MY-APP"), id);
        assert_eq!(&*datasets.name(datasets.names.len().checked_sub(1).map(DatasetId).unwrap()), "My-App");
        for name in ["  ", ".", ".. "] {
            let id = datasets.id(name);
            assert_eq!(&*datasets.name(id), FALLBACK);
        }
    }

    #[test]
    fn too_many_datasets_share_the_fallback() {
        let mut datasets = Datasets::default();
        for n in 0..150 {
            datasets.id(&format!("d{n}"));
        }
        let id = datasets.id("one more");
        assert_eq!(&*datasets.name(id), FALLBACK);
        assert_eq!(datasets.names.len(), DATASETS_MAX + 1);
        assert_eq!(datasets.overflowed, 51);
    }
}
