//! Secrets in the fields that a line became.
//!
//! Takes the line, says whether it names any secret at all; takes the fields, and has `[FILTERED]` in the place of a secret:
//! in a text, or as a whole under a name that the input gave.

use memchr::{memchr, memchr_iter, memchr2, memchr3_iter, memmem};

use super::{
    FILTERED, SecretNames, cleaned, encoded, is_secret_parameter,
    key::{header, of_keyword, parameter},
    place::{Place, of_field},
};
use crate::record::{Field, Key, Scratch, Value};

/// Fields without which events can't be tied to others.
const IDS: [&str; 5] =
    ["request_id", "trace.trace_id", "trace.span_id", "trace.parent_id", "exception.fingerprint"];

/// Whether a secret may stand in what is parsed of a line. Most lines have none, which has to be cheap to tell: for each sign
/// that a value stands after, the name before it is looked at.
pub(crate) fn may_stand_in(line: &[u8], names: &SecretNames) -> bool {
    if names.is_empty() {
        return false;
    }
    let is_document = line.first() == Some(&b'{');
    let assigned = || {
        let mut signs = encoded::Signs::default();
        memchr3_iter(b'=', b'%', b'\\', line).any(|sign| match line[sign] {
            b'=' => parameter(&line[..sign]).is_some_and(|name| is_secret_parameter(name, names)),
            b'%' => signs.value_under(line, sign, names).is_some(),
            // Letters and quotes may be escaped: `\u0022` and `\x22`.
            _ => matches!(line.get(sign + 1), Some(b'u' | b'x')),
        })
    };
    let keyed = || {
        memchr_iter(b':', line).any(|sign| {
            let (before, after) = (&line[..sign], &line[sign + 1..]);
            let is_mark = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'');
            // Times, ports and URLs have it otherwise.
            if !(after.first().is_some_and(is_mark) || before.last().is_some_and(is_mark)) {
                return false;
            }
            let name = header(before).or_else(|| of_keyword(before).map(|key| key.name));
            name.is_some_and(|name| names.is_secret(name))
        })
    };
    // Tuples have no sign.
    let has_tuples = || match memchr(b'{', line) {
        Some(_) if is_document => {
            [&b"{:"[..], b"{\\\""].iter().any(|tuple| memmem::find(line, tuple).is_some())
        }
        brace => brace.is_some(),
    };
    assigned() || keyed() || has_tuples()
}

/// Takes the secrets out of fields.
pub(crate) fn clean<'a>(fields: &mut [Field<'a>], names: &SecretNames, scratch: &'a Scratch) {
    if names.is_empty() {
        return;
    }
    clean_by_name(fields, names);
    for field in fields {
        let is_id = matches!(field.key, Key::Known(name) if IDS.contains(&name));
        if let Value::Text(value) = field.value
            && !is_id
        {
            field.value = Value::Text(under_name(field.key.bytes(), value, names, scratch));
        }
    }
}

/// The text of a field of that name without its secrets.
pub(crate) fn under_name<'a>(
    name: &[u8],
    value: &'a [u8],
    names: &SecretNames,
    scratch: &'a Scratch,
) -> &'a [u8] {
    // Most texts have no sign, and a name takes longer to look at.
    let place = if memchr2(b'=', b'%', value).is_some() { of_field(name, value) } else { Place::Prose };
    cleaned(value, place, names, scratch)
}

/// Takes out the values of fields that the input has named, by their names. True and false tell no secret, and a field keeps
/// its type.
pub(crate) fn clean_by_name(fields: &mut [Field<'_>], names: &SecretNames) {
    for field in fields {
        if let Key::Free(name) = field.key
            && !matches!(field.value, Value::Bool(_))
            && names.is_secret(name)
        {
            field.value = Value::Text(FILTERED);
        }
    }
}
