//! What an agent is, by the names in it.
//!
//! Takes the text of `User-Agent`, gives its kind by two lists of literals that are part of the program. They are made into
//! automata when the first agent is asked about.
//!
//! Invariant: an agent is read twice at most, whatever is in it and however long the lists are.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::Kind;

static HEALTH_CHECKS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| automaton(include_str!("health_checks.txt")));

static ROBOTS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| automaton(include_str!("robots.txt")));

/// The literals of a list: what is on a line that is neither blank nor a comment.
fn literals(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Finds the literals of a list; nothing if they were too many, which a test excludes.
fn automaton(list: &str) -> Option<AhoCorasick> {
    AhoCorasick::builder().ascii_case_insensitive(true).build(literals(list)).ok()
}

/// The agent's kind.
pub(super) fn kind_of(agent: &[u8]) -> Option<Kind> {
    let has = |list: &Option<AhoCorasick>| list.as_ref().is_some_and(|list| list.is_match(agent));
    // Azure's is all of the agent: Cloudflare's robot is called AlwaysOnline.
    if has(&HEALTH_CHECKS) || agent == b"AlwaysOn" {
        return Some(Kind::HealthCheck);
    }
    // Within a text, `bot` may be a part of a phone's name.
    let named_bot = agent.last_chunk::<3>().is_some_and(|last| last.eq_ignore_ascii_case(b"bot"));
    (named_bot || has(&ROBOTS)).then_some(Kind::Robot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_lower_case_and_no_literal_is_in_another() {
        for list in [include_str!("health_checks.txt"), include_str!("robots.txt")] {
            assert!(automaton(list).is_some());
            let literals: Vec<&str> = literals(list).collect();
            assert!(literals.len() > 100);
            for (place, literal) in literals.iter().enumerate() {
                assert_eq!(*literal, literal.to_ascii_lowercase().trim(), "as it is to be found");
                let others = literals.iter().enumerate().filter(|(other, _)| *other != place);
                for (_, other) in others {
                    assert!(!literal.contains(other), "{literal}: {other} is enough");
                }
            }
        }
    }
}
