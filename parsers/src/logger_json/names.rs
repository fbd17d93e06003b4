//! Where `LoggerJSON`'s formatters put what the contract has a name for.
//!
//! Basic, Google Cloud, Datadog and Elastic of version 7 (`logger_json/lib/logger_json/formatters/*.ex`), and the
//! same without Elastic of version 5, with the sections that its Plug and Ecto handlers add
//! (`plug/metadata_formatters/*.ex`, `ecto.ex`).

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    /// A contract field, whose value needs no more than the contract's type.
    Field(&'static str),
    /// A module or a function, with Elixir's prefix.
    Code(&'static str),
    /// A line's number, which is 0 where the formatter knew none.
    LineNumber,
    /// A process: `#PID<0.1.0>`
    Process,
    /// `HTTP/1.1`
    Protocol,
    /// An absolute URL.
    Url,
    /// A time that passed, in units of which a millisecond has so many.
    Duration(&'static str, f64),
    /// `0.015s`
    Latency,
}

/// What the key means, if it is one of the formatters' own.
pub(super) fn meaning(name: &[u8]) -> Option<Meaning> {
    field_of(name).map(Meaning::Field).or_else(|| microseconds(name)).or_else(|| other(name))
}

fn field_of(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"request_id" | b"http.request_id" | b"logging.googleapis.com/operation.id" => "request_id",
        b"duration_ms" => "duration_ms",
        b"logging.googleapis.com/sourceLocation.file"
        | b"logger.file_name"
        | b"log.origin.file.name"
        | b"file" => "code.file.path",
        b"request.connection.method"
        | b"connection.method"
        | b"httpRequest.requestMethod"
        | b"http.method" => "http.request.method",
        b"request.connection.path" | b"connection.request_path" | b"http.url_details.path" => "url.path",
        b"http.url_details.queryString" => "url.query",
        b"http.url_details.scheme" => "url.scheme",
        b"http.url_details.host" => "server.address",
        b"http.url_details.port" => "server.port",
        b"request.connection.status" | b"connection.status" | b"httpRequest.status" | b"http.status_code" => {
            "http.response.status_code"
        }
        b"request.client.user_agent"
        | b"client.user_agent"
        | b"httpRequest.userAgent"
        | b"http.useragent" => "user_agent.original",
        b"request.client.ip" | b"client.ip" | b"httpRequest.remoteIp" | b"network.client.ip" => {
            "client.address"
        }
        b"httpRequest.referer" | b"http.referer" | b"http.request.referrer" => "http.request.header.referer",
        b"phoenix.route" => "http.route",
        b"syslog.hostname" | b"node.hostname" => "host.name",
        b"node.vm_pid" => "process.pid",
        _ => return None,
    })
}

/// Version 5 wrote the unit with a Greek letter.
fn microseconds(name: &[u8]) -> Option<Meaning> {
    let field = match name.strip_suffix(b"_us").or_else(|| name.strip_suffix("_μs".as_bytes()))? {
        b"duration" | b"latency" | b"query.latency" => "duration_ms",
        b"query.execution_time" => "ecto.db_ms",
        b"query.decode_time" => "ecto.decode_ms",
        b"query.queue_time" => "ecto.queue_ms",
        _ => return None,
    };
    Some(Meaning::Duration(field, 1e3))
}

fn other(name: &[u8]) -> Option<Meaning> {
    Some(match name {
        b"logging.googleapis.com/sourceLocation.function" | b"logger.method_name" | b"mfa" => {
            Meaning::Code("code.function.name")
        }
        b"phoenix.controller" => Meaning::Code("phoenix.controller"),
        b"logging.googleapis.com/sourceLocation.line"
        | b"logger.line"
        | b"log.origin.file.line"
        | b"line" => Meaning::LineNumber,
        b"pid"
        | b"logger.thread_name"
        | b"logging.googleapis.com/operation.producer"
        | b"logging.googleapis.com/operation.pid" => Meaning::Process,
        b"request.connection.protocol" | b"httpRequest.protocol" | b"http.version" => Meaning::Protocol,
        b"httpRequest.requestUrl" | b"http.url" => Meaning::Url,
        b"httpRequest.latency" => Meaning::Latency,
        b"event.duration" => Meaning::Duration("duration_ms", 1e6),
        _ => return None,
    })
}
