//! Level words of the world → the six of `severity`.

/// The severity that a level word means, in any case; `None` for a word that is no level.
///
/// Honeycomb's log view knows trace, debug, info, warn, error and fatal; notice counts as info and everything
/// above error as fatal.
pub(crate) fn of(level: &[u8]) -> Option<&'static str> {
    let mut lower = [0; 16];
    let word = lower.get_mut(..level.len())?;
    word.copy_from_slice(level);
    word.make_ascii_lowercase();
    Some(match &*word {
        b"trace" => "trace",
        b"debug" => "debug",
        b"info" | b"information" | b"notice" => "info",
        b"warn" | b"warning" => "warn",
        b"err" | b"error" => "error",
        b"crit" | b"critical" | b"alert" | b"emerg" | b"emergency" | b"fatal" | b"panic" => "fatal",
        _ => return None,
    })
}

/// Whether an event of this severity is an `error`.
pub(crate) fn is_error(severity: &str) -> bool {
    matches!(severity, "error" | "fatal")
}
