//! Samplers: which events are shipped for others like them, and for how many.
//!
//! Takes an event's key and time; `first_seen` knows the first of its kind, which is spared.
//!
//! Invariants: deciding changes nothing. Times are arguments, and the clock may jump.

mod first_seen;

pub use first_seen::FirstSeen;
