//! `[transform]`, `[redaction]` and `[columns]`: what holds for the events of all sources before they are shipped.

use std::{collections::BTreeSet, path::PathBuf};

use hivetail_parsers::{SecretNames, names::type_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Config, ConfigError, rule::Condition, value::Ranged};
use crate::transform::{Kind, check_redaction, check_rule};

/// `[transform]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Transform {
    /// Which lists of clients set `client.kind`, so that rules and queries can tell those from people.
    pub presets: Vec<Preset>,
    /// What takes more milliseconds is slow: it is shipped whatever a sampler says.
    pub slow_ms: Ranged<0, 86_400_000>,
    /// Seconds: of each `exception.fingerprint`, and of each key of a sampler, one event in so long a time is shipped whatever a sampler
    /// says, the first.
    pub first_window_s: Ranged<1, 2_592_000>,
    /// How many different `url.shape`s a source may have since its start; all others become `/…`.
    pub url_shapes_max: Ranged<1, 1_000_000>,
}

impl Default for Transform {
    fn default() -> Self {
        Self {
            presets: vec![Preset::HealthChecks, Preset::Robots],
            slow_ms: Ranged::new(1_000),
            first_window_s: Ranged::new(3_600),
            url_shapes_max: Ranged::new(2_000),
        }
    }
}

impl Transform {
    /// The clients that are told apart.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let kind = |preset: &Preset| match preset {
            Preset::HealthChecks => Kind::HealthCheck,
            Preset::Robots => Kind::Robot,
        };
        self.presets.iter().map(kind).collect()
    }
}

/// A list of clients that are no people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// What asks only whether the app lives: `client.kind` is `health-check`.
    HealthChecks,
    /// Crawlers and feed fetchers: `client.kind` is `robot`.
    Robots,
}

/// `[redaction]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redaction {
    /// Whose values are `[FILTERED]` wherever they stand under such a name, in queries, headers, JSON, Elixir terms or fields. Words of up to
    /// four letters, and `oauth`, have to be a word of the name (`api_key`, `apiKey`, not `monkey`); longer ones may stand anywhere in it.
    /// `[]` turns it off.
    pub names: Vec<String>,
    /// A file with the key for `action = "hash"`, at least 16 bytes; a line break at its end does not count.
    pub hash_key_file: Option<PathBuf>,
    /// What else is not shipped; every rule whose conditions hold is applied, after all other rules.
    #[schemars(with = "Vec<RedactionRule>")]
    pub rule: Vec<Spanned<RedactionRule>>,
}

impl Default for Redaction {
    fn default() -> Self {
        let names = SecretNames::DEFAULT.iter().map(|name| (*name).to_owned()).collect();
        Self { names, hash_key_file: None, rule: Vec::new() }
    }
}

/// `[[redaction.rule]]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedactionRule {
    /// What it is called in metrics and by `hivetail explain`.
    pub name: String,
    /// For which events; all by default.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Which fields, where a `*` stands for any text; all texts by default, but for ids that tie events together.
    #[serde(default)]
    pub fields: Vec<String>,
    /// What is done to them.
    pub action: Action,
    /// mask: a regular expression; what it matches becomes `[FILTERED]`, or only its group `secret` if it has one.
    pub pattern: Option<String>,
}

/// What a redaction rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Takes the field out.
    Drop,
    /// Puts the HMAC-SHA-256 of the value in its place, as 64 hex digits: the same value has the same hash.
    Hash,
    /// Puts 0 in the place of what tells a single host in IP addresses: the last byte of IPv4 (/24), all after /48 of IPv6.
    MaskIp,
    /// Puts `[FILTERED]` in the place of e-mail addresses.
    MaskEmail,
    /// Puts `[FILTERED]` in the place of what may be the number of a payment card.
    MaskCard,
    /// Puts `[FILTERED]` in the place of what `pattern` matches.
    Mask,
}

/// `[columns]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// How many different names that input gave to fields a dataset may have since the start; what else comes is put into `field.overflow`,
    /// as JSON.
    pub max: Ranged<1, 100_000>,
    /// If given, only names that match one of these become columns; all others are put into `field.overflow`. A `*` stands for any text.
    pub allow: Vec<String>,
    /// Names of fields that are not shipped at all, whoever named them. A `*` stands for any text.
    pub deny: Vec<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Self { max: Ranged::new(1_000), allow: Vec::new(), deny: Vec::new() }
    }
}

impl Config {
    /// What is wrong with a rule, whosever it is.
    pub(super) fn check_rules(&self, file: &str, text: &str) -> Result<(), ConfigError> {
        let wrong = |start, key: &str, wrong: &str| Err(ConfigError::at(file, text, start, key, wrong));
        let own = self.source.iter().enumerate().flat_map(|(source, table)| {
            let rules = table.get_ref().rule.iter().enumerate();
            rules.map(move |(index, rule)| (format!("source[{source}].rule[{index}]"), rule))
        });
        let global = self.rule.iter().enumerate().map(|(index, rule)| (format!("rule[{index}]"), rule));
        let mut names = BTreeSet::new();
        for (key, rule) in own.chain(global) {
            let start = rule.span().start;
            if let Err(why) = check_rule(rule.get_ref()) {
                return wrong(start, &key, &why);
            }
            if !names.insert(&rule.get_ref().name) {
                let why = format!("another rule is called \"{}\", too", rule.get_ref().name);
                return wrong(start, &key, &why);
            }
        }
        let mut names = BTreeSet::new();
        for (index, rule) in self.redaction.rule.iter().enumerate() {
            if !names.insert(&rule.get_ref().name) {
                let why = format!("another redaction rule is called \"{}\", too", rule.get_ref().name);
                return wrong(rule.span().start, &format!("redaction.rule[{index}]"), &why);
            }
            if let Err(why) = check_redaction(rule.get_ref(), self.redaction.hash_key_file.is_some()) {
                return wrong(rule.span().start, &format!("redaction.rule[{index}]"), &why);
            }
        }
        for (index, source) in self.source.iter().enumerate() {
            let (start, source) = (source.span().start, source.get_ref());
            let known = source.types.keys().find(|name| type_of(name.as_bytes()).is_some());
            if let Some(name) = known {
                let why = format!("`types`: `{name}` has its type already, as all events have it");
                return wrong(start, &format!("source[{index}]"), &why);
            }
        }
        Ok(())
    }
}
