//! A headless browser that goes through checks, each with a hive of its own: a check that fails, or takes too long,
//! neither stops those after it nor leaves the browser behind.

use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::{Client, Locator};
use hive::{Hive, Options};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::driver::Driver;

/// The longest a check may take.
const CHECK_TIME_MAX: Duration = Duration::from_secs(60);

/// The longest that an element may take to appear.
const FIND_TIME_MAX: Duration = Duration::from_secs(10);

/// How often it is looked for.
const FIND_PERIOD: Duration = Duration::from_millis(20);

/// A browser and the driver that it hangs on.
pub(crate) struct Browser {
    driver: Driver,
    client: Client,
    width: u32,
    /// The names of the checks that failed.
    failed: Vec<&'static str>,
}

/// What a check has to work with.
pub(crate) struct Page {
    pub(crate) hive: Hive,
    /// The screen's.
    pub(crate) width: u32,
    client: Client,
}

impl Browser {
    /// Opens a browser with a screen of this width, unless there is no browser.
    pub(crate) async fn open(width: u32) -> Option<Browser> {
        let driver = Driver::start().await?;
        let client = driver.open(width).await;
        Some(Browser { driver, client, width, failed: Vec::new() })
    }

    /// Makes a check, which is a function with a name that says what holds.
    pub(crate) async fn check<C, F>(&mut self, check: C)
    where
        C: FnOnce(Page) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let hive = Hive::start(Options::default()).await.expect("a port");
        let page = Page { hive, width: self.width, client: self.client.clone() };
        // As a task, so that its panic ends there.
        let checked = tokio::spawn(tokio::time::timeout(CHECK_TIME_MAX, check(page))).await;
        if !matches!(checked, Ok(Ok(()))) {
            self.failed.push(std::any::type_name::<C>());
        }
    }

    /// Closes the browser, and fails if a check did.
    pub(crate) async fn close(self) {
        let closed = tokio::time::timeout(CHECK_TIME_MAX, self.client.close()).await;
        self.driver.stop().await;
        assert!(self.failed.is_empty(), "failed or took too long: {:?}", self.failed);
        closed.expect("the browser closes in time").expect("the browser closes");
    }
}

impl Page {
    /// Sends events of a dataset, a minute old unless they have a time.
    pub(crate) async fn send(&self, dataset: &str, events: &[Value]) {
        let time = jiff::Timestamp::now() - Duration::from_secs(60);
        let events: Vec<_> =
            events.iter().map(|data| json!({ "time": time.to_string(), "data": data })).collect();
        self.post(dataset, &json!(events)).await;
    }

    pub(crate) async fn post(&self, dataset: &str, batch: &Value) {
        let before = self.hive.stats().events_accepted;
        let request = hyper::Request::post(format!("{}/1/batch/{dataset}", self.hive.url()))
            .header("Content-Type", "application/json")
            .header("X-Honeycomb-Team", "key")
            .body(batch.to_string())
            .unwrap();
        let sender = legacy::Client::builder(TokioExecutor::new()).build_http();
        let answer = sender.request(request).await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        self.hive.wait_for_events(before + batch.as_array().unwrap().len() as u64).await;
    }

    pub(crate) async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.hive.url())).await.unwrap();
    }

    /// Clicks the first thing that a CSS selector finds.
    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Types into a field, sends the form by the Enter key, and waits until it is back with that value.
    pub(crate) async fn type_into(&self, field: &str, text: &str) {
        self.find(field).await.send_keys(&(text.to_owned() + &Key::Enter)).await.unwrap();
        self.find(&format!("{field}[value=\"{text}\"]")).await;
    }

    /// The first thing that a CSS selector finds, once there is one.
    async fn find(&self, css: &str) -> Element {
        let wait = self.client.wait().at_most(FIND_TIME_MAX).every(FIND_PERIOD);
        wait.for_element(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// What a script of the test gives; pages run none of their own.
    pub(crate) async fn look(&self, script: &str) -> Value {
        let looked = self.client.execute(&format!("return {script}"), Vec::new()).await;
        looked.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The texts of the rows of a table, without its head.
    pub(crate) async fn rows(&self, table: &str) -> Vec<String> {
        let rows = self
            .look(&format!(
                "[...document.querySelectorAll('{table} tbody tr, {table} tfoot tr')].map(row => \
                 [...row.children].map(cell => cell.innerText.replaceAll(/\\s+/g, ' ').trim()).join(' | '))"
            ))
            .await;
        rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap().to_owned()).collect()
    }
}
