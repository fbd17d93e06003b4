//! The engine as a whole: the rules that have a number or a text. `random` compares it with the `oracle`.

use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::request::Direction;
use super::*;
use crate::event_time::EventTime;
use crate::limits::GROUPS_MAX;
use crate::store::{DatasetId, Store};

mod oracle;
mod random;

/// When the first event happens.
const START: i64 = 1_700_000_000;

fn store_event(store: &mut Store, dataset: &str, second: i64, samplerate: u64, data: &str) {
    let time = EventTime { text: "".into(), timestamp: Timestamp::from_second(second).unwrap() };
    let dataset = store.dataset_id(dataset).unwrap();
    store.insert(dataset, time, samplerate, RawValue::from_string(data.to_owned()).unwrap());
}

fn scope(dataset: Option<DatasetId>) -> Scope {
    Scope { dataset, deadline: Instant::now() + QUERY_TIME_MAX }
}

fn ask_json(store: &Store, query: Json) -> Result<Outcome, String> {
    let query = Query::from_json(query).map_err(|error| error.0)?;
    let now = Timestamp::from_second(START + 3_600).unwrap();
    answer(&store.snapshot(), scope(None), &query, now, true).map_err(|error| error.0)
}

/// Asserts that the query is refused with a text that begins like this.
fn assert_refused(query: &Json, error: &str) {
    let refused = ask_json(&Store::new(1, usize::MAX), query.clone()).unwrap_err();
    assert!(refused.starts_with(error), "{query}: {refused}");
}

#[test]
fn what_a_query_may_not_be_is_said() {
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
    ] {
        assert_refused(&query, error);
    }
}

#[test]
fn what_does_not_fit_together_is_said() {
    for (query, error) in [
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
        assert_refused(&query, error);
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
fn events_of_one_request_are_found_across_datasets_and_times() {
    let mut store = Store::new(100, usize::MAX);
    for (dataset, second, data) in [
        ("a", 5, r#"{"request_id":"r1","log.format":"phoenix"}"#),
        ("b", -9_999, r#"{"request_id":"r1","log.format":"nginx"}"#),
        ("a", 1, r#"{"request_id":"r2","log.format":"nginx"}"#),
        ("a", 1, r#"{"n":1}"#),
    ] {
        store_event(&mut store, dataset, START + second, 1, data);
    }
    let snapshot = store.snapshot();
    let found = |id| ids(&joined(&snapshot, scope(None), "request_id", id, 10).unwrap());
    assert_eq!((found("r1"), found("r2"), found("r3")), (vec![1, 0], vec![2], vec![]));
    assert_eq!(glance::crossing(&snapshot), Some(Scalar::Text("r1".into())));
}

#[test]
fn a_glance_knows_spans_columns_and_the_newest() {
    let mut store = Store::new(100, usize::MAX);
    let snapshot = store.snapshot();
    assert_eq!((glance::span(&snapshot, scope(None)), glance::crossing(&snapshot)), (None, None));
    for (dataset, second, data) in
        [("a", 0, r#"{"n":1}"#), ("b", 59, r#"{"s":"x","n":null}"#), ("a", 30, r#"{"m":1}"#)]
    {
        store_event(&mut store, dataset, START + second, 5, data);
    }
    let snapshot = store.snapshot();
    let seconds = |span: Option<(Timestamp, Timestamp)>| {
        span.map(|(oldest, newest)| (oldest.as_second() - START, newest.as_second() - START))
    };
    assert_eq!(seconds(glance::span(&snapshot, scope(None))), Some((0, 59)));
    assert_eq!(seconds(glance::span(&snapshot, scope(snapshot.dataset_id("a")))), Some((0, 30)));
    let axis = glance::axis_over(START, START + 59, 3);
    // START is 20 seconds after a multiple of 30.
    assert_eq!(glance::spread(&snapshot, axis), [[1, 1, 0], [0, 0, 1]]);
    let present = glance::present(&snapshot, scope(None), &["n", "s", "never"]).unwrap();
    assert_eq!(present, [["n"].into(), ["s"].into()]);
    let newest: Vec<_> = glance::newest(&snapshot, 2).iter().map(|event| event.id).collect();
    assert_eq!(newest, [2, 1]);
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
