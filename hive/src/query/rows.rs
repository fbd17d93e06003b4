//! Rows: take a query or the id of a request, give stored events as they came.

use jiff::Timestamp;

use super::QueryError;
use super::plan::Plan;
use super::request::{Combination, Direction, Filter, FilterOp, Query};
use super::scalar::{Scalar, Value};
use super::scan::{Hit, Scan, Scope};
use crate::store::{RawEvent, Snapshot};

/// Which of the events that match a query to give.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// Only those with these values of the query's breakdowns.
    pub(crate) group: Option<Vec<Value>>,
    /// By time: the newest first if descending.
    pub(crate) direction: Direction,
    pub(crate) limit: usize,
}

/// Events that match.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) events: Vec<RawEvent>,
    /// How many there are without the limit.
    pub(crate) matched: usize,
}

/// Gives the first events by time that match a query. Calculations, orders, limit and havings of the query play no part.
pub(crate) fn rows(
    snapshot: &Snapshot,
    scope: Scope,
    query: &Query,
    now: Timestamp,
    selection: &Selection,
) -> Result<Rows, QueryError> {
    let mut plan = Plan::new(query, now)?;
    let breakdowns = std::mem::take(&mut plan.breakdowns);
    let scan = Scan::new(snapshot, scope, &plan)?;
    let hits = match &selection.group {
        None => scan.hits,
        Some(group) if group.len() == breakdowns.len() => hits_of_group(&scan, &breakdowns, group),
        Some(group) => {
            let (values, columns) = (group.len(), breakdowns.len());
            return Err(QueryError(format!("group: {values} values for {columns} breakdowns")));
        }
    };
    Ok(first_by_time(snapshot, hits, selection.direction, selection.limit))
}

/// All events with this value of a column, whatever their dataset and time: the oldest first.
pub(crate) fn joined(
    snapshot: &Snapshot,
    scope: Scope,
    column: &str,
    value: &str,
    limit: usize,
) -> Result<Rows, QueryError> {
    let filter = Filter { column: column.to_owned(), op: FilterOp::Equal, value: value.into() };
    let mut plan = Plan::new(&Query::default(), Timestamp::UNIX_EPOCH)?;
    plan.conditions.push(super::filter::Condition::new(&filter)?);
    plan.combination = Combination::And;
    plan.axis = super::plan::Axis::ALWAYS;
    let scan = Scan::new(snapshot, Scope { dataset: None, ..scope }, &plan)?;
    Ok(first_by_time(snapshot, scan.hits, Direction::Ascending, limit))
}

fn hits_of_group(scan: &Scan<'_>, breakdowns: &[String], group: &[Value]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (segment, _, candidates) in scan.segments() {
        let readers: Vec<_> = breakdowns.iter().map(|column| segment.reader(column)).collect();
        let is_of_group = |hit: &&Hit| {
            let values = readers.iter().map(|reader| reader.value(hit.position()));
            values.zip(group).all(|(value, wanted): (Scalar<'_>, &Value)| value == *wanted)
        };
        hits.extend(candidates.iter().filter(is_of_group));
    }
    hits
}

fn first_by_time(snapshot: &Snapshot, mut hits: Vec<Hit>, direction: Direction, limit: usize) -> Rows {
    let matched = hits.len();
    let moment = |hit: &Hit| {
        let record = &snapshot.segments()[hit.segment()].records[hit.position()];
        // Of one time, in the order they came.
        (record.time.timestamp, hit.segment, hit.position)
    };
    match direction {
        Direction::Ascending => hits.sort_unstable_by_key(moment),
        Direction::Descending => hits.sort_unstable_by_key(|hit| std::cmp::Reverse(moment(hit))),
    }
    hits.truncate(limit);
    let events = hits.iter().map(|hit| snapshot.event_at(hit.segment(), hit.position())).collect();
    Rows { events, matched }
}
