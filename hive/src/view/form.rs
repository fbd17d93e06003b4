//! The query form: takes what was typed and what is wrong with it, gives the fields, each with its own mistakes.
//!
//! One text per clause, as questions are written down, with suggestions of the columns that are kept. It is sent by GET,
//! so that every query is a link; there is always an empty row left for one more condition.

use maud::{Markup, html};

use super::ask::Mistake;
use super::typed::Typed;
use crate::query::Op;
use crate::store::Dataset;

/// Fields for GROUP BY.
const GROUP_FIELDS: usize = 3;

/// Ranges to choose from, by what is typed for them.
pub(super) const RANGES: [(&str, &str); 6] = [
    ("live", "last 10 minutes, live"),
    ("1h", "last hour"),
    ("2h", "last 2 hours"),
    ("24h", "last 24 hours"),
    ("7d", "last 7 days"),
    ("all", "all that is kept"),
];

/// The range of a query that says none, as the engine has it.
const RANGE_DEFAULT: &str = "2h";

pub(super) struct Form<'a> {
    pub(super) typed: &'a Typed,
    pub(super) mistakes: &'a [Mistake],
    pub(super) datasets: &'a [Dataset],
    /// Names of columns to suggest.
    pub(super) columns: &'a [String],
}

impl Form<'_> {
    pub(super) fn render(&self) -> Markup {
        html! {
            form.query action="/query" method="get" aria-label="Query" {
                @if !self.mistakes.is_empty() {
                    p.error role="alert" { "This query can't be answered as it stands; what is wrong is said below." }
                }
                (self.mistakes_of("query"))
                div.clauses {
                    (self.select())
                    (self.conditions())
                    (self.groups())
                }
                div.clauses.minor {
                    (self.text("order", "ORDER BY", &self.typed.order, "COUNT desc"))
                    (self.text("limit", "LIMIT", &self.typed.limit, "100"))
                    (self.text("having", "HAVING", &self.typed.having, "COUNT > 5"))
                    (self.text("step", "Each point is", &self.typed.step, "auto, or 1m"))
                }
                div.clauses.minor {
                    (self.dataset())
                    (self.times())
                    @if self.typed.view == "events" { input type="hidden" name="view" value="events"; }
                    button type="submit" { "Run query" }
                }
                (self.suggestions())
            }
        }
    }

    fn mistakes_of(&self, field: &str) -> Markup {
        let mistakes = || self.mistakes.iter().filter(|mistake| mistake.field == field);
        html! {
            @if mistakes().next().is_some() {
                div.error id={ "error-" (field) } {
                    @for mistake in mistakes() { p { (mistake.text) } }
                }
            }
        }
    }

    fn has_mistake(&self, field: &str) -> bool {
        self.mistakes.iter().any(|mistake| mistake.field == field)
    }

    /// The `id` of what is said about a field, if anything is.
    fn described(&self, field: &str) -> Option<String> {
        self.has_mistake(field).then(|| format!("error-{field}"))
    }

    /// A field for text.
    fn input(&self, name: &str, id: &str, value: &str, list: Option<&str>, label: Option<&str>) -> Markup {
        // Of a list, an empty row is not what is wrong.
        let is_spare = label.is_some() && value.is_empty();
        html! {
            input type="text" name=(name) id=(id) value=(value) list=[list] aria-label=[label]
                autocomplete="off" autocapitalize="none" spellcheck="false"
                aria-invalid=[(self.has_mistake(name) && !is_spare).then_some("true")] aria-describedby=[self.described(name)];
        }
    }

    fn text(&self, name: &str, label: &str, value: &str, example: &str) -> Markup {
        html! {
            div.clause {
                label for=(name) { (label) " " span.hint { (example) } }
                (self.input(name, name, value, None, None))
                (self.mistakes_of(name))
            }
        }
    }

    fn select(&self) -> Markup {
        html! {
            div.clause {
                label for="select" { "SELECT " span.hint { "COUNT, P99(duration_ms), HEATMAP(…)" } }
                (self.input("select", "select", &self.typed.select, Some("calculations"), None))
                (self.mistakes_of("select"))
                @let names: Vec<_> = Op::all().map(|(name, _)| name).collect();
                details.help { summary { "All calculations" } p { (names.join(", ")) } }
            }
        }
    }

    fn conditions(&self) -> Markup {
        let is_any =
            self.typed.matching.eq_ignore_ascii_case("any") || self.typed.matching.eq_ignore_ascii_case("or");
        let rows = self.typed.wheres.iter().map(String::as_str).chain([""]).enumerate();
        html! {
            div.clause role="group" aria-labelledby="where-label" {
                div.label {
                    span id="where-label" { "WHERE " span.hint { "duration_ms > 1000" } }
                    " "
                    select.small name="match" aria-label="Conditions to match" {
                        option value="" selected[!is_any] { "all hold (AND)" }
                        option value="any" selected[is_any] { "any holds (OR)" }
                    }
                }
                @for (index, text) in rows {
                    (self.input("where", &format!("where-{index}"), text, Some("columns"), Some(&format!("Condition {}", index + 1))))
                }
                (self.mistakes_of("where"))
                (self.mistakes_of("match"))
                details.help {
                    summary { "All operators" }
                    p { "= != > >= < <= exists, does-not-exist, starts-with, ends-with, contains, in; does-not-start-with, does-not-end-with, does-not-contain, not-in" }
                    p { "Texts that hold a comma stand in double quotes. A row may have several conditions, with commas between them." }
                }
            }
        }
    }

    fn groups(&self) -> Markup {
        let count = self.typed.groups.len().max(GROUP_FIELDS);
        let texts = self.typed.groups.iter().map(String::as_str).chain(std::iter::repeat("")).take(count);
        html! {
            div.clause role="group" aria-labelledby="group-label" {
                div.label { span id="group-label" { "GROUP BY " span.hint { "url.shape" } } }
                @for (index, text) in texts.enumerate() {
                    (self.input("group", &format!("group-{index}"), text, Some("columns"), Some(&format!("Column {}", index + 1))))
                }
                (self.mistakes_of("group"))
            }
        }
    }

    fn dataset(&self) -> Markup {
        let wanted = self.typed.dataset.as_str();
        let is_known = wanted.is_empty() || self.datasets.iter().any(|dataset| dataset.name == wanted);
        html! {
            div.clause {
                label for="dataset" { "Dataset" }
                select name="dataset" id="dataset" aria-describedby=[self.described("dataset")] {
                    option value="" selected[wanted.is_empty()] { "all datasets" }
                    // A link may name a dataset in another case, or by its slug.
                    @if !is_known { option value=(wanted) selected { (wanted) } }
                    @for dataset in self.datasets {
                        option value=(dataset.name) selected[dataset.name == wanted] { (dataset.name) }
                    }
                }
                (self.mistakes_of("dataset"))
            }
        }
    }

    fn times(&self) -> Markup {
        let range = if self.typed.range.is_empty() { RANGE_DEFAULT } else { &self.typed.range };
        let is_known = RANGES.iter().any(|(text, _)| *text == range);
        html! {
            div.clause {
                label for="range" { "Time" }
                select name="range" id="range" aria-describedby=[self.described("range")] {
                    @if !is_known { option value=(range) selected { (range) } }
                    @for (text, name) in RANGES {
                        option value=(text) selected[text == range] { (name) }
                    }
                }
                (self.mistakes_of("range"))
            }
            (self.text("start", "or from", &self.typed.start, "2026-11-22 10:00 UTC"))
            (self.text("end", "until", &self.typed.end, "UTC"))
        }
    }

    fn suggestions(&self) -> Markup {
        let numeric = self.columns.iter().filter(|name| name.ends_with("_ms") || name.ends_with(".size"));
        html! {
            datalist id="columns" {
                @for name in self.columns { option value=(super::clause::write_name(name)) {} }
            }
            datalist id="calculations" {
                option value="COUNT" {}
                @for name in numeric {
                    @for op in ["P99", "P50", "MAX", "HEATMAP"] {
                        option value={ (op) "(" (super::clause::write_name(name)) ")" } {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(typed: &Typed, mistakes: &[Mistake]) -> String {
        Form { typed, mistakes, datasets: &[], columns: &["a\"b".to_owned()] }.render().into_string()
    }

    #[test]
    fn what_was_typed_comes_back_with_its_mistakes_escaped() {
        let attack = r#""><script>alert(1)</script>"#.to_owned();
        let typed = Typed {
            dataset: attack.clone(),
            select: attack.clone(),
            wheres: vec![attack.clone(), attack.clone()],
            groups: vec![attack.clone()],
            having: attack.clone(),
            order: attack.clone(),
            limit: attack.clone(),
            range: attack.clone(),
            start: attack.clone(),
            end: attack.clone(),
            step: attack.clone(),
            ..Typed::default()
        };
        let mistakes = [
            "select", "where", "group", "having", "order", "limit", "range", "start", "end", "step",
            "dataset", "query",
        ];
        let mistakes = mistakes.map(|field| Mistake { field, text: attack.clone() });
        let form = render(&typed, &mistakes);
        assert!(!form.contains("<script"), "{form}");
        // The dataset and the range stand in an attribute and in a text.
        assert_eq!(form.matches("&lt;script&gt;alert(1)").count(), 14 + mistakes.len(), "{form}");
        assert_eq!(form.matches(r#"aria-invalid="true""#).count(), 10, "{form}");
    }

    #[test]
    fn there_is_always_room_for_one_more_condition() {
        let typed = Typed { wheres: vec!["a exists".to_owned()], ..Typed::default() };
        let form = render(&typed, &[]);
        assert_eq!(
            (form.matches(r#"name="where""#).count(), form.matches(r#"name="group""#).count()),
            (2, 3)
        );
        assert!(form.contains(r#"id="where-1" value="""#) && !form.contains("error"), "{form}");
    }
}
