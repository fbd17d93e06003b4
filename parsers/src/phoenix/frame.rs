//! One line of an Elixir stack: `(app 1.2.3) lib/file.ex:12: Mod.fun/2`.
//!
//! `Exception.format_stacktrace_entry/1` writes it: the application and the place may be missing; instead of
//! its arity a function may have its arguments, `Mod.fun(1, %{})`; functions without a name are `anonymous
//! fn/1 in Mod.fun/2`. Since messages may be indented like frames, a line without application has to look like
//! one.

mod library;

use memchr::{memchr, memchr2};

use super::message::{split_first, split_last};
use crate::{
    inspected::group,
    number::whole,
    record::{Record, Scratch, Value},
};

/// Where a program was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// The application that the code belongs to; empty when it is not told.
    app: &'a [u8],
    function: &'a [u8],
    file: &'a [u8],
    line: Option<i64>,
}

impl<'a> Frame<'a> {
    /// `Mod.fun/1` and `lib/file.ex:42`.
    pub(super) fn new(function: &'a [u8], place: &'a [u8]) -> Self {
        let line = split_last(place, b":").and_then(|(file, line)| Some((file, whole(line)?)));
        let (file, line) = line.map_or((place, None), |(file, line)| (file, Some(line)));
        Self { app: b"", function, file, line }
    }

    /// The frame that a line is, without its indent.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        let App { name: app, versioned, rest } = App::read(line);
        let placed = split_first(rest, b": ").filter(|(place, _)| is_place(place));
        let (place, function) = placed.unwrap_or((b"", rest));
        let nameless = placed.is_some() && matches!(function, [b'(', .., b')'] | [b'#', ..]);
        let sound = is_function(function) || nameless || (versioned && !function.is_empty());
        sound.then(|| Self { app, ..Self::new(function, place) })
    }

    /// The first frame of a stack that is the application's own code, or, if none is, the first of all.
    pub(super) fn top(stack: &'a [u8]) -> Option<Self> {
        let frames = || {
            let lines = stack.split(|byte| *byte == b'\n');
            lines.filter_map(|line| Self::read(line.trim_ascii_start()))
        };
        frames().find(Self::is_own).or_else(|| frames().next())
    }

    /// Whether the code is the application's own: not Erlang's, not Elixir's, not a well-known library's.
    fn is_own(&self) -> bool {
        if library::is_path(self.file) {
            return false;
        }
        if self.app.is_empty() { !library::is_function(self.function) } else { !library::is_app(self.app) }
    }

    /// `Mod.fun/1`
    pub(super) fn function(&self, scratch: &'a Scratch) -> &'a [u8] {
        without_arguments(self.function, scratch)
    }

    /// Sets where an exception was raised. If that is the application's own code, it counts more than the place of the
    /// report, which metadata tells.
    pub(super) fn set_raised(&self, scratch: &'a Scratch, record: &mut Record<'a>) {
        if self.is_own() {
            record.rename("code.function.name", "elixir.mfa");
            record.rename("code.file.path", "elixir.file");
            record.take("code.line.number");
        }
        self.set(scratch, record);
    }

    /// Sets where the code was, unless metadata has told already.
    pub(super) fn set(&self, scratch: &'a Scratch, record: &mut Record<'a>) {
        let told = ["code.function.name", "code.file.path", "code.line.number"];
        if told.iter().any(|name| record.get(name).is_some()) {
            return;
        }
        record.set_text("code.function.name", self.function(scratch));
        record.set_text("code.file.path", self.file);
        if let Some(line) = self.line {
            record.set("code.line.number", Value::Int(line));
        }
    }
}

/// `(app 1.2.3) rest`; a line without application is all rest.
struct App<'a> {
    name: &'a [u8],
    versioned: bool,
    rest: &'a [u8],
}

impl<'a> App<'a> {
    fn read(line: &'a [u8]) -> Self {
        let in_name = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
        let bracketed = line.strip_prefix(b"(").and_then(|rest| split_first(rest, b") "));
        let found = bracketed.and_then(|(app, rest)| {
            let (name, version) = split_first(app, b" ").unwrap_or((app, b""));
            let named = name.first().is_some_and(u8::is_ascii_lowercase) && name.iter().all(in_name);
            let versioned =
                version.first().is_some_and(u8::is_ascii_digit) && memchr(b' ', version).is_none();
            (named && (versioned || version.is_empty())).then_some(Self { name, versioned, rest })
        });
        found.unwrap_or(Self { name: b"", versioned: false, rest: line })
    }
}

/// `lib/file.ex:12` or `gen_server.erl`.
fn is_place(text: &[u8]) -> bool {
    memchr2(b'(', b'"', text).is_none() && (memchr(b'.', text).is_some() || memchr(b':', text).is_some())
}

/// `Mod.fun/2`, `:mod.fun/2`, `Mod.fun(1, %{})`, `anonymous fn/1 in Mod.fun/2`.
fn is_function(text: &[u8]) -> bool {
    if text.starts_with(b"anonymous fn/") {
        return true;
    }
    let name = match text {
        [.., b')'] => split_first(text, b"(").map(|(name, _)| name),
        _ => split_last(text, b"/").filter(|(_, arity)| whole(arity).is_some()).map(|(name, _)| name),
    };
    name.is_some_and(|name| {
        let module = matches!(name, [b'A'..=b'Z' | b':', ..]) || name.starts_with(b"nil.");
        let quoted = memchr(b'"', name).is_some();
        module && memchr(b'.', name).is_some() && (quoted || memchr(b' ', name).is_none())
    })
}

/// The function with an arity instead of arguments: these hold data and differ each time.
fn without_arguments<'a>(function: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    let Some(open) = memchr(b'(', function).filter(|open| *open > 0) else { return function };
    let (name, arguments) = function.split_at(open);
    let count = group(arguments).filter(|(len, _)| *len == arguments.len()).map(|(_, count)| count);
    // A function has at most 255 arguments.
    let Some(arity) = count.and_then(|count| u8::try_from(count).ok()) else { return name };
    let digits = [arity / 100, arity / 10 % 10, arity % 10].map(|digit| b'0' + digit);
    let zeros = usize::from(arity < 100) + usize::from(arity < 10);
    scratch.concat(&[name, b"/", &digits[zeros..]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        let scratch = Scratch::new();
        for (line, function, file, number) in [
            ("(a_b 0.1.0) lib/a/b.ex:12: A.B.c/2", "A.B.c/2", "lib/a/b.ex", Some(12)),
            (
                "(stdlib 4.2) gen_server.erl:1123: :gen_server.try_dispatch/4",
                ":gen_server.try_dispatch/4",
                "gen_server.erl",
                Some(1123),
            ),
            ("(cowboy 2.12.0) /tmp/a b/c.erl:37: :c.d/2", ":c.d/2", "/tmp/a b/c.erl", Some(37)),
            ("(elixir) lib/task.ex:8: Task.x/2", "Task.x/2", "lib/task.ex", Some(8)),
            ("lib/a.ex:1: anonymous fn/1 in A.b/2", "anonymous fn/1 in A.b/2", "lib/a.ex", Some(1)),
            (
                "(elixir 1.14.0) lib/enum.ex:1658: Enum.\"-map/2-lists^map/1-0-\"/2",
                "Enum.\"-map/2-lists^map/1-0-\"/2",
                "lib/enum.ex",
                Some(1658),
            ),
            (":erlang.map_get(:b, %{a: \"x, y)\"})", ":erlang.map_get/2", "", None),
            ("(a 1.0.0) lib/a.ex:325: A.only_int(\"str\")", "A.only_int/1", "lib/a.ex", Some(325)),
            ("A.b()", "A.b/0", "", None),
            ("A.b(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)", "A.b/10", "", None),
            ("A.b(&Kernel.</2, 1)", "A.b", "", None),
            ("lib/a.ex: A.b/1", "A.b/1", "lib/a.ex", None),
            ("script.exs:3: (file)", "(file)", "script.exs", Some(3)),
            ("(elixir 1.14.0) expanding macro: Kernel.if/2", "expanding macro: Kernel.if/2", "", None),
        ] {
            let frame = Frame::read(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((frame.file, frame.line), (file.as_bytes(), number), "{line}");
            assert_eq!(without_arguments(frame.function, &scratch), function.as_bytes(), "{line}");
        }
    }

    #[test]
    fn what_messages_are_indented_with_is_no_frame() {
        for line in [
            "",
            "%{title: \"x\"}",
            "* \"podcasts_slug_key\" (unique_constraint)",
            "title: [",
            "#Ecto.Changeset<",
            "The following arguments were given to A.b/1:",
            "# 1",
            "(see docs) for more",
            "note: A.b is gone",
            "def only_int(x) when is_integer(x)",
        ] {
            assert_eq!(Frame::read(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn the_applications_own_frames() {
        for line in [
            "(podsite 0.1.0) lib/a.ex:1: A.b/2",
            "(podsite 0.1.0) src/a.erl:1: :a.b/2",
            "(podsite 0.1.0) lib/enum.ex:1: Enum.b/2",
            "(phoenixes 0.1.0) lib/a.ex:1: A.b/2",
            "lib/a.ex:1: A.b/2",
            "lib/a.ex:1: anonymous fn/1 in A.b/2",
            "script.exs:3: (file)",
            "A.b(1)",
            "EnumX.b(1)",
        ] {
            assert_eq!(Frame::read(line.as_bytes()).map(|frame| frame.is_own()), Some(true), "{line}");
        }
        for line in [
            "(elixir 1.14.0) lib/enum.ex:1658: Enum.\"-map/2-lists^map/1-0-\"/2",
            "(elixir) lib/task.ex:8: Task.x/2",
            "(stdlib 4.2) gen_server.erl:1123: :gen_server.try_dispatch/4",
            "(phoenix 1.7.21) lib/phoenix/router.ex:484: Phoenix.Router.__call__/5",
            "(phoenix_live_view 1.0.0) lib/a.ex:1: A.b/2",
            "(podsite 0.1.0) deps/a/lib/a.ex:1: A.b/2",
            "(podsite 0.1.0) /app/deps/a/lib/a.ex:1: A.b/2",
            ":erlang.binary_to_integer(\"no\")",
            ":prim_inet.recv0/3",
            "gen_server.erl:1123: :gen_server.try_dispatch/4",
            "Enum.map(1, 2)",
            "Ecto.Repo.Queryable.one!/3",
            "lib/enum.ex:1: anonymous fn/1 in Enum.map/2",
            "nil.name()",
        ] {
            assert_eq!(Frame::read(line.as_bytes()).map(|frame| frame.is_own()), Some(false), "{line}");
        }
    }

    #[test]
    fn metadata_knows_better() {
        let scratch = Scratch::new();
        let mut record = Record::new();
        record.set("code.line.number", Value::Int(1));
        Frame::new(b"A.b/1", b"lib/a.ex:2").set(&scratch, &mut record);
        assert_eq!(record.fields().len(), 1);
    }
}
