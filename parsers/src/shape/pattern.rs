//! One pattern of paths: `/podcast/:slug/*`.
//!
//! Takes it as written, says whether a path fits and what stands in the path for each name. Segments are compared as
//! written, without any decoding.
//!
//! Invariant: a pattern that was parsed fits some path, and the work on a path is bounded by its length.

use super::urls::Param;

/// A path as somebody described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    segments: Vec<Segment>,
    /// How much of the text a path that fits begins with.
    prefix_len: usize,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(String),
    /// Any segment, and the field that it becomes.
    Named(Param),
    /// Any segment.
    Any,
    /// All that is left: a segment, or more.
    Rest,
}

impl Pattern {
    /// Compiles a pattern; an error is a sentence for the person who wrote it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("`{text}` {what}"));
        let Some(inner) = text.strip_prefix('/') else { return wrong("does not begin with `/`") };
        if text.contains(['?', '#']) {
            return wrong("has more than a path: nothing from `?` or `#` on belongs there");
        }
        let mut segments = Vec::new();
        let mut written = inner.split('/').filter(|_| !inner.is_empty()).peekable();
        while let Some(segment) = written.next() {
            let is_last = written.peek().is_none();
            segments.push(match segment {
                "" => return wrong("has an empty segment; paths fit with a `/` at their end and without"),
                "*" if is_last => Segment::Rest,
                "*" => Segment::Any,
                _ if segment.contains('*') => {
                    return wrong("has a `*` beside other text: it stands alone between slashes");
                }
                _ => match segment.strip_prefix(':') {
                    None => Segment::Text(segment.to_owned()),
                    Some(name) if !is_name(name) => {
                        return wrong(&format!(
                            "has `{segment}`, which is no name: letters, digits and `_`, a digit not first"
                        ));
                    }
                    Some(name) if segments.iter().any(|other| is_named(other, name)) => {
                        return wrong(&format!("has `:{name}` twice"));
                    }
                    Some(name) => Segment::Named(Param::new(name)),
                },
            });
        }
        let literal = segments.iter().take_while(|segment| matches!(segment, Segment::Text(_))).count();
        let prefix_len = if literal < segments.len() {
            text.match_indices('/').nth(literal).map_or(0, |(slash, _)| slash + 1)
        } else {
            text.len()
        };
        Ok(Self { text: text.to_owned(), segments, prefix_len })
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a path is of that kind, also with a `/` at its end.
    pub(super) fn fits(&self, path: &[u8]) -> bool {
        if !path.starts_with(&self.text.as_bytes()[..self.prefix_len]) {
            return false;
        }
        let mut parts = parts(path);
        for segment in &self.segments {
            match (segment, parts.next()) {
                (_, None) => return false,
                (Segment::Rest, Some(_)) => return true,
                (Segment::Text(text), Some(part)) if text.as_bytes() != part => return false,
                _ => {}
            }
        }
        parts.next().is_none()
    }

    /// Whether one of its segments has that name.
    pub(super) fn names(&self, name: &str) -> bool {
        self.segments.iter().any(|segment| is_named(segment, name))
    }

    /// The fields that its segments become.
    pub(super) fn params(&self) -> impl Iterator<Item = &Param> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Named(param) => Some(param),
            _ => None,
        })
    }

    /// The named segments of a path that fits, each with where it begins.
    pub(super) fn named<'s, 'a>(
        &'s self,
        path: &'a [u8],
    ) -> impl Iterator<Item = (&'s Param, usize, &'a [u8])> + Clone {
        let mut end = 0;
        let parts = parts(path).map(move |part| {
            let start = end + 1;
            end = start + part.len();
            (start, part)
        });
        self.segments.iter().zip(parts).filter_map(|(segment, (start, part))| match segment {
            Segment::Named(param) => Some((param, start, part)),
            _ => None,
        })
    }
}

fn is_named(segment: &Segment, name: &str) -> bool {
    matches!(segment, Segment::Named(param) if param.name() == name)
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// The segments of a path; the root has none.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let inner = path.strip_prefix(b"/").unwrap_or(path);
    let inner = inner.strip_suffix(b"/").unwrap_or(inner);
    inner.split(|byte| *byte == b'/').filter(|_| !inner.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_fit_and_what_they_name() {
        for (pattern, path, expected) in [
            ("/", "/", Some("")),
            ("/", "/a", None),
            ("/", "", None),
            ("/about", "/about", Some("")),
            ("/about", "/about/", Some("")),
            ("/about", "/aboutus", None),
            ("/about", "/about/us", None),
            ("/about", "about", None),
            ("/podcast/:slug", "/podcast/go-time", Some("slug=go-time")),
            ("/podcast/:slug", "/podcast/go-time/", Some("slug=go-time")),
            ("/podcast/:slug", "/podcast/", None),
            ("/podcast/:slug", "/podcast/a/b", None),
            ("/podcast/:slug", "/Podcast/a", None),
            ("/:_a/x/:B2", "/1/x/2", Some("_a=1 B2=2")),
            ("/:a/x/:b", "//x/2", Some("a= b=2")),
            ("/a/*/:c", "/a/b/c", Some("c=c")),
            ("/a/*/:c", "/a/c", None),
            ("/a/*", "/a/b", Some("")),
            ("/a/:b/*", "/a/b/c/d/", Some("b=b")),
            ("/a/*", "/a", None),
            ("/a/*", "/a/", None),
            ("/*", "/", None),
            ("/*", "/a", Some("")),
            ("/*", "*", None),
            ("/a:b/@:c", "/a:b/@:c", Some("")),
            ("/caf%C3%A9", "/café", None),
        ] {
            let compiled = Pattern::parse(pattern).unwrap();
            let shown = compiled.fits(path.as_bytes()).then(|| {
                let named = compiled.named(path.as_bytes());
                let shown: Vec<String> = named
                    .map(|(param, _, part)| format!("{}={}", param.name(), part.escape_ascii()))
                    .collect();
                shown.join(" ")
            });
            assert_eq!(shown.as_deref(), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for (pattern, what) in [
            ("", "`` does not begin with `/`"),
            ("podcast/:slug", "`podcast/:slug` does not begin with `/`"),
            ("/a?b=:c", "`/a?b=:c` has more than a path: nothing from `?` or `#` on belongs there"),
            ("/a/", "`/a/` has an empty segment; paths fit with a `/` at their end and without"),
            ("/a//b", "`/a//b` has an empty segment; paths fit with a `/` at their end and without"),
            ("/a*", "`/a*` has a `*` beside other text: it stands alone between slashes"),
            ("/**", "`/**` has a `*` beside other text: it stands alone between slashes"),
            ("/:", "`/:` has `:`, which is no name: letters, digits and `_`, a digit not first"),
            ("/:1a", "`/:1a` has `:1a`, which is no name: letters, digits and `_`, a digit not first"),
            ("/:a-b", "`/:a-b` has `:a-b`, which is no name: letters, digits and `_`, a digit not first"),
            ("/:a/b/:a", "`/:a/b/:a` has `:a` twice"),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap_err(), what);
        }
    }
}
