//! Whole histories of files against an oracle that knows every line: nothing that still is in some file is lost, nothing
//! comes from the wrong place, and only a kill makes duplicates.

mod disk;
mod oracle;
mod rig;

use std::fs;

use proptest::{prelude::*, test_runner::RngSeed};
use tokio::runtime::Runtime;

use disk::{Disk, Rotation};
use oracle::Oracle;
use rig::Rig;

use super::watch::{Came, Change};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Write(u8),
    /// A line is begun, and ended by the next write.
    Begin,
    Rotate(Rotation),
    Gzip(u8),
    Backup,
    Truncate,
    Delete,
    /// What is written next goes to the file that has the name now.
    Reopen,
    Look,
    Read(u8),
    Deliver(u8),
    /// The receiver takes it, but its answer is lost.
    Swallow,
    Save,
    Wait,
    Kill,
    Stop,
    Start,
}

fn step() -> impl Strategy<Value = Step> {
    let rotation = prop_oneof![
        3 => Just(Rotation::Rename),
        3 => Just(Rotation::Copy),
        1 => Just(Rotation::Date),
    ];
    prop_oneof![
        8 => (1_u8..30).prop_map(Step::Write),
        2 => Just(Step::Begin),
        4 => rotation.prop_map(Step::Rotate),
        1 => (1_u8..4).prop_map(Step::Gzip),
        1 => Just(Step::Backup),
        1 => Just(Step::Truncate),
        1 => Just(Step::Delete),
        2 => Just(Step::Reopen),
        3 => Just(Step::Look),
        6 => (1_u8..6).prop_map(Step::Read),
        4 => (1_u8..10).prop_map(Step::Deliver),
        1 => Just(Step::Swallow),
        3 => Just(Step::Save),
        1 => Just(Step::Wait),
        1 => Just(Step::Kill),
        1 => Just(Step::Stop),
        2 => Just(Step::Start),
    ]
}

/// How the source hears of what happens.
#[derive(Clone, Copy, Debug)]
struct Way {
    pattern: &'static str,
    /// Whether there is news of everything, or only looks.
    news: bool,
}

const WAYS: [Way; 3] = [
    Way { pattern: "a.log", news: true },
    Way { pattern: "a.log*", news: true },
    Way { pattern: "a.log*", news: false },
];

async fn history(way: Way, steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let (mut disk, mut oracle) = (Disk::new(dir.path()), Oracle::default());
    let mut rig = Rig::new(dir.path(), way.pattern);
    rig.start();
    oracle.looked(&mut disk);
    rig.save();
    for step in steps {
        take(step, way, &mut disk, &mut oracle, &mut rig).await;
        oracle.received(&rig.passed());
    }
    if !rig.is_up() {
        rig.start();
    }
    oracle.looked(&mut disk);
    for _ in 0..8 {
        rig.look();
        rig.read(u8::MAX).await;
        oracle.received(&rig.passed());
        oracle.delivered(&rig.deliver(u8::MAX));
        rig.wait().await;
    }
    assert_eq!(rig.balance(), 0);
    oracle.judge(&disk, rig.missed_bytes());
    rig.end().await;
}

async fn take(step: &Step, way: Way, disk: &mut Disk, oracle: &mut Oracle, rig: &mut Rig) {
    let up = rig.is_up();
    let news = match step {
        Step::Write(lines) => disk.write(*lines),
        Step::Begin => disk.begin(),
        Step::Rotate(rotation) => oracle.rotated(disk.rotate(*rotation), up),
        Step::Gzip(generation) => {
            // Nobody compresses a file within a second of its last line.
            if up {
                rig.look();
                oracle.looked(disk);
            }
            oracle.rotated(disk.gzip(*generation, up), up)
        }
        // Of two copies of what was never read, both are read: that they are the same can't be told.
        Step::Backup if way.pattern == "a.log*" && up => {
            rig.look();
            oracle.looked(disk);
            rig.read(u8::MAX).await;
            disk.backup()
        }
        Step::Truncate => oracle.rotated(disk.truncate(), up),
        Step::Delete => oracle.rotated(disk.delete(), up),
        Step::Reopen => disk.reopen(),
        Step::Look if up => {
            rig.look();
            oracle.looked(disk);
            Vec::new()
        }
        Step::Read(chunks) => return rig.read(*chunks).await,
        Step::Deliver(runs) => return oracle.delivered(&rig.deliver(*runs)),
        Step::Swallow => return oracle.swallowed(&rig.swallow()),
        Step::Save if up => {
            rig.save();
            return oracle.saved();
        }
        Step::Wait if up => {
            disk.waited();
            return rig.wait().await;
        }
        Step::Kill if up => {
            rig.kill();
            return oracle.killed(disk);
        }
        Step::Stop if up => {
            rig.look();
            oracle.looked(disk);
            rig.end().await;
            return oracle.stopped(disk);
        }
        Step::Start if !up => {
            rig.start();
            oracle.looked(disk);
            Vec::new()
        }
        _ => Vec::new(),
    };
    if up && way.news {
        rig.hear(news);
        oracle.looked(disk);
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Always the same histories, so that a change is judged by what it changes; by hand one can ask for so many others.
fn config() -> ProptestConfig {
    let by_hand = std::env::var("HIVETAIL_HISTORIES").ok().and_then(|text| text.parse().ok());
    let rng_seed = if by_hand.is_some() { RngSeed::Random } else { RngSeed::Fixed(5) };
    let cases = by_hand.unwrap_or(10_000);
    ProptestConfig {
        cases,
        rng_seed,
        max_shrink_iters: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_to_files_no_line_is_lost(
        way in prop::sample::select(&WAYS[..]),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        runtime().block_on(history(way, &steps));
    }
}

/// A history that went wrong once.
fn again(pattern: &'static str, news: bool, steps: &[Step]) {
    runtime().block_on(history(Way { pattern, news }, steps));
}

#[test]
fn a_copy_made_before_anything_was_read_is_read() {
    let steps = [Step::Write(3), Step::Look, Step::Rotate(Rotation::Copy), Step::Write(2)];
    again("a.log", true, &steps);
}

#[test]
fn a_log_emptied_twice_between_two_reads_loses_nothing() {
    let steps = [
        Step::Write(1),
        Step::Read(1),
        Step::Rotate(Rotation::Copy),
        Step::Write(1),
        Step::Rotate(Rotation::Copy),
    ];
    again("a.log", true, &steps);
}

#[test]
fn a_line_in_the_making_does_not_go_on_in_what_was_written_anew() {
    let steps = [Step::Begin, Step::Read(1), Step::Write(1), Step::Truncate, Step::Write(3)];
    again("a.log", false, &steps);
}

#[test]
fn a_file_that_only_begins_like_another_is_no_copy() {
    let steps = [
        Step::Write(60),
        Step::Delete,
        Step::Rotate(Rotation::Rename),
        Step::Begin,
        Step::Write(2),
        Step::Stop,
        Step::Write(1),
    ];
    again("a.log", true, &steps);
}

#[test]
fn an_inode_that_a_closed_file_had_is_another_file() {
    let steps = [
        Step::Write(1),
        Step::Rotate(Rotation::Copy),
        Step::Rotate(Rotation::Copy),
        Step::Write(1),
        Step::Read(2),
        Step::Wait,
        Step::Read(1),
        Step::Gzip(2),
        Step::Rotate(Rotation::Copy),
    ];
    again("a.log", true, &steps);
}

/// Whoever copies a busy log and empties it has read less of it than the agent, and loses what was written in between.
async fn copied_short(heard_of_copy: bool, emptied_first: bool) {
    let dir = tempfile::tempdir().unwrap();
    let (log, copy) = (dir.path().join("a.log"), dir.path().join("a.log.1"));
    fs::write(&log, "").unwrap();
    let mut rig = Rig::new(dir.path(), "a.log*");
    rig.start();
    let text: String = (0..6_000).map(|n| format!("line {n}\n")).collect();
    // Read in pieces, as it is written.
    for end in (5_000..=text.len()).step_by(5_000) {
        fs::write(&log, &text[..end]).unwrap();
        rig.hear(vec![Change::Written(log.clone())]);
        rig.read(2).await;
    }
    let read = rig.passed().len();
    if heard_of_copy {
        fs::write(&copy, &text[..10_000]).unwrap();
        rig.hear(vec![Change::Appeared(copy.clone(), Came::Made)]);
    }
    fs::write(&copy, &text[..33_333]).unwrap();
    fs::write(&log, "new\n").unwrap();
    let mut news = vec![Change::Appeared(copy, Came::Made), Change::Written(log)];
    if emptied_first {
        news.reverse();
    }
    rig.hear(news);
    rig.read(u8::MAX).await;
    rig.look();
    rig.read(u8::MAX).await;
    assert!(read > 5_000);
    let passed = rig.passed();
    let what = format!("heard of the copy before: {heard_of_copy}, emptied first: {emptied_first}");
    assert_eq!((passed.len(), passed.last().map(String::as_str)), (1, Some("new")), "{what}");
}

#[test]
fn a_copy_that_ends_before_what_was_read_of_its_original_is_not_read() {
    for (heard_of_copy, emptied_first) in [(false, false), (false, true), (true, false), (true, true)] {
        runtime().block_on(copied_short(heard_of_copy, emptied_first));
    }
}
