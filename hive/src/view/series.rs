//! Line charts: take an outcome and one of its calculations, give its groups over time.
//!
//! Each group has a colour, and the same one in the legend, in the table and in every chart of the page; the second five
//! have dashed lines, so that no two are told apart by colour alone. A bucket without events is 0 where events are
//! counted, and a gap everywhere else. A lone count is drawn as bars.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::chart::{self, Scale, Words, place};
use super::text::{self, Unit};
use crate::query::{Group, Op, Outcome, Scalar};

/// Groups that are drawn.
pub(super) const GROUPS_DRAWN: usize = 10;

/// Longest name of a group in a legend or a hint, in characters.
const NAME_CHARS: usize = 60;

/// The colour of a group, as a short line.
pub(super) fn swatch(index: usize) -> Markup {
    html! {
        svg.swatch aria-hidden="true" width="18" height="10" {
            line class={ "curve s" (index) } x1="1" x2="17" y1="5" y2="5" {}
        }
    }
}

/// The chart of the calculation at `place_of` in the outcome.
pub(super) fn draw(outcome: &Outcome, place_of: usize) -> Markup {
    let calculation = &outcome.calculations[place_of];
    let unit = Unit::of(calculation);
    let is_count = matches!(calculation.op, Op::Count | Op::CountDistinct);
    let groups: Vec<&Group> = outcome.groups.iter().take(GROUPS_DRAWN).collect();
    let lines: Vec<Vec<Option<f64>>> =
        groups.iter().map(|group| values(group, place_of, outcome.axis.buckets(), is_count)).collect();
    let known = lines.iter().flatten().flatten();
    let (least, greatest) = known
        .fold((f64::MAX, f64::MIN), |(least, greatest), value| (least.min(*value), greatest.max(*value)));
    if least > greatest {
        return html! {
            p.quiet { strong { (calculation) } ": none of these events has a number there." }
        };
    }
    let (scale, ticks) = Scale::round(least, greatest, unit);
    let is_bars = is_count && outcome.breakdowns.is_empty();
    let drawn = html! {
        @for (index, line) in lines.iter().enumerate() {
            @if is_bars { path.bars d=(bars(line, scale)) {} } @else {
                @let (curve, dots) = path(line, scale);
                @if !curve.is_empty() { path class={ "curve s" (index) } d=(curve) {} }
                @if !dots.is_empty() { path class={ "curve dots s" (index) } d=(dots) {} }
            }
        }
        (hints(outcome, &groups, &lines, unit))
    };
    let title = calculation.to_string();
    let words = Words {
        title: &title,
        details: format!("each {} · UTC", text::seconds(outcome.axis.granularity)),
        description: format!(
            "{}, {}. The table has the numbers.",
            text::count(groups.len() as u64, "line"),
            chart::range(outcome.axis)
        ),
    };
    let below = if outcome.breakdowns.is_empty() {
        html! {}
    } else {
        legend(outcome, &groups)
    };
    chart::frame(&words, &ticks, &chart::time_ticks(outcome.axis), &drawn, &below)
}

/// The values of a group, bucket by bucket.
fn values(group: &Group, place_of: usize, buckets: usize, is_count: bool) -> Vec<Option<f64>> {
    let mut values = vec![is_count.then_some(0.0); buckets];
    for point in &group.series {
        values[point.bucket] = point.values[place_of].as_float();
    }
    values
}

/// Lines through the middles of the buckets, and dots for those that have no neighbour.
fn path(line: &[Option<f64>], scale: Scale) -> (String, String) {
    let (mut curve, mut dots) = (String::new(), String::new());
    for (bucket, value) in line.iter().enumerate() {
        let Some(value) = value else { continue };
        let x = place((bucket as f64 + 0.5) / line.len() as f64);
        let y = place(1.0 - scale.share(*value));
        let follows = bucket > 0 && line[bucket - 1].is_some();
        // Writing to a string does not fail.
        let _ = if !follows && line.get(bucket + 1).is_none_or(Option::is_none) {
            write!(dots, "M{x} {y}h.01")
        } else {
            write!(curve, "{}{x} {y}", if follows { 'L' } else { 'M' })
        };
    }
    (curve, dots)
}

fn bars(line: &[Option<f64>], scale: Scale) -> String {
    let mut path = String::new();
    let width = 1.0 / line.len() as f64;
    for (bucket, value) in line.iter().enumerate() {
        let Some(value) = value.filter(|value| *value > 0.0) else { continue };
        let (x, y) = (place((bucket as f64 + 0.05) * width), place(1.0 - scale.share(value)));
        let _ = write!(path, "M{x} 1000V{y}h{}V1000z", place(width * 0.9).max(0.5));
    }
    path
}

/// A strip over each bucket that tells its values when pointed at.
fn hints(outcome: &Outcome, groups: &[&Group], lines: &[Vec<Option<f64>>], unit: Unit) -> Markup {
    let axis = outcome.axis;
    let width = 1_000.0 / axis.buckets() as f64;
    let hint = |bucket: usize| {
        let mut hint = text::time(axis.bucket_start(bucket), "%b %-d %H:%M:%S");
        for (group, line) in groups.iter().zip(lines) {
            if let Some(value) = line[bucket].filter(|value| *value != 0.0) {
                let value = text::measure(&Scalar::from_float(value), unit);
                let _ = write!(hint, "\n{value}  {}", text::clip(&text::group(&group.key), NAME_CHARS));
            }
        }
        hint
    };
    let is_known = |bucket: &usize| lines.iter().any(|line| line[*bucket].is_some_and(|value| value != 0.0));
    html! {
        g.hints {
            @for bucket in (0..axis.buckets()).filter(is_known) {
                rect x=(place(bucket as f64 * width / 1_000.0)) y="0" width=(place(width / 1_000.0)) height="1000" {
                    title { (hint(bucket)) }
                }
            }
        }
    }
}

fn legend(outcome: &Outcome, groups: &[&Group]) -> Markup {
    let left_out = outcome.groups.len() - groups.len();
    html! {
        ul.legend {
            @for (index, group) in groups.iter().enumerate() {
                li { (swatch(index)) " " (text::clip(&text::group(&group.key), NAME_CHARS)) }
            }
            @if left_out > 0 {
                li.quiet { "and " (text::count(left_out as u64, "group")) " in the table" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::outcome::Point;
    use crate::query::{Axis, Calculation};

    fn outcome(op: Op, breakdown: Option<&str>, groups: &[(&str, &[(usize, f64)])]) -> Outcome {
        let column = (op != Op::Count).then(|| "duration_ms".to_owned());
        let group = |(name, points): &(&str, &[(usize, f64)])| Group {
            key: breakdown.map(|_| Scalar::Text((*name).to_owned().into())).into_iter().collect(),
            values: vec![Scalar::Int(1)],
            series: points
                .iter()
                .map(|&(bucket, value)| Point { bucket, values: vec![Scalar::from_float(value)] })
                .collect(),
        };
        Outcome {
            breakdowns: breakdown.map(str::to_owned).into_iter().collect(),
            calculations: vec![Calculation { op, column }],
            axis: Axis { start: 1_700_000_000, end: 1_700_000_300, granularity: 60 },
            groups: groups.iter().map(group).collect(),
            groups_total: groups.len(),
            totals: vec![Scalar::Int(1)],
            heatmaps: Vec::new(),
            matched: 5,
            looked_at: 7,
            elapsed_ms: 1,
        }
    }

    #[test]
    fn gaps_are_zero_where_events_are_counted_and_gaps_elsewhere() {
        let points = &[(0, 1.0), (1, 2.0), (3, 2.0)];
        let maxima = draw(&outcome(Op::Max, Some("name"), &[("a", points)]), 0).into_string();
        assert!(
            maxima.contains(r#"d="M83.3 500L250 0"></path><path class="curve dots s0" d="M583.3 0h.01""#),
            "{maxima}"
        );
        let counts = draw(&outcome(Op::Count, Some("name"), &[("a", points)]), 0).into_string();
        assert!(counts.contains(r#"d="M83.3 500L250 0L416.7 1000L583.3 0L750 1000L916.7 1000""#), "{counts}");
        let bars = draw(&outcome(Op::Count, None, &[("", points)]), 0).into_string();
        assert!(bars.contains(r#"class="bars" d="M8.3 1000V500h150V1000z"#), "{bars}");
    }

    #[test]
    fn names_are_escaped_and_ten_groups_are_drawn() {
        let points: &[(usize, f64)] = &[(0, 1.0)];
        let groups: Vec<_> = (0..12).map(|_| ("</title><script>&", points)).collect();
        let chart = draw(&outcome(Op::Max, Some("name"), &groups), 0).into_string();
        assert!(!chart.contains("<script") && chart.contains("&lt;/title&gt;&lt;script&gt;&amp;"), "{chart}");
        assert_eq!(chart.matches("<path").count(), 10);
        assert!(chart.contains("and 2 groups in the table"));
    }

    #[test]
    fn what_has_no_number_is_said_instead_of_drawn() {
        let chart = draw(&outcome(Op::Max, Some("name"), &[("a", &[])]), 0).into_string();
        assert!(chart.contains("none of these events has a number there"), "{chart}");
    }
}
