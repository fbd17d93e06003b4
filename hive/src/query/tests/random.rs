//! Random events and queries: the engine answers as the oracle does, with events dropped before the snapshot and coming
//! after it.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value as Json, json};

use super::super::outcome::Outcome;
use super::super::request::{
    Calculation, Combination, Direction, Filter, FilterOp, Having, HavingOp, Op, Order, Query,
};
use super::super::{Scalar, answer};
use super::oracle::{self, Told, ToldGroup};
use super::{START, scope, store_event};
use crate::store::Store;

/// Names of fields, of which some need escapes in JSON and one is never there.
const NAMES: [&str; 6] = ["a", "b", "c", "na\"me\n", "ü", "never"];

/// A value; all numbers are such that sums of a few hundred are exact in floats.
fn value() -> impl Strategy<Value = Json> {
    prop_oneof![
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
        4 => (-3_i64..12).prop_map(Json::from),
        3 => (-16_i32..64).prop_map(|eighths| json!(f64::from(eighths) / 8.0)),
        1 => select(vec![9_007_199_254_740_992_i64, 9_007_199_254_740_993]).prop_map(Json::from),
        4 => select(vec!["", "1", "x", "xy", "yx", "a\"b\\c\n", "ü", "true", "2.5"]).prop_map(Json::from),
        1 => select(vec![json!([1, "x"]), json!({ "x": { "y": null } })]),
    ]
}

/// The fields of an event: as they are written, and as they are to be read.
fn fields() -> impl Strategy<Value = (String, Map<String, Json>)> {
    prop::collection::vec((0..NAMES.len() - 1, value(), any::<bool>()), 1..8).prop_map(|fields| {
        let mut text = String::from("{ ");
        let mut map = Map::new();
        for (index, (name, value, is_spaced)) in fields.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let space = if is_spaced { " \n" } else { "" };
            text += &format!("{comma}{space}{}{space}:{space}{value}{space}", json!(NAMES[name]));
            map.insert(NAMES[name].to_owned(), value);
        }
        (text + "}", map)
    })
}

fn events() -> impl Strategy<Value = Vec<(String, Told)>> {
    let event = (0_usize..2, 0_i64..120, 1_u64..4, fields());
    let event = event.prop_map(|(dataset, second, samplerate, (text, data))| {
        (text, Told { dataset, second: START + second, samplerate, data })
    });
    // Often all weigh the same, which is a case of its own for percentiles.
    (prop::collection::vec(event, 0..80), any::<bool>()).prop_map(|(mut events, is_sampled)| {
        for (_, event) in &mut events {
            event.samplerate = if is_sampled { event.samplerate } else { 2 };
        }
        events
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let ops = [
        FilterOp::Equal,
        FilterOp::NotEqual,
        FilterOp::Greater,
        FilterOp::GreaterOrEqual,
        FilterOp::Less,
        FilterOp::LessOrEqual,
        FilterOp::StartsWith,
        FilterOp::DoesNotStartWith,
        FilterOp::EndsWith,
        FilterOp::DoesNotEndWith,
        FilterOp::Contains,
        FilterOp::DoesNotContain,
        FilterOp::Exists,
        FilterOp::DoesNotExist,
        FilterOp::In,
        FilterOp::NotIn,
    ];
    let plain = || {
        let is_plain = |value: &Json| !value.is_null() && !value.is_array() && !value.is_object();
        value().prop_filter("a filter has a plain value", is_plain)
    };
    let values = prop_oneof![prop::collection::vec(plain(), 1..4).prop_map(Json::from), plain()];
    let wide = select(vec!["1, 2.5,x", "0.5", " 3 "]).prop_map(Json::from);
    (select(NAMES.to_vec()), select(ops.to_vec()), plain(), values, wide, prop::bool::weighted(0.2)).prop_map(
        |(column, op, plain, values, wide, is_wide)| {
            let value = match op {
                _ if is_wide => wide,
                FilterOp::In | FilterOp::NotIn => values,
                _ => plain,
            };
            Filter { column: column.to_owned(), op, value }
        },
    )
}

fn calculation() -> impl Strategy<Value = Calculation> {
    let ops: Vec<Op> = Op::all().map(|(_, op)| op).filter(|&op| op != Op::Heatmap).collect();
    (select(ops), select(NAMES.to_vec()))
        .prop_map(|(op, column)| Calculation { op, column: (op != Op::Count).then(|| column.to_owned()) })
}

fn having() -> impl Strategy<Value = (HavingOp, i64)> {
    let ops = [
        HavingOp::Equal,
        HavingOp::NotEqual,
        HavingOp::Greater,
        HavingOp::GreaterOrEqual,
        HavingOp::Less,
        HavingOp::LessOrEqual,
    ];
    (select(ops.to_vec()), -1_i64..8)
}

fn query() -> impl Strategy<Value = Query> {
    let shape = (subsequence(NAMES.to_vec(), 0..3), prop::collection::vec(calculation(), 1..5));
    let filters = (prop::collection::vec(filter(), 0..4), any::<bool>());
    let ranking = (prop::option::weighted(0.3, having()), any::<[bool; 3]>(), any::<bool>(), 1_usize..6);
    let times = (0_i64..60, 10_i64..80, select(vec![1_i64, 7, 10]));
    (shape, filters, ranking, times).prop_map(|((breakdowns, calculations), filters, ranking, times)| {
        let direction = |is_up: bool| if is_up { Direction::Ascending } else { Direction::Descending };
        let (having, directions, by_key_first, limit) = ranking;
        let by_key = breakdowns.first().map(|name| Order {
            column: Some((*name).to_owned()),
            op: None,
            order: direction(directions[0]),
        });
        let by_value = calculations.iter().zip(&directions[1..]).map(|(calculation, &is_up)| Order {
            column: calculation.column.clone(),
            op: Some(calculation.op),
            order: direction(is_up),
        });
        let mut orders: Vec<Order> = by_key.into_iter().chain(by_value).collect();
        if !by_key_first {
            orders.reverse();
        }
        let havings = having.into_iter().map(|(op, value)| Having {
            calculate_op: calculations[0].op,
            column: calculations[0].column.clone(),
            op,
            value: value.into(),
        });
        Query {
            breakdowns: breakdowns.into_iter().map(str::to_owned).collect(),
            havings: havings.collect(),
            filters: filters.0,
            filter_combination: if filters.1 { Combination::Or } else { Combination::And },
            granularity: Some(times.2),
            orders,
            limit: Some(limit),
            start_time: Some(START + times.0),
            end_time: Some(START + times.0 + times.1),
            time_range: None,
            calculations,
        }
    })
}

fn told(outcome: &Outcome) -> (Vec<ToldGroup>, Vec<Json>) {
    let jsons = |values: &[Scalar<'_>]| values.iter().map(|value| json!(value)).collect::<Vec<_>>();
    let groups = outcome.groups.iter().map(|group| ToldGroup {
        key: jsons(&group.key),
        values: jsons(&group.values),
        series: group
            .series
            .iter()
            .map(|point| (outcome.axis.bucket_start(point.bucket), jsons(&point.values)))
            .collect(),
    });
    (groups.collect(), jsons(&outcome.totals))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_the_oracle(
        events in events(),
        query in query(),
        kept in 1_usize..100,
        dataset in prop::option::of(0_usize..2),
    ) {
        let mut store = Store::new(kept, usize::MAX);
        let names = ["one", "Two"];
        for name in names {
            store.dataset_id(name);
        }
        for (text, event) in &events {
            store_event(&mut store, names[event.dataset], event.second, event.samplerate, text);
        }
        // Events that come after the snapshot, and push others out, play no part.
        let snapshot = store.snapshot();
        for (text, event) in events.iter().take(10) {
            store_event(&mut store, names[event.dataset], event.second, event.samplerate, text);
        }
        let id = dataset.and_then(|dataset| snapshot.dataset_id(names[dataset]));
        let outcome = answer(&snapshot, scope(id), &query, Timestamp::now(), true).unwrap();

        let kept: Vec<Told> =
            events[events.len().saturating_sub(kept)..].iter().map(|(_, event)| event.clone()).collect();
        prop_assert_eq!(told(&outcome), oracle::answer(&kept, dataset, &query), "{:?}", query);
    }

    #[test]
    fn a_query_is_read_as_it_is_written(query in query()) {
        prop_assert_eq!(Query::from_json(json!(query)).unwrap(), query);
    }
}
