//! A rule's sampler as configured → the settings of a [`Sampler`](super::sampler::Sampler).
//!
//! Invariant: what the configuration leaves out has the default of the samplers' own module, which is Refinery's.

use super::sampler::{Ema, Method, REFINERY_SALT, Settings};
use crate::config::{
    rule::Rule,
    sampler::{SamplerTable, SamplerType},
    value::Ranged,
};

/// Until the first interval is over.
const INITIAL_RATE: u32 = 10;

impl Settings {
    /// Of a rule; one that does not sample keeps all.
    pub(super) fn of(rule: &Rule, first_window_s: u64) -> Self {
        let Some(table) = &rule.sampler else {
            let rate = rule.sample.map_or(1, small);
            return Self { method: Method::Fixed { rate }, first_window_s: None };
        };
        // Only fields tell kinds of events, of which one can be the first.
        let first_window_s = (!table.field_list.is_empty()).then_some(first_window_s);
        Self { method: method(table), first_window_s }
    }
}

fn method(table: &SamplerTable) -> Method {
    let initial_sample_rate = table.initial_sample_rate.map_or(INITIAL_RATE, small);
    match table.kind {
        SamplerType::Deterministic => Method::Deterministic {
            rate: table.sample_rate.map_or(1, small),
            salt: table.salt.clone().unwrap_or_else(|| REFINERY_SALT.to_owned()),
        },
        SamplerType::EmaDynamic => Method::EmaDynamic {
            goal_sample_rate: table.goal_sample_rate.map_or(1, small),
            ema: ema(table, Ema::default()),
        },
        SamplerType::EmaThroughput => Method::EmaThroughput {
            goal_throughput_per_s: f64::from(table.goal_throughput_per_s.map_or(1, small)),
            initial_sample_rate,
            ema: ema(table, Ema::default()),
        },
        SamplerType::MonthlyBudget => Method::MonthlyBudget {
            events_per_month: table.events_per_month.map_or(u64::MAX, |events| events.get() as u64),
            initial_sample_rate,
            ema: ema(table, Ema::for_budget()),
        },
    }
}

fn ema(table: &SamplerTable, default: Ema) -> Ema {
    Ema {
        adjustment_interval_s: table
            .adjustment_interval_s
            .map_or(default.adjustment_interval_s, |interval| interval.get() as u64),
        weight: table.weight.unwrap_or(default.weight),
        age_out_value: table.age_out_value.or(default.age_out_value),
        burst_multiple: table.burst_multiple.unwrap_or(default.burst_multiple),
        burst_detection_delay: table.burst_detection_delay.map_or(default.burst_detection_delay, small),
        max_keys: table.max_keys.map_or(default.max_keys, Ranged::get),
    }
}

/// A number whose range is within that of `u32`.
fn small<const MIN: u64, const MAX: u64>(number: Ranged<MIN, MAX>) -> u32 {
    u32::try_from(number.get()).unwrap_or(u32::MAX)
}
