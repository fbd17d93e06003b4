//! Redaction rules: what is taken out of events that are shipped, beside the secrets that parsers take out by their names.
//!
//! Takes an event after all other rules, changes its fields. Every rule whose conditions hold is applied, in order.
//!
//! Invariant: a field keeps its type, or goes: a number that has to be masked is taken out.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use hivetail_parsers::{Field, Scratch, Value, names};

use super::{
    condition::Condition,
    draft::Draft,
    mask::{HashKey, Mask, Pattern},
    names::Names,
    value::text,
};
use crate::config::transform::{Action, RedactionRule as Written};

/// Which of them have changed an event is told by the bits of a number.
const RULES_MAX: usize = 64;

/// All redaction rules, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redaction(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    name: String,
    conditions: Vec<Condition>,
    /// All texts, if there are none.
    fields: Names,
    action: Compiled,
    /// How many events it has changed.
    count: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
enum Compiled {
    Drop,
    Mask(Mask),
}

impl Redaction {
    /// Compiles the rules.
    ///
    /// # Errors
    /// What is wrong, beginning with the rule's name.
    pub(crate) fn compile<'w>(
        written: impl IntoIterator<Item = &'w Written>,
        key: Option<&HashKey>,
    ) -> Result<Self, String> {
        let compile = |written: &Written| {
            Rule::compile(written, key)
                .map_err(|wrong| format!("redaction rule \"{}\": {wrong}", written.name))
        };
        let rules: Vec<Rule> = written.into_iter().map(compile).collect::<Result<_, _>>()?;
        if rules.len() > RULES_MAX {
            return Err(format!(
                "there are {} redaction rules: at most {RULES_MAX} are possible",
                rules.len()
            ));
        }
        Ok(Self(rules))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies the rules; answers which of them have changed anything, each by a bit of its own.
    pub(crate) fn apply<'e>(&self, draft: &mut Draft<'_, 'e>, scratch: &'e Scratch) -> u64 {
        let mut changed = 0;
        for (index, rule) in self.0.iter().enumerate() {
            let event = draft.event();
            if rule.conditions.iter().all(|condition| condition.holds(&event, scratch))
                && rule.apply(draft, scratch)
            {
                changed |= 1 << index;
            }
        }
        changed
    }

    /// The names of the rules that [`Self::apply`] answered.
    pub(crate) fn names(&self, changed: u64) -> impl Iterator<Item = &str> {
        let rules = self.0.iter().enumerate();
        rules.filter(move |(index, _)| changed & (1 << index) != 0).map(|(_, rule)| rule.name.as_str())
    }

    /// Counts what [`Self::apply`] answered.
    pub(crate) fn count(&self, changed: u64) {
        for (index, rule) in self.0.iter().enumerate() {
            if changed & (1 << index) != 0 {
                rule.count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many events each rule has changed.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|rule| (rule.name.as_str(), rule.count.load(Ordering::Relaxed)))
    }
}

impl Rule {
    fn compile(written: &Written, key: Option<&HashKey>) -> Result<Self, String> {
        if written.name.trim().is_empty() {
            return Err("it needs a `name`".to_owned());
        }
        if (written.action == Action::Mask) != written.pattern.is_some() {
            return Err("`pattern` and `action = \"mask\"` go together".to_owned());
        }
        let whole = matches!(written.action, Action::Drop | Action::Hash);
        if whole && written.fields.is_empty() {
            return Err("`action = \"drop\"` and `\"hash\"` need `fields`".to_owned());
        }
        if let Some(name) = written.fields.iter().find(|name| names::is_reserved(name.as_bytes())) {
            return Err(format!("`fields`: `{name}` is the agent's own"));
        }
        let is_number = |name: &&String| {
            names::type_of(name.as_bytes()).is_some_and(|known| known != names::Type::String)
        };
        if written.action != Action::Drop
            && let Some(name) = written.fields.iter().find(is_number)
        {
            return Err(format!("`fields`: `{name}` is no text; `action = \"drop\"` takes it out"));
        }
        let action = match written.action {
            Action::Drop => Compiled::Drop,
            Action::Hash => {
                let key = key.ok_or("`action = \"hash\"` needs `hash_key_file` in [redaction]")?;
                Compiled::Mask(Mask::Hash(key.clone()))
            }
            Action::MaskIp => Compiled::Mask(Mask::Ip),
            Action::MaskEmail => Compiled::Mask(Mask::Email),
            Action::MaskCard => Compiled::Mask(Mask::Card),
            Action::Mask => {
                Compiled::Mask(Mask::Pattern(Pattern::new(written.pattern.as_deref().unwrap_or_default())?))
            }
        };
        let conditions = written.when.iter().map(Condition::compile).collect::<Result<_, _>>()?;
        let (fields, count) = (Names::new(&written.fields), Arc::default());
        Ok(Self { name: written.name.clone(), conditions, fields, action, count })
    }

    fn is_for(&self, name: &[u8]) -> bool {
        if self.fields.is_empty() {
            // Ids have to be named.
            !names::is_id(name)
        } else {
            // What did not have its type, or was one of too many, has not become another field by that.
            let own = name.strip_prefix(b"field.").is_some_and(|own| self.fields.has(own));
            (own || self.fields.has(name)) && !names::is_reserved(name)
        }
    }

    /// Whether that is where the parser has put the last of very many names, and one of the rule's may be there.
    fn may_be_in(&self, field: &Field<'_>) -> bool {
        match field.value {
            Value::Text(text) if field.key.bytes() == names::OVERFLOW.as_bytes() => {
                self.fields.may_be_in(text)
            }
            _ => false,
        }
    }

    /// Whether it has changed anything.
    fn apply<'e>(&self, draft: &mut Draft<'_, 'e>, scratch: &'e Scratch) -> bool {
        let has_surplus = draft.record().fields().iter().any(|field| self.may_be_in(field));
        if has_surplus {
            draft.change().retain(|field| !self.may_be_in(field));
        }
        let before = draft.record().fields().len();
        let Compiled::Mask(mask) = &self.action else {
            return draft.remove(|name| self.is_for(name)) | has_surplus;
        };
        let (mut is_changed, mut has_numbers) = (has_surplus, false);
        for field in draft.change().fields_mut().iter_mut().filter(|field| self.is_for(field.key.bytes())) {
            if let Value::Text(value) = field.value {
                if let Some(masked) = mask.apply(value, scratch) {
                    field.value = Value::Text(masked);
                    is_changed = true;
                }
            } else {
                has_numbers |= is_free_number(field);
            }
        }
        if has_numbers {
            // A number can't become text.
            draft.change().retain(|field| {
                let is_masked = || mask.apply(text(field.value, scratch), scratch).is_some();
                !(is_free_number(field) && self.is_for(field.key.bytes()) && is_masked())
            });
            is_changed |= draft.record().fields().len() < before;
        }
        is_changed
    }
}

/// Whether it is a number that no contract says to be one.
fn is_free_number(field: &Field<'_>) -> bool {
    !matches!(field.value, Value::Text(_) | Value::Bool(_)) && !names::is_written_out(field.key.bytes())
}
