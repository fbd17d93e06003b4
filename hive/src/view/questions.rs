//! Ready questions: what one asks of the logs of a proxy and an application, each one click away. A question is offered
//! for the datasets that have its columns.

use std::collections::HashSet;

use maud::{Markup, html};

use super::typed::{Typed, link};
use crate::query::Value;

/// A question in the words of the query form.
pub(super) struct Question {
    pub(super) title: &'static str,
    hint: &'static str,
    /// Columns without which it makes no sense.
    needs: &'static [&'static str],
    /// A column with which another question tells more.
    lacks: Option<&'static str>,
    /// Of all datasets together: it compares them.
    is_across: bool,
    select: &'static str,
    wheres: &'static [&'static str],
    /// `any`, or else all of them must hold.
    matching: &'static str,
    groups: &'static [&'static str],
    order: &'static str,
}

pub(super) const QUESTIONS: [Question; 11] = [
    Question {
        title: "Requests over a second",
        hint: "the slowest by name and status",
        needs: &["duration_ms", "name"],
        lacks: None,
        is_across: false,
        select: "COUNT, MAX(duration_ms)",
        wheres: &["duration_ms > 1000"],
        matching: "",
        groups: &["name", "http.response.status_code"],
        order: "MAX(duration_ms) desc",
    },
    Question {
        title: "Requests over a minute",
        hint: "the same beyond 60 s",
        needs: &["duration_ms", "name"],
        lacks: None,
        is_across: false,
        select: "COUNT, MAX(duration_ms)",
        wheres: &["duration_ms > 60000"],
        matching: "",
        groups: &["name", "http.response.status_code"],
        order: "MAX(duration_ms) desc",
    },
    Question {
        title: "How slow is each endpoint?",
        hint: "P50, P95 and P99 by url.shape",
        needs: &["duration_ms", "url.shape"],
        lacks: None,
        is_across: false,
        select: "P99(duration_ms), P95(duration_ms), P50(duration_ms), COUNT",
        wheres: &["url.shape exists"],
        matching: "",
        groups: &["url.shape"],
        order: "P99(duration_ms) desc",
    },
    Question {
        title: "Where do durations lie?",
        hint: "a heatmap: one kind of requests, or two?",
        needs: &["duration_ms"],
        lacks: None,
        is_across: false,
        select: "HEATMAP(duration_ms), P50(duration_ms), P99(duration_ms), COUNT",
        wheres: &["duration_ms exists"],
        matching: "",
        groups: &[],
        order: "",
    },
    Question {
        title: "Which errors are there?",
        hint: "by fingerprint: the same error is one row",
        needs: &["exception.fingerprint"],
        lacks: None,
        is_across: false,
        select: "COUNT, COUNT_DISTINCT(request_id)",
        wheres: &["exception.fingerprint exists", "http.response.status_code does-not-exist"],
        matching: "",
        groups: &["exception.fingerprint", "exception.type", "exception.message"],
        order: "COUNT desc",
    },
    Question {
        title: "Status codes over time",
        hint: "COUNT by http.response.status_code",
        needs: &["http.response.status_code"],
        lacks: None,
        is_across: false,
        select: "COUNT",
        wheres: &["http.response.status_code exists"],
        matching: "",
        groups: &["http.response.status_code"],
        order: "COUNT desc",
    },
    Question {
        title: "Is it the proxy or the app?",
        hint: "a request's time at the proxy, and behind it",
        needs: &["duration_ms", "nginx.upstream.duration_ms"],
        lacks: None,
        is_across: false,
        select: "P95(duration_ms), P95(nginx.upstream.duration_ms), COUNT",
        wheres: &["nginx.upstream.duration_ms exists"],
        matching: "",
        groups: &["nginx.upstream.name"],
        order: "P95(duration_ms) desc",
    },
    Question {
        title: "Proxy and app side by side",
        hint: "durations by log.format",
        needs: &["duration_ms", "log.format", "nginx.upstream.duration_ms"],
        lacks: None,
        is_across: true,
        select: "P95(duration_ms), P50(duration_ms), COUNT",
        wheres: &["url.path exists", "duration_ms exists"],
        matching: "",
        groups: &["log.format"],
        order: "P95(duration_ms) desc",
    },
    Question {
        title: "How much is health checks?",
        hint: "health checks, robots, and all others",
        needs: &["client.kind", "url.path"],
        lacks: None,
        is_across: false,
        select: "COUNT",
        wheres: &["url.path exists"],
        matching: "",
        groups: &["client.kind"],
        order: "COUNT desc",
    },
    Question {
        title: "How much is health checks?",
        hint: "by path and by program; the share is above the chart",
        needs: &["url.path", "user_agent.original"],
        lacks: Some("client.kind"),
        is_across: false,
        select: "COUNT",
        wheres: &[
            "url.path in /health, /healthz, /healthcheck, /livez, /readyz, /ping, /up",
            "user_agent.original starts-with kube-probe",
            "user_agent.original starts-with ELB-HealthChecker",
        ],
        matching: "any",
        groups: &["url.path", "user_agent.original"],
        order: "COUNT desc",
    },
    Question {
        title: "Who are the loudest clients?",
        hint: "requests and bytes by address and program",
        needs: &["client.address", "url.path"],
        lacks: None,
        is_across: false,
        select: "COUNT, SUM(http.response.body.size)",
        wheres: &["url.path exists"],
        matching: "",
        groups: &["client.address", "user_agent.original"],
        order: "COUNT desc",
    },
];

/// All columns that any question asks for.
pub(super) fn columns() -> Vec<&'static str> {
    let asked: HashSet<&str> =
        QUESTIONS.iter().flat_map(|question| question.needs.iter().chain(&question.lacks)).copied().collect();
    asked.into_iter().collect()
}

impl Question {
    /// The link to its answer over all that is kept.
    pub(super) fn url(&self, dataset: &str) -> String {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let typed = Typed {
            dataset: dataset.to_owned(),
            select: self.select.to_owned(),
            wheres: texts(self.wheres),
            matching: self.matching.to_owned(),
            groups: texts(self.groups),
            order: self.order.to_owned(),
            range: "all".to_owned(),
            ..Typed::default()
        };
        typed.url()
    }

    fn fits(&self, columns: &HashSet<&str>) -> bool {
        self.needs.iter().all(|column| columns.contains(column))
            && self.lacks.is_none_or(|column| !columns.contains(column))
    }
}

/// The questions that can be asked; `datasets` have their names and which of [`columns`] they have.
pub(super) fn draw(datasets: &[(String, HashSet<&str>)], request: Option<&Value>) -> Markup {
    let all: HashSet<&str> = datasets.iter().flat_map(|(_, columns)| columns).copied().collect();
    let offered = QUESTIONS.iter().filter_map(|question| {
        let fitting = datasets.iter().filter(|(_, columns)| question.fits(columns));
        let links: Vec<(&str, String)> = match question.is_across {
            true if question.fits(&all) => vec![("all datasets", question.url(""))],
            true => Vec::new(),
            false => fitting.map(|(name, _)| (name.as_str(), question.url(name))).collect(),
        };
        (!links.is_empty()).then_some((question, links))
    });
    let offered: Vec<_> = offered.collect();
    html! {
        @if offered.is_empty() && request.is_none() {
            p.quiet { "None of the ready questions fits these columns; " a href="/query" { "ask your own" } "." }
        }
        ul.questions {
            @for (question, links) in offered {
                li {
                    strong { (question.title) } span.quiet { (question.hint) }
                    span.links { @for (name, url) in links { a href=(url) aria-label={ (question.title) " " (name) } { (name) } } }
                }
            }
            @if let Some(request) = request {
                @let id = request.to_string();
                li {
                    strong { "One request, proxy and app" } span.quiet { "all that both wrote of it" }
                    span.links { a href=(link("/request", &[("id", &id)])) { (super::text::clip(&id, 16)) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Scalar, check};
    use crate::view::ask::Ask;

    #[test]
    fn every_question_is_a_good_query() {
        for question in &QUESTIONS {
            let url = question.url("a & <b>");
            let ask = Ask::read(&Typed::parse(url.split_once('?').unwrap().1)).unwrap();
            check(&ask.query).unwrap();
            assert_eq!(ask.dataset.as_deref(), Some("a & <b>"));
        }
    }

    #[test]
    fn questions_are_offered_where_their_columns_are() {
        let web = ("<web>".to_owned(), HashSet::from(["duration_ms", "url.shape"]));
        let app = ("app".to_owned(), HashSet::from(["log.format", "nginx.upstream.duration_ms"]));
        let offered = draw(&[web, app], Some(&Scalar::Text("<r1>".into()))).into_string();
        let titles: Vec<_> =
            QUESTIONS.iter().map(|question| question.title).filter(|title| offered.contains(title)).collect();
        assert_eq!(
            titles,
            ["How slow is each endpoint?", "Where do durations lie?", "Proxy and app side by side"]
        );
        assert!(!offered.contains("<web>") && offered.contains("&lt;web&gt;"), "{offered}");
        assert!(offered.contains("/request?id=%3Cr1%3E"), "{offered}");
        assert!(draw(&[], None).into_string().contains("ask your own"));
    }

    #[test]
    fn health_checks_are_told_by_their_kind_where_it_is_known() {
        let told = ("told".to_owned(), HashSet::from(["url.path", "user_agent.original", "client.kind"]));
        let guessed = ("guessed".to_owned(), HashSet::from(["url.path", "user_agent.original"]));
        let offered = draw(&[told, guessed], None).into_string();
        for (dataset, is_guessed) in [("told", false), ("guessed", true)] {
            let label = format!("aria-label=\"How much is health checks? {dataset}\"");
            let (before, _) = offered.split_once(&label).unwrap();
            let url = before.rsplit_once("href").unwrap().1;
            assert_eq!(
                (url.contains("kube-probe"), url.contains("client.kind")),
                (is_guessed, !is_guessed),
                "{url}"
            );
            assert_eq!(offered.matches(&label).count(), 1);
        }
    }
}
