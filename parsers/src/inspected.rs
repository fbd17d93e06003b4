//! Terms as Elixir's `inspect/1` prints them: as much of their grammar as it takes to find where one ends.
//!
//! Takes text with a term in it, gives where it ends. Brackets of any kind nest, text in quotes has backslash
//! escapes; that is all that is known, so a bare `<` or quote in an operator's name can make it give up. A term may
//! itself stand in quoted text: its own quotes are then escaped, once for each text that it stands in.

use memchr::{memchr, memmem};

/// The length of the quoted text that `text` begins with, quotes included.
pub(crate) fn quoted_len(text: &[u8]) -> Option<usize> {
    text.first().filter(|byte| matches!(byte, b'"' | b'\''))?;
    Terms { text, escapes: Some(0) }.quoted(0).ok()
}

/// The length of the bracketed text that `text` begins with, brackets included, and how many items stand in it.
pub(crate) fn group(text: &[u8]) -> Option<(usize, usize)> {
    text.first().filter(|byte| matches!(byte, b'(' | b'[' | b'{' | b'<'))?;
    Terms { text, escapes: Some(0) }.group(0).ok()
}

/// How many backslashes `text` ends in.
pub(crate) fn backslashes(text: &[u8]) -> usize {
    text.iter().rev().take_while(|byte| **byte == b'\\').count()
}

/// The length of the name of what is written as a call: `Some("x")`, `Secret(x)`.
pub(crate) fn constructor_len(text: &[u8]) -> Option<usize> {
    text.first().filter(|byte| byte.is_ascii_uppercase())?;
    let len = text.iter().take_while(|byte| is_in_name(**byte)).count();
    (text.get(len) == Some(&b'(')).then_some(len)
}

/// A text with terms in it. An end that is not there is an error that tells where to stop instead: where the quoted
/// text round the term ends, or all the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) text: &'a [u8],
    /// How many backslashes stand before the quotes of these terms: none, 1 in quoted text, 3 in quoted text in
    /// such. While it is unknown the first quote tells.
    pub(crate) escapes: Option<usize>,
}

impl Terms<'_> {
    /// The end of the term that begins at `start`; `start` itself if none does.
    pub(crate) fn term(&mut self, start: usize) -> Result<usize, usize> {
        let text = self.text.get(start..).unwrap_or_default();
        let sign = text.first().copied().unwrap_or_default();
        let name = match sign {
            b'%' | b'#' | b'~' => 1 + text[1..].iter().take_while(|byte| is_in_name(**byte)).count(),
            b':' => 1,
            _ => 0,
        };
        let value = &text[name..];
        let escapes = value.iter().take_while(|byte| **byte == b'\\').count();
        let opens = match value.get(escapes) {
            Some(b'"') => self.escapes.is_none_or(|own| own == escapes),
            Some(b'\'') => escapes == 0,
            Some(b'/' | b'|') => sign == b'~',
            _ => false,
        };
        match (sign, value) {
            (b'%' | b'#', [b'{' | b'<', ..]) | (b'~', [b'(' | b'[' | b'{' | b'<', ..]) => {
                self.group(start + name).map(|(end, _)| end)
            }
            (b'%' | b'#', _) => Ok(self.bare(start)),
            (b'(' | b'[' | b'{', _) | (b'<', [_, b'<', ..]) => {
                let (end, _) = self.group(start)?;
                // Go's `[]string{"a"}`.
                let rest = &self.text[end..];
                let name = rest.iter().take_while(|byte| is_in_name(**byte)).count();
                let is_type = sign == b'[' && name > 0 && rest.get(name) == Some(&b'{');
                if is_type { self.group(end + name).map(|(end, _)| end) } else { Ok(end) }
            }
            (b'A'..=b'Z', _) if let Some(len) = constructor_len(text) => {
                self.group(start + len).map(|(end, _)| end)
            }
            (b'b' | b'u' | b'r', [_, b'"' | b'\'', ..]) => self.quoted(start + 1),
            _ if opens => self.quoted(start + name + escapes),
            _ => Ok(self.bare(start)),
        }
    }

    /// The end of a number, an atom, a module's name.
    fn bare(&self, start: usize) -> usize {
        let ends =
            |byte: &u8| matches!(byte, b',' | b';' | b')' | b']' | b'}' | b'>' | b'"' | b'\\' | ..=b' ');
        let text = self.text.get(start..).unwrap_or_default();
        start + text.iter().position(ends).unwrap_or(text.len())
    }

    /// The end of the text whose opening quote, or what a sigil has for one, is at `open`.
    fn quoted(&mut self, open: usize) -> Result<usize, usize> {
        let quote = self.text[open];
        let escapes = if quote == b'"' {
            *self.escapes.get_or_insert(backslashes(&self.text[..open]))
        } else {
            // Only double quotes are escaped by being in quoted text.
            self.escapes.unwrap_or(0)
        };
        // A heredoc.
        if escapes == 0 && self.text[open..].starts_with(b"\"\"\"") {
            let end = memmem::find(&self.text[open + 3..], b"\"\"\"");
            return end.map(|len| open + len + 6).ok_or(self.text.len());
        }
        let mut at = open + 1;
        while let Some(len) = memchr(quote, &self.text[at..]) {
            let run = backslashes(&self.text[at..at + len]);
            let before = at + len - run;
            at += len + 1;
            // Each text round it has doubled them, and added one for the quote.
            let (own, added) =
                if quote == b'"' { ((run + 1).is_multiple_of(escapes + 1), 1) } else { (true, 0) };
            if !own {
                return Err(before);
            }
            if ((run + added) / (escapes + 1) - added).is_multiple_of(2) {
                return Ok(at);
            }
        }
        Err(self.text.len())
    }

    /// The end of what stands in brackets from `open` on, and how many items stand in it.
    fn group(&mut self, open: usize) -> Result<(usize, usize), usize> {
        let (mut at, mut depth, mut commas, mut empty) = (open, 0_usize, 0, true);
        while let Some(byte) = self.text.get(at) {
            let arrow = at > open && matches!(self.text[at - 1], b'=' | b'-');
            match byte {
                b'"' => {
                    let run = backslashes(&self.text[open..at]);
                    let escapes = *self.escapes.get_or_insert(run);
                    if run == escapes {
                        at = self.quoted(at)? - 1;
                    } else if !(run + 1).is_multiple_of(escapes + 1) {
                        return Err(at - run);
                    }
                }
                b'\'' => at = self.quoted(at)? - 1,
                b'(' | b'[' | b'{' | b'<' => depth += 1,
                b'>' if arrow => {}
                b')' | b']' | b'}' | b'>' => {
                    depth -= 1;
                    if depth == 0 {
                        let items = if empty { 0 } else { commas + 1 };
                        return Ok((at + 1, items));
                    }
                }
                b',' if depth == 1 => commas += 1,
                _ => {}
            }
            empty &= at == open;
            at += 1;
        }
        Err(self.text.len())
    }
}

/// What may stand in the name of a struct or a sigil.
fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._".contains(&byte)
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

    #[test]
    fn terms_end_where_they_end() {
        for (text, term) in [
            (r#""a\"b" => 1"#, r#""a\"b""#),
            ("%{a: %{}} x", "%{a: %{}}"),
            ("%A.B{a: 1}, x", "%A.B{a: 1}"),
            ("#PID<0.1.0>, x", "#PID<0.1.0>"),
            ("~N[2026-11-21 21:12:51], x", "~N[2026-11-21 21:12:51]"),
            (r#"~c"a, b"} x"#, r#"~c"a, b""#),
            ("~r/a, b/i, x", "~r/a, b/"),
            (":a, x", ":a"),
            (r#"[]string{"a", "b"} x"#, r#"[]string{"a", "b"}"#),
            (r#"Some("a") x"#, r#"Some("a")"#),
            ("[1]a x", "[1]"),
            ("\"\"\"\na \"b\"\n\"\"\" x", "\"\"\"\na \"b\"\n\"\"\""),
            (r#":"a b", x"#, r#":"a b""#),
            ("<<1, 2>>} x", "<<1, 2>>"),
            ("-1.5} x", "-1.5"),
            ("A.B]", "A.B"),
            (r#"\"a\\\"b\" x"#, r#"\"a\\\"b\""#),
            (r#"\"a\\\\\" x"#, r#"\"a\\\\\""#),
            (r#"%{\"a\" => \"}\"} x"#, r#"%{\"a\" => \"}\"}"#),
            (", x", ""),
            ("", ""),
        ] {
            let end = Terms { text: text.as_bytes(), escapes: None }.term(0);
            assert_eq!(end, Ok(term.len()), "{text}");
        }
        for (text, stop) in [
            ("[1, 2", 5),
            (r#"\"a" b"#, 3),
            (r#"{\"a\", " b"#, 8),
            (r#"~s(""#, 4),
            ("'a", 2),
            ("\"\"\"a\"", 5),
        ] {
            assert_eq!(Terms { text: text.as_bytes(), escapes: None }.term(0), Err(stop), "{text}");
        }
    }
}
