//! The page: takes datasets and events, gives HTML for people at a desk or with a phone.
//!
//! One request, one page: no script, no state in the browser. It reloads itself every two seconds unless paused,
//! since a reload folds an event that is being read. Every value is escaped by the template, and cut when it is
//! very long; `/events` has it in full.

use std::borrow::Cow;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use serde_json::{Map, Value};

use super::query::Query;
use crate::limits::VALUE_CHARS_SHOWN;
use crate::stats::Stats;
use crate::store::{Dataset, Event, StoredEvent};

/// Seconds between reloads.
const REFRESH_SECONDS: u8 = 2;

/// Longest one-line summary of an event, in characters.
const SUMMARY_CHARS_MAX: usize = 200;

/// Fields that say in a line what an event is, the best first.
const SUMMARY_FIELDS: [&str; 2] = ["body", "name"];

/// All that the page shows.
pub(crate) struct Page<'a> {
    pub(crate) url: &'a str,
    pub(crate) sink: bool,
    pub(crate) stats: Stats,
    pub(crate) query: Query,
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) events: Vec<Shown>,
}

/// An event and the instant it happened.
pub(crate) struct Shown {
    timestamp: Timestamp,
    event: Event,
}

impl From<StoredEvent<'_>> for Shown {
    fn from(event: StoredEvent<'_>) -> Shown {
        Shown { timestamp: event.timestamp, event: event.into() }
    }
}

impl Page<'_> {
    pub(crate) fn render(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if !self.query.paused {
                        meta http-equiv="refresh" content=(REFRESH_SECONDS);
                    }
                    title { "hive" }
                    link rel="stylesheet" href="/style.css";
                }
                body {
                    (self.header())
                    main {
                        @if self.sink {
                            p.empty { "This receiver runs as a sink: it counts events and keeps none." }
                        } @else if self.datasets.is_empty() {
                            (self.invitation())
                        } @else {
                            (self.datasets())
                            (self.events())
                        }
                    }
                }
            }
        }
    }

    fn header(&self) -> Markup {
        let dataset = self.query.dataset.as_deref();
        let toggle = Query::link("/", dataset, !self.query.paused);
        html! {
            header {
                h1 { a href="/" { "hive" } }
                p.stats {
                    (count(self.stats.events_accepted, "event")) " accepted, "
                    (self.stats.events_refused) " refused, in "
                    (count(self.stats.requests, "request"))
                }
                nav {
                    a href=(toggle) { @if self.query.paused { "Resume" } @else { "Pause" } }
                    a href=(Query::link("/events", dataset, false)) { "JSON" }
                    a href="/stats" { "Stats" }
                }
            }
        }
    }

    /// What a person sees first: how to get something to see.
    fn invitation(&self) -> Markup {
        let command = format!(
            "curl {}/1/batch/demo -H 'X-Honeycomb-Team: any' -d '[{{\"data\":{{\"body\":\"hello\"}}}}]'",
            self.url
        );
        html! {
            section.empty {
                h2 { "No events yet" }
                p {
                    "Point an agent here: set its Honeycomb API address to " code { (self.url) }
                    " and its API key to anything that is not empty. Events show up on this page as they come."
                }
                p { "Or send one by hand:" }
                pre { code { (command) } }
            }
        }
    }

    fn datasets(&self) -> Markup {
        html! {
            section {
                h2 { "Datasets" }
                ul.datasets {
                    @for dataset in &self.datasets {
                        li {
                            a href=(Query::link("/", Some(&dataset.name), self.query.paused)) { (dataset.name) }
                            span.count { (count(dataset.events, "event")) }
                            (time(dataset.timestamp_newest))
                        }
                    }
                }
            }
        }
    }

    fn events(&self) -> Markup {
        html! {
            section {
                h2 {
                    "Newest events"
                    @if let Some(dataset) = &self.query.dataset {
                        " of " (dataset) " "
                        a href=(Query::link("/", None, self.query.paused)) { "show all" }
                    }
                }
                @if self.events.is_empty() {
                    p.empty { "None of this dataset are kept." }
                }
                @for shown in &self.events {
                    (details(shown))
                }
            }
        }
    }
}

fn details(shown: &Shown) -> Markup {
    let Event { dataset, samplerate, data, .. } = &shown.event;
    html! {
        details {
            summary {
                (time(shown.timestamp))
                span.dataset { (dataset) }
                span.line { (summary(data)) }
            }
            dl {
                @if *samplerate > 1 {
                    div { dt.meta { "sample rate" } dd { (samplerate) } }
                }
                @for (name, value) in data {
                    div { dt { (name) } dd { (clip(&text(value), VALUE_CHARS_SHOWN)) } }
                }
            }
        }
    }
}

fn time(timestamp: Timestamp) -> Markup {
    let text = format!("{timestamp:.3}");
    html! { time datetime=(text) { (text) } }
}

fn count(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// One line for an event.
fn summary(data: &Map<String, Value>) -> String {
    let line = SUMMARY_FIELDS.iter().find_map(|name| data.get(*name)).map(text);
    match line {
        Some(line) => clip(&line, SUMMARY_CHARS_MAX).into_owned(),
        None => count(data.len() as u64, "field"),
    }
}

/// A string as it is, anything else as JSON.
fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn clip(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => Cow::Owned(format!("{}… ({} bytes)", &text[..end], text.len())),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(data: Value, query: &str) -> String {
        let Value::Object(data) = data else { panic!("data is an object") };
        let event = Event { dataset: "a & b".to_owned(), time: "0".to_owned(), samplerate: 4, data };
        let page = Page {
            url: "http://127.0.0.1:1",
            sink: false,
            stats: Stats::default(),
            query: Query::parse(Some(query)).unwrap(),
            datasets: vec![Dataset {
                name: "a & b".to_owned(),
                events: 1,
                timestamp_newest: Timestamp::UNIX_EPOCH,
            }],
            events: vec![Shown { timestamp: Timestamp::UNIX_EPOCH, event }],
        };
        page.render().into_string()
    }

    #[test]
    fn names_and_values_are_escaped() {
        let attack = "<script>alert(1)</script>";
        let page = render(json!({ "body": attack, attack: { attack: attack } }), "dataset=%3Cscript%3E");
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(1)").count(), 5, "{page}");
        assert!(page.contains(r#"href="/?dataset=a+%26+b""#) && page.contains(">a &amp; b<"), "{page}");
    }

    #[test]
    fn an_event_is_summed_up_by_its_body_or_its_name() {
        for (data, line) in [
            (json!({ "name": "GET /", "body": "served" }), "served"),
            (json!({ "name": "GET /", "a": 1 }), "GET /"),
            (json!({ "a": 1, "b": 2 }), "2 fields"),
            (json!({ "a": 1 }), "1 field"),
        ] {
            let page = render(data, "");
            assert!(page.contains(&format!(r#"<span class="line">{line}</span>"#)), "{page}");
        }
    }

    #[test]
    fn all_fields_are_shown_and_long_values_are_cut() {
        let page = render(json!({ "a": 1.5, "b": [1, "x"], "c": null, "d": "ü".repeat(3_000) }), "");
        for value in ["1.5", "[1,&quot;x&quot;]", "null", &format!("{}… (6000 bytes)", "ü".repeat(2_000))]
        {
            assert!(page.contains(&format!("<dd>{value}</dd>")), "{value} in {page}");
        }
        assert!(page.contains(r#"<dt class="meta">sample rate</dt><dd>4</dd>"#), "{page}");
    }

    #[test]
    fn a_paused_page_stays() {
        let refresh = r#"http-equiv="refresh" content="2""#;
        assert!(render(json!({ "a": 1 }), "").contains(refresh));
        let paused = render(json!({ "a": 1 }), "pause=1&dataset=a");
        assert!(
            !paused.contains(refresh) && paused.contains(r#"<a href="/?dataset=a">Resume</a>"#),
            "{paused}"
        );
    }
}
