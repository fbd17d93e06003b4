//! Where a text has values of secrets' names, form by form.
//!
//! Takes a text, gives one value after the other: of queries, `token=x`; of assignments, `token = "x"`; of headers,
//! `Authorization: x`; of Elixir's and Erlang's maps, keywords and tuples, `"token" => "x"`, `token: "x"` and `{"token", "x"}`;
//! of JSON, `"token":"x"`, `["authorization","x"]` and `"name":"token","value":"x"`, also within quoted text, where quotes are
//! escaped; of structs that Go prints, `{Token:x}`; and of logins in URLs, `https://user:x@host`.
//!
//! Invariant: values come in their order and none reaches into the next. The work is bounded by the text's length: once a
//! value had no end in all of the text, others have to end in their line.

use memchr::{memchr, memchr_iter, memchr2, memchr3, memmem, memrchr};

use super::{
    FILTERED, Secret, SecretNames,
    key::{self, Key, Opening, header, is_secret_header, of_keyword, of_map, of_pair, of_variable},
    place::{Place, prose_len, target, url_len},
    prose, sibling,
    value::{self, Quotes, is_literal, opens_container, opens_quote, without_quotes, word_len},
};
use crate::inspected::{Terms, backslashes};

/// How long a URL's user and password are at most.
pub(super) const LOGIN_BYTES_MAX: usize = 512;
/// How far before a name the beginning of its struct is looked for.
const STRUCT_BYTES_MAX: usize = 256;

/// The secrets of a text, one after the other.
#[derive(Clone)]
pub(super) struct Secrets<'t, 'p> {
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

impl<'t, 'p> Secrets<'t, 'p> {
    pub(super) fn new(text: &'t [u8], place: Place, names: &'p SecretNames) -> Self {
        Self {
            text,
            names,
            // Commas are common in prose, and a pair needs its bracket.
            comma: if memchr2(b'{', b'[', text).is_some() { b',' } else { b':' },
            at: 0,
            quotes: Quotes::default(),
            line_end: 0,
            unclosed: false,
            target: (place == Place::Url).then_some((0, text.len())),
        }
    }
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
        match (self.text[sign], &self.text[sign + 1..]) {
            (b'=', [b'>', ..]) if !self.in_url(sign) => self.mapped(sign),
            (b'=', _) => self.parameter(sign).or_else(|| self.variable(sign)),
            (b',', _) => self.paired(sign),
            _ => self.login(sign).or_else(|| self.header(sign)).or_else(|| self.keyword(sign)),
        }
    }

    /// Whether the text is a URL there: quotes and brackets mean nothing in what a client wrote.
    fn in_url(&mut self, at: usize) -> bool {
        let (from, to) = *self.target.get_or_insert_with(|| target(self.text));
        (from..to).contains(&at)
    }

    /// Where something stands behind the blanks from `at` on.
    fn behind_blanks(&self, at: usize) -> usize {
        at + self.text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
    }

    /// A map's value: behind `=>`.
    fn mapped(&mut self, sign: usize) -> Option<Secret> {
        let (before, start) = (&self.text[..sign], self.behind_blanks(sign + 2));
        let key = of_map(before, opens_quote(&self.text[start..]))?;
        if self.names.is_secret(key.name) || self.is_named_so(key, before, start) {
            return self.term(start, key.escapes);
        }
        None
    }

    /// The value of a query's parameter, or of any name with `=` right after it.
    fn parameter(&mut self, sign: usize) -> Option<Secret> {
        let in_url = self.in_url(sign);
        let (name, is_in_query) = key::parameter(&self.text[..sign], in_url)?;
        if !self.names.is_secret_parameter(name) {
            return None;
        }
        let start = sign + 1;
        if !in_url && !is_in_query && prose::is_folder(name, &self.text[start..]) {
            return None;
        }
        let secret = self.assigned(start, is_in_query)?;
        if secret.escapes.is_none() && value::is_scheme(&self.text[start..secret.end]) {
            return Secret::plain(start, self.credentials_end(secret.end));
        }
        Some(secret)
    }

    fn assigned(&mut self, start: usize, is_in_query: bool) -> Option<Secret> {
        let text = self.text;
        let value = &text[start..];
        if self.in_url(start) {
            return Secret::plain(start, self.url_end(start));
        }
        if is_in_query && !matches!(value, [b'"' | b'\\', ..]) {
            return Secret::plain(start, start + prose_len(value));
        }
        let escapes = value.iter().take_while(|byte| **byte == b'\\').count();
        match &value[escapes..] {
            [b'"' | b'\'', after @ ..] => {
                // The end of the text that `token=` stands in, not the beginning of a value.
                let ends = after.first().is_none_or(|byte| {
                    byte.is_ascii_whitespace() || matches!(byte, b',' | b')' | b']' | b'}' | b'>')
                });
                let closes = ends && self.quotes.escapes_at(text, start) > escapes;
                if closes { None } else { self.term(start, None) }
            }
            value if opens_container(value) => {
                let secret = self.term(start, None)?;
                Secret::plain(start, secret.end)
            }
            _ => {
                let len = prose::assigned_len(value);
                let is_quote = matches!(value.get(len), Some(b'"' | b'\''));
                Secret::plain(start, start + len - if is_quote { backslashes(&value[..len]) } else { 0 })
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

    /// The end of what follows a scheme, `Bearer x`: one word, or parameters up to the end of the line or of the quoted text.
    fn credentials_end(&mut self, end: usize) -> usize {
        let start = self.behind_blanks(end);
        let word = word_len(&self.text[start..]);
        if start == end || word == 0 || self.text[end..start].contains(&b'\n') {
            return end;
        }
        // `Digest username="…", response="…"`
        let is_parameter = |sign: usize| {
            let value = self.text[start + sign + 1..].first();
            value.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'"' | b'\\'))
        };
        if memchr(b'=', &self.text[start..start + word]).is_some_and(is_parameter) {
            self.line_or_text_end(start)
        } else {
            start + word
        }
    }

    /// The value of a variable, which has blanks before or behind `=`, or a quoted name.
    fn variable(&mut self, sign: usize) -> Option<Secret> {
        let (before, start) = (&self.text[..sign], self.behind_blanks(sign + 1));
        if self.in_url(sign) {
            return None;
        }
        let key = of_variable(before).filter(|key| self.names.is_secret(key.name))?;
        let is_apart = start > sign + 1 || before.ends_with(b" ") || key.is_quoted;
        if is_apart { self.data(start, key) } else { None }
    }

    /// The second element of a pair that begins with a name, or a header's value in a list.
    fn paired(&mut self, sign: usize) -> Option<Secret> {
        let start = self.behind_blanks(sign + 1);
        let blanks = &self.text[sign + 1..start];
        // Erlang breaks lines behind its commas, and has no blank there otherwise.
        let bare = opens_quote(&self.text[start..]) && (blanks.is_empty() || blanks.contains(&b'\n'));
        let (opening, key) = of_pair(&self.text[..sign], bare)?;
        let is_secret = match opening {
            Opening::Tuple | Opening::Pair => self.names.is_secret(key.name),
            Opening::List => is_secret_header(key.name, self.names),
            Opening::Between => key::is_known_header(key.name) && self.names.is_secret(key.name),
        };
        if !is_secret {
            return None;
        }
        if opening == Opening::Tuple {
            return self.term(start, key.escapes);
        }
        // Containers within each other would be looked through again and again.
        if !is_literal(&self.text[start..]) || opens_container(&self.text[start..]) {
            return None;
        }
        let secret = self.term(start, key.escapes)?;
        let value = without_quotes(&self.text[secret.start..secret.end]);
        let ends = || matches!(self.text[self.behind_blanks(secret.end)..], [b']' | b')', ..]);
        // Names alone may stand in a list, too.
        let is_value = match opening {
            Opening::Between => value.iter().any(|byte| matches!(byte, b' ' | b'=')),
            Opening::List => ends() && !is_secret_header(value, self.names),
            Opening::Tuple | Opening::Pair => ends(),
        };
        (self.unclosed || is_value).then_some(secret)
    }

    /// The password of a URL's user.
    fn login(&self, sign: usize) -> Option<Secret> {
        let authority = self.text[sign + 1..].strip_prefix(b"//")?;
        let start = self.text.len() - authority.len();
        if !self.names.is_secret(b"password") {
            return None;
        }
        let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'<' | b'>' | b'\\');
        let near = &authority[..authority.len().min(LOGIN_BYTES_MAX)];
        let url = &near[..near.iter().position(ends).unwrap_or(near.len())];
        let len = url.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(url.len());
        let colon = memchr(b':', &url[..len])?;
        // A password may have a slash, but a port has none.
        let is_port = url[colon + 1..len].iter().all(u8::is_ascii_digit);
        let at = memrchr(b'@', &url[..len]).or_else(|| memrchr(b'@', url).filter(|_| !is_port))?;
        if colon < at { Secret::plain(start + colon + 1, start + at) } else { None }
    }

    /// A header's value: up to the end of the line, or of the quoted text that it stands in. Without a blank before it, it has
    /// to be one that a header of that name always has.
    fn header(&mut self, sign: usize) -> Option<Secret> {
        let before = &self.text[..sign];
        let name = header(before).filter(|name| is_secret_header(name, self.names))?;
        let start = sign + 1;
        match self.text[start..] {
            [b' ' | b'\t', ..] if prose::begins_sentence(&self.text[start..]) => None,
            [b' ' | b'\t', ..] => Secret::plain(start + 1, self.header_end(start + 1, before, name)),
            [b'\r' | b'\n', ..] | [] => None,
            _ if self.in_url(sign) => self.assigned(start, true),
            _ if key::is_known_header(name) => Secret::plain(start, self.header_end(start, before, name)),
            _ => self.assigned(start, false),
        }
    }

    /// The end of a header's value, which may be quoted in whole: `-H 'Authorization: x'`.
    fn header_end(&mut self, start: usize, before: &[u8], name: &[u8]) -> usize {
        let end = self.line_or_text_end(start);
        if before[..before.len() - name.len()].ends_with(b"'") {
            memchr(b'\'', &self.text[start..end]).map_or(end, |len| start + len)
        } else {
            end
        }
    }

    /// The end of the line, which may be an escaped one, or of the quoted text round a place.
    fn line_or_text_end(&mut self, start: usize) -> usize {
        let escapes = self.quotes.escapes_at(self.text, start);
        let text = &self.text[start..];
        let mut at = 0;
        while let Some(len) = text
            .get(at..)
            .and_then(|text| text.iter().position(|b| matches!(b, b'\n' | b'\r' | b'"' | b'\\')))
        {
            at += len;
            let run = text[at..].iter().take_while(|byte| **byte == b'\\').count();
            match text.get(at + run) {
                Some(b'"') if run < escapes => return start + at,
                Some(b'n' | b'r') if run > 0 => return start + at,
                Some(b'\n' | b'\r') => return start + at,
                _ => at += run + 1,
            }
        }
        self.text.len()
    }

    /// A keyword's value, and that of JSON's and Go's.
    fn keyword(&mut self, sign: usize) -> Option<Secret> {
        let (before, start) = (&self.text[..sign], self.behind_blanks(sign + 1));
        let key = of_keyword(before)?;
        if !self.names.is_secret(key.name) {
            let is_named_so = self.is_named_so(key, before, start);
            return if is_named_so { self.data(start, key) } else { None };
        }
        if !key.is_quoted && prose::is_spoken_of(before, key.name) {
            return None;
        }
        if start > sign + 1 || key.is_quoted || opens_quote(&self.text[start..]) {
            return self.data(start, key);
        }
        // Names that Go exports are in capitals, and nothing but a value stands right behind their colon; nor in its structs.
        let is_exported = key.name[0].is_ascii_uppercase();
        let len = word_len(&self.text[start..]);
        let is_value = is_exported || value::is_coded(&self.text[start..start + len]) || in_go(before);
        if is_value { Secret::plain(start, start + len) } else { None }
    }

    /// The value there, if it is data and not prose.
    fn data(&mut self, start: usize, key: Key<'_>) -> Option<Secret> {
        let value = &self.text[start..];
        if is_literal(value) {
            let secret = self.term(start, key.escapes)?;
            let is_said = (!key.is_quoted && prose::is_count(value))
                || prose::is_about_a_form(&self.text[start..secret.end]);
            return if is_said { None } else { Some(secret) };
        }
        let word = &value[..word_len(value)];
        if value::is_coded(word) { Secret::plain(start, start + word.len()) } else { None }
    }

    /// Whether the name is `value`, and beside it stands what the value is that of.
    fn is_named_so(&mut self, key: Key<'_>, before: &[u8], start: usize) -> bool {
        if !sibling::is_value(key.name) {
            return false;
        }
        if let Some(name) = sibling::before(&before[..before.trim_ascii_end().len() - key.len]) {
            return self.names.is_secret(name);
        }
        // Containers within each other would be looked through again and again.
        if !opens_quote(&self.text[start..]) || self.unclosed {
            return false;
        }
        let end = self.term(start, key.escapes).map_or(self.text.len(), |secret| secret.end);
        sibling::after(&self.text[end..]).is_some_and(|name| self.names.is_secret(name))
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

/// Whether a name stands in a map or a struct as Go prints them: `map[a:b`, `{a:b c:d`.
fn in_go(before: &[u8]) -> bool {
    let near = &before[before.len().saturating_sub(STRUCT_BYTES_MAX)..];
    let map = memmem::rfind(near, b"map[").map_or(&near[..0], |map| &near[map..]);
    let fields = memrchr(b'{', near).map_or(&near[..0], |brace| &near[brace..]);
    memchr_iter(b'[', map).count() > memchr_iter(b']', map).count()
        || (!fields.is_empty() && memchr2(b'}', b'"', fields).is_none())
}

fn line_end(text: &[u8], start: usize) -> usize {
    memchr(b'\n', &text[start..]).map_or(text.len(), |len| start + len)
}
