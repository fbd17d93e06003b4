//! Query strings: takes what follows the `?`, gives which events to show; and the way back, for links.
//!
//! Unknown names are passed over, the last of a repeated name counts, and an empty dataset means all.

use axum::http::StatusCode;

use crate::limits::{EVENTS_LISTED_MAX, EVENTS_SHOWN};
use crate::refusal::Refusal;

/// Which events to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// Only this dataset.
    pub(crate) dataset: Option<String>,
    /// At most this many events, at most [`EVENTS_LISTED_MAX`].
    pub(crate) limit: usize,
    /// Show a page that does not reload itself.
    pub(crate) paused: bool,
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Result<Query, Refusal> {
        let mut parsed = Query { dataset: None, limit: EVENTS_SHOWN, paused: false };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "dataset" => parsed.dataset = Some(value.into_owned()).filter(|dataset| !dataset.is_empty()),
                "limit" => {
                    let limit: usize = value.parse().map_err(|_| {
                        Refusal::new(StatusCode::BAD_REQUEST, format!("limit is not a whole number: {value}"))
                    })?;
                    parsed.limit = limit.min(EVENTS_LISTED_MAX);
                }
                "pause" => parsed.paused = &*value == "1",
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// The link to `path` with this dataset and this pause.
    pub(crate) fn link(path: &str, dataset: Option<&str>, paused: bool) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(dataset) = dataset {
            query.append_pair("dataset", dataset);
        }
        if paused {
            query.append_pair("pause", "1");
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let all = Query { dataset: None, limit: EVENTS_SHOWN, paused: false };
        for (text, query) in [
            ("", all.clone()),
            ("dataset=&other=1", all.clone()),
            (
                "dataset=my+api%2F1&limit=7",
                Query { dataset: Some("my api/1".into()), limit: 7, ..all.clone() },
            ),
            ("limit=5000&pause=1", Query { limit: EVENTS_LISTED_MAX, paused: true, ..all.clone() }),
        ] {
            assert_eq!(Query::parse(Some(text)), Ok(query), "{text}");
        }
        assert_eq!(Query::parse(None), Ok(all));
        assert_eq!(Query::parse(Some("limit=many")).unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn links_lead_back_to_their_query() {
        assert_eq!(Query::link("/", None, false), "/");
        let link = Query::link("/", Some("a&b=c ü"), true);
        let query = Query::parse(link.split_once('?').map(|(_, query)| query)).unwrap();
        assert_eq!((query.dataset.as_deref(), query.paused), (Some("a&b=c ü"), true));
    }
}
