//! The pages in a real browser: what a person sees, clicks and types. Where no browser's driver is installed the tests
//! say so and are skipped; in CI that is a failure.
//!
//! The modules are marked as test code because the lints would otherwise hold their helpers to the rules of shipped code.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod events;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod questions;

use browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn pages_on_a_desk() {
    let Some(mut browser) = Browser::open(1_280).await else { return };
    browser.check(pages::a_condition_that_is_typed_changes_the_numbers).await;
    browser.check(pages::a_group_leads_to_its_events_and_a_value_to_others_like_it).await;
    browser.check(pages::hostile_values_are_shown_as_text).await;
    browser.check(pages::nothing_scrolls_sideways).await;
    browser.check(questions::each_ready_question_is_a_click_and_shows_the_right_numbers).await;
    browser.check(questions::the_events_of_a_request_open_as_a_waterfall).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_on_a_telephone() {
    let Some(mut browser) = Browser::open(390).await else { return };
    browser.check(pages::nothing_scrolls_sideways).await;
    browser.close().await;
}
