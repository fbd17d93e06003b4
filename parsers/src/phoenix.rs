//! Elixir's Logger lines and what Phoenix says in them.

pub(crate) mod line;
mod message;
