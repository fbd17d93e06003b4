//! The oracle: answers queries the slow and plain way, to compare the engine with.
//!
//! Takes events as parsed JSON, gives groups, totals and series. It shares with the engine the types of questions and
//! answers and nothing else: it knows no segments, cells, slots or plans.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::super::request::{Calculation, Combination, Direction, Filter, FilterOp, HavingOp, Op, Query};

/// An event of the oracle.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) dataset: usize,
    /// Unix seconds.
    pub(super) second: i64,
    pub(super) samplerate: u64,
    pub(super) data: Map<String, Json>,
}

/// Values by calculation; buckets by where they begin.
#[derive(Debug, PartialEq)]
pub(super) struct ToldGroup {
    pub(super) key: Vec<Json>,
    pub(super) values: Vec<Json>,
    pub(super) series: Vec<(i64, Vec<Json>)>,
}

/// A value as a column has it: floats without fraction are integers, nested values their text.
fn column(event: &Told, name: &str) -> Json {
    match event.data.get(name) {
        None => Json::Null,
        Some(Json::Number(number)) => match number.as_i64() {
            Some(integer) => json!(integer),
            None => from_float(number.as_f64().unwrap()),
        },
        Some(nested @ (Json::Array(_) | Json::Object(_))) => json!(nested.to_string()),
        Some(value) => value.clone(),
    }
}

fn from_float(float: f64) -> Json {
    if float.fract() == 0.0 && float.abs() < 9e18 { json!(float as i64) } else { json!(float) }
}

fn rank(value: &Json) -> u8 {
    match value {
        Json::Null => 0,
        Json::Bool(_) => 1,
        Json::Number(_) => 2,
        _ => 3,
    }
}

/// Numbers of the tests are small integers, eighths, or integers about 2⁵³, so a float is compared with care only where
/// it has a fraction.
fn compare(left: &Json, right: &Json) -> Ordering {
    match (left, right) {
        (Json::Bool(left), Json::Bool(right)) => left.cmp(right),
        (Json::Number(left), Json::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => left.as_f64().unwrap().partial_cmp(&right.as_f64().unwrap()).unwrap(),
        },
        (Json::String(left), Json::String(right)) => left.cmp(right),
        _ => rank(left).cmp(&rank(right)),
    }
}

/// How an event's value compares to a filter's, as the type of the event's.
fn compare_to_filter(value: &Json, wanted: &Json) -> Option<Ordering> {
    let wanted_text = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
    match value {
        Json::Null => None,
        Json::Bool(bool) => wanted_text.trim().parse::<bool>().ok().map(|wanted| bool.cmp(&wanted)),
        Json::Number(_) => {
            let wanted = wanted_text.trim();
            let wanted = match wanted.parse::<i64>() {
                Ok(integer) => json!(integer),
                Err(_) => from_float(wanted.parse().ok()?),
            };
            Some(compare(value, &wanted))
        }
        Json::String(text) => Some(text.as_str().cmp(&wanted_text)),
        _ => unreachable!("columns have no nested values"),
    }
}

fn matches(event: &Told, filter: &Filter) -> bool {
    let value = column(event, &filter.column);
    let ordering = compare_to_filter(&value, &filter.value);
    let text = match &value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let wanted = filter.value.as_str().map_or_else(|| filter.value.to_string(), str::to_owned);
    let listed = match &filter.value {
        Json::Array(values) => values.clone(),
        Json::String(text) => text.split(',').map(|part| json!(part.trim())).collect(),
        other => vec![other.clone()],
    };
    let is_in = listed.iter().any(|one| compare_to_filter(&value, one) == Some(Ordering::Equal));
    match filter.op {
        FilterOp::Equal => ordering == Some(Ordering::Equal),
        FilterOp::NotEqual => ordering != Some(Ordering::Equal),
        FilterOp::Greater => ordering == Some(Ordering::Greater),
        FilterOp::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        FilterOp::Less => ordering == Some(Ordering::Less),
        FilterOp::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        FilterOp::StartsWith => text.is_some_and(|text| text.starts_with(&wanted)),
        FilterOp::DoesNotStartWith => !text.is_some_and(|text| text.starts_with(&wanted)),
        FilterOp::EndsWith => text.is_some_and(|text| text.ends_with(&wanted)),
        FilterOp::DoesNotEndWith => !text.is_some_and(|text| text.ends_with(&wanted)),
        FilterOp::Contains => text.is_some_and(|text| text.contains(&wanted)),
        FilterOp::DoesNotContain => !text.is_some_and(|text| text.contains(&wanted)),
        FilterOp::Exists => !value.is_null(),
        FilterOp::DoesNotExist => value.is_null(),
        FilterOp::In => is_in,
        FilterOp::NotIn => !is_in,
    }
}

fn calculate(calculation: &Calculation, events: &[&Told]) -> Json {
    let name = calculation.column.as_deref().unwrap_or_default();
    let mut numbers: Vec<(Json, u64)> = events
        .iter()
        .map(|event| (column(event, name), event.samplerate))
        .filter(|(value, _)| value.is_number())
        .collect();
    let weight: u64 = numbers.iter().map(|(_, weight)| weight).sum();
    let integers: i128 = numbers
        .iter()
        .filter_map(|(value, weight)| Some(i128::from(value.as_i64()?) * i128::from(*weight)))
        .sum();
    let floats: f64 = numbers
        .iter()
        .filter(|(value, _)| value.as_i64().is_none())
        .map(|(value, weight)| value.as_f64().unwrap() * *weight as f64)
        .sum();
    match calculation.op {
        Op::Count => json!(events.iter().map(|event| event.samplerate).sum::<u64>()),
        Op::CountDistinct => {
            let mut values: Vec<_> =
                events.iter().map(|event| column(event, name)).filter(|value| !value.is_null()).collect();
            values.sort_by(compare);
            values.dedup_by(|left, right| compare(left, right) == Ordering::Equal);
            json!(values.len())
        }
        Op::Heatmap => Json::Null,
        _ if numbers.is_empty() => Json::Null,
        Op::Sum if numbers.iter().all(|(value, _)| value.is_i64()) => json!(integers as i64),
        Op::Sum => from_float(integers as f64 + floats),
        Op::Avg => from_float((integers as f64 + floats) / weight as f64),
        Op::Min | Op::Max | Op::Percentile(_) => {
            numbers.sort_by(|(left, _), (right, _)| compare(left, right));
            let rank = match calculation.op {
                Op::Min => 1,
                Op::Max => weight,
                Op::Percentile(thousandths) => (weight * u64::from(thousandths)).div_ceil(1_000),
                _ => unreachable!("matched above"),
            };
            let spread = numbers.iter().flat_map(|(value, weight)| (0..*weight).map(move |_| value));
            spread.take(rank.max(1) as usize).last().unwrap().clone()
        }
    }
}

fn missing_last(left: &Json, right: &Json, direction: Direction) -> Ordering {
    match (left.is_null(), right.is_null()) {
        (false, false) if direction == Direction::Descending => compare(right, left),
        (false, false) => compare(left, right),
        (left, right) => left.cmp(&right),
    }
}

/// The events that match a query. `None` asks all datasets.
fn choose<'a>(events: &'a [Told], dataset: Option<usize>, query: &Query) -> Vec<&'a Told> {
    let range = query.start_time.unwrap()..query.end_time.unwrap();
    let chosen = events.iter().filter(|event| {
        let mut filters = query.filters.iter().map(|filter| matches(event, filter));
        let passes = match query.filter_combination {
            Combination::And => filters.all(|holds| holds),
            Combination::Or => query.filters.is_empty() || filters.any(|holds| holds),
        };
        passes && dataset.is_none_or(|wanted| wanted == event.dataset) && range.contains(&event.second)
    });
    chosen.collect()
}

/// The place of a calculation in a query.
fn place(query: &Query, op: Op, column: Option<&String>) -> usize {
    query.calculations.iter().position(|one| one.op == op && one.column.as_ref() == column).unwrap()
}

fn passes_havings(query: &Query, group: &ToldGroup) -> bool {
    query.havings.iter().all(|having| {
        let value = &group.values[place(query, having.calculate_op, having.column.as_ref())];
        let ordering = compare(value, &Json::Number(having.value.clone()));
        value.is_number()
            && match having.op {
                HavingOp::Equal => ordering.is_eq(),
                HavingOp::NotEqual => ordering.is_ne(),
                HavingOp::Greater => ordering.is_gt(),
                HavingOp::GreaterOrEqual => ordering.is_ge(),
                HavingOp::Less => ordering.is_lt(),
                HavingOp::LessOrEqual => ordering.is_le(),
            }
    })
}

fn order(query: &Query, left: &ToldGroup, right: &ToldGroup) -> Ordering {
    for order in &query.orders {
        let (left, right) = match order.op {
            None => {
                let wanted = order.column.as_ref().unwrap();
                let place = query.breakdowns.iter().position(|name| name == wanted).unwrap();
                (&left.key[place], &right.key[place])
            }
            Some(op) => {
                let place = place(query, op, order.column.as_ref());
                (&left.values[place], &right.values[place])
            }
        };
        let ordering = missing_last(left, right, order.order);
        if ordering.is_ne() {
            return ordering;
        }
    }
    let mut keys = left.key.iter().zip(&right.key).map(|(left, right)| compare(left, right));
    keys.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

/// The groups of a query and its totals.
pub(super) fn answer(events: &[Told], dataset: Option<usize>, query: &Query) -> (Vec<ToldGroup>, Vec<Json>) {
    let chosen = choose(events, dataset, query);
    let granularity = query.granularity.unwrap();
    let all = |events: &[&Told]| -> Vec<Json> {
        query.calculations.iter().map(|calculation| calculate(calculation, events)).collect()
    };
    let mut groups: Vec<(Vec<Json>, Vec<&Told>)> = Vec::new();
    if query.breakdowns.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    for event in &chosen {
        let key: Vec<Json> = query.breakdowns.iter().map(|name| column(event, name)).collect();
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, events)) => events.push(event),
            None => groups.push((key, vec![event])),
        }
    }
    let with_series = groups.into_iter().map(|(key, events)| {
        let mut buckets: BTreeMap<i64, Vec<&Told>> = BTreeMap::new();
        for event in &events {
            buckets.entry(event.second.div_euclid(granularity) * granularity).or_default().push(event);
        }
        let series = buckets.into_iter().map(|(start, events)| (start, all(&events))).collect();
        ToldGroup { key, values: all(&events), series }
    });
    let mut groups: Vec<ToldGroup> = with_series.filter(|group| passes_havings(query, group)).collect();
    groups.sort_by(|left, right| order(query, left, right));
    groups.truncate(query.limit.unwrap());
    (groups, all(&chosen))
}
