//! `[[source.route]]`: what is different for some containers of a kubernetes source, or some apps of a nats source.
//!
//! Takes a source and its routes, gives its variants: a source for each route and one for all others, and which
//! containers or apps are whose.
//!
//! Invariant: a container or app is picked by one variant at most; by none if its route drops it, or if it is the agent's
//! own.

use std::{path::PathBuf, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Dataset, Join, Source, SourceType,
    value::{FormatName, Glob, LoggerPattern, NginxLogFormat, Zone},
};
use crate::source::kubernetes::{Container, OwnPod};

/// `[[source.route]]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// It is for containers whose namespace matches, and whatever else is given.
    pub namespace: Option<Glob>,
    /// It is for containers whose pod's name matches.
    pub pod: Option<Glob>,
    /// It is for containers whose own name matches.
    pub container: Option<Glob>,
    /// It is for Fly apps whose name matches, of a nats source.
    pub app: Option<Glob>,
    /// Whether what they log is left alone.
    pub drop: bool,
    /// Instead of the source's. What belongs to the source's format is not taken over with another one.
    pub format: Option<FormatName>,
    /// Instead of the source's, whichever way it was given.
    pub log_format: Option<NginxLogFormat>,
    /// Instead of the source's: nginx's configuration file, in which `log_format_name` is looked for.
    pub log_format_file: Option<PathBuf>,
    /// The name of the format in `log_format_file`.
    pub log_format_name: Option<String>,
    /// Instead of the source's.
    pub elixir_format: Option<LoggerPattern>,
    /// Instead of the source's.
    pub timezone: Option<Zone>,
    /// Instead of the source's.
    pub service: Option<String>,
    /// Instead of the source's.
    pub dataset: Option<Dataset>,
    /// Instead of the source's.
    pub join: Option<Join>,
    /// Instead of the source's.
    pub join_requests: Option<bool>,
}

impl Route {
    fn matches(&self, container: &Container) -> bool {
        let pairs = [
            (&self.namespace, &container.namespace),
            (&self.pod, &container.pod),
            (&self.container, &container.name),
        ];
        pairs.iter().all(|(glob, name)| glob.as_ref().is_none_or(|glob| glob.0.matches(name)))
    }

    /// An app that the subject does not tell has no name.
    fn matches_app(&self, app: &str) -> bool {
        self.app.as_ref().is_none_or(|glob| glob.0.matches(app))
    }

    /// Whether it says for which containers it is.
    const fn names_container(&self) -> bool {
        self.namespace.is_some() || self.pod.is_some() || self.container.is_some()
    }

    fn names_log_format(&self) -> bool {
        self.log_format.is_some() || self.log_format_file.is_some() || self.log_format_name.is_some()
    }

    /// Whether anything is different for its containers.
    fn chooses(&self) -> bool {
        self.names_log_format()
            || self.format.is_some()
            || self.elixir_format.is_some()
            || self.timezone.is_some()
            || self.service.is_some()
            || self.dataset.is_some()
            || self.join.is_some()
            || self.join_requests.is_some()
    }

    /// Keys of its own that do not go together.
    fn contradiction(&self, kind: SourceType) -> Option<&'static str> {
        let matches_some = self.names_container() || self.app.is_some();
        match (self.drop, self.chooses()) {
            _ if kind == SourceType::Nats && self.names_container() => Some(
                "`namespace`, `pod` and `container` are for a kubernetes source: a nats source has `app`",
            ),
            _ if kind == SourceType::Kubernetes && self.app.is_some() => Some("`app` is for a nats source"),
            (true, true) => Some("`drop = true` goes with `namespace`, `pod`, `container` and `app` only"),
            (false, false) if !matches_some => Some(
                "it says neither for what it is (`namespace`, `pod`, `container`; `app`) nor what is different \
                 there (`drop = true`, or `format`, `log_format`, `log_format_file`, `log_format_name`, \
                 `elixir_format`, `timezone`, `service`, `dataset`, `join`, `join_requests`)",
            ),
            _ => None,
        }
    }

    /// The source as it is for this route's containers.
    fn applied_to(&self, source: &Source) -> Source {
        let mut merged = Source { route: Vec::new(), ..source.clone() };
        if let Some(format) = self.format {
            merged.format = format;
        }
        if self.format.is_some() || self.names_log_format() {
            merged.log_format.clone_from(&self.log_format);
            merged.log_format_file.clone_from(&self.log_format_file);
            merged.log_format_name.clone_from(&self.log_format_name);
        }
        if self.format.is_some() || self.elixir_format.is_some() {
            merged.elixir_format.clone_from(&self.elixir_format);
        }
        if self.format.is_some() {
            merged.forget_join_of_other_format();
        }
        let own = self.clone();
        merged.timezone = own.timezone.unwrap_or(merged.timezone);
        merged.service = own.service.or(merged.service);
        merged.dataset = own.dataset.or(merged.dataset);
        merged.join = own.join.or(merged.join);
        merged.join_requests = own.join_requests.or(merged.join_requests);
        merged
    }
}

/// A source as it is for some containers; for all of a source that knows none.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Without routes.
    pub source: Source,
    /// For which.
    pub pick: Pick,
}

/// Which containers a variant is for.
#[derive(Clone, Debug)]
pub enum Pick {
    /// Everything.
    All,
    /// Containers by the first route that matches.
    Routed {
        /// All routes of the source.
        routes: Arc<[Route]>,
        /// The variant's own; `None` for what no route matches.
        route: Option<usize>,
        /// The pod that no variant picks.
        own: OwnPod,
    },
}

impl Pick {
    /// Whether the variant is for that container.
    #[must_use]
    pub fn picks(&self, container: &Container) -> bool {
        match self {
            Self::All => true,
            Self::Routed { routes, route, own } => {
                let first = routes.iter().position(|route| route.matches(container));
                let dropped = first.is_some_and(|first| routes[first].drop);
                first == *route && !dropped && !own.has(container)
            }
        }
    }

    /// Whether the variant is for that app; for the empty name if a message does not tell.
    #[must_use]
    pub fn picks_app(&self, app: &str) -> bool {
        match self {
            Self::All => true,
            Self::Routed { routes, route, .. } => {
                let first = routes.iter().position(|route| route.matches_app(app));
                first == *route && !first.is_some_and(|first| routes[first].drop)
            }
        }
    }

    /// Its number among the variants of its source.
    #[must_use]
    pub const fn number(&self) -> usize {
        match self {
            Self::Routed { route: Some(route), .. } => *route + 1,
            _ => 0,
        }
    }

    /// Whether it is for a file of which nothing tells whose container wrote it: that has no route.
    #[must_use]
    pub const fn picks_strangers(&self) -> bool {
        matches!(self, Self::All | Self::Routed { route: None, .. })
    }
}

impl Source {
    /// What it is for which containers; `own` is the pod that the agent runs in.
    #[must_use]
    pub fn variants(&self, own: &OwnPod) -> Vec<Variant> {
        if !matches!(self.kind, SourceType::Kubernetes | SourceType::Nats) {
            return vec![Variant { source: self.clone(), pick: Pick::All }];
        }
        let routes: Arc<[Route]> = self.route.iter().map(|route| route.get_ref().clone()).collect();
        let variant = |source, route| {
            let pick = Pick::Routed { routes: Arc::clone(&routes), route, own: own.clone() };
            Variant { source, pick }
        };
        let rest = variant(Source { route: Vec::new(), ..self.clone() }, None);
        let kept = routes.iter().enumerate().filter(|(_, route)| !route.drop);
        let routed = kept.map(|(index, route)| variant(route.applied_to(self), Some(index)));
        std::iter::once(rest).chain(routed).collect()
    }

    /// How many variants it has.
    #[must_use]
    pub fn variant_count(&self) -> usize {
        1 + self.route.iter().filter(|route| !route.get_ref().drop).count()
    }

    /// The first of its routes with which something is wrong: its number, where it stands, and what that is.
    pub(super) fn route_contradiction(&self) -> Option<(usize, usize, &'static str)> {
        let wrong =
            |route: &Route| route.contradiction(self.kind).or_else(|| route.applied_to(self).contradiction());
        let mut routes = self.route.iter().enumerate();
        routes.find_map(|(index, route)| Some((index, route.span().start, wrong(route.get_ref())?)))
    }
}

#[cfg(test)]
mod tests;
