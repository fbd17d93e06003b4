//! What the receiver shows: the page for people at `/`, the same as JSON at `/events`.
//!
//! Takes a query (which dataset, how many events), gives the datasets and the newest events. The page runs no
//! script and loads nothing but its stylesheet, and says so in its Content-Security-Policy: what is shown was
//! sent by others.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;

use self::page::{Page, Shown};
use self::query::Query;
use crate::limits::EVENTS_SHOWN;
use crate::refusal;
use crate::shared::Shared;
use crate::store::{Dataset, StoredEvent};

mod page;
mod query;

const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /?dataset=&pause=`: the page.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let query = match Query::parse(uri.query()) {
        Ok(query) => query,
        Err(refusal) => return refusal.into_response(),
    };
    let (datasets, events) = {
        let store = shared.store();
        let events = store.newest(query.dataset.as_deref()).take(EVENTS_SHOWN).map(Shown::from).collect();
        (store.datasets(), events)
    };
    let page = Page { url: &shared.url, sink: shared.sink, stats: shared.stats(), query, datasets, events };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(page.render().into_string())).into_response()
}

/// `GET /style.css`: the stylesheet of the page.
pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("view/style.css"))
}

/// `GET /events?dataset=&limit=`: the newest events first, in full.
pub(crate) async fn events(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    #[derive(Serialize)]
    struct Listing<'a> {
        datasets: Vec<Dataset>,
        events: Vec<StoredEvent<'a>>,
    }

    let query = match Query::parse(uri.query()) {
        Ok(query) => query,
        Err(refusal) => return refusal.into_response(),
    };
    let store = shared.store();
    let events = store.newest(query.dataset.as_deref()).take(query.limit).collect();
    refusal::json(StatusCode::OK, &Listing { datasets: store.datasets(), events })
}
