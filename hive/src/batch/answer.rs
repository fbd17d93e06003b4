//! The answer to a batch: takes the events' statuses and the request's fault, gives the response, whole or spoilt.

use std::time::Duration;

use axum::body::{self, Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::io::{AsyncWriteExt as _, duplex};
use tokio_util::io::ReaderStream;

use super::reply::Status;
use crate::connection::Severed;
use crate::fault::Fault;
use crate::refusal::{self, Refusal};

/// Bytes of an answer that are on their way when it is not sent at once: any number would do.
const PIPE_BYTES: usize = 64;

/// Gives the answer as the fault wants it.
pub(super) async fn send(statuses: Result<Vec<Status>, Refusal>, fault: Fault) -> Response {
    let response = match (statuses, &fault) {
        (_, Fault::ReplyLost) => return Severed.into_response(),
        (Err(refusal), _) => refusal.into_response(),
        (Ok(statuses), Fault::ShortReply(count)) => {
            refusal::json(StatusCode::OK, &&statuses[..(*count).min(statuses.len())])
        }
        (Ok(statuses), _) => refusal::json(StatusCode::OK, &statuses),
    };
    match fault {
        Fault::ReplyCut => piecewise(response, |text| text.len() / 2, Duration::ZERO).await,
        Fault::ReplyTrickles { interval_ms } => {
            piecewise(response, Bytes::len, Duration::from_millis(interval_ms)).await
        }
        _ => response,
    }
}

/// Announces the whole body, and sends some of it byte by byte. A body that ends before its announced length makes hyper
/// close the connection.
async fn piecewise(response: Response, sent_bytes: fn(&Bytes) -> usize, interval: Duration) -> Response {
    let (mut head, body) = response.into_parts();
    // Its body is in memory already.
    let text = body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers.insert(header::CONTENT_LENGTH, text.len().into());
    let (reader, mut writer) = duplex(PIPE_BYTES);
    tokio::spawn(async move {
        for byte in text.slice(..sent_bytes(&text)) {
            tokio::time::sleep(interval).await;
            // An error is a client that hung up, or a receiver that stopped.
            if writer.write_u8(byte).await.is_err() {
                return;
            }
        }
    });
    Response::from_parts(head, Body::from_stream(ReaderStream::new(reader)))
}
