//! The host that a request names: a guard against pages of other sites.
//!
//! A receiver on loopback is for the machine it runs on. A web page elsewhere can give its own name this machine's
//! address and then read what is served here as if it were its own (DNS rebinding). Its requests name its host, so those
//! for anything but the ingest API are refused unless they name this machine. Agents may name any host: what they send
//! is taken, and nothing can be read there.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::refusal::Refusal;

/// Paths of the ingest API.
const OPEN: [&str; 3] = ["/1/batch/", "/1/events/", "/1/auth"];

pub(crate) async fn guard(State(listen): State<SocketAddr>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_open = !listen.ip().is_loopback() || OPEN.iter().any(|open| path.starts_with(open));
    // A browser always names the host.
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if is_open || host.is_none_or(|host| is_here(host, listen.ip())) {
        return next.run(request).await;
    }
    let error = format!(
        "this hive listens on loopback only and is asked by another name, which a page of another site could do; \
         open http://{listen}/"
    );
    Refusal::new(StatusCode::FORBIDDEN, error).into_response()
}

/// Whether the host, which may have a port, is this machine.
fn is_here(host: &str, listen: IpAddr) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    if let Ok(address) = name.parse::<IpAddr>() {
        return address.is_loopback() || address == listen;
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn only_names_of_this_machine_are_here() {
        let listen = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for host in [
            "127.0.0.1",
            "127.0.0.1:8088",
            "127.1.2.3:1",
            "localhost:8088",
            "LOCALHOST.",
            "hive.localhost",
            "[::1]:8088",
        ] {
            assert!(is_here(host, listen), "{host}");
        }
        for host in [
            "",
            "example.org",
            "example.org:8088",
            "localhost.example.org",
            "notlocalhost",
            "10.0.0.1",
            "[::2]",
            "127.0.0.1.example.org",
        ] {
            assert!(!is_here(host, listen), "{host}");
        }
    }
}
