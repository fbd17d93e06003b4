//! The ledger's promises, over random histories and by hand.

use proptest::prelude::*;

use super::*;

/// Bytes, the lines of each event, blank lines, lines that a join keeps.
type Chunk = (u64, Vec<u32>, u32, u32);

/// Chunks, and the order in which their claims are decided.
fn history() -> impl Strategy<Value = (Vec<Chunk>, Vec<prop::sample::Index>)> {
    let chunk = (10_u64..1000, prop::collection::vec(1_u32..5, 0..4), 0_u32..3, 0_u32..3);
    let order = prop::collection::vec(any::<prop::sample::Index>(), 100);
    (prop::collection::vec(chunk, 1..25), order)
}

fn held(position: u64, flags: u32) -> Held {
    Held { position, len: 1, flags }
}

proptest! {
    /// Each chunk's joins are completed by the next chunk's first event.
    #[test]
    fn the_mark_never_passes_a_line_that_is_neither_decided_nor_held((chunks, order) in history()) {
        let mut ledger = Ledger::default();
        let stream = ledger.open_stream(End::default());
        let (mut open, mut decided) = (Vec::new(), Vec::new());
        let (mut end, mut lines, mut waiting) = (0, 0, Vec::new());
        for (bytes, events, blank, joins) in chunks {
            let start = end;
            end += bytes;
            let now: Vec<Held> = (0..joins).map(|n| held(start + u64::from(n), 0)).collect();
            let passed = Passed { lines: events.iter().sum(), blank, ..Passed::default() };
            lines += u64::from(passed.lines + blank + joins);
            let span = ledger.open_span(stream, end, passed, &now);
            for each in events {
                let at = |held: Held| HeldAt { stream, position: held.position, context: false };
                let before: Box<[HeldAt]> = std::mem::take(&mut waiting).into_iter().map(at).collect();
                open.push((start, Claim { span, events: 1, lines: each, held: before }));
            }
            waiting.extend(now);
        }
        let mut last = 0;
        for index in order {
            let undecided = open.iter().map(|(start, _)| *start).min().unwrap_or(end);
            let mark = ledger.mark(stream).unwrap();
            prop_assert_eq!(mark.resume, undecided, "everything before the first open line, and no more");
            prop_assert!(mark.resume >= last);
            // Those of decided events, too, as long as the events' own lines would be read again.
            let lingering = decided.iter().filter(|(start, _)| *start >= undecided);
            let still: Vec<u64> = open.iter().chain(lingering).flat_map(|(_, claim): &(u64, Claim)| claim.held.iter()).map(|at| at.position)
                .chain(waiting.iter().map(|held| held.position)).filter(|at| *at < undecided).collect();
            prop_assert_eq!(mark.held.len(), still.len(), "what is held and not decided stays held");
            prop_assert!(mark.held.iter().all(|held| still.contains(&held.position)));
            prop_assert_eq!(ledger.counts().balance(), 0);
            prop_assert_eq!(ledger.counts().read, lines);
            last = mark.resume;
            if open.is_empty() {
                break;
            }
            let (start, claim) = open.swap_remove(index.index(open.len()));
            ledger.decide(&claim, 1, Outcome::Accepted);
            decided.push((start, claim));
        }
    }
}

#[test]
fn a_closed_stream_goes_when_it_is_decided() {
    let mut ledger = Ledger::default();
    let stream = ledger.open_stream(End::at(7));
    let span = ledger.open_span(stream, 9, Passed { lines: 1, ..Passed::default() }, &[]);
    ledger.close_stream(stream);
    assert_eq!(ledger.mark(stream), Some(Mark { resume: 7, tail: None, held: vec![] }));
    ledger.decide(&Claim { span, events: 1, lines: 1, held: Box::default() }, 1, Outcome::Refused);
    assert_eq!(ledger.mark(stream), None);
    assert_eq!(ledger.counts(), Counts { read: 1, refused: 1, ..Counts::default() });
}

#[test]
fn an_event_has_one_line_at_home_and_context_is_not_counted() {
    let mut ledger = Ledger::default();
    let old = ledger.open_stream(End::at(100));
    ledger.recover(old, &[held(10, 0), held(20, Held::CONTEXT), held(30, 0)]);
    ledger.close_stream(old);
    let new = ledger.open_stream(End::default());
    let span = ledger.open_span(
        new,
        End { position: 50, tail: Some(50) },
        Passed { lines: 2, blank: 1, ..Passed::default() },
        &[held(5, Held::CONTEXT)],
    );
    assert_eq!(ledger.counts(), Counts { read: 3, recovered: 2, blank: 1, open: 4, ..Counts::default() });
    assert_eq!(ledger.mark(old).map(|mark| mark.held.len()), Some(3));
    let at = |stream, position| HeldAt { stream, position, context: false };
    let context = |stream, position| HeldAt { stream, position, context: true };
    let request = [at(old, 10), context(old, 20), context(new, 5)].into();
    ledger.decide(&Claim { span, events: 1, lines: 1, held: request }, 1, Outcome::Accepted);
    let alone = Claim { span, events: 1, lines: 1, held: Box::default() };
    ledger.decide(&alone, 1, Outcome::Accepted);
    assert_eq!(ledger.mark(new), Some(Mark { resume: 50, tail: Some(50), held: vec![] }));
    ledger.release(at(old, 30));
    assert_eq!(ledger.mark(old), None, "nothing of it is held any more");
    let counts = Counts { read: 3, recovered: 2, blank: 2, accepted: 2, joined: 1, ..Counts::default() };
    assert_eq!(ledger.counts(), counts);
}

#[test]
fn a_line_can_be_an_events_and_a_requests_context_at_once() {
    for request_first in [false, true] {
        let mut ledger = Ledger::default();
        let stream = ledger.open_stream(End::default());
        ledger.open_span(stream, 50, Passed { lines: 0, ..Passed::default() }, &[held(0, 0), held(9, 0)]);
        let at = |position, context| HeldAt { stream, position, context };
        ledger.retell(at(9, true), Held::CONTEXT | Held::LAST);
        let span = ledger.open_span(stream, 60, Passed { lines: 1, ..Passed::default() }, &[]);
        let event = Claim { span, events: 1, lines: 0, held: [at(9, false)].into() };
        let request = Claim { span, events: 1, lines: 1, held: [at(0, false), at(9, true)].into() };
        let saved = |ledger: &Ledger| ledger.mark(stream).map(|mark| mark.held);
        assert_eq!(saved(&ledger), Some(vec![held(0, 0), held(9, Held::LAST)]), "to be shipped again");
        if request_first {
            ledger.decide(&request, 1, Outcome::Accepted);
            assert_eq!(saved(&ledger), Some(vec![held(9, Held::LAST)]), "the event is not decided");
            ledger.decide(&event, 1, Outcome::Accepted);
        } else {
            ledger.decide(&event, 1, Outcome::Accepted);
            let context = held(9, Held::CONTEXT | Held::LAST);
            assert_eq!(saved(&ledger), Some(vec![held(0, 0), context]), "the request is open");
            ledger.decide(&request, 1, Outcome::Accepted);
        }
        assert_eq!(saved(&ledger), Some(vec![]));
        assert_eq!(ledger.counts(), Counts { read: 3, accepted: 2, joined: 1, ..Counts::default() });
    }
}

#[test]
fn lines_that_joins_held_are_open_once_whoever_goes_on_with_them() {
    let mut ledger = Ledger::default();
    let stream = ledger.open_stream(End::default());
    let span = ledger.open_span(stream, 20, Passed { lines: 1, ..Passed::default() }, &[held(5, 0)]);
    ledger.open_span(stream, 30, Passed::default(), &[held(25, 0), held(28, Held::CONTEXT)]);
    ledger.decide(&Claim { span, events: 1, lines: 1, held: Box::default() }, 1, Outcome::Accepted);
    let at = |position, context| HeldAt { stream, position, context };
    // The other source goes on from 20: it recovers the line at 5, and reads those behind once more.
    [at(5, false), at(25, false), at(28, true)].into_iter().for_each(|at| ledger.hand_over(at, 20));
    ledger.close_stream(stream);
    assert_eq!(ledger.mark(stream), None);
    assert_eq!(ledger.counts(), Counts { read: 2, accepted: 1, open: 1, ..Counts::default() });
    let next = ledger.open_stream(End::at(20));
    ledger.recover(next, &[held(5, 0)]);
    assert_eq!(ledger.counts(), Counts { read: 2, accepted: 1, open: 1, ..Counts::default() });
    ledger.release(HeldAt { stream: next, position: 5, context: false });
    assert_eq!(ledger.counts().balance(), 0);
    assert_eq!(ledger.counts().open, 0);
}
