//! The exposition: a snapshot in Prometheus' text form (`OpenMetrics` 1.0), with help and units.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit as ShownUnit},
};

use super::{
    Snapshot,
    numbers::{Kind, NUMBERS, Number, Unit},
};
use crate::checkpoint::StreamState;

/// What it is, for whoever asks over HTTP.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Writes a snapshot.
///
/// # Errors
/// Never, as long as text can be written to memory.
pub fn expose(snapshot: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("hivetail");
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut info = encoder.encode_descriptor("build", "the agent's version", None, MetricType::Info)?;
        info.encode_info(&[("version", self.version.as_str())])?;
        for number in NUMBERS {
            encode_number(&mut encoder, number, self.numbers.get(&number.key()).copied().unwrap_or(0))?;
        }
        let counters = |of: &BTreeMap<String, u64>| -> Vec<(String, u64)> {
            of.iter().map(|(name, count)| (name.clone(), *count)).collect()
        };
        let outcomes = self.lines.outcomes().map(|(name, count)| (name.to_owned(), count)).to_vec();
        let retried = "events that have to be sent again, each time counted, by an HTTP status, or connection, transport, reply, event";
        let families = [
            ("lines", "lines by what became of them", "outcome", outcomes),
            ("events_retried", retried, "cause", counters(&self.retried)),
            ("events_refused", "events refused for good, by status", "status", counters(&self.refused)),
            (
                "events_redacted",
                "events that a redaction rule has changed",
                "rule",
                counters(&self.redactions),
            ),
        ];
        for (name, help, label, counters) in families {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (value, count) in &counters {
                ConstCounter::new(*count).encode(family.encode_family(&[(label, value.as_str())])?)?;
            }
        }
        let help = "events that a rule was for, by what became of them";
        let mut family = encoder.encode_descriptor("rule_events", help, None, MetricType::Counter)?;
        for (rule, outcomes) in &self.rules {
            for (outcome, count) in outcomes {
                let labels = [("rule", rule.as_str()), ("outcome", outcome.as_str())];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
        let bytes = "bytes of a file that have no outcome";
        self.encode_lag(&mut encoder, bytes, &ShownUnit::Bytes, |stream| stream.lag_bytes)?;
        let seconds = "for how long the oldest line of a file that was read waits for its outcome";
        self.encode_lag(&mut encoder, seconds, &ShownUnit::Seconds, |stream| stream.lag_s)
    }
}

fn encode_number(encoder: &mut DescriptorEncoder<'_>, number: &Number, value: u64) -> Result<(), fmt::Error> {
    let unit = match number.unit {
        Unit::Count => None,
        Unit::Bytes => Some(ShownUnit::Bytes),
        Unit::Seconds => Some(ShownUnit::Seconds),
    };
    let kind = match number.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
    };
    let metric = encoder.encode_descriptor(number.name, number.help, unit.as_ref(), kind)?;
    match number.kind {
        Kind::Counter => ConstCounter::new(value).encode(metric),
        Kind::Gauge => ConstGauge::new(value).encode(metric),
    }
}

impl Snapshot {
    fn encode_lag(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        help: &str,
        unit: &ShownUnit,
        lag: fn(&StreamState) -> u64,
    ) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor("stream_lag", help, Some(unit), MetricType::Gauge)?;
        for stream in &self.streams {
            let path = stream.path.to_string_lossy();
            let labels = [("path", path.as_ref()), ("id", stream.id.as_str())];
            ConstGauge::new(lag(stream)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
