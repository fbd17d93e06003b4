//! The store: takes accepted events, gives back the newest ones, by dataset if asked.
//!
//! Events are kept as the JSON text they came in, in segments that have a column for each field beside it: a few
//! hundred bytes each, where a parsed map would take a few thousand. Their number and their bytes both have a bound;
//! whenever an insertion leaves either exceeded, the oldest events go.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::event_time::EventTime;
use crate::limits::DATASETS_MAX;

pub(crate) use self::cells::Kind;
pub(crate) use self::segment::{Column, Reader, Record, Segment};
pub(crate) use self::snapshot::{RawEvent, Snapshot};

mod cells;
mod segment;
mod snapshot;

/// A stored event, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The dataset, in the spelling that came first.
    pub dataset: String,
    /// The time as received; the receipt time in RFC 3339 if none could be used.
    pub time: String,
    /// How many events this one stands for, at least 1.
    pub samplerate: u64,
    /// The fields.
    pub data: serde_json::Map<String, serde_json::Value>,
}

/// A stored event as it lies in the store.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct StoredEvent<'a> {
    pub(crate) dataset: &'a str,
    pub(crate) time: &'a str,
    pub(crate) samplerate: u64,
    pub(crate) data: &'a RawValue,
}

impl From<StoredEvent<'_>> for Event {
    fn from(event: StoredEvent<'_>) -> Event {
        Event {
            dataset: event.dataset.to_owned(),
            time: event.time.to_owned(),
            samplerate: event.samplerate,
            // Only text that parses is accepted, so the default is out of reach.
            data: serde_json::from_str(event.data.get()).unwrap_or_default(),
        }
    }
}

/// What is known of a dataset, its dropped events included.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Dataset {
    pub(crate) name: String,
    /// Events accepted since the receiver started.
    pub(crate) events: u64,
    /// The newest time of an event.
    #[serde(rename = "time_newest", serialize_with = "serialize_rfc3339")]
    pub(crate) timestamp_newest: Timestamp,
}

pub(crate) fn serialize_rfc3339<S: Serializer>(
    timestamp: &Timestamp,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(timestamp)
}

/// Names a dataset inside of one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DatasetId(pub(crate) usize);

pub(crate) struct Store {
    events_max: usize,
    bytes_max: usize,
    /// The oldest first; none is empty.
    segments: VecDeque<Arc<Segment>>,
    /// The number of the next event.
    next_id: u64,
    events: usize,
    /// Of the events and of the columns of their segments.
    bytes: usize,
    datasets: Vec<Dataset>,
    /// By lower-case name: Honeycomb's datasets differ by more than case.
    dataset_ids: HashMap<String, DatasetId>,
}

impl Store {
    pub(crate) fn new(events_max: usize, bytes_max: usize) -> Store {
        Store {
            events_max,
            bytes_max,
            segments: VecDeque::new(),
            next_id: 0,
            events: 0,
            bytes: 0,
            datasets: Vec::new(),
            dataset_ids: HashMap::new(),
        }
    }

    /// The dataset of this name, made if need be; `None` if there are too many.
    pub(crate) fn dataset_id(&mut self, name: &str) -> Option<DatasetId> {
        let key = name.to_lowercase();
        if let Some(&id) = self.dataset_ids.get(&key) {
            return Some(id);
        }
        if self.datasets.len() == DATASETS_MAX {
            return None;
        }
        let id = DatasetId(self.datasets.len());
        self.datasets.push(Dataset { name: name.to_owned(), events: 0, timestamp_newest: Timestamp::MIN });
        self.dataset_ids.insert(key, id);
        Some(id)
    }

    /// Adds an event and drops the oldest ones beyond the bounds.
    pub(crate) fn insert(&mut self, id: DatasetId, time: EventTime, samplerate: u64, data: Box<RawValue>) {
        let dataset = &mut self.datasets[id.0];
        dataset.events += 1;
        dataset.timestamp_newest = dataset.timestamp_newest.max(time.timestamp);

        let open = self.segments.back_mut().filter(|segment| !segment.is_full());
        let segment = match open {
            Some(segment) => segment,
            None => {
                if let Some(full) = self.segments.back_mut() {
                    Arc::make_mut(full).close();
                }
                self.segments.push_back_mut(Arc::new(Segment::new(self.next_id)))
            }
        };
        self.bytes += Arc::make_mut(segment).push(id, time, samplerate, data.into());
        self.next_id += 1;
        self.events += 1;
        while self.events > self.events_max || self.bytes > self.bytes_max {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(segment) = self.segments.front_mut() else { return };
        let segment = Arc::make_mut(segment);
        if let Some(oldest) = segment.pop() {
            self.events -= 1;
            self.bytes -= oldest.bytes();
        }
        if segment.records.is_empty() {
            self.bytes -= segment.columns_bytes();
            self.segments.pop_front();
        }
    }

    /// Takes all events out, the oldest first; what is known of their datasets stays.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Arc<RawValue>> + use<> {
        (self.events, self.bytes) = (0, 0);
        let segments = std::mem::take(&mut self.segments);
        segments
            .into_iter()
            .flat_map(|segment| Arc::unwrap_or_clone(segment).records)
            .map(|record| record.data)
    }

    /// The stored events from the oldest to the newest, in the order they came.
    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = StoredEvent<'_>> {
        self.records().map(|record| self.view(record))
    }

    /// The newest events first, of one dataset or of all.
    pub(crate) fn newest(&self, dataset: Option<&str>) -> impl Iterator<Item = StoredEvent<'_>> {
        let wanted = dataset.map(|name| self.dataset_ids.get(&name.to_lowercase()).copied());
        self.records()
            .rev()
            .filter(move |record| wanted.is_none_or(|wanted| wanted == Some(record.dataset)))
            .map(|record| self.view(record))
    }

    /// All that is stored now, to be read without the store.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { segments: self.segments.iter().cloned().collect(), datasets: self.datasets.clone() }
    }

    fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.segments.iter().flat_map(|segment| &segment.records)
    }

    /// The datasets by name.
    pub(crate) fn datasets(&self) -> Vec<Dataset> {
        let mut datasets = self.datasets.clone();
        datasets.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        datasets
    }

    pub(crate) fn datasets_count(&self) -> usize {
        self.datasets.len()
    }

    fn view<'a>(&'a self, record: &'a Record) -> StoredEvent<'a> {
        StoredEvent {
            dataset: &self.datasets[record.dataset.0].name,
            time: &record.time.text,
            samplerate: record.samplerate,
            data: &record.data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(store: &mut Store, dataset: &str, second: i64, body: &str) {
        let timestamp = Timestamp::from_second(second).unwrap();
        let time = EventTime { text: second.to_string().into_boxed_str(), timestamp };
        let data = RawValue::from_string(format!(r#"{{"body":"{body}"}}"#)).unwrap();
        let dataset = store.dataset_id(dataset).unwrap();
        store.insert(dataset, time, 1, data);
    }

    fn times(store: &Store) -> Vec<&str> {
        store.events().map(|event| event.time).collect()
    }

    /// The bytes, counted anew.
    fn bytes(store: &Store) -> usize {
        let columns: usize = store.segments.iter().map(|segment| segment.columns_bytes()).sum();
        store.records().map(Record::bytes).sum::<usize>() + columns
    }

    #[test]
    fn the_oldest_events_go_beyond_the_count() {
        let mut store = Store::new(3, usize::MAX);
        for second in 0..5 {
            insert(&mut store, "a", second, "hello");
        }
        assert_eq!(times(&store), ["2", "3", "4"]);
        assert_eq!(store.datasets()[0].events, 5);
    }

    #[test]
    fn the_oldest_events_go_beyond_the_bytes() {
        let mut store = Store::new(usize::MAX, 10_000);
        for second in 0..50 {
            insert(&mut store, "a", second, &"x".repeat(900));
            assert!(store.bytes <= 10_000);
            assert_eq!(store.bytes, bytes(&store));
        }
        assert!((8..=10).contains(&store.events));
        assert_eq!(times(&store).last(), Some(&"49"));
    }

    #[test]
    fn an_event_larger_than_the_store_leaves_it_empty() {
        let mut store = Store::new(10, 1_000);
        insert(&mut store, "a", 1, &"x".repeat(2_000));
        assert_eq!((times(&store).len(), store.bytes), (0, 0));
    }

    #[test]
    fn a_snapshot_stays_as_it_was_while_events_come_and_go() {
        let mut store = Store::new(6_000, usize::MAX);
        for second in 0..6_000 {
            insert(&mut store, "My API", second, "hello");
        }
        let snapshot = store.snapshot();
        let bytes_then = store.bytes;
        for second in 6_000..16_000 {
            insert(&mut store, "b", second, "hello");
            assert_eq!(store.events, 6_000);
        }
        let seconds = |ids: [u64; 2]| ids.map(|id| snapshot.event(id).unwrap().time.as_second());
        assert_eq!(seconds([0, 5_999]), [0, 5_999]);
        assert!(snapshot.event(6_000).is_none());
        assert_eq!(snapshot.dataset_id("my-api"), snapshot.dataset_id("MY API"));
        assert_eq!((snapshot.dataset_id("b"), snapshot.event(7).unwrap().dataset.as_str()), (None, "My API"));

        let now = store.snapshot();
        assert!(now.event(9_999).is_none());
        assert_eq!(now.event(10_000).unwrap().time.as_second(), 10_000);
        assert_eq!(store.bytes, bytes(&store));
        assert!(store.bytes.abs_diff(bytes_then) < bytes_then / 10);
    }

    #[test]
    fn what_is_taken_out_leaves_its_room() {
        let mut store = Store::new(2, usize::MAX);
        for round in 0..3 {
            for second in 0..2 {
                insert(&mut store, "a", second, "hello");
            }
            let taken: Vec<_> = store.take().map(|data| data.get().to_owned()).collect();
            assert_eq!(taken, [r#"{"body":"hello"}"#; 2], "{round}");
            assert_eq!((times(&store).len(), store.bytes), (0, 0));
        }
        assert_eq!(store.datasets()[0].events, 6);
    }

    #[test]
    fn datasets_differ_by_more_than_case_and_keep_their_first_spelling() {
        let mut store = Store::new(10, usize::MAX);
        insert(&mut store, "Größe API", 5, "one");
        insert(&mut store, "GRÖSSE API", 7, "two");
        insert(&mut store, "größe api", 3, "three");

        let named: Vec<_> = store.events().map(|event| event.dataset).collect();
        assert_eq!(named, ["Größe API", "GRÖSSE API", "Größe API"]);
        let newest = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(
            store.datasets(),
            [
                Dataset { name: "GRÖSSE API".into(), events: 1, timestamp_newest: newest(7) },
                Dataset { name: "Größe API".into(), events: 2, timestamp_newest: newest(5) },
            ]
        );
    }

    #[test]
    fn newest_comes_first_and_by_dataset() {
        let mut store = Store::new(10, usize::MAX);
        for (dataset, second) in [("a", 1), ("b", 2), ("A", 3)] {
            insert(&mut store, dataset, second, "hello");
        }
        let newest = |dataset| store.newest(dataset).map(|event| event.time).collect::<Vec<_>>();
        assert_eq!(newest(None), ["3", "2", "1"]);
        assert_eq!(newest(Some("a")), ["3", "1"]);
        assert_eq!(newest(Some("c")), Vec::<&str>::new());
    }

    #[test]
    fn datasets_have_a_bound() {
        let mut store = Store::new(10, usize::MAX);
        for n in 0..DATASETS_MAX {
            assert!(store.dataset_id(&format!("d{n}")).is_some());
        }
        assert_eq!(store.dataset_id("one more"), None);
        assert_eq!(store.dataset_id("D0"), Some(DatasetId(0)));
    }
}
