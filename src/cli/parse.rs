//! `hivetail parse`: the events that would be shipped, on standard output.
//!
//! One JSON object a line, byte for byte the wire's; with `--pretty` laid out for people. A summary goes to
//! standard error: how many lines, the share that each format parsed, and the first that none did.

use std::{
    io::{self, BufWriter, ErrorKind, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::{Args, ValueEnum};
use hivetail_parsers::{Format, Timestamp, timestamp};
use serde_json::Value;

use memchr::memmem;

use super::{Shape, pretty, reading::pass_file};
use crate::{
    clock::Clock,
    config::Config,
    dataset::Template,
    encode::Constants,
    pass::{Chunk, Pass},
    spare::Spares,
};

#[derive(Debug, Args)]
pub(super) struct ParseArgs {
    #[command(flatten)]
    shape: Shape,
    /// What time it is, in RFC 3339: for lines that tell no date or no time at all.
    #[arg(long, value_parser = instant)]
    now: Option<Timestamp>,
    /// Laid out for people.
    #[arg(long)]
    pretty: bool,
    /// Whether `--pretty` has colours; `auto`: on a terminal, unless `NO_COLOR` is set.
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
    /// Files to read; `-` or none means standard input.
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

impl Colour {
    fn is_wanted(self) -> bool {
        match self {
            Self::Auto => {
                io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
            Self::Always => true,
            Self::Never => false,
        }
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    timestamp::rfc3339(text.as_bytes())
        .ok_or_else(|| "allowed: RFC 3339, such as 2026-11-21T20:52:42Z".to_owned())
}

#[derive(Debug, Default)]
struct Summary {
    lines: u64,
    events: u64,
    unparsed: u64,
    by_format: [u64; Format::ALL.len()],
    /// The first events of lines that no parser understood.
    first_unparsed: Vec<Value>,
}

/// How many unparsed lines the summary shows, and how much of each.
const SHOWN_MAX: usize = 5;
const SHOWN_CHARS_MAX: usize = 200;

impl Summary {
    fn add(&mut self, chunk: &Chunk) {
        self.lines += u64::from(chunk.passed.lines) + u64::from(chunk.passed.blank);
        self.lines += chunk.held.iter().filter(|held| !held.is_context()).count() as u64;
        self.events += u64::from(chunk.events);
        self.unparsed += chunk.unparsed;
        for (sum, count) in self.by_format.iter_mut().zip(chunk.by_format) {
            *sum += count;
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { lines, events, unparsed, .. } = self;
        write!(out, "{lines} lines, {events} events, {unparsed} unparsed ({})", self.share(*unparsed))?;
        for (format, count) in Format::ALL.iter().zip(self.by_format).filter(|(_, count)| *count > 0) {
            write!(out, ", {count} {} ({})", format.name(), self.share(count))?;
        }
        writeln!(out)?;
        if self.unparsed > 0 {
            writeln!(out, "shipped unparsed, the first {}:", self.first_unparsed.len())?;
        }
        for event in &self.first_unparsed {
            let text = |name: &str| event["data"][name].as_str().unwrap_or_default();
            let (body, reason) = (text("body"), text("meta.parse_error"));
            let mut shown: String = body.chars().take(SHOWN_CHARS_MAX).collect();
            if shown.len() < body.len() {
                shown.push('…');
            }
            writeln!(out, "  {reason}: {}", Value::from(shown))?;
        }
        Ok(())
    }

    /// Of what was parsed, with one decimal; never rounded to all or nothing.
    fn share(&self, count: u64) -> String {
        let parsed = self.by_format.iter().sum::<u64>() + self.unparsed;
        let thousandths = count * 1_000 / parsed.max(1);
        let shown = if count > 0 { thousandths.max(1) } else { 0 };
        format!("{}.{} %", shown / 10, shown % 10)
    }

    /// Keeps an event to show, if it is of a line that no parser understood.
    fn keep_unparsed(&mut self, event: &[u8]) -> io::Result<()> {
        // A quote inside a JSON string is escaped: there this can't stand.
        if memmem::find(event, b",\"meta.parse_error\":\"").is_some() {
            self.first_unparsed.push(serde_json::from_slice(event)?);
        }
        Ok(())
    }
}

impl ParseArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let config = Config::default();
        // One dataset: events come in the order of their lines.
        let dataset = Template::parse("parse").map_err(anyhow::Error::msg)?;
        let source = self.shape.source();
        let join_bytes_max = config.plan().map_or(0, |plan| plan.join_bytes);
        let mut pass =
            Pass::new(&source, &dataset, Arc::default(), Spares::default(), join_bytes_max, &Arc::default());
        let clock = self.now.map_or(Clock::System, Clock::Fixed);
        let mut printer = Printer {
            layout: if self.pretty {
                Layout::Pretty { coloured: self.color.is_wanted() }
            } else {
                Layout::Wire
            },
            out: BufWriter::new(io::stdout().lock()),
            summary: Summary::default(),
        };
        let stdin = [PathBuf::from("-")];
        let files = if self.files.is_empty() { &stdin[..] } else { &self.files };
        for path in files {
            let mut print = |_: &mut Pass, chunk: &Chunk| printer.print(chunk);
            let line_bytes_max = config.limits.line_bytes.get();
            match pass_file(path, Constants::default(), clock, line_bytes_max, &mut pass, &mut print) {
                // Whoever read has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                result => result.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?,
            }
        }
        printer.summary.write(&mut io::stderr())?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Clone, Copy)]
enum Layout {
    Wire,
    Pretty { coloured: bool },
}

struct Printer<W> {
    layout: Layout,
    out: W,
    summary: Summary,
}

impl<W: Write> Printer<W> {
    fn print(&mut self, chunk: &Chunk) -> io::Result<()> {
        self.summary.add(chunk);
        for run in &chunk.runs {
            for event in run.texts() {
                match self.layout {
                    Layout::Wire => {
                        self.out.write_all(event)?;
                        self.out.write_all(b"\n")?;
                    }
                    Layout::Pretty { coloured } => pretty::write(&mut self.out, event, coloured)?,
                }
                if chunk.unparsed > 0 && self.summary.first_unparsed.len() < SHOWN_MAX {
                    self.summary.keep_unparsed(event)?;
                }
            }
        }
        self.out.flush()
    }
}
