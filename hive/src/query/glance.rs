//! Glances: take a snapshot, give what a start page shows of it without a query: how events spread over time, which
//! datasets have which columns, the newest events, and a request that more than one program told of.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use super::plan::Axis;
use super::scalar::{Scalar, Value};
use super::scan::Scope;
use super::{QueryError, plan};
use crate::store::{Kind, RawEvent, Snapshot};

/// How many of the newest events are looked at for a request of two programs.
const CROSSING_EVENTS_MAX: usize = 20_000;

/// The times of the oldest and of the newest kept event: `None` if none are kept.
pub(crate) fn span(snapshot: &Snapshot, scope: Scope) -> Option<(Timestamp, Timestamp)> {
    let records = snapshot.segments().iter().flat_map(|segment| &segment.records);
    let times = records.filter(|record| scope.includes(record.dataset)).map(|record| record.time.timestamp);
    times.fold(None, |span, time| match span {
        None => Some((time, time)),
        Some((oldest, newest)) => Some((time.min(oldest), time.max(newest))),
    })
}

/// An axis of `buckets` buckets, or one more, over a range of seconds, the last one included.
pub(crate) fn axis_over(start: i64, end: i64, buckets: i64) -> Axis {
    let (start, end) = (start.max(0), end.max(start.max(0)) + 1);
    Axis { start, end: end.min(plan::SECONDS_MAX), granularity: (end - start).div_euclid(buckets - 1).max(1) }
}

/// Kept events by dataset and bucket: they are counted and not weighed.
pub(crate) fn spread(snapshot: &Snapshot, axis: Axis) -> Vec<Vec<u64>> {
    let mut counts = vec![Vec::new(); snapshot.datasets().len()];
    for record in snapshot.segments().iter().flat_map(|segment| &segment.records) {
        let counts: &mut Vec<u64> = &mut counts[record.dataset.0];
        if counts.is_empty() {
            counts.resize(axis.buckets(), 0);
        }
        if axis.contains(record.time.timestamp) {
            counts[axis.bucket(record.time.timestamp)] += 1;
        }
    }
    counts
}

/// Kept events of a dataset, or of all.
pub(crate) fn count(snapshot: &Snapshot, scope: Scope) -> u64 {
    let records = snapshot.segments().iter().flat_map(|segment| &segment.records);
    records.filter(|record| scope.includes(record.dataset)).count() as u64
}

/// Names of columns to suggest, those of the newest events first if there are more than `most`.
pub(crate) fn names(snapshot: &Snapshot, most: usize) -> Vec<String> {
    let mut names = BTreeSet::new();
    for column in snapshot.segments().iter().rev().flat_map(|segment| segment.columns()) {
        if names.len() == most {
            break;
        }
        names.insert(&*column.name);
    }
    names.into_iter().map(str::to_owned).collect()
}

/// Which of these columns the kept events of each dataset have.
pub(crate) fn present<'a>(
    snapshot: &Snapshot,
    scope: Scope,
    names: &[&'a str],
) -> Result<Vec<HashSet<&'a str>>, QueryError> {
    let mut present = vec![HashSet::new(); snapshot.datasets().len()];
    for segment in snapshot.segments() {
        scope.check_time()?;
        for &name in names {
            let Some(column) = segment.column(name) else { continue };
            for (position, cell) in segment.kept_cells(column) {
                if cell.kind != Kind::Null {
                    present[segment.records[position].dataset.0].insert(name);
                }
            }
        }
    }
    Ok(present)
}

/// The events that came last, the last one first.
pub(crate) fn newest(snapshot: &Snapshot, count: usize) -> Vec<RawEvent> {
    let places = snapshot.segments().iter().enumerate().rev();
    let places = places.flat_map(|(segment, records)| {
        (0..records.records.len()).rev().map(move |position| (segment, position))
    });
    places.take(count).map(|(segment, position)| snapshot.event_at(segment, position)).collect()
}

/// The newest `request_id` that came with more than one `log.format`: a request seen by the proxy and by the app.
pub(crate) fn crossing(snapshot: &Snapshot) -> Option<Value> {
    let mut formats: HashMap<Scalar<'_>, Scalar<'_>> = HashMap::new();
    let mut looked_at = 0;
    for segment in snapshot.segments().iter().rev() {
        let (ids, kinds) = (segment.reader("request_id"), segment.reader("log.format"));
        for position in (0..segment.records.len()).rev() {
            looked_at += 1;
            if looked_at > CROSSING_EVENTS_MAX {
                return None;
            }
            let (id, format) = (ids.value(position), kinds.value(position));
            if id == Scalar::Null || format == Scalar::Null {
                continue;
            }
            match formats.get(&id) {
                Some(known) if *known != format => return Some(id.into_value()),
                Some(_) => {}
                None => {
                    formats.insert(id, format);
                }
            }
        }
    }
    None
}
