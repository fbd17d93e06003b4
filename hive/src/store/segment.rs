//! A segment: a few thousand events in the order they came, each as its JSON text, with a column for every name in them.
//!
//! Takes events at its end and gives them up at its front. A column is sparse: it holds the rows that have the field
//! and their [`Cell`]s. Events that are gone have freed their text; what their cells take is freed with the segment,
//! which is small enough for that.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::value::RawValue;

use super::DatasetId;
use super::cells::{self, Cell, Kind};
use crate::event_time::EventTime;
use crate::query::Scalar;

/// Most events of a segment. A row number fits 16 bits.
const ROWS_MAX: usize = 4_096;

/// Most cells of a segment, for events of very many fields.
const CELLS_MAX: usize = 256 * 1_024;

/// Most columns of a segment, for events whose fields all differ: a copy of the segment must be quick.
const COLUMNS_MAX: usize = 10_000;

/// Bytes of a cell in a column: row, tag and bits.
const CELL_BYTES: usize = size_of::<u16>() + size_of::<Kind>() + size_of::<u64>();

/// An event as it lies in the store.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) dataset: DatasetId,
    pub(crate) time: EventTime,
    /// How many events this one stands for, at least 1.
    pub(crate) samplerate: u64,
    pub(crate) data: Arc<RawValue>,
    /// Values in columns.
    cells: usize,
}

impl Record {
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Record>() + self.time.text.len() + self.data.get().len() + self.cells * CELL_BYTES
    }
}

#[derive(Clone)]
pub(crate) struct Column {
    pub(crate) name: Arc<str>,
    /// Rows that have the field, ascending; those of events that are gone included.
    rows: Vec<u16>,
    kinds: Vec<Kind>,
    bits: Vec<u64>,
}

impl Column {
    fn bytes(&self) -> usize {
        // The name is in the column and in the map of names.
        size_of::<Column>() + size_of::<(Arc<str>, usize)>() + self.name.len()
    }

    /// Sets the value of `row`, which is the last row of the segment. The last of a repeated name counts, and null is as
    /// absent. Gives how many cells that is more, or less.
    fn set(&mut self, row: u16, cell: Cell) -> isize {
        let mut change = 0;
        if self.rows.last() == Some(&row) {
            self.rows.pop();
            self.kinds.pop();
            self.bits.pop();
            change -= 1;
        }
        if cell.kind != Kind::Null {
            self.rows.push(row);
            self.kinds.push(cell.kind);
            self.bits.push(cell.bits);
            change += 1;
        }
        change
    }

    fn cells(&self) -> impl DoubleEndedIterator<Item = (usize, Cell)> {
        let cells = self.kinds.iter().zip(&self.bits).map(|(&kind, &bits)| Cell { kind, bits });
        self.rows.iter().map(|&row| usize::from(row)).zip(cells)
    }
}

#[derive(Clone)]
pub(crate) struct Segment {
    /// The number of its first event, counted over all that were ever stored; gone or not.
    pub(crate) first_id: u64,
    /// Events gone from its front: the row of the first record.
    gone: usize,
    pub(crate) records: VecDeque<Record>,
    columns: Vec<Column>,
    names: HashMap<Arc<str>, usize>,
    cells: usize,
}

impl Segment {
    pub(crate) fn new(first_id: u64) -> Segment {
        Segment {
            first_id,
            gone: 0,
            records: VecDeque::new(),
            columns: Vec::new(),
            names: HashMap::new(),
            cells: 0,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows() >= ROWS_MAX || self.cells >= CELLS_MAX || self.columns.len() >= COLUMNS_MAX
    }

    /// Rows, those of events that are gone included.
    fn rows(&self) -> usize {
        self.gone + self.records.len()
    }

    /// The number of the event at this position among the kept ones.
    pub(crate) fn id_at(&self, position: usize) -> u64 {
        self.first_id + (self.gone + position) as u64
    }

    /// The position of the event of that number among the kept ones.
    pub(crate) fn position_of(&self, id: u64) -> Option<usize> {
        let row = usize::try_from(id.checked_sub(self.first_id)?).ok()?;
        row.checked_sub(self.gone).filter(|&position| position < self.records.len())
    }

    /// Adds an event; gives the bytes that it takes, the columns it begins included.
    pub(crate) fn push(
        &mut self,
        dataset: DatasetId,
        time: EventTime,
        samplerate: u64,
        data: Arc<RawValue>,
    ) -> usize {
        let row = u16::try_from(self.rows()).unwrap_or(u16::MAX);
        let (mut cells, mut bytes) = (0_isize, 0);
        let (columns, names) = (&mut self.columns, &mut self.names);
        cells::split(data.get(), |name, cell| {
            let column = match names.get(name) {
                Some(&column) => &mut columns[column],
                None if cell.kind == Kind::Null => return,
                None => {
                    let name: Arc<str> = Arc::from(name);
                    names.insert(Arc::clone(&name), columns.len());
                    let (rows, kinds, bits) = Default::default();
                    let column = columns.push_mut(Column { name, rows, kinds, bits });
                    bytes += column.bytes();
                    column
                }
            };
            cells += column.set(row, cell);
        });
        let cells = cells.cast_unsigned();
        let record = Record { dataset, time, samplerate, data, cells };
        bytes += record.bytes();
        self.cells += cells;
        self.records.push_back(record);
        bytes
    }

    /// Gives up the oldest event.
    pub(crate) fn pop(&mut self) -> Option<Record> {
        let record = self.records.pop_front()?;
        self.gone += 1;
        Some(record)
    }

    /// Gives back the room for events that will not come.
    pub(crate) fn close(&mut self) {
        self.records.shrink_to_fit();
        for column in &mut self.columns {
            column.rows.shrink_to_fit();
            column.kinds.shrink_to_fit();
            column.bits.shrink_to_fit();
        }
    }

    /// Bytes of the columns themselves, which stay until the segment goes.
    pub(crate) fn columns_bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    /// The values of one column, to be read by the position of their event; of a name that no event has, too.
    pub(crate) fn reader(&self, name: &str) -> Reader<'_> {
        let Some(&column) = self.names.get(name) else { return Reader { segment: self, cells: Vec::new() } };
        let mut cells = vec![Cell::NULL; self.records.len()];
        for (position, cell) in self.kept_cells(&self.columns[column]) {
            cells[position] = cell;
        }
        Reader { segment: self, cells }
    }

    /// The column of that name, if an event has or had the field.
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.names.get(name).map(|&column| &self.columns[column])
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The cells of the kept events, with the positions of these.
    pub(crate) fn kept_cells<'a>(
        &self,
        column: &'a Column,
    ) -> impl DoubleEndedIterator<Item = (usize, Cell)> + use<'a> {
        let gone = self.gone;
        column.cells().filter_map(move |(row, cell)| Some((row.checked_sub(gone)?, cell)))
    }
}

/// One column of one segment.
pub(crate) struct Reader<'a> {
    segment: &'a Segment,
    /// By position; empty if no event has the field.
    cells: Vec<Cell>,
}

impl<'a> Reader<'a> {
    pub(crate) fn value(&self, position: usize) -> Scalar<'a> {
        match self.cells.get(position) {
            Some(cell) => cell.read(self.segment.records[position].data.get()),
            None => Scalar::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn push(segment: &mut Segment, data: &str) {
        let time = EventTime { text: "0".into(), timestamp: Timestamp::UNIX_EPOCH };
        let data = RawValue::from_string(data.to_owned()).unwrap();
        segment.push(DatasetId(0), time, 1, data.into());
    }

    #[test]
    fn the_last_of_a_repeated_name_counts_even_if_it_is_null() {
        let mut segment = Segment::new(0);
        push(&mut segment, r#"{"a":1,"a":2,"b":1,"b":null,"c":null}"#);
        let read = |name| segment.reader(name).value(0);
        assert_eq!([read("a"), read("b"), read("c")], [Scalar::Int(2), Scalar::Null, Scalar::Null]);
        assert_eq!((segment.cells, segment.records[0].cells, segment.columns.len()), (1, 1, 2));
    }

    #[test]
    fn positions_move_up_when_events_go() {
        let mut segment = Segment::new(10);
        for n in 0..3 {
            push(&mut segment, &format!(r#"{{"n":{n}}}"#));
        }
        assert!(segment.pop().is_some());
        assert_eq!(segment.reader("n").value(0), Scalar::Int(1));
        assert_eq!((segment.position_of(10), segment.position_of(12), segment.id_at(1)), (None, Some(1), 12));
        assert_eq!((segment.position_of(13), segment.position_of(9)), (None, None));
    }

    #[test]
    fn events_of_very_many_fields_make_short_segments() {
        let fields: Vec<_> = (0..2_000).map(|n| format!(r#""f{n}":{n}"#)).collect();
        let event = format!("{{{}}}", fields.join(","));
        let mut segment = Segment::new(0);
        while !segment.is_full() {
            push(&mut segment, &event);
        }
        assert_eq!(segment.records.len(), CELLS_MAX.div_ceil(2_000));
    }
}
