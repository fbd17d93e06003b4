//! `POST /1/events/{dataset}`: takes one event, whose fields are the body and whose time and sample rate are headers.
//!
//! It is judged as an event of a batch is; faults and poison are for batches and do not meet it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;

use crate::batch::{self, judge};
use crate::body::Disconnected;
use crate::connection::Severed;
use crate::refusal::Refusal;
use crate::shared::Shared;

const TIME_HEADER: &str = "x-honeycomb-event-time";
const SAMPLERATE_HEADER: &str = "x-honeycomb-samplerate";

/// Answers 200 with an empty body once the event is stored.
pub(crate) async fn receive(
    State(shared): State<Arc<Shared>>,
    dataset: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    shared.counters.update(|stats| stats.requests += 1);
    let (dataset, decoder) = match batch::admit(dataset, &headers) {
        Ok((dataset, decoder)) => (dataset, Ok(decoder)),
        Err(refusal) => (String::new(), Err(refusal)),
    };
    let content = match batch::read(&shared, body, decoder).await {
        Ok(content) => content,
        Err(Disconnected) => return Severed.into_response(),
    };
    match content.and_then(|content| store(&shared, &dataset, &headers, &content)) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn store(shared: &Shared, dataset: &str, headers: &HeaderMap, content: &[u8]) -> Result<(), Refusal> {
    let samplerate = match header(headers, SAMPLERATE_HEADER) {
        None => 1,
        Some(text) => text.trim().parse().map_err(|_| {
            let error = format!("X-Honeycomb-Samplerate is not a whole number: {text}");
            Refusal::new(StatusCode::BAD_REQUEST, error)
        })?,
    };
    let event = judge::judge_single(content, header(headers, TIME_HEADER), samplerate, Timestamp::now())?;
    let strings_overlong = if shared.sink { 0 } else { event.strings_overlong };
    if !shared.sink {
        let mut store = shared.store();
        let dataset = store.dataset_id(dataset).ok_or_else(Refusal::dataset_not_found)?;
        store.insert(dataset, event.time, event.samplerate, event.data.to_owned());
    }
    batch::settle(shared, 1, 0, strings_overlong);
    Ok(())
}

/// A header as text; one that is not is as absent.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
