//! Columns: take the stored events of a dataset, give what is known of their fields.
//!
//! Nothing is kept up for this while events come in: the columns of the segments are counted when somebody asks.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use super::QueryError;
use super::scan::Scope;
use crate::limits::COLUMNS_LISTED_MAX;
use crate::store::{Column, Kind, Segment, Snapshot};

/// Most examples of a column.
const EXAMPLES_MAX: usize = 3;

/// Longest example in characters; longer values are passed over.
const EXAMPLE_CHARS_MAX: usize = 60;

/// How many of a segment's newest values are looked at for examples.
const EXAMPLES_TRIED: usize = 20;

/// A type of values, as Honeycomb names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ColumnType {
    String,
    Float,
    Integer,
    Boolean,
}

const TYPES: [ColumnType; 4] =
    [ColumnType::String, ColumnType::Float, ColumnType::Integer, ColumnType::Boolean];

/// What is known of a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ColumnStats {
    pub(crate) name: String,
    /// The types of its values: more than one if senders disagree.
    pub(crate) types: Vec<ColumnType>,
    /// Kept events that have it.
    pub(crate) events: u64,
    /// The newest time of an event that has it.
    #[serde(serialize_with = "crate::store::serialize_rfc3339")]
    pub(crate) last_written: Timestamp,
    /// A few different short values, the newest first.
    pub(crate) examples: Vec<String>,
}

impl ColumnStats {
    /// The one type under which all its values fit.
    pub(crate) fn common_type(&self) -> ColumnType {
        match self.types.as_slice() {
            [ColumnType::Float, ColumnType::Integer] => ColumnType::Float,
            &[only] => only,
            _ => ColumnType::String,
        }
    }
}

#[derive(Default)]
struct Tally {
    /// By the place of the type in [`TYPES`].
    counts: [u64; TYPES.len()],
    last_written: Option<Timestamp>,
    examples: Vec<String>,
}

/// The columns of a dataset, or of all, by name; the first of them if there are very many.
pub(crate) fn columns(snapshot: &Snapshot, scope: Scope) -> Result<Vec<ColumnStats>, QueryError> {
    let mut tallies: HashMap<&str, Tally> = HashMap::new();
    for segment in snapshot.segments().iter().rev() {
        scope.check_time()?;
        for column in segment.columns() {
            let tally = tallies.entry(&column.name).or_default();
            tally.count(segment, column, scope);
            if tally.examples.len() < EXAMPLES_MAX {
                tally.find_examples(segment, column, scope);
            }
        }
    }
    let stats = tallies.into_iter().filter_map(|(name, tally)| {
        let types = TYPES.into_iter().zip(tally.counts).filter(|&(_, count)| count > 0);
        Some(ColumnStats {
            name: name.to_owned(),
            types: types.map(|(name, _)| name).collect(),
            events: tally.counts.iter().sum(),
            // There is none if no kept event of the dataset has the column.
            last_written: tally.last_written?,
            examples: tally.examples,
        })
    });
    let mut stats: Vec<_> = stats.collect();
    stats.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    stats.truncate(COLUMNS_LISTED_MAX);
    Ok(stats)
}

impl Tally {
    fn count(&mut self, segment: &Segment, column: &Column, scope: Scope) {
        for (position, cell) in segment.kept_cells(column) {
            let record = &segment.records[position];
            if !scope.includes(record.dataset) {
                continue;
            }
            let place = match cell.kind {
                Kind::Null => continue,
                Kind::Text | Kind::Escaped | Kind::Nested => 0,
                Kind::Float => 1,
                Kind::Int => 2,
                Kind::Bool => 3,
            };
            self.counts[place] += 1;
            self.last_written = self.last_written.max(Some(record.time.timestamp));
        }
    }

    fn find_examples(&mut self, segment: &Segment, column: &Column, scope: Scope) {
        let newest = segment.kept_cells(column).rev();
        let newest = newest.filter(|&(position, _)| scope.includes(segment.records[position].dataset));
        for (position, cell) in newest.take(EXAMPLES_TRIED) {
            let example = cell.read(segment.records[position].data.get()).to_string();
            let is_short = example.chars().nth(EXAMPLE_CHARS_MAX).is_none();
            if is_short && !self.examples.contains(&example) {
                self.examples.push(example);
            }
            if self.examples.len() == EXAMPLES_MAX {
                return;
            }
        }
    }
}
