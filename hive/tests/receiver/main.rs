//! The receiver as a whole, over real sockets on 127.0.0.1: one binary, one file per topic.
//!
//! Nothing here sleeps or polls; a test that would hang is ended by [`client::in_time`]. The modules are marked
//! as test code because the lints would otherwise hold their helpers to the rules of shipped code.

#[cfg(test)]
mod client;
#[cfg(test)]
mod command;
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod queries;
#[cfg(test)]
mod single;
#[cfg(test)]
mod views;
