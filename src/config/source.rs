//! `[[source]]`: where lines come from and what they are.
//!
//! Takes a table as written, gives a source whose keys go together, or says which do not. What may differ from
//! container to container is in [`super::route`].

use std::{collections::BTreeMap, path::PathBuf};

use hivetail_parsers::{Format, envelope::Envelope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{
    Dataset, Join,
    nats::{JetStream, NatsUrl, Subject},
    route::Route,
    rule::{Datatype, Rule},
    value::{
        EnvelopeName, FieldName, FormatName, Glob, LoggerPattern, NginxLogFormat, Ranged, ShapePatterns, Zone,
    },
};
use crate::source::kubernetes;

/// Where kubelet keeps the logs of a node's containers.
const PODS: &str = "/var/log/pods/*/*/*.log";
const SERVICE: &str = "service.name";
/// How many fields a source may add to each event, and how many bytes their values may take.
const FIELDS_MAX: usize = 100;
const FIELDS_BYTES_MAX: usize = 65_536;

/// What kind of source it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceType {
    /// Files that grow.
    File,
    /// The containers' log files of a Kubernetes node.
    Kubernetes,
    /// Standard input.
    Stdin,
    /// Subjects of a NATS server, such as Fly's log stream.
    Nats,
    /// The journal of systemd.
    Journald,
}

/// Where in a file to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With its first line.
    #[default]
    Beginning,
    /// With the first line after those that are there.
    End,
}

/// `[[source]]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What kind it is.
    #[serde(rename = "type")]
    pub kind: SourceType,
    /// Files and globs, for a file or kubernetes source.
    #[serde(default)]
    pub paths: Vec<Glob>,
    /// Globs of paths, or of names alone, that are not followed.
    #[serde(default)]
    pub exclude: Vec<Glob>,
    /// Where files are begun that are there at the first start of all.
    #[serde(default)]
    pub start: Start,
    /// Seconds: files that were not written to for so long when the agent starts, and are new to it, are begun at their
    /// end.
    pub ignore_older_s: Option<Ranged<1, 3_155_760_000>>,
    /// Whether to look at the files each second instead of waiting for news of them.
    #[serde(default)]
    pub poll: bool,
    /// Folders that links may lead into, beside those of the patterns, /var/log and /var/lib/docker/containers.
    #[serde(default)]
    pub link_roots: Vec<PathBuf>,
    /// The layer that a platform put round each line; `fly` of a nats source, `cri` or `docker` of a kubernetes source.
    #[serde(default)]
    pub envelope: EnvelopeName,
    /// What the lines are.
    #[serde(default)]
    pub format: FormatName,
    /// What an nginx access line consists of, as in nginx's `log_format`; only with `format = "nginx"`.
    pub log_format: Option<NginxLogFormat>,
    /// Instead of `log_format`: nginx's configuration file, which is read at start, what it includes as well.
    pub log_format_file: Option<PathBuf>,
    /// The name of the format in `log_format_file`.
    pub log_format_name: Option<String>,
    /// What an Elixir Logger line consists of, as in Logger's own `format:`; only with `format = "phoenix"`.
    pub elixir_format: Option<LoggerPattern>,
    /// The zone of times written without one; UTC by default.
    #[serde(default)]
    pub timezone: Zone,
    /// Which lines belong together.
    pub join: Option<Join>,
    /// Whether what Phoenix logs of a request becomes one event, as it does by default.
    pub join_requests: Option<bool>,
    /// Whether each query inside a request is an event, too.
    #[serde(default)]
    pub query_events: bool,
    /// Seconds that a request without an answer is waited for.
    #[serde(default = "window_s")]
    pub request_window_s: Ranged<1, 86_400>,
    /// Milliseconds that the rest of a line is waited for: of one that a platform has split, 5,000 by default; of one in
    /// the making in a live file, for ever by default.
    pub partial_timeout_ms: Option<Ranged<10, 3_600_000>>,
    /// Names whose values are not shipped, as in Phoenix' own `filter_parameters`, beside those that contain password, secret, token,
    /// session, signature, cookie, credential or authorization, or have key, auth, sig, pwd or jwt as a word.
    #[serde(default)]
    pub filter_parameters: Vec<String>,
    /// Patterns of paths, such as `/podcast/:slug` and `/files/*`: the first that a path matches is its `url.shape`, and what stands for
    /// `:slug` becomes `url.param.slug`. `*` is one segment, or at the end one or more. Other paths have the shape that their
    /// numbers, UUIDs and long tokens give them. What stands for a secret's name, `/reset/:token`, is not shipped, wherever the path is.
    #[serde(default)]
    pub url_shapes: ShapePatterns,
    /// Parameters of queries that become `url.param.<name>`.
    #[serde(default)]
    pub url_params: Vec<String>,
    /// Types of fields that lines name themselves: `{ user_id = "string" }`. What can't be read so is kept as text in `field.<name>`.
    #[serde(default)]
    pub types: BTreeMap<String, Datatype>,
    /// Which field holds the number of events that a line stands for, since whoever wrote it has sampled already. It is taken out
    /// and becomes the event's `samplerate`.
    pub presampled: Option<String>,
    /// Becomes `service.name`.
    pub service: Option<String>,
    /// Instead of `[honeycomb] dataset`.
    pub dataset: Option<Dataset>,
    /// Fields that every event gets.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub fields: BTreeMap<FieldName, String>,
    /// Which units, for a journald source; all by default.
    #[serde(default)]
    pub units: Vec<String>,
    /// Where the journal's files are, if not where systemd has them.
    pub journal_dir: Option<PathBuf>,
    /// The server, for a nats source: `nats://` or `tls://`, a host and a port.
    pub url: Option<NatsUrl>,
    /// Which subjects; `logs.>` by default.
    #[serde(default)]
    pub subjects: Vec<Subject>,
    /// Agents of the same group share the messages.
    pub queue_group: Option<String>,
    /// The user; at Fly the organisation.
    pub user: Option<String>,
    /// A file that holds the password alone. Without it: the systemd credential `nats_password`, or `NATS_PASSWORD`.
    pub password_file: Option<PathBuf>,
    /// A file that holds a token alone. Without it, and without `user`: `nats_token`, or `NATS_TOKEN`.
    pub token_file: Option<PathBuf>,
    /// A `.creds` file: a JWT and its seed.
    pub creds_file: Option<PathBuf>,
    /// A file that holds an nkey's seed.
    pub nkey_file: Option<PathBuf>,
    /// Certificates to trust beside the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Reads a stream that the server keeps, instead of what is published at the moment.
    pub jetstream: Option<JetStream>,
    /// Seconds without a message after which the connection is made anew; 300 by default.
    pub silence_timeout_s: Option<Ranged<1, 86_400>>,
    /// What is different for some containers of a kubernetes source, or some apps of a nats source: the first one that
    /// matches.
    #[serde(default)]
    #[schemars(with = "Vec<Route>")]
    pub route: Vec<Spanned<Route>>,
    /// What is dropped, thinned out or changed: the first rule that is for an event counts.
    #[serde(default)]
    #[schemars(with = "Vec<Rule>")]
    pub rule: Vec<Spanned<Rule>>,
}

const fn window_s() -> Ranged<1, 86_400> {
    Ranged::new(600)
}

impl Source {
    /// A source of that kind with everything else as by default.
    #[must_use]
    pub fn new(kind: SourceType) -> Self {
        let mut source = Self {
            kind,
            paths: Vec::new(),
            exclude: Vec::new(),
            start: Start::default(),
            ignore_older_s: None,
            poll: false,
            link_roots: Vec::new(),
            envelope: EnvelopeName::default(),
            format: FormatName::default(),
            log_format: None,
            log_format_file: None,
            log_format_name: None,
            elixir_format: None,
            timezone: Zone::default(),
            join: None,
            join_requests: None,
            query_events: false,
            request_window_s: window_s(),
            partial_timeout_ms: None,
            filter_parameters: Vec::new(),
            service: None,
            dataset: None,
            fields: BTreeMap::new(),
            units: Vec::new(),
            journal_dir: None,
            url: None,
            subjects: Vec::new(),
            queue_group: None,
            user: None,
            password_file: None,
            token_file: None,
            creds_file: None,
            nkey_file: None,
            ca_file: None,
            jetstream: None,
            silence_timeout_s: None,
            route: Vec::new(),
            rule: Vec::new(),
            url_shapes: ShapePatterns::default(),
            url_params: Vec::new(),
            types: BTreeMap::new(),
            presampled: None,
        };
        source.complete();
        source
    }

    /// Sets what some kinds of sources have by default and others have not.
    pub(super) fn complete(&mut self) {
        match self.kind {
            SourceType::Kubernetes => self.complete_kubernetes(),
            SourceType::Nats => self.complete_nats(),
            SourceType::Journald => self.envelope.0 = Envelope::Journald,
            SourceType::File | SourceType::Stdin => {}
        }
    }

    fn complete_kubernetes(&mut self) {
        if self.paths.is_empty() {
            self.paths = Glob::try_from(PODS.to_owned()).into_iter().collect();
        }
        if self.envelope.0 == Envelope::None {
            self.envelope.0 = Envelope::Cri;
        }
    }

    /// Keys that do not go together.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let file_keys = self.log_format_file.is_some() || self.log_format_name.is_some();
        let any_log_format = self.log_format.is_some() || file_keys;
        Some(match self.kind {
            SourceType::File if self.paths.is_empty() => "a file source needs `paths`",
            SourceType::Stdin | SourceType::Nats | SourceType::Journald if !self.paths.is_empty() => {
                "`paths` are for a file or kubernetes source"
            }
            SourceType::Stdin | SourceType::Nats | SourceType::Journald if !self.exclude.is_empty() => {
                "`exclude` is for a file or kubernetes source"
            }
            SourceType::Stdin | SourceType::Nats if self.has_file_keys() => {
                "`start`, `ignore_older_s`, `poll` and `link_roots` are for a file or kubernetes source"
            }
            SourceType::Kubernetes if !matches!(self.envelope.0, Envelope::Cri | Envelope::Docker) => {
                "`envelope` of a kubernetes source is told line by line, cri or docker: leave it out"
            }
            SourceType::Journald if self.has_tailing_keys() => {
                "`ignore_older_s`, `poll` and `link_roots` are for a file or kubernetes source"
            }
            SourceType::Journald
                if self.units.iter().any(|unit| unit.is_empty() || unit.starts_with('-')) =>
            {
                "`units` are names of units, or patterns of them"
            }
            SourceType::File | SourceType::Kubernetes | SourceType::Stdin | SourceType::Nats
                if !self.units.is_empty() || self.journal_dir.is_some() =>
            {
                "`units` and `journal_dir` are for a journald source"
            }
            SourceType::File | SourceType::Stdin | SourceType::Journald if !self.route.is_empty() => {
                "`route` is for a kubernetes or nats source"
            }
            SourceType::Nats if self.nats_contradiction().is_some() => return self.nats_contradiction(),
            SourceType::File | SourceType::Kubernetes | SourceType::Stdin | SourceType::Journald
                if self.has_nats_keys() =>
            {
                "`url`, `subjects`, `queue_group`, `user`, `password_file`, `token_file`, `creds_file`, `nkey_file`, `ca_file`, \
                 `jetstream` and `silence_timeout_s` are for a nats source"
            }
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
            _ if self.service.is_some() && self.fields.keys().any(|name| name.0 == SERVICE) => {
                "`service` and a field `service.name` are the same"
            }
            _ if self.fields.len() > FIELDS_MAX => "at most 100 `fields`",
            _ if self.fields.values().map(String::len).sum::<usize>() > FIELDS_BYTES_MAX => {
                "the values of all `fields` take at most 65,536 bytes"
            }
            _ => return self.join_contradiction(),
        })
    }

    /// Whether what it reads can be read again by the next start.
    #[must_use]
    pub fn is_replayable(&self) -> bool {
        match self.kind {
            SourceType::File | SourceType::Kubernetes | SourceType::Journald => true,
            SourceType::Stdin => false,
            SourceType::Nats => self.jetstream.is_some(),
        }
    }

    /// Whether both would keep the same cursor.
    pub(super) fn reads_same_journal(&self, other: &Self) -> bool {
        let is_journal = |source: &Self| source.kind == SourceType::Journald;
        is_journal(self)
            && is_journal(other)
            && (&self.units, &self.journal_dir) == (&other.units, &other.journal_dir)
    }

    fn has_file_keys(&self) -> bool {
        self.has_tailing_keys() || self.start != Start::default()
    }

    fn has_tailing_keys(&self) -> bool {
        !self.link_roots.is_empty() || self.ignore_older_s.is_some() || self.poll
    }

    /// The fields that all its events have, `service.name` among them.
    #[must_use]
    pub fn constants(&self) -> Vec<(String, String)> {
        let service = self.service.iter().map(|service| (SERVICE.to_owned(), service.clone()));
        let fields = self.fields.iter().map(|(name, value)| (name.0.clone(), value.clone()));
        service.chain(fields).filter(|(_, value)| !value.is_empty()).collect()
    }

    /// Its own rules.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        self.rule.iter().map(|rule| rule.get_ref().clone()).collect()
    }

    /// The names of fields that lines can't set, since configuration does, or where the lines come from.
    #[must_use]
    pub fn reserved(&self) -> Vec<String> {
        let mut names: Vec<String> = self.constants().into_iter().map(|(name, _)| name).collect();
        if self.kind == SourceType::Kubernetes {
            names.extend(kubernetes::NAMES.map(str::to_owned));
        }
        names
    }
}
