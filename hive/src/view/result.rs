//! Results: take the answer to a query, give its charts and its table, or its events; and what to do if there are none.

use maud::{Markup, html};

use super::ask::{Ask, Range};
use super::chart;
use super::events;
use super::form::RANGES;
use super::heatmap;
use super::series;
use super::table;
use super::text;
use crate::query::{Op, Outcome, Query, Rows};

/// What a query gave.
pub(super) enum Found {
    Groups(Outcome),
    Events(Rows, Outcome),
}

impl Found {
    fn outcome(&self) -> &Outcome {
        match self {
            Found::Groups(outcome) | Found::Events(_, outcome) => outcome,
        }
    }
}

/// How much of what was looked at matches, where it is a part of it.
fn share(outcome: &Outcome) -> Option<String> {
    let part = (1..outcome.looked_at).contains(&outcome.matched);
    part.then(|| format!("{:.1} %", 100.0 * outcome.matched as f64 / outcome.looked_at as f64))
}

pub(super) fn draw(ask: &Ask, found: &Found) -> Markup {
    let outcome = found.outcome();
    html! {
        (ranges(ask))
        div.heading {
            (tabs(ask))
            p.quiet id="account" {
                strong { (text::integer(outcome.matched)) } " of " (text::count(outcome.looked_at, "event")) " match"
                @if let Some(share) = share(outcome) { " (" (share) ")" } " · "
                (chart::range(outcome.axis)) " · " (outcome.elapsed_ms) " ms"
                @if ask.range == Range::Live { " · live, " a href=(ask.over(Range::Told, Some(600)).url()) { "Pause" } }
            }
        }
        @if let Some(of) = &ask.of { (of_group(ask, of)) }
        @match found {
            _ if outcome.matched == 0 => (nothing(ask, outcome)),
            Found::Groups(outcome) => (groups(ask, outcome)),
            Found::Events(rows, _) => (list(ask, rows)),
        }
    }
}

/// Other ranges for the same question, a click each.
fn ranges(ask: &Ask) -> Markup {
    let typed = ask.typed();
    let is_default = typed.range.is_empty() && typed.start.is_empty() && typed.end.is_empty();
    let over = |text: &str| match text {
        "live" => ask.over(Range::Live, None),
        "all" => ask.over(Range::All, None),
        "1h" => ask.over(Range::Told, Some(3_600)),
        "24h" => ask.over(Range::Told, Some(86_400)),
        "7d" => ask.over(Range::Told, Some(604_800)),
        _ => ask.over(Range::Told, Some(7_200)),
    };
    html! {
        nav.ranges aria-label="Time" {
            @for (text, name) in RANGES {
                @let other = over(text);
                @let is_it = (other.query.time_range, other.range) == (ask.query.time_range, ask.range)
                    && typed.start.is_empty() && typed.end.is_empty() || (is_default && text == "2h");
                a href=(other.url()) aria-current=[is_it.then_some("true")] { (name) }
            }
        }
    }
}

fn tabs(ask: &Ask) -> Markup {
    let results = Ask { events: false, of: None, ..ask.clone() };
    let rows = Ask { events: true, ..ask.clone() };
    html! {
        nav.tabs aria-label="View" {
            a href=(results.url()) aria-current=[(!ask.events).then_some("page")] { "Results" }
            a href=(rows.url()) aria-current=[ask.events.then_some("page")] { "Events" }
        }
    }
}

fn of_group(ask: &Ask, of: &[crate::query::Value]) -> Markup {
    let all = Ask { of: None, ..ask.clone() };
    html! {
        p.chip {
            "Only the group " strong { (ask.query.breakdowns.join(" · ")) " = " (text::group(of)) } " "
            a href=(all.url()) { "show all events" }
        }
    }
}

fn groups(ask: &Ask, outcome: &Outcome) -> Markup {
    let mut heatmaps = outcome.heatmaps.iter();
    html! {
        div.charts {
            @for (place, calculation) in outcome.calculations.iter().enumerate() {
                @if calculation.op == Op::Heatmap {
                    @if let Some(heatmap) = heatmaps.next() { (heatmap::draw(outcome, heatmap)) }
                } @else {
                    (series::draw(outcome, place))
                }
            }
        }
        @if outcome.groups.is_empty() {
            p.empty { "None of the " (text::count(outcome.groups_total as u64, "group")) " has what HAVING wants." }
        } @else {
            (table::draw(ask, outcome))
        }
    }
}

fn list(ask: &Ask, rows: &Rows) -> Markup {
    if rows.events.is_empty() {
        return html! { p.empty { "No event is of this group, or none any more." } };
    }
    html! {
        p.quiet {
            @if rows.matched > rows.events.len() {
                "The newest " (text::integer(rows.events.len() as u64)) " of "
            }
            (text::count(rows.matched as u64, "event")) ": open a line for all its fields; click a value for the events that have it, ≠ for \
             the others."
        }
        (events::list(ask, &rows.events))
    }
}

/// What to do when nothing matches.
fn nothing(ask: &Ask, outcome: &Outcome) -> Markup {
    let everything = ask.over(Range::All, None);
    let filters = &ask.query.filters;
    let without = |place: usize| {
        let mut filters = filters.clone();
        filters.remove(place);
        Ask { query: Query { filters, ..ask.query.clone() }, ..ask.clone() }.url()
    };
    html! {
        section.empty {
            @if outcome.looked_at == 0 {
                h2 { "No events in this time" }
                p {
                    "There is none from " (chart::range(outcome.axis)) ". "
                    @if ask.range != Range::All {
                        a href=(everything.url()) { "Ask over all that is kept" } ", or choose another time above."
                    }
                }
            } @else {
                h2 { "No event matches" }
                p { "There are " (text::count(outcome.looked_at, "event")) " in this time, and the conditions hold for none. Take one out:" }
                ul {
                    @for (place, filter) in filters.iter().enumerate() {
                        li { a href=(without(place)) { "without " code { (super::clause::write_filter(filter)) } } }
                    }
                }
                @if ask.range != Range::All { p { "Or " a href=(everything.url()) { "ask over all that is kept" } "." } }
            }
        }
    }
}
