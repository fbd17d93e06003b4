//! stub
#![forbid(unsafe_code)]
pub mod ack;
pub mod batch;
pub mod budget;
pub mod dataset;
pub mod encode;
pub mod frame;
