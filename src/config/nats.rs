//! The keys of a nats source.
//!
//! Scaling past one machine is done on NATS itself: agents that take disjoint `subjects` see all lines of an app or a
//! region, so joins work; agents of one `queue_group` see single messages, so they don't.

use std::path::PathBuf;

use hivetail_parsers::envelope::Envelope;
use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Join, Source};

/// All of Fly's log subjects: `logs.<app>.<region>.<machine>`.
const ALL_LOGS: &str = "logs.>";

/// Where a NATS server is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct NatsUrl(pub Url);

impl TryFrom<String> for NatsUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = Url::parse(&text).map_err(|error| format!("not a URL: {error}"))?;
        if !matches!(url.scheme(), "nats" | "tls") || url.host().is_none() {
            return Err("allowed: nats://HOST:PORT or tls://HOST:PORT".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("no user here: there is `user` with `password_file`, and `token_file`".to_owned());
        }
        Ok(Self(url))
    }
}

/// A subject, which may have `*` for one of its parts and `>` for all that follow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Subject(pub String);

impl TryFrom<String> for Subject {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts: Vec<&str> = text.split('.').collect();
        let bad = |part: &&str| part.is_empty() || part.chars().any(|c| c.is_whitespace() || c.is_control());
        let wild = |part: &&str| part.len() > 1 && part.contains(['*', '>']);
        let follows = parts.iter().position(|part| *part == ">").is_some_and(|at| at + 1 < parts.len());
        if parts.iter().any(|part| bad(part) || wild(part)) || follows {
            return Err(
                "allowed: parts with dots between them; `*` is any one part, `>` at the end all that follow",
            );
        }
        Ok(Self(text))
    }
}

/// A stream that the server keeps, and how far this agent has read it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JetStream {
    /// The stream's name.
    pub stream: String,
    /// The durable consumer's; only one agent reads it at a time.
    pub durable: String,
}

impl Subject {
    /// Whether all of the other's messages are this one's, too.
    fn covers(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(part)) if part != ">" => {}
                (Some(one), Some(part)) if one == part => {}
                _ => return false,
            }
        }
    }
}

impl Source {
    /// Sets what a nats source has by default.
    pub(super) fn complete_nats(&mut self) {
        if self.subjects.is_empty() {
            self.subjects.push(Subject(ALL_LOGS.to_owned()));
        }
        if self.envelope.0 == Envelope::None {
            self.envelope.0 = Envelope::Fly;
        }
        if self.queue_group.is_some() {
            self.join.get_or_insert(Join::Is(false));
            self.join_requests.get_or_insert(false);
        }
    }

    pub(super) fn has_nats_keys(&self) -> bool {
        let files: [&Option<PathBuf>; 5] =
            [&self.password_file, &self.token_file, &self.creds_file, &self.nkey_file, &self.ca_file];
        let others =
            self.queue_group.is_some() || self.jetstream.is_some() || self.silence_timeout_s.is_some();
        self.url.is_some()
            || !self.subjects.is_empty()
            || self.user.is_some()
            || others
            || files.iter().any(|file| file.is_some())
    }

    /// What does not go together in a nats source.
    pub(super) fn nats_contradiction(&self) -> Option<&'static str> {
        let user = self.user.is_some() || self.password_file.is_some();
        let logins = [user, self.token_file.is_some(), self.creds_file.is_some(), self.nkey_file.is_some()];
        let joins = self.join_requests == Some(true) || !matches!(self.join, Some(Join::Is(false)));
        let name_is_bad = |name: &str| name.is_empty() || name.contains(['.', '*', '>', ' ', '/', '\\']);
        let covered = |(index, subject): (usize, &Subject)| {
            self.subjects.iter().enumerate().any(|(other, one)| other != index && one.covers(subject))
        };
        Some(match &self.jetstream {
            _ if self.subjects.iter().enumerate().any(covered) => {
                "one of the `subjects` is part of another: its messages would come twice"
            }
            _ if self.url.is_none() => "a nats source needs `url`",
            _ if self.user.is_none() && self.password_file.is_some() => "`password_file` needs `user`",
            _ if logins.iter().filter(|login| **login).count() > 1 => {
                "`user`, `token_file`, `creds_file` and `nkey_file` exclude each other"
            }
            Some(_) if self.queue_group.is_some() => {
                "`queue_group` is for what is published at the moment; a `jetstream` is read by one agent"
            }
            Some(names) if name_is_bad(&names.stream) || name_is_bad(&names.durable) => {
                "names of streams and consumers have no blanks, dots, slashes, `*` and `>`"
            }
            None if self.queue_group.is_some() && joins => {
                "agents of a `queue_group` see single messages, not all lines of an event: `join` and `join_requests` \
                 can't be true with it. Give each agent `subjects` of its own instead"
            }
            _ if self.queue_group.as_deref().is_some_and(name_is_bad) => {
                "a `queue_group` has no blanks, dots, slashes, `*` and `>`"
            }
            _ => return None,
        })
    }
}
