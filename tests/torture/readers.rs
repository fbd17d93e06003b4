//! The test of the test: in the agent's place, something that simply reads all files, or is wrong on purpose.
//!
//! What the rotator wrote down is right if reading everything gives exactly the lines that have to arrive, each once,
//! and not one that is said to be in no file.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;

use crate::{
    field::{FILES, Field},
    history::{Fate, Generation, History},
    line::{self, Spot},
    oracle::{Oracle, Verdict},
    rotator::Pace,
    settings::Settings,
    writer::Stretch,
};

/// What writers and rotators in a hurry left behind, and what they say of it.
fn written(keep: usize) -> (tempfile::TempDir, Vec<History>) {
    let settings = Settings { mb_s: 10.0, ..Settings::from_env() };
    let folder = tempfile::tempdir().expect("a folder");
    let (interval, pack_after) = (Duration::from_millis(60), Duration::from_millis(150));
    let field = Field::start(folder.path(), &settings, Pace { interval, pack_after, keep }, Instant::now());
    let (_open, nothing) = sync_channel::<()>(0);
    nothing.recv_timeout(Duration::from_millis(1_500)).ok();
    (folder, field.stop())
}

/// Each line of each file as an event, as the agent would make it; what is no line has a body.
fn read_all(folder: &Path, mut each: impl FnMut(&str)) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (mut file, mut text) = (File::open(entry.path()).unwrap(), String::new());
        if entry.path().extension().is_some_and(|extension| extension == "gz") {
            GzDecoder::new(file).read_to_string(&mut text).unwrap();
        } else {
            file.read_to_string(&mut text).unwrap();
        }
        for line in text.split_inclusive('\n') {
            let is_whole = line.starts_with('{') && line.ends_with("}\n");
            let body = || serde_json::json!({ "body": line }).to_string();
            each(&if is_whole { line.to_owned() } else { body() });
        }
    }
}

#[test]
fn whoever_reads_all_files_has_every_line_once() {
    let (folder, histories) = written(1_000);
    let mut oracle = Oracle::default();
    read_all(folder.path(), |event| oracle.enter(event));
    assert!(oracle.is_complete(&histories));
    let verdict = oracle.verdict(&histories);
    assert_eq!((verdict.lost, verdict.invented, verdict.in_gaps), (0, 0, 0), "{verdict:?}");
    assert_eq!(verdict.repeated, [0]);
    assert!(verdict.strange.is_empty(), "{:?}", verdict.strange);
    assert_eq!(oracle.events, verdict.written - verdict.gaps + verdict.pieces as u64);
    let packed = histories.iter().flat_map(|history| &history.generations).filter(|one| one.packed.is_some());
    let packs = Settings::from_env().rotations.gzip;
    assert!(verdict.written > 20_000 && (packed.count() > 0) == packs, "there was something to it");
}

#[test]
fn lines_of_files_that_were_deleted_soon_need_not_arrive() {
    let (folder, histories) = written(3);
    assert!(histories.iter().all(|history| history.generations.iter().any(|one| one.deleted.is_some())));
    let mut oracle = Oracle::default();
    read_all(folder.path(), |event| oracle.enter(event));
    let verdict = oracle.verdict(&histories);
    assert_eq!((verdict.lost, verdict.in_gaps), (0, 0), "{verdict:?}");
    assert!(oracle.events < verdict.written - verdict.gaps);
}

/// A verdict on what one file of ten lines made of it, after `wrong` has entered it.
fn verdict_on(wrong: impl FnOnce(&mut Oracle)) -> Verdict {
    let had = Stretch { begin: Spot::default(), end: Spot { line: 10, cut: 0 } };
    let generations = vec![Generation::whole(Fate::Stayed, had, Duration::ZERO)];
    let mut histories = vec![History::default(); FILES];
    histories[2] = History { generations };
    let mut oracle = Oracle::default();
    wrong(&mut oracle);
    oracle.verdict(&histories)
}

#[test]
fn what_is_wrong_is_found() {
    let enter = |oracle: &mut Oracle, numbers: &[u64]| {
        for number in numbers {
            oracle.enter(&line::text(2, *number));
        }
    };
    let verdict = verdict_on(|oracle| enter(oracle, &[0, 1, 4, 5, 6, 9]));
    let losses: Vec<_> = verdict.losses.iter().map(|loss| (loss.file, loss.lines.clone())).collect();
    assert_eq!((verdict.lost, losses), (4, vec![(2, 2..4), (2, 7..9)]));
    let verdict = verdict_on(|oracle| {
        enter(oracle, &[0, 1, 2, 3, 4, 5]);
        oracle.next_life();
        enter(oracle, &[3, 4, 5, 6, 7, 8, 9]);
    });
    assert_eq!((verdict.lost, verdict.repeated), (0, vec![0, 3]));
    assert_eq!(verdict_on(|oracle| enter(oracle, &[10])).invented, 1);
    let mangled = line::text(2, 3).replace("\"n\":\"3\"", "\"n\":\"4\"");
    let piece = serde_json::json!({ "body": &line::text(2, 3)[5..] }).to_string();
    let verdict = verdict_on(|oracle| {
        for text in [&*mangled, &piece, "{}"] {
            oracle.enter(text);
        }
    });
    assert_eq!(verdict.strange.len(), 3);
}
