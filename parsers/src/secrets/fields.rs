//! Secrets in the fields that a line became.
//!
//! Takes the line, says whether it names any secret at all; takes the fields, and has `[FILTERED]` in the place of a secret:
//! in a text, or as a whole under a name that the input gave.

use memchr::{memchr, memchr_iter, memchr2, memchr2_iter, memchr3_iter, memmem, memrchr};

use super::{
    FILTERED, SecretNames, cleaned, decoded, encoded,
    key::{header, of_keyword, of_variable, parameter},
    place::{Place, of_field},
    sibling,
};
use crate::{
    names::is_id,
    record::{Field, Key, Scratch, Value},
};

/// Whether a secret may stand in what is parsed of a line. Most lines have none, which has to be cheap to tell: for each sign
/// that a value stands after, the name before it is looked at.
pub(crate) fn may_stand_in(line: &[u8], names: &SecretNames) -> bool {
    if names.is_empty() {
        return false;
    }
    assigns(line, names) || has_keyword(line, names) || has_pair(line, names) || has_login(line)
}

fn assigns(line: &[u8], names: &SecretNames) -> bool {
    let mut signs = encoded::Signs::default();
    memchr3_iter(b'=', b'%', b'\\', line).any(|sign| match line[sign] {
        b'=' => {
            let before = &line[..sign];
            match before.last() {
                Some(b' ' | b'\t' | b'"' | b'\'') => {
                    of_variable(before).is_some_and(|key| names.is_secret(key.name))
                }
                _ => parameter(before, true).is_some_and(|(name, _)| names.is_secret_parameter(name)),
            }
        }
        b'%' => signs.value_under(line, sign, names).is_some() || decoded::may_tell(line, sign, names),
        // Letters and quotes may be escaped: `\u0022` and `\x22`.
        _ => matches!(line.get(sign + 1), Some(b'u' | b'x')),
    })
}

fn has_keyword(line: &[u8], names: &SecretNames) -> bool {
    memchr_iter(b':', line).any(|sign| {
        let before = &line[..sign];
        // Times and ports have it otherwise.
        if before.last().is_none_or(u8::is_ascii_digit) {
            return false;
        }
        let name = header(before).or_else(|| of_keyword(before).map(|key| key.name));
        name.is_some_and(|name| names.is_secret(name))
    })
}

/// Whether there may be pairs that have no sign of their own, or one that is about another.
fn has_pair(line: &[u8], names: &SecretNames) -> bool {
    let is_document = line.first() == Some(&b'{');
    let opens = |at: usize| match (line[at], &line[at + 1..]) {
        (b'{', after) => !is_document || !matches!(after.first(), Some(b'"' | b'}' | b' ')),
        (_, [b'"', name @ ..]) if is_document => {
            names.is_secret(&name[..memchr(b'"', name).unwrap_or(name.len())])
        }
        (_, after) => matches!(after.first(), Some(b'"' | b'\\' | b'\'')),
    };
    memchr2_iter(b'{', b'[', line).skip(usize::from(is_document)).any(opens)
        || (is_document && memmem::find(line, b"alue\"").is_some())
}

/// Whether there may be a URL with a user.
fn has_login(line: &[u8]) -> bool {
    memchr(b'@', line).is_some()
        && [&b"//"[..], b"\\/\\/"].iter().any(|slashes| memmem::find(line, slashes).is_some())
}

/// Takes the secrets out of fields.
pub(crate) fn clean<'a>(fields: &mut [Field<'a>], names: &SecretNames, scratch: &'a Scratch) {
    if names.is_empty() {
        return;
    }
    clean_beside_names(fields, names);
    clean_by_name(fields, names);
    for field in fields {
        if let Key::Free(name) = field.key
            && memchr2(b'=', b':', name).is_some()
        {
            field.key = Key::Free(cleaned(name, Place::Url, names, scratch));
        }
        let is_id = matches!(field.key, Key::Known(name) if is_id(name.as_bytes()));
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

/// Takes out what stands as `a.value` beside an `a.name` that is a secret's.
fn clean_beside_names(fields: &mut [Field<'_>], names: &SecretNames) {
    for at in 0..fields.len() {
        let Key::Free(key) = fields[at].key else { continue };
        let (path, leaf) = key.split_at(memrchr(b'.', key).map_or(0, |dot| dot + 1));
        if !leaf.eq_ignore_ascii_case(b"value") {
            continue;
        }
        let tells = |field: &Field<'_>| match (field.key, field.value) {
            (Key::Free(key), Value::Text(name)) => {
                key.strip_prefix(path).is_some_and(sibling::is_name) && names.is_secret(name)
            }
            _ => false,
        };
        let beside = [at.checked_sub(1), at.checked_add(1)].into_iter().flatten();
        if beside.filter_map(|at| fields.get(at)).any(tells) {
            fields[at].value = Value::Text(FILTERED);
        }
    }
}
