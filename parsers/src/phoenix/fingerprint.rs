//! What makes two errors the same: `exception.fingerprint`, by which they are counted and grouped.
//!
//! Takes an exception's type, message and stack, gives 16 hex digits: FNV-1a, 64 bits, of the type and the function of
//! the stack's top frame in the application's own code, which outlive releases where lines and versions don't. A mere
//! exit, stop or throw, and what has no stack, is told by its message too, without the values in it.
//!
//! Invariant: the digits of an error never change, from release to release; saved queries have them.

use memchr::memchr;

use super::{exception::is_raised, frame::Frame};
use crate::inspected::quoted_len;
use crate::record::Scratch;

/// How much of a message counts.
const LINES_MAX: usize = 2;
const BYTES_MAX: usize = 300;

/// What an id or a hash has at least, written in hex digits.
const HEX_MIN: usize = 8;

/// What shows as its name and something of the moment's in angle brackets.
const MOMENTARY: [&[u8]; 4] = [b"#PID<", b"#Reference<", b"#Port<", b"#Function<"];

/// The fingerprint of such an exception.
pub(crate) fn of<'a>(kind: &[u8], message: &[u8], stack: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
    let mut hash = Fnv::new();
    hash.add(kind);
    let top = Frame::top(stack);
    hash.add(b"\0");
    hash.add(top.map_or(b"", |top| top.function(scratch)));
    if top.is_none() || !is_raised(kind) {
        hash.add(b"\0");
        let mut left = BYTES_MAX;
        normalise(first_lines(message), |part| {
            let part = &part[..part.len().min(left)];
            left -= part.len();
            hash.add(part);
            left > 0
        });
    }
    scratch.fill(HEX_DIGITS, |out| {
        for (place, digit) in out.iter_mut().enumerate() {
            let nibble = hash.0 >> (4 * (HEX_DIGITS - 1 - place)) & 0xf;
            *digit = b"0123456789abcdef"[nibble as usize];
        }
        HEX_DIGITS
    })
}

const HEX_DIGITS: usize = 16;

/// FNV-1a with 64 bits.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn first_lines(text: &[u8]) -> &[u8] {
    memchr::memchr_iter(b'\n', text).nth(LINES_MAX - 1).map_or(text, |end| &text[..end])
}

/// Gives the text to `put`, part after part, with signs in the places of values, for as long as that wants more.
fn normalise(text: &[u8], mut put: impl FnMut(&[u8]) -> bool) {
    let mut rest = text;
    let mut wanted = true;
    while let (true, [first, ..]) = (wanted, rest) {
        let (len, sign): (usize, &[u8]) = match first {
            // What has no end is a value to the end.
            b'"' => (quoted_len(rest).unwrap_or(rest.len()), b"\""),
            b'#' => momentary_len(rest).map_or((1, b"#"), |len| (len, b"#")),
            _ if first.is_ascii_hexdigit() => match number_len(rest) {
                0 => (1, &rest[..1]),
                len => (len, b"0"),
            },
            _ => (1, &rest[..1]),
        };
        rest = &rest[len..];
        wanted = put(sign);
    }
}

/// The length of `#PID<0.1.0>` and the like.
fn momentary_len(text: &[u8]) -> Option<usize> {
    MOMENTARY.iter().find(|name| text.starts_with(name))?;
    memchr(b'>', text).map(|end| end + 1)
}

/// The length of the number or the id that `text` begins with: digits, or many hex digits, which a UUID has more of
/// after its dashes.
fn number_len(text: &[u8]) -> usize {
    let hex = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let mut len = hex(text);
    if len < HEX_MIN {
        return text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    }
    while let Some(b'-') = text.get(len) {
        match hex(&text[len + 1..]) {
            0..4 => break,
            more => len += 1 + more,
        }
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, Value};

    fn fingerprint(kind: &str, message: &str, stack: &str) -> String {
        let scratch = Scratch::new();
        let digits = of(kind.as_bytes(), message.as_bytes(), stack.as_bytes(), &scratch);
        String::from_utf8(digits.to_vec()).unwrap()
    }

    fn normalised(text: &str) -> String {
        let mut out = Vec::new();
        normalise(text.as_bytes(), |part| {
            out.extend_from_slice(part);
            true
        });
        String::from_utf8(out).unwrap()
    }

    const STACK: &str = "    (stdlib 4.2) maps.erl:1: :maps.get(:a, %{})\n    (a 0.1.0) lib/a.ex:12: A.b(\"x\", 2)\n    \
                         (a 0.1.0) lib/a.ex:1: A.c/1";

    #[test]
    fn the_digits_never_change() {
        assert_eq!(fingerprint("KeyError", "key :a not found", STACK), "9c23875b2072a098");
        assert_eq!(
            fingerprint("exit", "exited in: GenServer.call(A, 1, 5000)\n    ** (EXIT) time out", ""),
            "4846b28bf038e47c"
        );
    }

    #[test]
    fn an_error_is_the_same_in_other_places_of_other_releases() {
        let once = fingerprint("KeyError", "key :a not found in: %{b: 1}", STACK);
        let later = STACK.replace("0.1.0", "0.2.0").replace(":12:", ":13:").replace("\"x\"", "%{y: [1, 2]}");
        assert_eq!(fingerprint("KeyError", "key :a not found in: %{b: 2}", &later), once);
        let deeper = STACK
            .replace("    ", "        ")
            .replace("(stdlib", "(elixir 1.1) lib/map.ex:1: Map.x/1\n    (stdlib");
        assert_eq!(fingerprint("KeyError", "", &deeper), once);
        for (kind, stack) in [
            ("ArgumentError", STACK.to_owned()),
            ("KeyError", STACK.replace("A.b", "A.d")),
            ("KeyError", STACK.replace(", 2)", ")")),
            ("KeyError", String::new()),
        ] {
            assert_ne!(fingerprint(kind, "key :a not found in: %{b: 1}", &stack), once, "{kind} {stack}");
        }
    }

    #[test]
    fn whoever_reports_an_error_it_is_the_same() {
        let of_record = |message: &str| {
            let (scratch, mut record) = (Scratch::new(), Record::new());
            crate::phoenix::message::set(
                message.as_bytes(),
                &crate::Context::default(),
                &scratch,
                &mut record,
            );
            let Some(Value::Text(digits)) = record.get("exception.fingerprint") else { panic!("{message}") };
            String::from_utf8(digits.to_vec()).unwrap()
        };
        let deeper = STACK.replace("    (", "        (");
        for message in [
            format!("GenServer A.W terminating\n** (KeyError) key :a not found\n{STACK}\nLast message: 1"),
            format!(
                "GenServer #PID<0.1.0> terminating\n** (KeyError) key :b not found\n{STACK}\nLast message: 1"
            ),
            format!(
                "#PID<0.1.0> running A.E (connection #PID<0.2.0>, stream id 1) terminated\nServer: a.test:80 (http)\n\
                 Request: GET /b\n** (exit) an exception was raised:\n    ** (KeyError) key :a not found\n{deeper}"
            ),
            format!("** (KeyError) key :a not found\n{STACK}"),
        ] {
            assert_eq!(of_record(&message), "9c23875b2072a098", "{message}");
        }
    }

    #[test]
    fn what_has_no_stack_or_is_no_exception_is_told_by_its_message() {
        let exit = |message: &str| fingerprint("exit", message, STACK);
        let once = exit(
            "exited in: Task.await(%Task{pid: #PID<0.1.0>, ref: #Reference<0.1.2.3>}, 50)\n    ** (EXIT) time out",
        );
        let again = "exited in: Task.await(%Task{pid: #PID<0.9211.0>, ref: #Reference<0.4.5.6>}, 5000)\n    ** (EXIT) time out\nx";
        assert_eq!(exit(again), once);
        assert_ne!(exit("exited in: Task.await(%Task{}, 50)"), once);
        assert_ne!(fingerprint("throw", again, STACK), once);
        let bandit = |message: &str| fingerprint("Bandit.HTTPError", message, "");
        assert_ne!(bandit("Header read timeout"), bandit("Body read timeout"));
        let long = format!("{}x", "very long ".repeat(30));
        assert_eq!(bandit(&long), bandit(&format!("{long}y")));
    }

    #[test]
    fn values_are_left_out() {
        for (text, normal) in [
            (r#"no "a \"b\"" or "c" in x12_3"#, r#"no " or " in x0_0"#),
            ("#PID<0.1.0> and #Function<0.1/0 in A.b/1> and #A<1>", "# and # and #A<0>"),
            ("deadbeef deadbee 0x7f00ab12c", "0 deadbee 0x0"),
            ("id 550e8400-e29b-41d4-a716-446655440000, e2-b", "id 0, e0-b"),
            ("an \"end", "an \""),
            ("#PID<0", "#PID<0"),
            ("", ""),
        ] {
            assert_eq!(normalised(text), normal, "{text}");
        }
    }

    #[test]
    fn hostile_messages_cost_no_more_than_their_length() {
        for part in ["\"", "\\\"", "#PID<", "deadbeef-", "1", "#", "a-", "\n"] {
            assert_eq!(fingerprint("exit", &part.repeat(200_000), "").len(), HEX_DIGITS, "{part}");
            assert_eq!(fingerprint("A", "", &part.repeat(200_000)).len(), HEX_DIGITS, "{part}");
        }
    }
}
