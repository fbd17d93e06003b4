//! The column guard: which names that input gave to fields become columns of a dataset.
//!
//! Takes a dataset and a name, says what becomes of the field. Honeycomb refuses whole requests once a dataset has too many
//! columns, so only so many names are let through; all others share `field.overflow`. Names of the contract always have one.
//!
//! Invariant: what is let through once is always let through.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use hivetail_parsers::names::is_written_out;

use super::{Book, hash::Hashes, names::Names};
use crate::{config::transform::Columns, dataset::DatasetId, encode::Place, lock::lock};

/// How many names of a dataset a pass remembers without asking the others.
const REMEMBERED_MAX: usize = 20_000;

/// What all passes share.
#[derive(Debug)]
pub(crate) struct ColumnGuard {
    max: usize,
    allow: Names,
    columns: HashMap<DatasetId, Hashes>,
    /// Datasets of which it was said that there are too many names.
    told: HashSet<DatasetId>,
    pub(crate) overflowed: u64,
}

impl Default for ColumnGuard {
    fn default() -> Self {
        Self::new(&Columns::default())
    }
}

impl ColumnGuard {
    pub(crate) fn new(written: &Columns) -> Self {
        Self {
            max: written.max.get(),
            allow: Names::new(&written.allow),
            columns: HashMap::new(),
            told: HashSet::new(),
            overflowed: 0,
        }
    }

    fn place(&mut self, dataset: DatasetId, name: &[u8]) -> Place {
        let place = self.decide(dataset, name);
        self.overflowed += u64::from(place == Place::Overflow);
        place
    }

    fn decide(&mut self, dataset: DatasetId, name: &[u8]) -> Place {
        if is_written_out(name) {
            return Place::Column;
        }
        if !self.allow.is_empty() && !self.allow.has(name) {
            return Place::Overflow;
        }
        let columns = self.columns.entry(dataset).or_insert_with(Hashes::new);
        if columns.len() >= self.max && !columns.has(name) {
            if self.told.insert(dataset) {
                tracing::warn!(
                    columns = self.max,
                    field = %String::from_utf8_lossy(name),
                    "a dataset has as many columns as [columns] max allows: further names go into field.overflow"
                );
            }
            return Place::Overflow;
        }
        columns.add(name);
        Place::Column
    }
}

/// One pass's memory of what was decided.
#[derive(Debug)]
pub(crate) struct Places {
    book: Arc<Book>,
    /// The names that are columns of each dataset, of which there are few, mostly one.
    known: Vec<(DatasetId, Hashes)>,
}

impl Places {
    pub(crate) fn new(book: Arc<Book>) -> Self {
        Self { book, known: Vec::new() }
    }

    /// What becomes of a field of that name.
    pub(crate) fn of(&mut self, dataset: DatasetId, name: &[u8]) -> Place {
        let at = self.known.iter().position(|(known, _)| *known == dataset);
        if at.is_some_and(|at| self.known[at].1.has(name)) {
            return Place::Column;
        }
        let place = lock(&self.book.columns).place(dataset, name);
        if place == Place::Column {
            let at = at.unwrap_or_else(|| {
                self.known.push((dataset, Hashes::new()));
                self.known.len() - 1
            });
            // There is no end to names that overflow: only what becomes a column is remembered.
            if self.known[at].1.len() < REMEMBERED_MAX {
                self.known[at].1.add(name);
            }
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::value::Ranged, dataset::Datasets};

    #[test]
    fn so_many_names_become_columns_of_a_dataset() {
        let mut datasets = Datasets::default();
        let (one, other) = (datasets.id("one"), datasets.id("other"));
        let book = Arc::new(Book::default());
        *lock(&book.columns) = ColumnGuard::new(&Columns { max: Ranged::new(2), ..Columns::default() });
        let mut places = Places::new(Arc::clone(&book));
        let mut of = |dataset, name: &str| places.of(dataset, name.as_bytes());
        assert_eq!([of(one, "a"), of(one, "b"), of(one, "a")], [Place::Column; 3]);
        assert_eq!([of(one, "c"), of(one, "c")], [Place::Overflow; 2]);
        assert_eq!([of(one, "b"), of(other, "c")], [Place::Column; 2]);
        assert_eq!(Places::new(book).of(one, b"a"), Place::Column, "another pass, the same dataset");
    }

    #[test]
    fn the_list_decides_first_but_not_of_the_contract() {
        let dataset = Datasets::default().id("one");
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut guard = ColumnGuard::new(&Columns { allow: list(&["user.*"]), ..Columns::default() });
        let places = ["user.id", "request_id", "x"].map(|name| guard.place(dataset, name.as_bytes()));
        assert_eq!(places, [Place::Column, Place::Column, Place::Overflow]);
    }
}
