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

/// The type of a contract field; `None` for a name that the contract does not know.
#[must_use]
pub fn type_of(name: &[u8]) -> Option<Type> {
    const SETS: [(Type, &[&str]); 4] =
        [(Type::String, STRINGS), (Type::Int, INTS), (Type::Float, FLOATS), (Type::Bool, BOOLS)];
    let found = SETS.iter().find(|(_, names)| names.iter().any(|known| known.as_bytes() == name));
    if let Some((found, _)) = found {
        return Some(*found);
    }
    let family = FAMILIES.iter().any(|prefix| name.starts_with(prefix.as_bytes()));
    family.then_some(Type::String)
}

/// Whether input may set a name at all: `meta.*` and `log.*` are the agent's own.
#[must_use]
pub fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(b"meta.") || name.starts_with(b"log.")
}

const FAMILIES: &[&str] = &["elixir.", "http.request.header.", "url.param."];

const BOOLS: &[&str] = &["error"];

const FLOATS: &[&str] = &[
    "cdn.ttfb_ms",
    "db.duration_ms",
    "duration_ms",
    "ecto.db_ms",
    "ecto.decode_ms",
    "ecto.idle_ms",
    "ecto.queue_ms",
    "nginx.upstream.duration_ms",
    "oban.queue_time_ms",
];

const INTS: &[&str] = &[
    "cdn.hits",
    "code.line.number",
    "db.query.count",
    "error.code",
    "http.request.body.size",
    "http.request.size",
    "http.response.body.size",
    "http.response.size",
    "http.response.status_code",
    "k8s.container.restart_count",
    "network.peer.port",
    "nginx.connection",
    "nginx.upstream.attempts",
    "nginx.upstream.response_length",
    "nginx.upstream.status",
    "oban.attempt",
    "process.pid",
    "server.port",
    "thread.id",
];

const STRINGS: &[&str] = &[
    "body",
    "cdn.cache_status",
    "cdn.datacenter",
    "client.address",
    "client.kind",
    "cloud.region",
    "code.file.path",
    "code.function.name",
    "container.id",
    "db.collection.name",
    "db.query.text",
    "db.system.name",
    "error.message",
    "exception.fingerprint",
    "exception.message",
    "exception.stacktrace",
    "exception.type",
    "fly.app.instance",
    "fly.app.name",
    "fly.host",
    "fly.provider",
    "fly.proxy.cause_code",
    "fly.proxy.code",
    "fly.region",
    "host.name",
    "http.request.line",
    "http.request.method",
    "http.route",
    "k8s.container.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.pod.uid",
    "name",
    "network.peer.address",
    "network.protocol.version",
    "nginx.upstream.addr",
    "nginx.upstream.addr_list",
    "nginx.upstream.alternative_name",
    "nginx.upstream.duration_list",
    "nginx.upstream.length_list",
    "nginx.upstream.name",
    "nginx.upstream.status_list",
    "oban.event",
    "oban.queue",
    "oban.state",
    "oban.worker",
    "phoenix.action",
    "phoenix.controller",
    "phoenix.event",
    "phoenix.params",
    "phoenix.pipelines",
    "phoenix.socket",
    "phoenix.topic",
    "phoenix.transport",
    "phoenix.view",
    "request_id",
    "server.address",
    "service.name",
    "severity",
    "severity_text",
    "syslog.facility",
    "syslog.msgid",
    "syslog.procid",
    "systemd.unit",
    "trace.parent_id",
    "trace.trace_id",
    "url.full",
    "url.path",
    "url.query",
    "url.scheme",
    "url.shape",
    "user.name",
    "user_agent.original",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_type() {
        assert_eq!(type_of(b"duration_ms"), Some(Type::Float));
        assert_eq!(type_of(b"elixir.user_id"), Some(Type::String));
        assert_eq!(type_of(b"user_id"), None);
        let mut all: Vec<&str> = [STRINGS, INTS, FLOATS, BOOLS].concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
