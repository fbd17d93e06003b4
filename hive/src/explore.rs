//! hive's own questions as JSON: what a page shows of queries and events, for scripts and tests. No key is needed, as for
//! the page.
//!
//! - `POST /query` takes `{"dataset", "query"}`, gives the whole outcome: groups, totals, series and heatmaps.
//! - `POST /events` takes `{"dataset", "query", "group", "order", "limit"}`, gives the events that match the query, of
//!   one of its groups if asked.
//! - `GET /events/{id}` gives one event, `GET /events/{id}/related` those of its trace or request.
//! - `GET /columns?dataset=` gives what is known of the fields.
//!
//! Bodies must be declared as JSON: a page in the browser of whoever runs the receiver can't send that to another origin.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits::{EVENTS_LISTED_MAX, EVENTS_SHOWN};
use crate::query::{self, ALL_DATASETS, Direction, Query, QueryError, Rows, Scalar, Selection};
use crate::refusal::{self, Refusal};
use crate::shared::Shared;
use crate::store::RawEvent;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// All if absent.
    dataset: Option<String>,
    #[serde(default = "empty_query")]
    query: serde_json::Value,
    /// Values of the breakdowns.
    group: Option<Vec<serde_json::Value>>,
    /// By time; the newest first if absent.
    order: Option<Direction>,
    limit: Option<usize>,
}

fn empty_query() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

impl Question {
    fn query(&self) -> Result<Query, QueryError> {
        Query::from_json(self.query.clone())
    }

    fn dataset(&self) -> &str {
        self.dataset.as_deref().unwrap_or(ALL_DATASETS)
    }
}

/// `POST /query`.
pub(crate) async fn query(
    State(shared): State<Arc<Shared>>,
    question: Result<Json<Question>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(question) = question.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    if question.group.is_some() || question.order.is_some() || question.limit.is_some() {
        let error = "group, order and limit of events are for /events";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error));
    }
    let query = question.query()?;
    let outcome = query::ask(&shared, question.dataset(), move |snapshot, scope| {
        query::answer(snapshot, scope, &query, Timestamp::now(), true)
    })
    .await?;
    Ok(refusal::json(StatusCode::OK, &outcome))
}

/// `POST /events`.
pub(crate) async fn rows(
    State(shared): State<Arc<Shared>>,
    question: Result<Json<Question>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(mut question) = question.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    let query = question.query()?;
    let group = question.group.take();
    let selection = Selection {
        group: group.map(|values| values.into_iter().map(Scalar::from_json).collect()),
        direction: question.order.unwrap_or(Direction::Descending),
        limit: question.limit.unwrap_or(EVENTS_SHOWN).min(EVENTS_LISTED_MAX),
    };
    let rows = query::ask(&shared, question.dataset(), move |snapshot, scope| {
        query::rows(snapshot, scope, &query, Timestamp::now(), &selection)
    })
    .await?;
    Ok(listing(&rows))
}

/// `GET /events/{id}`.
pub(crate) async fn event(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path(id) = id.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    let event = query::ask(&shared, ALL_DATASETS, move |snapshot, _| Ok(snapshot.event(id))).await?;
    let event = event.ok_or_else(|| Refusal::not_found("event", id))?;
    Ok(refusal::json(StatusCode::OK, &Shown::from(&event)))
}

/// `GET /events/{id}/related`: the oldest first.
pub(crate) async fn related(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path(id) = id.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    let rows = query::ask(&shared, ALL_DATASETS, move |snapshot, scope| {
        query::related(snapshot, scope, id, EVENTS_LISTED_MAX)
    });
    let rows = rows.await?.ok_or_else(|| Refusal::not_found("event", id))?;
    Ok(listing(&rows))
}

/// `GET /columns?dataset=`.
pub(crate) async fn columns(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, Refusal> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let dataset = pairs.filter(|(name, value)| name == "dataset" && !value.is_empty()).last();
    let dataset = dataset.map_or_else(|| ALL_DATASETS.into(), |(_, dataset)| dataset);
    let columns = query::ask(&shared, &dataset, query::columns).await?;
    Ok(refusal::json(StatusCode::OK, &columns))
}

/// An event as the answers have it.
#[derive(Serialize)]
struct Shown<'a> {
    id: u64,
    dataset: &'a str,
    time: String,
    samplerate: u64,
    data: &'a RawValue,
}

impl<'a> From<&'a RawEvent> for Shown<'a> {
    fn from(event: &'a RawEvent) -> Shown<'a> {
        let RawEvent { id, dataset, time, samplerate, data } = event;
        Shown { id: *id, dataset, time: time.to_string(), samplerate: *samplerate, data }
    }
}

fn listing(rows: &Rows) -> Response {
    #[derive(Serialize)]
    struct Listing<'a> {
        matched: usize,
        events: Vec<Shown<'a>>,
    }

    let events = rows.events.iter().map(Shown::from).collect();
    refusal::json(StatusCode::OK, &Listing { matched: rows.matched, events })
}
