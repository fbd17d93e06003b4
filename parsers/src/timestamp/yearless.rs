//! Times without a year and without a zone: syslog's (RFC 3164, 4.1.2), `Jun  8 11:54:08`, and klog's.
//!
//! Takes of syslog also what is met in the wild: a day of one digit, a year after the day, a fraction, a month in
//! capitals.

use super::{
    Civil, NS_PER_S, S_PER_DAY, Timestamp, civil_from_days, clock, days_from_civil, digits, fraction, hms,
};
use crate::Date;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// A time as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MonthDay {
    year: Option<i64>,
    month: i64,
    day: i64,
    second: i64,
    ns: i64,
}

/// The syslog time that `text` begins with, and what follows it.
pub(crate) fn syslog(text: &[u8]) -> Option<(MonthDay, &[u8])> {
    let (name, rest) = text.split_first_chunk::<3>()?;
    let month = (1..).zip(MONTHS).find(|(_, month)| month.eq_ignore_ascii_case(name))?.0;
    let (day, rest) = match rest {
        [b' ', b' ', d, b' ', rest @ ..] | [b' ', d, b' ', rest @ ..] => (digits([*d])?, rest),
        [b' ', d1, d2, b' ', rest @ ..] => (digits([*d1, *d2])?, rest),
        _ => return None,
    };
    let (year, rest) = match rest {
        [y1, y2, y3, y4, b' ', rest @ ..] => (Some(digits([*y1, *y2, *y3, *y4])?), rest),
        _ => (None, rest),
    };
    let second = hms(rest.get(..8)?)?;
    let (ns, rest) = fraction(&rest[8..])?;
    // The day has to exist, in leap years at least.
    days_from_civil(year.unwrap_or(2000), month, day)?;
    Some((MonthDay { year, month, day, second, ns }, rest))
}

impl MonthDay {
    /// A month, a day, and a time of day with or without a fraction; `None` for a day that no year has.
    pub(crate) fn of(month: i64, day: i64, time: &[u8]) -> Option<Self> {
        let (second, ns) = clock(time)?;
        days_from_civil(2000, month, day)?;
        Some(Self { year: None, month, day, second, ns })
    }

    /// The instant, its year being the one that brings it nearest to `date`, or the last one in which it is not
    /// after it; clocks and zones may differ by a day. `None` without a date.
    pub(crate) fn at(self, zone_offset_s: i32, date: Option<Date>) -> Option<Timestamp> {
        const AHEAD_NS_MAX: i64 = S_PER_DAY * NS_PER_S;
        /// The 29th of February is eight years from the next when a century is in between.
        const YEARS_BACK: i64 = 8;
        let in_year = |year| {
            let days = days_from_civil(year, self.month, self.day)?;
            Civil { days, second: self.second, ns: self.ns }.at_offset(i64::from(zone_offset_s))
        };
        if let Some(year) = self.year {
            return in_year(year);
        }
        let (Date::Near(then) | Date::Before(then)) = date?;
        let local = then.0.div_euclid(NS_PER_S).checked_add(i64::from(zone_offset_s))?;
        let (year, ..) = civil_from_days(local.div_euclid(S_PER_DAY));
        let mut years = (year - YEARS_BACK..=year + 1).rev().filter_map(in_year);
        match date? {
            Date::Near(_) => years.min_by_key(|at| at.0.abs_diff(then.0)),
            Date::Before(_) => years.find(|at| at.0 <= then.0.saturating_add(AHEAD_NS_MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::timestamp::rfc3339;

    fn printed(text: &str, zone_offset_s: i32, date: Option<Date>) -> Option<String> {
        let (time, rest) = syslog(text.as_bytes())?;
        assert!(rest.is_empty(), "{text}");
        let mut out = Vec::new();
        time.at(zone_offset_s, date)?.write_rfc3339(&mut out);
        String::from_utf8(out).ok()
    }

    #[test]
    fn the_year_is_the_nearest_or_the_last() {
        let near = |date: &str| rfc3339(date.as_bytes()).map(Date::Near);
        let before = |date: &str| rfc3339(date.as_bytes()).map(Date::Before);
        for (text, date, expected) in [
            ("Dec 31 23:59:59", near("2026-01-01T00:00:05Z"), "2025-12-31T23:59:59Z"),
            ("Jan  1 00:00:05", near("2025-12-31T23:59:59Z"), "2026-01-01T00:00:05Z"),
            ("Jan 10 00:00:00", before("2026-11-21T00:00:00Z"), "2026-01-10T00:00:00Z"),
            ("Nov 21 11:00:00", before("2026-11-21T00:00:00Z"), "2026-11-21T11:00:00Z"),
            ("Nov 23 00:00:00", before("2026-11-21T00:00:00Z"), "2025-11-23T00:00:00Z"),
            ("Jan  1 00:00:05", before("2025-12-31T23:59:59Z"), "2026-01-01T00:00:05Z"),
            ("Feb 29 12:00:00", before("2027-03-01T00:00:00Z"), "2024-02-29T12:00:00Z"),
            ("Jun 8 11:54:08.5", before("2026-11-21T00:00:00Z"), "2026-06-08T11:54:08.500Z"),
            ("JUN 08 2021 11:54:08", before("2026-11-21T00:00:00Z"), "2021-06-08T11:54:08Z"),
        ] {
            assert_eq!(printed(text, 0, date).as_deref(), Some(expected), "{text}");
        }
        let zoned = printed("Jan  1 00:30:00", 3600, near("2025-12-31T23:30:00Z"));
        assert_eq!(zoned.as_deref(), Some("2025-12-31T23:30:00Z"));
        assert_eq!(printed("Jan  1 00:30:00", 0, None), None);
    }

    #[test]
    fn a_month_a_day_and_a_time_of_day() {
        let date = rfc3339(b"2027-01-01T00:00:01Z").map(Date::Near);
        let at = MonthDay::of(12, 31, b"23:59:59.5").unwrap().at(0, date);
        assert_eq!(at, rfc3339(b"2026-12-31T23:59:59.5Z"));
        for (month, day, time) in
            [(13, 1, "00:00:00"), (2, 30, "00:00:00"), (4, 20, "24:00:00"), (4, 20, "1")]
        {
            assert_eq!(MonthDay::of(month, day, time.as_bytes()), None);
        }
        assert_eq!(MonthDay::of(i64::MAX, i64::MIN, b"00:00:00"), None);
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "Jun",
            "Jun  8",
            "Jun  8 11:54",
            "Jux  8 11:54:08",
            "Jun 31 11:54:08",
            "Jun  0 11:54:08",
            "Jun  8 24:54:08",
            "Jun 8th 11:54:08",
            "Jun8 11:54:08",
            "Jun  8 11:54:08.",
            "Feb 30 00:00:00",
            "Feb 29 2023 00:00:00",
        ] {
            assert_eq!(syslog(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_and_any_date(text in prop::collection::vec(any::<u8>(), 0..30), now in any::<i64>()) {
            let _ = syslog(&text);
            let (time, _) = syslog(b"Feb 29 00:00:00").unwrap();
            let _ = time.at(i32::MAX, Some(Date::Near(Timestamp(now))));
            let _ = time.at(i32::MIN, Some(Date::Before(Timestamp(now))));
        }
    }
}
