//! Pairs that are told apart from their names: `{"name":"authorization","value":"x"}`, in either order, as lists of headers,
//! of form fields and of variables have them.
//!
//! Takes the text before the key `value`, or behind its value; gives what the name beside it is. Nothing here looks further
//! than one pair.

use super::key::{of_keyword, quoted};

/// The name told by the pair that `text` ends in.
pub(super) fn before(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_end().strip_suffix(b",")?.trim_ascii_end();
    let name = quoted(text)?;
    let key = text[..text.len() - name.len].trim_ascii_end();
    let key = key.strip_suffix(b":").or_else(|| key.strip_suffix(b"=>"))?;
    is_name(of_keyword(key)?.name).then_some(name.name)
}

/// The name told by the pair that `text` begins with.
pub(super) fn after(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_start().strip_prefix(b",")?.trim_ascii_start();
    let sign = text.iter().take(2 * KEY_LEN_MAX).position(|byte| matches!(byte, b':' | b'='))?;
    let value = text[sign + 1..].trim_ascii_start();
    let value = value.strip_prefix(b">").unwrap_or(value).trim_ascii_start();
    let escapes = value.iter().take_while(|byte| **byte == b'\\').count();
    let (quote, name) = value[escapes..].split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    let end = name.iter().position(|byte| byte == quote || *byte == b'\\')?;
    is_name(of_keyword(&text[..sign])?.name).then_some(&name[..end])
}

/// Whether a key is one whose value is what a name beside it says.
pub(super) fn is_value(key: &[u8]) -> bool {
    [&b"value"[..], b"val", b"input", b"rejectedvalue"].iter().any(|own| key.eq_ignore_ascii_case(own))
}

/// How long the words below are at most, with what may stand round them.
const KEY_LEN_MAX: usize = 16;

/// Whether a key is one whose value is a name.
pub(super) fn is_name(key: &[u8]) -> bool {
    [&b"name"[..], b"key", b"header", b"field", b"param"].iter().any(|own| key.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_a_value() {
        for (text, expected) in [
            (r#"{"name":"a", "#, Some("a")),
            (r#"{\"Key\" : \"a b\",\n"#, None),
            ("{\\\"Key\\\" : \\\"a b\\\",\n", Some("a b")),
            (r#"%{"header" => "a","#, Some("a")),
            (r#"%{name: "a", "#, Some("a")),
            (r#"{"named":"a","#, None),
            (r#"{"name":5,"#, None),
            (r#"{"name":"a""#, None),
            (",", None),
            ("", None),
        ] {
            assert_eq!(before(text.as_bytes()), expected.map(str::as_bytes), "{text}");
        }
        for (text, expected) in [
            (r#", "name":"a"}"#, Some("a")),
            (r#",\"name\":\"a\"}"#, Some("a")),
            (r#", name: "a"}"#, Some("a")),
            (r#", "name" => "a"}"#, Some("a")),
            (r#", "name":"a"#, None),
            (r#", "name":a"#, None),
            (r#", "other":"a""#, None),
            (", ", None),
            ("", None),
        ] {
            assert_eq!(after(text.as_bytes()), expected.map(str::as_bytes), "{text}");
        }
    }
}
