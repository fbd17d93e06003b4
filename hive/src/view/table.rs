//! The table of a result: takes an outcome, gives its groups with their values, and the totals.
//!
//! A group links to its events, the head of a column to the order by it.

use maud::{Markup, html};

use super::ask::Ask;
use super::page::scrolling;
use super::series::{GROUPS_DRAWN, swatch};
use super::text::{self, Unit};
use crate::query::{Direction, Group, Op, Order, Outcome, Scalar, Value};

/// Longest value of a breakdown, in characters.
const KEY_CHARS: usize = 200;

pub(super) fn draw(ask: &Ask, outcome: &Outcome) -> Markup {
    // A heatmap has no value of its own.
    let shown: Vec<usize> = (0..outcome.calculations.len())
        .filter(|&place| outcome.calculations[place].op != Op::Heatmap)
        .collect();
    if shown.is_empty() && outcome.breakdowns.is_empty() {
        return html! {};
    }
    let has_lines = !shown.is_empty() && !outcome.breakdowns.is_empty();
    let keys = outcome.breakdowns.len().max(1);
    let table = html! {
        table.result {
            caption { (caption(outcome)) }
            thead { tr { (head(ask, outcome, &shown)) } }
            tbody {
                @for (index, group) in outcome.groups.iter().enumerate() {
                    tr { (row(ask, outcome, group, (has_lines && index < GROUPS_DRAWN).then_some(index), &shown)) }
                }
            }
            @if !outcome.breakdowns.is_empty() && !shown.is_empty() {
                tfoot {
                    tr {
                        th scope="row" colspan=(keys) { "All " (text::count(outcome.groups_total as u64, "group")) }
                        @for &place in &shown { (cell(outcome, place, &outcome.totals[place])) }
                    }
                }
            }
        }
    };
    scrolling("Result", &table)
}

fn caption(outcome: &Outcome) -> String {
    let (shown, total) = (outcome.groups.len() as u64, outcome.groups_total as u64);
    if outcome.breakdowns.is_empty() {
        "Over all events that match".to_owned()
    } else if shown < total {
        format!("{} of {}", text::integer(shown), text::count(total, "group"))
    } else {
        text::count(total, "group")
    }
}

fn head(ask: &Ask, outcome: &Outcome, shown: &[usize]) -> Markup {
    html! {
        @if outcome.breakdowns.is_empty() { th scope="col" { "Events" } }
        @for column in &outcome.breakdowns {
            (sortable(ask, column, &Order { column: Some(column.clone()), op: None, order: Direction::Ascending }, false))
        }
        @for &place in shown {
            @let calculation = &outcome.calculations[place];
            @let order = Order { column: calculation.column.clone(), op: Some(calculation.op), order: Direction::Descending };
            (sortable(ask, &calculation.to_string(), &order, true))
        }
    }
}

/// The head of a column, as a link to the order by it; the other way round if it is in this order.
fn sortable(ask: &Ask, name: &str, order: &Order, is_number: bool) -> Markup {
    let sorted = ask.is_sorted_by(order);
    let mut order = order.clone();
    if sorted == Some(order.order) {
        order.order = match order.order {
            Direction::Ascending => Direction::Descending,
            Direction::Descending => Direction::Ascending,
        };
    }
    let (state, sign) = match sorted {
        None => (None, ""),
        Some(Direction::Ascending) => (Some("ascending"), " ▲"),
        Some(Direction::Descending) => (Some("descending"), " ▼"),
    };
    html! {
        th.num[is_number] scope="col" aria-sort=[state] {
            a href=(ask.with_order(order).url()) { (name) (sign) }
        }
    }
}

fn row(ask: &Ask, outcome: &Outcome, group: &Group, line: Option<usize>, shown: &[usize]) -> Markup {
    let link = ask.of_group(&group.key).url();
    html! {
        th scope="row" {
            @if let Some(index) = line { (swatch(index)) " " }
            a href=(link) {
                @match group.key.first() {
                    Some(value) => (key(value)),
                    None => "all events",
                }
            }
        }
        @for value in group.key.iter().skip(1) { td { (key(value)) } }
        @for &place in shown { (cell(outcome, place, &group.values[place])) }
    }
}

fn key(value: &Value) -> Markup {
    html! {
        @match value {
            Scalar::Null => span.quiet { "(none)" },
            Scalar::Text(text) if text.is_empty() => span.quiet { "(empty)" },
            value => (text::clip(&value.to_string(), KEY_CHARS)),
        }
    }
}

fn cell(outcome: &Outcome, place: usize, value: &Value) -> Markup {
    let unit = Unit::of(&outcome.calculations[place]).name();
    html! {
        td.num {
            (text::value(value))
            @if !unit.is_empty() && value.is_number() { " " span.unit { (unit) } }
        }
    }
}
