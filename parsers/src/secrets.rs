//! Secrets in text, whatever wrote it.
//!
//! Takes a text, gives it with `[FILTERED]` for each value whose name says that it is one (`names.rs` has the words; a
//! source may have others). How names and values are written is told form by form in `search.rs`; what has to be decoded
//! before it shows is in `encoded.rs` and `decoded.rs`. Containers go whole; a value without an end goes up to the end of its
//! line. Fields of a record go whole if their own name is a secret's.
//!
//! Where a value ends depends on what the text is. In a URL as a client wrote it, quotes and brackets mean nothing. In prose
//! they do, but not in a URL there: rather too much is taken out than too little.
//!
//! Invariant: a line that names no secret is looked at once, a text without secrets is given as it is, and the work is bounded
//! by the text's length.

mod decoded;
mod encoded;
mod fields;
mod key;
mod line;
mod names;
mod place;
mod prose;
mod search;
mod sibling;
mod value;

use memchr::{memchr, memchr3};

pub(crate) use fields::{clean, clean_by_name, under_name};
pub(crate) use line::may_stand_in;
pub use names::SecretNames;
use place::Place;
use search::Secrets;
pub(crate) use value::is_scheme;

use crate::record::Scratch;

/// What stands in the place of a secret; Phoenix prints the same.
pub const FILTERED: &[u8] = b"[FILTERED]";

/// The text without its secrets.
pub(crate) fn text<'a>(text: &'a [u8], names: &SecretNames, scratch: &'a Scratch) -> &'a [u8] {
    cleaned(text, Place::Prose, names, scratch)
}

/// The URL, a part of one, or a request's line without its secrets.
pub(crate) fn url<'a>(text: &'a [u8], names: &SecretNames, scratch: &'a Scratch) -> &'a [u8] {
    cleaned(text, Place::Url, names, scratch)
}

fn cleaned<'a>(text: &'a [u8], place: Place, names: &SecretNames, scratch: &'a Scratch) -> &'a [u8] {
    if names.is_empty() {
        return text;
    }
    // Those first: the quotes that show what was found in the plain text would end them.
    let text = if memchr(b'%', text).is_none() {
        text
    } else {
        decoded::parts(encoded::text(text, place, names, scratch), place, names, scratch)
    };
    decoded::letters(plain_text(text, place, names, scratch), place, names, scratch)
}

fn plain_text<'a>(text: &'a [u8], place: Place, names: &SecretNames, scratch: &'a Scratch) -> &'a [u8] {
    // Each name has one of these behind it.
    if memchr3(b'=', b':', b',', text).is_none() {
        return text;
    }
    replaced(text, &Secrets::new(text, place, names), scratch)
}

/// The text with `[FILTERED]` in the place of each of those; the text itself if there are none.
pub(crate) fn replaced<'a>(
    text: &'a [u8],
    secrets: &(impl Iterator<Item = Secret> + Clone),
    scratch: &'a Scratch,
) -> &'a [u8] {
    let (mut len, mut found) = (text.len(), false);
    for secret in secrets.clone() {
        len = len - (secret.end - secret.start) + secret.shown_len();
        found = true;
    }
    if found { scratch.fill(len, |out| write(text, secrets.clone(), out)) } else { text }
}

/// A value to be replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret {
    start: usize,
    end: usize,
    /// How many backslashes come before each quote of what replaces it; `None` for no quotes.
    escapes: Option<usize>,
}

impl Secret {
    /// One that is shown without quotes, if there is anything.
    pub(crate) fn plain(start: usize, end: usize) -> Option<Self> {
        (end > start).then_some(Self { start, end, escapes: None })
    }

    fn shown_len(&self) -> usize {
        FILTERED.len() + self.escapes.map_or(0, |escapes| 2 * (escapes + 1))
    }
}

fn write(text: &[u8], secrets: impl Iterator<Item = Secret>, out: &mut [u8]) -> usize {
    let (mut copied, mut written) = (0, 0);
    let mut put = |part: &[u8]| {
        out[written..written + part.len()].copy_from_slice(part);
        written += part.len();
    };
    for secret in secrets {
        put(&text[copied..secret.start]);
        let quote = |put: &mut dyn FnMut(&[u8])| {
            if let Some(escapes) = secret.escapes {
                (0..escapes).for_each(|_| put(b"\\"));
                put(b"\"");
            }
        };
        quote(&mut put);
        put(FILTERED);
        quote(&mut put);
        copied = secret.end;
    }
    put(&text[copied..]);
    written
}

#[cfg(test)]
mod tests;
