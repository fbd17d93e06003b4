//! Lists of fields' names in which a `*` stands for any text.

/// Such a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<Vec<Vec<u8>>>);

impl Names {
    /// Of names as written.
    pub(crate) fn new(names: &[String]) -> Self {
        let parts = |name: &String| name.split('*').map(|part| part.as_bytes().to_vec()).collect();
        Self(names.iter().map(parts).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them may stand in that text; with certainty none does if not.
    pub(crate) fn may_be_in(&self, text: &[u8]) -> bool {
        let mut literals = self.0.iter().filter_map(|parts| parts.iter().max_by_key(|part| part.len()));
        literals.any(|literal| memchr::memmem::find(text, literal).is_some())
    }

    /// Whether a name is meant.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|parts| matches(parts, name))
    }
}

/// Whether the parts stand in the name in their order, the first at its beginning, the last at its end.
fn matches(parts: &[Vec<u8>], name: &[u8]) -> bool {
    let Some((first, rest)) = parts.split_first() else { return false };
    let Some(mut left) = name.strip_prefix(&first[..]) else { return false };
    let Some((last, between)) = rest.split_last() else { return left.is_empty() };
    for part in between {
        let Some(at) = memchr::memmem::find(left, part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, yes, no) in [
            ("body", &["body"][..], &["", "bod", "body2", "a.body"][..]),
            ("debug.*", &["debug.", "debug.a.b"], &["debug", "a.debug.b"]),
            ("*_hash", &["_hash", "a_hash"], &["a_hash2"]),
            ("a*b*c", &["abc", "a1b2c", "abbcc"], &["ab", "acb", "abcd"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("*", &["", "x"], &[]),
        ] {
            let names = Names::new(&[pattern.to_owned()]);
            assert!(yes.iter().all(|name| names.has(name.as_bytes())), "{pattern}");
            assert!(!no.iter().any(|name| names.has(name.as_bytes())), "{pattern}");
        }
        assert!(Names::default().is_empty() && !Names::default().has(b""));
    }
}
