//! What the fuzz targets check: the laws of every line, which the properties of the parsers' tests check as well, and
//! those of a whole chunk.

pub mod chunk;
#[path = "../../parsers/tests/any_line/laws.rs"]
pub mod laws;
