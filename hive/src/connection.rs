//! Connections: takes a listening socket and a router, serves HTTP/1.1 until told to stop.
//!
//! Serving connections here rather than through axum gives one thing more: a handler that answers [`Severed`]
//! has its connection closed with nothing written. At most [`CONNECTIONS_MAX`] connections are served at a time
//! and none outlives [`serve`]. There are no time limits: a test that pauses tokio's clock would run into them
//! at once, and the receiver serves one machine.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::limits::CONNECTIONS_MAX;

/// Wait after a failed accept, which usually means that the process is out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// An answer that is none: close the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Severed;

impl IntoResponse for Severed {
    /// A response that only carries the mark; it is never sent.
    fn into_response(self) -> Response {
        let mut response = ().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Display for Severed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("connection closed without an answer")
    }
}

impl std::error::Error for Severed {}

/// Accepts and serves connections until `stop`, then cuts those still open.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => { connections.spawn(serve_connection(stream, router.clone())); }
                Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
            },
        }
    }
    connections.shutdown().await;
}

async fn serve_connection(stream: TcpStream, router: Router) {
    // Only a matter of speed, so a socket that refuses it is served all the same.
    stream.set_nodelay(true).ok();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = router.call(request);
        async move {
            let response: Result<Response, Infallible> = answer.await;
            match response {
                Ok(response) if response.extensions().get::<Severed>().is_some() => Err(Severed),
                Ok(response) => Ok(response),
                Err(never) => match never {},
            }
        }
    });
    // An error here is a client that hung up or a connection that was severed: both are everyday.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}
