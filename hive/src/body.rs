//! Request bodies: takes the body of a batch request, gives its decompressed bytes and its size on the wire.
//!
//! Chunks are decoded as they arrive, so that neither side of the decompression is ever held beyond its cap. A
//! refused body is still read to its end, up to a bound: an answer sent while the client is writing would be
//! lost to a connection reset.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use bytes::Bytes;

use crate::limits::{DRAIN_BYTES_MAX, WIRE_BYTES_MAX};
use crate::refusal::Refusal;

pub(crate) use self::decode::Decoder;

mod decode;

/// A body that was read to its end.
pub(crate) struct Received {
    /// Bytes that came over the wire.
    pub(crate) wire_bytes: u64,
    pub(crate) content: Result<Vec<u8>, Refusal>,
}

/// The body ended early: the client hung up, or it sent more than is worth throwing away. There is nobody to
/// answer.
pub(crate) struct Disconnected;

/// Reads `body` through `decoder`, or throws it away if the request is refused already.
pub(crate) async fn receive(
    mut body: Body,
    mut decoder: Result<Decoder, Refusal>,
) -> Result<Received, Disconnected> {
    let mut wire_bytes = 0;
    while let Some(chunk) = next_chunk(&mut body).await {
        let chunk = chunk?;
        wire_bytes += chunk.len() as u64;
        if wire_bytes > DRAIN_BYTES_MAX {
            return Err(Disconnected);
        }
        if wire_bytes > WIRE_BYTES_MAX {
            decoder = decoder.and(Err(Refusal::body_too_large()));
        }
        decoder = decoder.and_then(|decoder| decoder.push(&chunk));
    }
    // No bytes at all are an empty body in any encoding, not a truncated one.
    if wire_bytes == 0 {
        decoder = decoder.and(Err(Refusal::body_empty()));
    }
    Ok(Received { wire_bytes, content: decoder.and_then(Decoder::finish) })
}

/// Reads only the first part of a body.
pub(crate) async fn begin(mut body: Body) {
    // Whatever it is, nobody wants it.
    drop(next_chunk(&mut body).await);
}

/// The next bytes of the body, `None` at its end.
async fn next_chunk(body: &mut Body) -> Option<Result<Bytes, Disconnected>> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    // Trailers, the other kind of frame, carry no bytes.
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(|_| Disconnected))
}
