//! A client as small as the tests allow: takes a request, writes it to a fresh connection, gives the answer as
//! it was read until the connection closed.
//!
//! Every request asks for the connection to be closed, so the answer is everything up to its end, and no
//! answer is an empty one.

use std::time::Duration;

use hive::Hive;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest a test may take.
const TEST_TIME_MAX: Duration = Duration::from_secs(30);

/// Ends a test that waits for something that does not come.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_TIME_MAX, work).await.expect("test takes too long")
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("answer is JSON")
    }

    /// The statuses inside the answer to a batch.
    pub(crate) fn statuses(&self) -> Vec<u64> {
        let json = self.json();
        json.as_array()
            .expect("answer is an array")
            .iter()
            .map(|one| one["status"].as_u64().unwrap())
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Opens a connection to a receiver.
pub(crate) async fn connect(hive: &Hive) -> TcpStream {
    let url = hive.url();
    TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Writes a request and reads until the connection ends: `None` if it ended without an answer.
pub(crate) async fn send(hive: &Hive, head: &str, body: &[u8]) -> Option<Answer> {
    let url = hive.url();
    let host = url.strip_prefix("http://").unwrap();
    exchange(&mut connect(hive).await, &request(host, head, body)).await
}

/// The same on a connection.
pub(crate) async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Option<Answer> {
    // Both may fail on a connection that the receiver has reset, which is no answer.
    stream.write_all(request).await.ok();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.ok();

    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// The bytes of a request, which names the host unless it names one itself; `head` is its first line without the version, and further headers.
pub(crate) fn request(host: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.starts_with("Host: ") {
        text.push_str(&format!("Host: {host}\r\n"));
    }
    for header in headers.lines() {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [text.as_bytes(), body].concat()
}

/// Posts a batch as an agent would.
pub(crate) async fn post(hive: &Hive, dataset: &str, batch: &str) -> Option<Answer> {
    send(hive, &format!("POST /1/batch/{dataset}\nX-Honeycomb-Team: key"), batch.as_bytes()).await
}

pub(crate) async fn get(hive: &Hive, path: &str) -> Answer {
    send(hive, &format!("GET {path}"), b"").await.expect("answered")
}

/// A batch of `count` events whose field `n` counts from 0.
pub(crate) fn batch(count: usize) -> String {
    let events: Vec<_> = (0..count).map(|n| format!(r#"{{"data":{{"n":{n}}}}}"#)).collect();
    format!("[{}]", events.join(","))
}
