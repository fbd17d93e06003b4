//! The contract: names and types of the fields that events are shipped with, on which boards and alerts stand.
//!
//! Used to tell whether a key of a JSON line *is* one of these fields or only shares its name.

/// The one type a field ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// A measure.
    Float,
    /// True or false.
    Bool,
}

impl Type {
    /// What it is, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "text",
            Self::Int => "a whole number",
            Self::Float => "a float",
            Self::Bool => "true or false",
        }
    }
}

/// The field that names beyond the limits share, as JSON.
pub const OVERFLOW: &str = "field.overflow";

/// The type of a contract field; `None` for a name that the contract does not know.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn type_of(name: &[u8]) -> Option<Type> {
    let found = match name {
        b"error" => Type::Bool,
        b"cdn.ttfb_ms"
        | b"db.duration_ms"
        | b"duration_ms"
        | b"ecto.db_ms"
        | b"ecto.decode_ms"
        | b"ecto.idle_ms"
        | b"ecto.queue_ms"
        | b"nginx.upstream.duration_ms"
        | b"oban.queue_time_ms" => Type::Float,
        b"cdn.hits"
        | b"code.line.number"
        | b"db.query.count"
        | b"error.code"
        | b"http.request.body.size"
        | b"http.request.size"
        | b"http.response.body.size"
        | b"http.response.size"
        | b"http.response.status_code"
        | b"k8s.container.restart_count"
        | b"network.peer.port"
        | b"nginx.connection"
        | b"nginx.upstream.attempts"
        | b"nginx.upstream.response_length"
        | b"nginx.upstream.status"
        | b"oban.attempt"
        | b"process.pid"
        | b"server.port"
        | b"thread.id" => Type::Int,
        b"body"
        | b"cdn.cache_status"
        | b"cdn.datacenter"
        | b"client.address"
        | b"client.kind"
        | b"cloud.region"
        | b"code.file.path"
        | b"code.function.name"
        | b"container.id"
        | b"db.collection.name"
        | b"db.query.text"
        | b"db.system.name"
        | b"error.message"
        | b"exception.fingerprint"
        | b"exception.message"
        | b"exception.stacktrace"
        | b"exception.type"
        | b"fly.app.instance"
        | b"fly.app.name"
        | b"fly.host"
        | b"fly.provider"
        | b"fly.proxy.cause_code"
        | b"fly.proxy.code"
        | b"fly.region"
        | b"host.name"
        | b"http.request.line"
        | b"http.request.method"
        | b"http.route"
        | b"k8s.container.name"
        | b"k8s.namespace.name"
        | b"k8s.pod.name"
        | b"k8s.pod.uid"
        | b"name"
        | b"network.peer.address"
        | b"network.protocol.version"
        | b"nginx.upstream.addr"
        | b"nginx.upstream.addr_list"
        | b"nginx.upstream.alternative_name"
        | b"nginx.upstream.duration_list"
        | b"nginx.upstream.length_list"
        | b"nginx.upstream.name"
        | b"nginx.upstream.status_list"
        | b"oban.event"
        | b"oban.queue"
        | b"oban.state"
        | b"oban.worker"
        | b"phoenix.action"
        | b"phoenix.controller"
        | b"phoenix.event"
        | b"phoenix.params"
        | b"phoenix.pipelines"
        | b"phoenix.socket"
        | b"phoenix.topic"
        | b"phoenix.transport"
        | b"phoenix.view"
        | b"request_id"
        | b"server.address"
        | b"service.name"
        | b"severity"
        | b"severity_text"
        | b"syslog.facility"
        | b"syslog.msgid"
        | b"syslog.procid"
        | b"systemd.unit"
        | b"trace.parent_id"
        | b"trace.trace_id"
        | b"url.full"
        | b"url.path"
        | b"url.query"
        | b"url.scheme"
        | b"url.shape"
        | b"user.name"
        | b"user_agent.original" => Type::String,
        _ if FAMILIES.iter().any(|prefix| name.starts_with(prefix.as_bytes())) => Type::String,
        _ => return None,
    };
    Some(found)
}

/// Whether a name is one of the contract's, written out: not only of a family, such as `http.request.header.*`, in which input names
/// the members.
#[must_use]
pub fn is_written_out(name: &[u8]) -> bool {
    type_of(name).is_some() && !FAMILIES.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
}

/// Whether input may set a name at all: `meta.*` and `log.*` are the agent's own.
#[must_use]
pub fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(b"meta.") || name.starts_with(b"log.")
}

/// Whether events can't be tied to others without it.
#[must_use]
pub const fn is_id(name: &[u8]) -> bool {
    matches!(
        name,
        b"exception.fingerprint" | b"request_id" | b"trace.parent_id" | b"trace.span_id" | b"trace.trace_id"
    )
}

const FAMILIES: &[&str] = &["elixir.", "http.request.header.", "url.param."];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_type() {
        assert_eq!(type_of(b"duration_ms"), Some(Type::Float));
        assert_eq!(type_of(b"http.response.status_code"), Some(Type::Int));
        assert_eq!(type_of(b"elixir.user_id"), Some(Type::String));
        for unknown in ["user_id", "", "elixir", "duration_m", "duration_ms2"] {
            assert_eq!(type_of(unknown.as_bytes()), None, "{unknown}");
        }
    }
}
