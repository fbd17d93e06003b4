//! Logger metadata: `key=value ` for each pair, without any quoting (`logger/lib/logger/formatter.ex`).
//!
//! A value may hold blanks, brackets, equals signs, even a newline; it ends where ` key=` follows. Values stay
//! strings: a key must not change its type from line to line. Secrets do not pass, but in what is known to have none.

use memchr::memchr_iter;

use crate::{
    number::whole,
    record::{Record, Scratch, Value, hex_id},
    secrets::{self, SecretNames},
};

/// More pairs than an app ever has; what comes after so many is taken for the last one's value.
const PAIRS_MAX: usize = 128;

/// Which bytes a key may have; a table, since every line with metadata looks at its keys.
const IN_KEY: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] =
            matches!(byte as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'?' | b'!');
        byte += 1;
    }
    table
};

/// The length of the key that `text` begins with, if `=` follows it; else 0.
pub(super) fn key_len(text: &[u8]) -> usize {
    let len = text.iter().take_while(|byte| IN_KEY[usize::from(**byte)]).count();
    let named = matches!(text.first(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'_'));
    if named && text.get(len) == Some(&b'=') { len } else { 0 }
}

/// The length of the pairs without blanks in their values that `text` begins with, each with its blank: all
/// that can be told where nothing but the message follows.
pub(super) fn plain_len(text: &[u8]) -> usize {
    let mut end = 0;
    for blank in memchr_iter(b' ', text) {
        if key_len(&text[end..blank]) == 0 {
            break;
        }
        end = blank + 1;
    }
    end
}

/// Where the pairs without blanks in their values begin that `text` ends in.
pub(super) fn plain_start(text: &[u8]) -> usize {
    let trimmed = text.strip_suffix(b" ").unwrap_or(text);
    let mut start = text.len();
    for blank in memchr::memrchr_iter(b' ', trimmed) {
        if key_len(&text[blank + 1..start]) == 0 {
            return start;
        }
        start = blank + 1;
    }
    if key_len(&text[..start]) > 0 { 0 } else { start }
}

/// Sets the pairs' fields.
pub(super) fn set<'a>(
    metadata: &'a [u8],
    names: &SecretNames,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) {
    let mut rest = metadata.strip_suffix(b" ").unwrap_or(metadata);
    let first = record.fields().len();
    let (mut trace_id, mut span_id) = (None, None);
    while let len @ 1.. = key_len(rest) {
        let value_and_more = &rest[len + 1..];
        let last = record.fields().len() - first == PAIRS_MAX;
        let end = memchr_iter(b' ', value_and_more)
            .find(|blank| begins_pair(&value_and_more[blank + 1..]))
            .filter(|_| !last)
            .unwrap_or(value_and_more.len());
        let (key, value) = (&rest[..len], &value_and_more[..end]);
        match key {
            b"otel_trace_id" if hex_id(value, 32).is_some() => trace_id = hex_id(value, 32),
            b"otel_span_id" if hex_id(value, 16).is_some() => span_id = hex_id(value, 16),
            _ => set_pair(key, value, names, scratch, record),
        }
        rest = value_and_more.get(end + 1..).unwrap_or_default();
    }
    record.set_trace(trace_id, span_id);
    // A value with ` request_id=` in it looks like another pair; those that Logger wrote first are its own.
    record.keep_first(first);
}

/// Whether another pair begins there. Ids that clients choose may hold what looks like one; a process' at least is known
/// by how it is written.
fn begins_pair(text: &[u8]) -> bool {
    let len = key_len(text);
    len > 0 && (&text[..len] != b"pid" || text.get(len + 1) == Some(&b'<'))
}

fn set_pair<'a>(
    key: &'a [u8],
    value: &'a [u8],
    names: &SecretNames,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) {
    match key {
        b"request_id" => record.set_text("request_id", value),
        b"pid" => record.set_text("elixir.pid", value),
        b"mfa" => record.set_text("code.function.name", value),
        b"file" => record.set_text("code.file.path", value),
        b"line" if whole(value).is_some() => {
            record.set("code.line.number", Value::Int(whole(value).unwrap_or_default()));
        }
        _ if value.is_empty() => {}
        _ => {
            let is_secret = names.is_secret(key);
            let value =
                if is_secret { secrets::FILTERED } else { secrets::under_name(key, value, names, scratch) };
            record.set_free(scratch.concat(&[b"elixir.", key]), Value::Text(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (text, len) in [("request_id=x", 10), ("dd.trace_id=", 11), ("a-b?=1", 4), ("_=", 1)] {
            assert_eq!(key_len(text.as_bytes()), len, "{text}");
        }
        for bad in ["", "=", "a", "a b=", "1a=", "-a=", "[x]=", "\"a\"="] {
            assert_eq!(key_len(bad.as_bytes()), 0, "{bad}");
        }
    }

    #[test]
    fn plain_pairs_at_either_end() {
        for (text, len) in [("a=1 b=2 GET /", 8), ("GET /", 0), ("a=1 ", 4), ("a=1", 0), ("a= x", 3)] {
            assert_eq!(plain_len(text.as_bytes()), len, "{text}");
        }
        for (text, start) in
            [("GET / a=1 b=2 ", 6), ("GET /", 5), ("a=1 b=2", 0), ("", 0), ("x a=1", 2), ("a=1 x ", 6)]
        {
            assert_eq!(plain_start(text.as_bytes()), start, "{text}");
        }
    }

    #[test]
    fn secrets_do_not_pass() {
        let scratch = Scratch::new();
        let mut record = Record::new();
        let text = "request_id=a?token=x session_token=a b card=1 url=/?token=x&a=1 file=token=x ";
        let names = SecretNames::default().and_containing(&["CARD".to_owned()]);
        set(text.as_bytes(), &names, &scratch, &mut record);
        for (name, value) in [
            ("request_id", "a?token=x"),
            ("elixir.session_token", "[FILTERED]"),
            ("elixir.card", "[FILTERED]"),
            ("elixir.url", "/?token=[FILTERED]&a=1"),
            ("code.file.path", "token=x"),
        ] {
            assert_eq!(record.get(name), Some(Value::text(value)), "{name}");
        }
    }

    #[test]
    fn a_flood_of_pairs_ends() {
        let scratch = Scratch::new();
        let mut record = Record::new();
        let same = "a=1 b= ".repeat(100_000);
        let names = SecretNames::default();
        set(same.as_bytes(), &names, &scratch, &mut record);
        assert!(record.fields().len() <= 2);
        let pairs: String = (0..1000).map(|n| format!("k{n}=v ")).collect();
        let mut record = Record::new();
        set(pairs.as_bytes(), &names, &scratch, &mut record);
        assert_eq!(record.fields().len(), PAIRS_MAX + 1);
        let Some(Value::Text(rest)) = record.get("elixir.k128") else { panic!("no last pair") };
        assert!(rest.ends_with(b"k999=v"));
    }
}
