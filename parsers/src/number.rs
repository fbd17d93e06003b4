//! Numbers as logs write them: digits with at most one point, no sign, no exponent unless said.

/// A whole number of decimal digits; `None` for anything else, and above `i64::MAX`.
pub(crate) fn whole(digits: &[u8]) -> Option<i64> {
    // So few digits can't be too large.
    if (1..=18).contains(&digits.len()) {
        let mut value = 0_i64;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + i64::from(digit);
        }
        return Some(value);
    }
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| value.checked_mul(10)?.checked_add(i64::from(digit))).flatten()
    })
}

/// Seconds with a fraction → milliseconds, without the rounding that a float's multiplication would bring.
pub(crate) fn seconds_to_ms(text: &[u8]) -> Option<f64> {
    let (seconds, fraction) = match text {
        // As nginx prints them.
        [seconds @ .., b'.', _, _, _] => (seconds, &text[seconds.len() + 1..]),
        _ => match text.iter().position(|byte| *byte == b'.') {
            Some(point) => (&text[..point], &text[point + 1..]),
            None => (text, &b"0"[..]),
        },
    };
    let thousandths = fraction.len().min(3);
    let (ms_digits, finer) = fraction.split_at(thousandths);
    let pad = [100, 10, 1][thousandths.checked_sub(1)?];
    let ms = whole(seconds)?.checked_mul(1000)?.checked_add(whole(ms_digits)? * pad)?;
    #[expect(clippy::cast_precision_loss, reason = "durations stay far below 2^53 ms")]
    let ms = ms as f64;
    if finer.is_empty() {
        return Some(ms);
    }
    if !finer.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Finer than picoseconds is noise.
    let finer = &finer[..finer.len().min(9)];
    let digits: f64 = std::str::from_utf8(finer).ok()?.parse().ok()?;
    Some(ms + digits / 10_f64.powi(i32::try_from(finer.len()).ok()?))
}

/// A count of some small unit of time → milliseconds.
pub(crate) fn count_to_ms(text: &[u8], units_per_ms: f64) -> Option<f64> {
    let count: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (count.is_finite() && count >= 0.0).then_some(count / units_per_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        assert_eq!(whole(b"0"), Some(0));
        assert_eq!(whole(b"009"), Some(9));
        assert_eq!(whole(b"999999999999999999"), Some(999_999_999_999_999_999));
        assert_eq!(whole(b"9223372036854775807"), Some(i64::MAX));
        for bad in [&b""[..], b"-", b"1a", b"9223372036854775808", b" 1"] {
            assert_eq!(whole(bad), None);
        }
    }

    #[test]
    fn counts_become_milliseconds() {
        assert_eq!(count_to_ms(b"183", 1000.0), Some(0.183));
        assert_eq!(count_to_ms(b"1337000", 1e6), Some(1.337));
        for bad in ["", "-", "-1", "NaN", "inf", "1s"] {
            assert_eq!(count_to_ms(bad.as_bytes(), 1000.0), None, "{bad}");
        }
    }

    #[test]
    fn seconds_become_milliseconds() {
        for (text, ms) in
            [("0.001", 1.0), ("60.050", 60_050.0), ("2", 2000.0), ("0.5", 500.0), ("0.0125", 12.5)]
        {
            assert_eq!(seconds_to_ms(text.as_bytes()), Some(ms), "{text}");
        }
        assert!(seconds_to_ms(format!("0.{}", "1".repeat(400)).as_bytes()).is_some_and(f64::is_finite));
        for bad in ["", ".", "-", "1.", "1.2.3", "1e3", "0.123x"] {
            assert_eq!(seconds_to_ms(bad.as_bytes()), None, "{bad}");
        }
    }
}
