//! One event: takes it, gives a page with all its fields, and links to all that it belongs to.

use maud::{Markup, html};

use super::ask::{Ask, Range};
use super::events;
use super::page::scrolling;
use super::text;
use crate::query::{Calculation, FilterOp, Op, Query};
use crate::store::RawEvent;

pub(super) fn draw(event: &RawEvent) -> Markup {
    let data = events::fields(event);
    let ask = Ask { dataset: Some(event.dataset.clone()), range: Range::All, ..Ask::default() };
    let table = html! {
        table.fields {
            caption { (text::count(data.len() as u64, "field")) }
            thead { tr { th scope="col" { "Field" } th scope="col" { "Value" } th scope="col" { "Ask" } } }
            tbody {
                @for (name, value) in &data {
                    tr {
                        th scope="row" { (name) }
                        td.value { (events::linked(&ask, name, value)) }
                        td.asks { (asks(&ask, name, value.is_number())) }
                    }
                }
            }
        }
    };
    html! {
        h1 { (text::clip(&text::summary(&data), 120)) }
        p.quiet {
            "Event " (event.id) " of " a href=(ask.url()) { (event.dataset) } " at " (events::time(event)) " UTC"
            @if event.samplerate > 1 { ", stands for " (text::integer(event.samplerate)) " events" }
        }
        p.actions { (events::joins(&data)) }
        (scrolling("Fields", &table))
        details.numbers { summary { "As JSON" } pre { code { (event.data.get()) } } }
    }
}

/// Questions about a column: also those of the column browser.
pub(super) fn asks(ask: &Ask, column: &str, is_number: bool) -> Markup {
    let with = |query: Query| Ask { query, ..ask.clone() }.url();
    let calculate = |ops: &[Op]| {
        let calculations =
            ops.iter().map(|&op| Calculation { op, column: Some(column.to_owned()) }).collect();
        with(Query { calculations, ..Query::default() })
    };
    let exists = Ask { events: true, ..ask.with_filter(column, FilterOp::Exists, serde_json::Value::Null) };
    html! {
        @if is_number {
            a href=(calculate(&[Op::Heatmap])) aria-label={ "Heatmap of " (column) } { "heatmap" } " "
            a href=(calculate(&[Op::Percentile(500), Op::Percentile(990)])) aria-label={ "P99 of " (column) } { "P99" } " "
        }
        a href=(with(Query { breakdowns: vec![column.to_owned()], ..Query::default() })) aria-label={ "Group by " (column) } { "group by" } " "
        a href=(exists.url()) aria-label={ "Events that have " (column) } { "exists" }
    }
}
