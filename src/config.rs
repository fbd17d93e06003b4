//! The configuration file: as written (this module's structs) and its errors.
//!
//! Takes TOML, gives values that can't be wrong: every number is in its range and every name is one we know, or
//! the error says the file, the line, the key, the value and what is allowed. Read by `main` and `pipeline`
//! only; each stage is given its own part.

mod error;
mod join;
mod log_formats;
mod nats;
pub mod reference;
mod route;
pub(crate) mod rule;
pub(crate) mod sampler;
mod source;
pub(crate) mod transform;
pub(crate) mod value;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::{
    dataset::Template,
    deliver::{compress::Compression, http::HttpSettings},
};
pub use error::ConfigError;
pub use join::{Join, JoinTable};
pub use log_formats::NamedLogFormat;
pub use nats::{JetStream, NatsUrl, Subject};
pub use route::{Pick, Route, Variant};
pub use rule::{Datatype, Rule};
pub use source::{Source, SourceType, Start};
pub use transform::{Columns, Redaction, RedactionRule, Transform};
pub use value::{
    ApiUrl, EnvelopeName, FieldName, FormatName, Glob, ListenAddress, LoggerPattern, NginxLogFormat, Ranged,
    Zone,
};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where events go.
    pub honeycomb: Honeycomb,
    /// Where the agent keeps what must outlive it.
    pub state: State,
    /// When a batch is sealed.
    pub batch: Batch,
    /// How batches are sent.
    pub deliver: Deliver,
    /// Bounds.
    pub limits: Limits,
    /// What is kept of inputs that can't be read again.
    pub spool: SpoolLimits,
    /// Where the agent can be asked how it fares.
    pub admin: Admin,
    /// What clients are, and what is never sampled.
    pub transform: Transform,
    /// What is taken out of events.
    pub redaction: Redaction,
    /// Which names that input gives to fields become columns.
    pub columns: Columns,
    /// What is dropped, thinned out or changed, of all sources: the first rule that is for an event counts, and those of its source
    /// come before these.
    #[schemars(with = "Vec<Rule>")]
    pub rule: Vec<Spanned<Rule>>,
    /// Where lines come from.
    #[schemars(with = "Vec<Source>")]
    pub source: Vec<Spanned<Source>>,
}

/// `[honeycomb]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Honeycomb {
    /// The API: Honeycomb's US host by default, its EU host, Refinery, or hive.
    pub api_url: ApiUrl,
    /// A file that holds the key alone. Without it: the systemd credential `honeycomb_api_key`, or the
    /// environment's `HONEYCOMB_API_KEY`.
    pub api_key_file: Option<PathBuf>,
    /// Which dataset an event goes to: text with `{field}` in it, by default `{service.name}`.
    pub dataset: Dataset,
    /// How bodies are compressed.
    pub compression: Compression,
}

/// `[state]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// The directory for checkpoints.
    pub dir: PathBuf,
}

impl Default for State {
    fn default() -> Self {
        Self { dir: PathBuf::from("/var/lib/hivetail") }
    }
}

/// `[batch]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// Uncompressed bytes of a body (Honeycomb takes 5,000,000).
    pub max_bytes: Ranged<1_000, 5_000_000>,
    /// Milliseconds that an event waits for others.
    pub max_age_ms: Ranged<1, 60_000>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { max_bytes: Ranged::new(1_000_000), max_age_ms: Ranged::new(1_000) }
    }
}

/// `[deliver]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Deliver {
    /// Requests at once.
    pub concurrency: Ranged<1, 64>,
    /// Milliseconds for one request, from its start to the answer's end.
    pub timeout_ms: Ranged<100, 600_000>,
    /// Certificates to trust beside the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether the other end's certificate is verified.
    pub tls_verify: bool,
}

impl Default for Deliver {
    fn default() -> Self {
        Self { concurrency: Ranged::new(4), timeout_ms: Ranged::new(60_000), ca_file: None, tls_verify: true }
    }
}

/// `[spool]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolLimits {
    /// Bytes of all batches on the disk; never more than a tenth of the disk.
    pub max_bytes: Ranged<0, 1_099_511_627_776>,
    /// What is done when there is no room for another.
    pub when_full: WhenFull,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self { max_bytes: Ranged::new(1_073_741_824), when_full: WhenFull::Block }
    }
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Whether there is `admin.sock` in the state directory.
    pub socket: bool,
    /// A TCP address to answer at, too.
    pub listen: Option<ListenAddress>,
    /// Seconds after which the agent is not ready if nothing was taken though there was something to send.
    pub unready_after_s: Ranged<1, 86_400>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { socket: true, listen: None, unready_after_s: Ranged::new(300) }
    }
}

/// `when_full`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// Reading waits, and in the end whoever writes.
    #[default]
    Block,
    /// The oldest batch makes room, and is counted.
    Drop,
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of everything between read and final outcome.
    pub memory_bytes: Ranged<1_000_000, 1_099_511_627_776>,
    /// Bytes of a line; a longer one keeps its head.
    pub line_bytes: Ranged<1_024, 16_777_216>,
    /// Milliseconds that stopping may take.
    pub shutdown_ms: Ranged<100, 3_600_000>,
    /// For each source: deleted files that are kept open until they are shipped.
    pub unlinked_files: Ranged<0, 10_000>,
    /// For each source: bytes of such files, and of their copies in the state directory.
    pub unlinked_bytes: Ranged<0, 1_099_511_627_776>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: Ranged::new(16_777_216),
            line_bytes: Ranged::new(1_048_576),
            shutdown_ms: Ranged::new(10_000),
            unlinked_files: Ranged::new(64),
            unlinked_bytes: Ranged::new(1_073_741_824),
        }
    }
}

/// A dataset's template, as a configuration value.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Dataset(pub Template);

impl TryFrom<String> for Dataset {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Template::parse(&text).map(Self)
    }
}

impl Default for Dataset {
    fn default() -> Self {
        Self(Template::field("service.name"))
    }
}

impl Config {
    /// How connections are made.
    #[must_use]
    pub fn http(&self) -> HttpSettings {
        let mut formats: Vec<&str> =
            self.source.iter().map(|source| source.get_ref().format.0.name()).collect();
        formats.sort_unstable();
        formats.dedup();
        HttpSettings {
            timeout: self.deliver.timeout_ms.as_ms(),
            concurrency: self.deliver.concurrency.get(),
            ca_file: self.deliver.ca_file.clone(),
            tls_verify: self.deliver.tls_verify,
            formats: formats.join(", "),
        }
    }

    /// Whether the oldest batch makes room in a full spool: nobody who publishes to NATS waits for us.
    #[must_use]
    pub fn drops_from_spool(&self) -> bool {
        let is_core_nats = |source: &Source| source.kind == SourceType::Nats && source.jetstream.is_none();
        self.spool.when_full == WhenFull::Drop
            || self.source.iter().any(|source| is_core_nats(source.get_ref()))
    }

    /// Reads the file's text; `file` is its name, for errors.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let deserializer =
            toml::Deserializer::parse(text).map_err(|error| ConfigError::syntax(file, text, &error))?;
        let mut config: Self = serde_path_to_error::deserialize(deserializer)
            .map_err(|error| ConfigError::value(file, text, &error.path().to_string(), error.inner()))?;
        config.source.iter_mut().for_each(|source| source.get_mut().complete());
        config.check(file, text)?;
        Ok(config)
    }

    /// What no single value can tell.
    fn check(&self, file: &str, text: &str) -> Result<(), ConfigError> {
        if self.source.is_empty() {
            return Err(ConfigError::whole(file, "no [[source]]: say where the lines come from"));
        }
        let stdin = |source: &&Spanned<Source>| source.get_ref().kind == SourceType::Stdin;
        if let Some(second) = self.source.iter().filter(stdin).nth(1) {
            return Err(ConfigError::at(
                file,
                text,
                second.span().start,
                "source",
                "stdin can be read by one source only",
            ));
        }
        for (index, source) in self.source.iter().enumerate() {
            let same = |other: &&Spanned<Source>| other.get_ref().reads_same_journal(source.get_ref());
            if self.source[..index].iter().any(|other| same(&other)) {
                let wrong = "there is another journald source with the same `units` and `journal_dir`";
                return Err(ConfigError::at(
                    file,
                    text,
                    source.span().start,
                    &format!("source[{index}]"),
                    wrong,
                ));
            }
            let at = |start, key: &str, wrong| Err(ConfigError::at(file, text, start, key, wrong));
            if let Some(wrong) = source.get_ref().contradiction() {
                return at(source.span().start, &format!("source[{index}]"), wrong);
            }
            if let Some((route, start, wrong)) = source.get_ref().route_contradiction() {
                return at(start, &format!("source[{index}].route[{route}]"), wrong);
            }
        }
        self.check_rules(file, text)?;
        self.plan().map(|_| ()).map_err(|minimum| {
            let memory = self.limits.memory_bytes.get();
            let why = format!(
                "too small for these sources, their routes and this batch.max_bytes: at least {minimum}"
            );
            ConfigError::key(file, text, "limits.memory_bytes", &memory.to_string(), &why)
        })
    }

    /// How the memory is divided, or how much would be needed. Each variant of a source has a read buffer of its own.
    ///
    /// # Errors
    /// The least `memory_bytes` that would do.
    pub fn plan(&self) -> Result<crate::budget::Plan, usize> {
        let body_bytes_max = self.batch.max_bytes.get().max(crate::encode::EVENT_BYTES_MAX + 2);
        crate::budget::Plan::new(
            self.limits.memory_bytes.get(),
            self.source.iter().map(|source| source.get_ref().variant_count()).sum(),
            self.limits.line_bytes.get(),
            body_bytes_max,
        )
    }
}
