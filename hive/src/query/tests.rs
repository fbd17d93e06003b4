//! The engine as a whole: against the oracle over random events and queries, and the rules that have a number.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

use super::oracle::{self, Told, ToldGroup};
use super::request::{Calculation, Combination, Direction, Filter, FilterOp, Having, HavingOp, Op, Order};
use super::*;
use crate::event_time::EventTime;
use crate::limits::GROUPS_MAX;
use crate::store::Store;

/// Names of fields, of which some need escapes in JSON and one is never there.
const NAMES: [&str; 6] = ["a", "b", "c", "na\"me\n", "ü", "never"];

/// When the first event happens.
const START: i64 = 1_700_000_000;

fn store_event(store: &mut Store, dataset: &str, second: i64, samplerate: u64, data: &str) {
    let time = EventTime { text: "".into(), timestamp: Timestamp::from_second(second).unwrap() };
    let dataset = store.dataset_id(dataset).unwrap();
    store.insert(dataset, time, samplerate, RawValue::from_string(data.to_owned()).unwrap());
}

fn scope(dataset: Option<crate::store::DatasetId>) -> Scope {
    Scope { dataset, deadline: Instant::now() + QUERY_TIME_MAX }
}

fn ask_json(store: &Store, query: Json) -> Result<Outcome, String> {
    let query = Query::from_json(query).map_err(|error| error.0)?;
    let now = Timestamp::from_second(START + 3_600).unwrap();
    answer(&store.snapshot(), scope(None), &query, now, true).map_err(|error| error.0)
}

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
    (select(NAMES.to_vec()), select(ops.to_vec()), plain(), values, wide, any::<bool>()).prop_map(
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
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

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

#[test]
fn what_a_query_may_not_be_is_said() {
    let store = Store::new(1, usize::MAX);
    let long = "x".repeat(10_001);
    for (query, error) in [
        (json!({ "filter": [] }), "filter: unknown field `filter`, expected one of "),
        (json!({ "limit": "x" }), "limit: invalid type: string \"x\", expected usize"),
        (json!({ "limit": 1_001 }), "limit: 1001 is not from 1 to 1000"),
        (json!({ "breakdowns": [""] }), "breakdowns[0]: the name of the column is empty"),
        (json!({ "breakdowns": vec!["a"; 11] }), "breakdowns: there are 11, and at most 10 may be"),
        (
            json!({ "calculations": [{ "op": "RATE_AVG", "column": "a" }] }),
            "calculations[0].op: RATE_AVG is computed by",
        ),
        (
            json!({ "calculations": [{ "op": "CONCURRENCY" }] }),
            "calculations[0].op: CONCURRENCY is computed by Honeycomb",
        ),
        (
            json!({ "calculations": [{ "op": "MEDIAN" }] }),
            "calculations[0].op: \"MEDIAN\" is not an operation: COUNT, ",
        ),
        (json!({ "calculations": [{ "op": "P99" }] }), "calculations[0]: P99 needs a column"),
        (
            json!({ "calculations": [{ "op": "COUNT", "column": "a" }] }),
            "calculations[0]: COUNT takes no column, and this one has \"a\"",
        ),
        (
            json!({ "filters": [{ "column": "a", "op": "like", "value": 1 }] }),
            "filters[0].op: unknown variant `like`, expected one of `=`, `!=`, ",
        ),
        (json!({ "filters": [{ "column": "a", "op": "=" }] }), "filters[0]: value: there is none"),
        (
            json!({ "filters": [{ "column": "a", "op": ">", "value": [1] }] }),
            "filters[0]: value: [1] is not a text, a number or a boolean",
        ),
        (
            json!({ "filters": [{ "column": "a", "op": "in", "value": [] }] }),
            "filters[0]: value: the list is empty",
        ),
        (
            json!({ "filters": [{ "column": "a", "op": "in", "value": vec![0; 1_001] }] }),
            "filters[0]: value: there are more than 1000",
        ),
        (
            json!({ "filters": [{ "column": "a", "op": "=", "value": long }] }),
            "filters[0]: value: it is longer than 10000 bytes",
        ),
        (
            json!({ "filter_combination": "XOR" }),
            "filter_combination: unknown variant `XOR`, expected `AND` or `OR`",
        ),
        (json!({ "orders": [{ "column": "a" }] }), "orders[0]: \"a\" is not among the breakdowns"),
        (
            json!({ "orders": [{ "op": "MAX", "column": "a" }] }),
            "orders[0]: MAX(a) is not among the calculations",
        ),
        (json!({ "orders": [{}] }), "orders[0]: there is neither a column nor an op"),
        (
            json!({ "havings": [{ "calculate_op": "SUM", "column": "a", "op": ">", "value": 1 }] }),
            "havings[0]: SUM(a) is not among the calculations",
        ),
        (json!({ "time_range": 0 }), "time_range: 0 is not from 1 to "),
        (json!({ "start_time": 9, "end_time": 9 }), "end_time: 9 is not after the start_time 9"),
        (
            json!({ "start_time": 1, "end_time": 9, "time_range": 3 }),
            "time_range: 3 is one too many beside start_time and end_time",
        ),
        (
            json!({ "time_range": 7_200, "granularity": 7 }),
            "granularity: 7 is not from 8 to 7200: a range of 7200 seconds is cut into 1 to 1000 buckets",
        ),
        (json!({ "time_range": 60, "granularity": 61 }), "granularity: 61 is not from 1 to 60: "),
    ] {
        let refused = ask_json(&store, query.clone()).unwrap_err();
        assert!(refused.starts_with(error), "{query}: {refused}");
    }
}

#[test]
fn an_empty_query_counts_the_last_two_hours() {
    let mut store = Store::new(10, usize::MAX);
    for (second, samplerate) in
        [(START - 3_600, 1), (START - 3_599, 2), (START + 3_600, 3), (START + 3_601, 4)]
    {
        store_event(&mut store, "a", second, samplerate, "{}");
    }
    let outcome = ask_json(&store, json!({})).unwrap();
    assert_eq!(outcome.totals, [Scalar::Int(5)]);
    assert_eq!((outcome.matched, outcome.looked_at, outcome.groups_total), (2, 2, 1));
    assert_eq!((outcome.axis.granularity, outcome.axis.end - outcome.axis.start), (60, 7_200));
    let none = ask_json(&Store::new(1, usize::MAX), json!({})).unwrap();
    assert_eq!((none.groups.len(), &none.totals[..]), (1, &[Scalar::Int(0)][..]));
}

#[test]
fn a_time_axis_is_cut_at_readable_steps() {
    let store = Store::new(1, usize::MAX);
    for (range, granularity) in
        [(1, 1), (120, 1), (600, 5), (3_600, 30), (86_400, 900), (604_800, 7_200), (400_000_000, 3_333_334)]
    {
        let axis = ask_json(&store, json!({ "time_range": range })).unwrap().axis;
        assert_eq!(axis.granularity, granularity, "{range}");
        assert!(axis.buckets() <= 121, "{range}");
        assert!(axis.bucket_start(0) <= axis.start && axis.bucket_start(1) > axis.start, "{range}");
        assert!(axis.bucket_start(axis.buckets()) >= axis.end, "{range}");
    }
}

#[test]
fn integers_keep_all_their_digits() {
    let mut store = Store::new(10, usize::MAX);
    for n in [9_007_199_254_740_992_i64, 9_007_199_254_740_993] {
        store_event(&mut store, "a", START, 1, &format!(r#"{{"n":{n}}}"#));
    }
    let calculations = json!([{ "op": "MIN", "column": "n" }, { "op": "MAX", "column": "n" }, { "op": "SUM", "column": "n" }]);
    let query = json!({ "breakdowns": ["n"], "calculations": calculations, "orders": [{ "column": "n" }] });
    let outcome = ask_json(&store, query).unwrap();
    let keys: Vec<_> = outcome.groups.iter().map(|group| group.key[0].to_string()).collect();
    assert_eq!(keys, ["9007199254740992", "9007199254740993"]);
    let totals: Vec<_> = outcome.totals.iter().map(ToString::to_string).collect();
    assert_eq!(totals, ["9007199254740992", "9007199254740993", "18014398509481985"]);
    for (op, value, count) in
        [("=", json!(9_007_199_254_740_993_i64), 1), ("<", json!("9007199254740993"), 1)]
    {
        let outcome = ask_json(&store, json!({ "filters": [{ "column": "n", "op": op, "value": value }] }));
        assert_eq!(outcome.unwrap().matched, count, "{op} {value}");
    }
}

#[test]
fn too_many_groups_are_refused_with_what_to_do() {
    let mut store = Store::new(usize::MAX, usize::MAX);
    for n in 0..GROUPS_MAX {
        store_event(&mut store, "a", START, 1, &format!(r#"{{"n":{n}}}"#));
    }
    let query = json!({ "breakdowns": ["n"], "limit": 1 });
    assert_eq!(ask_json(&store, query.clone()).unwrap().groups_total, GROUPS_MAX);
    store_event(&mut store, "a", START, 1, r#"{"n":-1}"#);
    assert_eq!(
        ask_json(&store, query).unwrap_err(),
        "breakdowns: there are more than 100000 groups; add a filter, take a shorter time, or take out a breakdown"
    );
}

#[test]
fn a_heatmap_has_every_number_in_its_place() {
    let mut store = Store::new(100, usize::MAX);
    for (second, samplerate, value) in
        [(0, 1, "0"), (0, 2, "39.5"), (60, 1, "40"), (60, 1, "20"), (60, 9, "\"x\"")]
    {
        store_event(&mut store, "a", START + second, samplerate, &format!(r#"{{"n":{value}}}"#));
    }
    let query = json!({
        "calculations": [{ "op": "HEATMAP", "column": "n" }, { "op": "HEATMAP", "column": "none" }],
        "start_time": START, "end_time": START + 120, "granularity": 60,
    });
    let outcome = ask_json(&store, query).unwrap();
    let [heatmap, empty] = outcome.heatmaps.as_slice() else { panic!("{:?}", outcome.heatmaps) };
    assert_eq!((heatmap.bounds, heatmap.rows, empty.bounds), (Some((0.0, 40.0)), 40, None));
    // START is 20 seconds into a minute, so there is a third bucket.
    assert_eq!(heatmap.counts.len(), 3);
    let filled = |bucket: usize| {
        let rows = heatmap.counts[bucket].iter().enumerate();
        rows.filter(|&(_, &count)| count > 0).map(|(row, &count)| (row, count)).collect::<Vec<_>>()
    };
    assert_eq!([filled(0), filled(1), filled(2)], [vec![(0, 1), (39, 2)], vec![(20, 1), (39, 1)], vec![]]);
}

#[test]
fn a_query_ends_at_its_deadline() {
    let mut store = Store::new(10, usize::MAX);
    store_event(&mut store, "a", START, 1, "{}");
    let late = Scope { dataset: None, deadline: Instant::now() };
    let refused = answer(&store.snapshot(), late, &Query::default(), Timestamp::now(), true).unwrap_err();
    assert!(refused.0.starts_with("the query takes too long; "), "{refused:?}");
}

fn ids(rows: &Rows) -> Vec<u64> {
    rows.events.iter().map(|event| event.id).collect()
}

#[test]
fn rows_are_those_of_a_group_the_newest_first() {
    let mut store = Store::new(4, usize::MAX);
    for (second, n) in [(9, "1"), (3, "1"), (5, "1.0"), (4, "\"1\""), (4, "1")] {
        store_event(&mut store, "a", START + second, 1, &format!(r#"{{"n":{n}}}"#));
    }
    let query = Query { breakdowns: vec!["n".to_owned()], start_time: Some(START), ..Query::default() };
    let first = |group: Option<Vec<Json>>, direction, limit| {
        let group = group.map(|group| group.into_iter().map(Scalar::from_json).collect());
        let selection = Selection { group, direction, limit };
        rows(&store.snapshot(), scope(None), &query, Timestamp::now(), &selection)
    };
    let newest = first(None, Direction::Descending, 3).unwrap();
    assert_eq!((ids(&newest), newest.matched), (vec![2, 4, 3], 4));
    assert_eq!(ids(&first(Some(vec![json!(1)]), Direction::Ascending, 9).unwrap()), [1, 4, 2]);
    let refused = first(Some(vec![]), Direction::Ascending, 9).unwrap_err();
    assert_eq!(refused.0, "group: 0 values for 1 breakdowns");
}

#[test]
fn events_of_one_trace_or_request_are_found_across_datasets() {
    let mut store = Store::new(100, usize::MAX);
    for (dataset, second, data) in [
        ("a", 5, r#"{"request_id":"r1"}"#),
        ("b", -9_999, r#"{"request_id":"r1","trace.trace_id":"t1"}"#),
        ("c", 7, r#"{"trace.trace_id":"t1"}"#),
        ("a", 1, r#"{"request_id":"r2"}"#),
        ("a", 1, r#"{"n":1}"#),
    ] {
        store_event(&mut store, dataset, START + second, 1, data);
    }
    let snapshot = store.snapshot();
    let found = |id| related(&snapshot, scope(None), id, 10).unwrap().map(|rows| ids(&rows));
    assert_eq!(found(0), Some(vec![1, 0]));
    assert_eq!(found(1), Some(vec![1, 2]));
    assert_eq!(found(4), Some(vec![4]));
    assert_eq!(found(5), None);
}

#[test]
fn columns_are_counted_over_kept_events() {
    let mut store = Store::new(3, usize::MAX);
    for (dataset, data) in [
        ("a", r#"{"gone":1,"n":7}"#),
        ("a", r#"{"n":1,"s":"x"}"#),
        ("b", r#"{"n":"y"}"#),
        ("a", r#"{"n":1.5,"t":[1],"nothing":null}"#),
    ] {
        store_event(&mut store, dataset, START, 1, data);
    }
    let snapshot = store.snapshot();
    let listed = |dataset| {
        let columns = columns(&snapshot, scope(dataset)).unwrap();
        let brief =
            columns.iter().map(|column| json!([column.name, column.types, column.events, column.examples]));
        json!(brief.collect::<Vec<_>>())
    };
    assert_eq!(
        listed(snapshot.dataset_id("a")),
        json!([
            ["n", ["float", "integer"], 2, ["1.5", "1"]],
            ["s", ["string"], 1, ["x"]],
            ["t", ["string"], 1, ["[1]"]]
        ])
    );
    assert_eq!(listed(None)[0], json!(["n", ["string", "float", "integer"], 3, ["1.5", "y", "1"]]));
}
