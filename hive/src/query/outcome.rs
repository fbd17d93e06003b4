//! Outcomes: what a query gives, for a page or an API to show.
//!
//! Values stand in the order of the calculations, keys in that of the breakdowns, groups in that of the query.

use serde::Serialize;

use super::plan::Axis;
use super::request::Calculation;
use super::scalar::Value;

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Outcome {
    pub(crate) breakdowns: Vec<String>,
    /// COUNT if the query had none.
    pub(crate) calculations: Vec<Calculation>,
    /// The range of time, and the buckets of the series.
    pub(crate) axis: Axis,
    /// At most the limit of the query. Without breakdowns it is one group, whose key is empty.
    pub(crate) groups: Vec<Group>,
    /// How many groups there are, before the limit and the havings.
    pub(crate) groups_total: usize,
    /// Each calculation over all events that match, whatever their group.
    pub(crate) totals: Vec<Value>,
    /// One for each HEATMAP among the calculations, in their order.
    pub(crate) heatmaps: Vec<Heatmap>,
    /// Stored events that match: they are counted and not weighed.
    pub(crate) matched: u64,
    /// Stored events of the dataset in the range of time.
    pub(crate) looked_at: u64,
    /// Milliseconds that the answer took.
    pub(crate) elapsed_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Group {
    pub(crate) key: Vec<Value>,
    pub(crate) values: Vec<Value>,
    /// The buckets in which the group has events, ascending.
    pub(crate) series: Vec<Point>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    pub(crate) bucket: usize,
    pub(crate) values: Vec<Value>,
}

/// Where the numbers of a column lie over time: a grid of time buckets and rows of values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Heatmap {
    pub(crate) column: String,
    /// The smallest and the greatest number: the lower edge of the first row and the upper edge of the last, between
    /// which rows are equally high. Absent if no event has a number there.
    pub(crate) bounds: Option<(f64, f64)>,
    pub(crate) rows: usize,
    /// Weighed events, by bucket, then by row.
    pub(crate) counts: Vec<Vec<u64>>,
}
