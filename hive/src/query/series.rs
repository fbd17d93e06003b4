//! Series: take the hits of a scan and the groups to show, give the values of each group over time.
//!
//! Only buckets in which a group has events are computed and kept: at most one per event, however fine the axis is.

use std::collections::HashMap;

use super::QueryError;
use super::calculate::{NO_SLOT, calculate};
use super::outcome::Point;
use super::plan::Plan;
use super::scan::Scan;

/// The series of the ranked groups, in their order.
pub(super) fn series(scan: &Scan<'_>, plan: &Plan, ranked: &[u32]) -> Result<Vec<Vec<Point>>, QueryError> {
    let mut ranks: Vec<Option<usize>> = vec![None; scan.keys.len()];
    for (rank, &group) in ranked.iter().enumerate() {
        ranks[group as usize] = Some(rank);
    }
    let mut slots = Vec::with_capacity(scan.hits.len());
    let mut slot_of: HashMap<(usize, usize), u32> = HashMap::new();
    for (segment, _, hits) in scan.segments() {
        slots.extend(hits.iter().map(|hit| match ranks[hit.group as usize] {
            None => NO_SLOT,
            Some(rank) => {
                let bucket = plan.axis.bucket(segment.records[hit.position()].time.timestamp);
                let next = slot_of.len() as u32;
                *slot_of.entry((rank, bucket)).or_insert(next)
            }
        }));
    }
    let mut columns = Vec::with_capacity(plan.calculations.len());
    for calculation in &plan.calculations {
        columns.push(calculate(scan, calculation, &slots, slot_of.len())?);
    }
    let mut places: Vec<_> = slot_of.into_iter().collect();
    places.sort_unstable();
    let mut series = vec![Vec::new(); ranked.len()];
    for ((rank, bucket), slot) in places {
        let values = columns.iter().map(|column| column[slot as usize].clone()).collect();
        series[rank].push(Point { bucket, values });
    }
    Ok(series)
}
