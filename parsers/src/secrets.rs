//! Secrets in text, whatever wrote it.
//!
//! Takes a text, gives it with `[FILTERED]` for each value whose name says that it is one (`names.rs` has the words; a
//! source may have others): of queries, `token=x`, also where all of a query is encoded,
//! `token%3Dx`; of headers, `Authorization: x`; of Elixir's maps, keywords and tuples, `"token" => "x"`, `token: "x"` and
//! `{"token", "x"}`; and of JSON, `"token":"x"`, also within quoted text, where quotes are escaped. Containers go whole;
//! a value without an end goes up to the end of its line. Fields of a record go whole if their own name is a secret's.
//!
//! Where a value ends depends on what the text is. In a URL as a client wrote it, quotes and brackets mean nothing. In prose
//! they do, but not in a URL there: rather too much is taken out than too little.
//!
//! Invariant: a line that names no secret is looked at once, a text without secrets is given as it is, and the work is bounded
//! by the text's length: once a value had no end in all of the text, others have to end in their line.

mod encoded;
mod fields;
mod key;
mod names;
mod place;
mod value;

use memchr::{memchr, memchr3};

pub(crate) use fields::{clean, clean_by_name, may_stand_in, under_name};
use key::{Key, header, is_secret_header, of_keyword, of_map, parameter};
pub use names::SecretNames;
use place::{Place, prose_len, target, url_len};
use value::{Quotes, is_literal, opens_container, without_quotes};

use crate::{
    inspected::{Terms, backslashes},
    percent,
    record::Scratch,
};

/// What Phoenix prints for a secret.
pub(crate) const FILTERED: &[u8] = b"[FILTERED]";

/// How much of an encoded name is decoded at once.
const DECODED: usize = 128;

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
    let text = if memchr(b'%', text).is_none() { text } else { encoded::text(text, place, names, scratch) };
    plain_text(text, place, names, scratch)
}

fn plain_text<'a>(text: &'a [u8], place: Place, names: &SecretNames, scratch: &'a Scratch) -> &'a [u8] {
    if memchr3(b'=', b':', b'{', text).is_none() {
        return text;
    }
    let secrets = Secrets {
        text,
        names,
        // Commas are common in prose, and a tuple needs its bracket.
        comma: if memchr(b'{', text).is_some() { b',' } else { b':' },
        at: 0,
        quotes: Quotes::default(),
        line_end: 0,
        unclosed: false,
        target: (place == Place::Url).then_some((0, text.len())),
    };
    replaced(text, &secrets, scratch)
}

/// The text with `[FILTERED]` in the place of each of those; the text itself if there are none.
fn replaced<'a>(
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
struct Secret {
    start: usize,
    end: usize,
    /// How many backslashes come before each quote of what replaces it; `None` for no quotes.
    escapes: Option<usize>,
}

impl Secret {
    fn shown_len(&self) -> usize {
        FILTERED.len() + self.escapes.map_or(0, |escapes| 2 * (escapes + 1))
    }
}

/// The secrets of a text, one after the other.
#[derive(Clone)]
struct Secrets<'t, 'p> {
    text: &'t [u8],
    names: &'p SecretNames,
    /// What to look for beside `=` and `:`.
    comma: u8,
    at: usize,
    quotes: Quotes,
    line_end: usize,
    /// Whether some value had no end.
    unclosed: bool,
    /// Where the text is a URL as a client wrote it, once it was asked for.
    target: Option<(usize, usize)>,
}

impl Iterator for Secrets<'_, '_> {
    type Item = Secret;

    fn next(&mut self) -> Option<Secret> {
        loop {
            let sign = self.at + memchr3(b'=', b':', self.comma, self.text.get(self.at..)?)?;
            self.at = sign + 1;
            if let Some(secret) = self.under(sign) {
                self.at = secret.end;
                if without_quotes(&self.text[secret.start..secret.end]) != FILTERED {
                    return Some(secret);
                }
            }
        }
    }
}

impl Secrets<'_, '_> {
    /// The value after that sign, if its name is a secret's.
    fn under(&mut self, sign: usize) -> Option<Secret> {
        let (before, after) = (&self.text[..sign], &self.text[sign + 1..]);
        let names = self.names;
        let blanks = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        match (self.text[sign], after) {
            (b'=', [b'>', value @ ..]) if !self.in_url(sign) => {
                let key = of_map(before).filter(|key| names.is_secret(key.name))?;
                self.term(sign + 2 + blanks(value), key.escapes)
            }
            (b'=', _) => {
                let name = parameter(before).filter(|name| is_secret_parameter(name, names))?;
                let introduced = before[..before.len() - name.len()].last();
                self.assigned(sign + 1, matches!(introduced, Some(b'?' | b'&' | b'#' | b'/')))
            }
            (b',', _) => {
                let key = of_tuple(before).filter(|key| names.is_secret(key.name))?;
                self.term(sign + 1 + blanks(after), key.escapes)
            }
            _ => {
                if let Some(secret) = self.header(sign) {
                    return Some(secret);
                }
                let key = of_keyword(before).filter(|key| names.is_secret(key.name))?;
                let blanks = blanks(after);
                let sound = (blanks > 0 || key.is_quoted) && is_literal(&after[blanks..]);
                if sound { self.term(sign + 1 + blanks, key.escapes) } else { None }
            }
        }
    }

    /// Whether the text is a URL there: quotes and brackets mean nothing in what a client wrote.
    fn in_url(&mut self, at: usize) -> bool {
        let (from, to) = *self.target.get_or_insert_with(|| target(self.text));
        (from..to).contains(&at)
    }

    /// A header's value: up to the end of the line, or of the quoted text that it stands in.
    fn header(&self, sign: usize) -> Option<Secret> {
        let (before, after) = (&self.text[..sign], &self.text[sign + 1..]);
        let value = after.strip_prefix(b" ")?;
        header(before).filter(|name| is_secret_header(name, self.names))?;
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'"' | b'\\');
        let len = value.iter().position(ends).unwrap_or(value.len());
        plain(sign + 2, sign + 2 + len)
    }

    /// The value of a query's parameter, or of any name with `=` right after it.
    fn assigned(&mut self, start: usize, is_in_query: bool) -> Option<Secret> {
        let text = self.text;
        let value = &text[start..];
        if self.in_url(start) {
            return plain(start, self.url_end(start));
        }
        if is_in_query && !matches!(value, [b'"' | b'\\', ..]) {
            return plain(start, start + prose_len(value));
        }
        let escapes = value.iter().take_while(|byte| **byte == b'\\').count();
        match &value[escapes..] {
            [b'"' | b'\'', after @ ..] => {
                // The end of the text that `token=` stands in, not the beginning of a value.
                let ends =
                    after.first().is_none_or(|byte| byte.is_ascii_whitespace() || b",)]}>".contains(byte));
                let closes = ends && self.quotes.escapes_at(text, start) > escapes;
                if closes { None } else { self.term(start, None) }
            }
            value if opens_container(value) => {
                let secret = self.term(start, None)?;
                plain(start, secret.end)
            }
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b"&;#\"',)>}".contains(byte);
                let len = value.iter().position(ends).unwrap_or(value.len());
                let is_quote = matches!(value.get(len), Some(b'"' | b'\''));
                plain(start, start + len - if is_quote { backslashes(&value[..len]) } else { 0 })
            }
        }
    }

    /// The end of a value in a URL. What is quoted may have a `&` in it, and then counts as the value's, too.
    fn url_end(&mut self, start: usize) -> usize {
        let value = &self.text[start..];
        let is_term = matches!(value, [b'"' | b'\'', ..]) || opens_container(value);
        let (_, to) = *self.target.get_or_insert_with(|| target(self.text));
        let text = &self.text[..to];
        let term = is_term.then(|| Terms { text, escapes: None }.term(start));
        let (Ok(end) | Err(end)) = term.unwrap_or(Ok(start));
        end + url_len(&text[end..])
    }

    /// The term that begins there.
    fn term(&mut self, start: usize, escapes: Option<usize>) -> Option<Secret> {
        if start >= self.line_end {
            self.line_end = line_end(self.text, start);
        }
        let text = if self.unclosed { &self.text[..self.line_end] } else { self.text };
        let mut terms = Terms { text, escapes };
        let end = match terms.term(start) {
            Err(end) if end == text.len() => {
                self.unclosed = true;
                self.line_end
            }
            Ok(end) | Err(end) => end,
        };
        let escapes = terms.escapes.unwrap_or_else(|| self.quotes.escapes_at(self.text, start));
        (end > start).then_some(Secret { start, end, escapes: Some(escapes) })
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

/// `"password"`, `:password` or `:"pass-word"`, as tuples have it between `{` and `,`.
fn of_tuple(before: &[u8]) -> Option<Key<'_>> {
    // Blanks or a bracket before the comma: no key, and no reason to look back.
    before
        .last()
        .filter(|byte| byte.is_ascii_alphanumeric() || b"\"_?!@".contains(byte) || !byte.is_ascii())?;
    let key = of_map(before)?;
    let to = |len: usize| before.len().checked_sub(len).and_then(|end| before.get(..end));
    let opening = if key.is_quoted {
        let escapes = key.escapes?;
        let escaped = to(key.name.len() + escapes + 2)?;
        // Otherwise the name begins at a quote within it, or the text before it ends there.
        let text = to(key.name.len() + 2 * escapes + 2).filter(|_| backslashes(escaped) == escapes)?;
        text.strip_suffix(b":").unwrap_or(text)
    } else {
        to(key.name.len() + 1)?
    };
    opening.ends_with(b"{").then_some(key)
}

/// Whether a query's name is a secret's, also with letters of it written as `%77`.
fn is_secret_parameter(name: &[u8], names: &SecretNames) -> bool {
    if names.is_secret(name) {
        return true;
    }
    if memchr(b'%', name).is_none() {
        return false;
    }
    let mut bytes = percent::bytes(name, b'+');
    let (mut decoded, mut kept) = ([0; DECODED], 0);
    loop {
        let filled = decoded.iter_mut().skip(kept).zip(&mut bytes).map(|(slot, byte)| *slot = byte).count();
        let len = kept + filled;
        if names.is_secret(decoded.get(..len).unwrap_or_default()) {
            return true;
        }
        if len < DECODED {
            return false;
        }
        // A word may stand across the end of what was decoded.
        kept = DECODED / 2;
        decoded.copy_within(DECODED - kept.., 0);
    }
}

fn plain(start: usize, end: usize) -> Option<Secret> {
    (end > start).then_some(Secret { start, end, escapes: None })
}

fn line_end(text: &[u8], start: usize) -> usize {
    memchr(b'\n', &text[start..]).map_or(text.len(), |len| start + len)
}

#[cfg(test)]
mod tests;
