//! IP addresses in text.
//!
//! Takes a text, gives the next address that shows more than a network: IPv4 loses its last octet, IPv6 all but its first 48
//! bits, and its zone; an IPv4 address within an IPv6 one (`::ffff:`, `64:ff9b::`) is masked as IPv4. Ports and brackets stay.
//! A colon may be percent-encoded, as in queries.
//!
//! What is written with dots is an address if it has four numbers up to 255 and no fifth: a version of four numbers looks the
//! same. What is written with colons is one only if its first group has four digits and begins a network that is in use, and
//! there is a decimal digit and either eight groups or `::` and two: so that times, MAC addresses, fingerprints, `a::b` and
//! `Foo::Bar` are none.
//!
//! Invariant: at each sign a bounded number of bytes is looked at.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt::Write;

use memchr::{memchr3, memrchr};

use super::{Edit, Shown, begins_word};

/// The first 96 bits of an IPv4 address as IPv6 writes it.
const MAPPED: u128 = 0xffff << 32;

/// The first 96 bits of an IPv4 address behind NAT64.
const NAT64: u128 = 0x64_ff9b << 96;

/// What IPv6 keeps.
const IPV6_KEPT: u128 = !0 << 80;

/// A zone is an interface's name, and Linux has none longer.
const ZONE_LEN_MAX: usize = 15;

/// The next change at `from` or after it.
pub(super) fn next(text: &[u8], from: usize) -> Option<Edit> {
    let mut at = from;
    loop {
        let sign = at + memchr3(b'.', b':', b'%', text.get(at..)?)?;
        let edit = if text[sign] == b'.' { ipv4(text, from, sign) } else { ipv6(text, from, sign) };
        match edit {
            Some(edit) if text[edit.start..edit.end] != *edit.shown.as_bytes() => return Some(edit),
            Some(edit) => at = edit.end,
            None => at = sign + 1,
        }
    }
}

/// The last octet of the address whose first dot is there.
fn ipv4(text: &[u8], from: usize, dot: usize) -> Option<Edit> {
    // The digits before the dot may begin with those of an escape.
    (1..=3).rev().find(|len| {
        dot.checked_sub(*len).is_some_and(|start| {
            start >= from
                && octet(text, start).is_some_and(|(_, end)| end == dot)
                && begins_dotted(text, start)
        })
    })?;
    let (_, second) = octet(text, dot + 1)?;
    let (_, third) = octet(text, after_dot(text, second)?)?;
    let start = after_dot(text, third)?;
    let (_, end) = octet(text, start)?;
    let mut shown = Shown::default();
    shown.push(b"0");
    ends_dotted(text, end).then(|| Edit::new(start, end, shown))
}

/// Whether no fifth number comes before; nor one that belonged to an IPv6 address, which may have lost it.
fn begins_dotted(text: &[u8], at: usize) -> bool {
    begins_word(text, at) && !matches!(text[..at], [.., b'0'..=b'9' | b':', b'.'])
}

fn ends_dotted(text: &[u8], at: usize) -> bool {
    !matches!(text[at..], [b'.', b'0'..=b'9', ..]) && !text.get(at).is_some_and(u8::is_ascii_alphanumeric)
}

fn after_dot(text: &[u8], at: usize) -> Option<usize> {
    text.get(at).filter(|byte| **byte == b'.').map(|_| at + 1)
}

/// A number up to 255, and where it ends.
fn octet(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let digits = text.get(at..)?.iter().take(4).take_while(|byte| byte.is_ascii_digit());
    let (mut value, mut len) = (0_u16, 0);
    for digit in digits {
        value = value * 10 + u16::from(digit - b'0');
        len += 1;
    }
    let value = u8::try_from(value).ok()?;
    (1..=3).contains(&len).then_some((value, at + len))
}

/// The address whose first colon, or the first of the two that it begins with, is there.
fn ipv6(text: &[u8], from: usize, sign: usize) -> Option<Edit> {
    let after = colon(text, sign)?;
    let start = begin(text, from, sign, after)?;
    let groups = Groups::read(text, start);
    let address =
        groups.address().filter(|_| !text.get(groups.end).is_some_and(u8::is_ascii_alphanumeric))?;
    let bits = address.to_bits();
    let mut shown = Shown::default();
    let embeds = |prefix: u128| bits >> 32 == prefix >> 32;
    let prefix = if embeds(MAPPED) {
        "::ffff:"
    } else if embeds(NAT64) {
        "64:ff9b::"
    } else if is_in_use(groups.values[0]) && start < sign {
        write!(shown, "{}", Ipv6Addr::from_bits(bits & IPV6_KEPT)).ok()?;
        return Some(Edit::new(start, zone(text, groups.end), shown));
    } else {
        return None;
    };
    if groups.dotted {
        let last = memrchr(b'.', &text[..groups.end])? + 1;
        shown.push(b"0");
        return Some(Edit::new(last, groups.end, shown));
    }
    // More numbers after it would make five of its four.
    let end = Some(zone(text, groups.end)).filter(|end| ends_dotted(text, *end))?;
    let [.., a, b, c, _] = address.octets();
    write!(shown, "{prefix}{}", Ipv4Addr::new(a, b, c, 0)).ok()?;
    Some(Edit::new(start, end, shown))
}

/// Whether addresses are given out that begin so: to everyone, to private networks, to links and to groups.
const fn is_in_use(first: u16) -> bool {
    matches!(first, 0x2000..=0x3fff | 0xfc00..=0xfdff | 0xfe80..=0xffff)
}

/// Where an address begins whose first colon is at `sign`, and what follows that at `after`.
fn begin(text: &[u8], from: usize, sign: usize, after: usize) -> Option<usize> {
    let begins = |digits: usize| {
        let start = sign.checked_sub(digits).filter(|start| *start >= from)?;
        let is_hex = text[start..sign].iter().all(u8::is_ascii_hexdigit);
        (is_hex && begins_word(text, start)).then_some(start)
    };
    let follows = |at: usize, word: &[u8]| {
        let there = text[at..].get(..word.len());
        there.is_some_and(|there| there.eq_ignore_ascii_case(word))
    };
    if let Some(start) = begins(4) {
        return Some(start);
    }
    if let Some(start) = begins(2) {
        return (text[start..sign] == *b"64" && follows(after, b"ff9b")).then_some(start);
    }
    let second = colon(text, after)?;
    begins(0).filter(|_| follows(second, b"ffff") && !text[..sign].ends_with(b":"))
}

/// What follows a colon that is there, plain or encoded.
fn colon(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at..)? {
        [b':', ..] => Some(at + 1),
        [b'%', b'3', b'a' | b'A', ..] => Some(at + 3),
        _ => None,
    }
}

/// The groups of what may be an address.
#[derive(Default)]
struct Groups {
    values: [u16; 8],
    len: usize,
    /// How many come before `::`.
    gap: Option<usize>,
    /// Whether the last two are written as IPv4.
    dotted: bool,
    /// Whether one has a decimal digit.
    digit: bool,
    end: usize,
}

impl Groups {
    /// As many as can belong to one address.
    fn read(text: &[u8], start: usize) -> Self {
        let mut groups = Self { end: start, ..Self::default() };
        if let Some(after) = colon(text, start).and_then(|second| colon(text, second)) {
            (groups.gap, groups.end) = (Some(0), after);
        }
        while groups.len < groups.room() {
            let Some((value, end)) = group(text, groups.end) else { break };
            groups.digit |= text[groups.end..end].iter().any(u8::is_ascii_digit);
            if groups.len + 2 <= groups.room()
                && let Some((values, end)) = dotted(text, groups.end)
            {
                groups.values[groups.len..groups.len + 2].copy_from_slice(&values);
                (groups.len, groups.dotted, groups.end) = (groups.len + 2, true, end);
                break;
            }
            groups.values[groups.len] = value;
            (groups.len, groups.end) = (groups.len + 1, end);
            let Some(after) = colon(text, end) else { break };
            match colon(text, after) {
                Some(second) if groups.gap.is_none() && groups.len < 8 => {
                    (groups.gap, groups.end) = (Some(groups.len), second);
                }
                None if groups.len < groups.room() && group(text, after).is_some() => groups.end = after,
                _ => break,
            }
        }
        groups
    }

    /// How many there can be: `::` stands for one at least.
    const fn room(&self) -> usize {
        if self.gap.is_some() { 7 } else { 8 }
    }

    fn address(&self) -> Option<Ipv6Addr> {
        let mut values = self.values;
        match self.gap {
            Some(gap) if self.len >= 2 => values[gap..].rotate_right(8 - self.len),
            None if self.len == 8 => {}
            _ => return None,
        }
        self.digit.then(|| Ipv6Addr::from(values))
    }
}

/// One to four hexadecimal digits, and where they end.
fn group(text: &[u8], at: usize) -> Option<(u16, usize)> {
    let (mut value, mut len) = (0, 0);
    while let Some(digit) = text.get(at + len).and_then(|byte| char::from(*byte).to_digit(16)) {
        (value, len) = (value * 16 + digit, len + 1);
        if len > 4 {
            return None;
        }
    }
    (len > 0).then_some((u16::try_from(value).ok()?, at + len))
}

/// Two groups that are written as an IPv4 address, and where they end.
fn dotted(text: &[u8], at: usize) -> Option<([u16; 2], usize)> {
    let (a, end) = octet(text, at)?;
    let (b, end) = octet(text, after_dot(text, end)?)?;
    let (c, end) = octet(text, after_dot(text, end)?)?;
    let (d, end) = octet(text, after_dot(text, end)?)?;
    ends_dotted(text, end).then_some(([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])], end))
}

/// Where the zones end that follow an address: `%eth0`, or `%25eth0` in a URL. Two hexadecimal digits are an escape.
fn zone(text: &[u8], mut at: usize) -> usize {
    while let Some([b'%', name @ ..]) = text.get(at..) {
        let encoded =
            name.strip_prefix(b"25").filter(|name| name.first().is_some_and(u8::is_ascii_alphabetic));
        let is_escape =
            matches!(name, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
        let name = if is_escape { encoded.unwrap_or_default() } else { name };
        let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
        let len = name.iter().take(ZONE_LEN_MAX + 1).take_while(is_name).count();
        if !(1..=ZONE_LEN_MAX).contains(&len) || !name[0].is_ascii_alphabetic() {
            break;
        }
        at = text.len() - name.len() + len;
    }
    at
}
