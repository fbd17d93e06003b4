//! Honeycomb's APIs beside the one for events: queries, query results and columns, for what is stored here.
//!
//! They take and give the JSON of the public reference, as far as it has a meaning here. Nothing is asynchronous: a
//! result is complete when it is created.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};

pub(crate) use self::shelf::Shelf;

use self::shelf::Asked;
use crate::auth;
use crate::body::{self, Decoder, Disconnected};
use crate::connection::Severed;
use crate::limits::QUERY_BYTES_MAX;
use crate::query::{self, Query};
use crate::refusal::{self, BODY_TOO_LARGE, Refusal};
use crate::shared::Shared;
use crate::view;

mod form;
mod shelf;

/// What a result is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultRequest {
    query_id: String,
    #[serde(default)]
    disable_series: bool,
    limit: Option<usize>,
}

/// `POST /1/queries/{dataset}`: keeps a query, without asking it.
pub(crate) async fn create_query(
    State(shared): State<Arc<Shared>>,
    dataset: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    let json = read_json(&headers, body).await?;
    let Path(dataset) = dataset.map_err(not_text)?;
    let query = checked(json).map_err(Refusal::into_response)?;
    let id = shared.shelf.put_query(&dataset, query.clone());
    Ok(refusal::json(StatusCode::OK, &with_id(&query, &id)))
}

/// `GET /1/queries/{dataset}/{id}`.
pub(crate) async fn query(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    auth::authorize(&headers).map_err(Refusal::into_response)?;
    let Path((dataset, id)) = path.map_err(not_text)?;
    let query = shared.shelf.query(&dataset, &id);
    let query = query.ok_or_else(|| Refusal::not_found("query", &id).into_response())?;
    Ok(refusal::json(StatusCode::OK, &with_id(&query, &id)))
}

/// `POST /1/query_results/{dataset}`: asks a query.
pub(crate) async fn create_result(
    State(shared): State<Arc<Shared>>,
    dataset: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    let json = read_json(&headers, body).await?;
    let Path(dataset) = dataset.map_err(not_text)?;
    let made = create(&shared, &dataset, json).await;
    made.map_err(Refusal::into_response)
}

async fn create(shared: &Shared, dataset: &str, json: Json) -> Result<Response, Refusal> {
    let request: ResultRequest = serde_json::from_value(json).map_err(unprocessable)?;
    let query = shared.shelf.query(dataset, &request.query_id);
    let mut query = query.ok_or_else(|| Refusal::not_found("query", &request.query_id))?;
    query.limit = request.limit.or(query.limit);
    let asked = Asked { query_id: request.query_id, query, disable_series: request.disable_series };
    let asked = asked.fixed(Timestamp::now())?;
    let answer = answer(shared, dataset, &asked).await?;
    let id = shared.shelf.put_result(dataset, asked);
    Ok(refusal::json(StatusCode::CREATED, &answer.with_id(&id)))
}

/// `GET /1/query_results/{dataset}/{id}`: the answer, from what is stored by now.
pub(crate) async fn result(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    auth::authorize(&headers).map_err(Refusal::into_response)?;
    let Path((dataset, id)) = path.map_err(not_text)?;
    let asked = shared.shelf.result(&dataset, &id);
    let asked = asked.ok_or_else(|| Refusal::not_found("query result", &id).into_response())?;
    let answer = answer(&shared, &dataset, &asked).await.map_err(Refusal::into_response)?;
    Ok(refusal::json(StatusCode::OK, &answer.with_id(&id)))
}

/// `GET /1/columns/{dataset}`.
pub(crate) async fn columns(
    State(shared): State<Arc<Shared>>,
    dataset: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    auth::authorize(&headers).map_err(Refusal::into_response)?;
    let Path(dataset) = dataset.map_err(not_text)?;
    let columns = query::ask(&shared, &dataset, query::columns).await.map_err(Refusal::into_response)?;
    Ok(refusal::json(StatusCode::OK, &columns.iter().map(form::column).collect::<Vec<_>>()))
}

/// A result that has no id yet.
struct Answer(Json);

impl Answer {
    fn with_id(mut self, id: &str) -> Json {
        self.0["id"] = id.into();
        self.0
    }
}

async fn answer(shared: &Shared, dataset: &str, asked: &Asked) -> Result<Answer, Refusal> {
    let (query, with_series) = (asked.query.clone(), !asked.disable_series);
    let outcome = query::ask(shared, dataset, move |snapshot, scope| {
        query::answer(snapshot, scope, &query, Timestamp::now(), with_series)
    })
    .await?;
    let page = format!("{}{}", shared.url, view::query_url(dataset, &asked.query));
    Ok(Answer(json!({
        "complete": true,
        "query": with_id(&asked.query, &asked.query_id),
        "data": form::data(&outcome),
        "links": { "query_url": page },
    })))
}

/// Reads a query and says what is wrong with it.
fn checked(json: Json) -> Result<Query, Refusal> {
    let query = Query::from_json(json)?;
    query::check(&query)?;
    Ok(query)
}

fn with_id(query: &Query, id: &str) -> Json {
    let mut json = json!(query);
    json["id"] = id.into();
    json
}

/// Reads a body that must be JSON, from a sender with a key.
async fn read_json(headers: &HeaderMap, body: Body) -> Result<Json, Response> {
    let decoder = auth::authorize(headers).and_then(|()| Decoder::for_headers(headers));
    match body::receive(body, decoder).await {
        Err(Disconnected) => Err(Severed.into_response()),
        Ok(received) => {
            let read = received.content.and_then(|content| {
                if content.len() > QUERY_BYTES_MAX {
                    return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, BODY_TOO_LARGE));
                }
                serde_json::from_slice(&content).map_err(|_| Refusal::body_malformed())
            });
            read.map_err(Refusal::into_response)
        }
    }
}

fn unprocessable(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
}

/// The answer to a path that is not text.
fn not_text(_: PathRejection) -> Response {
    Refusal::dataset_not_found().into_response()
}
