//! Exceptions, exits and throws in a message: the banner `** (Mod.Error) text`, then the stack.
//!
//! `Exception.format/3` writes them (`elixir/lib/elixir/lib/exception.ex`): the message may have several
//! lines, also indented ones; each frame stands on a line of its own, four blanks deeper than its banner. An
//! exit may name what caused it in a banner on the next line, deeper by four blanks: `** (exit) an exception
//! was raised:`. The type is then that of the innermost exception; an exit, stop or throw without an exception
//! in it is told by that word, with all that was said about it.

use memchr::{memchr, memchr_iter, memmem};

use super::{
    fingerprint,
    frame::Frame,
    message::{split_first, split_line},
};
use crate::record::{Record, Role, Scratch, Value};

/// How much deeper frames, and the banner of a cause, stand than a banner.
const INDENT: usize = 4;

/// What was raised, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exception<'a> {
    kind: &'a [u8],
    message: &'a [u8],
    stack: &'a [u8],
}

/// Sets the fields of a message that is an exception, or quotes one.
pub(super) fn set<'a>(message: &'a [u8], scratch: &'a Scratch, record: &mut Record<'a>) -> Option<()> {
    let exception = find(message, &[])?;
    exception.set(scratch, record);
    record.role = Role::Crashed;
    record.set("name", Value::Text(exception.kind));
    if message.starts_with(b"** (") && exception.is_bandits(record) {
        record.set("elixir.crash_kind", Value::text("bandit"));
    }
    Some(())
}

/// The first exception in the text: at the start of a line, or after `: ` on the first line. Its message ends
/// before a line that begins with one of `ends`.
pub(super) fn find<'a>(text: &'a [u8], ends: &[&str]) -> Option<Exception<'a>> {
    let first_line = split_line(text).0.len();
    let begins = |at: usize| {
        let indent = text[..at].iter().rev().take_while(|byte| **byte == b' ').count();
        match text[..at - indent] {
            [] | [.., b'\n'] => Some(at - indent),
            [.., b':'] if indent == 1 && at < first_line => Some(at),
            _ => None,
        }
    };
    memmem::find_iter(text, b"** (").find_map(|at| Exception::read(&text[begins(at)?..], ends))
}

/// One banner, and all the text after it.
#[derive(Clone, Copy, Debug)]
struct Banner<'a> {
    indent: usize,
    kind: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Banner<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        let indent = text.iter().take_while(|byte| **byte == b' ').count();
        let text = text[indent..].strip_prefix(b"** (")?;
        let kind = &text[..memchr(b')', split_line(text).0)?];
        let rest = &text[kind.len() + 1..];
        // `** (EXIT from #PID<0.1.0>)` is an exit too.
        let (word, more) = split_first(kind, b" ").unwrap_or((kind, b""));
        let sound = !word.is_empty() && (more.is_empty() || more.starts_with(b"from "));
        sound.then_some(Self { indent, kind: word, rest: rest.strip_prefix(b" ").unwrap_or(rest) })
    }

    /// The exception that caused this exit.
    fn cause(self) -> Option<Self> {
        let mut banner = self;
        while !is_raised(banner.kind) {
            let next_line = split_line(banner.rest).1.get(1..)?;
            banner = Self::read(next_line).filter(|next| next.indent == banner.indent + INDENT)?;
        }
        Some(banner)
    }
}

/// Whether that is an exception's name: not a mere exit, stop or throw.
pub(super) fn is_raised(kind: &[u8]) -> bool {
    !matches!(kind, b"exit" | b"stop" | b"throw" | b"EXIT")
}

impl<'a> Exception<'a> {
    /// The exception whose banner `text` begins with, indented or not.
    fn read(text: &'a [u8], ends: &[&str]) -> Option<Self> {
        let outer = Banner::read(text)?;
        let Banner { indent, kind, rest } = outer.cause().unwrap_or(outer);
        let frame = |line: &'a [u8]| {
            let blanks = line.iter().take_while(|byte| **byte == b' ').count();
            let fits = (outer.indent + INDENT..=indent + INDENT).contains(&blanks);
            fits && Frame::read(&line[blanks..]).is_some()
        };
        let ends_here = |line: &[u8]| ends.iter().any(|end| line.starts_with(end.as_bytes()));
        let mut found = Self { kind, message: rest, stack: b"" };
        for start in memchr_iter(b'\n', rest).map(|newline| newline + 1) {
            let line = split_line(&rest[start..]).0;
            match (frame(line), found.stack) {
                (true, b"") => (found.message, found.stack) = (&rest[..start], line),
                // Frames stand on lines that follow each other.
                (true, _) => {
                    let first = found.message.len();
                    found.stack = &rest[first..start + line.len()];
                }
                (false, b"") if ends_here(line) => {
                    found.message = &rest[..start];
                    break;
                }
                (false, b"") => {}
                (false, _) => break,
            }
        }
        found.message = found.message.trim_ascii();
        Some(found)
    }

    /// Sets what was raised and where; not the event's name.
    pub(super) fn set(&self, scratch: &'a Scratch, record: &mut Record<'a>) {
        record.set("exception.type", Value::Text(self.kind));
        record.set_text("exception.message", self.message);
        record.set_text("exception.stacktrace", self.stack);
        let fingerprint = fingerprint::of(self.kind, self.message, self.stack, scratch);
        record.set("exception.fingerprint", Value::Text(fingerprint));
        record.error = true;
        if let Some(top) = Frame::top(self.stack) {
            top.set_raised(scratch, record);
        }
    }

    /// The type of what was raised; none for a mere exit, stop or throw.
    pub(super) fn raised(&self) -> Option<&'a [u8]> {
        is_raised(self.kind).then_some(self.kind)
    }

    /// Bandit reports a crashed request by the exception alone.
    fn is_bandits(&self, record: &Record<'_>) -> bool {
        let domain =
            matches!(record.get("elixir.domain"), Some(Value::Text(domain)) if domain.ends_with(b"bandit"));
        domain || self.kind.starts_with(b"Bandit.") || memmem::find(self.stack, b" (bandit ").is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (&str, &str, &str) {
        let found = find(text.as_bytes(), &[]).unwrap_or_else(|| panic!("{text}"));
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        (text(found.kind), text(found.message), text(found.stack))
    }

    #[test]
    fn the_innermost_exception_counts() {
        let text = "** (exit) exited in: GenServer.call(A.S, {:crash, \"raise\"}, 500)\n    ** (EXIT) an exception \
                    was raised:\n        ** (ArgumentError) overflow: > 2^63\n            (a 0.1.0) lib/a.ex:44: A.b/2\n    \
                    (a 0.1.0) lib/c.ex:1: A.c/2\n";
        let stack = "            (a 0.1.0) lib/a.ex:44: A.b/2\n    (a 0.1.0) lib/c.ex:1: A.c/2";
        assert_eq!(read(text), ("ArgumentError", "overflow: > 2^63", stack));
        let text = "** (exit) exited in: A.b(1)\n    ** (EXIT) time out\n    (a 0.1.0) lib/a.ex:44: A.b/2";
        let message = "exited in: A.b(1)\n    ** (EXIT) time out";
        assert_eq!(read(text), ("exit", message, "    (a 0.1.0) lib/a.ex:44: A.b/2"));
        assert_eq!(read("** (EXIT from #PID<0.1.0>) killed"), ("EXIT", "killed", ""));
        assert_eq!(read("** (throw) {:a, 1}"), ("throw", "{:a, 1}", ""));
    }

    #[test]
    fn messages_have_blank_and_indented_lines() {
        let text = "an exception was raised:\n    ** (Ecto.NoResultsError) expected at least one result:\n\n\
                    from e0 in A.Episode,\n  where: true\n\n    * \"key\"\n    A.b/1\n        (ecto 3.13.5) \
                    lib/a.ex:1: A.b/1\n        A.c(1)\nafter";
        let message = "expected at least one result:\n\nfrom e0 in A.Episode,\n  where: true\n\n    * \"key\"\n    A.b/1";
        let stack = "        (ecto 3.13.5) lib/a.ex:1: A.b/1\n        A.c(1)";
        assert_eq!(read(text), ("Ecto.NoResultsError", message, stack));
        assert_eq!(read("** (A)"), ("A", "", ""));
    }

    #[test]
    fn a_quoted_exception_is_found_where_it_is_one() {
        assert_eq!(read("Postgrex.Protocol (#PID<0.1.0>) disconnected: ** (A.Error) x").0, "A.Error");
        for text in
            ["see ** (A.Error) x", "** A", "** (A", "** () x", "** (a b) x", "** (A\n) x", "x\ny: ** (A) z"]
        {
            assert!(find(text.as_bytes(), &[]).is_none(), "{text}");
        }
    }

    #[test]
    fn bandit_reports_by_the_exception_alone() {
        let scratch = Scratch::new();
        let mut record = Record::new();
        let text = b"** (RuntimeError) boom\n    (a 0.1.0) lib/a.ex:1: A.b/1\n    (bandit 1.10.2) lib/b.ex:1: B.c/1\n";
        set(text, &scratch, &mut record).unwrap();
        assert_eq!(record.get("elixir.crash_kind"), Some(Value::text("bandit")));
        assert_eq!(record.get("name"), Some(Value::text("RuntimeError")));
        assert!(record.error);
    }

    #[test]
    fn the_code_is_the_applications_own_if_any_is() {
        let libraries = "    :erlang.binary_to_integer(\"no\")\n    (elixir 1.14.0) lib/string.ex:2620: String.to_integer/1\n";
        for (own, function, file) in [
            ("    (a 0.1.0) lib/a.ex:1: A.b/2\n    (a 0.1.0) lib/c.ex:1: A.c/2", "A.b/2", Some("lib/a.ex")),
            ("", ":erlang.binary_to_integer/1", None),
        ] {
            let text = format!("** (ArgumentError) x\n{libraries}{own}");
            let (scratch, mut record) = (Scratch::new(), Record::new());
            set(text.as_bytes(), &scratch, &mut record).unwrap();
            assert_eq!(record.get("code.function.name"), Some(Value::text(function)));
            assert_eq!(record.get("code.file.path"), file.map(Value::text));
        }
    }

    #[test]
    fn banners_without_end_cost_no_more_than_their_length() {
        let hostile = "** (exit) a\n".repeat(20_000) + &" ** (".repeat(20_000);
        assert!(find(hostile.as_bytes(), &[]).is_some());
        for part in [" ** (", "** (\n", "\n** (", "    ** (\n\n"] {
            assert!(find(part.repeat(100_000).as_bytes(), &[]).is_none());
        }
    }
}
