//! `POST /1/batch/{dataset}`: takes a batch of events, stores what is good and answers one status per event.
//!
//! A request passes four steps: the scripted fault is taken, the body is read, the events are judged and
//! settled, the answer is sent or withheld. Whatever refuses the whole request does so before anything of it
//! is stored.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use tokio::time::{Duration, sleep};

use self::judge::Accepted;
use self::reply::Status;
use crate::auth;
use crate::body::{self, Decoder, Disconnected};
use crate::connection::Severed;
use crate::fault::Fault;
use crate::limits::DATASET_CHARS_MAX;
use crate::refusal::Refusal;
use crate::shared::Shared;

mod answer;
pub(crate) mod judge;
mod reply;

/// Answers a batch request as the next fault of the script wants it.
pub(crate) async fn receive(
    State(shared): State<Arc<Shared>>,
    dataset: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let fault = shared.script.next();
    shared.counters.update(|stats| stats.requests += 1);
    match fault {
        Fault::Reset => return Severed.into_response(),
        Fault::ResetMidBody => {
            body::begin(body).await;
            return Severed.into_response();
        }
        _ => {}
    }

    let (dataset, decoder) = match admit(dataset, &headers) {
        Ok((dataset, decoder)) => (dataset, Ok(decoder)),
        Err(refusal) => (String::new(), Err(refusal)),
    };
    let content = match read(&shared, body, decoder).await {
        Ok(content) => content,
        Err(Disconnected) => return Severed.into_response(),
    };

    match &fault {
        Fault::Hang => std::future::pending::<()>().await,
        Fault::Delay { delay_ms } => sleep(Duration::from_millis(*delay_ms)).await,
        _ => {}
    }
    if let Some(refusal) = refusal_of(&fault) {
        return refusal;
    }
    let statuses = decide(&shared, &dataset, content, &fault);
    answer::send(statuses, fault).await
}

/// The answer of a fault that refuses the whole request, whatever is in it.
fn refusal_of(fault: &Fault) -> Option<Response> {
    let known = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let html = [(header::CONTENT_TYPE, "text/html")];
    match fault {
        Fault::Status { status, error, retry_after } => {
            let refusal = Refusal::new(known(*status), error.clone());
            Some(Refusal { retry_after: retry_after.clone(), ..refusal }.into_response())
        }
        Fault::Html { status } => {
            let status = known(*status);
            let page = format!("<html><body><h1>{status}</h1></body></html>");
            Some((status, html, page).into_response())
        }
        Fault::Garbage => Some((html, "<html>not JSON</html>").into_response()),
        _ => None,
    }
}

/// Stores what is good; gives a status for each event.
fn decide(
    shared: &Shared,
    dataset: &str,
    content: Result<Vec<u8>, Refusal>,
    fault: &Fault,
) -> Result<Vec<Status>, Refusal> {
    let forced: Vec<Status> = match fault {
        Fault::PerEvent(statuses) => statuses.iter().map(|status| Status::forced(*status)).collect(),
        Fault::TooManyColumns => vec![Status::TOO_MANY_COLUMNS],
        _ => Vec::new(),
    };
    let content = content?;
    if shared.poison.is_in(&content) {
        Err(Refusal::body_malformed())
    } else if shared.sink {
        count(shared, &content, &forced)
    } else {
        store(shared, dataset, &content, &forced)
    }
}

/// What must hold before a body is looked at: a key, a dataset that can be, a known encoding.
pub(crate) fn admit(
    dataset: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
) -> Result<(String, Decoder), Refusal> {
    auth::authorize(headers)?;
    // A rejected path is one that does not decode to UTF-8.
    let Ok(Path(dataset)) = dataset else { return Err(Refusal::dataset_not_found()) };
    // The path was split at its slashes before it was decoded, so this one came encoded.
    if dataset.contains('/') {
        return Err(Refusal::dataset_not_found());
    }
    if dataset.chars().count() > DATASET_CHARS_MAX {
        let error = format!("dataset name is longer than {DATASET_CHARS_MAX} characters");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, error));
    }
    Ok((dataset, Decoder::for_headers(headers)?))
}

/// Reads the body and counts its bytes.
pub(crate) async fn read(
    shared: &Shared,
    body: Body,
    decoder: Result<Decoder, Refusal>,
) -> Result<Result<Vec<u8>, Refusal>, Disconnected> {
    let received = body::receive(body, decoder).await?;
    shared.counters.update(|stats| {
        stats.body_bytes += received.wire_bytes;
        stats.body_bytes_uncompressed += received.content.as_ref().map_or(0, |content| content.len() as u64);
    });
    Ok(received.content)
}

/// Sink mode: counts the events and looks no further.
fn count(shared: &Shared, content: &[u8], forced: &[Status]) -> Result<Vec<Status>, Refusal> {
    let mut statuses = vec![Status::ACCEPTED; judge::count(content)?];
    if !forced.is_empty() {
        for (status, &forced) in statuses.iter_mut().zip(forced.iter().cycle()) {
            *status = forced;
        }
    }
    let accepted = statuses.iter().filter(|status| **status == Status::ACCEPTED).count();
    settle(shared, accepted, statuses.len() - accepted, 0);
    Ok(statuses)
}

/// Judges the events and stores the accepted ones.
fn store(shared: &Shared, dataset: &str, content: &[u8], forced: &[Status]) -> Result<Vec<Status>, Refusal> {
    let mut verdicts = judge::judge(content, Timestamp::now())?;
    if !forced.is_empty() {
        for (verdict, &forced) in verdicts.iter_mut().zip(forced.iter().cycle()) {
            if verdict.is_ok() && forced != Status::ACCEPTED {
                *verdict = Err(forced);
            }
        }
    }

    let mut statuses = Vec::with_capacity(verdicts.len());
    let mut accepted: Vec<Accepted<'_>> = Vec::with_capacity(verdicts.len());
    for verdict in verdicts {
        statuses.push(*verdict.as_ref().err().unwrap_or(&Status::ACCEPTED));
        accepted.extend(verdict.ok());
    }
    let (accepted_count, refused_count) = (accepted.len(), statuses.len() - accepted.len());
    let strings_overlong = accepted.iter().map(|event| event.strings_overlong).sum();
    if accepted_count > 0 {
        let mut store = shared.store();
        let dataset = store.dataset_id(dataset).ok_or_else(Refusal::dataset_not_found)?;
        for event in accepted {
            store.insert(dataset, event.time, event.samplerate, event.data.to_owned());
        }
    }
    settle(shared, accepted_count, refused_count, strings_overlong);
    Ok(statuses)
}

/// Counts the events of a batch once they are where they belong.
pub(crate) fn settle(shared: &Shared, accepted: usize, refused: usize, strings_overlong: u64) {
    shared.counters.update(|stats| {
        stats.events_accepted += accepted as u64;
        stats.events_refused += refused as u64;
        stats.strings_overlong += strings_overlong;
    });
}
