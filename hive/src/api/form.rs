//! Forms: take outcomes and columns, give them in the JSON of Honeycomb's Query Data and Columns APIs.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use crate::query::{ColumnStats, Outcome, Scalar};

/// The `data` of a query result: the groups, and unless it is empty the series with one element per bucket and group.
pub(super) fn data(outcome: &Outcome) -> Json {
    let results: Vec<_> = outcome
        .groups
        .iter()
        .map(|group| json!({ "data": row(outcome, &group.key, &group.values) }))
        .collect();
    let points = outcome.groups.iter().flat_map(|group| group.series.iter().map(move |point| (group, point)));
    let mut points: Vec<_> = points.collect();
    // Stable: within a bucket the groups stay in their order.
    points.sort_by_key(|(_, point)| point.bucket);
    let series = points.into_iter().map(|(group, point)| {
        let time = Timestamp::from_second(outcome.axis.bucket_start(point.bucket)).unwrap_or(Timestamp::MAX);
        json!({ "time": time.to_string(), "data": row(outcome, &group.key, &point.values) })
    });
    json!({ "series": series.collect::<Vec<_>>(), "results": results })
}

/// One row of a result: breakdowns and calculations by their names. Of two that have the same one, the breakdown counts.
fn row(outcome: &Outcome, key: &[Scalar<'_>], values: &[Scalar<'_>]) -> Map<String, Json> {
    let calculations = outcome.calculations.iter().map(ToString::to_string).zip(values);
    let breakdowns = outcome.breakdowns.iter().cloned().zip(key);
    calculations.chain(breakdowns).map(|(name, value)| (name, json!(value))).collect()
}

/// A column as the Columns API lists it.
pub(super) fn column(stats: &ColumnStats) -> Json {
    json!({
        "key_name": stats.name,
        "type": stats.common_type(),
        "description": "",
        "hidden": false,
        "last_written": stats.last_written.to_string(),
    })
}
