//! Ranks: take groups with their values, give those that the query wants to see, in its order.
//!
//! A value that is not there comes last, whichever the direction. Groups that are otherwise equal come in the order of
//! their keys, so that a result has one order only.

use std::cmp::Ordering;

use super::plan::{Plan, SortKey};
use super::request::Direction;
use super::scalar::{Scalar, Value};

/// The groups that the havings let pass, the first ones up to the limit. `columns` has the values by calculation, then
/// by group.
pub(super) fn rank(plan: &Plan, keys: &[Vec<Scalar<'_>>], columns: &[Vec<Value>]) -> Vec<u32> {
    let passes = |group: &u32| {
        let value = |place: usize| &columns[place][*group as usize];
        plan.havings.iter().all(|(place, op, wanted)| op.holds(value(*place), wanted))
    };
    let compare = |left: &u32, right: &u32| {
        let (left, right) = (*left as usize, *right as usize);
        let by_orders = plan.orders.iter().map(|&(key, direction)| match key {
            SortKey::Breakdown(place) => directed(&keys[left][place], &keys[right][place], direction),
            SortKey::Calculation(place) => directed(&columns[place][left], &columns[place][right], direction),
        });
        by_orders.fold(Ordering::Equal, Ordering::then).then_with(|| keys[left].cmp(&keys[right]))
    };
    let mut ranked: Vec<u32> = (0..keys.len() as u32).filter(passes).collect();
    ranked.sort_unstable_by(compare);
    ranked.truncate(plan.limit);
    ranked
}

fn directed(left: &Scalar<'_>, right: &Scalar<'_>, direction: Direction) -> Ordering {
    let is_missing = |value: &Scalar<'_>| *value == Scalar::Null;
    is_missing(left).cmp(&is_missing(right)).then_with(|| match direction {
        Direction::Ascending => left.cmp(right),
        Direction::Descending => right.cmp(left),
    })
}
