//! Codes in the texts of Fly Proxy: `P`, a letter for the part, two digits (Fly docs, monitoring/error-codes).
//!
//! ```text
//! [PR03] could not find a good candidate within 1 attempts at load balancing. last error: [PM05] failed to connect …
//! ```
//!
//! The first is what happened, one after it the cause. Old messages have none. Durations in the text stay there.

use memchr::memmem;

use crate::record::{Record, Value};

/// Sets the codes that the message has.
pub(super) fn set<'a>(message: &'a [u8], record: &mut Record<'a>) {
    let mut codes = memmem::find_iter(message, b"[P").filter_map(|at| code(&message[at + 1..]));
    if let Some(code) = codes.next() {
        record.set("fly.proxy.code", Value::Text(code));
        if let Some(cause) = codes.next() {
            record.set("fly.proxy.cause_code", Value::Text(cause));
        }
    }
}

fn code(text: &[u8]) -> Option<&[u8]> {
    match text.get(..5)? {
        [b'P', b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9', b']'] => Some(&text[..4]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_code_and_its_cause() {
        for (message, code, cause) in [
            ("[PU02] could not complete HTTP request to instance", Some("PU02"), None),
            (
                "[PR03] no good candidate. last error: [PM05] failed after 8.1s [PC01]",
                Some("PR03"),
                Some("PM05"),
            ),
            ("could not make HTTP request to instance: connection error: timed out", None, None),
            ("[PX] [PUxx] [P] [pu02] [PU021] [PU0", None, None),
            ("", None, None),
        ] {
            let mut record = Record::new();
            set(message.as_bytes(), &mut record);
            assert_eq!(record.get("fly.proxy.code"), code.map(Value::text), "{message}");
            assert_eq!(record.get("fly.proxy.cause_code"), cause.map(Value::text), "{message}");
        }
    }
}
