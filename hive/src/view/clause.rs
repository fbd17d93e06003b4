//! Clauses: the parts of a query as people write them, `P99(duration_ms)`, `status >= 500` or `COUNT desc`, read and
//! written.
//!
//! Takes text, gives clauses, or a sentence that says what is wrong with it; and the way back, such that what is written
//! is read as the same. A name or a value that would be misread stands in double quotes, escaped as in JSON.

use serde_json::{Number, Value as Json};

use crate::query::{Calculation, Direction, Filter, FilterOp, Having, HavingOp, Op, Order};

/// Operators of conditions as they are written; one that begins with another comes first.
pub(super) const OPERATORS: [(&str, FilterOp); 16] = [
    (">=", FilterOp::GreaterOrEqual),
    ("<=", FilterOp::LessOrEqual),
    ("!=", FilterOp::NotEqual),
    ("=", FilterOp::Equal),
    (">", FilterOp::Greater),
    ("<", FilterOp::Less),
    ("exists", FilterOp::Exists),
    ("does-not-exist", FilterOp::DoesNotExist),
    ("starts-with", FilterOp::StartsWith),
    ("does-not-start-with", FilterOp::DoesNotStartWith),
    ("ends-with", FilterOp::EndsWith),
    ("does-not-end-with", FilterOp::DoesNotEndWith),
    ("contains", FilterOp::Contains),
    ("does-not-contain", FilterOp::DoesNotContain),
    ("in", FilterOp::In),
    ("not-in", FilterOp::NotIn),
];

const HAVING_OPERATORS: [(&str, HavingOp); 6] = [
    (">=", HavingOp::GreaterOrEqual),
    ("<=", HavingOp::LessOrEqual),
    ("!=", HavingOp::NotEqual),
    ("=", HavingOp::Equal),
    (">", HavingOp::Greater),
    ("<", HavingOp::Less),
];

/// `COUNT, P99(duration_ms)`.
pub(super) fn calculations(text: &str) -> Result<Vec<Calculation>, String> {
    parts(text, true).map(calculation).collect()
}

fn calculation(text: &str) -> Result<Calculation, String> {
    let (op, column) = match text.split_once('(') {
        None => (text, None),
        Some((op, rest)) => {
            let inner = rest.strip_suffix(')').ok_or_else(|| format!("{text}: a bracket is not closed"))?;
            (op, Some(name(inner)?))
        }
    };
    Ok(Calculation { op: Op::try_from(op.trim().to_uppercase())?, column })
}

/// One condition or more, with commas between them: `status >= 500, log.format in nginx, phoenix`.
pub(super) fn filters(text: &str) -> Result<Vec<Filter>, String> {
    let mut conditions: Vec<(String, FilterOp, String)> = Vec::new();
    for part in parts(text, false) {
        match condition(part) {
            Some((column, op, value)) => conditions.push((column, op, value.to_owned())),
            // What is no condition is more of the value before it: a list, or a text with a comma in it.
            None => match conditions.last_mut().filter(|(_, op, _)| takes_value(*op)) {
                Some((_, _, value)) => *value += &format!(", {part}"),
                None => return Err(no_condition(part)),
            },
        }
    }
    conditions.into_iter().map(|(column, op, value)| filter(column, op, value.trim())).collect()
}

fn takes_value(op: FilterOp) -> bool {
    !matches!(op, FilterOp::Exists | FilterOp::DoesNotExist)
}

fn no_condition(part: &str) -> String {
    let operators: Vec<_> = OPERATORS.iter().map(|(name, _)| *name).collect();
    format!(
        "{part}: a condition is a column, an operator and a value, such as duration_ms > 1000; operators are {}",
        operators.join(", ")
    )
}

/// Cuts a condition into column, operator and value.
fn condition(text: &str) -> Option<(String, FilterOp, &str)> {
    let text = text.trim();
    let end = match quoted_bytes(text) {
        Some(bytes) => bytes,
        None => text.find(|char: char| char.is_whitespace() || "=<>!".contains(char))?,
    };
    let column = name(&text[..end]).ok()?;
    let rest = text[end..].trim_start();
    let (op, value) = OPERATORS.iter().find_map(|&(name, op)| Some((op, strip_operator(rest, name)?)))?;
    Some((column, op, value.trim()))
}

/// What follows the operator, if the text begins with it. Words may be written in any case, and with blanks for dashes.
fn strip_operator<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (begin, rest) = text.split_at_checked(name.len())?;
    let is_same = begin.chars().zip(name.chars()).all(|(left, right)| {
        left.eq_ignore_ascii_case(&right) || (right == '-' && (left == ' ' || left == '_'))
    });
    let is_word = name.starts_with(|char: char| char.is_ascii_alphabetic());
    let ends = !is_word || rest.chars().next().is_none_or(|char| char.is_whitespace() || char == '"');
    (is_same && ends).then_some(rest)
}

fn filter(column: String, op: FilterOp, value: &str) -> Result<Filter, String> {
    let written = operator(op);
    let value = match op {
        FilterOp::Exists | FilterOp::DoesNotExist if value.is_empty() => Json::Null,
        FilterOp::Exists | FilterOp::DoesNotExist => {
            return Err(format!("{column} {written} takes no value, and this one has {value}"));
        }
        _ if value.is_empty() => {
            return Err(format!("{column} {written} needs a value; the empty text is written \"\""));
        }
        FilterOp::In | FilterOp::NotIn => {
            parts(value, false).map(literal).collect::<Result<Vec<_>, _>>()?.into()
        }
        _ => literal(value)?,
    };
    Ok(Filter { column, op, value })
}

pub(super) fn operator(op: FilterOp) -> &'static str {
    OPERATORS.iter().find(|(_, known)| *known == op).map_or("=", |(name, _)| name)
}

/// `url.shape, name`.
pub(super) fn columns(text: &str) -> Result<Vec<String>, String> {
    parts(text, false).map(name).collect()
}

/// `P99(duration_ms) desc, name`: ascending unless it says `desc`, as in SQL.
pub(super) fn orders(text: &str) -> Result<Vec<Order>, String> {
    parts(text, true).map(order).collect()
}

fn order(text: &str) -> Result<Order, String> {
    let (what, direction) = match text.rsplit_once(char::is_whitespace) {
        Some((what, last)) if last.eq_ignore_ascii_case("desc") => (what.trim(), Direction::Descending),
        Some((what, last)) if last.eq_ignore_ascii_case("asc") => (what.trim(), Direction::Ascending),
        _ => (text, Direction::Ascending),
    };
    if is_calculation(what) {
        let Calculation { op, column } = calculation(what)?;
        return Ok(Order { column, op: Some(op), order: direction });
    }
    Ok(Order { column: Some(name(what)?), op: None, order: direction })
}

fn is_calculation(text: &str) -> bool {
    text.eq_ignore_ascii_case("COUNT") || (text.contains('(') && !text.starts_with('"'))
}

/// `COUNT > 5, P99(duration_ms) >= 1000`.
pub(super) fn havings(text: &str) -> Result<Vec<Having>, String> {
    parts(text, true).map(having).collect()
}

fn having(text: &str) -> Result<Having, String> {
    let wrong = || format!("{text}: a condition on groups is such as COUNT > 5");
    let begin = text.find('(').map_or(0, |open| {
        let inner = open + 1;
        let quoted = quoted_bytes(&text[inner..]).unwrap_or(0);
        text[inner + quoted..].find(')').map_or(text.len(), |close| inner + quoted + close)
    });
    let end = begin + text[begin..].find(['=', '<', '>', '!']).ok_or_else(wrong)?;
    let Calculation { op: calculate_op, column } = calculation(text[..end].trim())?;
    let stripped =
        HAVING_OPERATORS.iter().find_map(|&(name, op)| Some((op, text[end..].strip_prefix(name)?)));
    let (op, value) = stripped.ok_or_else(wrong)?;
    let value: Number = value.trim().parse().map_err(|_| format!("{}: not a number", value.trim()))?;
    Ok(Having { calculate_op, column, op, value })
}

/// The parts of a list, without the empty ones. Commas in quotes, and if told so in brackets, divide nothing.
fn parts(text: &str, in_brackets: bool) -> impl Iterator<Item = &str> {
    let (mut parts, mut begin, mut depth, mut resume) = (Vec::new(), 0, 0_usize, 0);
    // Whether a quote would begin a quoted text here.
    let mut opens = true;
    for (at, char) in text.char_indices() {
        if at < resume {
            continue;
        }
        match char {
            '"' if opens => resume = at + quoted_bytes(&text[at..]).unwrap_or(1),
            '(' if in_brackets => depth += 1,
            ')' if in_brackets => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
        opens = char.is_whitespace() || "(,=<>".contains(char);
    }
    parts.push(&text[begin..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty())
}

/// The bytes of the quoted text at the beginning, quotes included: `None` if there is none.
fn quoted_bytes(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('"')?;
    let mut is_escaped = false;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at + 2),
            _ => {}
        }
    }
    None
}

fn unquoted(text: &str) -> Result<String, String> {
    serde_json::from_str(text).map_err(|_| format!("{text}: a quote is not closed, or escaped wrongly"))
}

/// Reads a column's name.
fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text {
        "" => Err("the name of a column is missing".to_owned()),
        quoted if quoted.starts_with('"') => unquoted(quoted),
        plain => Ok(plain.to_owned()),
    }
}

/// Reads a value: a number or a boolean where it looks like one.
pub(super) fn literal(text: &str) -> Result<Json, String> {
    if text.starts_with('"') {
        return unquoted(text).map(Json::from);
    }
    Ok(plain_literal(text).unwrap_or_else(|| text.into()))
}

fn plain_literal(text: &str) -> Option<Json> {
    match text {
        "true" => Some(true.into()),
        "false" => Some(false.into()),
        _ => text.parse::<Number>().ok().map(Json::Number),
    }
}

/// Writes the name of a column.
pub(super) fn write_name(name: &str) -> String {
    let is_misread = |char: char| char.is_whitespace() || char.is_control() || "\"(),=<>!".contains(char);
    if name.is_empty() || name.contains(is_misread) { quoted(name) } else { name.to_owned() }
}

fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// Writes a value.
pub(super) fn write_literal(value: &Json) -> String {
    let Json::String(text) = value else { return value.to_string() };
    let is_misread = text.trim() != text
        || text.is_empty()
        || text.contains(|char: char| char.is_control() || char == ',')
        || text.starts_with('"')
        || plain_literal(text).is_some();
    if is_misread { quoted(text) } else { text.clone() }
}

pub(super) fn write_calculation(Calculation { op, column }: &Calculation) -> String {
    match column {
        Some(column) => format!("{}({})", op.name(), write_name(column)),
        None => op.name(),
    }
}

pub(super) fn write_filter(filter: &Filter) -> String {
    let (column, op) = (write_name(&filter.column), operator(filter.op));
    let item = |value: &Json| match value {
        // In a list, what looks like a condition would be one.
        Json::String(text) if text.contains(|char: char| char.is_whitespace() || "=<>!".contains(char)) => {
            quoted(text)
        }
        value => write_literal(value),
    };
    let list = |values: &[Json]| values.iter().map(item).collect::<Vec<_>>().join(", ");
    match &filter.value {
        _ if !takes_value(filter.op) => format!("{column} {op}"),
        Json::Array(values) => format!("{column} {op} {}", list(values)),
        // A list as one text, which the query takes as well.
        Json::String(text) if matches!(filter.op, FilterOp::In | FilterOp::NotIn) => {
            let values: Vec<Json> = text.split(',').map(|part| part.trim().into()).collect();
            format!("{column} {op} {}", list(&values))
        }
        value => format!("{column} {op} {}", write_literal(value)),
    }
}

pub(super) fn write_order(Order { column, op, order }: &Order) -> String {
    let what = match (op, column) {
        (Some(op), column) => write_calculation(&Calculation { op: *op, column: column.clone() }),
        (None, Some(column)) if is_calculation(column) => quoted(column),
        (None, column) => write_name(column.as_deref().unwrap_or_default()),
    };
    let direction = if *order == Direction::Descending { "desc" } else { "asc" };
    format!("{what} {direction}")
}

pub(super) fn write_having(having: &Having) -> String {
    let calculation = Calculation { op: having.calculate_op, column: having.column.clone() };
    let op = HAVING_OPERATORS.iter().find(|(_, known)| *known == having.op).map_or("=", |(name, _)| name);
    format!("{} {op} {}", write_calculation(&calculation), having.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    fn filter(column: &str, op: FilterOp, value: Json) -> Filter {
        Filter { column: column.to_owned(), op, value }
    }

    #[test]
    fn conditions_are_read_as_people_write_them() {
        for (text, wanted) in [
            ("duration_ms > 1000", vec![filter("duration_ms", FilterOp::Greater, json!(1000))]),
            ("a>=1.5", vec![filter("a", FilterOp::GreaterOrEqual, json!(1.5))]),
            ("a does not exist", vec![filter("a", FilterOp::DoesNotExist, Json::Null)]),
            ("a NOT IN x, 2", vec![filter("a", FilterOp::NotIn, json!(["x", 2]))]),
            (r#""a b" starts-with /x"#, vec![filter("a b", FilterOp::StartsWith, json!("/x"))]),
            (r#"a = "1""#, vec![filter("a", FilterOp::Equal, json!("1"))]),
            ("a = say \"hi\"", vec![filter("a", FilterOp::Equal, json!("say \"hi\""))]),
            (
                "exception.fingerprint exists, log.format in nginx, phoenix, s != 7,",
                vec![
                    filter("exception.fingerprint", FilterOp::Exists, Json::Null),
                    filter("log.format", FilterOp::In, json!(["nginx", "phoenix"])),
                    filter("s", FilterOp::NotEqual, json!(7)),
                ],
            ),
            (" , ", vec![]),
        ] {
            assert_eq!(filters(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (error, part) in [
            (filters("nothing").unwrap_err(), "nothing: a condition is a column, an operator and a value"),
            (filters("a exists b").unwrap_err(), "takes no value"),
            (filters("a =").unwrap_err(), "a = needs a value"),
            (filters("a = \"x").unwrap_err(), "a quote is not closed"),
            (calculations("P98(a)").unwrap_err(), "\"P98\" is not an operation: COUNT, SUM"),
            (calculations("P99(a").unwrap_err(), "a bracket is not closed"),
            (calculations("P99()").unwrap_err(), "the name of a column is missing"),
            (havings("COUNT").unwrap_err(), "such as COUNT > 5"),
            (havings("COUNT > many").unwrap_err(), "many: not a number"),
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    fn any_name() -> impl Strategy<Value = String> {
        let names =
            ["duration_ms", "COUNT", "P99(a)", "a b", "a,b", "\"", "ü=1", "desc", "a desc", "in", "!", "("];
        prop_oneof![select(names.to_vec()).prop_map(str::to_owned), "\\PC{1,6}", "[ -~\n]{1,6}"]
    }

    fn any_value() -> impl Strategy<Value = Json> {
        let texts =
            ["", "1", "true", " x ", "a, b exists", "\"x\"", "\"", "x \"y, z", "null", "[1]", "\u{7f}"];
        prop_oneof![
            select(texts.to_vec()).prop_map(Json::from),
            "[ -~\n]{0,8}".prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<bool>().prop_map(Json::from),
            (-1_000_000..1_000_000).prop_map(|eighths| Json::from(f64::from(eighths) / 8.0)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_as_the_same(
            names in prop::collection::vec(any_name(), 1..4),
            values in prop::collection::vec(any_value(), 1..4),
            (_, op) in select(OPERATORS.to_vec()),
            (_, having_op) in select(HAVING_OPERATORS.to_vec()),
            eighths in -1_000_000..1_000_000,
            descending in any::<bool>(),
        ) {
            let join = |parts: Vec<String>| parts.join(", ");
            let value = match op {
                FilterOp::Exists | FilterOp::DoesNotExist => Json::Null,
                FilterOp::In | FilterOp::NotIn => values.clone().into(),
                _ => values[0].clone(),
            };
            let wanted: Vec<_> = names.iter().map(|name| filter(name, op, value.clone())).collect();
            prop_assert_eq!(filters(&join(wanted.iter().map(write_filter).collect())), Ok(wanted));

            prop_assert_eq!(columns(&join(names.iter().map(|name| write_name(name)).collect())), Ok(names.clone()));
            let calculation = |name: &String| Calculation { op: Op::Percentile(990), column: Some(name.clone()) };
            let wanted: Vec<_> = names.iter().map(calculation).collect();
            prop_assert_eq!(calculations(&join(wanted.iter().map(write_calculation).collect())), Ok(wanted));

            let order = if descending { Direction::Descending } else { Direction::Ascending };
            let mut wanted: Vec<_> =
                names.iter().map(|name| Order { column: Some(name.clone()), op: None, order }).collect();
            wanted.extend(names.iter().map(|name| Order { op: Some(Op::Max), column: Some(name.clone()), order }));
            wanted.push(Order { op: Some(Op::Count), column: None, order });
            prop_assert_eq!(orders(&join(wanted.iter().map(write_order).collect())), Ok(wanted));

            let having = |name: &String| Having {
                calculate_op: Op::Max, column: Some(name.clone()), op: having_op,
                value: Number::from_f64(f64::from(eighths) / 8.0).unwrap(),
            };
            let wanted: Vec<_> = names.iter().map(having).collect();
            prop_assert_eq!(havings(&join(wanted.iter().map(write_having).collect())), Ok(wanted));
        }
    }
}
