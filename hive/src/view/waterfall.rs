//! Waterfalls: take the events of a trace or of a request, give them in order with a bar for the time each took.
//!
//! A trace is a tree by the ids of its spans; a span whose parent is not kept stands at the top and says so. The events
//! of a request are a list by their beginning: a line of an access log is written when the request ends, so it begins
//! its duration earlier, while an application's request has the time of its start.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::{Map, Value as Json};

use super::chart::percent;
use super::events;
use super::page::scrolling;
use super::text;
use crate::store::RawEvent;

/// Colours of bars, as those of lines.
const COLOURS: usize = 10;

/// Deepest indentation.
const DEPTH_MAX: usize = 12;

/// What joins the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    Trace,
    Request,
}

impl Join {
    pub(super) fn column(self) -> &'static str {
        match self {
            Join::Trace => "trace.trace_id",
            Join::Request => "request_id",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Join::Trace => "Trace",
            Join::Request => "Request",
        }
    }
}

/// An event in its place.
struct Bar {
    /// Among the events as they were given.
    index: usize,
    depth: usize,
    /// The parent that is not there.
    missing_parent: Option<String>,
}

struct Span<'a> {
    event: &'a RawEvent,
    data: Map<String, Json>,
    begin: Timestamp,
    /// Milliseconds.
    duration: Option<f64>,
}

impl Span<'_> {
    fn new(event: &RawEvent, join: Join) -> Span<'_> {
        let data = events::fields(event);
        let duration = data.get("duration_ms").and_then(Json::as_f64).filter(|ms| *ms >= 0.0);
        let begin = match duration {
            Some(ms) if join == Join::Request && is_written_at_the_end(&data) => before(event.time, ms),
            _ => event.time,
        };
        Span { event, data, begin, duration }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.data.get(name).and_then(Json::as_str)
    }

    /// Who told of it.
    fn source(&self) -> String {
        let parts = ["service.name", "log.format"].into_iter().filter_map(|name| self.text(name));
        let source = parts.collect::<Vec<_>>().join(" · ");
        if source.is_empty() { self.event.dataset.clone() } else { source }
    }
}

/// Whether the time of an event is its end: so it is in all formats of nginx.
fn is_written_at_the_end(data: &Map<String, Json>) -> bool {
    data.get("log.format").and_then(Json::as_str).is_some_and(|format| format.contains("nginx"))
}

fn before(time: Timestamp, ms: f64) -> Timestamp {
    let duration = jiff::SignedDuration::try_from_secs_f64(ms / 1_000.0).ok();
    duration.and_then(|duration| time.checked_sub(duration).ok()).unwrap_or(time)
}

pub(super) fn draw(join: Join, id: &str, given: &[RawEvent], matched: usize) -> Markup {
    let spans: Vec<Span<'_>> = given.iter().map(|event| Span::new(event, join)).collect();
    let bars = match join {
        Join::Trace => tree(&spans),
        Join::Request => list(&spans),
    };
    let begin = spans.iter().map(|span| span.begin).min().unwrap_or_default();
    let ends = spans.iter().map(|span| since(begin, span.begin) + span.duration.unwrap_or(0.0));
    let total = ends.fold(0.0, f64::max);
    let mut sources: Vec<String> = Vec::new();
    for span in &spans {
        if !sources.contains(&span.source()) {
            sources.push(span.source());
        }
    }
    let missing = bars.iter().filter(|bar| bar.missing_parent.is_some()).count() as u64;
    let table = html! {
        table.waterfall {
            caption { "By time; bars over " (text::duration(total)) }
            thead {
                tr {
                    th scope="col" { "What" } th scope="col" { "From" } th.num scope="col" { "Begins" }
                    th.num scope="col" { "Took" } th.bar scope="col" { "0 to " (text::duration(total)) }
                }
            }
            tbody { @for bar in &bars { (row(bar, &spans[bar.index], begin, total, &sources)) } }
        }
    };
    let is_rough = join == Join::Request
        && spans
            .iter()
            .any(|span| is_written_at_the_end(&span.data) && span.event.time.subsec_nanosecond() == 0);
    html! {
        h1 { (join.name()) " " span.id { (id) } }
        p.quiet {
            (text::count(spans.len() as u64, "event"))
            @if matched > spans.len() { " (the first of " (text::integer(matched as u64)) ")" }
            " from " (text::count(sources.len() as u64, "source"))
            @if !spans.is_empty() { ", beginning " (text::moment(begin)) " UTC" }
            @if missing > 0 { "; " (text::count(missing, "parent")) " not kept here" }
        }
        @if spans.is_empty() {
            p.empty { "None of the kept events has this id. It may be gone, or never have come." }
        } @else {
            (scrolling("Waterfall", &table))
            @if is_rough {
                p.quiet { "nginx writes whole seconds: what a request took is exact there, when it began is not." }
            }
        }
    }
}

/// Milliseconds from one time to another.
fn since(begin: Timestamp, time: Timestamp) -> f64 {
    time.duration_since(begin).as_secs_f64() * 1_000.0
}

fn row(bar: &Bar, span: &Span<'_>, begin: Timestamp, total: f64, sources: &[String]) -> Markup {
    let source = span.source();
    let colour = sources.iter().position(|known| *known == source).unwrap_or(0) % COLOURS;
    let offset = since(begin, span.begin);
    let share = |ms: f64| percent(if total > 0.0 { (ms / total).clamp(0.0, 1.0) } else { 0.0 });
    let title = span.text("name").map_or_else(|| text::summary(&span.data), str::to_owned);
    let body = span.text("body").filter(|body| *body != title);
    html! {
        tr {
            th scope="row" {
                div class={ "indent d" (bar.depth.min(DEPTH_MAX)) } {
                    a href=(events::path(span.event)) { (text::clip(&title, 120)) }
                    @if let Some(body) = body { " " span.quiet { (text::clip(body, 120)) } }
                    @if let Some(parent) = &bar.missing_parent {
                        div.missing { "its parent " (text::clip(parent, 40)) " is not kept here" }
                    }
                }
            }
            td.source { (source) }
            td.num { (text::duration(offset)) }
            td.num { @if let Some(ms) = span.duration { (text::duration(ms)) } @else { "–" } }
            td.bar {
                svg aria-hidden="true" width="100%" height="16" {
                    line.grid x1="0" x2="100%" y1="8" y2="8" {}
                    @if let Some(ms) = span.duration {
                        rect class={ "span f" (colour) } x=(share(offset)) y="2" width=(share(ms)) height="12" rx="2" {}
                        // However short it was, it shows.
                        line class={ "edge s" (colour) } x1=(share(offset)) x2=(share(offset)) y1="2" y2="14" {}
                    } @else {
                        circle class={ "span f" (colour) } cx=(share(offset)) cy="8" r="4" {}
                    }
                }
            }
        }
    }
}

fn list(spans: &[Span<'_>]) -> Vec<Bar> {
    let mut order: Vec<usize> = (0..spans.len()).collect();
    // What takes longer holds the others, where they begin at the same time.
    let length = |index: usize| spans[index].duration.unwrap_or(0.0);
    order.sort_by(|&left, &right| {
        spans[left].begin.cmp(&spans[right].begin).then(length(right).total_cmp(&length(left)))
    });
    order.into_iter().map(|index| Bar { index, depth: 0, missing_parent: None }).collect()
}

/// Spans below their parents, all in the order of their beginnings.
fn tree(spans: &[Span<'_>]) -> Vec<Bar> {
    let by_time = list(spans);
    let ids: HashSet<&str> = spans.iter().filter_map(|span| span.text("trace.span_id")).collect();
    let mut children: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut roots: Vec<(usize, Option<String>)> = Vec::new();
    for &Bar { index, .. } in &by_time {
        match spans[index].text("trace.parent_id").filter(|parent| !parent.is_empty()) {
            None => roots.push((index, None)),
            Some(parent) if ids.contains(parent) => children.entry(parent).or_default().push(index),
            Some(parent) => roots.push((index, Some(parent.to_owned()))),
        }
    }
    // Spans that are each other's parents hang below no root, and are roots themselves.
    roots.extend(by_time.iter().map(|bar| (bar.index, None)));
    let mut bars = Vec::new();
    let mut seen = vec![false; spans.len()];
    for (root, missing_parent) in roots {
        let mut open = vec![Bar { index: root, depth: 0, missing_parent }];
        while let Some(bar) = open.pop() {
            if std::mem::replace(&mut seen[bar.index], true) {
                continue;
            }
            let id = spans[bar.index].text("trace.span_id");
            let below = id.and_then(|id| children.get(id)).into_iter().flatten().rev();
            open.extend(below.map(|&index| Bar { index, depth: bar.depth + 1, missing_parent: None }));
            bars.push(bar);
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use serde_json::value::to_raw_value;

    fn events(given: &[(i64, Json)]) -> Vec<RawEvent> {
        let event = |(id, (ms, data)): (usize, &(i64, Json))| RawEvent {
            id: id as u64,
            dataset: "<b>web</b>".to_owned(),
            time: Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap(),
            samplerate: 1,
            data: to_raw_value(data).unwrap().into(),
        };
        given.iter().enumerate().map(event).collect()
    }

    fn placed(events: &[RawEvent]) -> Vec<(usize, usize, Option<String>)> {
        let spans: Vec<_> = events.iter().map(|event| Span::new(event, Join::Trace)).collect();
        tree(&spans).into_iter().map(|bar| (bar.index, bar.depth, bar.missing_parent)).collect()
    }

    #[test]
    fn spans_hang_below_their_parents_and_missing_parents_are_said() {
        let events = events(&[
            (50, json!({ "trace.span_id": "c", "trace.parent_id": "a" })),
            (0, json!({ "trace.span_id": "a", "duration_ms": 100 })),
            (10, json!({ "trace.span_id": "b", "trace.parent_id": "a" })),
            (20, json!({ "trace.parent_id": "b", "meta.annotation_type": "span_event" })),
            (5, json!({ "trace.span_id": "x", "trace.parent_id": "<gone>" })),
        ]);
        let gone = Some("<gone>".to_owned());
        assert_eq!(placed(&events), [(1, 0, None), (2, 1, None), (3, 2, None), (0, 1, None), (4, 0, gone)]);
        let page = draw(Join::Trace, "<id>", &events, 9).into_string();
        assert!(page.contains("its parent &lt;gone&gt; is not kept here"), "{page}");
        assert!(
            page.contains("5 events (the first of 9)") && page.contains("1 parent not kept here"),
            "{page}"
        );
        assert!(
            page.contains("&lt;id&gt;") && page.contains("&lt;b&gt;web") && !page.contains("<b>"),
            "{page}"
        );
    }

    #[test]
    fn spans_in_a_circle_are_shown_once() {
        let events = events(&[
            (0, json!({ "trace.span_id": "a", "trace.parent_id": "b" })),
            (1, json!({ "trace.span_id": "b", "trace.parent_id": "a" })),
            (2, json!({ "trace.span_id": "c", "trace.parent_id": "c" })),
        ]);
        assert_eq!(placed(&events), [(0, 0, None), (1, 1, None), (2, 0, None)]);
    }

    #[test]
    fn a_line_of_an_access_log_begins_its_duration_earlier() {
        let events = events(&[
            (100, json!({ "log.format": "ingress-nginx", "duration_ms": 100.0, "name": "proxy" })),
            (10, json!({ "log.format": "phoenix", "duration_ms": 80, "name": "app" })),
            (30, json!({ "log.format": "phoenix", "name": "line" })),
        ]);
        let spans: Vec<_> = events.iter().map(|event| Span::new(event, Join::Request)).collect();
        let begin = spans[0].begin;
        let order: Vec<_> = list(&spans).iter().map(|bar| since(begin, spans[bar.index].begin)).collect();
        assert_eq!(order, [0.0, 10.0, 30.0]);
        let page = draw(Join::Request, "r1", &events, 3).into_string();
        assert!(
            page.contains(r#"x="10.00%" y="2" width="80.00%""#) && page.contains(r#"cx="30.00%""#),
            "{page}"
        );
    }

    #[test]
    fn durations_beyond_all_time_do_no_harm() {
        let events = events(&[
            (0, json!({ "log.format": "nginx", "duration_ms": 1e300 })),
            (1, json!({ "duration_ms": -1 })),
        ]);
        assert!(draw(Join::Request, "r", &events, 2).into_string().contains("2 events"));
        assert!(draw(Join::Request, "r", &[], 0).into_string().contains("None of the kept events"));
    }
}
