//! The control endpoint: `/faults` and `/poison`, for scripts and tests that have the receiver as a process of its own.
//!
//! - `POST /faults?times=N` appends a JSON array of [`Fault`]s to the script, `N` times over (1 by default).
//! - `POST /faults?for_ms=MS` takes one, which every request meets for so long.
//! - `DELETE /faults` forgets them; `GET /faults` says how many are left.
//! - `POST /poison` takes a JSON string, and every body that has that text in it is malformed; `null` ends it.
//!
//! Only JSON is taken: a page in the browser of whoever runs the receiver can't send that to another origin.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::fault::Fault;
use crate::refusal::{self, Refusal};
use crate::shared::Shared;

/// Most faults of one request, so that a slip of the hand does not fill the memory.
const FAULTS_MAX: usize = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repeat {
    times: Option<usize>,
    for_ms: Option<u64>,
}

#[derive(Serialize)]
struct Left {
    faults: usize,
}

/// `POST /faults`.
pub(crate) async fn script(
    State(shared): State<Arc<Shared>>,
    repeat: Result<Query<Repeat>, QueryRejection>,
    faults: Result<Json<Vec<Fault>>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Query(repeat) = repeat.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    let Json(faults) = faults.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    let bad = |error: &'static str| Refusal::new(StatusCode::BAD_REQUEST, error);
    match repeat {
        Repeat { times, for_ms: None } => {
            let times = times.unwrap_or(1);
            if faults.len().saturating_mul(times) > FAULTS_MAX {
                return Err(bad("at most 1,000,000 faults at a time"));
            }
            shared.script.append(std::iter::repeat_n(faults, times).flatten());
        }
        Repeat { times: None, for_ms: Some(for_ms) } => {
            let [fault] =
                <[Fault; 1]>::try_from(faults).map_err(|_| bad("with `for_ms`, exactly one fault"))?;
            let until = Instant::now().checked_add(Duration::from_millis(for_ms));
            shared.script.last(fault, until.ok_or_else(|| bad("`for_ms` is too long"))?);
        }
        Repeat { .. } => return Err(bad("either `times` or `for_ms`")),
    }
    Ok(left(&shared))
}

/// `GET /faults`.
pub(crate) async fn count(State(shared): State<Arc<Shared>>) -> Response {
    left(&shared)
}

/// `DELETE /faults`.
pub(crate) async fn clear(State(shared): State<Arc<Shared>>) -> Response {
    shared.script.clear();
    left(&shared)
}

/// `POST /poison`.
pub(crate) async fn poison(
    State(shared): State<Arc<Shared>>,
    text: Result<Json<Option<String>>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let Json(text) = text.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    shared.poison.set(text);
    Ok(StatusCode::NO_CONTENT)
}

fn left(shared: &Shared) -> Response {
    refusal::json(StatusCode::OK, &Left { faults: shared.script.len() })
}
