//! Configuration values that can't be wrong once they exist.
//!
//! Each type's reading is its check; the error says what is allowed. Where the value stood is added by the
//! file's reader.

use std::{
    borrow::Cow,
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use hivetail_parsers::{ElixirFormat, Format, LogFormat, Timestamp, UrlShapes, envelope::Envelope, names};
use jiff::tz::TimeZone;
use reqwest::Url;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranged<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Ranged<MIN, MAX> {
    /// A default, checked when compiled.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        assert!(value >= MIN && value <= MAX, "a default out of its range");
        Self(value)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// The number, of milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Ranged<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Ranged<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Number{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Ranged<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(RangedVisitor::<MIN, MAX>)
    }
}

struct RangedVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> de::Visitor<'_> for RangedVisitor<MIN, MAX> {
    type Value = Ranged<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        let value = u64::try_from(value).ok().filter(|value| (MIN..=MAX).contains(value));
        value.map(Ranged).ok_or_else(|| E::custom(format!("allowed: {MIN} to {MAX}")))
    }
}

/// The API's address.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct ApiUrl(pub Url);

impl Default for ApiUrl {
    fn default() -> Self {
        Self(Url::parse("https://api.honeycomb.io").expect("a constant"))
    }
}

impl TryFrom<String> for ApiUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = Url::parse(&text).map_err(|error| format!("not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("allowed: an http or https URL with a host".to_owned());
        }
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err("allowed: scheme, host, port and path; no user, query or fragment".to_owned());
        }
        Ok(Self(url))
    }
}

/// Where to listen: an IP address and a port, or a port of 127.0.0.1.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct ListenAddress(pub SocketAddr);

impl TryFrom<String> for ListenAddress {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let port = text.strip_prefix(':').unwrap_or(&text).parse::<u16>().ok();
        let address = port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let address = address.or_else(|| text.parse().ok()).map(Self);
        address.ok_or("allowed: an IP address and a port (\"127.0.0.1:9464\", \"[::1]:9464\"), or a port alone, which means 127.0.0.1")
    }
}

/// A format by its name.
#[derive(Clone, Copy, Debug)]
pub struct FormatName(pub Format);

impl Default for FormatName {
    fn default() -> Self {
        Self(Format::Auto)
    }
}

impl Serialize for FormatName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.name().serialize(serializer)
    }
}

impl JsonSchema for FormatName {
    fn schema_name() -> Cow<'static, str> {
        "FormatName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Format::ALL.map(Format::name) })
    }
}

impl FormatName {
    /// Every name, for people.
    #[must_use]
    pub fn all() -> String {
        Format::ALL.map(Format::name).join(", ")
    }
}

impl<'de> Deserialize<'de> for FormatName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let format = Format::from_name(&name).map(Self);
        format.ok_or_else(|| de::Error::custom(format!("allowed: {}", Self::all())))
    }
}

/// An nginx log format, or a whole `log_format` directive.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct NginxLogFormat(pub LogFormat);

impl TryFrom<String> for NginxLogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        LogFormat::parse(&text).map(Self)
    }
}

/// An Elixir Logger pattern.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct LoggerPattern(pub ElixirFormat);

impl TryFrom<String> for LoggerPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        ElixirFormat::parse(&text).map(Self)
    }
}

/// An envelope by its name.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvelopeName(pub Envelope);

impl Serialize for EnvelopeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.name().serialize(serializer)
    }
}

impl JsonSchema for EnvelopeName {
    fn schema_name() -> Cow<'static, str> {
        "EnvelopeName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Envelope::ALL.map(Envelope::name) })
    }
}

impl EnvelopeName {
    /// Every name, for people.
    #[must_use]
    pub fn all() -> String {
        Envelope::ALL.map(Envelope::name).join(", ")
    }
}

impl<'de> Deserialize<'de> for EnvelopeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let envelope = Envelope::from_name(&name).map(Self);
        envelope.ok_or_else(|| de::Error::custom(format!("allowed: {}", Self::all())))
    }
}

/// A time zone by its IANA name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Zone(TimeZone);

impl Zone {
    /// Its offset from UTC at that instant, in seconds.
    #[must_use]
    pub fn offset_s(&self, at: Timestamp) -> i32 {
        let at = jiff::Timestamp::from_nanosecond(i128::from(at.ns())).unwrap_or_default();
        self.0.to_offset(at).seconds()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl TryFrom<String> for Zone {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let zone = TimeZone::get(&name);
        zone.map(Self).map_err(|_| "allowed: an IANA time zone, such as Europe/Berlin or UTC")
    }
}

/// A pattern of paths or names: `*`, `?`, `[…]`, and `**` for any number of folders.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Glob(pub glob::Pattern);

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Err("allowed: a path, a name or a glob".to_owned());
        }
        glob::Pattern::new(&text).map(Self).map_err(|error| format!("not a glob: {}", error.msg))
    }
}

/// Patterns of paths.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<String>")]
#[schemars(with = "Vec<String>")]
pub struct ShapePatterns(pub UrlShapes);

impl TryFrom<Vec<String>> for ShapePatterns {
    type Error = String;

    fn try_from(patterns: Vec<String>) -> Result<Self, String> {
        UrlShapes::parse(&patterns).map(Self)
    }
}

/// A name that configuration may give to a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct FieldName(pub String);

impl TryFrom<String> for FieldName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.is_empty() || name.len() > 255 {
            return Err("allowed: a name of 1 to 255 bytes");
        }
        if names::is_reserved(name.as_bytes()) {
            return Err("meta.* and log.* are set by the agent itself");
        }
        if names::type_of(name.as_bytes()).is_some_and(|known| known != names::Type::String) {
            return Err("events have that field already, as a number or a boolean");
        }
        Ok(Self(name))
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
