//! The column browser: takes what is known of the columns of a dataset, gives a table with a question to each.

use maud::{Markup, html};

use super::ask::{Ask, Range};
use super::event;
use super::page::scrolling;
use super::text;
use crate::query::{ColumnStats, ColumnType};
use crate::store::Dataset;

/// Most columns on a page.
const COLUMNS_SHOWN: usize = 500;

pub(super) struct Browser<'a> {
    pub(super) dataset: Option<&'a str>,
    pub(super) datasets: &'a [Dataset],
    /// Only columns with this in their names.
    pub(super) like: &'a str,
    pub(super) columns: &'a [ColumnStats],
    /// Kept events of the dataset.
    pub(super) events: u64,
}

impl Browser<'_> {
    pub(super) fn draw(&self) -> Markup {
        let like = self.like.to_lowercase();
        let found: Vec<_> =
            self.columns.iter().filter(|column| column.name.to_lowercase().contains(&like)).collect();
        html! {
            h1 { "Columns of " (self.dataset.unwrap_or("all datasets")) }
            (self.search())
            p.quiet {
                (text::count(found.len() as u64, "column")) " in " (text::count(self.events, "kept event"))
                @if found.len() > COLUMNS_SHOWN { "; the first " (COLUMNS_SHOWN) " are shown: search for the others" }
            }
            @if found.is_empty() {
                p.empty { "No column has that in its name. " a href=(super::typed::link("/columns", &self.dataset.iter().map(|name| ("dataset", *name)).collect::<Vec<_>>())) { "Show all columns" } }
            } @else {
                (self.table(&found))
            }
        }
    }

    fn search(&self) -> Markup {
        html! {
            form.search action="/columns" method="get" aria-label="Columns" {
                label for="dataset" { "Dataset" }
                select name="dataset" id="dataset" {
                    option value="" { "all datasets" }
                    @for dataset in self.datasets {
                        option value=(dataset.name) selected[self.dataset == Some(&dataset.name)] { (dataset.name) }
                    }
                }
                label for="like" { "Name contains" }
                input type="search" name="like" id="like" value=(self.like) autocomplete="off" spellcheck="false";
                button type="submit" { "Show" }
            }
        }
    }

    fn table(&self, found: &[&ColumnStats]) -> Markup {
        let ask = Ask { dataset: self.dataset.map(str::to_owned), range: Range::All, ..Ask::default() };
        let table = html! {
            table.columns {
                thead {
                    tr {
                        th scope="col" { "Name" } th scope="col" { "Type" } th.num scope="col" { "Events" }
                        th scope="col" { "Examples, the newest first" } th scope="col" { "Ask" }
                    }
                }
                tbody {
                    @for column in found.iter().take(COLUMNS_SHOWN) {
                        tr {
                            th scope="row" { (column.name) }
                            td { (types(column)) }
                            td.num { (text::integer(column.events)) " " span.unit { (self.share(column.events)) } }
                            td.examples { @for example in &column.examples { code { (example) } " " } }
                            td.asks { (event::asks(&ask, &column.name, is_number(column))) }
                        }
                    }
                }
            }
        };
        scrolling("Columns", &table)
    }

    fn share(&self, events: u64) -> String {
        match events * 100 / self.events.max(1) {
            0 => "<1%".to_owned(),
            percent => format!("{percent}%"),
        }
    }
}

fn types(column: &ColumnStats) -> String {
    let name = |kind: &ColumnType| match kind {
        ColumnType::String => "string",
        ColumnType::Float => "float",
        ColumnType::Integer => "integer",
        ColumnType::Boolean => "boolean",
    };
    column.types.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn is_number(column: &ColumnStats) -> bool {
    column.types.iter().any(|kind| matches!(kind, ColumnType::Float | ColumnType::Integer))
}
