//! Calculations: take the hits of a scan, sorted into slots, give one value per slot.
//!
//! A slot is a group, a bucket of a group's time series, or everything. One calculation is made at a time, so that the
//! values it must remember (for percentiles and distinct counts: one per event) are remembered once. The sample rate
//! weighs counts, sums, means and percentiles; a smallest, a greatest and the distinct values are what they are.

use std::collections::HashSet;

use super::QueryError;
use super::request::{Calculation, Op};
use super::scalar::{Scalar, Value};
use super::scan::Scan;

/// The slot of a hit that is in none.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// What a slot has taken in.
#[derive(Clone)]
enum Accumulator<'a> {
    Count(u64),
    Sum(Sum),
    Avg(Sum),
    Min(Value),
    Max(Value),
    CountDistinct(HashSet<Scalar<'a>>),
    Percentile {
        thousandths: u16,
        values: Vec<(Value, u64)>,
    },
    /// A heatmap is drawn of the whole result and has no value in a slot.
    Heatmap,
}

/// A weighted sum: exact as long as all values are integers.
#[derive(Clone, Default)]
struct Sum {
    integers: i128,
    floats: f64,
    has_floats: bool,
    weight: u64,
}

impl Sum {
    fn add(&mut self, value: &Value, weight: u64) {
        match value {
            Scalar::Int(integer) => {
                let weighed = i128::from(*integer).saturating_mul(i128::from(weight));
                self.integers = self.integers.saturating_add(weighed);
            }
            Scalar::Float(float) => {
                self.floats += float * weight as f64;
                self.has_floats = true;
            }
            Scalar::Null | Scalar::Bool(_) | Scalar::Text(_) => return,
        }
        self.weight = self.weight.saturating_add(weight);
    }

    fn as_float(&self) -> f64 {
        self.integers as f64 + self.floats
    }

    fn total(&self) -> Value {
        match i64::try_from(self.integers) {
            _ if self.weight == 0 => Scalar::Null,
            Ok(integer) if !self.has_floats => Scalar::Int(integer),
            _ => Scalar::from_float(self.as_float()),
        }
    }

    fn mean(&self) -> Value {
        if self.weight == 0 { Scalar::Null } else { Scalar::from_float(self.as_float() / self.weight as f64) }
    }
}

impl<'a> Accumulator<'a> {
    fn new(op: Op) -> Accumulator<'a> {
        match op {
            Op::Count => Accumulator::Count(0),
            Op::Sum => Accumulator::Sum(Sum::default()),
            Op::Avg => Accumulator::Avg(Sum::default()),
            Op::Min => Accumulator::Min(Scalar::Null),
            Op::Max => Accumulator::Max(Scalar::Null),
            Op::CountDistinct => Accumulator::CountDistinct(HashSet::new()),
            Op::Percentile(thousandths) => Accumulator::Percentile { thousandths, values: Vec::new() },
            Op::Heatmap => Accumulator::Heatmap,
        }
    }

    fn add(&mut self, value: Scalar<'a>, weight: u64) {
        match self {
            Accumulator::Count(count) => *count = count.saturating_add(weight),
            Accumulator::CountDistinct(values) if value != Scalar::Null => {
                values.insert(value);
            }
            _ if value.is_number() => self.add_number(value.into_value(), weight),
            _ => {}
        }
    }

    fn add_number(&mut self, number: Value, weight: u64) {
        match self {
            Accumulator::Sum(sum) | Accumulator::Avg(sum) => sum.add(&number, weight),
            Accumulator::Min(least) => {
                if *least == Scalar::Null || number < *least {
                    *least = number;
                }
            }
            // Null is less than any number.
            Accumulator::Max(greatest) => {
                if number > *greatest {
                    *greatest = number;
                }
            }
            Accumulator::Percentile { values, .. } => values.push((number, weight)),
            Accumulator::Count(_) | Accumulator::CountDistinct(_) | Accumulator::Heatmap => {}
        }
    }

    fn finish(self) -> Value {
        match self {
            Accumulator::Count(count) => Scalar::Int(i64::try_from(count).unwrap_or(i64::MAX)),
            Accumulator::Sum(sum) => sum.total(),
            Accumulator::Avg(sum) => sum.mean(),
            Accumulator::Min(value) | Accumulator::Max(value) => value,
            Accumulator::CountDistinct(values) => {
                Scalar::Int(i64::try_from(values.len()).unwrap_or(i64::MAX))
            }
            Accumulator::Percentile { thousandths, values } => percentile(values, thousandths),
            Accumulator::Heatmap => Scalar::Null,
        }
    }
}

/// The nearest rank: the smallest value at or below which this share of the weight lies.
fn percentile(mut values: Vec<(Value, u64)>, thousandths: u16) -> Value {
    let Some(&(_, first)) = values.first() else { return Scalar::Null };
    if values.iter().all(|&(_, weight)| weight == first) {
        // Values that weigh the same, which is the rule, need not be sorted to find one of them by its place.
        let rank = (values.len() * usize::from(thousandths)).div_ceil(1_000).max(1);
        let (_, (value, _), _) =
            values.select_nth_unstable_by(rank - 1, |(left, _), (right, _)| left.cmp(right));
        return value.clone();
    }
    values.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    let weight: u128 = values.iter().map(|&(_, weight)| u128::from(weight)).sum();
    let mut passed = 0_u128;
    for (value, weight_here) in values {
        passed += u128::from(weight_here);
        if passed * 1_000 >= weight * u128::from(thousandths) {
            return value;
        }
    }
    Scalar::Null
}

/// Makes one calculation over the hits of a scan: `slots` has the slot of each, below `count` or [`NO_SLOT`].
pub(super) fn calculate(
    scan: &Scan<'_>,
    calculation: &Calculation,
    slots: &[u32],
    count: usize,
) -> Result<Vec<Value>, QueryError> {
    let mut accumulators = vec![Accumulator::new(calculation.op); count];
    if calculation.op != Op::Heatmap {
        for (segment, place, hits) in scan.segments() {
            scan.check_time()?;
            let reader = calculation.column.as_ref().map(|column| segment.reader(column));
            for (hit, &slot) in hits.iter().zip(&slots[place..]) {
                if slot == NO_SLOT {
                    continue;
                }
                let value = reader.as_ref().map_or(Scalar::Null, |reader| reader.value(hit.position()));
                let weight = segment.records[hit.position()].samplerate;
                accumulators[slot as usize].add(value, weight);
            }
        }
    }
    Ok(accumulators.into_iter().map(Accumulator::finish).collect())
}
