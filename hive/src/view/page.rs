//! The frame of every page: head, navigation and headers. Takes what a page has to say, gives the response.
//!
//! What is shown was sent by others, so a page runs no script, loads nothing but its stylesheet and is in nobody's frame,
//! and its headers say so; every value is escaped by the template.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use super::typed::link;
use crate::refusal::Refusal;

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                                       base-uri 'none'; frame-ancestors 'none'";

pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    /// The dataset that the page is about.
    pub(super) dataset: Option<&'a str>,
    /// The path of the page in the navigation.
    pub(super) place: &'a str,
    /// Seconds until the page loads itself again.
    pub(super) refresh: Option<u8>,
    pub(super) main: Markup,
}

impl Page<'_> {
    pub(super) fn respond(&self, status: StatusCode) -> Response {
        let headers = [
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (status, headers, Html(self.render().into_string())).into_response()
    }

    pub(super) fn render(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if let Some(seconds) = self.refresh {
                        meta http-equiv="refresh" content=(seconds);
                    }
                    title { (self.title) " · hive" }
                    link rel="icon" href="/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/style.css";
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    (self.header())
                    main id="main" { (self.main) }
                }
            }
        }
    }

    fn header(&self) -> Markup {
        let about: Vec<_> = self.dataset.iter().map(|dataset| ("dataset", *dataset)).collect();
        html! {
            header {
                a.brand href="/" { svg.logo aria-hidden="true" width="20" height="20" viewBox="0 0 20 20" { path d=(HEXAGON) {} } "hive" }
                nav aria-label="Pages" {
                    @for (path, name) in [("/query", "Query"), ("/columns", "Columns")] {
                        a href=(link(path, &about)) aria-current=[(path == self.place).then_some("page")] { (name) }
                    }
                }
                nav.quiet aria-label="JSON" {
                    a href=(link("/events", &about)) { "Events as JSON" }
                    a href="/stats" { "Counters" }
                }
            }
        }
    }
}

const HEXAGON: &str = "M10 1l7.8 4.5v9L10 19l-7.8-4.5v-9z";

/// `GET /icon.svg`.
pub(crate) async fn icon() -> Response {
    let icon = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 20 20\"><path fill=\"#d97706\" d=\"{HEXAGON}\"/></svg>"
    );
    let headers =
        [(header::CONTENT_TYPE, "image/svg+xml"), (header::CONTENT_SECURITY_POLICY, "default-src 'none'")];
    (headers, icon).into_response()
}

/// `GET /style.css`: the stylesheet of the pages.
pub(crate) async fn style() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, include_str!("style.css")).into_response()
}

/// A page that says why there is nothing else.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let main = html! {
        h1 { "This can't be shown" }
        p.error role="alert" { (refusal.error) }
        p { "The " a href="/" { "start page" } " has all that is kept." }
    };
    Page { title: "Refused", dataset: None, place: "", refresh: None, main }.respond(refusal.status)
}

/// What a person sees first: how to get something to see.
pub(super) fn invitation(url: &str, is_sink: bool) -> Markup {
    if is_sink {
        return html! {
            section.empty {
                h2 { "This hive is a sink" }
                p { "It counts events and keeps none. Start it without " code { "--sink" } " to look at them." }
            }
        };
    }
    let command = format!(
        "curl {url}/1/batch/demo -H 'X-Honeycomb-Team: any' -d '[{{\"data\":{{\"body\":\"hello\",\"duration_ms\":12}}}}]'"
    );
    html! {
        section.empty {
            h2 { "No events yet" }
            p {
                "Point an agent here: set its Honeycomb API address to " code { (url) }
                " and its API key to anything that is not empty. Events show up on this page as they come."
            }
            p { "Or send one by hand:" }
            pre { code { (command) } }
        }
    }
}

/// A table in a box of its own, which scrolls if the table is wider than the page.
pub(super) fn scrolling(label: &str, table: &Markup) -> Markup {
    html! { div.scroll role="region" tabindex="0" aria-label=(label) { (table) } }
}
