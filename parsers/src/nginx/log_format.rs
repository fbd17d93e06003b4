//! `log_format`: a format string → what a line of it consists of.
//!
//! Takes what stands in nginx's configuration, or the format string alone; gives literals and variables in
//! turn. nginx has no escape for a dollar, concatenates a directive's strings without a separator, and prints a
//! value that is missing as `-` (escape=default) or as nothing (json, none).

use super::{config, straight::Form, unescape, variable::Variable};
use crate::{json, record::Scratch};

/// How values were escaped (`ngx_http_log_escape` and `ngx_escape_json`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Escape {
    /// `"`, `\`, controls and bytes from 0x7F on as `\xHH`; `-` is absent.
    #[default]
    Default,
    /// As in a JSON string; the empty string is absent.
    Json,
    /// Not at all; the empty string is absent.
    None,
    /// As by default, in a line without a single escape.
    Clean,
}

impl Escape {
    /// A value's text; empty when it is absent.
    #[inline]
    pub(crate) fn text<'a>(self, raw: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
        if self.is_missing(raw) { b"" } else { self.resolve(raw, scratch) }
    }

    /// Whether nginx had no value.
    pub(crate) fn is_missing(self, raw: &[u8]) -> bool {
        raw.is_empty() || (matches!(self, Self::Default | Self::Clean) && raw == b"-")
    }

    /// How values are read in a line that has no backslash.
    pub(crate) const fn without_escapes(self) -> Self {
        match self {
            Self::Default | Self::Clean => Self::Clean,
            Self::Json | Self::None => Self::None,
        }
    }

    /// A value's text with its escapes resolved.
    #[inline]
    pub(crate) fn resolve<'a>(self, raw: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
        if self == Self::Clean { raw } else { self.unescape(raw, scratch) }
    }

    fn unescape<'a>(self, raw: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
        match self {
            Self::Default => unescape(raw, scratch),
            Self::Json if memchr::memchr(b'\\', raw).is_some() => json::unescape(raw, scratch),
            Self::Json | Self::None | Self::Clean => raw,
        }
    }

    /// Whether free text can be a value that ends before `literal`, given how quotes are escaped.
    pub(crate) fn admits(self, value: &[u8], literal: &[u8]) -> bool {
        match self {
            Self::Default | Self::Clean => memchr::memchr(b'"', value).is_none(),
            // The quote is the value's own if a backslash escapes it.
            Self::Json => {
                literal.first() != Some(&b'"')
                    || value.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0
            }
            Self::None => true,
        }
    }
}

/// One variable and the literal after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) variable: Variable,
    /// What follows up to the next variable or the line's end; empty between adjacent variables.
    pub(crate) literal: Literal,
    /// How the value's end is told in an ordinary line.
    pub(crate) form: Form,
}

impl Part {
    fn is_bracketed_time(&self) -> bool {
        self.variable == Variable::TimeLocal && self.literal.text().starts_with(b"]")
    }
}

/// A literal, ready to be compared: nearly all are shorter than a machine's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    text: Vec<u8>,
    /// Its first eight bytes, and which bits of them count.
    word: u64,
    mask: u64,
}

impl Literal {
    fn new(text: Vec<u8>) -> Self {
        let mut word = [0; 8];
        let mut mask = [0; 8];
        for (at, byte) in text.iter().take(8).enumerate() {
            (word[at], mask[at]) = (*byte, 0xFF);
        }
        Self { text, word: u64::from_le_bytes(word), mask: u64::from_le_bytes(mask) }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether it stands at that place, which is not behind the text's end.
    #[inline]
    pub(crate) fn follows(&self, text: &[u8], at: usize) -> bool {
        let text = &text[at..];
        match text.first_chunk::<8>() {
            Some(word) if self.text.len() <= 8 => u64::from_le_bytes(*word) & self.mask == self.word,
            _ => text.starts_with(&self.text),
        }
    }
}

/// A compiled format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    pub(crate) escape: Escape,
    /// What stands before the first variable.
    pub(crate) prefix: Vec<u8>,
    pub(crate) parts: Vec<Part>,
    /// Whether two of its variables may set one field.
    pub(crate) overlaps: bool,
    /// Whether it has `[$time_local]`, by which a line of it is known at a glance.
    pub(crate) time_in_brackets: bool,
}

impl LogFormat {
    /// Compiles a format string, or a whole `log_format NAME [escape=…] '…' …;` directive.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if let Some(rest) = trimmed.strip_prefix("log_format")
            && rest.starts_with(char::is_whitespace)
        {
            let directives = config::directives(&format!("{};", trimmed.trim_end_matches(';')));
            let directive =
                directives.first().ok_or("a log_format directive without its end: is a quote missing?")?;
            return Self::of_directive(directive);
        }
        for (prefix, escape) in [
            ("escape=default ", Escape::Default),
            ("escape=json ", Escape::Json),
            ("escape=none ", Escape::None),
        ] {
            if let Some(format) = trimmed.strip_prefix(prefix) {
                return Self::compile(format, escape);
            }
        }
        Self::compile(text, Escape::Default)
    }

    /// Compiles the format of that name out of a configuration file's directives, if it is there.
    #[must_use]
    pub fn find(directives: &[config::Directive], name: &str) -> Option<Result<Self, String>> {
        let named =
            |words: &&config::Directive| words[0] == "log_format" && words.get(1).is_some_and(|n| n == name);
        directives.iter().find(named).map(|directive| Self::of_directive(directive))
    }

    fn of_directive(words: &[String]) -> Result<Self, String> {
        let [_, _name, rest @ ..] = words else {
            return Err("a log_format needs a name and a format".to_owned());
        };
        let (escape, strings) = match rest.split_first() {
            Some((first, strings)) if first.starts_with("escape=") => {
                let escape = match first.as_str() {
                    "escape=default" => Escape::Default,
                    "escape=json" => Escape::Json,
                    "escape=none" => Escape::None,
                    other => return Err(format!("{other}: allowed are escape=default, json, none")),
                };
                (escape, strings)
            }
            _ => (Escape::Default, rest),
        };
        Self::compile(&strings.concat(), escape)
    }

    fn compile(format: &str, escape: Escape) -> Result<Self, String> {
        let mut prefix = Vec::new();
        let mut pairs: Vec<(Variable, Vec<u8>)> = Vec::new();
        let mut rest = format;
        while let Some(dollar) = rest.find('$') {
            let literal = &rest.as_bytes()[..dollar];
            pairs.last_mut().map_or(&mut prefix, |(_, after)| after).extend_from_slice(literal);
            let after = &rest[dollar + 1..];
            let (name, follows) = match after.strip_prefix('{') {
                Some(braced) => braced.split_once('}').ok_or("`${` without `}`")?,
                None => {
                    let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                    after.split_at(end.unwrap_or(after.len()))
                }
            };
            if name.is_empty() {
                return Err("a `$` without a variable's name".to_owned());
            }
            pairs.push((Variable::of(name), Vec::new()));
            rest = follows;
        }
        let Some((_, last)) = pairs.last_mut() else {
            return Err("a log format needs at least one $variable".to_owned());
        };
        last.extend_from_slice(rest.as_bytes());
        let form = |(at, (variable, literal)): (usize, &(Variable, Vec<u8>))| {
            Form::of(variable, literal, pairs.get(at + 1).map(|(after, _)| after), escape)
        };
        let forms: Vec<Form> = pairs.iter().enumerate().map(form).collect();
        let part = |((variable, literal), form)| Part { variable, literal: Literal::new(literal), form };
        let parts: Vec<Part> = pairs.into_iter().zip(forms).map(part).collect();
        let overlaps = parts
            .iter()
            .enumerate()
            .any(|(index, part)| parts[..index].iter().any(|other| other.variable.overlaps(&part.variable)));
        let time_in_brackets = parts
            .windows(2)
            .any(|pair| pair[0].literal.text().ends_with(b"[") && pair[1].is_bracketed_time());
        Ok(Self { escape, prefix, parts, overlaps, time_in_brackets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(format: &LogFormat) -> Vec<&str> {
        format.parts.iter().map(|part| std::str::from_utf8(part.literal.text()).unwrap()).collect()
    }

    #[test]
    fn strings_and_directives_compile_alike() {
        let string = LogFormat::parse(r#"<$remote_addr> [${time_local}]x "$request"$status"#).unwrap();
        assert_eq!(string.prefix, b"<");
        assert_eq!(literals(&string), ["> [", "]x \"", "\"", ""]);
        let directive =
            LogFormat::parse("log_format main '<$remote_addr> [${time_local}]x '\n '\"$request\"' $status;")
                .unwrap();
        assert_eq!(directive, string);
        let json = LogFormat::parse("log_format j escape=json '{\"a\":\"$uri\"}';").unwrap();
        assert_eq!((json.escape, literals(&json)), (Escape::Json, vec!["\"}"]));
        assert_eq!(LogFormat::parse("escape=none $uri").unwrap().escape, Escape::None);
    }

    #[test]
    fn a_format_is_found_in_a_configuration_by_its_name() {
        let directives = config::directives("http { log_format a '$uri'; log_format b '$host'; }");
        let found = LogFormat::find(&directives, "b").unwrap().unwrap();
        assert_eq!(found, LogFormat::parse("$host").unwrap());
        assert!(LogFormat::find(&directives, "c").is_none());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for bad in [
            "",
            "no variables",
            "a $ b",
            "${open",
            "$",
            "log_format x",
            "log_format x escape=xml '$uri'",
            "log_format x '$uri",
        ] {
            assert!(LogFormat::parse(bad).is_err(), "{bad}");
        }
    }
}
