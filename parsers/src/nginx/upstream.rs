//! The four `$upstream_*` lists of an access line.
//!
//! nginx writes them from one array (`ngx_http_upstream.c`): `, ` between servers of a group, ` : ` between
//! groups after an internal redirect, `-` for a missing value or for a request that reached no upstream. All
//! four have the same length, which is how a list is told from what follows it.

use memchr::{memchr, memrchr};

use super::log_format::Escape;
use crate::{
    number::{seconds_to_ms, whole},
    record::{Record, Scratch, Value},
};

/// A missing value: nothing, or a dash.
pub(super) fn is_missing(text: &[u8]) -> bool {
    text.is_empty() || text == b"-"
}

/// The value of an upstream variable.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a>(pub(super) &'a [u8]);

impl<'a> List<'a> {
    /// The list without the separator that nginx leaves at its end when a group was chosen and nothing was tried there.
    /// All lists of a request end in it, then: it counts when they are compared, and means nothing.
    fn trimmed(self) -> Self {
        Self(self.0.strip_suffix(b" : ").unwrap_or(self.0))
    }

    /// The items. An empty list has one empty item.
    pub(super) fn items(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = Some(self.0);
        std::iter::from_fn(move || {
            let text = rest?;
            let (item, after) =
                split_at_separator(text).map_or((text, None), |(item, after)| (item, Some(after)));
            rest = after;
            Some(item)
        })
    }

    pub(super) fn len(self) -> usize {
        if self.is_one() { 1 } else { self.items().count() }
    }

    /// Whether there is but one item: the usual case, and soon told.
    fn is_one(self) -> bool {
        !self.0.contains(&b' ')
    }

    /// Whether every item is as it should be, and there are as many as `attempts` says. A request that reached no
    /// upstream has nothing, or a single dash, in every list.
    pub(super) fn has(self, attempts: Option<usize>, admits: impl Fn(&[u8]) -> bool) -> bool {
        if is_missing(self.0) {
            return attempts.is_none_or(|count| count == 1);
        }
        if self.is_one() {
            return attempts.is_none_or(|count| count == 1) && !self.0.ends_with(b",") && admits(self.0);
        }
        // A list cut too early ends in its separator's beginning.
        let whole = !self.0.ends_with(b",") && !self.0.ends_with(b" :") && !self.0.starts_with(b" ");
        whole && attempts.is_none_or(|count| count == self.len()) && self.items().all(admits)
    }
}

/// What stands before the first `, ` or ` : `, and what after it.
fn split_at_separator(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let blank = from + memchr(b' ', &text[from..])?;
        if blank > 0 && text[blank - 1] == b',' {
            return Some((&text[..blank - 1], &text[blank + 1..]));
        }
        if text[blank + 1..].starts_with(b": ") {
            return Some((&text[..blank], &text[blank + 3..]));
        }
        from = blank + 1;
    }
}

/// The lists of one request, those that the format has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attempts<'a> {
    pub(super) addresses: Option<&'a [u8]>,
    pub(super) lengths: Option<&'a [u8]>,
    pub(super) times: Option<&'a [u8]>,
    pub(super) statuses: Option<&'a [u8]>,
    /// How many items each has, where that was counted already.
    pub(super) count: Option<usize>,
}

impl<'a> Attempts<'a> {
    /// Sets the fields of the last attempt, the sum of times and, if there were several, the lists themselves.
    pub(super) fn set(&self, escape: Escape, scratch: &'a Scratch, record: &mut Record<'a>) {
        let lists = [self.addresses, self.lengths, self.times, self.statuses];
        let Some(model) = lists.into_iter().flatten().find(|list| !is_missing(list)) else { return };
        let count = self.count.unwrap_or_else(|| List(model).trimmed().len());
        let last = |list: Option<&'a [u8]>| match list {
            Some(list) if count == 1 => List(list).trimmed().0,
            // There are blanks in separators only, and each ends with one.
            Some(list) => {
                let list = List(list).trimmed().0;
                memrchr(b' ', list).map_or(list, |blank| &list[blank + 1..])
            }
            None => b"",
        };
        record.set_text("nginx.upstream.addr", escape.text(last(self.addresses), scratch));
        if let Some(status) = whole(last(self.statuses)) {
            record.set("nginx.upstream.status", Value::Int(status));
        }
        if let Some(length) = whole(last(self.lengths)) {
            record.set("nginx.upstream.response_length", Value::Int(length));
        }
        let times = match self.times {
            Some(times) if count == 1 => seconds_to_ms(List(times).trimmed().0),
            Some(times) => List(times).items().filter_map(seconds_to_ms).reduce(|sum, ms| sum + ms),
            None => None,
        };
        if let Some(ms) = times {
            record.set("nginx.upstream.duration_ms", Value::Float(ms));
        }
        if let Ok(count) = i64::try_from(count) {
            record.set("nginx.upstream.attempts", Value::Int(count));
        }
        if count > 1 {
            let mut list = |name, list: Option<&'a [u8]>| record.set_text(name, list.unwrap_or_default());
            list("nginx.upstream.addr_list", self.addresses.map(|list| escape.text(list, scratch)));
            list("nginx.upstream.status_list", self.statuses);
            list("nginx.upstream.duration_list", self.times);
            list("nginx.upstream.length_list", self.lengths);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_groups_and_of_servers() {
        assert_eq!(List(b"a, b : c").items().collect::<Vec<_>>(), [&b"a"[..], b"b", b"c"]);
        assert_eq!(List(b"unix:/a : [::1]:9106").len(), 2);
        assert_eq!(List(b"-").len(), 1);
    }
}
