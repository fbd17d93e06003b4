//! Transforms: what happens to an event between its parse and its encoding.
//!
//! Takes parsed events, gives what is shipped of them and at which rate. Pure: time and seeds come in.
//!
//! Invariant: what is decided of an event is decided before anything is changed, so that an event that finds no room
//! is decided again and meets the same decision.

pub mod mask;
pub mod kind;
pub mod sampler;
