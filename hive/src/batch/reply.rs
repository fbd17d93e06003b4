//! Per-event statuses: what one event of a batch is answered.
//!
//! Takes a verdict or a scripted status, serialises as `{"status": n}` with an `error` unless it is 202. The
//! texts are the ones Honeycomb puts inside its batch answers.

use axum::http::StatusCode;
use serde::Serialize;

use crate::refusal::{
    BODY_EMPTY, BODY_MALFORMED, BODY_TOO_LARGE, EVENT_COLUMNS, RATE_LIMITED, Refusal, SERVER_ERROR,
};

/// The answer to one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl Status {
    pub(crate) const ACCEPTED: Status = Status { status: 202, error: None };
    pub(crate) const EMPTY: Status = Status::bad(BODY_EMPTY);
    pub(crate) const MALFORMED: Status = Status::bad(BODY_MALFORMED);
    /// Honeycomb documents no text for an event over its size; this is its text for a body.
    pub(crate) const TOO_LARGE: Status = Status::bad(BODY_TOO_LARGE);
    pub(crate) const TOO_MANY_COLUMNS: Status = Status::bad(EVENT_COLUMNS);

    /// The answer a fault asks for: `status` with the text that usually goes with it.
    pub(crate) fn forced(status: u16) -> Status {
        let error = match status {
            202 => return Status::ACCEPTED,
            400 => BODY_MALFORMED,
            429 => RATE_LIMITED,
            500 => SERVER_ERROR,
            _ => StatusCode::from_u16(status)
                .ok()
                .and_then(|status| status.canonical_reason())
                .unwrap_or("refused"),
        };
        Status { status, error: Some(error) }
    }

    const fn bad(error: &'static str) -> Status {
        Status { status: 400, error: Some(error) }
    }
}

/// The same answer to a request of that event alone.
impl From<Status> for Refusal {
    fn from(status: Status) -> Refusal {
        let code = StatusCode::from_u16(status.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Refusal::new(code, status.error.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_202_comes_without_an_error() {
        let statuses = [202, 200, 429, 500, 777].map(Status::forced);
        assert_eq!(
            serde_json::to_string(&statuses).unwrap(),
            concat!(
                r#"[{"status":202},{"status":200,"error":"OK"},"#,
                r#"{"status":429,"error":"Request dropped due to rate limiting."},"#,
                r#"{"status":500,"error":"something went wrong!"},{"status":777,"error":"refused"}]"#,
            )
        );
    }
}
