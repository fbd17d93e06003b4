//! The scan: takes a snapshot and a plan, gives the events that match and the group of each.
//!
//! It goes through each segment once and opens only the columns of filters and breakdowns. What it keeps is bounded by
//! the events that are stored and by [`GROUPS_MAX`].

use std::collections::HashMap;
use std::time::Instant;

use super::QueryError;
use super::filter::Condition;
use super::plan::Plan;
use super::request::Combination;
use super::scalar::Scalar;
use crate::limits::GROUPS_MAX;
use crate::store::{DatasetId, Reader, Segment, Snapshot};

/// An event that matches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    /// Of the snapshot.
    pub(crate) segment: u32,
    /// In the segment.
    pub(crate) position: u32,
    pub(crate) group: u32,
}

impl Hit {
    pub(crate) fn segment(self) -> usize {
        self.segment as usize
    }

    pub(crate) fn position(self) -> usize {
        self.position as usize
    }
}

/// What a scan found.
pub(crate) struct Scan<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// In the order the events came.
    pub(crate) hits: Vec<Hit>,
    /// The values of the breakdowns, by group.
    pub(crate) keys: Vec<Vec<Scalar<'a>>>,
    /// Events of the dataset and the range, whether they match or not.
    pub(crate) looked_at: u64,
    scope: Scope,
}

/// Which events to look at, and until when.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    /// All datasets if absent.
    pub(crate) dataset: Option<DatasetId>,
    pub(crate) deadline: Instant,
}

impl Scope {
    pub(crate) fn includes(&self, dataset: DatasetId) -> bool {
        self.dataset.is_none_or(|wanted| wanted == dataset)
    }

    /// Ends a query that takes too long.
    pub(crate) fn check_time(&self) -> Result<(), QueryError> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(QueryError("the query takes too long; take a shorter time, or fewer calculations".to_owned()))
    }
}

impl<'a> Scan<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, scope: Scope, plan: &Plan) -> Result<Scan<'a>, QueryError> {
        let (hits, keys) = (Vec::new(), Vec::new());
        let mut scan = Scan { snapshot, hits, keys, looked_at: 0, scope };
        let mut groups: HashMap<Vec<Scalar<'a>>, u32> = HashMap::new();
        if plan.breakdowns.is_empty() {
            // Events that are not grouped are one group, be there any or not.
            groups.insert(Vec::new(), 0);
            scan.keys.push(Vec::new());
        }
        let mut key = Vec::new();
        for (index, segment) in (0_u32..).zip(snapshot.segments()) {
            scope.check_time()?;
            let filters = Filters::open(plan, segment);
            let breakdowns: Vec<_> = plan.breakdowns.iter().map(|column| segment.reader(column)).collect();
            for (position, record) in segment.records.iter().enumerate() {
                if !scope.includes(record.dataset) || !plan.axis.contains(record.time.timestamp) {
                    continue;
                }
                scan.looked_at += 1;
                if !filters.match_at(position) {
                    continue;
                }
                key.clear();
                key.extend(breakdowns.iter().map(|reader| reader.value(position)));
                let group = match groups.get(&key) {
                    Some(&group) => group,
                    None => scan.begin_group(&key, &mut groups)?,
                };
                scan.hits.push(Hit { segment: index, position: position as u32, group });
            }
        }
        Ok(scan)
    }

    fn begin_group(
        &mut self,
        key: &[Scalar<'a>],
        groups: &mut HashMap<Vec<Scalar<'a>>, u32>,
    ) -> Result<u32, QueryError> {
        if self.keys.len() == GROUPS_MAX {
            return Err(QueryError(format!(
                "breakdowns: there are more than {GROUPS_MAX} groups; add a filter, take a shorter time, or take \
                 out a breakdown"
            )));
        }
        let group = self.keys.len() as u32;
        self.keys.push(key.to_vec());
        groups.insert(key.to_vec(), group);
        Ok(group)
    }

    pub(crate) fn check_time(&self) -> Result<(), QueryError> {
        self.scope.check_time()
    }

    /// The hits by segment, with their places among all hits.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (&'a Segment, usize, &[Hit])> {
        let mut begin = 0;
        self.hits.chunk_by(|left, right| left.segment == right.segment).map(move |hits| {
            let place = begin;
            begin += hits.len();
            (&*self.snapshot.segments()[hits[0].segment()], place, hits)
        })
    }
}

/// The filters of a plan with their columns of one segment.
struct Filters<'a> {
    conditions: Vec<(&'a Condition, Reader<'a>)>,
    combination: Combination,
}

impl<'a> Filters<'a> {
    fn open(plan: &'a Plan, segment: &'a Segment) -> Filters<'a> {
        let open = |condition: &'a Condition| (condition, segment.reader(&condition.column));
        Filters { conditions: plan.conditions.iter().map(open).collect(), combination: plan.combination }
    }

    fn match_at(&self, position: usize) -> bool {
        let mut matches =
            self.conditions.iter().map(|(condition, reader)| condition.matches(&reader.value(position)));
        match self.combination {
            Combination::And => matches.all(|matches| matches),
            Combination::Or => self.conditions.is_empty() || matches.any(|matches| matches),
        }
    }
}
