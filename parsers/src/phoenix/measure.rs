//! Durations as Phoenix, Ecto and Oban print them → milliseconds.
//!
//! Phoenix writes whole numbers, `15ms` or `812µs` with U+00B5 (`Phoenix.Logger.duration/1`); Ecto tenths of a
//! millisecond as Erlang's shortest float, `0.3ms` but `1.0e3ms` (`io_lib_format:fwrite_g/1`); Oban whole
//! microseconds without a unit, which are negative when clocks differ.

use crate::number::whole;

/// `15ms`, `812µs`.
pub(super) fn phoenix_ms(text: &[u8]) -> Option<f64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    #[expect(clippy::cast_precision_loss, reason = "a duration of 2^53 µs is 285 years")]
    let count = whole(&text[..digits])? as f64;
    match &text[digits..] {
        b"ms" => Some(count),
        unit if unit == "µs".as_bytes() => Some(count / 1000.0),
        _ => None,
    }
}

/// `0.3`, `1.0e3`: what stands before Ecto's `ms`.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    let number = text.strip_prefix(b"-").unwrap_or(text).first().is_some_and(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| number)?.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// A sum of measures without the dust that adding binary fractions leaves: to the microsecond.
pub(super) fn sum_ms(parts: [f64; 3]) -> f64 {
    let sum: f64 = parts.iter().sum();
    let us = (sum * 1000.0).round();
    if us.is_finite() { us / 1000.0 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(phoenix_ms(b"15ms"), Some(15.0));
        assert_eq!(phoenix_ms(b"0\xC2\xB5s"), Some(0.0));
        assert_eq!(phoenix_ms("289µs".as_bytes()), Some(0.289));
        for bad in ["", "ms", "15", "15s", "1.5ms", "-1ms", "289\u{3bc}s", "15msx", "99999999999999999999ms"]
        {
            assert_eq!(phoenix_ms(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn floats() {
        for (text, value) in [("0.0", 0.0), ("1.0e3", 1000.0), ("-12", -12.0), ("1.5e-2", 0.015)] {
            assert_eq!(float(text.as_bytes()), Some(value), "{text}");
        }
        for bad in ["", "-", "inf", "nan", "1e999", "1_0", " 1"] {
            assert_eq!(float(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(sum_ms([1.4, 0.8, 0.0]).to_string(), "2.2");
    }
}
