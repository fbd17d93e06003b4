//! What a source's configuration says of its URLs: patterns of paths, and parameters of queries that become fields.
//!
//! Takes a path and the record with its query, answers the pattern that fits as the path's shape, and sets
//! `url.param.<name>` for each named segment and parameter, decoded.
//!
//! Invariant: no secret becomes a field. A path or query is looked through as a whole first, since a secret may reach over
//! a slash, and each value once more when it is decoded.

use super::pattern::Pattern;
use crate::{
    percent,
    record::{Record, Scratch, Value},
    secrets::{self, FILTERED, SecretNames},
};

/// What fields of parameters begin with.
const PREFIX: &str = "url.param.";

/// Patterns that tell requests' shapes, and which parameters of their URLs are fields.
///
/// A pattern is a path whose segments are text, `:name` for any segment, which becomes the field `url.param.<name>`, or `*`
/// for any segment; as the last of several, `*` stands for one segment or more. Text is compared as written, with the
/// case of its letters. A path fits with a `/` at its end and without. The first pattern that fits is the shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlShapes {
    patterns: Vec<Pattern>,
    params: Vec<Param>,
}

/// A part of URLs that becomes a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Param {
    field: String,
}

impl Param {
    pub(super) fn new(name: &str) -> Self {
        Self { field: format!("{PREFIX}{name}") }
    }

    pub(super) fn name(&self) -> &str {
        &self.field[PREFIX.len()..]
    }

    /// Sets the field to that text, which is written in a path, or in a query, where `+` is a blank.
    fn set<'a>(
        &self,
        written: &'a [u8],
        plus: u8,
        names: &SecretNames,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) {
        if written.is_empty() {
            return;
        }
        let value = if names.is_secret(self.name().as_bytes()) {
            FILTERED
        } else {
            secrets::text(percent::decoded(written, plus, scratch), names, scratch)
        };
        record.set_free(scratch.copy(self.field.as_bytes()), Value::Text(value));
    }
}

impl UrlShapes {
    /// Compiles patterns.
    ///
    /// # Errors
    /// Which pattern is none, and what is wrong with it, for whoever wrote it.
    pub fn parse(patterns: &[String]) -> Result<Self, String> {
        let patterns = patterns.iter().map(|pattern| Pattern::parse(pattern)).collect::<Result<_, _>>()?;
        Ok(Self { patterns, params: Vec::new() })
    }

    /// The same, for which those parameters of queries are fields, too, but where the path names a segment so. Of a
    /// parameter that is repeated the first counts.
    #[must_use]
    pub fn with_params(mut self, names: Vec<String>) -> Self {
        self.params.clear();
        for param in names.into_iter().filter(|name| !name.is_empty()).map(|name| Param::new(&name)) {
            if !self.params.contains(&param) {
                self.params.push(param);
            }
        }
        self
    }

    /// Whether nothing is said.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.params.is_empty()
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Sets the fields of that path and of the query that the record has, and answers the pattern that fits.
    pub(super) fn set<'a>(
        &self,
        path: &'a [u8],
        names: &SecretNames,
        scratch: &'a Scratch,
        record: &mut Record<'a>,
    ) -> Option<&str> {
        let path = if self.patterns.is_empty() { path } else { secrets::url(path, names, scratch) };
        let pattern = self.patterns.iter().find(|pattern| pattern.fits(path));
        if let Some(pattern) = pattern {
            pattern.named(path).for_each(|(param, _, part)| param.set(part, b'+', names, scratch, record));
        }
        if self.params.is_empty() {
            return pattern.map(Pattern::text);
        }
        if let Some(Value::Text(query)) = record.get("url.query") {
            let query = secrets::url(query, names, scratch);
            let is_free = |param: &&Param| pattern.is_none_or(|pattern| !pattern.names(param.name()));
            for param in self.params.iter().filter(is_free) {
                param.set(value_of(param.name(), query), b' ', names, scratch, record);
            }
        }
        pattern.map(Pattern::text)
    }
}

/// The first value that a query has under that name, as written; empty if there is none.
fn value_of<'q>(name: &str, query: &'q [u8]) -> &'q [u8] {
    let pairs = query.split(|byte| *byte == b'&').map(|pair| {
        let sign = memchr::memchr(b'=', pair);
        sign.map_or((pair, &b""[..]), |sign| (&pair[..sign], &pair[sign + 1..]))
    });
    let mut found = pairs.filter(|(written, _)| percent::bytes(written, b' ').eq(name.bytes()));
    found.next().map(|(_, value)| value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    /// The shape and the fields.
    fn shown(patterns: &[&str], params: &[&str], path: &str, query: &str) -> String {
        let shapes = UrlShapes::parse(&owned(patterns)).unwrap().with_params(owned(params));
        let (names, scratch, mut record) = (SecretNames::default(), Scratch::new(), Record::new());
        record.set_text("url.query", query.as_bytes());
        let first = record.fields().len();
        let shape = shapes.set(path.as_bytes(), &names, &scratch, &mut record);
        let lossy = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let fields = record.fields()[first..].iter().map(|field| {
            let Value::Text(value) = field.value else { panic!("{field:?}") };
            format!("{}={}", lossy(field.key.bytes()), lossy(value))
        });
        std::iter::once(shape.unwrap_or("none").to_owned()).chain(fields).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_first_pattern_that_fits_counts() {
        let patterns = ["/podcast/feed", "/podcast/:slug", "/:a/:slug", "/*"];
        for (path, expected) in [
            ("/podcast/feed", "/podcast/feed"),
            ("/podcast/go-time/", "/podcast/:slug url.param.slug=go-time"),
            ("/news/caf%C3%A9", "/:a/:slug url.param.a=news url.param.slug=café"),
            ("/news/caf%E9+1", "/:a/:slug url.param.a=news url.param.slug=caf%E9+1"),
            ("/podcast//", "/podcast/:slug"),
            ("/a/b/c", "/*"),
            ("/", "none"),
        ] {
            assert_eq!(shown(&patterns, &[], path, "slug=x"), expected, "{path}");
        }
    }

    #[test]
    fn parameters_of_queries() {
        let params = ["q", "user[id]", "slug", "q", "", "page"];
        for (path, query, expected) in [
            ("/x", "a=1&q=b+c%2Bd&q=2", "none url.param.q=b c+d"),
            ("/x", "q=&q=2&page", "none"),
            ("/x", "qq=1&%71=5&user%5Bid%5D=7", "none url.param.q=5 url.param.user[id]=7"),
            ("/x", "page=a=b&q=%zz+1", "none url.param.q=%zz+1 url.param.page=a=b"),
            ("/p/mine", "slug=theirs&q=1", "/p/:slug url.param.slug=mine url.param.q=1"),
            ("/x", "slug=theirs", "none url.param.slug=theirs"),
            ("/x", "", "none"),
        ] {
            assert_eq!(shown(&["/p/:slug"], &params, path, query), expected, "{path}?{query}");
        }
    }

    #[test]
    fn secrets_do_not_pass() {
        let patterns = ["/reset/:token", "/a/:b", "/a/:b/:c"];
        for (path, query, expected) in [
            ("/reset/abc", "", "/reset/:token url.param.token=[FILTERED]"),
            ("/a/x&token%3Dabc", "", "/a/:b url.param.b=x&token=[FILTERED]"),
            ("/a/token%253Dabc", "", "/a/:b url.param.b=token%3D[FILTERED]"),
            ("/a/%22token%22%3A%22x%22", "", "/a/:b url.param.b=[FILTERED]"),
            // The value may go on after the slash.
            ("/a/token=abc/def", "", "/a/:b url.param.b=token=[FILTERED]"),
            ("/x", "api_key=abc", "none url.param.api_key=[FILTERED]"),
            ("/x", "to=%2Fa%3Ftoken%3Dx%26b%3D1", "none url.param.to=/a?token=[FILTERED]&b=1"),
            ("/x", "token=\"a&to=b\"", "none"),
        ] {
            assert_eq!(shown(&patterns, &["to", "api_key"], path, query), expected, "{path}?{query}");
        }
    }

    #[test]
    fn nothing_said_is_nothing() {
        assert!(UrlShapes::parse(&[]).unwrap().is_empty() && UrlShapes::default().is_empty());
        assert!(UrlShapes::default().with_params(owned(&[""])).is_empty());
        assert!(UrlShapes::parse(&owned(&["/a", "b"])).unwrap_err().contains("`b`"));
    }
}
