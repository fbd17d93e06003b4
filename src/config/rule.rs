//! `[[rule]]` and `[[source.rule]]`: which events are dropped, thinned out or changed, in the words of Refinery's rules.
//!
//! Takes tables as written. Whether a rule makes sense is told by whoever compiles it (`transform/rule.rs`), who knows what
//! operators do.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Dataset, sampler::SamplerTable, value::Ranged};

/// `[[rule]]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is called in metrics and by `hivetail explain`; no two rules of a file have the same.
    pub name: String,
    /// What has to hold, all of it; a rule without it is for all events.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Whether the rules after it are asked, too; for rules that only change events.
    #[serde(default, rename = "continue")]
    pub goes_on: bool,
    /// Ships nothing.
    #[serde(default)]
    pub drop: bool,
    /// Ships all.
    #[serde(default)]
    pub keep: bool,
    /// Ships 1 in so many, picked at random.
    pub sample: Option<Ranged<1, 1_000_000_000>>,
    /// Ships as many as a sampler says.
    pub sampler: Option<SamplerTable>,
    /// What `sample` and `sampler` ship all the same: events that are errors (a status of 500 or more is one), slow (over
    /// `transform.slow_ms`), or the first of their kind in a while (`transform.first_window_s`). All three by default.
    pub spares: Option<Vec<Spare>>,
    /// Fields that are set, to text, a number or a boolean.
    #[serde(default)]
    pub set: BTreeMap<String, Literal>,
    /// Fields that get another name: `old = "new"`.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Fields that are taken out; a `*` stands for any text.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Where the events go, instead of the source's dataset.
    pub dataset: Option<Dataset>,
}

/// What is never sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Spare {
    /// `error`, or a status of 500 or more.
    Errors,
    /// Over `transform.slow_ms`.
    Slow,
    /// The first of an `exception.fingerprint`, or of a sampler's key.
    First,
}

/// `when`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Which field.
    pub field: Option<String>,
    /// Instead of `field`: the first of these that the event has.
    #[serde(default)]
    pub fields: Vec<String>,
    /// How it is compared. A field that is not there meets `not-exists` only.
    pub operator: OperatorName,
    /// With what; a list for `in` and `not-in`.
    pub value: Option<Operand>,
    /// As what both are compared: by default as what `value` is. What can't be read so meets nothing.
    pub datatype: Option<Datatype>,
}

/// How a field is compared, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct OperatorName(pub String);

impl OperatorName {
    /// All that there are.
    pub const ALL: [&str; 14] = [
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "starts-with",
        "contains",
        "does-not-contain",
        "exists",
        "not-exists",
        "matches",
        "in",
        "not-in",
    ];
}

impl JsonSchema for OperatorName {
    fn schema_name() -> Cow<'static, str> {
        "OperatorName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Self::ALL })
    }
}

/// What a field is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Datatype {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// Any number.
    Float,
    /// True or false.
    Bool,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Operand {
    /// One value.
    One(Literal),
    /// Several.
    Many(Vec<Literal>),
}

/// A value as written.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Literal {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}
