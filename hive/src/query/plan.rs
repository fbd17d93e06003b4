//! Plans: take a query and the time of day, give what there is to do, or what is wrong with the query.
//!
//! Everything a query could cost too much by has its bound here. Where an error concerns a value, it names the field and
//! the value.

use jiff::Timestamp;
use serde::Serialize;

use super::QueryError;
use super::filter::Condition;
use super::request::{Calculation, Combination, Direction, HavingOp, Op, Order, Query};
use super::scalar::{Scalar, Value};
use crate::limits::{
    BREAKDOWNS_MAX, BUCKETS_MAX, CALCULATIONS_MAX, COLUMN_CHARS_MAX, FILTERS_MAX, RESULTS_DEFAULT,
    RESULTS_MAX, TIME_RANGE_DEFAULT,
};

/// Steps of a time axis that people can read, in seconds.
const STEPS: [i64; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400,
    172_800, 604_800,
];

/// Most buckets of a time axis whose step was not asked for.
const BUCKETS_CHOSEN: i64 = 120;

/// The last second that can be written as a time, shortly before the year 10000.
pub(super) const SECONDS_MAX: i64 = 253_402_207_200;

/// What a query comes to.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) breakdowns: Vec<String>,
    /// At least one.
    pub(crate) calculations: Vec<Calculation>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) combination: Combination,
    /// What to sort groups by, the most important first.
    pub(crate) orders: Vec<(SortKey, Direction)>,
    /// Calculations by their place, and what must hold of them.
    pub(crate) havings: Vec<(usize, HavingOp, Value)>,
    pub(crate) limit: usize,
    pub(crate) axis: Axis,
}

/// A breakdown or a calculation, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortKey {
    Breakdown(usize),
    Calculation(usize),
}

/// The range of time of a query, cut into buckets that begin at multiples of their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Axis {
    /// Unix seconds.
    pub(crate) start: i64,
    /// Unix seconds, not included.
    pub(crate) end: i64,
    /// Seconds of a bucket.
    pub(crate) granularity: i64,
}

impl Axis {
    /// All times there are, in one bucket.
    pub(super) const ALWAYS: Axis = Axis { start: 0, end: SECONDS_MAX, granularity: SECONDS_MAX };

    pub(crate) fn contains(&self, time: Timestamp) -> bool {
        // No time before 1970 is in a range, so the whole seconds are rounded down.
        time >= Timestamp::UNIX_EPOCH && (self.start..self.end).contains(&time.as_second())
    }

    /// The bucket of a time of the range.
    pub(crate) fn bucket(&self, time: Timestamp) -> usize {
        usize::try_from((time.as_second() - self.bucket_start(0)) / self.granularity).unwrap_or(0)
    }

    /// Where a bucket begins, in Unix seconds: the first one may do so before the range.
    pub(crate) fn bucket_start(&self, bucket: usize) -> i64 {
        (self.start / self.granularity + i64::try_from(bucket).unwrap_or(0)) * self.granularity
    }

    /// How many buckets there are.
    pub(crate) fn buckets(&self) -> usize {
        let seconds = self.end - self.bucket_start(0);
        usize::try_from(seconds.cast_unsigned().div_ceil(self.granularity.cast_unsigned())).unwrap_or(0)
    }
}

impl Plan {
    pub(crate) fn new(query: &Query, now: Timestamp) -> Result<Plan, QueryError> {
        check_counts(query)?;
        let mut calculations = query.calculations.clone();
        if calculations.is_empty() {
            calculations.push(Calculation { op: Op::Count, column: None });
        }
        for (index, calculation) in calculations.iter().enumerate() {
            check_calculation(calculation).map_err(|error| error.at(format!("calculations[{index}]")))?;
        }
        let conditions = query.filters.iter().enumerate().map(|(index, filter)| {
            Condition::new(filter).map_err(|error| error.at(format!("filters[{index}]")))
        });
        let havings = query.havings.iter().enumerate().map(|(index, having)| {
            let asked = Calculation { op: having.calculate_op, column: having.column.clone() };
            let place =
                place_of(&asked, &calculations).map_err(|error| error.at(format!("havings[{index}]")))?;
            let value = Scalar::from_json(having.value.clone().into());
            Ok((place, having.op, value))
        });
        let orders = query.orders.iter().enumerate().map(|(index, order)| {
            let key = sort_key(order, &query.breakdowns, &calculations)
                .map_err(|error| error.at(format!("orders[{index}]")))?;
            Ok((key, order.order))
        });
        let mut orders: Vec<_> = orders.collect::<Result<_, QueryError>>()?;
        let sortable = calculations.iter().position(|calculation| calculation.op != Op::Heatmap);
        if let (true, Some(first)) = (orders.is_empty(), sortable) {
            orders.push((SortKey::Calculation(first), Direction::Descending));
        }
        Ok(Plan {
            breakdowns: query.breakdowns.clone(),
            conditions: conditions.collect::<Result<_, _>>()?,
            combination: query.filter_combination,
            orders,
            havings: havings.collect::<Result<_, QueryError>>()?,
            calculations,
            limit: query.limit.unwrap_or(RESULTS_DEFAULT),
            axis: axis(query, now)?,
        })
    }
}

fn check_counts(query: &Query) -> Result<(), QueryError> {
    for (field, count, most) in [
        ("breakdowns", query.breakdowns.len(), BREAKDOWNS_MAX),
        ("calculations", query.calculations.len(), CALCULATIONS_MAX),
        ("filters", query.filters.len(), FILTERS_MAX),
        ("orders", query.orders.len(), BREAKDOWNS_MAX + CALCULATIONS_MAX),
        ("havings", query.havings.len(), CALCULATIONS_MAX),
    ] {
        if count > most {
            return Err(QueryError(format!("{field}: there are {count}, and at most {most} may be")));
        }
    }
    for (index, column) in query.breakdowns.iter().enumerate() {
        check_column(column).map_err(|error| error.at(format!("breakdowns[{index}]")))?;
    }
    match query.limit {
        Some(limit) if !(1..=RESULTS_MAX).contains(&limit) => {
            Err(QueryError(format!("limit: {limit} is not from 1 to {RESULTS_MAX}")))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_column(column: &str) -> Result<(), QueryError> {
    if column.is_empty() {
        return Err(QueryError("the name of the column is empty".to_owned()));
    }
    if column.chars().count() > COLUMN_CHARS_MAX {
        return Err(QueryError(format!(
            "the name of the column is longer than {COLUMN_CHARS_MAX} characters"
        )));
    }
    Ok(())
}

fn check_calculation(calculation: &Calculation) -> Result<(), QueryError> {
    match (&calculation.op, &calculation.column) {
        (Op::Count, None) => Ok(()),
        (Op::Count, Some(column)) => {
            Err(QueryError(format!("COUNT takes no column, and this one has {column:?}")))
        }
        (op, None) => Err(QueryError(format!("{} needs a column", op.name()))),
        (_, Some(column)) => check_column(column),
    }
}

fn place_of(asked: &Calculation, calculations: &[Calculation]) -> Result<usize, QueryError> {
    if asked.op == Op::Heatmap {
        return Err(QueryError("HEATMAP has no value to compare".to_owned()));
    }
    let place = calculations.iter().position(|calculation| calculation == asked);
    place.ok_or_else(|| QueryError(format!("{asked} is not among the calculations")))
}

fn sort_key(
    order: &Order,
    breakdowns: &[String],
    calculations: &[Calculation],
) -> Result<SortKey, QueryError> {
    let (op, column) = match (order.op, &order.column) {
        (Some(op), column) => (op, column.clone()),
        (None, Some(column)) => {
            let place = breakdowns.iter().position(|breakdown| breakdown == column);
            let missing = || QueryError(format!("{column:?} is not among the breakdowns"));
            return place.map(SortKey::Breakdown).ok_or_else(missing);
        }
        (None, None) => return Err(QueryError("there is neither a column nor an op".to_owned())),
    };
    place_of(&Calculation { op, column }, calculations).map(SortKey::Calculation)
}

/// The range and its buckets. A range up to now includes the second that has begun.
pub(crate) fn axis(query: &Query, now: Timestamp) -> Result<Axis, QueryError> {
    for (field, value, least) in [
        ("start_time", query.start_time, 0),
        ("end_time", query.end_time, 0),
        ("time_range", query.time_range, 1),
        ("granularity", query.granularity, 1),
    ] {
        if let Some(value) = value.filter(|value| !(least..=SECONDS_MAX).contains(value)) {
            return Err(QueryError(format!("{field}: {value} is not from {least} to {SECONDS_MAX} seconds")));
        }
    }
    let range = query.time_range.unwrap_or(TIME_RANGE_DEFAULT);
    let (start, end) = match (query.start_time, query.end_time, query.time_range) {
        (Some(_), Some(_), Some(range)) => {
            return Err(QueryError(format!(
                "time_range: {range} is one too many beside start_time and end_time"
            )));
        }
        (Some(start), Some(end), None) => (start, end),
        (Some(start), None, _) => (start, start + range),
        (None, Some(end), _) => (end - range, end),
        (None, None, _) => (now.as_second() + 1 - range, now.as_second() + 1),
    };
    let (start, end) = (start.max(0), end.min(SECONDS_MAX));
    if start >= end {
        return Err(QueryError(format!("end_time: {end} is not after the start_time {start}")));
    }
    let seconds = end - start;
    let granularity = match query.granularity {
        None => granularity(seconds),
        Some(asked) if asked > seconds || seconds / asked > BUCKETS_MAX => {
            let finest = seconds.cast_unsigned().div_ceil(BUCKETS_MAX.cast_unsigned());
            return Err(QueryError(format!(
                "granularity: {asked} is not from {finest} to {seconds}: a range of {seconds} seconds is cut \
                 into 1 to {BUCKETS_MAX} buckets"
            )));
        }
        Some(asked) => asked,
    };
    Ok(Axis { start, end, granularity })
}

/// The finest step that leaves the axis readable.
fn granularity(seconds: i64) -> i64 {
    let step = STEPS.into_iter().find(|step| seconds / step <= BUCKETS_CHOSEN);
    step.unwrap_or(seconds / BUCKETS_CHOSEN + 1)
}
