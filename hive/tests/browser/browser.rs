//! A headless browser with a hive to look at: takes what a test does with both, ends them whatever comes of it.

use std::time::Duration;

use hive::{Hive, Options};
use serde_json::{Value, json};

use crate::driver::{Driver, Session, exchange};

/// The longest a test may take.
const TEST_TIME_MAX: Duration = Duration::from_secs(60);

/// The Enter key.
const ENTER: &str = "\u{e007}";

/// What a test has to work with.
pub(crate) struct Page {
    pub(crate) hive: Hive,
    session: Session,
}

/// Runs a test in a browser of this width, unless there is no browser.
pub(crate) async fn browse<F>(width: u32, test: impl FnOnce(Page) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let Some(driver) = Driver::start().await else { return };
    let session = driver.open(width).await;
    let hive = Hive::start(Options::default()).await.expect("a port");
    let page = Page { hive, session: session.clone() };
    // As a task, so that a test that fails leaves the browser to be closed here.
    let tested = tokio::spawn(tokio::time::timeout(TEST_TIME_MAX, test(page))).await;
    session.close().await;
    driver.stop().await;
    match tested {
        Ok(in_time) => in_time.expect("test takes too long"),
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
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
        let url = self.hive.url();
        let before = self.hive.stats().events_accepted;
        let address = url.trim_start_matches("http://");
        exchange(
            address,
            &format!("POST /1/batch/{dataset}"),
            "X-Honeycomb-Team: key\r\n",
            &batch.to_string(),
        )
        .await;
        self.hive.wait_for_events(before + batch.as_array().unwrap().len() as u64).await;
    }

    pub(crate) async fn open(&self, path: &str) {
        self.session.post("/url", &json!({ "url": format!("{}{path}", self.hive.url()) })).await;
    }

    /// Clicks the first thing that a CSS selector finds.
    pub(crate) async fn click(&self, css: &str) {
        let element = self.session.find(css).await;
        self.session.post(&format!("/element/{element}/click"), &json!({})).await;
    }

    /// Types into a field, sends the form by the Enter key, and waits until it is back with that value.
    pub(crate) async fn type_into(&self, field: &str, text: &str) {
        let element = self.session.find(field).await;
        let typed = json!({ "text": format!("{text}{ENTER}") });
        self.session.post(&format!("/element/{element}/value"), &typed).await;
        self.session.find(&format!("{field}[value=\"{text}\"]")).await;
    }

    /// What a script of the test gives; pages run none of their own.
    pub(crate) async fn look(&self, script: &str) -> Value {
        self.session.post("/execute/sync", &json!({ "script": format!("return {script}"), "args": [] })).await
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
