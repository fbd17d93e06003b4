//! A rule, compiled: which events it is for, what it changes, and what becomes of them.
//!
//! Takes a table as written, or says what is wrong with it: the rule, the field and the operator. Knows nothing of samplers'
//! states, which all passes share (`book.rs`).

use hivetail_parsers::{Scratch, Value, names};

use super::{
    condition::Condition,
    draft::{Draft, kept},
    names::Names,
    value::text,
};
use crate::{
    config::{
        rule::{Literal, Rule as Written, Spare},
        sampler::SamplerTable,
    },
    dataset::Template,
    encode::Event,
};

/// A rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    conditions: Vec<Condition>,
    edits: Edits,
    pub(crate) outcome: Outcome,
    pub(crate) dataset: Option<Template>,
    /// Whether the rules after it are asked, too.
    pub(crate) goes_on: bool,
    /// The fields that a sampler tells events apart by, in order.
    sampler_keys: Vec<String>,
    /// The field by whose value a deterministic sampler decides.
    pub(crate) deciding_field: Option<String>,
}

/// What becomes of the events that a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Keep,
    Drop,
    /// A sampler says, but for what is spared.
    Sample(Spares),
}

/// What is shipped whatever a sampler says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spares {
    pub(crate) errors: bool,
    pub(crate) slow: bool,
    pub(crate) first: bool,
}

#[derive(Clone, Debug, Default)]
struct Edits {
    set: Vec<(String, Literal)>,
    rename: Vec<(String, String)>,
    remove: Names,
}

impl Rule {
    /// Compiles a rule.
    ///
    /// # Errors
    /// What is wrong, beginning with the rule's name.
    pub(crate) fn compile(written: &Written) -> Result<Self, String> {
        let named = |wrong: String| format!("rule \"{}\": {wrong}", written.name);
        if written.name.trim().is_empty() {
            return Err("a rule needs a `name`".to_owned());
        }
        let conditions =
            written.when.iter().map(Condition::compile).collect::<Result<_, _>>().map_err(named)?;
        let edits = Edits::compile(written).map_err(named)?;
        let outcome = outcome(written).map_err(named)?;
        if written.goes_on && (outcome != Outcome::Keep || written.keep) {
            return Err(named(
                "`continue` is for rules that only change events: what `drop`, `keep`, `sample` and `sampler` say is final"
                    .to_owned(),
            ));
        }
        let does_something =
            outcome != Outcome::Keep || written.keep || written.dataset.is_some() || !edits.is_empty();
        if !does_something {
            return Err(named(
                "it does nothing: say `drop`, `keep`, `sample`, `sampler`, `set`, `rename`, `remove` or `dataset`"
                    .to_owned(),
            ));
        }
        let dataset = written.dataset.as_ref().map(|dataset| dataset.0.clone());
        let sampler = written.sampler.as_ref();
        let mut sampler_keys = sampler.map_or_else(Vec::new, |sampler| sampler.field_list.clone());
        sampler_keys.sort_unstable();
        Ok(Self {
            name: written.name.clone(),
            conditions,
            edits,
            outcome,
            dataset,
            goes_on: written.goes_on,
            sampler_keys,
            deciding_field: sampler.and_then(SamplerTable::deciding_field).map(str::to_owned),
        })
    }

    /// Whether it is for that event.
    pub(crate) fn is_for(&self, event: &Event<'_, '_>, scratch: &Scratch) -> bool {
        self.conditions.iter().all(|condition| condition.holds(event, scratch))
    }

    /// Whether it changes anything.
    pub(crate) fn changes(&self) -> bool {
        !self.edits.is_empty()
    }

    /// The sampling key of an event, as Refinery makes it: the values of the fields, each with a sign after it that is in no usual
    /// value, and absent ones empty, so that no two are alike.
    pub(crate) fn sampling_key(&self, event: &Event<'_, '_>, scratch: &Scratch, key: &mut Vec<u8>) {
        key.clear();
        for name in &self.sampler_keys {
            if let Some(value) = event.get(name) {
                key.extend_from_slice(text(value, scratch));
                key.extend_from_slice("\u{2022}".as_bytes());
            }
            key.push(b',');
        }
    }

    /// Changes an event.
    pub(crate) fn change<'e>(&self, draft: &mut Draft<'_, 'e>, scratch: &'e Scratch) {
        for (name, literal) in &self.edits.set {
            draft.remove(|own| own == name.as_bytes());
            draft.change().set_free(scratch.copy(name.as_bytes()), value(literal, scratch));
        }
        for (old, new) in &self.edits.rename {
            let Some(value) = draft.event().get(old).map(|value| kept(value, scratch)) else { continue };
            draft.remove(|own| own == old.as_bytes() || own == new.as_bytes());
            draft.change().set_free(scratch.copy(new.as_bytes()), value);
        }
        if !self.edits.remove.is_empty() {
            // What the agent says of itself is no field of the log's, whatever a `*` stands for.
            draft.remove(|own| self.edits.remove.has(own) && !names::is_reserved(own));
        }
    }
}

fn outcome(written: &Written) -> Result<Outcome, String> {
    let said = [written.drop, written.keep, written.sample.is_some(), written.sampler.is_some()];
    if said.iter().filter(|is_said| **is_said).count() > 1 {
        return Err("`drop`, `keep`, `sample` and `sampler` exclude each other".to_owned());
    }
    if let Some(wrong) = written.sampler.as_ref().and_then(SamplerTable::contradiction) {
        return Err(format!("sampler: {wrong}"));
    }
    let samples = written.sample.is_some() || written.sampler.is_some();
    if written.spares.is_some() && !samples {
        return Err("`spares` goes with `sample` or `sampler`".to_owned());
    }
    if written.drop && (written.dataset.is_some() || !written.set.is_empty() || !written.rename.is_empty()) {
        return Err("what is dropped need not be changed".to_owned());
    }
    Ok(match (written.drop, samples) {
        (true, _) => Outcome::Drop,
        (false, true) => {
            let has = |spare| written.spares.as_ref().is_none_or(|spares| spares.contains(&spare));
            Outcome::Sample(Spares {
                errors: has(Spare::Errors),
                slow: has(Spare::Slow),
                first: has(Spare::First),
            })
        }
        (false, false) => Outcome::Keep,
    })
}

impl Edits {
    fn compile(written: &Written) -> Result<Self, String> {
        for (name, literal) in &written.set {
            settable(name, "set")?;
            if matches!(literal, Literal::Float(value) if !value.is_finite()) {
                return Err(format!("`set`: `{name}` has to be a number"));
            }
            let is_of = match literal {
                Literal::Text(_) => names::Type::String,
                Literal::Int(_) => names::Type::Int,
                Literal::Float(_) => names::Type::Float,
                Literal::Bool(_) => names::Type::Bool,
            };
            if let Some(known) = names::type_of(name.as_bytes())
                && known != is_of
            {
                return Err(format!("`set`: `{name}` is always {}", known.name()));
            }
        }
        for (old, new) in &written.rename {
            settable(new, "rename")?;
            let is_new_twice = written.rename.iter().any(|(other, again)| other != old && again == new);
            if is_new_twice || written.rename.contains_key(new) {
                return Err(format!(
                    "`rename`: `{new}` can't be two fields; use two rules, the first with `continue`"
                ));
            }
            if names::is_reserved(old.as_bytes()) {
                return Err(format!("`rename`: `{old}` is the agent's own"));
            }
            let (of_old, of_new) = (names::type_of(old.as_bytes()), names::type_of(new.as_bytes()));
            if of_new.is_some() && of_new != of_old {
                return Err(format!(
                    "`rename`: events have `{new}` already, always as {}",
                    of_new.map_or("text", names::Type::name)
                ));
            }
        }
        let is_own = |name: &&String| names::is_reserved(name.as_bytes());
        if let Some(name) = written.remove.iter().find(is_own) {
            return Err(format!("`remove`: `{name}` is the agent's own"));
        }
        Ok(Self {
            set: written.set.iter().map(|(name, literal)| (name.clone(), literal.clone())).collect(),
            rename: written.rename.iter().map(|(old, new)| (old.clone(), new.clone())).collect(),
            remove: Names::new(&written.remove),
        })
    }

    fn is_empty(&self) -> bool {
        self.set.is_empty() && self.rename.is_empty() && self.remove.is_empty()
    }
}

/// Whether a rule may give a field that name.
fn settable(name: &str, key: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > 255 {
        return Err(format!("`{key}`: a field's name has 1 to 255 bytes"));
    }
    if names::is_reserved(name.as_bytes())
        || matches!(name, "error" | "severity" | "severity_text" | names::OVERFLOW)
    {
        return Err(format!("`{key}`: `{name}` is set by the agent itself"));
    }
    Ok(())
}

fn value<'e>(literal: &Literal, scratch: &'e Scratch) -> Value<'e> {
    match literal {
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Float(value) => Value::Float(*value),
        Literal::Text(text) => Value::Text(scratch.copy(text.as_bytes())),
    }
}
