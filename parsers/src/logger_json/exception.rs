//! What a `LoggerJSON` document says of an exception.
//!
//! The formatters put it under different keys, in pieces (Datadog, Elastic) or as one text that begins with
//! Elixir's banner, `** (KeyError) key :x not found`, and goes on with the stack's frames, each four blanks in
//! (elixir/lib/exception.ex, `format_banner` and `format_stacktrace`). Takes the pieces, sets `exception.type`,
//! `exception.message`, `exception.stacktrace` and, of what has a type, `exception.fingerprint`, and makes the event
//! an error.

use memchr::memmem;

use crate::{
    keys::{Keys, Pair},
    phoenix::fingerprint,
    record::Value,
};

/// The pieces found so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exception<'a> {
    kind: &'a [u8],
    message: &'a [u8],
    /// The stack, perhaps with the banner before it.
    stack: &'a [u8],
}

impl<'a> Exception<'a> {
    /// Takes the value if its key is one of an exception's.
    pub(super) fn take(&mut self, pair: Pair<'a>) -> bool {
        let (Value::Text(text), false) = (pair.value, pair.container) else { return false };
        let piece = match pair.name {
            b"error.kind" | b"error.type" => &mut self.kind,
            b"error.message" => &mut self.message,
            b"error.stack" | b"error.stack_trace" | b"error.reason" | b"stack_trace" => &mut self.stack,
            _ => return false,
        };
        *piece = text;
        true
    }

    /// Sets the fields.
    pub(super) fn set(&self, keys: &mut Keys<'_, 'a>) {
        // Datadog's formatter gives every error's message as an exception of the kind "error".
        let is_placeholder = self.stack.is_empty() && self.kind == b"error";
        let (banner, message, frames) = split(self.stack);
        let kind = super::module(if self.kind.is_empty() { banner } else { self.kind });
        let message = if self.message.is_empty() { message } else { self.message };
        if is_placeholder || kind.is_empty() && message.is_empty() && frames.is_empty() {
            return;
        }
        keys.put("exception.type", Value::Text(kind));
        keys.put("exception.message", Value::Text(message));
        keys.put("exception.stacktrace", Value::Text(frames));
        if !kind.is_empty() {
            let fingerprint = fingerprint::of(kind, message, frames, keys.scratch);
            keys.put("exception.fingerprint", Value::Text(fingerprint));
        }
        keys.record.error = true;
    }
}

/// The banner's type, its message and the frames.
fn split(text: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let frames = first_frame(text).unwrap_or(text.len());
    let (banner, frames) = (text[..frames].trim_ascii_end(), text[frames..].trim_ascii_end());
    let Some(rest) = banner.strip_prefix(b"** (") else { return (b"", banner, frames) };
    let Some(end) = memchr::memchr(b')', rest) else { return (b"", banner, frames) };
    let message = rest[end + 1..].trim_ascii_start();
    let kind = &rest[..end];
    // `** (exit) …`, `** (EXIT from #PID<0.1.0>) …`: how a process ended, not an exception's name.
    let named = kind.first().is_some_and(u8::is_ascii_uppercase) && !kind.starts_with(b"EXIT");
    (if named { kind } else { b"" }, message, frames)
}

/// The beginning of the first line that is four blanks in, and no deeper.
fn first_frame(text: &[u8]) -> Option<usize> {
    let indented = |at: usize| text.get(at + 4).is_some_and(|byte| !byte.is_ascii_whitespace());
    if text.starts_with(b"    ") && indented(0) {
        return Some(0);
    }
    memmem::find_iter(text, b"\n    ").map(|at| at + 1).find(|at| indented(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banners_and_frames() {
        for (text, kind, message, frames) in [
            (
                "** (ArgumentError) errors were found:\n\n  * 1st argument: x\n\n    :erlang.f(\"y\")\n    (app 0.1.0) lib/a.ex:1: A.b/2\n",
                "ArgumentError",
                "errors were found:\n\n  * 1st argument: x",
                "    :erlang.f(\"y\")\n    (app 0.1.0) lib/a.ex:1: A.b/2",
            ),
            ("** (EXIT from #PID<0.250.0>) :foo", "", ":foo", ""),
            ("** (throw) {:error, 1}", "", "{:error, 1}", ""),
            ("{{:bad_state, %{}}, []}", "", "{{:bad_state, %{}}, []}", ""),
            ("    test/a.exs:1: A.b/0\n", "", "", "    test/a.exs:1: A.b/0"),
            ("** (cut", "", "** (cut", ""),
            ("", "", "", ""),
        ] {
            let expected = (kind.as_bytes(), message.as_bytes(), frames.as_bytes());
            assert_eq!(split(text.as_bytes()), expected, "{text}");
        }
    }
}
