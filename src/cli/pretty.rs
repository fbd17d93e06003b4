//! Events laid out for people: the time, then a field a line, coloured by what it is.
//!
//! Takes an event as the wire has it. Text stays quoted and escaped as in JSON, so that no log line can steer the
//! terminal it is shown on.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

const TIME: Style = Style::new().bold();
const NAME: Style = AnsiColor::Cyan.on_default();
const TEXT: Style = AnsiColor::Green.on_default();
const NUMBER: Style = AnsiColor::Yellow.on_default();
const BOOL: Style = AnsiColor::Magenta.on_default();
const ALARM: Style = AnsiColor::Red.on_default().bold();

/// Writes an event and the blank line after it.
pub(super) fn write(out: &mut impl Write, event: &[u8], coloured: bool) -> io::Result<()> {
    let event: Value = serde_json::from_slice(event)?;
    let paint = |style: Style| if coloured { style } else { Style::new() };
    let time = paint(TIME);
    writeln!(out, "{time}{}{time:#}", event["time"].as_str().unwrap_or_default())?;
    for (name, value) in event["data"].as_object().into_iter().flatten() {
        let (name_style, style) = (paint(NAME), paint(style(name, value)));
        writeln!(out, "  {name_style}{name:<32}{name_style:#} {style}{value}{style:#}")?;
    }
    writeln!(out)
}

fn style(name: &str, value: &Value) -> Style {
    match (name, value) {
        ("error" | "error.message" | "exception.message" | "meta.parse_error", _) => ALARM,
        ("severity", Value::String(level)) if level == "error" || level == "fatal" => ALARM,
        (_, Value::Number(_)) => NUMBER,
        (_, Value::Bool(_)) => BOOL,
        _ => TEXT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_and_control_characters_for_none() {
        let event = br#"{"time":"2026-11-21T20:52:42Z","samplerate":1,"data":{"body":"a\u001b[2Jb","duration_ms":1.0,"error":true}}"#;
        let shown = |coloured| {
            let mut out = Vec::new();
            write(&mut out, event, coloured).unwrap();
            String::from_utf8(out).unwrap()
        };
        let plain = "2026-11-21T20:52:42Z\n  body                             \"a\\u001b[2Jb\"\n  \
                     duration_ms                      1.0\n  error                            true\n\n";
        assert_eq!(shown(false), plain);
        assert!(shown(true).contains("\x1b[32m\"a\\u001b[2Jb\"\x1b[0m"), "{:?}", shown(true));
        assert!(shown(true).contains("\x1b[31m"), "{:?}", shown(true));
    }
}
