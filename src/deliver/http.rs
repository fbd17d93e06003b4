//! HTTP connections: how they are made, and that none of them grows old.
//!
//! Takes what the configuration says of TLS and times, gives a client to send requests with. Certificates are verified
//! with the system's roots and those of `ca_file`; proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`).
//!
//! Invariant: no connection is used for longer than five minutes, so that a service that has moved is followed there.

use std::{
    fs,
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use reqwest::{
    Certificate,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::client::ClientError;
use crate::lock::lock;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than the 60 s or more after which servers close an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Names are asked for anew, and load balancers get their share, when the old connections are given up.
const AGE_MAX: Duration = Duration::from_secs(300);

/// How connections are made.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// For one request, from its start to the answer's end.
    pub timeout: Duration,
    /// How many requests run at once.
    pub concurrency: usize,
    /// Certificates to trust beside the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether certificates are verified at all.
    pub tls_verify: bool,
    /// What the other end is told of this agent, beside its name and version.
    pub formats: String,
}

/// Makes clients.
#[derive(Debug)]
pub(super) struct Http {
    settings: HttpSettings,
    current: Mutex<(reqwest::Client, Instant)>,
}

impl Http {
    /// # Errors
    /// When `ca_file` can't be read, or TLS can't be set up.
    pub(super) fn new(settings: HttpSettings) -> Result<Self, ClientError> {
        let current = Mutex::new((build(&settings)?, Instant::now()));
        Ok(Self { settings, current })
    }

    /// The client to send the next request with.
    pub(super) fn client(&self) -> reqwest::Client {
        let mut current = lock(&self.current);
        if current.1.elapsed() >= AGE_MAX {
            // Requests that run keep the old one until they end.
            match build(&self.settings) {
                Ok(client) => *current = (client, Instant::now()),
                Err(error) => {
                    tracing::warn!(%error, "the HTTP client can't be renewed: going on with the old one");
                }
            }
        }
        current.0.clone()
    }
}

fn build(settings: &HttpSettings) -> Result<reqwest::Client, ClientError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut builder = reqwest::Client::builder()
        .user_agent(user_agent(&settings.formats))
        .default_headers(headers)
        .timeout(settings.timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(settings.concurrency)
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(!settings.tls_verify)
        .tcp_nodelay(true);
    if let Some(path) = &settings.ca_file {
        let unusable = |why: String| ClientError::CaFile { path: path.clone(), why };
        let pem = fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("there is no certificate in it".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    Ok(builder.build()?)
}

fn user_agent(formats: &str) -> String {
    let name = concat!("hivetail/", env!("CARGO_PKG_VERSION"));
    if formats.is_empty() { name.to_owned() } else { format!("{name} ({formats})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(ca_file: Option<PathBuf>) -> HttpSettings {
        let formats = "phoenix, nginx".to_owned();
        HttpSettings { timeout: Duration::from_secs(1), concurrency: 1, ca_file, tls_verify: true, formats }
    }

    #[test]
    fn a_ca_file_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let error = |path: &PathBuf| Http::new(settings(Some(path.clone()))).unwrap_err().to_string();
        assert!(error(&path).contains("ca.pem") && error(&path).contains("No such file"), "{}", error(&path));
        fs::write(&path, "no certificate").unwrap();
        assert!(error(&path).contains("no certificate in it"), "{}", error(&path));
    }

    #[test]
    fn the_other_end_is_told_what_it_gets() {
        assert_eq!(
            user_agent("phoenix, nginx"),
            format!("hivetail/{} (phoenix, nginx)", env!("CARGO_PKG_VERSION"))
        );
        assert!(Http::new(settings(None)).is_ok());
    }
}
