//! Event times: takes the `time` of an event as written, gives the instant it means and the text to show.
//!
//! Read as Honeycomb's own proxy Refinery reads it: RFC 3339 first; else an integer, whose first ten digits are
//! seconds since 1970 and whose further digits are a decimal fraction, so that seconds, milliseconds,
//! microseconds and nanoseconds all work; else a number of seconds. What is missing, unreadable or more than an
//! hour in the future becomes the time of receipt. Every event therefore has a time.

use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use crate::limits::FUTURE_MAX;

/// Digits of a Unix time in seconds, from 2001 until 2286.
const EPOCH_SECONDS_DIGITS: usize = 10;

/// When an event happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventTime {
    /// The time as received, or the receipt time in RFC 3339.
    pub(crate) text: Box<str>,
    pub(crate) timestamp: Timestamp,
}

impl EventTime {
    /// Reads the `time` of an event that was received at `received_at`.
    pub(crate) fn read(time: Option<&RawValue>, received_at: Timestamp) -> EventTime {
        EventTime::known(time.and_then(EventTime::parse), received_at)
    }

    /// Reads a time that is not inside JSON.
    pub(crate) fn read_text(text: Option<&str>, received_at: Timestamp) -> EventTime {
        EventTime::known(text.and_then(|text| EventTime::parse_text(text.trim().to_owned())), received_at)
    }

    fn known(time: Option<EventTime>, received_at: Timestamp) -> EventTime {
        time.filter(|time| time.timestamp.duration_since(received_at) <= FUTURE_MAX).unwrap_or_else(|| {
            EventTime { text: received_at.to_string().into_boxed_str(), timestamp: received_at }
        })
    }

    fn parse(time: &RawValue) -> Option<EventTime> {
        let text = match time.get().as_bytes().first()? {
            b'"' => serde_json::from_str::<String>(time.get()).ok()?,
            b'-' | b'0'..=b'9' => time.get().to_owned(),
            _ => return None,
        };
        EventTime::parse_text(text)
    }

    fn parse_text(text: String) -> Option<EventTime> {
        let timestamp = parse_rfc3339(&text).or_else(|| parse_epoch(&text))?;
        Some(EventTime { text: text.into_boxed_str(), timestamp })
    }
}

/// Reads RFC 3339 and nothing more: the parser below also takes spaces, lower case and bare hours, which
/// Honeycomb does not, and an agent that sends those should not look right here.
fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let zone_start = match bytes.last()? {
        b'Z' => bytes.len() - 1,
        _ => bytes.len().checked_sub("+00:00".len())?,
    };
    let (clock, zone) = bytes.split_at(zone_start);
    let (whole, fraction) = clock.split_at_checked("2006-01-02T15:04:05".len())?;

    let fits = |bytes: &[u8], shape: &[u8]| {
        bytes.len() == shape.len()
            && bytes.iter().zip(shape).all(|(byte, want)| match want {
                b'0' => byte.is_ascii_digit(),
                _ => byte == want,
            })
    };
    let fraction_fits = match fraction {
        [] => true,
        [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let zone_fits = fits(zone, b"Z") || fits(zone, b"+00:00") || fits(zone, b"-00:00");
    (fits(whole, b"0000-00-00T00:00:00") && fraction_fits && zone_fits).then(|| text.parse().ok())?
}

fn parse_epoch(text: &str) -> Option<Timestamp> {
    let is_integer = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_integer && text.len() >= EPOCH_SECONDS_DIGITS {
        let (seconds, fraction) = text.split_at(EPOCH_SECONDS_DIGITS);
        // Digits beyond nanoseconds are cut, missing ones are zeros.
        let nanoseconds = format!("{fraction:0<9.9}");
        return Timestamp::new(seconds.parse().ok()?, nanoseconds.parse().ok()?).ok();
    }
    let seconds = text.parse::<f64>().ok()?;
    Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED_AT: &str = "2026-03-01T12:00:00Z";

    /// The text and the instant read from `json`, the `time` of an event.
    fn read(json: &str) -> (String, String) {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let time = EventTime::read(Some(raw), RECEIVED_AT.parse().unwrap());
        (time.text.into(), time.timestamp.to_string())
    }

    fn assert_instant(json: &str, instant: &str) {
        assert_eq!(read(json), (json.trim_matches('"').to_owned(), instant.to_owned()), "{json}");
    }

    fn assert_receipt_time(json: &str) {
        assert_eq!(read(json), (RECEIVED_AT.to_owned(), RECEIVED_AT.to_owned()), "{json}");
    }

    #[test]
    fn rfc3339_keeps_its_text() {
        assert_instant(r#""2026-03-01T10:00:00Z""#, "2026-03-01T10:00:00Z");
        assert_instant(r#""2026-03-01T10:00:00.123456789Z""#, "2026-03-01T10:00:00.123456789Z");
        assert_instant(r#""2026-03-01T10:00:00.5+02:00""#, "2026-03-01T08:00:00.5Z");
        assert_instant(r#""2026-03-01T10:00:00-00:30""#, "2026-03-01T10:30:00Z");
    }

    #[test]
    fn epochs_of_any_unit_are_read() {
        for json in ["1700000000", "1700000000000", "1700000000000000000", "\"1700000000\"", "1.7e9"] {
            assert_instant(json, "2023-11-14T22:13:20Z");
        }
        assert_instant("1700000000123", "2023-11-14T22:13:20.123Z");
        assert_instant("1700000000123456789012", "2023-11-14T22:13:20.123456789Z");
        assert_instant("1700000000.5", "2023-11-14T22:13:20.5Z");
        assert_instant("0", "1970-01-01T00:00:00Z");
        assert_instant("-1", "1969-12-31T23:59:59Z");
    }

    #[test]
    fn what_honeycomb_cannot_read_becomes_receipt_time() {
        for json in [
            r#""yesterday""#,
            r#""""#,
            r#""2026-03-01 10:00:00Z""#,
            r#""2026-03-01t10:00:00z""#,
            r#""2026-03-01T10:00:00""#,
            r#""2026-03-01T10:00:00.Z""#,
            r#""2026-03-01T10:00:00+02""#,
            r#""2026-02-30T10:00:00Z""#,
            r#""NaN""#,
            "1e300",
            "true",
            "{}",
        ] {
            assert_receipt_time(json);
        }
    }

    #[test]
    fn a_missing_time_becomes_receipt_time() {
        let received_at: Timestamp = RECEIVED_AT.parse().unwrap();
        assert_eq!(&*EventTime::read(None, received_at).text, RECEIVED_AT);
    }

    #[test]
    fn more_than_an_hour_ahead_becomes_receipt_time() {
        assert_instant(r#""2026-03-01T13:00:00Z""#, "2026-03-01T13:00:00Z");
        assert_receipt_time(r#""2026-03-01T13:00:00.001Z""#);
        assert_instant(r#""1999-01-01T00:00:00Z""#, "1999-01-01T00:00:00Z");
    }
}
