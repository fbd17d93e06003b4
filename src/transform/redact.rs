//! Redaction rules: what is taken out of events that are shipped, beside the secrets that parsers take out by their names.
//!
//! Takes an event after all other rules, changes its fields. Every rule whose conditions hold is applied, in order.
//!
//! Invariant: a field keeps its type, or goes: a number that has to be masked is taken out.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use hivetail_parsers::{Field, Key, Record, Scratch, Value, names};

use super::{
    condition::Condition,
    draft::Draft,
    mask::{HashKey, Mask, Pattern},
    names::Names,
    value::text,
};
use crate::{
    config::transform::{Action, RedactionRule as Written},
    encode::Event,
};

/// Fields without which events can't be tied to others: they have to be named.
const IDS: [&str; 5] =
    ["request_id", "trace.trace_id", "trace.span_id", "trace.parent_id", "exception.fingerprint"];

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
        written.into_iter().map(compile).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies the rules; answers which of them have changed anything, each by a bit of its own (the 64th for all after it).
    pub(crate) fn apply<'e>(
        &self,
        event: &Event<'_, 'e>,
        draft: &mut Draft<'_, 'e>,
        scratch: &'e Scratch,
    ) -> u64 {
        let mut changed = 0;
        for (index, rule) in self.0.iter().enumerate() {
            let present = Event { record: draft.record(), ..*event };
            if rule.conditions.iter().all(|condition| condition.holds(&present, scratch))
                && rule.apply(draft.change(), scratch)
            {
                changed |= 1 << index.min(63);
            }
        }
        changed
    }

    /// The names of the rules that [`Self::apply`] answered.
    pub(crate) fn names(&self, changed: u64) -> impl Iterator<Item = &str> {
        let rules = self.0.iter().enumerate();
        rules
            .filter(move |(index, _)| changed & (1 << index.min(&63)) != 0)
            .map(|(_, rule)| rule.name.as_str())
    }

    /// Counts what [`Self::apply`] answered.
    pub(crate) fn count(&self, changed: u64) {
        for (index, rule) in self.0.iter().enumerate() {
            if changed & (1 << index.min(63)) != 0 {
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

    fn is_for(&self, field: &Field<'_>) -> bool {
        if self.fields.is_empty() {
            !matches!(field.key, Key::Known(name) if IDS.contains(&name))
        } else {
            self.fields.has(field.key.bytes())
        }
    }

    /// Whether it has changed anything.
    fn apply<'e>(&self, record: &mut Record<'e>, scratch: &'e Scratch) -> bool {
        let before = record.fields().len();
        let Compiled::Mask(mask) = &self.action else {
            record.retain(|field| !self.is_for(field));
            return record.fields().len() < before;
        };
        let (mut changed, mut numbers) = (false, false);
        for field in record.fields_mut().iter_mut().filter(|field| self.is_for(field)) {
            if let Value::Text(value) = field.value {
                if let Some(masked) = mask.apply(value, scratch) {
                    field.value = Value::Text(masked);
                    changed = true;
                }
            } else {
                numbers |= matches!(field.key, Key::Free(_));
            }
        }
        if numbers {
            // A number can't become text.
            let is_masked = |field: &Field<'e>| mask.apply(text(field.value, scratch), scratch).is_some();
            record.retain(|field| {
                let is_number = matches!(field.key, Key::Free(_))
                    && !matches!(field.value, Value::Text(_) | Value::Bool(_));
                !(is_number && self.is_for(field) && is_masked(field))
            });
            changed |= record.fields().len() < before;
        }
        changed
    }
}
