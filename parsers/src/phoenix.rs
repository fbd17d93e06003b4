//! Elixir's Logger lines and what Phoenix, Ecto, Oban and OTP say in them.

mod crash;
mod ecto;
mod exception;
pub(crate) mod fingerprint;
mod frame;
mod lifecycle;
pub(crate) mod line;
mod measure;
pub(crate) mod message;
mod metadata;
mod oban;
pub(crate) mod pattern;
mod request;
mod socket;
pub(crate) mod start;
