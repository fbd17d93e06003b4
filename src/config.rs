//! The configuration file: as written (this module's structs) and its errors.
//!
//! Takes TOML, gives values that can't be wrong: every number is in its range and every name is one we know, or
//! the error says the file, the line, the key, the value and what is allowed. Read by `main` and `pipeline`
//! only; each stage is given its own part.

mod error;
mod join;
mod value;

use std::path::PathBuf;

use hivetail_parsers::Format;
use serde::Deserialize;
use toml::Spanned;

use crate::{dataset::Template, deliver::compress::Compression};
pub use error::ConfigError;
pub use join::{Join, JoinTable};
pub use value::{
    ApiUrl, EnvelopeName, FieldName, FormatName, Glob, LoggerPattern, NginxLogFormat, Ranged, Zone,
};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
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
    /// Where lines come from.
    pub source: Vec<Spanned<Source>>,
}

/// `[honeycomb]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Honeycomb {
    /// The API: Honeycomb's US or EU host, Refinery, or hive.
    pub api_url: ApiUrl,
    /// A file that holds the key alone. Without it: the systemd credential `honeycomb_api_key`, or the
    /// environment's `HONEYCOMB_API_KEY`.
    pub api_key_file: Option<PathBuf>,
    /// Which dataset an event goes to: text with `{field}` in it.
    pub dataset: Dataset,
    /// How bodies are compressed.
    pub compression: Compression,
}

/// `[state]`
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deliver {
    /// Requests at once.
    pub concurrency: Ranged<1, 64>,
    /// Milliseconds for one request, from its start to the answer's end.
    pub timeout_ms: Ranged<100, 600_000>,
}

impl Default for Deliver {
    fn default() -> Self {
        Self { concurrency: Ranged::new(4), timeout_ms: Ranged::new(60_000) }
    }
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of everything between read and final outcome.
    pub memory_bytes: Ranged<1_000_000, 1_099_511_627_776>,
    /// Bytes of a line; a longer one keeps its head.
    pub line_bytes: Ranged<1_024, 16_777_216>,
    /// Milliseconds that stopping may take.
    pub shutdown_ms: Ranged<100, 3_600_000>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: Ranged::new(16_777_216),
            line_bytes: Ranged::new(1_048_576),
            shutdown_ms: Ranged::new(10_000),
        }
    }
}

/// How many fields a source may add to each event, and how many bytes their values may take.
const FIELDS_MAX: usize = 100;
const FIELDS_BYTES_MAX: usize = 65_536;

/// What kind of source it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceType {
    /// Files that grow.
    File,
    /// Standard input.
    Stdin,
}

/// `[[source]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What kind it is.
    #[serde(rename = "type")]
    pub kind: SourceType,
    /// Files and globs, for a file source.
    #[serde(default)]
    pub paths: Vec<Glob>,
    /// Globs of paths, or of names alone, that are not followed.
    #[serde(default)]
    pub exclude: Vec<Glob>,
    /// The layer that a platform put round each line.
    #[serde(default)]
    pub envelope: EnvelopeName,
    /// What the lines are.
    #[serde(default)]
    pub format: FormatName,
    /// What an nginx access line consists of, as in nginx's `log_format`; only with `format = "nginx"`.
    pub log_format: Option<NginxLogFormat>,
    /// Instead: nginx's configuration file, which is read at start, what it includes as well …
    pub log_format_file: Option<PathBuf>,
    /// … and the name of the format in it.
    pub log_format_name: Option<String>,
    /// What an Elixir Logger line consists of, as in Logger's own `format:`; only with `format = "phoenix"`.
    pub elixir_format: Option<LoggerPattern>,
    /// The zone of times written without one.
    #[serde(default)]
    pub timezone: Zone,
    /// Which lines belong together.
    pub join: Option<Join>,
    /// Whether what Phoenix logs of a request becomes one event.
    #[serde(default = "yes")]
    pub join_requests: bool,
    /// Whether each query inside a request is an event, too.
    #[serde(default)]
    pub query_events: bool,
    /// Seconds that a request without an answer is waited for.
    #[serde(default = "window_s")]
    pub request_window_s: Ranged<1, 86_400>,
    /// Milliseconds that the rest of a line is waited for which a platform has split.
    #[serde(default = "partial_timeout_ms")]
    pub partial_timeout_ms: Ranged<10, 3_600_000>,
    /// Names whose values are not shipped, beside password, token and secret, as in Phoenix' own `filter_parameters`.
    #[serde(default)]
    pub filter_parameters: Vec<String>,
    /// Becomes `service.name`.
    pub service: Option<String>,
    /// Instead of `[honeycomb] dataset`.
    pub dataset: Option<Dataset>,
    /// Fields that every event gets.
    #[serde(default)]
    pub fields: std::collections::BTreeMap<FieldName, String>,
}

const fn yes() -> bool {
    true
}

const fn window_s() -> Ranged<1, 86_400> {
    Ranged::new(600)
}

const fn partial_timeout_ms() -> Ranged<10, 3_600_000> {
    Ranged::new(5_000)
}

impl Source {
    /// A source of that kind with everything else as by default.
    #[must_use]
    pub fn new(kind: SourceType) -> Self {
        Self {
            kind,
            paths: Vec::new(),
            exclude: Vec::new(),
            envelope: EnvelopeName::default(),
            format: FormatName::default(),
            log_format: None,
            log_format_file: None,
            log_format_name: None,
            elixir_format: None,
            timezone: Zone::default(),
            join: None,
            join_requests: yes(),
            query_events: false,
            request_window_s: window_s(),
            partial_timeout_ms: partial_timeout_ms(),
            filter_parameters: Vec::new(),
            service: None,
            dataset: None,
            fields: std::collections::BTreeMap::new(),
        }
    }

    /// Keys that do not go together.
    fn contradiction(&self) -> Option<&'static str> {
        let file_keys = self.log_format_file.is_some() || self.log_format_name.is_some();
        let any_log_format = self.log_format.is_some() || file_keys;
        Some(match self.kind {
            SourceType::File if self.paths.is_empty() => "a file source needs `paths`",
            SourceType::Stdin if !self.paths.is_empty() => "`paths` are for a file source",
            SourceType::Stdin if !self.exclude.is_empty() => "`exclude` is for a file source",
            _ if any_log_format && self.format.0 != Format::Nginx => {
                "`log_format` needs `format = \"nginx\"`"
            }
            _ if self.elixir_format.is_some() && self.format.0 != Format::Phoenix => {
                "`elixir_format` needs `format = \"phoenix\"`"
            }
            _ if self.log_format.is_some() && file_keys => {
                "`log_format` and `log_format_file` exclude each other"
            }
            _ if self.log_format_file.is_some() != self.log_format_name.is_some() => {
                "`log_format_file` and `log_format_name` go together"
            }
            _ if self.service.is_some() && self.fields.keys().any(|name| name.0 == "service.name") => {
                "`service` and a field `service.name` are the same"
            }
            _ if self.fields.len() > FIELDS_MAX => "at most 100 `fields`",
            _ if self.fields.values().map(String::len).sum::<usize>() > FIELDS_BYTES_MAX => {
                "the values of all `fields` take at most 65,536 bytes"
            }
            _ => return self.join_contradiction(),
        })
    }

    /// The fields that all its events have, `service.name` among them.
    #[must_use]
    pub fn constants(&self) -> Vec<(String, String)> {
        let service = self.service.iter().map(|service| ("service.name".to_owned(), service.clone()));
        let fields = self.fields.iter().map(|(name, value)| (name.0.clone(), value.clone()));
        service.chain(fields).filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// A dataset's template, as a configuration value.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
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
    /// Reads the file's text; `file` is its name, for errors.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let deserializer =
            toml::Deserializer::parse(text).map_err(|error| ConfigError::syntax(file, text, &error))?;
        let config: Self = serde_path_to_error::deserialize(deserializer)
            .map_err(|error| ConfigError::value(file, text, &error.path().to_string(), error.inner()))?;
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
            if let Some(wrong) = source.get_ref().contradiction() {
                let key = format!("source[{index}]");
                return Err(ConfigError::at(file, text, source.span().start, &key, wrong));
            }
        }
        self.plan().map(|_| ()).map_err(|minimum| {
            let memory = self.limits.memory_bytes.get();
            let why = format!("too small for these sources and this batch.max_bytes: at least {minimum}");
            ConfigError::key(file, text, "limits.memory_bytes", &memory.to_string(), &why)
        })
    }

    /// How the memory is divided, or how much would be needed.
    ///
    /// # Errors
    /// The least `memory_bytes` that would do.
    pub fn plan(&self) -> Result<crate::budget::Plan, usize> {
        let body_bytes_max = self.batch.max_bytes.get().max(crate::encode::EVENT_BYTES_MAX + 2);
        crate::budget::Plan::new(
            self.limits.memory_bytes.get(),
            self.source.len(),
            self.limits.line_bytes.get(),
            body_bytes_max,
        )
    }
}
