//! The table of paths: takes the shared state, gives the router over it.
//!
//! Whatever Honeycomb would answer in JSON is answered in JSON here, errors included.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};

use crate::api;
use crate::auth;
use crate::batch;
use crate::control;
use crate::event;
use crate::host;
use crate::refusal::{self, Refusal};
use crate::shared::Shared;
use crate::view;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(view::start))
        .route("/query", get(view::query))
        .route("/columns", get(view::columns))
        .route("/event/{id}", get(view::event))
        .route("/trace", get(view::trace))
        .route("/request", get(view::request))
        .route("/style.css", get(view::style))
        .route("/icon.svg", get(view::icon))
        .route("/events", get(view::events))
        .route("/stats", get(stats))
        .route("/faults", post(control::script).get(control::count).delete(control::clear))
        .route("/poison", post(control::poison))
        .route("/1/auth", get(auth::describe_key))
        .route("/1/batch/{dataset}", post(batch::receive))
        .route("/1/events/{dataset}", post(event::receive))
        .route("/1/queries/{dataset}", post(api::create_query))
        .route("/1/queries/{dataset}/{id}", get(api::query))
        .route("/1/query_results/{dataset}", post(api::create_result))
        .route("/1/query_results/{dataset}/{id}", get(api::result))
        .route("/1/columns/{dataset}", get(api::columns))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "not found"))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
        })
        .layer(middleware::from_fn_with_state(shared.listen, host::guard))
        .with_state(shared)
}

/// `GET /stats`: the counters.
async fn stats(State(shared): State<Arc<Shared>>) -> Response {
    refusal::json(StatusCode::OK, &shared.stats())
}
