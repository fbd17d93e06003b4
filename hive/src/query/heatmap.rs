//! Heatmaps: take the hits of a scan and a column, give how many of its numbers lie where, over time.

use super::QueryError;
use super::outcome::Heatmap;
use super::plan::Axis;
use super::scan::Scan;

/// Rows of a heatmap.
pub(super) const ROWS: usize = 40;

/// Draws the numbers of a column over all hits, between the smallest and the greatest of them.
pub(super) fn heatmap(scan: &Scan<'_>, column: &str, axis: Axis) -> Result<Heatmap, QueryError> {
    let mut points: Vec<(usize, f64, u64)> = Vec::new();
    for (segment, _, hits) in scan.segments() {
        scan.check_time()?;
        let reader = segment.reader(column);
        points.extend(hits.iter().filter_map(|hit| {
            let record = &segment.records[hit.position()];
            let number = reader.value(hit.position()).as_float()?;
            Some((axis.bucket(record.time.timestamp), number, record.samplerate))
        }));
    }
    let least = points.iter().map(|point| point.1).reduce(f64::min);
    let bounds = least.map(|least| (least, points.iter().map(|point| point.1).fold(least, f64::max)));
    let mut counts = vec![vec![0_u64; ROWS]; axis.buckets()];
    if let Some(bounds) = bounds {
        for (bucket, number, weight) in points {
            let count = &mut counts[bucket][row(number, bounds)];
            *count = count.saturating_add(weight);
        }
    }
    Ok(Heatmap { column: column.to_owned(), bounds, rows: ROWS, counts })
}

/// The row of a number between the bounds; the greatest is in the last.
fn row(number: f64, (least, greatest): (f64, f64)) -> usize {
    // Halved, because the distance of two floats may be more than a float.
    let share = (number / 2.0 - least / 2.0) / (greatest / 2.0 - least / 2.0);
    // Where all numbers are the same the share is none, and the row the first.
    (1..ROWS).take_while(|&row| share >= row as f64 / ROWS as f64).count()
}
