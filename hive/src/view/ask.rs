//! Asking: takes what was typed, gives the query it means, or each field's mistakes; and the way back, for links.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::clause;
use super::text;
use super::typed::Typed;
use crate::query::{
    self, ALL_DATASETS, Calculation, Combination, Direction, Filter, FilterOp, Op, Order, Query, QueryError,
    Scalar, Scope, Value, glance,
};
use crate::store::Snapshot;

/// Seconds of the range that a live page shows.
const LIVE_SECONDS: i64 = 600;

/// Which time a query is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Range {
    /// What the times of the query say.
    #[default]
    Told,
    /// The last ten minutes, again and again.
    Live,
    /// From the oldest event that is kept to the newest.
    All,
}

/// A question that a page answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ask {
    /// All if absent.
    pub(super) dataset: Option<String>,
    pub(super) range: Range,
    pub(super) query: Query,
    /// Show the events themselves.
    pub(super) events: bool,
    /// Only the events of the group with these values.
    pub(super) of: Option<Vec<Value>>,
}

/// What is wrong with a field of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The name of the field; `query` for what concerns none alone.
    pub(super) field: &'static str,
    pub(super) text: String,
}

impl Mistake {
    /// The mistake that the query engine found; it names the place in its own terms.
    pub(super) fn from_engine(error: &str) -> Mistake {
        let fields = [
            ("calculations", "select"),
            ("filters", "where"),
            ("breakdowns", "group"),
            ("group:", "group"),
            ("havings", "having"),
            ("orders", "order"),
            ("limit", "limit"),
            ("granularity", "step"),
            ("start_time", "start"),
            ("end_time", "end"),
            ("time_range", "range"),
            ("dataset", "dataset"),
        ];
        let field = fields.iter().find(|(begin, _)| error.starts_with(begin));
        Mistake { field: field.map_or("query", |(_, field)| field), text: error.to_owned() }
    }
}

/// Takes the value out of a result, or puts its error with the others.
struct Reader {
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn read<T: Default>(&mut self, field: &'static str, result: Result<T, String>) -> T {
        result.unwrap_or_else(|text| {
            self.mistakes.push(Mistake { field, text });
            T::default()
        })
    }
}

impl Ask {
    /// Reads what was typed. The query is good if there is no mistake.
    pub(super) fn read(typed: &Typed) -> Result<Ask, Vec<Mistake>> {
        let mut reader = Reader { mistakes: Vec::new() };
        let filters = typed.wheres.iter().map(|text| reader.read("where", clause::filters(text)));
        let filters = filters.collect::<Vec<_>>().concat();
        let groups = typed.groups.iter().map(|text| reader.read("group", clause::columns(text)));
        let breakdowns = groups.collect::<Vec<_>>().concat();
        let mut query = Query {
            calculations: reader.read("select", clause::calculations(&typed.select)),
            filters,
            breakdowns,
            havings: reader.read("having", clause::havings(&typed.having)),
            orders: reader.read("order", clause::orders(&typed.order)),
            limit: reader.read("limit", limit(&typed.limit)),
            granularity: reader.read("step", given(&typed.step, duration)),
            filter_combination: reader.read("match", combination(&typed.matching)),
            start_time: reader.read("start", given(&typed.start, instant)),
            end_time: reader.read("end", given(&typed.end, instant)),
            time_range: None,
        };
        let is_told = query.start_time.is_some() || query.end_time.is_some();
        let range = match typed.range.as_str() {
            "live" if !is_told => Range::Live,
            "all" if !is_told => Range::All,
            "" | "live" | "all" => Range::Told,
            // The form always has a range, which means nothing beside both ends of another.
            text if query.start_time.is_none() || query.end_time.is_none() => {
                query.time_range = reader.read("range", duration(text).map(Some));
                Range::Told
            }
            _ => Range::Told,
        };
        let of = (!typed.of.is_empty()).then(|| {
            let values: Result<Vec<_>, _> = typed.of.iter().map(|text| group_value(text)).collect();
            reader.read("group", values)
        });
        let dataset = Some(typed.dataset.clone()).filter(|dataset| !dataset.is_empty());
        if let (true, Err(QueryError(error))) = (reader.mistakes.is_empty(), query::check(&query)) {
            reader.mistakes.push(Mistake::from_engine(&error));
        }
        if reader.mistakes.is_empty() {
            Ok(Ask { dataset, range, query, events: typed.view == "events", of })
        } else {
            Err(reader.mistakes)
        }
    }

    /// The form that asks this.
    pub(super) fn typed(&self) -> Typed {
        let query = &self.query;
        let range = match self.range {
            Range::Live => "live".to_owned(),
            Range::All => "all".to_owned(),
            Range::Told => query.time_range.map(text::seconds).unwrap_or_default(),
        };
        let of = self.of.iter().flatten().map(write_group_value);
        Typed {
            dataset: self.dataset.clone().unwrap_or_default(),
            select: join(&query.calculations, clause::write_calculation),
            wheres: query.filters.iter().map(clause::write_filter).collect(),
            matching: if query.filter_combination == Combination::Or { "any" } else { "" }.to_owned(),
            groups: query.breakdowns.iter().map(|name| clause::write_name(name)).collect(),
            having: join(&query.havings, clause::write_having),
            order: join(&query.orders, clause::write_order),
            limit: query.limit.map(|limit| limit.to_string()).unwrap_or_default(),
            range,
            start: query.start_time.map(write_instant).unwrap_or_default(),
            end: query.end_time.map(write_instant).unwrap_or_default(),
            step: query.granularity.map(text::seconds).unwrap_or_default(),
            view: if self.events { "events" } else { "" }.to_owned(),
            of: of.collect(),
        }
    }

    /// The link to the page that answers this.
    pub(super) fn url(&self) -> String {
        self.typed().url()
    }

    /// The dataset as queries name it.
    pub(super) fn dataset_asked(&self) -> &str {
        self.dataset.as_deref().unwrap_or(ALL_DATASETS)
    }

    /// The query with its times, as far as they depend on what is kept.
    pub(super) fn resolve(&self, snapshot: &Snapshot, scope: Scope) -> Query {
        let mut query = self.query.clone();
        match self.range {
            Range::Told => {}
            Range::Live => query.time_range = Some(LIVE_SECONDS),
            Range::All => {
                if let Some((oldest, newest)) = glance::span(snapshot, scope) {
                    query.start_time = Some(oldest.as_second().max(0));
                    query.end_time = Some(newest.as_second().max(0) + 1);
                }
            }
        }
        query
    }

    /// The same with one more condition. Where one condition is enough already, it takes the place of all others.
    pub(super) fn with_filter(&self, column: &str, op: FilterOp, value: Json) -> Ask {
        let mut ask = self.clone();
        if ask.query.filter_combination == Combination::Or && ask.query.filters.len() > 1 {
            ask.query.filters.clear();
        }
        ask.query.filter_combination = Combination::And;
        let filter = Filter { column: column.to_owned(), op, value };
        if !ask.query.filters.contains(&filter) {
            ask.query.filters.push(filter);
        }
        ask
    }

    /// The same in another order.
    pub(super) fn with_order(&self, order: Order) -> Ask {
        let mut ask = self.clone();
        ask.query.orders = vec![order];
        ask
    }

    /// The events of a group of this.
    pub(super) fn of_group(&self, key: &[Value]) -> Ask {
        let of = (!key.is_empty()).then(|| key.to_vec());
        Ask { events: true, of, ..self.clone() }
    }

    /// The same over another range: `live`, `all` or seconds.
    pub(super) fn over(&self, range: Range, seconds: Option<i64>) -> Ask {
        let mut ask = Ask { range, ..self.clone() };
        (ask.query.start_time, ask.query.end_time, ask.query.granularity) = (None, None, None);
        ask.query.time_range = seconds;
        ask
    }

    /// The direction in which groups are sorted by this in the first place.
    pub(super) fn is_sorted_by(&self, order: &Order) -> Option<Direction> {
        let by_default = || {
            let mut calculations = self.query.calculations.iter();
            let first = calculations.find(|calculation| calculation.op != Op::Heatmap);
            let first = first.cloned().unwrap_or(Calculation { op: Op::Count, column: None });
            Order { op: Some(first.op), column: first.column, order: Direction::Descending }
        };
        let first = self.query.orders.first().cloned().unwrap_or_else(by_default);
        (first.op == order.op && first.column == order.column).then_some(first.order)
    }
}

fn join<T>(clauses: &[T], write: impl Fn(&T) -> String) -> String {
    clauses.iter().map(write).collect::<Vec<_>>().join(", ")
}

fn given<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

fn limit(text: &str) -> Result<Option<usize>, String> {
    given(text, |text| text.parse().map_err(|_| format!("{text}: a limit is a whole number")))
}

fn combination(text: &str) -> Result<Combination, String> {
    match text.to_ascii_lowercase().as_str() {
        "" | "all" | "and" => Ok(Combination::And),
        "any" | "or" => Ok(Combination::Or),
        _ => Err(format!("{text}: conditions match all or any")),
    }
}

/// `90s`, `15m`, `2h`, `7d`, or seconds.
fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text}: a time is a number with s, m, h or d, such as 90m");
    let (digits, factor) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        None => (text, 1),
        Some(digits) if text.ends_with('s') => (digits, 1),
        Some(digits) if text.ends_with('m') => (digits, 60),
        Some(digits) if text.ends_with('h') => (digits, 3_600),
        Some(digits) => (digits, 86_400),
    };
    let number: i64 = digits.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// `2026-11-22 10:00`, with seconds, a `T` or a zone if one likes, or Unix seconds; UTC if it says nothing else.
fn instant(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_second());
    }
    let civil: Result<DateTime, _> = text.parse();
    let time = civil.and_then(|civil| civil.to_zoned(TimeZone::UTC));
    time.map(|time| time.timestamp().as_second())
        .map_err(|_| format!("{text}: a date and time is written 2026-11-22 10:00"))
}

/// A time that can't be written as a date is written in seconds.
fn write_instant(second: i64) -> String {
    match Timestamp::from_second(second) {
        Ok(_) => text::time(second, "%Y-%m-%d %H:%M:%S"),
        Err(_) => second.to_string(),
    }
}

fn group_value(text: &str) -> Result<Value, String> {
    match text {
        "" => Ok(Scalar::Null),
        text => clause::literal(text).map(Scalar::from_json),
    }
}

fn write_group_value(value: &Value) -> String {
    match value {
        Scalar::Null => String::new(),
        value => clause::write_literal(&serde_json::to_value(value).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Having, HavingOp};
    use serde_json::json;

    fn read(query: &str) -> Result<Ask, Vec<Mistake>> {
        Ask::read(&Typed::parse(query))
    }

    #[test]
    fn a_link_leads_back_to_its_question() {
        let calculation = |op, column: &str| Calculation { op, column: Some(column.to_owned()) };
        let query = Query {
            calculations: vec![
                calculation(Op::Percentile(990), "a b"),
                Calculation { op: Op::Count, column: None },
            ],
            filters: vec![
                Filter { column: "a,".into(), op: FilterOp::NotIn, value: json!(["1", 1, "x y", true]) },
                Filter { column: "b".into(), op: FilterOp::Exists, value: Json::Null },
            ],
            filter_combination: Combination::Or,
            breakdowns: vec!["COUNT".into(), "<script>".into()],
            havings: vec![Having {
                calculate_op: Op::Count,
                column: None,
                op: HavingOp::Greater,
                value: 5.into(),
            }],
            orders: vec![Order { column: Some("COUNT".into()), op: None, order: Direction::Descending }],
            limit: Some(7),
            granularity: Some(90),
            start_time: Some(1_700_000_000),
            end_time: None,
            time_range: Some(5_400),
        };
        let of = [Scalar::Null, Scalar::Text("1".into()), Scalar::Int(1), Scalar::Text("".into())];
        for (range, query, of) in [
            (Range::Told, query.clone(), None),
            (
                Range::Told,
                Query { end_time: Some(1_700_003_600), time_range: None, ..query.clone() },
                Some(of.to_vec()),
            ),
            (Range::All, Query::default(), None),
            (Range::Live, Query::default(), None),
        ] {
            let ask = Ask { dataset: Some("My web & <b>".into()), range, query, events: of.is_some(), of };
            let url = ask.url();
            assert_eq!(read(url.split_once('?').unwrap().1), Ok(ask), "{url}");
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for text in [
            "1700000000",
            "2023-11-14 22:13:20",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20Z",
            "2023-11-14T23:13:20+01:00",
        ] {
            assert_eq!(instant(text), Ok(1_700_000_000), "{text}");
        }
        assert_eq!(instant("2023-11-14 22:13"), Ok(1_699_999_980));
        assert_eq!(
            ["90", "90s", "15m", "2h", "7d"].map(|text| duration(text).unwrap()),
            [90, 90, 900, 7_200, 604_800]
        );
        assert!(
            duration("999999999999999d").is_err() && duration("soon").is_err() && instant("noon").is_err()
        );
        // The range of the form means nothing beside both ends of another.
        let ask = read("range=1h&start=100&end=200").unwrap();
        assert_eq!((ask.query.time_range, ask.range), (None, Range::Told));
    }

    #[test]
    fn every_mistake_is_said_at_its_field() {
        let fields =
            |query: &str| read(query).unwrap_err().iter().map(|mistake| mistake.field).collect::<Vec<_>>();
        assert_eq!(
            fields(
                "select=P98(a)&where=a&where=b exists&limit=x&range=soon&match=some&step=z&start=noon&having=x&order=a("
            ),
            ["where", "select", "having", "order", "limit", "step", "match", "start", "range"]
        );
        for (query, field) in [
            ("select=P99", "select"),
            ("limit=0", "limit"),
            ("order=COUNT&select=MAX(a)", "order"),
            ("having=COUNT>1&select=MAX(a)", "having"),
            ("step=1&range=7d", "step"),
            ("start=200&end=100", "end"),
            ("of=\"x", "group"),
        ] {
            assert_eq!(fields(query), [field], "{query}");
        }
    }

    #[test]
    fn a_further_condition_narrows_whatever_was_there() {
        let exists = |column: &str| Filter { column: column.into(), op: FilterOp::Exists, value: Json::Null };
        let add = |query| read(query).unwrap().with_filter("n", FilterOp::Exists, Json::Null).query;
        assert_eq!(add("where=a exists, b exists").filters, [exists("a"), exists("b"), exists("n")]);
        let narrowed = add("where=a exists, b exists&match=any");
        assert_eq!(
            (narrowed.filters.as_slice(), narrowed.filter_combination),
            (&[exists("n")][..], Combination::And)
        );
        assert_eq!(add("where=n exists").filters, [exists("n")]);
    }
}
