//! Charts: scales, round ticks and the frame that a line chart and a heatmap share.
//!
//! The SVG is written by the page's own template rather than by a plotting crate: a chart must take its colours from the
//! stylesheet (light, dark, no inline styles), stay readable on a phone, and escape what it names. To that end places
//! are percentages: what is drawn stretches with the page, and texts keep their size.

use maud::{Markup, html};

use super::text::{self, Unit};
use crate::query::Axis;

/// Height of what is drawn, in pixels.
pub(super) const HEIGHT: f64 = 180.0;

/// Room above it, for half a label.
const TOP: f64 = 8.0;

/// Room below it, for two lines of times.
const BOTTOM: f64 = 36.0;

/// Most ticks on the axis of values, and of time.
const TICKS: f64 = 4.0;
const TIME_TICKS: i64 = 6;

/// Steps of an axis of time, in seconds; each divides the next day or is days.
const TIME_STEPS: [i64; 19] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800,
];

/// Maps values to shares of a height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    least: f64,
    greatest: f64,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// From the beginning of the axis, 0 to 1.
    pub(super) share: f64,
    pub(super) label: String,
    /// A second line.
    pub(super) below: Option<String>,
}

impl Scale {
    /// A scale from 0, or what is below, to a round number above the greatest value.
    pub(super) fn round(least: f64, greatest: f64, unit: Unit) -> (Scale, Vec<Tick>) {
        let (least, greatest) = (least.min(0.0), greatest.max(0.0));
        let greatest = if greatest > least { greatest } else { above(least) };
        let step = step(greatest / 2.0 - least / 2.0, unit);
        let (bottom, top) = ((least / step).floor() * step, (greatest / step).ceil() * step);
        let scale = if bottom.is_finite() && top.is_finite() {
            Scale { least: bottom, greatest: top }
        } else {
            Scale { least, greatest }
        };
        (scale, scale.ticks(unit))
    }

    /// A scale from bound to bound.
    pub(super) fn between(least: f64, greatest: f64, unit: Unit) -> (Scale, Vec<Tick>) {
        let scale = Scale { least, greatest: if greatest > least { greatest } else { above(least) } };
        (scale, scale.ticks(unit))
    }

    pub(super) fn share(&self, value: f64) -> f64 {
        // Halved, because the distance of two floats may be more than a float.
        let share = (value / 2.0 - self.least / 2.0) / (self.greatest / 2.0 - self.least / 2.0);
        share.clamp(0.0, 1.0)
    }

    /// The value at a share.
    pub(super) fn value(&self, share: f64) -> f64 {
        self.least * (1.0 - share) + self.greatest * share
    }

    fn ticks(&self, unit: Unit) -> Vec<Tick> {
        let step = step(self.greatest / 2.0 - self.least / 2.0, unit);
        let (name, factor) = multiple(step, unit);
        let first = (self.least / step).ceil();
        let count = ((self.greatest / step).floor() - first).clamp(0.0, 2.0 * TICKS) as i64;
        let ticks = (0..=count).map(|index| {
            let value = (first + index as f64) * step;
            let space =
                if name.len() > 1 || unit == Unit::Milliseconds || unit == Unit::Bytes { " " } else { "" };
            let label = if value == 0.0 {
                "0".to_owned()
            } else {
                format!("{}{space}{name}", text::number(value / factor))
            };
            Tick { share: self.share(value), label, below: None }
        });
        ticks.collect()
    }
}

/// A float above, one more where that makes a difference.
fn above(value: f64) -> f64 {
    (value + 1.0).max(value.next_up())
}

/// The unit to write ticks of this step in: the largest of which the step is not a small part.
fn multiple(step: f64, unit: Unit) -> (&'static str, f64) {
    let mut multiples = unit.multiples().iter();
    multiples.find(|(_, factor)| step >= *factor).copied().unwrap_or((unit.name(), 1.0))
}

/// A step of 1, 2 or 5 at a power of ten, in a unit of time 1, 2, 5, 10, 15 or 30, for a few ticks on twice this span.
fn step(half_span: f64, unit: Unit) -> f64 {
    let raw = half_span / TICKS * 2.0;
    if unit == Unit::Milliseconds && (60_000.0..3_600_000.0).contains(&raw) {
        let steps = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0].map(|minutes| minutes * 60_000.0);
        return steps.into_iter().find(|step| *step >= raw).unwrap_or(3_600_000.0);
    }
    let power = 10_f64.powf(raw.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= raw * 0.999_999);
    let step = step.filter(|step| step.is_normal()).unwrap_or(half_span.max(f64::MIN_POSITIVE));
    if unit == Unit::Count { step.max(1.0) } else { step }
}

/// Ticks at round times of day, in UTC, with the date where it begins to hold.
pub(super) fn time_ticks(axis: Axis) -> Vec<Tick> {
    let (start, end) = bounds(axis);
    let seconds = (end - start).max(1);
    let step = TIME_STEPS.into_iter().find(|step| seconds / step <= TIME_TICKS);
    let step = step.unwrap_or_else(|| (seconds / TIME_TICKS / 86_400 + 1) * 86_400);
    let (format, below) = match step {
        ..60 => ("%H:%M:%S", "%b %-d"),
        60..86_400 => ("%H:%M", "%b %-d"),
        _ => ("%b %-d", "%Y"),
    };
    let mut last = String::new();
    let first = start.div_euclid(step) + i64::from(start.rem_euclid(step) != 0);
    let ticks = (first..=end / step).map(|index| {
        let time = index * step;
        let day = text::time(time, below);
        let is_new = day != last;
        last.clone_from(&day);
        let share = (time - start) as f64 / seconds as f64;
        Tick { share, label: text::time(time, format), below: is_new.then_some(day) }
    });
    ticks.collect()
}

/// Where the buckets begin and end, in Unix seconds.
fn bounds(axis: Axis) -> (i64, i64) {
    (axis.bucket_start(0), axis.bucket_start(axis.buckets()))
}

/// The range and the buckets in words.
pub(super) fn range(axis: Axis) -> String {
    let (start, end) = (axis.start, axis.end);
    let same_day = start.div_euclid(86_400) == (end - 1).div_euclid(86_400);
    let format = if same_day { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    format!("{} to {} UTC", text::time(start, "%Y-%m-%d %H:%M:%S"), text::time(end, format))
}

/// What a chart says of itself.
pub(super) struct Words<'a> {
    pub(super) title: &'a str,
    pub(super) details: String,
    pub(super) description: String,
}

/// A chart: what is drawn in a square of 1000 by 1000 within its axes, and what stands below it.
pub(super) fn frame(
    words: &Words<'_>,
    values: &[Tick],
    times: &[Tick],
    drawn: &Markup,
    below: &Markup,
) -> Markup {
    let height = TOP + HEIGHT + BOTTOM;
    let at = |share: f64| format!("{:.1}", TOP + (1.0 - share) * HEIGHT);
    html! {
        figure.chart {
            figcaption { strong { (words.title) } " " span.quiet { (words.details) } }
            div.plot {
                svg.values aria-hidden="true" width="64" height=(height) {
                    @for tick in values {
                        text x="58" y=(at(tick.share)) dy="0.32em" text-anchor="end" { (tick.label) }
                    }
                }
                svg.field role="img" width="100%" height=(height) {
                    title { (words.title) }
                    desc { (words.description) }
                    @for tick in values {
                        line.grid x1="0" x2="100%" y1=(at(tick.share)) y2=(at(tick.share)) {}
                    }
                    svg x="0" y=(TOP) width="100%" height=(HEIGHT) viewBox="0 0 1000 1000" preserveAspectRatio="none" {
                        (drawn)
                    }
                    (time_axis(times))
                }
            }
            (below)
        }
    }
}

fn time_axis(times: &[Tick]) -> Markup {
    let bottom = TOP + HEIGHT;
    html! {
        @for (index, tick) in times.iter().enumerate() {
            @let x = percent(tick.share);
            @let anchor = if tick.share < 0.05 { "start" } else if tick.share > 0.95 { "end" } else { "middle" };
            g.tick.every-other[index % 2 == 1] {
                line.mark x1=(x) x2=(x) y1=(bottom) y2=(bottom + 4.0) {}
                text x=(x) y=(bottom + 16.0) text-anchor=(anchor) { (tick.label) }
                @if let Some(below) = &tick.below {
                    text x=(x) y=(bottom + 30.0) text-anchor=(anchor) { (below) }
                }
            }
        }
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

/// A place in the square of 1000 by 1000, to a tenth.
pub(super) fn place(share: f64) -> f64 {
    (share * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_in_the_unit_that_suits_them() {
        for (least, greatest, unit, wanted) in [
            (0.0, 3.0, Unit::Count, vec!["0", "1", "2", "3"]),
            (0.0, 0.0, Unit::Count, vec!["0", "1"]),
            (3.0, 97.0, Unit::Count, vec!["0", "50", "100"]),
            (0.0, 0.37, Unit::Plain, vec!["0", "0.1", "0.2", "0.3", "0.4"]),
            (0.0, 1_800.0, Unit::Milliseconds, vec!["0", "500 ms", "1,000 ms", "1,500 ms", "2,000 ms"]),
            (0.0, 61_000.0, Unit::Milliseconds, vec!["0", "20 s", "40 s", "60 s", "80 s"]),
            (0.0, 600_000.0, Unit::Milliseconds, vec!["0", "5 min", "10 min"]),
            (0.0, 3_500_000.0, Unit::Bytes, vec!["0", "1 MB", "2 MB", "3 MB", "4 MB"]),
            (-5.0, 12.0, Unit::Plain, vec!["-5", "0", "5", "10", "15"]),
        ] {
            assert_eq!(labels(&Scale::round(least, greatest, unit).1), wanted, "{least} to {greatest}");
        }
    }

    #[test]
    fn every_value_has_a_place_on_its_scale() {
        let extremes = [f64::MIN, -1e300, -1.5, -1e-300, 0.0, 1e-308, 0.1, 1.0, 7e11, f64::MAX];
        for least in extremes {
            for greatest in extremes.into_iter().filter(|greatest| *greatest >= least) {
                for unit in [Unit::Plain, Unit::Count, Unit::Milliseconds, Unit::Bytes] {
                    for (scale, ticks) in
                        [Scale::round(least, greatest, unit), Scale::between(least, greatest, unit)]
                    {
                        let shares = [scale.share(least), scale.share(greatest)];
                        assert!(
                            shares.iter().all(|share| (0.0..=1.0).contains(share)),
                            "{least} {greatest} {shares:?}"
                        );
                        assert!(ticks.len() <= 10, "{least} {greatest} {ticks:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn times_are_round_and_say_their_date_where_it_begins() {
        let axis = |start, seconds, granularity| Axis { start, end: start + seconds, granularity };
        let told = |axis| {
            let ticks: Vec<Tick> = time_ticks(axis);
            ticks
                .into_iter()
                .map(|tick| tick.label + &tick.below.map_or_else(String::new, |day| format!(" {day}")))
                .collect::<Vec<_>>()
        };
        // 2023-11-14T22:13:20Z
        let start = 1_700_000_000;
        assert_eq!(told(axis(start, 7_200, 60)), ["22:30 Nov 14", "23:00", "23:30", "00:00 Nov 15"]);
        assert_eq!(
            told(axis(start, 10, 5)),
            ["22:13:20 Nov 14", "22:13:22", "22:13:24", "22:13:26", "22:13:28", "22:13:30"]
        );
        assert_eq!(told(axis(start, 604_800, 7_200))[..2], ["Nov 15 2023", "Nov 17"]);
        assert_eq!(told(axis(0, 253_402_207_200, 604_800_000)).len(), 6);
    }
}
