//! The replay: the two sample logs as one endless sequence of events.
//!
//! Takes the moment, gives the next event's text with that moment as its time and with its request id replaced:
//! by the same new id wherever the old one occurs in a round, by another one in the next. A request's ingress
//! line comes after its last Phoenix line, and an event of many lines is never torn.

use std::collections::HashMap;

use jiff::Timestamp;

const INGRESS: &str = include_str!("ingress.log");
const PHOENIX: &str = include_str!("phoenix.log");

/// The length of `21:02:00.011`.
const CLOCK_LEN: usize = 12;
/// The length of `21/Nov/2026:21:02:00 +0000`.
const TIME_LOCAL_LEN: usize = 26;

/// Which log an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Ingress,
    Phoenix,
}

/// An event, ready to be written.
#[derive(Debug)]
pub(crate) struct Event<'r> {
    pub(crate) log: Log,
    /// Its request's new id, empty if it has none.
    pub(crate) id: &'r str,
    /// Whole lines.
    pub(crate) text: String,
}

/// An event in its parts: `before`, a time, `between`, an id, `after`.
#[derive(Clone, Copy, Debug)]
struct Sample {
    log: Log,
    before: &'static str,
    between: &'static str,
    id: &'static str,
    after: &'static str,
}

/// Where the replay stands.
#[derive(Debug)]
pub(crate) struct Replay {
    samples: Vec<Sample>,
    next: usize,
    /// New ids by old ones, for this round.
    ids: HashMap<&'static str, String>,
}

impl Replay {
    pub(crate) fn new() -> Self {
        Self { samples: in_step(phoenix(PHOENIX), INGRESS), next: 0, ids: HashMap::new() }
    }

    /// The next event, as if it happened `now`.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Event<'_>> {
        if self.next == self.samples.len() {
            self.next = 0;
            self.ids.clear();
        }
        let Sample { log, before, between, id, after } = *self.samples.get(self.next)?;
        self.next += 1;
        let id = self.ids.entry(id).or_insert_with(|| fresh(id));
        let time = match log {
            Log::Ingress => now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            Log::Phoenix => now.strftime("%H:%M:%S%.3f"),
        };
        let text = format!("{before}{time}{between}{id}{after}");
        Some(Event { log, id, text })
    }
}

/// The Phoenix log's events: each from a line with a time to the next such line.
fn phoenix(text: &'static str) -> Vec<Sample> {
    let mut starts = vec![0];
    starts.extend(text.match_indices('\n').map(|(end, _)| end + 1).filter(|start| {
        let line = &text.as_bytes()[*start..];
        line.len() > CLOCK_LEN && line[2] == b':' && line[5] == b':' && line[8] == b'.'
    }));
    starts.push(text.len());
    let sample = |range: &[usize]| {
        let untimed = text.get(range[0] + CLOCK_LEN..range[1])?;
        let named = untimed.split_once(" request_id=").filter(|(before, _)| before.is_empty());
        let (id, after) = match named {
            Some((_, named)) => named.split_at(named.find(" [")?),
            None => ("", ""),
        };
        let between = &untimed[..untimed.len() - id.len() - after.len()];
        Some(Sample { log: Log::Phoenix, before: "", between, id, after })
    };
    starts.windows(2).filter_map(sample).collect()
}

/// Puts each ingress line behind the last Phoenix event of its request; one that Phoenix does not know stays
/// behind the ingress line before it.
fn in_step(phoenix: Vec<Sample>, ingress: &'static str) -> Vec<Sample> {
    let last: HashMap<&str, usize> =
        phoenix.iter().enumerate().map(|(place, sample)| (sample.id, place)).collect();
    let mut place = 0;
    let ingress = ingress.split_inclusive('\n').filter_map(|line| {
        let (before, timed) = line.split_at(line.find('[')? + 1);
        let line = timed.get(TIME_LOCAL_LEN..)?.strip_suffix('\n')?;
        // An id may have blanks in it, so the known ones are looked for first.
        let mut ends = line.rmatch_indices(' ').map(|(blank, _)| &line[blank + 1..]);
        let word = ends.clone().next()?;
        let id = ends.find(|end| last.contains_key(end)).unwrap_or(word);
        place = last.get(id).copied().unwrap_or(place);
        let between = &line[..line.len() - id.len()];
        Some((place, Sample { log: Log::Ingress, before, between, id, after: "\n" }))
    });
    let ingress: Vec<_> = ingress.collect();
    let mut all: Vec<_> = phoenix.into_iter().enumerate().chain(ingress).collect();
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, sample)| sample).collect()
}

/// Another id of the same shape. Ids made of words keep these: `short-869`, `client id with spaces 955417`.
fn fresh(id: &str) -> String {
    let hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let words = id.contains([' ', '-']);
    let other = |char| match char {
        _ if hex => fastrand::digit(16),
        '0'..='9' => fastrand::digit(10),
        'a'..='z' if !words => fastrand::lowercase(),
        'A'..='Z' if !words => fastrand::uppercase(),
        kept => kept,
    };
    id.chars().map(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(replay: &mut Replay, now: &str) -> Vec<(Log, String, String)> {
        let now = now.parse().unwrap();
        (0..replay.samples.len())
            .map(|_| replay.next(now).map(|event| (event.log, event.id.to_owned(), event.text)).unwrap())
            .collect()
    }

    #[test]
    fn every_line_of_both_logs_is_replayed() {
        let mut replay = Replay::new();
        let events = round(&mut replay, "2027-01-02T03:04:05.678Z");
        for (log, sample) in [(Log::Ingress, INGRESS), (Log::Phoenix, PHOENIX)] {
            let lines = events.iter().filter(|event| event.0 == log).map(|event| event.2.lines().count());
            assert_eq!(lines.sum::<usize>(), sample.lines().count());
        }
        for (log, _, text) in events {
            match log {
                Log::Ingress => assert!(text.contains("[02/Jan/2027:03:04:05 +0000] \""), "{text}"),
                Log::Phoenix => assert!(text.starts_with("03:04:05.678 "), "{text}"),
            }
        }
    }

    #[test]
    fn both_logs_share_the_new_ids_and_the_next_round_has_others() {
        let mut replay = Replay::new();
        let [first, second] = [(); 2].map(|()| round(&mut replay, "2027-01-02T03:04:05Z"));
        let id = |event: &&(Log, String, String)| event.0 == Log::Ingress && event.1.len() == 32;
        let in_both = first.iter().filter(id).filter(|ingress| {
            first.iter().any(|phoenix| phoenix.0 == Log::Phoenix && phoenix.1 == ingress.1)
        });
        assert!(in_both.count() > 200);
        assert!(!first.iter().filter(id).any(|event| second.iter().any(|later| later.1 == event.1)));
    }

    #[test]
    fn an_id_keeps_its_shape() {
        let fresh_hex = fresh("57d3fab6e2f5aa0b38ccbe2bbd07d9ae");
        assert!(fresh_hex.len() == 32 && fresh_hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(fresh("client id with spaces 955417").starts_with("client id with spaces "));
        assert_eq!(fresh("GOoqLfrUFdYueAYAAACh").len(), 20);
        assert_eq!(fresh(""), "");
    }
}
