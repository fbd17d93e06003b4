//! What a Logger message says: which kind of message it is, and the fields of that kind.
//!
//! Takes the message of one event, of one line or several, and hands it to the module that knows its kind by
//! its first two bytes, so that an ordinary message costs one look. A message of no known kind sets nothing
//! (it is in `body` anyway), unless it is an error that quotes an exception.

use memchr::{memchr, memmem};

use super::{crash, ecto, exception, lifecycle, oban, request, socket};
use crate::{
    Context,
    record::{Record, Scratch},
};

/// Sets the fields that the message tells.
pub(crate) fn set<'a>(
    message: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) {
    let message = message.trim_ascii_end();
    let [first, second, ..] = message else { return };
    let known = match (first, second) {
        (b'S', b'e') => request::sent(message, record),
        (b'C', b'h') => request::sent(message, record)
            .or_else(|| crash::set(message, context, scratch, record))
            .or_else(|| lifecycle::set(message, record)),
        (b'C', b'o') => request::converted(message, record),
        (b'P', b'r') => {
            request::processing(message, record).or_else(|| crash::set(message, context, scratch, record))
        }
        (b'Q', b'U') => ecto::set(message, scratch, record)
            .or_else(|| request::started(message, context, scratch, record)),
        (b'A'..=b'Z', b'A'..=b'Z') => request::started(message, context, scratch, record)
            .or_else(|| socket::set(message, record))
            .or_else(|| lifecycle::set(message, record)),
        (b'R', b'e') => socket::set(message, record),
        (b'{', b'"') => oban::set(message, scratch, record),
        (b'*', b'*') => exception::set(message, scratch, record),
        (b'G', b'e') | (b'T', b'a') | (b'R', b'a') | (b'#', b'P') | (b':', b'g') => {
            crash::set(message, context, scratch, record)
        }
        (b'R', b'u') | (b'A', b'c' | b'p') | (b'M', b'i') | (b'=', b'=') => lifecycle::set(message, record),
        _ => None,
    };
    if known.is_none() && record.is_error() {
        exception::set(message, scratch, record);
    }
}

/// The first line, and what follows it from its line break on.
pub(super) fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr(b'\n', text).unwrap_or(text.len()))
}

/// The value that one of the lines after the first has under `label`, which is a line break, the line's indent,
/// a name and `: `. Empty if there is no such line.
pub(super) fn detail<'a>(message: &'a [u8], label: &[u8]) -> &'a [u8] {
    memmem::find(message, label).map_or(&[], |at| split_line(&message[at + label.len()..]).0)
}

/// What stands between a prefix and a suffix.
pub(super) fn between<'a>(text: &'a [u8], prefix: &[u8], suffix: &[u8]) -> Option<&'a [u8]> {
    text.strip_prefix(prefix)?.strip_suffix(suffix)
}

/// The two sides of the last `separator`.
pub(super) fn split_last<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::rfind(text, separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// The two sides of the first `separator`.
pub(super) fn split_first<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find(text, separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// The fields that a message tells, as text for tests to compare; but for fingerprints, which have their own.
#[cfg(test)]
pub(super) fn shown(message: &str) -> String {
    let scratch = Scratch::new();
    let mut record = Record::new();
    set(message.as_bytes(), &Context::default(), &scratch, &mut record);
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value = |value| match value {
        crate::Value::Text(text) => lossy(text),
        crate::Value::Int(int) => int.to_string(),
        crate::Value::Float(float) => format!("{float:?}"),
        other => format!("{other:?}"),
    };
    let told = record.fields().iter().filter(|field| field.key.bytes() != b"exception.fingerprint");
    let fields = told.map(|field| format!("{}={}", lossy(field.key.bytes()), value(field.value)));
    let error = record.error.then(|| "error".to_owned());
    fields.chain(error).collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Level;

    const GOOD: [&str; 12] = [
        "GET /podcast/600",
        "Sent 200 in 812µs",
        "Processing with A.BController.show/2\n  Parameters: %{\"a\" => \"b\"}\n  Pipelines: [:browser]",
        "Converted error {:badkey, :b, %{a: 1}} to 500 response",
        "CONNECTED TO A.UserSocket in 20µs\n  Transport: :websocket\n  Parameters: %{}",
        "HANDLED chat INCOMING ON show:a (A.ShowChannel) in 34µs\n  Parameters: %{}",
        "HANDLE EVENT \"inc\" in A.Live\n  Parameters: %{}",
        "QUERY OK source=\"a\" db=1.0e3ms queue=0.1ms\nSELECT 1 [\"a\", [1]]\n↳ A.b/1, at: lib/a.ex:4",
        "{\"args\":{\"a\":[1]},\"attempt\":1,\"error\":\"** (A) b\\u00e9\",\"event\":\"job:exception\",\"source\":\"oban\"}",
        "#PID<0.1.0> running A.Endpoint (connection #PID<0.2.0>, stream id 1) terminated\nServer: a.test:80 (http)\n\
         Request: GET /b?c\n** (exit) exited in: A.b(1)\n    ** (EXIT) an exception was raised:\n        \
         ** (ArgumentError) c\n            (a 0.1.0) lib/a.ex:4: A.b(\"x\", 2)\n            A.c/3",
        "Child :undefined of Supervisor A.S terminated\n** (exit) :killed\nPid: #PID<0.1.0>\nStart Call: A.b()",
        "== Migrated 20180101000000 in 0.0s",
    ];

    fn told(message: &[u8]) -> usize {
        let scratch = Scratch::new();
        let mut record = Record::new();
        record.level = Level::of(b"error");
        set(message, &Context::default(), &scratch, &mut record);
        let mut names: Vec<_> = record.fields().iter().map(|field| field.key.bytes()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "a name was set twice");
        count
    }

    #[test]
    fn other_messages_say_nothing() {
        for message in
            ["", "G", "GET", "Get /a", "JOINED", "QUERY", "{\"", "{\"a\":1}", "** ", "Child", "Äpfel"]
        {
            assert_eq!(shown(message), "", "{message}");
        }
    }

    #[test]
    fn any_cut_of_a_message_is_read() {
        for message in GOOD {
            assert!(told(message.as_bytes()) > 0, "{message}");
            for end in 0..message.len() {
                told(&message.as_bytes()[..end]);
                told(&message.as_bytes()[end..]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            told(&bytes);
        }

        #[test]
        fn any_mixture_is_read(parts in prop::collection::vec((0..GOOD.len(), 0..60_usize, 0..60_usize), 0..8)) {
            let cut = |(which, from, len): &(usize, usize, usize)| {
                let text = GOOD[*which].as_bytes();
                let from = *from % text.len();
                text[from..(from + len).min(text.len())].to_vec()
            };
            told(&parts.iter().flat_map(cut).collect::<Vec<u8>>());
        }
    }
}
