//! Which requests nobody made who is to be counted: health checks and robots.
//!
//! Takes what a request's client says it is and the path it asks for, gives which of the two it is, if any. A health check
//! is told by its path (`paths`) or its agent, a robot by its agent (`agents`; the lists are beside it).
//!
//! Invariant: an agent seen lately costs one hash, and nothing is allocated once the lists are built.

mod agents;
mod paths;

use super::hash::Key;

/// How many agents are remembered; a power of two.
const REMEMBERED: usize = 1024;

/// What a client is, if it is no visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that looks whether the service is up.
    HealthCheck,
    /// Something that visits pages by itself: a search engine, a preview of a link, a scanner.
    Robot,
}

impl Kind {
    /// The name of one such client, in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HealthCheck => "health-check",
            Self::Robot => "robot",
        }
    }
}

/// The kinds that are asked for, and the agents that were seen lately.
#[derive(Clone, Debug)]
pub(crate) struct Kinds {
    health_checks: bool,
    robots: bool,
    key: Key,
    /// At its hash's place or beside it, the agents that were there last.
    remembered: Box<[(u64, Option<Kind>); REMEMBERED]>,
}

impl Kinds {
    /// Those kinds.
    #[must_use]
    pub(crate) fn new(asked: &[Kind]) -> Self {
        Self {
            health_checks: asked.contains(&Kind::HealthCheck),
            robots: asked.contains(&Kind::Robot),
            key: Key::new(),
            remembered: Box::new([(0, None); REMEMBERED]),
        }
    }

    /// What the client is, if it is asked for. An agent is of one kind: monitoring that also calls itself a robot is a
    /// health check, and nothing if only robots are asked for. The path has no query.
    #[inline]
    pub(crate) fn kind_of(&mut self, user_agent: Option<&[u8]>, path: Option<&[u8]>) -> Option<Kind> {
        if self.health_checks && path.is_some_and(paths::is_health_check) {
            return Some(Kind::HealthCheck);
        }
        let kind = self.kind_of_agent(user_agent?)?;
        let asked = match kind {
            Kind::HealthCheck => self.health_checks,
            Kind::Robot => self.robots,
        };
        asked.then_some(kind)
    }

    fn kind_of_agent(&mut self, agent: &[u8]) -> Option<Kind> {
        // Zero is what no agent was remembered by.
        let hash = self.key.hash(agent).max(1);
        let place = usize::try_from(hash % REMEMBERED as u64).ok()?;
        // Two that share a place would put out each other with every line.
        let beside = place ^ 1;
        for place in [place, beside] {
            if let (known, kind) = self.remembered[place]
                && known == hash
            {
                return kind;
            }
        }
        let kind = agents::kind_of(agent);
        self.remembered[beside] = self.remembered[place];
        self.remembered[place] = (hash, kind);
        kind
    }
}

#[cfg(test)]
mod tests;
