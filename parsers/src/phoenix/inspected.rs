//! Terms as Elixir's `inspect/1` prints them: as much of their grammar as it takes to find where one ends.
//!
//! Takes text that begins with a term, gives lengths. Brackets of any kind nest, text in quotes has backslash
//! escapes; that is all that is known, so a bare `<` or quote in an operator's name can make it give up.

use memchr::memchr2;

/// The length of the quoted text that `text` begins with, quotes included.
pub(super) fn quoted_len(text: &[u8]) -> Option<usize> {
    let quote = *text.first().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let mut at = 1;
    loop {
        at += memchr2(quote, b'\\', text.get(at..)?)?;
        if text[at] == quote {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The length of the bracketed text that `text` begins with, brackets included, and how many items stand in it.
pub(super) fn group(text: &[u8]) -> Option<(usize, usize)> {
    let (mut at, mut depth, mut commas, mut empty) = (0, 0_usize, 0, true);
    loop {
        let arrow = at > 0 && matches!(text[at - 1], b'=' | b'-');
        match *text.get(at)? {
            b'"' | b'\'' => at += quoted_len(&text[at..])? - 1,
            b'(' | b'[' | b'{' | b'<' => depth += 1,
            b'>' if arrow => {}
            b')' | b']' | b'}' | b'>' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    let items = if empty { 0 } else { commas + 1 };
                    return Some((at + 1, items));
                }
            }
            b',' if depth == 1 => commas += 1,
            _ if depth == 0 => return None,
            _ => {}
        }
        empty &= at == 0;
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes() {
        for (text, len) in
            [(r#""a" b"#, 3), (r#""\"" b"#, 4), (r#""\\" b"#, 4), (r#"'a"b'"#, 5), (r#""""#, 2)]
        {
            assert_eq!(quoted_len(text.as_bytes()), Some(len), "{text}");
        }
        for bad in ["", "a", "\"", "\"\\", "\"\\\""] {
            assert_eq!(quoted_len(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn groups() {
        for (text, len, items) in [
            ("[] x", 2, 0),
            ("(1, %{}) x", 8, 2),
            (r#"["a, ]", {1, 2}, ~N[2026-11-21 21:12:51]]"#, 41, 3),
            (r#"(%{"a" => <<1, 2>>, b: #PID<0.1.0>})"#, 36, 1),
            ("(:zzz, %{})", 11, 2),
        ] {
            assert_eq!(group(text.as_bytes()), Some((len, items)), "{text}");
        }
        for bad in ["", "a", "[", "[\"]", "]", "1, 2"] {
            assert_eq!(group(bad.as_bytes()), None, "{bad}");
        }
    }
}
