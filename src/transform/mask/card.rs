//! Numbers of payment cards in text.
//!
//! Takes a text, gives the next number: 13 to 19 digits, together or in groups of at least four with the same blank or dash
//! between them, of a length and with a beginning that an issuer gives out, and with the right check digit. It is neither
//! part of a word nor of a decimal fraction. Times in nanoseconds and most ids begin otherwise.
//!
//! Invariant: runs of digits are looked at once, three bytes of four are skipped elsewhere.

use super::{Edit, begins_word};

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;

/// The fewest digits in a group that another one follows.
const GROUP_MIN: usize = 4;

/// How many digits before a number an escape may have: `\u0022`.
const ESCAPE_DIGITS_MAX: usize = 4;

/// The next number at `from` or after it.
pub(super) fn next(text: &[u8], from: usize) -> Option<Edit> {
    let mut at = from;
    loop {
        // The first group has four digits: whichever of these four bytes it begins at, the last one is a digit.
        if !text.get(at + GROUP_MIN - 1)?.is_ascii_digit() {
            at += GROUP_MIN;
            continue;
        }
        let before = text[at..at + GROUP_MIN].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let start = at + GROUP_MIN - before;
        let run_end = start + digits(text, start);
        for start in start..run_end.min(start + ESCAPE_DIGITS_MAX + 1) {
            let end = if begins(text, start) { number_end(text, start) } else { None };
            if let Some(end) = end {
                return Some(Edit::filtered(start, end));
            }
        }
        at = run_end;
    }
}

/// How many digits there are.
fn digits(text: &[u8], at: usize) -> usize {
    text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn begins(text: &[u8], at: usize) -> bool {
    begins_word(text, at) && !matches!(text[..at], [.., b'_'] | [.., b'0'..=b'9', b'.'])
}

fn ends(text: &[u8], at: usize) -> bool {
    let in_word = text.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    !in_word && !matches!(text[at..], [b'.', b'0'..=b'9', ..])
}

/// Where the longest number ends that begins there.
fn number_end(text: &[u8], start: usize) -> Option<usize> {
    let mut number = [0; DIGITS_MAX];
    let (mut len, mut at, mut separator, mut found) = (0, start, None, None);
    loop {
        let group =
            text[at..].iter().take(DIGITS_MAX - len + 1).take_while(|byte| byte.is_ascii_digit()).count();
        let Some(place) = number.get_mut(len..len + group) else { break };
        place.copy_from_slice(&text[at..at + group]);
        (len, at) = (len + group, at + group);
        if len >= DIGITS_MIN && ends(text, at) && is_card(&number[..len]) {
            found = Some(at);
        }
        let [next @ (b' ' | b'-' | b'+'), b'0'..=b'9', ..] = text[at..] else { break };
        // Only the first group comes without a separator before it, and it has six digits at most.
        let goes_on = group >= GROUP_MIN && separator.map_or(group <= 6, |separator| separator == next);
        if !goes_on {
            break;
        }
        separator = Some(next);
        at += 1;
    }
    found
}

fn is_card(number: &[u8]) -> bool {
    let Some((first, _)) = number.split_first_chunk::<6>() else { return false };
    let first = first.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    is_issued(first, number.len()) && has_check_digit(number)
}

/// Whether numbers of that length begin with those six digits.
const fn is_issued(first: u32, len: usize) -> bool {
    match first {
        // Visa
        400_000..=499_999 => matches!(len, 13 | 16 | 19),
        // Mastercard
        510_000..=559_999 | 222_100..=272_099 => len == 16,
        // American Express
        340_000..=349_999 | 370_000..=379_999 => len == 15,
        // Diners Club
        300_000..=305_999 | 309_500..=309_599 | 360_000..=369_999 | 380_000..=399_999 => {
            matches!(len, 14 | 16 | 19)
        }
        // Discover
        601_100..=601_199 | 644_000..=659_999 => matches!(len, 16 | 19),
        // JCB and UnionPay
        352_800..=358_999 | 620_000..=629_999 | 810_000..=817_199 => matches!(len, 16..=19),
        // Maestro
        501_800..=501_899
        | 502_000..=502_099
        | 503_800..=503_899
        | 589_300..=589_399
        | 630_400..=630_499
        | 675_900..=675_999
        | 676_100..=676_399
        | 676_770
        | 676_774 => matches!(len, 13..=19),
        _ => false,
    }
}

/// Luhn's check: from the right every second digit counts twice, less nine if that has two digits.
fn has_check_digit(number: &[u8]) -> bool {
    let counts = |(place, digit): (usize, &u8)| {
        let value = u32::from(digit - b'0');
        if place % 2 == 0 { value } else { value * 2 - if value > 4 { 9 } else { 0 } }
    };
    number.iter().rev().enumerate().map(counts).sum::<u32>().is_multiple_of(10)
}
