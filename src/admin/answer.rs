//! The answers: a path → what the instruments say.

use std::{fmt::Write, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};

use crate::telemetry::{self, Instruments, Snapshot};
use crate::{pulse::Pulse, service::STUCK_AFTER};

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers questions.
#[derive(Debug)]
pub struct Desk {
    /// What is told.
    pub instruments: Arc<Instruments>,
    /// Whether its tasks come back.
    pub pulse: Pulse,
    /// The agent is not ready when nothing was taken for so long though there was something to send.
    pub unready_after: Duration,
}

impl Desk {
    /// Answers one question.
    pub(super) async fn answer(&self, question: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*question.method(), Method::GET | Method::HEAD) {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only questions here: GET or HEAD\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match question.uri().path() {
            "/healthz" => match self.pulse.stuck(STUCK_AFTER) {
                None => text(StatusCode::OK, "ok\n"),
                Some(task) => {
                    text(StatusCode::SERVICE_UNAVAILABLE, &format!("the task `{task}` does not come back\n"))
                }
            },
            "/readyz" => self.readiness().await,
            "/metrics" => match self.read().await.map(telemetry::expose) {
                Some(Ok(metrics)) => of_type(StatusCode::OK, telemetry::CONTENT_TYPE, metrics),
                _ => text(StatusCode::INTERNAL_SERVER_ERROR, "the numbers can't be read\n"),
            },
            "/status" => match self.read().await.as_ref().map(serde_json::to_string) {
                Some(Ok(status)) => of_type(StatusCode::OK, "application/json", status),
                _ => text(StatusCode::INTERNAL_SERVER_ERROR, "the numbers can't be read\n"),
            },
            _ => text(StatusCode::NOT_FOUND, "there is /healthz, /readyz, /metrics and /status\n"),
        }
    }

    /// Reads the instruments where it may take a while: the size of each file is asked for.
    async fn read(&self) -> Option<Snapshot> {
        let instruments = Arc::clone(&self.instruments);
        tokio::task::spawn_blocking(move || instruments.read()).await.ok()
    }

    /// Whether events are taken, as far as there are any. No reason to restart: the agent is doing what can be done.
    async fn readiness(&self) -> Response<Full<Bytes>> {
        let Some(Snapshot { stuck_s, trouble, .. }) = self.read().await else {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "the numbers can't be read\n");
        };
        match stuck_s.filter(|seconds| *seconds >= self.unready_after.as_secs()) {
            None => text(StatusCode::OK, "ready\n"),
            Some(seconds) => {
                let mut why =
                    format!("not ready: there are events to send, and none was taken for {seconds} s");
                if let Some(trouble) = trouble {
                    let _ = write!(why, ": {trouble}");
                }
                why.push('\n');
                text(StatusCode::SERVICE_UNAVAILABLE, &why)
            }
        }
    }
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    of_type(status, TEXT, text.to_owned())
}

fn of_type(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
