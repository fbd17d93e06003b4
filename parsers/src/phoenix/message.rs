//! What a Logger message of Phoenix says: `GET /path`, `Sent 200 in 15ms`, `Processing with Mod.fun/2`.
//!
//! The texts are those of phoenix/lib/phoenix/logger.ex and plug/lib/plug/logger.ex. A message of any other
//! shape sets nothing: it is in `body` anyway.

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_till1, take_while1},
    combinator::{all_consuming, map, map_opt},
    sequence::{preceded, separated_pair},
};

use crate::{
    number::whole,
    record::{Record, Value},
};

const METHODS: [&[u8]; 9] =
    [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS", b"CONNECT", b"TRACE"];

/// Sets the fields that the message tells.
pub(super) fn set<'a>(message: &'a [u8], record: &mut Record<'a>) {
    if let Ok((_, (method, path))) = started(message) {
        record.set("http.request.method", Value::Text(method));
        record.set("url.path", Value::Text(path));
    } else if let Ok((_, (status, ms))) = sent(message) {
        record.set("http.response.status_code", Value::Int(status));
        record.set("duration_ms", Value::Float(ms));
        record.error |= status >= 500;
    } else if let Ok((_, (controller, action))) = processing(message) {
        record.set("phoenix.controller", Value::Text(controller));
        record.set_text("phoenix.action", action);
    }
}

/// `GET /podcast/600`: the path without its query, and nothing after it.
fn started(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    let method = map_opt(take_while1(|byte: u8| byte.is_ascii_uppercase()), |word| {
        METHODS.contains(&word).then_some(word)
    });
    let (path, method) = nom::sequence::terminated(method, tag(" ")).parse(input)?;
    let (rest, path) = take_till1(|byte| byte == b' ')(path)?;
    if rest.is_empty() && path.starts_with(b"/") {
        Ok((rest, (method, path)))
    } else {
        Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Tag)))
    }
}

/// `Sent 200 in 15ms`, `Chunked 200 in 812µs`.
fn sent(input: &[u8]) -> IResult<&[u8], (i64, f64)> {
    let number = || map_opt(take_while1(|byte: u8| byte.is_ascii_digit()), whole);
    let unit = alt((map(tag("ms"), |_| 1.0), map(tag("µs"), |_| 1e-3)));
    #[expect(clippy::cast_precision_loss, reason = "a duration of 2^53 µs is 285 years")]
    let duration =
        map(
            (number(), unit),
            |(count, ms_per_unit): (i64, f64)| {
                if ms_per_unit < 1.0 { count as f64 / 1000.0 } else { count as f64 }
            },
        );
    let verb = alt((tag("Sent "), tag("Chunked ")));
    all_consuming(preceded(verb, separated_pair(number(), tag(" in "), duration))).parse(input)
}

/// `Processing with PodsiteWeb.PageController.health/2`, or a plug's module alone.
fn processing(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    let (rest, name) =
        preceded(tag("Processing with "), take_till1(|byte| byte == b' ' || byte == b'\n')).parse(input)?;
    let function = memchr::memrchr(b'/', name).and_then(|slash| {
        let dot = memchr::memrchr(b'.', &name[..slash])?;
        Some((&name[..dot], &name[dot + 1..slash]))
    });
    Ok((rest, function.unwrap_or((name, b""))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &str) -> Vec<(String, Value<'_>)> {
        let mut record = Record::new();
        set(message.as_bytes(), &mut record);
        let name = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        record.fields().iter().map(|field| (name(field.key.bytes()), field.value)).collect()
    }

    #[test]
    fn requests() {
        let pairs = |pairs: &[(&str, Value<'static>)]| -> Vec<(String, Value<'static>)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
        };
        let get = [("http.request.method", Value::text("GET")), ("url.path", Value::text("/a"))];
        assert_eq!(fields("GET /a"), pairs(&get));
        let sent = [("http.response.status_code", Value::Int(200)), ("duration_ms", Value::Float(15.0))];
        assert_eq!(fields("Sent 200 in 15ms"), pairs(&sent));
        let failed = [("http.response.status_code", Value::Int(500)), ("duration_ms", Value::Float(0.289))];
        assert_eq!(fields("Chunked 500 in 289µs"), pairs(&failed));
        let action =
            [("phoenix.controller", Value::text("A.BController")), ("phoenix.action", Value::text("show"))];
        assert_eq!(fields("Processing with A.BController.show/2"), pairs(&action));
    }

    #[test]
    fn other_messages_say_nothing() {
        for message in
            ["", "GET", "GET x", "GET /a b", "Get /a", "Sent 200 in 15", "Sent x in 1ms", "Sent 200 in 1msx"]
        {
            assert!(fields(message).is_empty(), "{message}");
        }
    }
}
