//! `join`: which lines of a source belong together; `true`, `false` or a table.

use std::fmt;

use hivetail_parsers::Format;
use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{Source, value::Ranged};
use crate::{
    budget::JoinShare,
    join::{Settings, lines::Rule},
    transform::pattern,
};

/// How long the rest of a line is waited for that a platform has split.
const SPLIT_TIMEOUT_MS: Ranged<10, 3_600_000> = Ranged::new(5_000);

/// `join`
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Join {
    /// As the format needs it, or not at all.
    Is(bool),
    /// As the table says.
    By(JoinTable),
}

/// `[source.join]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JoinTable {
    /// An event begins with a line in which this regular expression matches.
    pub start: Option<Pattern>,
    /// An indented line goes on with the one before, and what else belongs to a stack trace.
    pub indented: bool,
    /// The most lines of an event.
    pub max_lines: Ranged<2, 10_000>,
    /// The most bytes of an event's lines.
    pub max_bytes: Ranged<1_024, 16_777_216>,
    /// How long an event waits for its next line, in milliseconds.
    pub timeout_ms: Ranged<10, 3_600_000>,
}

impl Default for JoinTable {
    fn default() -> Self {
        Self {
            start: None,
            indented: false,
            max_lines: Ranged::new(1_000),
            max_bytes: Ranged::new(1_048_576),
            timeout_ms: Ranged::new(1_000),
        }
    }
}

/// A regular expression over the bytes of a line.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Err("it would begin an event with every line".to_owned());
        }
        pattern::compile(&text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Join {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JoinVisitor)
    }
}

struct JoinVisitor;

impl<'de> de::Visitor<'de> for JoinVisitor {
    type Value = Join;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or a table with start or indented")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Join::Is(value))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        JoinTable::deserialize(de::value::MapAccessDeserializer::new(map)).map(Join::By)
    }
}

impl Source {
    /// Whether lines of its format belong together by themselves.
    const fn is_logger(&self) -> bool {
        matches!(self.format.0, Format::Auto | Format::Phoenix)
    }

    /// Lets go of a `join` that leaves it to the format which lines belong together, if this format does not know.
    pub(super) fn forget_join_of_other_format(&mut self) {
        let by_format = match &self.join {
            Some(Join::Is(is)) => *is,
            Some(Join::By(table)) => table.start.is_none() && !table.indented,
            None => false,
        };
        if by_format && !self.is_logger() {
            self.join = None;
        }
    }

    /// What is wrong with `join`.
    pub(super) fn join_contradiction(&self) -> Option<&'static str> {
        match &self.join {
            Some(Join::Is(true)) if !self.is_logger() => Some(
                "`join = true` is for `format = \"phoenix\"` or \"auto\"; elsewhere say how: `join = { start = \"…\" }` or \
                 `join = { indented = true }`",
            ),
            _ if self.filter_parameters.iter().any(String::is_empty) => {
                Some("`filter_parameters` holds an empty name")
            }
            Some(Join::By(JoinTable { start: Some(_), indented: true, .. })) => {
                Some("`join.start` and `join.indented` exclude each other")
            }
            Some(Join::By(JoinTable { start: None, indented: false, .. })) if !self.is_logger() => {
                Some("`join` needs `start` or `indented` to say which lines belong together")
            }
            _ => None,
        }
    }

    /// Whether its open joins may take memory: all do that have lines to put together.
    #[must_use]
    pub fn joins_anything(&self) -> bool {
        let settings = self.joins(JoinShare::default());
        settings.requests || !matches!(settings.rule, Rule::Off) || self.envelope.0.splits()
    }

    /// How its joins work, which may take `share`.
    #[must_use]
    pub fn joins(&self, share: JoinShare) -> Settings {
        let default = JoinTable::default();
        let table = match &self.join {
            Some(Join::By(table)) => table,
            _ => &default,
        };
        let rule = match (&self.join, &table.start) {
            (Some(Join::Is(false)), _) => Rule::Off,
            (_, Some(Pattern(start))) => Rule::Starts(start.clone()),
            _ if table.indented => Rule::Indented,
            _ if self.is_logger() => Rule::Logger,
            _ => Rule::Off,
        };
        Settings {
            rule,
            lines_max: table.max_lines.get(),
            event_bytes_max: table.max_bytes.get(),
            timeout_ms: table.timeout_ms.get() as u64,
            partial_timeout_ms: self.partial_timeout_ms.unwrap_or(SPLIT_TIMEOUT_MS).get() as u64,
            requests: self.join_requests.unwrap_or(true)
                && (self.is_logger() || self.format.0 == Format::LoggerJson),
            query_events: self.query_events,
            window_ms: self.request_window_s.get() as u64 * 1_000,
            share,
        }
    }
}
