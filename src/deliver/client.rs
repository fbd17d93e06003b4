//! The HTTP client: one POST of one batch, and the question whose key this is.
//!
//! Takes compressed bodies, gives the status, the `Retry-After` and the body of the answer, whose size is
//! bounded. The API key goes into one header and nowhere else.

use std::{path::PathBuf, sync::Mutex, time::Duration};

use bytes::{Bytes, BytesMut};
use hivetail_parsers::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    Url,
    header::{CONTENT_ENCODING, HeaderName, HeaderValue, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    compress::Compression,
    http::{Http, HttpSettings},
    retry,
};
use crate::lock::lock;

/// Where the key goes.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-honeycomb-team");
/// What Honeycomb says of its rate limits.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What stays as it is in a path segment (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// An answer is no longer than this for each event sent, beside a fixed part.
const REPLY_BYTES_PER_EVENT: usize = 256;
const REPLY_BYTES_FIXED: usize = 64 * 1024;

/// What the client has to know.
#[derive(Debug)]
pub struct Settings {
    /// Where the API is; may have a path.
    pub api_url: Url,
    /// The key.
    pub api_key: SecretString,
    /// How connections are made.
    pub http: HttpSettings,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The body, up to the bound.
    pub body: Bytes,
}

/// Why a client can't be made or a request has no answer. Never holds the key.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The key can't be sent in a header.
    #[error("the API key holds characters that no key has: is it the whole key, on one line?")]
    Key,
    /// The certificates to trust can't be used.
    #[error("ca_file {}: {why}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No connection.
    #[error("{0}")]
    Connection(String),
    /// No answer in time, or the connection was lost.
    #[error("{0}")]
    Transport(String),
    /// The answer is longer than any answer to this batch could be.
    #[error("the answer is longer than {0} bytes")]
    ReplyTooLong(usize),
}

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        // The outermost text says little; the causes say "connection refused".
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        if error.is_connect() { Self::Connection(text) } else { Self::Transport(text) }
    }
}

impl ClientError {
    /// Whether another request would fare no better.
    #[must_use]
    pub const fn is_for_all(&self) -> bool {
        matches!(self, Self::Connection(_) | Self::Key)
    }
}

/// Talks to one API with one key.
#[derive(Debug)]
pub struct Client {
    http: Http,
    api_url: Url,
    key: Mutex<HeaderValue>,
}

impl Client {
    /// A client; connects only when used.
    ///
    /// # Errors
    /// When the key is no header value, or TLS can't be set up.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        let key = Mutex::new(key_header(&settings.api_key)?);
        let http = Http::new(settings.http.clone())?;
        Ok(Self { http, api_url: settings.api_url.clone(), key })
    }

    /// From now on this is the key.
    ///
    /// # Errors
    /// When it can't be sent in a header.
    pub fn set_key(&self, key: &SecretString) -> Result<(), ClientError> {
        *lock(&self.key) = key_header(key)?;
        Ok(())
    }

    fn key(&self) -> HeaderValue {
        lock(&self.key).clone()
    }

    /// Sends one batch.
    ///
    /// # Errors
    /// When there is no answer, or one too long to be one.
    pub async fn send(
        &self,
        dataset: &str,
        (body, compression): (Bytes, Compression),
        events: usize,
        now: Timestamp,
    ) -> Result<Reply, ClientError> {
        let segment = utf8_percent_encode(dataset, SEGMENT);
        let url = self.endpoint(&format!("1/batch/{segment}"));
        let mut request = self.http.client().post(url).header(KEY_HEADER, self.key()).body(body);
        if let Some(encoding) = compression.content_encoding() {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = retry::asked_wait(header(RETRY_AFTER), header(RATE_LIMIT), now);
        let body = read_body(response, REPLY_BYTES_FIXED + REPLY_BYTES_PER_EVENT * events).await?;
        Ok(Reply { status, retry_after, body })
    }

    /// Asks whose key this is and what it may do.
    ///
    /// # Errors
    /// When there is no answer; an answer that says no is an `Ok`.
    pub async fn auth(&self) -> Result<Result<Auth, Reply>, ClientError> {
        let response =
            self.http.client().get(self.endpoint("1/auth")).header(KEY_HEADER, self.key()).send().await?;
        let status = response.status().as_u16();
        let body = read_body(response, REPLY_BYTES_FIXED).await?;
        let auth = (status == 200).then(|| serde_json::from_slice(&body).ok()).flatten();
        Ok(auth.ok_or(Reply { status, retry_after: None, body }))
    }

    /// `path` below the API's URL, which may have a path of its own.
    fn endpoint(&self, path: &str) -> Url {
        let mut url = self.api_url.clone();
        url.set_path(&format!("{}/{path}", self.api_url.path().trim_end_matches('/')));
        url
    }
}

fn key_header(key: &SecretString) -> Result<HeaderValue, ClientError> {
    let mut header = HeaderValue::from_str(key.expose_secret()).map_err(|_| ClientError::Key)?;
    header.set_sensitive(true);
    Ok(header)
}

async fn read_body(mut response: reqwest::Response, bytes_max: usize) -> Result<Bytes, ClientError> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > bytes_max {
            return Err(ClientError::ReplyTooLong(bytes_max));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// What `GET /1/auth` tells (Honeycomb, "Auth").
#[derive(Debug, Deserialize)]
pub struct Auth {
    /// Whose account.
    pub team: Named,
    /// Which environment; its names are empty for a classic key.
    pub environment: Named,
    /// What the key may do.
    pub api_key_access: Access,
}

/// A name and its slug.
#[derive(Debug, Deserialize)]
pub struct Named {
    /// For people.
    pub name: String,
    /// For URLs.
    pub slug: String,
}

/// The rights that matter here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// May send events; ingest keys don't say, since they may do nothing else.
    pub events: Option<bool>,
    /// May create datasets by sending to them.
    #[serde(default)]
    pub create_datasets: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(api_url: &str, api_key: &str) -> Result<Client, ClientError> {
        Client::new(&Settings {
            api_url: api_url.parse().unwrap(),
            api_key: api_key.into(),
            http: HttpSettings {
                timeout: Duration::from_secs(1),
                concurrency: 1,
                ca_file: None,
                tls_verify: true,
                formats: String::new(),
            },
        })
    }

    #[test]
    fn endpoints_keep_the_path_of_the_api_url() {
        let path = |base: &str| client(base, "k").unwrap().endpoint("1/batch/a%20b").to_string();
        assert_eq!(path("http://127.0.0.1:1"), "http://127.0.0.1:1/1/batch/a%20b");
        assert_eq!(path("https://proxy.test/honey/"), "https://proxy.test/honey/1/batch/a%20b");
    }

    #[test]
    fn a_key_that_is_none_is_not_shown() {
        let error = client("http://127.0.0.1:1", "secret\nkey").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
