//! Queries: take a question in Honeycomb's terms and the stored events, give groups, values and series.
//!
//! A [`Query`] is what is asked. It becomes a `plan`, which bounds it; a `scan` finds the events that match; `calculate`
//! makes values of them, `rank` orders the groups and cuts them, `series` and `heatmap` spread them over time. `rows`
//! gives the events themselves, `columns` what is known of their fields, `glance` what a start page shows.
//!
//! Everything works on a [`Snapshot`], so that events come in while a query runs, and ends at a deadline.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use jiff::Timestamp;

use crate::limits::QUERY_TIME_MAX;
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::store::Snapshot;

pub(crate) use self::columns::{ColumnStats, ColumnType, columns};
pub(crate) use self::outcome::{Group, Heatmap, Outcome};
pub(crate) use self::plan::{Axis, axis};
pub(crate) use self::request::{
    Calculation, Combination, Direction, Filter, FilterOp, Having, HavingOp, Op, Order, Query,
};
pub(crate) use self::rows::{Rows, Selection, joined, rows};
pub(crate) use self::scalar::{Scalar, Value};
pub(crate) use self::scan::Scope;

use self::plan::Plan;
use self::scan::Scan;

mod calculate;
pub(crate) mod columns;
mod filter;
pub(crate) mod glance;
mod heatmap;
pub(crate) mod outcome;
mod plan;
mod rank;
pub(crate) mod request;
mod rows;
mod scalar;
mod scan;
mod series;
#[cfg(test)]
mod tests;

/// The name under which all datasets are asked, as in Honeycomb's paths.
pub(crate) const ALL_DATASETS: &str = "__all__";

/// What is wrong with a query, for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryError(pub(crate) String);

impl QueryError {
    /// The same error, with where it is.
    fn at(self, place: impl std::fmt::Display) -> QueryError {
        QueryError(format!("{place}: {}", self.0))
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Refusal {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.0)
    }
}

/// Says what is wrong with a query, if anything is, without asking it.
pub(crate) fn check(query: &Query) -> Result<(), QueryError> {
    Plan::new(query, Timestamp::now()).map(drop)
}

/// Answers a query; `with_series` says whether over time, too.
pub(crate) fn answer(
    snapshot: &Snapshot,
    scope: Scope,
    query: &Query,
    now: Timestamp,
    with_series: bool,
) -> Result<Outcome, QueryError> {
    let begun = Instant::now();
    let plan = Plan::new(query, now)?;
    let scan = Scan::new(snapshot, scope, &plan)?;
    let groups: Vec<u32> = scan.hits.iter().map(|hit| hit.group).collect();
    let everything = vec![0; scan.hits.len()];
    let (mut columns, mut totals) = (Vec::new(), Vec::new());
    for calculation in &plan.calculations {
        let values = calculate::calculate(&scan, calculation, &groups, scan.keys.len())?;
        if plan.breakdowns.is_empty() {
            // The one group there is has everything in it.
            totals.extend_from_slice(&values);
        } else {
            totals.extend(calculate::calculate(&scan, calculation, &everything, 1)?);
        }
        columns.push(values);
    }
    let ranked = rank::rank(&plan, &scan.keys, &columns);
    let mut heatmaps = Vec::new();
    for calculation in plan.calculations.iter().filter(|calculation| calculation.op == Op::Heatmap) {
        let column = calculation.column.as_deref().unwrap_or_default();
        heatmaps.push(heatmap::heatmap(&scan, column, plan.axis)?);
    }
    let series =
        if with_series { series::series(&scan, &plan, &ranked)? } else { vec![Vec::new(); ranked.len()] };
    let group = |(&group, series): (&u32, _)| Group {
        key: scan.keys[group as usize].iter().map(|value| value.clone().into_value()).collect(),
        values: columns.iter().map(|column| column[group as usize].clone()).collect(),
        series,
    };
    Ok(Outcome {
        groups: ranked.iter().zip(series).map(group).collect(),
        groups_total: scan.keys.len(),
        totals,
        heatmaps,
        matched: scan.hits.len() as u64,
        looked_at: scan.looked_at,
        breakdowns: plan.breakdowns,
        calculations: plan.calculations,
        axis: plan.axis,
        elapsed_ms: begun.elapsed().as_millis() as u64,
    })
}

/// Asks about a dataset, or about [`ALL_DATASETS`], where the work does not hold up those who send events.
pub(crate) async fn ask<T: Send + 'static>(
    shared: &Shared,
    dataset: &str,
    question: impl FnOnce(&Snapshot, Scope) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, Refusal> {
    // An error would be a semaphore that was closed, and nobody closes it.
    let turn = Arc::clone(&shared.queries).acquire_owned().await;
    let snapshot = shared.store().snapshot();
    let dataset = match dataset {
        ALL_DATASETS => None,
        name => Some(snapshot.dataset_id(name).ok_or_else(Refusal::dataset_not_found)?),
    };
    let scope = Scope { dataset, deadline: Instant::now() + QUERY_TIME_MAX };
    let asked = tokio::task::spawn_blocking(move || {
        // The work goes on if whoever asked hangs up, so the turn is the work's.
        let _turn = turn;
        question(&snapshot, scope)
    });
    match asked.await {
        Ok(answer) => answer.map_err(Refusal::from),
        Err(_) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, crate::refusal::SERVER_ERROR)),
    }
}
