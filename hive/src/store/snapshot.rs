//! A snapshot: what the store held at one moment, for queries that must not hold its lock.
//!
//! Takes the segments shared, gives their events by number. The store copies a segment before it changes it while a
//! snapshot is held, which happens to two of them at most: the one that is filled and the one that is emptied.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::segment::{Record, Segment};
use super::{Dataset, DatasetId};

/// The events of the store at one moment.
pub(crate) struct Snapshot {
    pub(super) segments: Vec<Arc<Segment>>,
    /// By their ids.
    pub(super) datasets: Vec<Dataset>,
}

/// A stored event on its own.
#[derive(Clone, Debug)]
pub(crate) struct RawEvent {
    /// Its number, counted over all events since the receiver started: the same as long as the event is kept.
    pub(crate) id: u64,
    pub(crate) dataset: String,
    pub(crate) time: Timestamp,
    /// How many events this one stands for, at least 1.
    pub(crate) samplerate: u64,
    /// The fields as they came: a JSON object.
    pub(crate) data: Arc<RawValue>,
}

impl Snapshot {
    /// The oldest first.
    pub(crate) fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// By their ids.
    pub(crate) fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    /// The dataset of that name in any case, or of that slug: the name with a dash for all but letters and digits.
    pub(crate) fn dataset_id(&self, name: &str) -> Option<DatasetId> {
        let name = name.to_lowercase();
        let of =
            |key: fn(&str) -> String| self.datasets.iter().position(|dataset| key(&dataset.name) == name);
        of(str::to_lowercase).or_else(|| of(slug)).map(DatasetId)
    }

    /// The event of that number, while it is kept.
    pub(crate) fn event(&self, id: u64) -> Option<RawEvent> {
        let after = self.segments.partition_point(|segment| segment.first_id <= id);
        let index = after.checked_sub(1)?;
        self.segments[index].position_of(id).map(|position| self.event_at(index, position))
    }

    /// The event at a position of a segment, both of this snapshot.
    pub(crate) fn event_at(&self, segment: usize, position: usize) -> RawEvent {
        let segment = &self.segments[segment];
        let Record { dataset, time, samplerate, data, .. } = &segment.records[position];
        RawEvent {
            id: segment.id_at(position),
            dataset: self.datasets[dataset.0].name.clone(),
            time: time.timestamp,
            samplerate: *samplerate,
            data: Arc::clone(data),
        }
    }
}

/// A dataset's name as it stands in Honeycomb's paths.
fn slug(name: &str) -> String {
    let dashed = |char: char| if char.is_alphanumeric() { char } else { '-' };
    name.to_lowercase().chars().map(dashed).collect()
}
