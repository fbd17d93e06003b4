//! The driver of a browser: starts it, and speaks as much `WebDriver` as the tests need.
//!
//! That is JSON over HTTP in half a dozen commands, for which the crates that know all of it would bring more than
//! thirty others.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

/// Milliseconds that the driver waits for an element to appear.
const FIND_MS: u32 = 10_000;

/// The longest a command may take: a browser takes a few seconds to start.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(40);

/// The name of an element's id, by the standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running driver.
pub(crate) struct Driver {
    process: Child,
    /// Stays open, since the driver writes to it.
    _output: BufReader<ChildStdout>,
    address: String,
}

/// A browser of a driver.
#[derive(Clone)]
pub(crate) struct Session {
    address: String,
    path: String,
}

impl Driver {
    /// Starts the driver on a port that it chooses: `None` if there is none and none is required.
    pub(crate) async fn start() -> Option<Driver> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let Ok(mut process) = command.spawn() else {
            assert!(std::env::var_os("CI").is_none(), "chromedriver is not installed");
            println!(
                "SKIPPED: chromedriver is not installed (Debian: apt-get install chromium chromium-driver)"
            );
            return None;
        };
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        loop {
            line.clear();
            let bytes = output.read_line(&mut line).await.unwrap();
            assert!(bytes > 0, "chromedriver ended before it listened");
            if let Some((_, port)) = line.trim_end().trim_end_matches('.').split_once("successfully on port ")
            {
                let address = format!("127.0.0.1:{port}");
                return Some(Driver { process, _output: output, address });
            }
        }
    }

    /// Opens a browser with a screen of this width, which has nothing to do with any network but loopback.
    pub(crate) async fn open(&self, width: u32) -> Session {
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        // A window has a least width; a telephone's screen has not.
        let metrics = json!({ "width": width, "height": 900, "pixelRatio": 1.0, "mobile": width < 600 });
        let options = json!({ "args": args, "mobileEmulation": { "deviceMetrics": metrics } });
        let wanted = json!({ "goog:chromeOptions": options, "timeouts": { "implicit": FIND_MS } });
        let capabilities = json!({ "capabilities": { "alwaysMatch": wanted } });
        let made = command(&self.address, "POST /session", &capabilities).await;
        let id = made["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {made}"));
        Session { address: self.address.clone(), path: format!("/session/{id}") }
    }

    pub(crate) async fn stop(mut self) {
        self.process.kill().await.ok();
    }
}

impl Session {
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let value = command(&self.address, &format!("POST {}{path}", self.path), body).await;
        assert!(value["error"].is_null(), "{path} {body}: {}: {}", value["error"], value["message"]);
        value
    }

    /// The id of the first element that a CSS selector finds, once there is one.
    pub(crate) async fn find(&self, css: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": css })).await;
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// Closes the browser.
    pub(crate) async fn close(&self) {
        command(&self.address, &format!("DELETE {}", self.path), &json!({})).await;
    }
}

async fn command(address: &str, line: &str, body: &Value) -> Value {
    let answer = exchange(address, line, "", &body.to_string()).await;
    let json: Value =
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{line}: {error}: {answer}"));
    json["value"].clone()
}

/// Sends a request with JSON; gives the body of the answer.
pub(crate) async fn exchange(address: &str, line: &str, headers: &str, body: &str) -> String {
    let answer = tokio::time::timeout(ANSWER_TIME_MAX, answer(address, line, headers, body)).await;
    answer.unwrap_or_else(|_| panic!("{line}: no answer in time"))
}

async fn answer(address: &str, line: &str, headers: &str, body: &str) -> String {
    let head = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    // The driver leaves the connection open, whatever it is asked.
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    while line != "\r\n" {
        line.clear();
        let bytes = reader.read_line(&mut line).await.unwrap();
        assert!(bytes > 0, "the connection ended within the head of the answer");
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut content = vec![0; length];
    reader.read_exact(&mut content).await.unwrap();
    String::from_utf8(content).unwrap()
}
