//! Keys: takes the headers of a request, says whether it carries an API key; answers `/1/auth`.
//!
//! Any key that is not empty is good. Keys are looked at here and nowhere else, and never kept.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::refusal::{self, Refusal};

const KEY_HEADER: &str = "x-honeycomb-team";

/// Refuses a request without a key.
pub(crate) fn authorize(headers: &HeaderMap) -> Result<(), Refusal> {
    let key = headers.get(KEY_HEADER).map_or(&b""[..], |value| value.as_bytes());
    if key.trim_ascii().is_empty() { Err(Refusal::key_unknown()) } else { Ok(()) }
}

/// `GET /1/auth`: what the key may do, in the form an ingest key gets to see.
pub(crate) async fn describe_key(headers: HeaderMap) -> Response {
    if let Err(refusal) = authorize(&headers) {
        return refusal.into_response();
    }
    refusal::json(
        StatusCode::OK,
        &json!({
            "id": "hcxik_01hive0000000000000000000",
            "type": "ingest",
            "api_key_access": { "createDatasets": true },
            "environment": { "name": "local", "slug": "local" },
            "team": { "name": "hive", "slug": "hive" },
        }),
    )
}
