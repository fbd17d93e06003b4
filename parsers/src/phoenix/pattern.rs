//! A Logger pattern, `$dateT$time $metadata[$level] $message`, compiled to a matcher of lines.
//!
//! Takes what a project's config.exs has under `format:`. Its variables are `$date`, `$time`, `$level`,
//! `$levelpad`, `$message`, `$metadata` and `$node`, any other `$word` is an error, all else stands for itself
//! (`Logger.Formatter.compile/1`); `\n` and `\t` may stand as they do in Elixir's source, and line breaks at
//! either end are the separators of events rather than part of them.
//!
//! What stands before `$message` is matched from the line's start, what stands after it from the line's end,
//! so the message may be anything. Metadata ends where the rest of the head matches; next to the message,
//! where nothing tells where it ends, its values are taken to be without blanks.

use memchr::memchr_iter;

use super::{
    line::{DATE_LEN, Event, TIME_LEN, date, level, time},
    metadata,
};

const VARIABLES: &str = "it knows $date, $time, $level, $levelpad, $message, $metadata and $node";

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What comes before the message.
    head: Vec<Part>,
    /// What comes after it.
    tail: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Date,
    Time,
    Level,
    LevelPad,
    Metadata,
    Node,
}

impl Pattern {
    /// Compiles a pattern; an error is a sentence for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.replace("\\n", "\n").replace("\\t", "\t");
        let mut rest = text.trim_matches(['\n', '\r']);
        let (mut parts, mut head) = (Vec::new(), None);
        while !rest.is_empty() {
            let literal = next_variable(rest);
            if literal > 0 {
                parts.push(Part::Literal(rest.as_bytes()[..literal].to_vec()));
            }
            let (name, after) = split_variable(&rest[literal..]);
            match (name, part_of(name)) {
                ("", _) => {}
                ("$message", _) if head.is_some() => return Err("$message stands there twice".to_owned()),
                ("$message", _) => head = Some(std::mem::take(&mut parts)),
                (_, Some(part)) if parts.iter().chain(head.iter().flatten()).any(|known| *known == part) => {
                    return Err(format!("{name} stands there twice"));
                }
                (_, Some(part)) => parts.push(part),
                (_, None) => return Err(format!("Logger has no {name}: {VARIABLES}")),
            }
            rest = after;
        }
        let head = head.ok_or("there is no $message in it")?;
        Ok(Self { head, tail: parts })
    }

    /// Whether the line begins as the pattern does, whatever follows.
    pub(super) fn begins(&self, line: &[u8]) -> bool {
        !self.head.is_empty() && match_head(&self.head, line, &mut Event::default()).is_some()
    }

    /// What stands in the pattern's places; `None` for a line that is not in the pattern.
    pub(super) fn split<'a>(&self, line: &'a [u8]) -> Option<Event<'a>> {
        let mut event = Event::default();
        let rest = match_head(&self.head, line, &mut event)?;
        event.message = match_tail(&self.tail, rest, &mut event)?;
        Some(event)
    }
}

/// Where the next `$word` begins, or the text's end.
fn next_variable(text: &str) -> usize {
    let bytes = text.as_bytes();
    memchr_iter(b'$', bytes)
        .find(|at| bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase))
        .unwrap_or(bytes.len())
}

/// `$word and more` → `$word`, the rest.
fn split_variable(text: &str) -> (&str, &str) {
    let word = text.bytes().skip(1).take_while(u8::is_ascii_lowercase).count();
    text.split_at(if text.is_empty() { 0 } else { word + 1 })
}

fn part_of(variable: &str) -> Option<Part> {
    Some(match variable {
        "$date" => Part::Date,
        "$time" => Part::Time,
        "$level" => Part::Level,
        "$levelpad" => Part::LevelPad,
        "$metadata" => Part::Metadata,
        "$node" => Part::Node,
        _ => return None,
    })
}

/// Matches the parts one after the other; answers what follows them.
fn match_head<'a>(parts: &[Part], text: &'a [u8], event: &mut Event<'a>) -> Option<&'a [u8]> {
    let mut rest = text;
    for (at, part) in parts.iter().enumerate() {
        let more = &parts[at + 1..];
        rest = match part {
            Part::Literal(literal) => without_literal(rest, literal)?,
            Part::Date => {
                let (date, rest) = date(rest)?;
                event.date = Some(date);
                rest
            }
            Part::Time => {
                let (time, rest) = time(rest)?;
                event.time = Some(time);
                event.utc = matches!(more.first(), Some(Part::Literal(literal)) if literal.starts_with(b"Z"));
                rest
            }
            Part::Level => {
                let (level, rest) = level(rest)?;
                event.level = Some(level);
                rest
            }
            // Only levels of four letters are padded.
            Part::LevelPad if event.level.is_some_and(|level| level.text.len() != 4) => rest,
            Part::LevelPad => rest.strip_prefix(b" ").unwrap_or(rest),
            Part::Metadata => return match_metadata(more, rest, event),
            Part::Node => {
                let len = rest.iter().take_while(|byte| is_in_node(byte)).count();
                event.node = rest.get(..len).filter(|node| !node.is_empty())?;
                &rest[len..]
            }
        };
    }
    Some(rest)
}

/// Metadata, and the parts after it: it ends at the first place where they match.
fn match_metadata<'a>(more: &[Part], text: &'a [u8], event: &mut Event<'a>) -> Option<&'a [u8]> {
    if more.is_empty() {
        let (metadata, rest) = text.split_at(metadata::plain_len(text));
        event.metadata = metadata;
        return Some(rest);
    }
    // Every pair ends in a blank.
    let has_metadata = metadata::key_len(text) > 0;
    let ends = memchr_iter(b' ', text).map(|blank| blank + 1).filter(|_| has_metadata);
    std::iter::once(0).chain(ends).find_map(|end| {
        let (metadata, after) = text.split_at(end);
        let mut attempt = Event { metadata, ..*event };
        let rest = match_head(more, after, &mut attempt)?;
        *event = attempt;
        Some(rest)
    })
}

/// Matches the parts from the last to the first; answers what comes before them.
fn match_tail<'a>(parts: &[Part], text: &'a [u8], event: &mut Event<'a>) -> Option<&'a [u8]> {
    let mut rest = text;
    for part in parts.iter().rev() {
        let keep = match part {
            Part::Literal(literal) => {
                // What ends a line in blanks often loses them on its way.
                rest.strip_suffix(&**literal).or_else(|| rest.strip_suffix(literal.trim_ascii_end()))?.len()
            }
            Part::Date => {
                let (before, last) = rest.split_last_chunk::<DATE_LEN>()?;
                event.date = Some(date(last)?.0);
                before.len()
            }
            Part::Time => {
                let (before, last) = rest.split_last_chunk::<TIME_LEN>()?;
                event.time = Some(time(last)?.0);
                before.len()
            }
            Part::Level => {
                let word = rest.iter().rev().take_while(|byte| byte.is_ascii_lowercase()).count();
                event.level = Some(level(&rest[rest.len() - word..])?.0);
                rest.len() - word
            }
            Part::LevelPad => rest.strip_suffix(b" ").unwrap_or(rest).len(),
            Part::Metadata => {
                let start = metadata::plain_start(rest);
                event.metadata = &rest[start..];
                start
            }
            Part::Node => {
                let len = rest.iter().rev().take_while(|byte| is_in_node(byte)).count();
                event.node = rest.get(rest.len() - len..).filter(|node| !node.is_empty())?;
                rest.len() - len
            }
        };
        rest = &rest[..keep];
    }
    Some(rest)
}

/// What follows the literal; at the line's end its last blanks may be missing.
fn without_literal<'a>(text: &'a [u8], literal: &[u8]) -> Option<&'a [u8]> {
    text.strip_prefix(literal).or_else(|| (text == literal.trim_ascii_end()).then_some(&[][..]))
}

/// Whether the byte may stand in a node's name, `app@host.internal`.
fn is_in_node(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"@._-".contains(byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split<'a>(pattern: &str, line: &'a str) -> Option<Event<'a>> {
        Pattern::parse(pattern).unwrap().split(line.as_bytes())
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_variable_in_any_order() {
        let dated = split(
            "\\n$dateT$timeZ $node $metadata[$level] $levelpad$message\\n",
            "2026-11-21T20:57:24.960Z app@10.0.0.1 user=a [b] c [info]  GET /",
        )
        .unwrap();
        assert_eq!(dated.date, Some(b"2026-11-21"));
        assert_eq!(dated.time, Some(b"20:57:24.960"));
        assert!(dated.utc);
        assert_eq!((text(dated.node), text(dated.metadata)), ("app@10.0.0.1", "user=a [b] c "));
        assert_eq!(text(dated.message), "GET /");
        for (pattern, line, metadata, message) in [
            ("$time [$level] $metadata$message", "20:57:24.960 [info] a=1 b=2 GET /", "a=1 b=2 ", "GET /"),
            ("$time [$level] $metadata$message", "20:57:24.960 [info] GET /", "", "GET /"),
            ("[$level] $message $metadata", "[warning] x=1 is odd a=1 b=2 ", "a=1 b=2 ", "x=1 is odd"),
            ("[$level] $message $metadata", "[warning] is odd", "", "is odd"),
            ("$metadata $message", "a=1 2  x", "a=1 2 ", "x"),
            (
                "$message -- $metadata[$level] at $date $time",
                "x -- a=1 [info] at 2026-11-21 20:57:24.960",
                "a=1 ",
                "x",
            ),
            ("$metadata[$level]\\n$message", "note=line1\nline2 [error]\nx", "note=line1\nline2 ", "x"),
            ("$message", "$", "", "$"),
            ("cost $5 $Level $message", "cost $5 $Level x", "", "x"),
            ("[$level] $message", "[info]", "", ""),
        ] {
            let event = split(pattern, line).unwrap_or_else(|| panic!("{pattern}: {line}"));
            assert_eq!((text(event.metadata), text(event.message)), (metadata, message), "{pattern}");
        }
    }

    #[test]
    fn lines_in_another_pattern_are_refused() {
        for (pattern, line) in [
            ("$time $metadata[$level] $message", "20:57:24 [info] x"),
            ("$time $metadata[$level] $message", "20:57:24.960 [loud] x"),
            ("$time $metadata[$level] $message", "20:57:24.960 words [info] x"),
            ("$date $message", "2026-11-2 x"),
            ("$node $message", " x"),
            ("$message ($level)", "x (info"),
            ("$message $time", "x 20:57:24"),
        ] {
            assert_eq!(split(pattern, line), None, "{pattern}: {line}");
        }
    }

    #[test]
    fn errors_are_for_people() {
        for (pattern, error) in [
            ("", "there is no $message in it"),
            ("$time [$level]", "there is no $message in it"),
            ("$message $message", "$message stands there twice"),
            ("$time $message $time", "$time stands there twice"),
            (
                "$levels $message",
                "Logger has no $levels: it knows $date, $time, $level, $levelpad, $message, $metadata and $node",
            ),
        ] {
            assert_eq!(Pattern::parse(pattern), Err(error.to_owned()), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_an_error(
            parts in prop::collection::vec("\\$[a-z]{0,8}|.{0,3}|\\$metadata|\\$message|\\$level|\\$node|\\$time", 0..8),
            line in ".{0,60}",
        ) {
            let text = parts.concat();
            if let Ok(pattern) = Pattern::parse(&text) {
                let _ = pattern.split(line.as_bytes());
            }
        }

        #[test]
        fn what_is_printed_is_read_again(message in "[^\n]{0,40}", user in "[a-z \\[\\]]{0,20}") {
            let line = format!("2026-11-21 20:57:24.960 user={user} [info] {message}");
            let pattern = Pattern::parse("$date $time $metadata[$level] $message").unwrap();
            let event = pattern.split(line.as_bytes()).unwrap();
            prop_assert!(user.contains(" [info] ") || text(event.message) == message);
        }
    }
}
