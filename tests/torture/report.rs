//! The report: takes what came of a run, gives what is wrong and figures to see why.

use std::fmt::Write;

use crate::{
    run::{Outcome, Plan},
    settings::Settings,
};

/// How many ranges of lost lines, and texts that were never written, are shown.
const SHOWN_MAX: usize = 20;
/// How much of such a text.
const TEXT_CHARS_MAX: usize = 100;

/// Each promise that was broken.
pub(crate) fn wrong(outcome: &Outcome) -> Vec<String> {
    let verdict = &outcome.verdict;
    let mut wrong = Vec::new();
    if verdict.lost > 0 {
        wrong.push(format!("{} lines are lost", verdict.lost));
    }
    let strange = verdict.strange.len() as u64 + verdict.invented;
    if strange > 0 {
        wrong.push(format!("{strange} events were never written"));
    }
    for (life, repeated) in verdict.repeated.iter().enumerate() {
        // Before the first kill there is no reason to repeat anything.
        let most = if life == 0 { 0 } else { outcome.repeated_max };
        if *repeated > most {
            wrong.push(format!("{repeated} lines are repeated after kill {life}, at most {most} may be"));
        }
    }
    if outcome.exit_code != Some(0) {
        wrong.push(format!("the exit code is {:?}", outcome.exit_code));
    }
    wrong
}

/// The figures; what is missing, and where from.
pub(crate) fn of(plan: &Plan, settings: &Settings, outcome: &Outcome) -> String {
    let verdict = &outcome.verdict;
    let mut text = format!(
        "{}, HIVETAIL_TORTURE_SEED={}, {:.1} s: {} lines, {} lost; {} truncated away uncopied, {} of them shipped, and {} \
         pieces of lines; {} kills, repeated after each {:?}, at most {} each\n",
        plan.pattern,
        settings.seed,
        outcome.took.as_secs_f64(),
        verdict.written,
        verdict.lost,
        verdict.gaps,
        verdict.in_gaps,
        verdict.pieces,
        plan.kills,
        verdict.repeated,
        outcome.repeated_max,
    );
    if wrong(outcome).is_empty() {
        return text;
    }
    let mut say = |line: String| writeln!(text, "{line}").unwrap_or_default();
    for loss in verdict.losses.iter().take(SHOWN_MAX) {
        say(format!("lost: x{}.log {:?}, in {}", loss.file, loss.lines, loss.from));
    }
    say(format!("{} such ranges; the agent was down: {:.2?}", verdict.losses.len(), outcome.down));
    for strange in verdict.strange.iter().take(SHOWN_MAX) {
        say(format!("never written: {:?}", strange.chars().take(TEXT_CHARS_MAX).collect::<String>()));
    }
    match &outcome.kept {
        Some(folder) => say(format!("all of it is in {}", folder.display())),
        None => say("with HIVETAIL_TORTURE_KEEP=1 the folder stays".to_owned()),
    }
    say(format!("the agent's last words:\n{}", outcome.last_words));
    text
}
