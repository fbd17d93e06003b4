//! Secrets in the fields that a line became.
//!
//! Takes the fields, has `[FILTERED]` in the place of a secret: in a text, or as a whole under a name that the input gave.

use memchr::{memchr2, memrchr};

use super::{
    FILTERED, SecretNames, cleaned,
    place::{Place, of_field},
    prose, sibling,
};
use crate::{
    names::is_id,
    record::{Field, Key, Scratch, Value},
};

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
            && !matches!(field.value, Value::Text(text) if prose::is_folder(name, text))
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
        if !sibling::is_value(leaf) || !matches!(fields[at].value, Value::Text(_)) {
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
