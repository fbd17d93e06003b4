//! The paths that health checks ask for.
//!
//! Takes a path without its query, answers whether it is one of them: by name, since a person asks for none of these.
//! `/live` and `/status` are not among them: they may be pages.
//!
//! Invariant: another path is mostly told by its length and a few bytes.

/// Whether only health checks ask for it.
pub(super) fn is_health_check(path: &[u8]) -> bool {
    let named = match path {
        [named @ .., b'/'] => named,
        _ => path,
    };
    // Below actuator's are the parts of a service.
    path.starts_with(b"/actuator/health/")
        || matches!(
            named,
            b"/-/health"
                | b"/-/healthy"
                | b"/-/ready"
                | b"/__health"
                | b"/_health"
                | b"/_healthz"
                | b"/actuator/health"
                | b"/alive"
                | b"/api/health"
                | b"/api/healthcheck"
                | b"/api/healthz"
                | b"/health"
                | b"/health-check"
                | b"/health/live"
                | b"/health/liveness"
                | b"/health/readiness"
                | b"/health/ready"
                | b"/health_check"
                | b"/healthcheck"
                | b"/healthz"
                | b"/heartbeat"
                | b"/liveness"
                | b"/livez"
                | b"/nginx-health"
                | b"/ping"
                | b"/readiness"
                | b"/ready"
                | b"/readyz"
                | b"/up"
        )
}
