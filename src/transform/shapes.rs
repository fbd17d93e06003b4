//! The cap on `url.shape`: so many different ones, and one for all others, so that who makes up paths can't make up groups.

use hivetail_parsers::{Record, Scratch, Value};

use super::hash::Hashes;

/// The shape of all that come too late.
const OTHER: &[u8] = b"/\xe2\x80\xa6";

/// The shapes of a source since its start.
#[derive(Debug)]
pub(crate) struct Shapes {
    seen: Hashes,
    max: usize,
}

impl Shapes {
    pub(crate) fn new(max: usize) -> Self {
        Self { seen: Hashes::new(), max }
    }

    /// Whether a shape is one of those that are told apart.
    pub(crate) fn admits(&mut self, shape: &[u8]) -> bool {
        if self.seen.has(shape) {
            return true;
        }
        let is_admitted = self.seen.len() < self.max;
        if is_admitted {
            self.seen.add(shape);
        }
        is_admitted
    }

    /// Gives an event the shape of all others, also where its name is made of its shape.
    pub(crate) fn overflow<'e>(record: &mut Record<'e>, shape: &[u8], scratch: &'e Scratch) {
        for field in record.fields_mut() {
            match (field.key.bytes(), field.value) {
                (b"url.shape", _) => field.value = Value::Text(OTHER),
                (b"name", Value::Text(name)) => {
                    if let Some(method) = name.strip_suffix(shape).filter(|method| method.ends_with(b" ")) {
                        field.value = Value::Text(scratch.concat(&[method, OTHER]));
                    }
                }
                _ => {}
            }
        }
    }
}
