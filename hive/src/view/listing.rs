//! The newest events as JSON, for scripts and tests: takes a query string, gives the datasets and the events in full.
//!
//! Unknown names are passed over, the last of a repeated name counts, and an empty dataset means all.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;

use super::value_of;
use crate::limits::{EVENTS_LISTED_DEFAULT, EVENTS_LISTED_MAX};
use crate::refusal::{self, Refusal};
use crate::shared::Shared;
use crate::store::{Dataset, StoredEvent};

/// `GET /events?dataset=&limit=`: the newest events first, in full.
pub(crate) async fn events(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Listing<'a> {
        datasets: Vec<Dataset>,
        events: Vec<StoredEvent<'a>>,
    }

    let dataset = value_of(&uri, "dataset");
    let limit = match value_of(&uri, "limit") {
        None => EVENTS_LISTED_DEFAULT,
        Some(text) => text.parse().map_err(|_| {
            Refusal::new(StatusCode::BAD_REQUEST, format!("limit is not a whole number: {text}"))
        })?,
    };
    let store = shared.store();
    let events = store.newest(dataset.as_deref()).take(limit.min(EVENTS_LISTED_MAX)).collect();
    Ok(refusal::json(StatusCode::OK, &Listing { datasets: store.datasets(), events }))
}
