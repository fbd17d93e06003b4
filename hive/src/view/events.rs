//! Events: takes stored events, gives a list whose lines unfold to all fields. A click on a value adds a condition.

use maud::{Markup, html};
use serde_json::{Map, Value as Json};

use super::ask::Ask;
use super::text;
use super::typed::link;
use crate::limits::VALUE_CHARS_SHOWN;
use crate::query::FilterOp;
use crate::store::RawEvent;

/// Most fields of an event in a list; its own page has all of them.
const FIELDS_LISTED: usize = 100;

/// Longest value that a click makes a condition of, in bytes: links have bounds.
const VALUE_BYTES_LINKED: usize = 500;

/// The columns by which events belong together, with their pages.
const JOINS: [(&str, &str, &str); 2] =
    [("trace.trace_id", "/trace", "Trace"), ("request_id", "/request", "Request")];

/// The fields of an event by name.
pub(super) fn fields(event: &RawEvent) -> Map<String, Json> {
    // Only text that parses is accepted, so the default is out of reach.
    serde_json::from_str(event.data.get()).unwrap_or_default()
}

pub(super) fn path(event: &RawEvent) -> String {
    format!("/event/{}", event.id)
}

/// A list of events that unfold.
pub(super) fn list(ask: &Ask, events: &[RawEvent]) -> Markup {
    html! {
        div.events {
            @for event in events { (unfolding(ask, event)) }
        }
    }
}

fn unfolding(ask: &Ask, event: &RawEvent) -> Markup {
    let data = fields(event);
    let more = data.len().saturating_sub(FIELDS_LISTED);
    html! {
        details.event {
            summary { (line(event, &data, ask.dataset.is_none())) }
            p.actions {
                a href=(path(event)) { "Open" }
                (joins(&data))
                @if event.samplerate > 1 { span.quiet { "stands for " (text::integer(event.samplerate)) " events" } }
            }
            dl {
                @for (name, value) in data.iter().take(FIELDS_LISTED) {
                    div { dt { (name) } dd { (linked(ask, name, value)) } }
                }
            }
            @if more > 0 { p { a href=(path(event)) { "and " (text::count(more as u64, "field")) " more" } } }
        }
    }
}

/// An event in a line: when, of which dataset, what, how long.
pub(super) fn line(event: &RawEvent, data: &Map<String, Json>, with_dataset: bool) -> Markup {
    let severe = data.get("error").is_some_and(|error| *error == Json::Bool(true));
    html! {
        (time(event))
        @if with_dataset { span.dataset { (event.dataset) } }
        span.gist { @if severe { span.severe title="error = true" { "error" } " " } (text::summary(data)) }
        span.took { @if let Some(ms) = data.get("duration_ms").and_then(Json::as_f64) { (text::duration(ms)) } }
    }
}

pub(super) fn time(event: &RawEvent) -> Markup {
    html! { time datetime=(event.time) title=(event.time) { (text::moment(event.time)) } }
}

/// Links to what an event belongs to.
pub(super) fn joins(data: &Map<String, Json>) -> Markup {
    html! {
        @for (column, path, name) in JOINS {
            @if let Some(id @ (Json::String(_) | Json::Number(_))) = data.get(column) {
                @let id = text::json(id);
                a href=(link(path, &[("id", &id)])) { (name) " " (text::clip(&id, 12)) }
            }
        }
    }
}

/// A value, from which a click goes to the events that have it, or to those that don't.
pub(super) fn linked(ask: &Ask, name: &str, value: &Json) -> Markup {
    let text = text::json(value);
    let shown = text::clip(&text, VALUE_CHARS_SHOWN);
    if matches!(value, Json::Null | Json::Array(_) | Json::Object(_)) || text.len() > VALUE_BYTES_LINKED {
        return html! {
            (shown)
            @if text.len() > shown.len() { " " span.quiet { "(" (text::integer(text.len() as u64)) " bytes)" } }
        };
    }
    let with = |op| Ask { events: true, ..ask.with_filter(name, op, value.clone()) }.url();
    html! {
        a.only href=(with(FilterOp::Equal)) title="Only events with this value" {
            @if text.is_empty() { span.quiet { "(empty)" } } @else { (shown) }
        }
        " "
        a.without href=(with(FilterOp::NotEqual)) title="Without this value" aria-label={ "Without this value of " (name) } { "≠" }
    }
}
