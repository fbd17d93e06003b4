//! Times as logs write them → nanoseconds since the epoch, and back to RFC 3339.
//!
//! The readers take the exact bytes of a time (or a prefix, and answer what follows) and give `None` for
//! anything that is not one; none guesses. Days are counted by the proleptic Gregorian calendar, leap seconds
//! are the last second of their minute.

mod yearless;

use crate::{Date, number::whole};
pub(crate) use yearless::{MonthDay, syslog};

const NS_PER_S: i64 = 1_000_000_000;
const S_PER_DAY: i64 = 86_400;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, from 1677 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    #[must_use]
    pub const fn from_ns(ns: i64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn ns(self) -> i64 {
        self.0
    }

    /// This instant moved by whole seconds; stays at the border when it would leave the range.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(NS_PER_S)))
    }

    /// Appends RFC 3339 in UTC, with as many of 0, 3, 6 or 9 decimals as the instant needs.
    pub fn write_rfc3339(self, out: &mut Vec<u8>) {
        let (seconds, ns) = (self.0.div_euclid(NS_PER_S), self.0.rem_euclid(NS_PER_S));
        let (days, second) = (seconds.div_euclid(S_PER_DAY), seconds.rem_euclid(S_PER_DAY));
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000000000";
        write_digits(&mut text[0..4], year);
        write_digits(&mut text[5..7], month);
        write_digits(&mut text[8..10], day);
        write_digits(&mut text[11..13], second / 3600);
        write_digits(&mut text[14..16], second / 60 % 60);
        write_digits(&mut text[17..19], second % 60);
        let len = match ns {
            0 => 19,
            ns if ns % 1_000_000 == 0 => 23,
            ns if ns % 1_000 == 0 => 26,
            _ => 29,
        };
        if ns > 0 {
            write_digits(&mut text[20..29], ns);
        }
        out.extend_from_slice(&text[..len]);
        out.push(b'Z');
    }
}

/// The wall clock's parts before a zone is applied.
#[derive(Clone, Copy, Debug)]
struct Civil {
    days: i64,
    second: i64,
    ns: i64,
}

impl Civil {
    fn at_offset(self, offset_s: i64) -> Option<Timestamp> {
        let seconds = self.days.checked_mul(S_PER_DAY)?.checked_add(self.second)?.checked_sub(offset_s)?;
        Some(Timestamp(seconds.checked_mul(NS_PER_S)?.checked_add(self.ns)?))
    }
}

/// The Common Log Format's time as nginx prints it in `$time_local`: `21/Nov/2026:20:52:42 +0000`.
#[must_use]
pub fn clf(text: &[u8]) -> Option<Timestamp> {
    let text: &[u8; 26] = text.try_into().ok()?;
    let [d1, d2, b'/', n1, n2, n3, b'/', y1, y2, y3, y4, b':', time @ .., b' ', s, h1, h2, m1, m2] = *text
    else {
        return None;
    };
    let month = match &[n1, n2, n3] {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    let days = days_from_civil(digits([y1, y2, y3, y4])?, month, digits([d1, d2])?)?;
    let civil = Civil { days, second: hms(&time)?, ns: 0 };
    civil.at_offset(offset(s, digits([h1, h2])?, digits([m1, m2])?)?)
}

/// RFC 3339 of any precision; a blank or `T` after the date, `Z`, `+hh:mm` or `+hhmm` at the end.
#[must_use]
pub fn rfc3339(text: &[u8]) -> Option<Timestamp> {
    let (days, rest) = date(text)?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return None };
    let (second, rest) = (hms(rest.get(..8)?)?, &rest[8..]);
    let (ns, rest) = fraction(rest)?;
    let offset_s = match rest {
        [b'Z' | b'z'] => 0,
        [s, h1, h2, b':', m1, m2] | [s, h1, h2, m1, m2] => {
            offset(*s, digits([*h1, *h2])?, digits([*m1, *m2])?)?
        }
        _ => return None,
    };
    Civil { days, second, ns }.at_offset(offset_s)
}

/// A date and time without a zone, `2026-11-21 21:13:54.233`, at the given offset from UTC.
#[must_use]
pub fn date_time(text: &[u8], zone_offset_s: i32) -> Option<Timestamp> {
    let (days, rest) = date(text)?;
    let [b'T' | b' ', rest @ ..] = rest else { return None };
    let (ns, rest) = fraction(rest.get(8..)?).map(|(ns, after)| (ns, (after, &rest[..8])))?;
    let (after, time) = rest;
    let civil = Civil { days, second: hms(time)?, ns };
    after.is_empty().then(|| civil.at_offset(i64::from(zone_offset_s))).flatten()
}

/// A time of day, `21:13:54.233`, on the day that `date` tells: the one that brings it nearest, or the last one
/// that is not after it, clocks being allowed to differ by some minutes.
#[must_use]
pub fn time_of_day(text: &[u8], zone_offset_s: i32, date: Date) -> Option<Timestamp> {
    let (second, ns) = clock(text)?;
    let local = date.about().0.div_euclid(NS_PER_S).checked_add(i64::from(zone_offset_s))?;
    let today = local.div_euclid(S_PER_DAY);
    let near = |days| Civil { days, second, ns }.at_offset(i64::from(zone_offset_s));
    date.choose([today + 1, today, today - 1].into_iter().filter_map(near))
}

impl Date {
    fn about(self) -> Timestamp {
        let (Self::Near(then) | Self::Before(then)) = self;
        then
    }

    /// Of instants from the latest to the earliest, the one that is meant.
    fn choose(self, mut instants: impl Iterator<Item = Timestamp>) -> Option<Timestamp> {
        const AHEAD_NS_MAX: i64 = 600 * NS_PER_S;
        match self {
            Self::Near(then) => instants.min_by_key(|at| at.0.abs_diff(then.0)),
            Self::Before(then) => instants.find(|at| at.0 <= then.0.saturating_add(AHEAD_NS_MAX)),
        }
    }
}

/// A Unix time in decimal digits, with or without a fraction. Its size tells the unit: 9–11 digits before the
/// point are seconds (from 1973 on), 12–14 milliseconds, 15–17 microseconds, 18 and 19 nanoseconds. A smaller
/// number is no time.
#[must_use]
pub fn epoch(text: &[u8]) -> Option<Timestamp> {
    let point = memchr::memchr(b'.', text).unwrap_or(text.len());
    let ns_per_unit = match point {
        9..=11 => NS_PER_S,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        18..=19 => 1,
        _ => return None,
    };
    let units = whole(&text[..point])?;
    let (billionths, []) = fraction(&text[point..])? else { return None };
    Some(Timestamp(units.checked_mul(ns_per_unit)?.checked_add(billionths / (NS_PER_S / ns_per_unit))?))
}

fn date(text: &[u8]) -> Option<(i64, &[u8])> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..] = text else { return None };
    let days = days_from_civil(digits([*y1, *y2, *y3, *y4])?, digits([*m1, *m2])?, digits([*d1, *d2])?)?;
    Some((days, rest))
}

/// `20:52:42` → the second of the day.
fn hms(text: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = text else { return None };
    let (hour, minute, second) = (digits([*h1, *h2])?, digits([*m1, *m2])?, digits([*s1, *s2])?);
    (hour < 24 && minute < 60 && second < 61).then_some(hour * 3600 + minute * 60 + second.min(59))
}

/// `20:52:42.123456` and nothing else → the second of the day and the nanoseconds.
fn clock(text: &[u8]) -> Option<(i64, i64)> {
    let second = hms(text.get(..8)?)?;
    let (ns, []) = fraction(&text[8..])? else { return None };
    Some((second, ns))
}

/// An optional `.` or `,` with decimals → nanoseconds (finer digits are cut) and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', rest @ ..] = text else { return Some((0, text)) };
    // Nearly always milliseconds.
    if let [a, b, c, after @ ..] = rest
        && !after.first().is_some_and(u8::is_ascii_digit)
        && let Some(thousandths) = digits([*a, *b, *c])
    {
        return Some((thousandths * 1_000_000, after));
    }
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let kept = count.min(9);
    let scale = 10_i64.pow(9 - u32::try_from(kept).ok()?);
    Some((whole(&rest[..kept])? * scale, &rest[count..]))
}

fn offset(sign: u8, hours: i64, minutes: i64) -> Option<i64> {
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        b'+' if hours < 24 && minutes < 60 => Some(seconds),
        b'-' if hours < 24 && minutes < 60 => Some(-seconds),
        _ => None,
    }
}

fn digits<const N: usize>(text: [u8; N]) -> Option<i64> {
    let (mut value, mut sound) = (0, true);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        sound &= digit < 10;
        value = value * 10 + i64::from(digit);
    }
    sound.then_some(value)
}

fn write_digits(out: &mut [u8], mut value: i64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// Days since the epoch of a date that exists. The method is Howard Hinnant's `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// The reverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(at: Option<Timestamp>) -> String {
        let mut out = Vec::new();
        at.expect("a time").write_rfc3339(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn clf_times() {
        assert_eq!(printed(clf(b"21/Nov/2026:20:52:42 +0000")), "2026-11-21T20:52:42Z");
        assert_eq!(printed(clf(b"29/Feb/2024:00:10:00 +0130")), "2024-02-28T22:40:00Z");
        for bad in
            ["29/Feb/2023:00:10:00 +0000", "21/nov/2026:20:52:42 +0000", "21/Nov/2026:24:00:00 +0000", "-"]
        {
            assert_eq!(clf(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn rfc3339_of_any_precision_and_offset() {
        for (text, utc) in [
            ("2026-05-11T14:57:34Z", "2026-05-11T14:57:34Z"),
            ("2022-09-27T20:34:37.253080674Z", "2022-09-27T20:34:37.253080674Z"),
            ("2026-03-29T03:00:00.5+02:00", "2026-03-29T01:00:00.500Z"),
            ("2024-08-09T18:23:17+0000", "2024-08-09T18:23:17Z"),
            ("2024-08-09T18:23:17.12Z", "2024-08-09T18:23:17.120Z"),
            ("2024-08-09 18:23:17.1234567899-01:00", "2024-08-09T19:23:17.123456789Z"),
        ] {
            assert_eq!(printed(rfc3339(text.as_bytes())), utc);
        }
        for bad in ["2026-05-11", "2026-05-11T14:57:34", "2026-05-11T14:57:34.Z", "2026-13-11T14:57:34Z"] {
            assert_eq!(rfc3339(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_time_of_day_takes_the_nearest_date_across_midnight() {
        let midnight = Date::Near(rfc3339(b"2026-11-21T00:00:01Z").unwrap());
        assert_eq!(printed(time_of_day(b"23:59:59.900", 0, midnight)), "2026-11-20T23:59:59.900Z");
        assert_eq!(printed(time_of_day(b"00:00:00.200", 0, midnight)), "2026-11-21T00:00:00.200Z");
        let before = Date::Near(rfc3339(b"2026-11-21T23:59:59Z").unwrap());
        assert_eq!(printed(time_of_day(b"00:00:00.200", 0, before)), "2026-11-22T00:00:00.200Z");
        assert_eq!(printed(time_of_day(b"01:00:00.200", 3600, before)), "2026-11-22T00:00:00.200Z");
    }

    #[test]
    fn a_time_of_day_in_a_file_is_not_after_its_last_change() {
        let changed = Date::Before(rfc3339(b"2026-11-21T23:59:00Z").unwrap());
        assert_eq!(printed(time_of_day(b"02:00:00.000", 0, changed)), "2026-11-21T02:00:00Z");
        assert_eq!(printed(time_of_day(b"23:59:30.000", 0, changed)), "2026-11-21T23:59:30Z");
        assert_eq!(printed(time_of_day(b"00:05:00.000", 0, changed)), "2026-11-22T00:05:00Z");
        let changed = Date::Before(rfc3339(b"2026-11-21T12:00:00Z").unwrap());
        assert_eq!(printed(time_of_day(b"21:00:00.000", 0, changed)), "2026-11-20T21:00:00Z");
    }

    #[test]
    fn epochs_by_their_size() {
        for text in ["1700000000.123", "1700000000123", "1700000000123000", "1700000000123000000"] {
            assert_eq!(printed(epoch(text.as_bytes())), "2023-11-14T22:13:20.123Z", "{text}");
        }
        assert_eq!(epoch(b""), None);
        assert_eq!(epoch(b"0.35"), None);
        assert_eq!(epoch(b"12"), None);
        assert_eq!(epoch(b"17000000001230000000"), None);
    }

    proptest! {
        #[test]
        fn print_then_parse_is_identity(ns in i64::MIN / 2..i64::MAX) {
            let mut text = Vec::new();
            Timestamp(ns).write_rfc3339(&mut text);
            prop_assert_eq!(rfc3339(&text), Some(Timestamp(ns)));
        }

        #[test]
        fn any_bytes_are_a_time_or_not(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (clf(&text), rfc3339(&text), epoch(&text), date_time(&text, 0));
            let _ = time_of_day(&text, 0, Date::Near(Timestamp(0)));
        }
    }
}
