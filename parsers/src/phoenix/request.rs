//! The lines of a request: `GET /path`, `Processing with Mod.fun/2`, `Sent 200 in 15ms`, `Converted error …`.
//!
//! The texts are those of `phoenix/lib/phoenix/logger.ex` and `plug/lib/plug/logger.ex`. A path has no query;
//! the duration ends when the headers are sent.

use memchr::{memchr, memchr2, memrchr};

use super::{
    measure::phoenix_ms,
    message::{between, detail, split_first, split_last, split_line},
};
use crate::{
    Context,
    number::whole,
    record::{Record, Role, Scratch, Value},
    shape,
};

const METHODS: [&[u8]; 12] = [
    b"GET",
    b"POST",
    b"PUT",
    b"PATCH",
    b"DELETE",
    b"HEAD",
    b"OPTIONS",
    b"CONNECT",
    b"TRACE",
    b"PROPFIND",
    b"MKCOL",
    b"PURGE",
];

/// `GET /podcast/600`: the path without its query, and nothing after it.
pub(super) fn started<'a>(
    message: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Option<()> {
    let (method, path) = message.split_at(memchr(b' ', message)?);
    let path = path.get(1..)?;
    if !is_path(path) || !is_method(method, record) {
        return None;
    }
    record.set("http.request.method", Value::Text(method));
    record.set("url.path", Value::Text(path));
    shape::set(method, path, Some(message), context, scratch, record);
    record.role = Role::Started;
    Some(())
}

/// Whether that is the start or the end of a request, which Phoenix writes on one line.
pub(super) fn is_one_line(message: &[u8]) -> bool {
    const LONGEST: usize = b"PROPFIND".len();
    if message.starts_with(b"Sent ") || message.starts_with(b"Chunked ") {
        return answer(message.trim_ascii_end()).is_some();
    }
    let word = message.iter().take(LONGEST + 1).take_while(|byte| byte.is_ascii_uppercase()).count();
    match &message[word..] {
        [b' ', path @ ..] => is_path(path.trim_ascii_end()) && METHODS.contains(&&message[..word]),
        _ => false,
    }
}

fn is_path(text: &[u8]) -> bool {
    text == b"*" || (text.starts_with(b"/") && memchr2(b' ', b'\n', text).is_none())
}

/// Servers take any method, and an app may begin its own messages with a word in capitals and a path: another
/// word than the usual ones counts only inside a request.
fn is_method(word: &[u8], record: &Record<'_>) -> bool {
    let token = || word.iter().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(byte));
    METHODS.contains(&word) || (token() && record.get("request_id").is_some())
}

/// `Sent 200 in 15ms`, `Chunked 200 in 812µs`.
pub(super) fn sent<'a>(message: &'a [u8], record: &mut Record<'a>) -> Option<()> {
    let (name, status, ms) = answer(message)?;
    record.set("name", Value::text(name));
    record.set("http.response.status_code", Value::Int(status));
    record.set("duration_ms", Value::Float(ms));
    record.error |= status >= 500;
    record.role = Role::Answered;
    Some(())
}

fn answer(message: &[u8]) -> Option<(&'static str, i64, f64)> {
    let sent = message.strip_prefix(b"Sent ").map(|rest| ("Sent", rest));
    let (name, rest) = sent.or_else(|| Some(("Chunked", message.strip_prefix(b"Chunked ")?)))?;
    let (status, duration) = rest.split_at(memchr(b' ', rest)?);
    Some((name, whole(status)?, phoenix_ms(duration.strip_prefix(b" in ")?)?))
}

/// `Processing with PodsiteWeb.PageController.health/2`, or a plug's module alone; then indented details.
pub(super) fn processing<'a>(message: &'a [u8], record: &mut Record<'a>) -> Option<()> {
    let (line, details) = split_line(message);
    let target = line.strip_prefix(b"Processing with ")?;
    let function = memrchr(b'/', target).and_then(|slash| {
        let dot = memrchr(b'.', &target[..slash])?;
        Some((&target[..dot], &target[dot + 1..slash]))
    });
    let (controller, action) = function.unwrap_or((target, b""));
    if controller.is_empty() {
        return None;
    }
    record.set("name", Value::text("Processing with"));
    record.set("phoenix.controller", Value::Text(controller));
    record.set_text("phoenix.action", action);
    record.set_text("phoenix.params", detail(details, b"\n  Parameters: "));
    record.set_text("phoenix.pipelines", detail(details, b"\n  Pipelines: "));
    record.role = Role::Routed;
    Some(())
}

/// `Converted error Phoenix.Router.NoRouteError to 404 response`; instead of a module any term may stand.
///
/// It is an error only by its status: an exception below 500 is how Phoenix says "not found".
pub(super) fn converted<'a>(message: &'a [u8], record: &mut Record<'a>) -> Option<()> {
    let (line, _) = split_line(message);
    let (what, status) = split_last(between(line, b"Converted ", b" response")?, b" to ")?;
    let status = whole(status)?;
    let (kind, reason) = split_first(what, b" ")?;
    let name = match kind {
        b"error" => "Converted error",
        b"exit" => "Converted exit",
        b"throw" => "Converted throw",
        _ => return None,
    };
    record.set("name", Value::text(name));
    record.set("http.response.status_code", Value::Int(status));
    if kind == b"error" && is_module(reason) {
        record.set("exception.type", Value::Text(reason));
    }
    record.error |= status >= 500;
    record.role = Role::Converted;
    Some(())
}

/// Whether that is an Elixir module's name.
pub(super) fn is_module(text: &[u8]) -> bool {
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._".contains(byte);
    text.first().is_some_and(u8::is_ascii_uppercase) && text.iter().all(in_name)
}

#[cfg(test)]
mod tests {
    use super::super::message::shown;
    use super::*;

    #[test]
    fn requests() {
        for (message, fields) in [
            (
                "GET /podcast/600",
                "http.request.method=GET|url.path=/podcast/600|url.shape=/podcast/:id|name=GET /podcast/:id",
            ),
            ("OPTIONS *", "http.request.method=OPTIONS|url.path=*|url.shape=*|name=OPTIONS *"),
            ("Sent 200 in 15ms", "name=Sent|http.response.status_code=200|duration_ms=15.0"),
            ("Chunked 500 in 289µs", "name=Chunked|http.response.status_code=500|duration_ms=0.289|error"),
            (
                "Processing with A.BController.show/2",
                "name=Processing with|phoenix.controller=A.BController|phoenix.action=show",
            ),
            (
                "Processing with A.Plugs.Legacy\n  Parameters: [UNFETCHED]\n  Pipelines: [:browser, :auth]",
                "name=Processing with|phoenix.controller=A.Plugs.Legacy|phoenix.params=[UNFETCHED]|\
                 phoenix.pipelines=[:browser, :auth]",
            ),
            (
                "Converted error Phoenix.Router.NoRouteError to 404 response",
                "name=Converted error|http.response.status_code=404|exception.type=Phoenix.Router.NoRouteError",
            ),
            (
                "Converted exit {:a, \" to 200 response\"} to 500 response",
                "name=Converted exit|http.response.status_code=500|error",
            ),
        ] {
            assert_eq!(shown(message), fields, "{message}");
        }
    }

    #[test]
    fn other_words_are_methods_within_a_request_only() {
        assert_eq!(shown("SUBSCRIBE /about"), "");
        let scratch = Scratch::new();
        let mut record = Record::new();
        record.set("request_id", Value::text("x"));
        let context = Context::default();
        assert_eq!(started(b"SUBSCRIBE /about", &context, &scratch, &mut record), Some(()));
        assert_eq!(record.get("http.request.method"), Some(Value::text("SUBSCRIBE")));
        assert_eq!(started(b"Saved /about", &context, &scratch, &mut record), None);
    }

    #[test]
    fn what_only_begins_like_a_request_is_none() {
        for message in [
            "GET x",
            "GET /a b",
            "GET /a\nb",
            "Sent 200 in 15",
            "Sent x in 1ms",
            "Sent 200 in 1msx",
            "Processing with ",
            "Converted error X to x response",
            "Converted 7 to 8 response",
        ] {
            assert_eq!(shown(message), "", "{message}");
        }
    }
}
