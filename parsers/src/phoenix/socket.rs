//! Sockets, channels and `LiveView`: `CONNECTED TO`, `JOINED`, `HANDLED`, `MOUNT`, `HANDLE EVENT`, `Replied
//! in`, …
//!
//! The texts are those of `phoenix/lib/phoenix/logger.ex` and
//! `phoenix_live_view/lib/phoenix_live_view/logger.ex`: one line, then indented details, each on a line of its
//! own. Topics and events are the client's words, so their ends are found from what Phoenix writes round them.

use super::{
    measure::phoenix_ms,
    message::{between, detail, split_first, split_last, split_line},
    request::is_module,
};
use crate::record::{Record, Value};

/// Sets the fields of such a message.
pub(super) fn set<'a>(message: &'a [u8], record: &mut Record<'a>) -> Option<()> {
    let (line, details) = split_line(message);
    connected(line, record)
        .or_else(|| joined(line, record))
        .or_else(|| handled(line, record))
        .or_else(|| live_view(line, record))
        .or_else(|| drained(line, record))?;
    // An atom is printed with a colon in front.
    let transport = detail(details, b"\n  Transport: ");
    record.set_text("phoenix.transport", transport.strip_prefix(b":").unwrap_or(transport));
    record.set_text("phoenix.params", detail(details, b"\n  Parameters: "));
    Some(())
}

/// `CONNECTED TO PodsiteWeb.UserSocket in 20µs`, `REFUSED CONNECTION TO …`.
fn connected<'a>(line: &'a [u8], record: &mut Record<'a>) -> Option<()> {
    let (name, rest) = one_of(line, ["CONNECTED TO", "REFUSED CONNECTION TO"])?;
    let (socket, ms) = timed(rest)?;
    record.set("name", Value::text(name));
    record.set_text("phoenix.socket", socket);
    record.set("duration_ms", Value::Float(ms));
    Some(())
}

/// `JOINED show:shipit in 978µs`, `REFUSED JOIN …`.
fn joined<'a>(line: &'a [u8], record: &mut Record<'a>) -> Option<()> {
    let (name, rest) = one_of(line, ["JOINED", "REFUSED JOIN"])?;
    let (topic, ms) = timed(rest)?;
    record.set("name", Value::text(name));
    record.set_text("phoenix.topic", topic);
    record.set("duration_ms", Value::Float(ms));
    Some(())
}

/// `HANDLED chat INCOMING ON show:shipit (PodsiteWeb.ShowChannel) in 34µs`.
fn handled<'a>(line: &'a [u8], record: &mut Record<'a>) -> Option<()> {
    let (rest, ms) = timed(line.strip_prefix(b"HANDLED ")?)?;
    let (event, rest) = split_first(rest, b" INCOMING ON ")?;
    let (topic, _) = split_last(rest.strip_suffix(b")")?, b" (")?;
    record.set("name", Value::text("HANDLED"));
    record.set_text("phoenix.event", event);
    record.set_text("phoenix.topic", topic);
    record.set("duration_ms", Value::Float(ms));
    Some(())
}

/// `MOUNT View`, `HANDLE PARAMS in View`, `HANDLE EVENT "inc" in View` (the event as Elixir inspects it, without
/// its quotes), `Replied in 45µs`.
fn live_view<'a>(line: &'a [u8], record: &mut Record<'a>) -> Option<()> {
    if let Some(ms) = line.strip_prefix(b"Replied in ").and_then(phoenix_ms) {
        record.set("name", Value::text("Replied"));
        record.set("duration_ms", Value::Float(ms));
        return Some(());
    }
    let (name, rest) = one_of(line, ["MOUNT", "HANDLE PARAMS", "HANDLE EVENT"])?;
    let (event, view) = match name {
        "MOUNT" => (None, rest),
        "HANDLE PARAMS" => (None, rest.strip_prefix(b"in ")?),
        _ => {
            let (event, view) = split_last(rest, b" in ")?;
            (Some(between(event, b"\"", b"\"")?), view)
        }
    };
    if !is_module(view) {
        return None;
    }
    record.set("name", Value::text(name));
    record.set("phoenix.view", Value::Text(view));
    record.set_text("phoenix.event", event.unwrap_or_default());
    Some(())
}

/// `DRAINING 1 of 2 total connection(s) for socket PodsiteWeb.UserSocket every 2000ms - round 1 of 3`.
fn drained<'a>(line: &'a [u8], record: &mut Record<'a>) -> Option<()> {
    let rest = line.strip_prefix(b"DRAINING ")?;
    let (_, rest) = split_first(rest, b" total connection(s) for socket ")?;
    let (socket, _) = split_first(rest, b" every ")?;
    record.set("name", Value::text("DRAINING"));
    record.set_text("phoenix.socket", socket);
    Some(())
}

/// `NAME rest` → the name that it is, the rest.
fn one_of<'a, const COUNT: usize>(
    line: &'a [u8],
    names: [&'static str; COUNT],
) -> Option<(&'static str, &'a [u8])> {
    let rest = |name: &str| line.strip_prefix(name.as_bytes())?.strip_prefix(b" ");
    names.into_iter().find_map(|name| Some((name, rest(name)?)))
}

/// `what in 15ms` → what, the milliseconds.
fn timed(text: &[u8]) -> Option<(&[u8], f64)> {
    let (what, duration) = split_last(text, b" in ")?;
    Some((what, phoenix_ms(duration)?))
}

#[cfg(test)]
mod tests {
    use super::super::message::shown;

    #[test]
    fn sockets_and_channels() {
        for (message, fields) in [
            (
                "CONNECTED TO Phoenix.LiveView.Socket in 20µs\n  Transport: :websocket\n  Serializer: \
                 Phoenix.Socket.V2.JSONSerializer\n  Parameters: %{\"vsn\" => \"2.0.0\"}",
                "name=CONNECTED TO|phoenix.socket=Phoenix.LiveView.Socket|duration_ms=0.02|\
                 phoenix.transport=websocket|phoenix.params=%{\"vsn\" => \"2.0.0\"}",
            ),
            (
                "REFUSED CONNECTION TO A.UserSocket in 2ms",
                "name=REFUSED CONNECTION TO|phoenix.socket=A.UserSocket|duration_ms=2.0",
            ),
            (
                "JOINED all in one in 978µs\n  Parameters: %{}",
                "name=JOINED|phoenix.topic=all in one|duration_ms=0.978|phoenix.params=%{}",
            ),
            ("REFUSED JOIN a:b in 1ms", "name=REFUSED JOIN|phoenix.topic=a:b|duration_ms=1.0"),
            (
                "HANDLED say it INCOMING ON a (b) (A.Channel) in 2ms\n  Parameters: %{}",
                "name=HANDLED|phoenix.event=say it|phoenix.topic=a (b)|duration_ms=2.0|phoenix.params=%{}",
            ),
            (
                "DRAINING 1 of 2 total connection(s) for socket A.UserSocket every 2000ms - round 1 of 3",
                "name=DRAINING|phoenix.socket=A.UserSocket",
            ),
        ] {
            assert_eq!(shown(message), fields, "{message}");
        }
    }

    #[test]
    fn live_views() {
        for (message, fields) in [
            (
                "MOUNT A.StatsLive\n  Parameters: %{}\n  Session: %{}",
                "name=MOUNT|phoenix.view=A.StatsLive|phoenix.params=%{}",
            ),
            ("HANDLE PARAMS in A.StatsLive", "name=HANDLE PARAMS|phoenix.view=A.StatsLive"),
            (
                "HANDLE EVENT \"go in\" in A.StatsLive\n  Component: A.C\n  Parameters: %{\"a\" => \"\\n\"}",
                "name=HANDLE EVENT|phoenix.view=A.StatsLive|phoenix.event=go in|phoenix.params=%{\"a\" => \"\\n\"}",
            ),
            ("Replied in 45µs", "name=Replied|duration_ms=0.045"),
        ] {
            assert_eq!(shown(message), fields, "{message}");
        }
    }

    #[test]
    fn an_apps_own_words_are_no_such_message() {
        for message in [
            "JOINED the club",
            "MOUNT failed for /dev/sda",
            "HANDLE EVENT inc in A",
            "HANDLED x in 2ms",
            "Replied in time",
            "DRAINING the pool",
            "REFUSED x",
        ] {
            assert_eq!(shown(message), "", "{message}");
        }
    }
}
