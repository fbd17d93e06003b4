//! Refusals: Honeycomb's statuses and error texts for a whole request, and the answer they become.
//!
//! Takes a status and a text, gives an HTTP response with the legacy body `{"error": "…"}`. The texts are
//! Honeycomb's own wherever it documents one, since senders match on them.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub(crate) const BODY_EMPTY: &str = "Request body should not be empty.";
pub(crate) const BODY_MALFORMED: &str = "Request body is malformed and cannot be read.";
pub(crate) const BODY_TOO_LARGE: &str = "Request body is too large.";
pub(crate) const DATASET_NOT_FOUND: &str = "dataset not found";
pub(crate) const EVENT_COLUMNS: &str = "Event has too many columns.";
pub(crate) const KEY_UNKNOWN: &str = "unknown API key - check your credentials";
pub(crate) const RATE_LIMITED: &str = "Request dropped due to rate limiting.";
pub(crate) const SERVER_ERROR: &str = "something went wrong!";

/// A request refused as a whole: nothing of it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: Cow<'static, str>,
    /// Sent as `Retry-After` as it stands, so a test can send a wrong one.
    pub(crate) retry_after: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status, error: error.into(), retry_after: None }
    }

    pub(crate) fn body_empty() -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, BODY_EMPTY)
    }

    pub(crate) fn body_malformed() -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, BODY_MALFORMED)
    }

    pub(crate) fn body_too_large() -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, BODY_TOO_LARGE)
    }

    pub(crate) fn dataset_not_found() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, DATASET_NOT_FOUND)
    }

    /// Of a query, a result or an event, which may have been forgotten since.
    pub(crate) fn not_found(what: &str, id: impl std::fmt::Display) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, format!("{what} not found: {id}"))
    }

    pub(crate) fn key_unknown() -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, KEY_UNKNOWN)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
        }

        let mut response = json(self.status, &Body { error: &self.error });
        if let Some(value) = self.retry_after.and_then(|text| HeaderValue::try_from(text).ok()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

/// An answer with `value` as its JSON body.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    match serde_json::to_vec(value) {
        Ok(body) => (status, content_type, body).into_response(),
        // Out of reach for the types of this crate, whose map keys are all strings.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
