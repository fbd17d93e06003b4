//! The start page: what is kept, ready questions, and what came last. It loads itself again until it is paused.

use std::collections::HashSet;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::chart::place;
use super::events;
use super::page::scrolling;
use super::questions;
use super::text;
use super::typed::link;
use crate::query::{QueryError, Scope, Value, glance};
use crate::stats::Stats;
use crate::store::{Dataset, RawEvent, Snapshot};

/// Bars of a small chart.
const SPARK_BUCKETS: i64 = 60;

/// Datasets and events on the page.
const DATASETS_SHOWN: usize = 30;
const EVENTS_SHOWN: usize = 15;

/// All that the page shows of the events.
pub(super) struct Glance {
    datasets: Vec<Kept>,
    datasets_more: usize,
    newest: Vec<RawEvent>,
    /// A request that both the proxy and the app told of.
    request: Option<Value>,
}

struct Kept {
    dataset: Dataset,
    /// Kept events over time.
    spread: Vec<u64>,
    columns: HashSet<&'static str>,
}

impl Glance {
    pub(super) fn take(snapshot: &Snapshot, scope: Scope) -> Result<Glance, QueryError> {
        let span = glance::span(snapshot, scope);
        let spread = span.map(|(oldest, newest)| {
            glance::spread(snapshot, glance::axis_over(oldest.as_second(), newest.as_second(), SPARK_BUCKETS))
        });
        let columns = glance::present(snapshot, scope, &questions::columns())?;
        let spread = spread.unwrap_or_else(|| vec![Vec::new(); columns.len()]);
        let kept = snapshot.datasets().iter().zip(spread).zip(columns);
        let mut datasets: Vec<Kept> = kept
            .map(|((dataset, spread), columns)| Kept { dataset: dataset.clone(), spread, columns })
            .collect();
        datasets.retain(|kept| kept.dataset.events > 0);
        datasets.sort_unstable_by(|left, right| left.dataset.name.cmp(&right.dataset.name));
        let datasets_more = datasets.len().saturating_sub(DATASETS_SHOWN);
        datasets.truncate(DATASETS_SHOWN);
        let newest = glance::newest(snapshot, EVENTS_SHOWN);
        Ok(Glance { datasets, datasets_more, newest, request: glance::crossing(snapshot) })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.datasets.is_empty()
    }

    pub(super) fn draw(&self, stats: &Stats, is_paused: bool) -> Markup {
        let columns: Vec<_> =
            self.datasets.iter().map(|kept| (kept.dataset.name.clone(), kept.columns.clone())).collect();
        html! {
            div.heading {
                h1 { "What is kept" }
                p.quiet {
                    (text::count(stats.events_accepted, "event")) " accepted, " (text::integer(stats.events_refused))
                    " refused, in " (text::count(stats.requests, "request")) " · "
                    @if is_paused { a href="/" { "Resume" } } @else { "live · " a href="/?pause=1" { "Pause" } }
                }
            }
            (scrolling("Datasets", &self.table()))
            h2 { "Questions" }
            (questions::draw(&columns, self.request.as_ref()))
            h2 { "Newest events" }
            ul.newest {
                @for event in &self.newest {
                    li { a href=(events::path(event)) { (events::line(event, &events::fields(event), true)) } }
                }
            }
        }
    }

    fn table(&self) -> Markup {
        html! {
            table.datasets {
                thead {
                    tr {
                        th scope="col" { "Dataset" } th.num scope="col" { "Kept" } th.num scope="col" { "Accepted" }
                        th scope="col" { "Over the time kept" } th scope="col" { "Newest, UTC" } th scope="col" { "Ask" }
                    }
                }
                tbody {
                    @for Kept { dataset, spread, .. } in &self.datasets {
                        @let about = [("dataset", dataset.name.as_str())];
                        @let query = |extra| link("/query", &[about[0], ("range", "all"), extra]);
                        tr {
                            th scope="row" { a href=(query(("select", "COUNT"))) { (dataset.name) } }
                            td.num { (text::integer(spread.iter().sum::<u64>())) }
                            td.num { (text::integer(dataset.events)) }
                            td { (sparkline(spread)) }
                            td.time { (text::moment(dataset.timestamp_newest)) }
                            td.asks {
                                a href=(query(("view", "events"))) aria-label={ "Events of " (dataset.name) } { "events" } " "
                                a href=(link("/columns", &about)) aria-label={ "Columns of " (dataset.name) } { "columns" }
                            }
                        }
                    }
                }
            }
            @if self.datasets_more > 0 { p.quiet { "and " (text::count(self.datasets_more as u64, "dataset")) " more" } }
        }
    }
}

fn sparkline(spread: &[u64]) -> Markup {
    let most = spread.iter().copied().max().unwrap_or(0).max(1) as f64;
    let mut path = String::new();
    for (bucket, &count) in spread.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (x, y) = (place(bucket as f64 / spread.len() as f64), place(1.0 - count as f64 / most));
        // Writing to a string does not fail.
        let _ = write!(path, "M{x} 1000V{y}h{}V1000z", place(0.9 / spread.len() as f64));
    }
    html! {
        svg.spark aria-hidden="true" viewBox="0 0 1000 1000" preserveAspectRatio="none" width="160" height="24" {
            path.bars d=(path) {}
        }
    }
}
