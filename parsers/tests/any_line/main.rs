//! Any bytes, any cut of a good line and any noise in it, for every format and every envelope: none panics, and each
//! keeps the laws. The good lines are those of the golden corpora.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod laws;

use std::{fs, path::Path};

use hivetail_parsers::{Format, envelope::Envelope};
use proptest::prelude::*;

/// What reads the lines of a corpus.
#[derive(Clone, Copy, Debug)]
enum Reader {
    Format(Format),
    Envelope(Envelope),
}

impl Reader {
    fn read(self, line: &[u8]) {
        match self {
            Self::Format(format) => laws::of_format(format, line),
            Self::Envelope(envelope) => laws::of_envelope(envelope, line),
        };
    }
}

/// Every line of the corpora, with what reads it.
fn good() -> Vec<(Reader, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut lines = Vec::new();
    for folder in fs::read_dir(root).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let name = folder.file_name().into_string().unwrap();
        let reader = Format::from_name(&name)
            .map(Reader::Format)
            .or_else(|| Envelope::from_name(&name).map(Reader::Envelope))
            .unwrap();
        for file in fs::read_dir(folder.path()).unwrap().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "log") {
                let text = fs::read(file.path()).unwrap();
                lines.extend(text.split(|byte| *byte == b'\n').map(|line| (reader, line.to_vec())));
            }
        }
    }
    assert!(lines.len() > 500);
    lines
}

#[test]
fn every_cut_of_every_tenth_line_keeps_the_laws() {
    for (reader, line) in good().iter().step_by(10).filter(|(_, line)| line.len() < 2_000) {
        for end in 0..=line.len() {
            reader.read(&line[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn noise_in_a_good_line_keeps_the_laws(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..20),
        over in 0..20_usize,
    ) {
        thread_local! { static GOOD: Vec<(Reader, Vec<u8>)> = good(); }
        GOOD.with(|good| {
            let (reader, line) = which.get(good);
            let at = at.index(line.len() + 1);
            reader.read(&[&line[..at], &noise, line.get(at + over..).unwrap_or_default()].concat());
        });
    }

    #[test]
    fn any_bytes_keep_the_laws(line in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in Format::ALL {
            laws::of_format(format, &line);
        }
        for envelope in Envelope::ALL {
            laws::of_envelope(envelope, &line);
        }
    }

    #[test]
    fn any_text_is_a_format_or_an_error(
        format in "(\\$[a-z_]{1,12}|[^\n]){0,8}",
        line in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let text = [format.as_bytes(), b"\n", &line].concat();
        laws::of_log_format(&text);
        laws::of_elixir_format(&text);
    }
}
