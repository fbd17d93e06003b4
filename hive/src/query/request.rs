//! Queries as they are asked: Honeycomb's query specification, read from JSON and written as JSON.
//!
//! Takes a JSON value, gives a [`Query`] whose names and types are right; whether it makes sense as a whole is for the
//! [`plan`](super::plan). Names and defaults are those of Honeycomb's reference ("Query Specification").

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::QueryError;

/// A question about the events of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Query {
    /// Columns by whose values events are grouped.
    pub(crate) breakdowns: Vec<String>,
    /// What to compute of each group; COUNT if empty.
    pub(crate) calculations: Vec<Calculation>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) filter_combination: Combination,
    /// Seconds of a bucket of the time series; chosen by the length of the range if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) granularity: Option<i64>,
    /// The first calculation descending if empty.
    pub(crate) orders: Vec<Order>,
    /// Most groups in the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<usize>,
    /// Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_time: Option<i64>,
    /// Unix seconds, not included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_time: Option<i64>,
    /// Seconds: after `start_time`, before `end_time`, or before now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_range: Option<i64>,
    pub(crate) havings: Vec<Having>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Calculation {
    pub(crate) op: Op,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<String>,
}

/// As Honeycomb heads a column of results: `COUNT`, `P99(duration_ms)`.
impl fmt::Display for Calculation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(formatter, "{}({column})", self.op.name()),
            None => formatter.write_str(&self.op.name()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Op {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    CountDistinct,
    /// In thousandths: 999 is P999, 50 is P05.
    Percentile(u16),
    Heatmap,
}

/// Honeycomb's percentiles, in thousandths.
pub(crate) const PERCENTILES: [(&str, u16); 11] = [
    ("P001", 1),
    ("P01", 10),
    ("P05", 50),
    ("P10", 100),
    ("P25", 250),
    ("P50", 500),
    ("P75", 750),
    ("P90", 900),
    ("P95", 950),
    ("P99", 990),
    ("P999", 999),
];

impl Op {
    /// The operations that are not percentiles, by their names.
    pub(crate) const PLAIN: [(&str, Op); 7] = [
        ("COUNT", Op::Count),
        ("SUM", Op::Sum),
        ("AVG", Op::Avg),
        ("MIN", Op::Min),
        ("MAX", Op::Max),
        ("COUNT_DISTINCT", Op::CountDistinct),
        ("HEATMAP", Op::Heatmap),
    ];

    /// All operations by their names, in the order to offer them.
    pub(crate) fn all() -> impl Iterator<Item = (&'static str, Op)> {
        Op::PLAIN
            .into_iter()
            .chain(PERCENTILES.map(|(name, thousandths)| (name, Op::Percentile(thousandths))))
    }

    pub(crate) fn name(self) -> String {
        Op::all().find(|&(_, op)| op == self).map_or_else(String::new, |(name, _)| name.to_owned())
    }
}

impl From<Op> for String {
    fn from(op: Op) -> String {
        op.name()
    }
}

impl TryFrom<String> for Op {
    type Error = String;

    fn try_from(name: String) -> Result<Op, String> {
        if let Some((_, op)) = Op::all().find(|&(known, _)| known == name) {
            return Ok(op);
        }
        if name == "CONCURRENCY" || name.starts_with("RATE_") {
            return Err(format!("{name} is computed by Honeycomb and not by hive"));
        }
        let names: Vec<_> = Op::all().map(|(name, _)| name).collect();
        Err(format!("{name:?} is not an operation: {}", names.join(", ")))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    pub(crate) column: String,
    pub(crate) op: FilterOp,
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(crate) value: Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FilterOp {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    GreaterOrEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrEqual,
    StartsWith,
    DoesNotStartWith,
    EndsWith,
    DoesNotEndWith,
    Contains,
    DoesNotContain,
    Exists,
    DoesNotExist,
    In,
    NotIn,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Combination {
    #[default]
    #[serde(rename = "AND")]
    And,
    #[serde(rename = "OR")]
    Or,
}

/// By a breakdown, if there is a column alone, or by a calculation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) op: Option<Op>,
    #[serde(default)]
    pub(crate) order: Direction,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    #[default]
    Ascending,
    Descending,
}

/// A condition on a calculation of the query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Having {
    pub(crate) calculate_op: Op,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<String>,
    pub(crate) op: HavingOp,
    pub(crate) value: serde_json::Number,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HavingOp {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    GreaterOrEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrEqual,
}

impl Query {
    /// Reads a query; the error says where it went wrong.
    pub(crate) fn from_json(json: Json) -> Result<Query, QueryError> {
        // The derived reader would take an array of the values as well.
        if !json.is_object() {
            return Err(QueryError("a query is a JSON object".to_owned()));
        }
        serde_path_to_error::deserialize(json).map_err(|error| {
            let path = error.path().to_string();
            match path.as_str() {
                "." => QueryError(error.inner().to_string()),
                _ => QueryError(format!("{path}: {}", error.inner())),
            }
        })
    }
}
