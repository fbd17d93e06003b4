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
