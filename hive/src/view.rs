//! The pages for people: takes a URL, gives HTML; and the list of events as JSON for scripts at `/events`.
//!
//! # Layout
//!
//! - `typed` is the query form as texts and as a URL, `clause` reads and writes its clauses, `ask` makes a question of it.
//! - `form`, `result`, `table`, `events`: the query page. `chart`, `series`, `heatmap` draw.
//! - `start`, `questions`, `columns`, `event`, `waterfall`: the other pages.
//! - `page` is the frame and its headers, `text` writes numbers and units, `listing` is the JSON.
//!
//! All works without a script: every state of a page is its URL.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use maud::html;

use self::ask::{Ask, Mistake, Range};
use self::columns::Browser;
use self::form::Form;
use self::page::Page;
use self::result::Found;
use self::start::Glance;
use self::typed::Typed;
use self::waterfall::Join;
use crate::limits::{COLUMNS_SUGGESTED_MAX, EVENTS_LISTED_MAX, EVENTS_ON_PAGE};
use crate::query::{self, ALL_DATASETS, Direction, Query, QueryError, Scope, Selection, glance};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::store::Snapshot;

pub(crate) use self::listing::events;
pub(crate) use self::page::{icon, style};

mod ask;
mod chart;
mod clause;
mod columns;
mod event;
mod events;
mod form;
mod heatmap;
mod listing;
mod page;
mod questions;
mod result;
mod series;
mod start;
mod table;
mod text;
mod typed;
mod waterfall;

/// Seconds between two loads of a page that is live: time enough to aim at a link.
const REFRESH_SECONDS: u8 = 5;

/// The value of a name in a query string; an empty one is none.
fn value_of(uri: &Uri, wanted: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs
        .filter(|(name, value)| name == wanted && !value.is_empty())
        .last()
        .map(|(_, value)| value.into_owned())
}

/// The link to the page that answers a query of a dataset.
pub(crate) fn query_url(dataset: &str, query: &Query) -> String {
    let dataset = Some(dataset.to_owned()).filter(|dataset| dataset != ALL_DATASETS);
    Ask { dataset, query: query.clone(), ..Ask::default() }.url()
}

/// `GET /?pause=`: the start page.
pub(crate) async fn start(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let glance = match query::ask(&shared, ALL_DATASETS, Glance::take).await {
        Ok(glance) => glance,
        Err(refusal) => return page::refused(&refusal),
    };
    let is_paused = value_of(&uri, "pause").is_some();
    let main = if glance.is_empty() {
        html! { h1 { "hive" } (page::invitation(&shared.url, shared.sink)) }
    } else {
        glance.draw(&shared.stats(), is_paused)
    };
    let refresh = (!is_paused).then_some(REFRESH_SECONDS);
    Page { title: "Start", dataset: None, place: "/", refresh, main }.respond(StatusCode::OK)
}

/// `GET /query?…`: the form, and the answer if the query is good.
pub(crate) async fn query(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let typed = Typed::parse(uri.query().unwrap_or_default());
    let (names, datasets) = {
        let store = shared.store();
        (glance::names(&store.snapshot(), COLUMNS_SUGGESTED_MAX), store.datasets())
    };
    let asked = match Ask::read(&typed) {
        Ok(ask) => answer(&shared, ask).await.map_err(|refusal| match refusal.status {
            StatusCode::UNPROCESSABLE_ENTITY => {
                (StatusCode::BAD_REQUEST, vec![Mistake::from_engine(&refusal.error)])
            }
            status => (status, vec![Mistake::from_engine(&refusal.error)]),
        }),
        Err(mistakes) => Err((StatusCode::BAD_REQUEST, mistakes)),
    };
    let (status, mistakes) = match &asked {
        Ok(_) => (StatusCode::OK, &[][..]),
        Err((status, mistakes)) => (*status, mistakes.as_slice()),
    };
    // A good query is shown as it was understood, a bad one as it was typed.
    let typed = asked.as_ref().map_or(typed, |(ask, _)| ask.typed());
    let is_live = matches!(&asked, Ok((ask, _)) if ask.range == Range::Live);
    let main = html! {
        h1.hidden { "Query" }
        (Form { typed: &typed, mistakes, datasets: &datasets, columns: &names }.render())
        @if datasets.is_empty() {
            (page::invitation(&shared.url, shared.sink))
        } @else if let Ok((ask, found)) = &asked {
            (result::draw(ask, found))
        }
    };
    let dataset = Some(typed.dataset.as_str()).filter(|dataset| !dataset.is_empty());
    let refresh = is_live.then_some(REFRESH_SECONDS);
    Page { title: "Query", dataset, place: "/query", refresh, main }.respond(status)
}

async fn answer(shared: &Shared, ask: Ask) -> Result<(Ask, Found), Refusal> {
    let dataset = ask.dataset_asked().to_owned();
    let found = |snapshot: &Snapshot, scope: Scope| -> Result<(Ask, Found), QueryError> {
        let now = Timestamp::now();
        let query = ask.resolve(snapshot, scope);
        if !ask.events {
            let outcome = query::answer(snapshot, scope, &query, now, true)?;
            return Ok((ask, Found::Groups(outcome)));
        }
        let group = ask.of.clone();
        let selection = Selection { group, direction: Direction::Descending, limit: EVENTS_ON_PAGE };
        let rows = query::rows(snapshot, scope, &query, now, &selection)?;
        // The account of what was looked at is the same whatever is calculated.
        let counted = Query {
            calculations: Vec::new(),
            breakdowns: Vec::new(),
            orders: Vec::new(),
            havings: Vec::new(),
            ..query
        };
        let outcome = query::answer(snapshot, scope, &counted, now, false)?;
        Ok((ask, Found::Events(rows, outcome)))
    };
    query::ask(shared, &dataset, found).await
}

/// `GET /columns?dataset=&like=`: the column browser.
pub(crate) async fn columns(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let dataset = value_of(&uri, "dataset");
    let asked = query::ask(&shared, dataset.as_deref().unwrap_or(ALL_DATASETS), |snapshot, scope| {
        Ok((query::columns(snapshot, scope)?, glance::count(snapshot, scope)))
    });
    let (columns, events) = match asked.await {
        Ok(found) => found,
        Err(refusal) => return page::refused(&refusal),
    };
    let datasets = shared.store().datasets();
    let main = if datasets.is_empty() {
        html! { h1 { "Columns" } (page::invitation(&shared.url, shared.sink)) }
    } else {
        let like = value_of(&uri, "like").unwrap_or_default();
        let dataset = dataset.as_deref();
        Browser { dataset, datasets: &datasets, like: &like, columns: &columns, events }.draw()
    };
    Page { title: "Columns", dataset: dataset.as_deref(), place: "/columns", refresh: None, main }
        .respond(StatusCode::OK)
}

/// `GET /event/{id}`: one event.
pub(crate) async fn event(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<u64>, PathRejection>,
) -> Response {
    let Ok(Path(id)) = id else {
        return page::refused(&Refusal::new(StatusCode::BAD_REQUEST, "an event has a number"));
    };
    match query::ask(&shared, ALL_DATASETS, move |snapshot, _| Ok(snapshot.event(id))).await {
        Ok(Some(event)) => {
            let (dataset, main) = (Some(event.dataset.as_str()), event::draw(&event));
            Page { title: "Event", dataset, place: "", refresh: None, main }.respond(StatusCode::OK)
        }
        Ok(None) => page::refused(&Refusal::not_found("event", id)),
        Err(refusal) => page::refused(&refusal),
    }
}

/// `GET /trace?id=`: the waterfall of a trace.
pub(crate) async fn trace(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    waterfall(&shared, &uri, Join::Trace).await
}

/// `GET /request?id=`: the events of a request.
pub(crate) async fn request(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    waterfall(&shared, &uri, Join::Request).await
}

async fn waterfall(shared: &Shared, uri: &Uri, join: Join) -> Response {
    let Some(id) = value_of(uri, "id") else {
        let error =
            format!("which {}? the link has ?id= and a {}", join.name().to_lowercase(), join.column());
        return page::refused(&Refusal::new(StatusCode::BAD_REQUEST, error));
    };
    let wanted = id.clone();
    let asked = query::ask(shared, ALL_DATASETS, move |snapshot, scope| {
        query::joined(snapshot, scope, join.column(), &wanted, EVENTS_LISTED_MAX)
    });
    match asked.await {
        Ok(rows) => {
            let main = waterfall::draw(join, &id, &rows.events, rows.matched);
            let status = if rows.events.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
            Page { title: join.name(), dataset: None, place: "", refresh: None, main }.respond(status)
        }
        Err(refusal) => page::refused(&refusal),
    }
}
