//! The careful way through an access line, for one that is not ordinary.
//!
//! Takes a compiled format and a line, gives the place of each variable's value. A value ends at the next occurrence
//! of the literal after it at which all that follows fits, too; a value that its variable can't have is not tried. So
//! unquoted values with blanks, brackets or fake fields in them (`$remote_user`, `$req_id`) are told as nginx meant
//! them.
//!
//! Invariant: the work on one line is bounded by a multiple of its length, whatever the format and the line.

use memchr::{memchr, memmem};

use super::{
    log_format::{Escape, LogFormat, Part},
    upstream::List,
};

/// How often a line may be gone through, all in all, before it counts as not of this format. The most hostile of real
/// lines take a tenth of that.
const TIMES_THROUGH_MAX: usize = 64;

/// Finds where each variable's value stands. Goes back to the last value that may end later when one does not fit.
pub(super) fn find(format: &LogFormat, line: &[u8], places: &mut [(usize, usize)]) -> Option<()> {
    let mut index = 0;
    let mut start = line.starts_with(&format.prefix).then_some(format.prefix.len())?;
    let mut from = start;
    // Bytes that were looked at.
    let mut work = 0;
    while let Some(part) = format.parts.get(index) {
        let last = index + 1 == format.parts.len();
        let end = end(part, last, line, from).filter(|end| *end >= start);
        work += end.unwrap_or(line.len()) - start.min(from).min(line.len()) + 1;
        if work > TIMES_THROUGH_MAX * (line.len() + format.parts.len()) {
            return None;
        }
        match end {
            Some(end) if fits(format, index, &line[start..end], line, places) => {
                places[index] = (start, end);
                start = end + part.literal.text().len();
                from = start;
                index += 1;
            }
            Some(end) if !last && may_end_later(format.escape, part) => from = end + 1,
            _ => {
                index = index.checked_sub(1)?;
                start = places[index].0;
                from = places[index].1 + 1;
                if !may_end_later(format.escape, &format.parts[index]) {
                    // It cannot be longer: one before it must be.
                    from = line.len() + 1;
                }
            }
        }
    }
    Some(())
}

/// The next place, not before `from`, at which a value can end.
fn end(part: &Part, last: bool, line: &[u8], from: usize) -> Option<usize> {
    let rest = line.get(from..)?;
    match (part.literal.text(), last) {
        (literal, true) => {
            Some(line.len() - line.strip_suffix(literal).map(|_| literal.len())?).filter(|end| *end >= from)
        }
        ([], false) => Some(from),
        ([byte], false) => Some(from + memchr(*byte, rest)?),
        (literal, false) => Some(from + memmem::find(rest, literal)?),
    }
}

fn fits(format: &LogFormat, index: usize, value: &[u8], line: &[u8], places: &[(usize, usize)]) -> bool {
    let Part { variable, literal, .. } = &format.parts[index];
    let literal = literal.text();
    if variable.is_free_text() {
        return format.escape.admits(value, literal) && variable.admits(value, None);
    }
    let attempts = if variable.is_list() { attempts_before(format, index, line, places) } else { None };
    variable.admits(value, attempts)
}

/// How many attempts the upstream list before this one has; `None` if there is none or nothing in it.
fn attempts_before(
    format: &LogFormat,
    index: usize,
    line: &[u8],
    places: &[(usize, usize)],
) -> Option<usize> {
    let before = format.parts[..index].iter().rposition(|part| part.variable.is_list())?;
    let (start, end) = places[before];
    let list = &line[start..end];
    (!list.is_empty()).then(|| List(list).len())
}

/// Whether a longer value is worth a try: not if the escape mode forbids what it would have to hold.
fn may_end_later(escape: Escape, part: &Part) -> bool {
    // With a quote after it, a value that went on would hold that quote.
    !(escape == Escape::Default && part.literal.text().first() == Some(&b'"'))
}
