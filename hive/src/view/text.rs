//! Text: takes numbers, units, times and values, gives them as people read them.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};

use crate::query::{Calculation, Op, Scalar};

/// Fields that say in a line what an event is, the best first.
const SUMMARY_FIELDS: [&str; 4] = ["body", "name", "message", "msg"];

/// Longest one-line summary of an event, in characters.
const SUMMARY_CHARS_MAX: usize = 200;

/// What the numbers of a column count, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Plain,
    /// Whole things: an axis has no half of one.
    Count,
    Milliseconds,
    Bytes,
}

impl Unit {
    pub(super) fn of_column(column: &str) -> Unit {
        if column.ends_with("_ms") {
            Unit::Milliseconds
        } else if [".size", "_bytes", ".response_length"].iter().any(|end| column.ends_with(end)) {
            Unit::Bytes
        } else {
            Unit::Plain
        }
    }

    pub(super) fn of(calculation: &Calculation) -> Unit {
        match (calculation.op, &calculation.column) {
            (Op::Count | Op::CountDistinct, _) => Unit::Count,
            (_, column) => Unit::of_column(column.as_deref().unwrap_or_default()),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Unit::Plain | Unit::Count => "",
            Unit::Milliseconds => "ms",
            Unit::Bytes => "B",
        }
    }

    /// The names of its multiples, with how much each is, from the largest.
    pub(super) fn multiples(self) -> &'static [(&'static str, f64)] {
        match self {
            Unit::Milliseconds => &[("h", 3_600_000.0), ("min", 60_000.0), ("s", 1_000.0), ("ms", 1.0)],
            Unit::Bytes => &[("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)],
            Unit::Plain | Unit::Count => &[("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)],
        }
    }
}

/// A number with marks between its thousands, and not more decimals than matter.
pub(super) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        huge if huge >= 1e15 => return format!("{value:e}"),
        tiny if tiny != 0.0 && tiny < 0.000_5 => return format!("{value:.1e}"),
        size if size < 100.0 => 3,
        size if size < 10_000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{}{dot}{fraction}", thousands(whole))
}

/// Digits, perhaps with a sign, with marks between their thousands.
fn thousands(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut text = String::from(sign);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn integer(value: impl Into<u64>) -> String {
    thousands(&value.into().to_string())
}

/// The value of a calculation: a dash where there is none.
pub(super) fn value(value: &Scalar<'_>) -> String {
    match value {
        Scalar::Null => "–".to_owned(),
        Scalar::Int(integer) => thousands(&integer.to_string()),
        Scalar::Float(float) => number(*float),
        other => other.to_string(),
    }
}

/// The same with its unit.
pub(super) fn measure(value: &Scalar<'_>, unit: Unit) -> String {
    match (self::value(value), unit.name()) {
        (text, "") => text,
        (text, _) if *value == Scalar::Null => text,
        (text, unit) => format!("{text} {unit}"),
    }
}

/// A duration in milliseconds, in the unit that suits it.
pub(super) fn duration(ms: f64) -> String {
    let multiple = Unit::Milliseconds.multiples().iter().find(|(_, factor)| ms.abs() >= *factor);
    let (unit, factor) = multiple.copied().unwrap_or(("ms", 1.0));
    format!("{} {unit}", number((ms / factor * 1_000.0).round() / 1_000.0))
}

/// Seconds as they are written in a query: the largest unit that leaves no rest.
pub(super) fn seconds(seconds: i64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
    match units.iter().find(|(_, factor)| seconds != 0 && seconds % factor == 0) {
        Some((unit, factor)) => format!("{}{unit}", seconds / factor),
        None => format!("{seconds}s"),
    }
}

pub(super) fn count(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", integer(count))
}

/// A time in UTC by a format of `strftime`.
pub(super) fn time(second: i64, format: &str) -> String {
    let time = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

/// A time to the millisecond, in UTC.
pub(super) fn moment(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// A string as it is, anything else as JSON.
pub(super) fn json(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// The beginning of a text that is longer than this.
pub(super) fn clip(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// One line for an event.
pub(super) fn summary(data: &Map<String, Json>) -> String {
    let line = SUMMARY_FIELDS.iter().find_map(|name| data.get(*name)).map(json);
    match line {
        Some(line) => clip(&line, SUMMARY_CHARS_MAX).into_owned(),
        None => count(data.len() as u64, "field"),
    }
}

/// The name of a group: its values, or a sign where one is missing.
pub(super) fn group(key: &[Scalar<'_>]) -> String {
    let name = |value: &Scalar<'_>| match value {
        Scalar::Null => "(none)".to_owned(),
        Scalar::Text(text) if text.is_empty() => "(empty)".to_owned(),
        other => other.to_string(),
    };
    if key.is_empty() {
        "all events".to_owned()
    } else {
        key.iter().map(name).collect::<Vec<_>>().join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_have_marks_and_no_needless_decimals() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (1.23456, "1.235"),
            (123.456, "123.5"),
            (1234.0, "1,234"),
            (-1_234_567.8, "-1,234,568"),
            (100_000.0, "100,000"),
            (0.000_01, "1.0e-5"),
            (1e300, "1e300"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(value(&Scalar::Int(i64::MIN)), "-9,223,372,036,854,775,808");
        assert_eq!(
            (measure(&Scalar::Null, Unit::Bytes), measure(&Scalar::Int(5), Unit::Bytes)),
            ("–".into(), "5 B".into())
        );
    }

    #[test]
    fn durations_and_ranges_have_the_unit_that_suits_them() {
        assert_eq!([0.5, 12.0, 1_500.0, 90_000.0].map(duration), ["0.5 ms", "12 ms", "1.5 s", "1.5 min"]);
        assert_eq!([0, 59, 60, 5_400, 7_200, 604_800].map(seconds), ["0s", "59s", "1m", "90m", "2h", "7d"]);
    }

    #[test]
    fn an_event_is_summed_up_by_its_body_or_its_name() {
        for (data, line) in [
            (json!({ "name": "GET /", "body": "served" }), "served"),
            (json!({ "name": "GET /", "a": 1 }), "GET /"),
            (json!({ "a": 1, "b": 2 }), "2 fields"),
        ] {
            let Json::Object(data) = data else { panic!("an object") };
            assert_eq!(summary(&data), line);
        }
        assert_eq!(clip("üüü", 2), "üü…");
    }
}
