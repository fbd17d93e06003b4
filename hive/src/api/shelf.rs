//! The shelf: keeps the queries and results that were created over the API, and gives them back by id.
//!
//! Both are small: a result is the question with its range of time fixed, and is answered when it is fetched.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::limits::QUERIES_KEPT;
use crate::query::{self, Query, QueryError};

#[derive(Default)]
pub(crate) struct Shelf {
    queries: Mutex<Row<Query>>,
    results: Mutex<Row<Asked>>,
}

/// What a result answers.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) query_id: String,
    pub(crate) query: Query,
    pub(crate) disable_series: bool,
}

impl Asked {
    /// The same with a range that does not move with the clock.
    pub(super) fn fixed(mut self, now: Timestamp) -> Result<Asked, QueryError> {
        let axis = query::axis(&self.query, now)?;
        (self.query.start_time, self.query.end_time) = (Some(axis.start), Some(axis.end));
        (self.query.time_range, self.query.granularity) = (None, Some(axis.granularity));
        Ok(self)
    }
}

/// The newest things of one kind.
struct Row<T> {
    count: u64,
    /// With their ids and datasets, the oldest first.
    kept: VecDeque<(String, String, T)>,
}

impl<T> Default for Row<T> {
    fn default() -> Row<T> {
        Row { count: 0, kept: VecDeque::new() }
    }
}

impl<T: Clone> Row<T> {
    fn put(&mut self, prefix: char, dataset: &str, thing: T) -> String {
        self.count += 1;
        let id = format!("{prefix}{}", self.count);
        self.kept.push_back((id.clone(), dataset.to_owned(), thing));
        if self.kept.len() > QUERIES_KEPT {
            self.kept.pop_front();
        }
        id
    }

    fn get(&self, dataset: &str, id: &str) -> Option<T> {
        let is_it = |(its_id, its_dataset, _): &&(String, String, T)| {
            its_id == id && its_dataset.to_lowercase() == dataset.to_lowercase()
        };
        self.kept.iter().find(is_it).map(|(_, _, thing)| thing.clone())
    }
}

impl Shelf {
    /// Keeps a query of a dataset; gives its id.
    pub(super) fn put_query(&self, dataset: &str, query: Query) -> String {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner).put('q', dataset, query)
    }

    pub(super) fn query(&self, dataset: &str, id: &str) -> Option<Query> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner).get(dataset, id)
    }

    pub(super) fn put_result(&self, dataset: &str, asked: Asked) -> String {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).put('r', dataset, asked)
    }

    pub(super) fn result(&self, dataset: &str, id: &str) -> Option<Asked> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).get(dataset, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_queries_are_kept_each_under_its_dataset() {
        let shelf = Shelf::default();
        let ids: Vec<_> = (0..=QUERIES_KEPT).map(|_| shelf.put_query("A b", Query::default())).collect();
        assert_eq!(shelf.query("a B", &ids[0]), None);
        assert_eq!(shelf.query("a B", &ids[1]), Some(Query::default()));
        assert_eq!(shelf.query("b", &ids[1]), None);
    }
}
