//! nginx's variables: what each means, which texts can be its value, and which field it becomes.
//!
//! Known ones are typed by name; any other becomes the text field `nginx.<name>`.

use super::{
    straight::Item,
    upstream::{List, is_missing},
};
use crate::number::{seconds_to_ms, whole};

/// A variable of a log format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// Text that becomes one of our fields as it is.
    Text(&'static str),
    /// A whole number.
    Int(&'static str),
    /// A whole number that a client claimed: it may be anything.
    ClaimedInt(&'static str, &'static str),
    /// An address or a host's name: one word.
    Address(&'static str),
    /// Text that is `-` where there is none, however values are escaped.
    DashText(&'static str),
    /// `$time_local`.
    TimeLocal,
    /// `$time_iso8601`.
    TimeIso8601,
    /// `$msec`.
    Msec,
    /// `$request`.
    Request,
    /// `$request_method`.
    Method,
    /// `$request_uri`: path and query.
    RequestUri,
    /// `$uri`: the normalised path.
    Uri,
    /// `$args`.
    Args,
    /// `$server_protocol`.
    Protocol,
    /// `$status`.
    Status,
    /// `$request_time`.
    RequestTime,
    /// `$upstream_addr`.
    UpstreamAddr,
    /// `$upstream_status`.
    UpstreamStatus,
    /// `$upstream_response_time`.
    UpstreamTime,
    /// `$upstream_response_length`.
    UpstreamLength,
    /// One of the other upstream lists, of seconds or of whole numbers; the whole field's name.
    OtherList(String, Item),
    /// `$http_traceparent`.
    Traceparent,
    /// A request header, `$http_<name>`; the whole field's name.
    Header(String),
    /// Any other; the whole field's name.
    Other(String),
}

impl Variable {
    /// The variable of that name.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "remote_addr" => Self::Address("client.address"),
            "realip_remote_addr" => Self::Address("network.peer.address"),
            "remote_user" => Self::Text("user.name"),
            "time_local" => Self::TimeLocal,
            "time_iso8601" => Self::TimeIso8601,
            "msec" => Self::Msec,
            "request" => Self::Request,
            "request_method" => Self::Method,
            "request_uri" => Self::RequestUri,
            "uri" | "document_uri" => Self::Uri,
            "args" | "query_string" => Self::Args,
            "server_protocol" => Self::Protocol,
            "scheme" => Self::Text("url.scheme"),
            "host" => Self::Address("server.address"),
            "server_port" => Self::Int("server.port"),
            "remote_port" => Self::Int("network.peer.port"),
            "status" => Self::Status,
            "body_bytes_sent" => Self::Int("http.response.body.size"),
            "bytes_sent" => Self::Int("http.response.size"),
            "request_length" => Self::Int("http.request.size"),
            "content_length" | "http_content_length" => {
                Self::ClaimedInt("http.request.body.size", "nginx.content_length")
            }
            "request_time" => Self::RequestTime,
            "http_user_agent" => Self::Text("user_agent.original"),
            "http_referer" => Self::Text("http.request.header.referer"),
            "http_x_forwarded_for" => Self::Text("http.request.header.x-forwarded-for"),
            "http_traceparent" => Self::Traceparent,
            "proxy_upstream_name" => Self::DashText("nginx.upstream.name"),
            "proxy_alternative_upstream_name" => Self::DashText("nginx.upstream.alternative_name"),
            "upstream_addr" => Self::UpstreamAddr,
            "upstream_status" => Self::UpstreamStatus,
            "upstream_response_time" => Self::UpstreamTime,
            "upstream_response_length" => Self::UpstreamLength,
            "upstream_connect_time"
            | "upstream_header_time"
            | "upstream_first_byte_time"
            | "upstream_session_time"
            | "upstream_queue_time" => Self::OtherList(format!("nginx.{name}"), Item::Seconds),
            "upstream_bytes_received" | "upstream_bytes_sent" => {
                Self::OtherList(format!("nginx.{name}"), Item::Digits)
            }
            "req_id" | "request_id" => Self::Text("request_id"),
            "hostname" => Self::Text("host.name"),
            "pid" => Self::Int("process.pid"),
            "connection" => Self::Int("nginx.connection"),
            _ => match name.strip_prefix("http_") {
                Some(header) => Self::Header(format!("http.request.header.{}", header.replace('_', "-"))),
                None => Self::Other(format!("nginx.{name}")),
            },
        }
    }

    /// Whether both may set one field of an event.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self == other || self.families().iter().any(|family| other.families().contains(family))
    }

    /// What a variable may set beside others.
    const fn families(&self) -> &'static [&'static str] {
        match self {
            Self::Request => &["method", "path", "query", "version", "server"],
            Self::Method => &["method"],
            Self::RequestUri => &["path", "query", "server"],
            Self::Uri => &["path"],
            Self::Args => &["query"],
            Self::Protocol => &["version"],
            Self::Text(name) | Self::Address(name) | Self::Int(name) => match name.as_bytes() {
                b"url.scheme" | b"server.address" | b"server.port" => &["server"],
                _ => &[],
            },
            _ => &[],
        }
    }

    /// Whether `value` can be this variable's value: cheap, and never wrong about a real one. `attempts` is how
    /// many attempts an upstream list before this one had.
    pub(crate) fn admits(&self, value: &[u8], attempts: Option<usize>) -> bool {
        let number = |text: &[u8]| is_missing(text) || whole(text).is_some();
        match self {
            Self::Text(_)
            | Self::DashText(_)
            | Self::ClaimedInt(..)
            | Self::Request
            | Self::Method
            | Self::Protocol
            | Self::Args
            | Self::Traceparent
            | Self::Header(_)
            | Self::Other(_) => true,
            Self::RequestUri | Self::Uri => is_missing(value) || value[0] == b'/' || is_odd_target(value),
            Self::Int(_) => number(value),
            // With a comma at its end it is an item of a list.
            Self::Address(_) => !value.contains(&b' ') && !value.ends_with(b","),
            Self::TimeLocal => is_clf(value),
            Self::TimeIso8601 => {
                matches!(value, [_, _, _, _, b'-', _, _, b'-', _, _, b'T', ..]) && value.len() == 25
            }
            Self::Msec => value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'),
            // nginx prints at least three digits (`%03ui`), and no status has more.
            Self::Status => is_missing(value) || (value.len() == 3 && value.iter().all(u8::is_ascii_digit)),
            Self::RequestTime => is_missing(value) || seconds_to_ms(value).is_some(),
            Self::UpstreamAddr => List(value).has(attempts, |item| !item.contains(&b' ')),
            Self::UpstreamStatus | Self::UpstreamLength | Self::OtherList(_, Item::Digits) => {
                List(value).has(attempts, number)
            }
            Self::UpstreamTime | Self::OtherList(..) => {
                List(value).has(attempts, |item| is_missing(item) || seconds_to_ms(item).is_some())
            }
        }
    }

    /// Whether any text can be its value.
    pub(crate) const fn is_free_text(&self) -> bool {
        matches!(
            self,
            Self::Text(_)
                | Self::DashText(_)
                | Self::Traceparent
                | Self::ClaimedInt(..)
                | Self::Request
                | Self::Method
                | Self::RequestUri
                | Self::Uri
                | Self::Protocol
                | Self::Args
                | Self::Header(_)
                | Self::Other(_)
        )
    }

    /// Whether it is one of the upstream lists, which have the same length.
    pub(crate) const fn is_list(&self) -> bool {
        matches!(
            self,
            Self::UpstreamAddr
                | Self::UpstreamStatus
                | Self::UpstreamTime
                | Self::UpstreamLength
                | Self::OtherList(..)
        )
    }
}

/// Whether text looks as a time in the Common Log Format.
pub(super) fn is_clf(text: &[u8]) -> bool {
    matches!(text, [_, _, b'/', _, _, _, b'/', _, _, _, _, b':', ..]) && text.len() == 26
}

/// A target that is no path: `*`, or a whole URL.
fn is_odd_target(value: &[u8]) -> bool {
    value == b"*" || (value[0].is_ascii_alphabetic() && memchr::memmem::find(value, b"://").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_the_length_of_the_first() {
        let addr = Variable::UpstreamAddr;
        for good in ["-", "", "a:1", "a:1, b:2 : unix:/x", "[::1]:9106"] {
            assert!(addr.admits(good.as_bytes(), None), "{good}");
        }
        for bad in ["a:1,", "a:1 :", "a b", " "] {
            assert!(!addr.admits(bad.as_bytes(), None), "{bad}");
        }
        assert!(Variable::UpstreamStatus.admits(b"502, -", Some(2)));
        assert!(!Variable::UpstreamStatus.admits(b"200", Some(2)));
        assert!(Variable::UpstreamTime.admits(b"0.001 : -", Some(2)));
    }

    #[test]
    fn names_become_fields() {
        assert_eq!(Variable::of("http_x_real_ip"), Variable::Header("http.request.header.x-real-ip".into()));
        assert_eq!(Variable::of("gzip_ratio"), Variable::Other("nginx.gzip_ratio".into()));
        assert!(Variable::Request.overlaps(&Variable::Method));
        assert!(!Variable::of("host").overlaps(&Variable::of("status")));
    }
}
