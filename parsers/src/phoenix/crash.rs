//! Reports of crashed processes: which process of which kind, and the exception that the report quotes.
//!
//! Takes a message whose first line is that of Logger's translator (`logger/lib/logger/translator.ex`) or of
//! Plug.Cowboy's (`plug_cowboy/lib/plug/cowboy/translator.ex`); the exception follows on the next lines, then
//! labelled ones. `Request:` has the query as the client sent it, but for secrets: only the path is taken.

use super::{
    exception,
    message::{between, detail, split_first, split_last, split_line},
};
use crate::{
    Context,
    number::whole,
    record::{Record, Role, Scratch, Value},
    shape,
};

/// What the lines after the exception begin with.
const LABELS: [&str; 17] = [
    "Last message",
    "Process Label: ",
    "Function: ",
    "Initial Call: ",
    "Current Call: ",
    "Ancestors: ",
    "Neighbours:",
    "Message Queue Length: ",
    "Pid: ",
    "Number: ",
    "Start Call: ",
    "Start Module: ",
    "Queue: ",
    "Postponed: ",
    "State: ",
    "Client ",
    "    Args: ",
];

/// The first line of a report.
struct Header<'a> {
    /// What kind of process it was; empty when there is no word for it.
    kind: &'static str,
    process: &'a [u8],
    /// The event's name when no exception was raised.
    name: &'static str,
}

/// Sets the fields of such a message.
pub(super) fn set<'a>(
    message: &'a [u8],
    context: &Context<'_>,
    scratch: &'a Scratch,
    record: &mut Record<'a>,
) -> Option<()> {
    let (line, rest) = split_line(message);
    let header = server(line).or_else(|| process(line)).or_else(|| web(line)).or_else(|| child(line))?;
    let process = if header.process.is_empty() { detail(rest, b"\nPid: ") } else { header.process };
    for (name, text) in [("elixir.crash_kind", header.kind.as_bytes()), ("elixir.process", process)] {
        // Metadata may have a key `process`.
        if record.get(name).is_none() {
            record.set_text(name, text);
        }
    }
    set_request(rest, context, scratch, record);
    record.error = true;
    record.role = Role::Crashed;
    let exception = exception::find(rest, &LABELS);
    if let Some(exception) = exception {
        exception.set(scratch, record);
    }
    let raised = exception.and_then(|exception| exception.raised());
    record.set("name", Value::Text(raised.unwrap_or(header.name.as_bytes())));
    Some(())
}

/// `GenServer X terminating`, `:gen_statem X terminating`, `:gen_event handler H installed in X terminating`.
fn server(line: &[u8]) -> Option<Header<'_>> {
    let name = line.strip_suffix(b" terminating")?;
    let (kind, process, name) = if let Some(process) = name.strip_prefix(b"GenServer ") {
        ("genserver", process, "GenServer terminating")
    } else if let Some(process) = name.strip_prefix(b":gen_statem ") {
        ("gen_statem", process, ":gen_statem terminating")
    } else {
        let (_, process) = split_last(name.strip_prefix(b":gen_event handler ")?, b" installed in ")?;
        ("", process, ":gen_event handler terminating")
    };
    Some(Header { kind, process, name })
}

/// `Task P started from X terminating`, `Process P raised an exception`, `Process Name (P) terminating`.
fn process(line: &[u8]) -> Option<Header<'_>> {
    if let Some(task) = between(line, b"Task ", b" terminating") {
        let (process, _) = split_first(task, b" started from ")?;
        return Some(Header { kind: "task", process, name: "Task terminating" });
    }
    let rest = line.strip_prefix(b"Process ")?;
    let (rest, name) = match rest.strip_suffix(b" raised an exception") {
        Some(rest) => (rest, "Process raised an exception"),
        None => (rest.strip_suffix(b" terminating")?, "Process terminating"),
    };
    let process = split_first(rest, b" on node ").or_else(|| split_last(rest, b" (#PID<"));
    Some(Header { kind: "process", process: process.map_or(rest, |(process, _)| process), name })
}

/// `P running Endpoint (connection P, stream id 1) terminated`, `Ranch protocol P of listener L … terminated`.
fn web(line: &[u8]) -> Option<Header<'_>> {
    let rest = line.strip_suffix(b" terminated")?;
    if let Some(rest) = rest.strip_prefix(b"Ranch protocol ") {
        let (process, _) = split_first(rest, b" of listener ")?;
        return Some(Header { kind: "ranch", process, name: "Ranch protocol terminated" });
    }
    let (process, _) =
        split_first(rest, b" running ").filter(|(process, _)| process.starts_with(b"#PID<"))?;
    Some(Header { kind: "cowboy", process, name: "Request process terminated" })
}

/// `Child X of Supervisor Y terminated`; a child without a name of its own is told by the `Pid:` line.
fn child(line: &[u8]) -> Option<Header<'_>> {
    const CONTEXTS: [&[u8]; 4] =
        [b" terminated", b" failed to start", b" caused shutdown", b" shut down abnormally"];
    let rest = line.strip_prefix(b"Child ").or_else(|| line.strip_prefix(b"Children "))?;
    let rest = CONTEXTS.iter().find_map(|context| rest.strip_suffix(*context))?;
    let (process, _) = split_first(rest, b"of Supervisor ")?;
    let process = process.strip_suffix(b" ").filter(|name| *name != b":undefined").unwrap_or_default();
    Some(Header { kind: "supervisor", process, name: "Child terminated" })
}

/// `Server: podsite.test:80 (http)` and `Request: GET /path?query`.
fn set_request<'a>(details: &'a [u8], context: &Context<'_>, scratch: &'a Scratch, record: &mut Record<'a>) {
    if let Some((method, target)) = split_first(detail(details, b"\nRequest: "), b" ") {
        record.set_text("http.request.method", method);
        let path = split_first(target, b"?").map_or(target, |(path, _)| path);
        record.set_text("url.path", path);
        let shape = shape::told(path, context, scratch, record);
        record.set_text("url.shape", shape);
    }
    let server =
        detail(details, b"\nServer: ").strip_suffix(b")").and_then(|server| split_last(server, b" ("));
    if let Some((host_port, scheme)) = server {
        let (host, port) = split_last(host_port, b":").unwrap_or((host_port, b""));
        record.set_text("url.scheme", scheme);
        record.set_text("server.address", host);
        if let Some(port) = whole(port) {
            record.set("server.port", Value::Int(port));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::shown;

    #[test]
    fn first_lines() {
        for (message, kind, process, name) in [
            ("GenServer A.W terminating", "genserver", "A.W", "GenServer terminating"),
            (
                "GenServer {:via, A, {B, 1}} terminating",
                "genserver",
                "{:via, A, {B, 1}}",
                "GenServer terminating",
            ),
            (":gen_statem #PID<0.1.0> terminating", "gen_statem", "#PID<0.1.0>", ":gen_statem terminating"),
            ("Task #PID<0.1.0> started from A terminating", "task", "#PID<0.1.0>", "Task terminating"),
            ("Process A.W (#PID<0.1.0>) terminating", "process", "A.W", "Process terminating"),
            (
                "Process #PID<0.1.0> raised an exception",
                "process",
                "#PID<0.1.0>",
                "Process raised an exception",
            ),
            (
                "Process #PID<0.1.0> on node :\"a@b\" raised an exception",
                "process",
                "#PID<0.1.0>",
                "Process raised an exception",
            ),
            (
                "Ranch protocol #PID<0.1.0> of listener A.HTTP (connection #PID<0.2.0>, stream id 8) terminated",
                "ranch",
                "#PID<0.1.0>",
                "Ranch protocol terminated",
            ),
            (
                "#PID<0.1.0> running A.Endpoint (connection #PID<0.2.0>, stream id 1) terminated",
                "cowboy",
                "#PID<0.1.0>",
                "Request process terminated",
            ),
            ("Child A.W of Supervisor A.S failed to start", "supervisor", "A.W", "Child terminated"),
        ] {
            let fields = format!("elixir.crash_kind={kind}|elixir.process={process}|name={name}|error");
            assert_eq!(shown(message), fields, "{message}");
        }
        assert_eq!(
            shown(":gen_event handler A.H installed in B terminating"),
            "elixir.process=B|name=:gen_event handler terminating|error"
        );
        assert_eq!(
            shown(
                "Child :undefined of Supervisor #PID<0.9.0> (Supervisor.Default) terminated\nPid: #PID<0.1.0>"
            ),
            "elixir.crash_kind=supervisor|elixir.process=#PID<0.1.0>|name=Child terminated|error"
        );
        for message in
            ["GenServer is terminating soon", "Task done", "Process this", "Child care", "#PID<0.1.0> x"]
        {
            assert_eq!(shown(message), "", "{message}");
        }
    }

    #[test]
    fn a_request_without_its_query() {
        let message = "#PID<0.1.0> running A.Endpoint (connection #PID<0.2.0>, stream id 1) terminated\n\
                       Server: ::1:4000 (http)\nRequest: GET /boom?password=hunter2\n** (exit) :abnormal_reason";
        assert_eq!(
            shown(message),
            "elixir.crash_kind=cowboy|elixir.process=#PID<0.1.0>|http.request.method=GET|url.path=/boom|url.shape=/boom|\
             url.scheme=http|server.address=::1|server.port=4000|exception.type=exit|\
             exception.message=:abnormal_reason|name=Request process terminated|error"
        );
    }

    #[test]
    fn a_report_ends_its_exception() {
        let message = "Task #PID<0.1.0> started from #PID<0.2.0> terminating\n** (ArgumentError) errors:\n\n  \
                       * 1st argument: no\n\n    :erlang.binary_to_integer(\"no\")\n    (elixir 1.14.0) \
                       lib/string.ex:2620: String.to_integer/1\nFunction: &String.to_integer/1\n    Args: [\"no\"]";
        assert_eq!(
            shown(message),
            "elixir.crash_kind=task|elixir.process=#PID<0.1.0>|exception.type=ArgumentError|\
             exception.message=errors:\n\n  * 1st argument: no|\
             exception.stacktrace=    :erlang.binary_to_integer(\"no\")\n    (elixir 1.14.0) lib/string.ex:2620: \
             String.to_integer/1|code.function.name=:erlang.binary_to_integer/1|name=ArgumentError|error"
        );
        let message = "GenServer A.W terminating\n** (stop) bad return value: {:oops, [1]}\n\
                       Last message (from #PID<0.1.0>): {:crash, \"x\"}\nState: 1\nClient #PID<0.1.0> is alive\n\n    \
                       (stdlib 4.2) gen.erl:256: :gen.do_call/4";
        assert_eq!(
            shown(message),
            "elixir.crash_kind=genserver|elixir.process=A.W|exception.type=stop|\
             exception.message=bad return value: {:oops, [1]}|name=GenServer terminating|error"
        );
    }
}
