//! Syslog's priority: eight severities and twenty-four facilities (RFC 5424, 6.2.1), as numbers → level and name.

use crate::record::{Level, Record, Value};

const SEVERITIES: [&[u8]; 8] =
    [b"emerg", b"alert", b"crit", b"err", b"warning", b"notice", b"info", b"debug"];

const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// The level of a severity, 0 to 7; written out by its keyword.
pub(super) fn level(severity: i64) -> Option<Level<'static>> {
    Level::of(SEVERITIES.get(usize::try_from(severity).ok()?)?)
}

/// Sets `syslog.facility`, 0 to 23; answers whether the number is one.
pub(super) fn set_facility(facility: i64, record: &mut Record<'_>) -> bool {
    let name = usize::try_from(facility).ok().and_then(|number| FACILITIES.get(number));
    if let Some(name) = name {
        record.set("syslog.facility", Value::text(name));
    }
    name.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        assert_eq!(level(0).map(|level| level.severity), Some("fatal"));
        assert_eq!(level(5).map(|level| (level.severity, level.text)), Some(("info", &b"notice"[..])));
        assert_eq!(level(8).or(level(-1)), None);
        let mut record = Record::new();
        set_facility(24, &mut record);
        set_facility(-1, &mut record);
        assert!(record.fields().is_empty());
        set_facility(23, &mut record);
        assert_eq!(record.get("syslog.facility"), Some(Value::text("local7")));
    }
}
