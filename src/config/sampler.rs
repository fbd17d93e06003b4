//! `sampler`: how many of a rule's events are shipped; the names are those of Refinery's samplers.
//!
//! Takes the table as written, gives the settings of one kind of sampler, or says which keys are missing or of another kind.

use schemars::JsonSchema;
use serde::Deserialize;

use super::value::Ranged;

/// The field that the lines of a proxy and of the app behind it share.
const REQUEST_ID: &str = "request_id";

/// What kind of sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerType {
    /// 1 in `sample_rate`, the same ones wherever they have the same value of `field`.
    Deterministic,
    /// 1 in `goal_sample_rate` on the whole: fewer of what is frequent, more of what is rare.
    EmaDynamic,
    /// `goal_throughput_per_s` events a second, divided likewise.
    EmaThroughput,
    /// `events_per_month`, divided likewise and spread over the calendar month (UTC).
    MonthlyBudget,
}

impl SamplerType {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deterministic => "deterministic",
            Self::EmaDynamic => "ema-dynamic",
            Self::EmaThroughput => "ema-throughput",
            Self::MonthlyBudget => "monthly-budget",
        }
    }
}

/// `sampler = { type = "…", … }`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SamplerTable {
    /// What kind it is.
    #[serde(rename = "type")]
    pub kind: SamplerType,
    /// deterministic: 1 in so many.
    pub sample_rate: Option<Ranged<1, 1_000_000_000>>,
    /// deterministic: which field decides; `request_id` by default. An event without it is picked at random.
    pub field: Option<String>,
    /// deterministic: what is hashed with the field's value. By default Refinery's own, so that both choose the same; honeytail and
    /// beelines have none (`salt = ""`).
    pub salt: Option<String>,
    /// ema-dynamic: how many events one stands for, on the whole.
    pub goal_sample_rate: Option<Ranged<1, 1_000_000_000>>,
    /// ema-throughput: events a second.
    pub goal_throughput_per_s: Option<Ranged<1, 10_000_000>>,
    /// monthly-budget: events a month.
    pub events_per_month: Option<Ranged<1_000, 1_000_000_000_000>>,
    /// All but deterministic: the fields whose values tell one kind of event from another.
    #[serde(default)]
    pub field_list: Vec<String>,
    /// All but deterministic: seconds from one look at what came to the next; 15 by default, 60 for monthly-budget.
    pub adjustment_interval_s: Option<Ranged<1, 3_600>>,
    /// All but deterministic: how much the last interval counts against those before, from 0 to 1; 0.5 by default, 1/60 for monthly-budget.
    pub weight: Option<f64>,
    /// All but deterministic: an average below this is forgotten; the weight by default, 0.00001 for
    /// monthly-budget.
    pub age_out_value: Option<f64>,
    /// All but deterministic: so many times the usual number of events is a burst, which is answered at once; 2 by default, 0 for never.
    pub burst_multiple: Option<f64>,
    /// All but deterministic: how many intervals tell what is usual; 3 by default.
    pub burst_detection_delay: Option<Ranged<0, 1_000>>,
    /// All but deterministic: how many keys are told apart; all others share one. 500 by default.
    pub max_keys: Option<Ranged<1, 100_000>>,
    /// ema-throughput and monthly-budget: 1 in so many until the first interval is over; 10 by default.
    pub initial_sample_rate: Option<Ranged<1, 1_000_000>>,
}

impl SamplerTable {
    /// The field that decides, of a deterministic one.
    #[must_use]
    pub fn deciding_field(&self) -> Option<&str> {
        let is_deterministic = self.kind == SamplerType::Deterministic;
        is_deterministic.then(|| self.field.as_deref().unwrap_or(REQUEST_ID))
    }

    /// What is wrong with it.
    #[must_use]
    pub fn contradiction(&self) -> Option<String> {
        use SamplerType::{Deterministic, EmaDynamic, EmaThroughput, MonthlyBudget};
        let keys: [(&str, bool, &[SamplerType]); 14] = [
            ("sample_rate", self.sample_rate.is_some(), &[Deterministic]),
            ("field", self.field.is_some(), &[Deterministic]),
            ("salt", self.salt.is_some(), &[Deterministic]),
            ("goal_sample_rate", self.goal_sample_rate.is_some(), &[EmaDynamic]),
            ("goal_throughput_per_s", self.goal_throughput_per_s.is_some(), &[EmaThroughput]),
            ("events_per_month", self.events_per_month.is_some(), &[MonthlyBudget]),
            ("field_list", !self.field_list.is_empty(), &[EmaDynamic, EmaThroughput, MonthlyBudget]),
            ("weight", self.weight.is_some(), &[EmaDynamic, EmaThroughput, MonthlyBudget]),
            ("age_out_value", self.age_out_value.is_some(), &[EmaDynamic, EmaThroughput, MonthlyBudget]),
            ("burst_multiple", self.burst_multiple.is_some(), &[EmaDynamic, EmaThroughput, MonthlyBudget]),
            (
                "burst_detection_delay",
                self.burst_detection_delay.is_some(),
                &[EmaDynamic, EmaThroughput, MonthlyBudget],
            ),
            (
                "adjustment_interval_s",
                self.adjustment_interval_s.is_some(),
                &[EmaDynamic, EmaThroughput, MonthlyBudget],
            ),
            ("max_keys", self.max_keys.is_some(), &[EmaDynamic, EmaThroughput, MonthlyBudget]),
            ("initial_sample_rate", self.initial_sample_rate.is_some(), &[EmaThroughput, MonthlyBudget]),
        ];
        let own = self.kind.name();
        if let Some((key, _, _)) =
            keys.iter().find(|(_, is_set, kinds)| *is_set && !kinds.contains(&self.kind))
        {
            return Some(format!("`{key}` is not for `type = \"{own}\"`"));
        }
        let needed = match self.kind {
            Deterministic => "sample_rate",
            EmaDynamic => "goal_sample_rate",
            EmaThroughput => "goal_throughput_per_s",
            MonthlyBudget => "events_per_month",
        };
        if keys.iter().any(|(key, is_set, _)| *key == needed && !is_set) {
            return Some(format!("`type = \"{own}\"` needs `{needed}`"));
        }
        if self.weight.is_some_and(|weight| !(weight > 0.0 && weight < 1.0)) {
            return Some("`weight` is more than 0 and less than 1".to_owned());
        }
        if self.age_out_value.is_some_and(|value| !(value > 0.0 && value.is_finite())) {
            return Some("`age_out_value` is more than 0".to_owned());
        }
        let is_multiple = |multiple: f64| multiple.is_finite() && (multiple <= 0.0 || multiple > 1.0);
        if self.burst_multiple.is_some_and(|multiple| !is_multiple(multiple)) {
            return Some("`burst_multiple` is more than 1, or 0 for never".to_owned());
        }
        None
    }
}
