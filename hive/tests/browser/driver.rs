//! The driver of a browser: starts it on a port of its own choice, and gives a browser that it drives.

use std::process::Stdio;
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// The longest that a browser may take to start.
const START_TIME_MAX: Duration = Duration::from_secs(40);

/// A running driver.
pub(crate) struct Driver {
    process: Child,
    /// Stays open, since the driver writes to it.
    _output: BufReader<ChildStdout>,
    url: String,
}

impl Driver {
    /// Starts the driver: `None` if there is none and none is required.
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
                let url = format!("http://127.0.0.1:{port}");
                return Some(Driver { process, _output: output, url });
            }
        }
    }

    /// Opens a browser with a screen of this width, which has nothing to do with any network but loopback.
    pub(crate) async fn open(&self, width: u32) -> Client {
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
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)]));
        let opened = tokio::time::timeout(START_TIME_MAX, builder.connect(&self.url)).await;
        opened.expect("a browser in time").expect("a browser")
    }

    pub(crate) async fn stop(mut self) {
        self.process.kill().await.ok();
    }
}
