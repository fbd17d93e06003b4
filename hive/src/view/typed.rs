//! What was typed: the fields of the query form as texts, read from the query string of a URL and written as one.
//!
//! Nothing is judged here, so that a form with a mistake in it comes back as it was sent. Names are such that a person
//! can write them: `/query?dataset=web&select=COUNT,P99(duration_ms)&where=status>=500&group=name&range=1h`. A repeated
//! `where`, `group` or `of` adds to the list, of all others the last counts, and what is not known is passed over.

/// A query form as it was filled in. What is empty was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) dataset: String,
    pub(super) select: String,
    pub(super) wheres: Vec<String>,
    /// `any`, or else all conditions must hold.
    pub(super) matching: String,
    pub(super) groups: Vec<String>,
    pub(super) having: String,
    pub(super) order: String,
    pub(super) limit: String,
    /// `live`, `all` or a duration such as `90m`.
    pub(super) range: String,
    pub(super) start: String,
    pub(super) end: String,
    /// The duration of a bucket.
    pub(super) step: String,
    /// `events` for the events themselves.
    pub(super) view: String,
    /// The values of one group, whose events are wanted: an empty one is that of events that have none.
    pub(super) of: Vec<String>,
}

impl Typed {
    pub(super) fn parse(query: &str) -> Typed {
        let mut typed = Typed::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let text = value.trim().to_owned();
            let list = match &*name {
                "where" => &mut typed.wheres,
                "group" => &mut typed.groups,
                "of" => {
                    typed.of.push(value.into_owned());
                    continue;
                }
                name => {
                    if let Some(field) = typed.field(name) {
                        *field = text;
                    }
                    continue;
                }
            };
            if !text.is_empty() {
                list.push(text);
            }
        }
        typed
    }

    fn field(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "dataset" => &mut self.dataset,
            "select" | "visualize" => &mut self.select,
            "match" => &mut self.matching,
            "having" => &mut self.having,
            "order" => &mut self.order,
            "limit" => &mut self.limit,
            "range" => &mut self.range,
            "start" => &mut self.start,
            "end" => &mut self.end,
            "step" => &mut self.step,
            "view" => &mut self.view,
            _ => return None,
        })
    }

    /// The fields with their names in the order of a form.
    fn pairs(&self) -> Vec<(&'static str, &str)> {
        let mut pairs = vec![("dataset", self.dataset.as_str()), ("select", &self.select)];
        pairs.extend(self.wheres.iter().map(|text| ("where", text.as_str())));
        pairs.push(("match", &self.matching));
        pairs.extend(self.groups.iter().map(|text| ("group", text.as_str())));
        for pair in [
            ("having", &self.having),
            ("order", &self.order),
            ("limit", &self.limit),
            ("range", &self.range),
            ("start", &self.start),
            ("end", &self.end),
            ("step", &self.step),
            ("view", &self.view),
        ] {
            pairs.push((pair.0, pair.1));
        }
        pairs.retain(|(_, text)| !text.is_empty());
        pairs.extend(self.of.iter().map(|text| ("of", text.as_str())));
        pairs
    }

    /// The link to the page of this query.
    pub(super) fn url(&self) -> String {
        link("/query", &self.pairs())
    }
}

/// A link to `path` with these names and values.
pub(super) fn link(path: &str, pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    let query = pairs.collect::<Vec<_>>().join("&");
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Encodes a value so that brackets, commas and the like, which a query string may have, stay readable.
fn encode(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b' ' => text.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-._~/:@!*(),=".contains(&byte) => {
                text.push(byte.into());
            }
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_query_can_be_written_by_hand() {
        let typed = Typed::parse(
            "select=COUNT,+P99(ms)&where=status>=500&where=&where=a exists&group=name&limit= 7 &x=1",
        );
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            typed,
            Typed {
                select: "COUNT, P99(ms)".to_owned(),
                wheres: texts(&["status>=500", "a exists"]),
                groups: texts(&["name"]),
                limit: "7".to_owned(),
                ..Typed::default()
            }
        );
        assert_eq!(
            typed.url(),
            "/query?select=COUNT,+P99(ms)&where=status%3E=500&where=a+exists&group=name&limit=7"
        );
        assert_eq!(Typed::default().url(), "/query");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_link_leads_back_to_what_was_typed(texts in prop::array::uniform4("[!-~ü<&\"']{1,9}"), of in "\\PC{0,5}") {
            let [select, one, two, dataset] = texts;
            let typed = Typed { select, wheres: vec![one, two], dataset, of: vec![of], ..Typed::default() };
            let url = typed.url();
            prop_assert!(!url.contains(['<', '>', '"', '\'', ' ']), "{}", url);
            prop_assert_eq!(Typed::parse(url.split_once('?').unwrap().1), typed);
        }
    }
}
