//! Heatmaps: take how many events lie where, over time, and give cells whose colour says so.
//!
//! One path per colour draws all cells of it, which keeps a page of thousands of cells small.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::chart::{self, Scale, Words, place};
use super::text::{self, Unit};
use crate::query::{Heatmap, Outcome, Scalar};

/// Colours, from the lightest count.
const LEVELS: usize = 7;

/// Bands of values in the table that has the numbers.
const BANDS: usize = 10;

pub(super) fn draw(outcome: &Outcome, heatmap: &Heatmap) -> Markup {
    let title = format!("HEATMAP({})", heatmap.column);
    let Some((least, greatest)) = heatmap.bounds else {
        return html! {
            p.quiet { strong { (title) } ": none of these events has a number there." }
        };
    };
    let unit = Unit::of_column(&heatmap.column);
    let (scale, ticks) = Scale::between(least, greatest, unit);
    let most = heatmap.counts.iter().flatten().copied().max().unwrap_or(0);
    let cells = paths(heatmap, most);
    let drawn = html! {
        @for (level, path) in cells.iter().enumerate() {
            @if !path.is_empty() { path class={ "heat h" (level) } d=(path) {} }
        }
        (hints(outcome, heatmap))
    };
    let words = Words {
        title: &title,
        details: format!("each {} · UTC", text::seconds(outcome.axis.granularity)),
        description: format!(
            "Where values from {} to {} lie, {}. The table below has the numbers.",
            text::number(least),
            text::number(greatest),
            chart::range(outcome.axis)
        ),
    };
    let below = html! {
        (key(heatmap, most))
        (numbers(heatmap, scale, unit))
    };
    chart::frame(&words, &ticks, &chart::time_ticks(outcome.axis), &drawn, &below)
}

/// Which colour so many events have: logarithmic, since most of the cells have few.
fn level(count: u64, most: u64) -> usize {
    let share = (count as f64).ln_1p() / (most as f64).ln_1p();
    (1..LEVELS).take_while(|&level| share > level as f64 / LEVELS as f64).count()
}

fn paths(heatmap: &Heatmap, most: u64) -> [String; LEVELS] {
    let mut paths: [String; LEVELS] = Default::default();
    let (columns, rows) = (heatmap.counts.len() as f64, heatmap.rows as f64);
    // A little more than its share, so that neighbours leave no seam.
    let (width, height) = (place(1.0 / columns) + 0.4, place(1.0 / rows) + 0.4);
    for (bucket, counts) in heatmap.counts.iter().enumerate() {
        for (row, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (x, y) = (place(bucket as f64 / columns), place(1.0 - (row + 1) as f64 / rows));
            // Writing to a string does not fail.
            let _ = write!(paths[level(count, most)], "M{x} {y}h{width}v{height}h-{width}z");
        }
    }
    paths
}

/// A strip over each bucket that tells its events when pointed at.
fn hints(outcome: &Outcome, heatmap: &Heatmap) -> Markup {
    let columns = heatmap.counts.len() as f64;
    html! {
        g.hints {
            @for (bucket, counts) in heatmap.counts.iter().enumerate() {
                @let events = counts.iter().sum::<u64>();
                @if events > 0 {
                    rect x=(place(bucket as f64 / columns)) y="0" width=(place(1.0 / columns)) height="1000" {
                        title {
                            (text::time(outcome.axis.bucket_start(bucket), "%b %-d %H:%M:%S")) "\n"
                            (text::count(events, "event"))
                        }
                    }
                }
            }
        }
    }
}

/// Which colour means how many events: the least and the most of the cells that have it.
fn key(heatmap: &Heatmap, most: u64) -> Markup {
    let mut ranges: [Option<(u64, u64)>; LEVELS] = [None; LEVELS];
    for &count in heatmap.counts.iter().flatten().filter(|count| **count > 0) {
        let range = &mut ranges[level(count, most)];
        let (least, greatest) = range.unwrap_or((count, count));
        *range = Some((least.min(count), greatest.max(count)));
    }
    html! {
        ul.legend {
            li.quiet { "events in a cell" }
            @for (level, range) in ranges.iter().enumerate() {
                @if let Some((from, to)) = *range {
                    li {
                        svg.swatch aria-hidden="true" width="18" height="12" {
                            rect class={ "heat h" (level) } width="18" height="12" {}
                        }
                        " " (text::integer(from)) @if from < to { "–" (text::integer(to)) }
                    }
                }
            }
        }
    }
}

/// The same as a table: how many events lie in each band of values, over the whole time.
fn numbers(heatmap: &Heatmap, scale: Scale, unit: Unit) -> Markup {
    let mut bands = [0_u64; BANDS];
    for counts in &heatmap.counts {
        for (row, count) in counts.iter().enumerate() {
            let band = &mut bands[row * BANDS / heatmap.rows];
            *band = band.saturating_add(*count);
        }
    }
    let edge =
        |band: usize| text::measure(&Scalar::from_float(scale.value(band as f64 / BANDS as f64)), unit);
    html! {
        details.numbers {
            summary { "As a table" }
            table {
                caption { "Events by " (heatmap.column) ", over the whole time" }
                thead { tr { th scope="col" { (heatmap.column) } th.num scope="col" { "Events" } } }
                tbody {
                    @for (band, count) in bands.iter().enumerate().rev() {
                        tr {
                            th scope="row" { (edge(band)) " to " (edge(band + 1)) }
                            td.num { (text::integer(*count)) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_a_colour_and_the_key_names_it() {
        for most in [1, 2, 5, 9, 100, 12_345, u64::MAX] {
            assert_eq!(level(most, most), LEVELS - 1);
            assert!(level(1, most) < LEVELS);
        }
        assert_eq!([1, 3, 10, 1_000].map(|count| level(count, 1_000)), [0, 1, 2, 6]);
        let counts = vec![vec![0, 1, 900], vec![1_000, 2, 3]];
        let key = key(&Heatmap { column: "a".into(), bounds: Some((0.0, 1.0)), rows: 3, counts }, 1_000)
            .into_string();
        for range in ["> 1<", "> 2–3<", "> 900–1,000<"] {
            assert!(key.contains(range), "{range}: {key}");
        }
    }

    #[test]
    fn cells_stand_where_their_values_are() {
        let mut counts = vec![vec![0; 4]; 2];
        (counts[0][0], counts[1][3]) = (1, 9);
        let heatmap = Heatmap { column: "a".into(), bounds: Some((0.0, 4.0)), rows: 4, counts };
        let paths = paths(&heatmap, 9);
        assert_eq!(
            (paths[2].as_str(), paths[6].as_str()),
            ("M0 750h500.4v250.4h-500.4z", "M500 0h500.4v250.4h-500.4z")
        );
        let numbers = numbers(&heatmap, Scale::between(0.0, 4.0, Unit::Plain).0, Unit::Plain).into_string();
        assert!(numbers.contains(r#"<th scope="row">0 to 0.4</th><td class="num">1</td>"#), "{numbers}");
    }
}
