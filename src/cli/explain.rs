//! `hivetail explain`: what the rules of a configuration would do to a log.
//!
//! Takes a log, passes it as the agent would, by its own clock, and says of each rule how many events it takes, at which rate, with a few of
//! them; what is redacted; and what all of it comes to in a month. Nothing is sent.

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use hivetail_parsers::Timestamp;
use serde_json::Value;

use super::{load, reading::pass_file};
use crate::{
    clock::Clock,
    config::{Config, Pick, Source, SourceType},
    encode::Constants,
    pass::{Chunk, Pass},
    pipeline,
    source::kubernetes::{Container, OwnPod},
    spare::Spares,
    transform::{Tallied, Told},
};

const NS_PER_S: f64 = 1e9;
const MONTH_S: f64 = 30.0 * 86_400.0;
/// From less than this nobody can tell a month.
const SPAN_S_MIN: f64 = 60.0;
const SHOWN_CHARS_MAX: usize = 110;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The configuration file.
    #[arg(short, long, default_value = "/etc/hivetail/config.toml")]
    config: PathBuf,
    /// Which of its sources, from 0 on; by default the one that would read that file, or the first.
    #[arg(long)]
    source: Option<usize>,
    /// How many events are shown of each rule and what it does with them.
    #[arg(long, default_value_t = 3)]
    examples: usize,
    /// The log; `-` for standard input.
    log: PathBuf,
}

impl ExplainArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let config = match load(&self.config) {
            Ok(config) => config,
            Err(error) => return super::complain(&error),
        };
        let log = self.log.canonicalize().unwrap_or_else(|_| self.log.clone());
        let Some((index, source)) = self.source_of(&config, &log) else {
            anyhow::bail!("{}: it has {} sources, from 0 on", self.config.display(), config.source.len());
        };
        // A link's own name tells whose log it is, where that which it leads to does not.
        let container = [&self.log, &log].into_iter().find_map(|path| Container::of(path));
        let container = container.filter(|_| source.kind == SourceType::Kubernetes);
        let Some(source) = &for_container(source, container.as_ref()) else {
            anyhow::bail!("source[{index}] has a route that drops this container: nothing of it is shipped");
        };
        let book = Arc::new(pipeline::book(&config)?);
        let join_bytes_max = config.plan().map_or(0, |plan| plan.join_bytes);
        let template = &config.honeycomb.dataset.0;
        let mut pass = Pass::new(source, template, Arc::default(), Spares::default(), join_bytes_max, &book);
        pass.take_journal();
        let mut constants = Constants::default();
        let configured = source.constants();
        configured.iter().for_each(|(name, value)| constants.push(name, value));
        if let Some(container) = container {
            container.tell(&mut constants, &configured);
        }
        let by_rule = pass.rule_names().map(|name| (name.to_owned(), OfRule::default())).collect();
        let mut sums = Sums { examples_max: self.examples, by_rule, ..Sums::default() };
        let mut add = |pass: &mut Pass, chunk: &Chunk| {
            sums.count(chunk);
            pass.take_journal().iter().for_each(|told| sums.add(told));
            Ok(())
        };
        let line_bytes_max = config.limits.line_bytes.get();
        pass_file(&self.log, constants, Clock::System, line_bytes_max, &mut pass, &mut add)
            .map_err(|error| anyhow::anyhow!("{}: {error}", self.log.display()))?;
        let mut out = BufWriter::new(io::stdout().lock());
        let told =
            writeln!(out, "{} as source[{index}], format {}\n", self.log.display(), source.format.0.name());
        match told.and_then(|()| sums.write(&mut out)).and_then(|()| out.flush()) {
            // Whoever read has seen enough.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(ExitCode::SUCCESS),
        }
    }

    fn source_of<'c>(&self, config: &'c Config, log: &Path) -> Option<(usize, &'c Source)> {
        let mut sources = config.source.iter().map(toml::Spanned::get_ref).enumerate();
        match self.source {
            Some(index) => sources.nth(index),
            None => sources.clone().find(|(_, source)| reads(source, log)).or_else(|| sources.next()),
        }
    }
}

/// Whether a source would read that file.
fn reads(source: &Source, log: &Path) -> bool {
    let is_stdin = source.kind == SourceType::Stdin && log == Path::new("-");
    is_stdin || source.paths.iter().any(|glob| glob.0.matches_path(log))
}

/// A source as it is for that container: its routes say. None if one of them drops it.
fn for_container(source: &Source, container: Option<&Container>) -> Option<Source> {
    let is_for = |pick: &Pick| container.map_or(pick.picks_strangers(), |container| pick.picks(container));
    let mut variants = source.variants(&OwnPod::Unknown).into_iter();
    variants.find(|variant| is_for(&variant.pick)).map(|variant| variant.source)
}

/// What there is to say of all events.
#[derive(Debug, Default)]
struct Sums {
    examples_max: usize,
    lines: u64,
    events: u64,
    shipped: u64,
    /// The sum of the rates of what is shipped.
    stands_for: u64,
    /// In the order in which they are asked.
    by_rule: Vec<(String, OfRule)>,
    no_rule: OfRule,
    redactions: BTreeMap<String, u64>,
    filtered: BTreeMap<String, u64>,
    times: Option<(Timestamp, Timestamp)>,
}

#[derive(Debug, Default)]
struct OfRule {
    events: u64,
    shipped: u64,
    spared: u64,
    stands_for: u64,
    examples: BTreeMap<(Tallied, bool), Vec<Told>>,
}

impl OfRule {
    fn add(&mut self, told: &Told, examples_max: usize) {
        self.events += 1;
        if told.fate == Tallied::Kept {
            self.shipped += 1;
            self.spared += u64::from(told.is_spared);
            self.stands_for += u64::from(told.rate);
        }
        let examples = self.examples.entry((told.fate, told.is_spared)).or_default();
        if examples.len() < examples_max {
            examples.push(told.clone());
        }
    }
}

impl Sums {
    fn count(&mut self, chunk: &Chunk) {
        self.lines += u64::from(chunk.passed.lines) + u64::from(chunk.passed.blank);
        self.lines += chunk.held.iter().filter(|held| !held.is_context()).count() as u64;
    }

    fn add(&mut self, told: &Told) {
        self.events += 1;
        if told.fate == Tallied::Kept {
            self.shipped += 1;
            self.stands_for += u64::from(told.rate);
        }
        if let Some(at) = told.time {
            let (first, last) = self.times.unwrap_or((at, at));
            self.times = Some((first.min(at), last.max(at)));
        }
        for (names, counts) in
            [(&told.redactions, &mut self.redactions), (&told.filtered, &mut self.filtered)]
        {
            for name in names {
                *counts.entry(name.clone()).or_default() += 1;
            }
        }
        for (_, of) in self.by_rule.iter_mut().filter(|(name, _)| told.rules.contains(name)) {
            of.add(told, self.examples_max);
        }
        if told.rules.is_empty() {
            self.no_rule.add(told, 0);
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:>12} {:>9} {:>12} {:>12} {:>10}  rule",
            "events", "share", "shipped", "stand for", "spared"
        )?;
        let none = ("(none)".to_owned(), &self.no_rule);
        for (name, of) in self.by_rule.iter().map(|(name, of)| (name.clone(), of)).chain([none]) {
            let OfRule { events, shipped, spared, stands_for, .. } = of;
            let share = percent(*events, self.events);
            writeln!(out, "{events:>12} {share:>9} {shipped:>12} {stands_for:>12} {spared:>10}  {name}")?;
        }
        writeln!(
            out,
            "\n{} lines, {} events before; {} shipped ({}), which stand for {}",
            self.lines,
            self.events,
            self.shipped,
            percent(self.shipped, self.events),
            self.stands_for
        )?;
        self.write_month(out)?;
        for (name, events) in &self.filtered {
            writeln!(out, "[FILTERED] in {name}: {events} events")?;
        }
        for (name, events) in &self.redactions {
            writeln!(out, "redaction rule \"{name}\": {events} events")?;
        }
        for (name, of) in &self.by_rule {
            for ((fate, is_spared), examples) in &of.examples {
                write_examples(out, name, *fate, *is_spared, examples)?;
            }
        }
        Ok(())
    }

    fn write_month(&self, out: &mut impl Write) -> io::Result<()> {
        #[expect(clippy::cast_precision_loss, reason = "it is an estimate")]
        let span_s = self.times.map_or(0.0, |(first, last)| (last.ns() - first.ns()) as f64 / NS_PER_S);
        if span_s < SPAN_S_MIN {
            return writeln!(out, "its events are of less than a minute: too little to tell a month");
        }
        #[expect(clippy::cast_precision_loss, reason = "it is an estimate")]
        let month = |events: u64| events as f64 / span_s * MONTH_S;
        writeln!(
            out,
            "in {:.1} hours; about {:.2} million events a month, {:.2} million without rules",
            span_s / 3_600.0,
            month(self.shipped) / 1e6,
            month(self.events) / 1e6
        )
    }
}

fn write_examples(
    out: &mut impl Write,
    rule: &str,
    fate: Tallied,
    is_spared: bool,
    examples: &[Told],
) -> io::Result<()> {
    if examples.is_empty() {
        return Ok(());
    }
    let what = match (fate, is_spared) {
        (Tallied::Kept, true) => "shipped whatever the sampler says",
        (Tallied::Kept, false) => "shipped",
        (Tallied::Sampled, _) => "left out by the sampler",
        (Tallied::Filtered, _) => "dropped",
    };
    writeln!(out, "\n{rule}: {what}")?;
    for told in examples {
        let mut body: String = told.body.chars().take(SHOWN_CHARS_MAX).collect();
        if body.len() < told.body.len() {
            body.push('…');
        }
        let rate = if told.rate > 1 { format!("1 in {}", told.rate) } else { String::new() };
        let redacted: Vec<&str> = told.redactions.iter().chain(&told.filtered).map(String::as_str).collect();
        let redacted =
            if redacted.is_empty() { String::new() } else { format!("  redacted: {}", redacted.join(", ")) };
        // As JSON, so that no log line can steer the terminal it is shown on.
        writeln!(out, "  {rate:<12} {}{redacted}", Value::from(body))?;
    }
    Ok(())
}

/// Never rounded to nothing.
fn percent(count: u64, all: u64) -> String {
    let thousandths = (count * 1_000).checked_div(all).unwrap_or(0).max(u64::from(count > 0));
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}
