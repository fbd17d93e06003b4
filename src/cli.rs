//! The command line, which others script against.
//!
//! Takes arguments, gives an exit code: 0 when all is well, 1 when something was left undelivered or refused, 2
//! for wrong usage, 78 for bad configuration (`sysexits.h`, `EX_CONFIG`).

mod check;
mod dead_letter;
mod explain;
mod manual;
mod parse;
mod pretty;
mod reading;
mod run;
mod status;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use hivetail_parsers::{ElixirFormat, Format, LogFormat, envelope::Envelope};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toml::Spanned;

use crate::{
    api_key,
    checkpoint::StoreError,
    config::{
        ApiUrl, Config, ConfigError, Dataset, EnvelopeName, FormatName, LoggerPattern, NginxLogFormat,
        Source, SourceType, WhenFull,
    },
    dead_letter::folder as dead_letter_folder,
    deliver::client::ClientError,
    nginx_conf,
    pipeline::{self, Job, Report, StartError},
    shutdown, source, spool,
};

const EX_CONFIG: u8 = 78;

/// A structured log shipping agent: logs in, wide events at Honeycomb, nothing lost.
#[derive(Debug, Parser)]
#[command(name = "hivetail", version = crate::VERSION, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Follow the files and pipes that the configuration names, and ship them.
    Run {
        /// The configuration file.
        #[arg(short, long, default_value = "/etc/hivetail/config.toml")]
        config: PathBuf,
        /// Ship what is there, then exit.
        #[arg(long)]
        once: bool,
    },
    /// Ship standard input, without any file: `fly logs | hivetail pipe`.
    Pipe(PipeArgs),
    /// Print the events that would be shipped, one JSON object a line.
    Parse(parse::ParseArgs),
    /// Say what the rules of the configuration do to a log: what is dropped, sampled and redacted, and what that comes to.
    Explain(explain::ExplainArgs),
    /// Validate the configuration and ask Honeycomb whose key it is.
    Check {
        /// The configuration file.
        #[arg(short, long, default_value = "/etc/hivetail/config.toml")]
        config: PathBuf,
        /// Ask nobody.
        #[arg(long)]
        offline: bool,
    },
    /// How the running agent fares.
    Status {
        /// The configuration file.
        #[arg(short, long, default_value = "/etc/hivetail/config.toml")]
        config: PathBuf,
        /// The agent's state directory, instead of the configuration file's: a pipe's, say.
        #[arg(long)]
        state_dir: Option<PathBuf>,
        /// Print all numbers as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print what makes a shell complete this command: `hivetail completions bash`.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff.
    #[command(hide = true)]
    Man,
    /// What the configuration file may hold.
    Config {
        #[command(subcommand)]
        action: manual::ConfigAction,
    },
    /// See what Honeycomb refused for good, or send it again.
    DeadLetter {
        /// The configuration file.
        #[arg(short, long, default_value = "/etc/hivetail/config.toml", global = true)]
        config: PathBuf,
        #[command(subcommand)]
        action: dead_letter::Action,
    },
}

#[derive(Debug, Args)]
struct PipeArgs {
    #[command(flatten)]
    shape: Shape,
    /// The dataset, or a template such as `{fly.region}` for one.
    #[arg(long)]
    dataset: Option<String>,
    /// Becomes the field `service.name`, and the dataset unless one is given.
    #[arg(long)]
    service: Option<String>,
    /// Where the API is: Honeycomb's EU host, Refinery, or hive.
    #[arg(long)]
    api_url: Option<String>,
    /// Where lines are kept that can't be delivered at the moment; by default a folder below `~/.local/state/hivetail`.
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// What is done when there is no more room for them: have the writer wait, or drop the oldest.
    #[arg(long, default_value = "block")]
    when_full: WhenFull,
}

/// What the lines are.
#[derive(Debug, Args)]
struct Shape {
    /// The lines' format; the name of an envelope means that envelope with `auto` inside.
    #[arg(long, default_value = "auto", value_parser = format_or_envelope)]
    format: FormatOrEnvelope,
    /// What a platform put round each line.
    #[arg(long, value_parser = envelope)]
    envelope: Option<Envelope>,
    /// What an nginx access line consists of, as in nginx's `log_format`; means `--format nginx`.
    #[arg(long, value_parser = LogFormat::parse)]
    log_format: Option<LogFormat>,
    /// What an Elixir Logger line consists of, as in Logger's `format:`; means `--format phoenix`.
    #[arg(long, value_parser = ElixirFormat::parse, conflicts_with = "log_format")]
    elixir_format: Option<ElixirFormat>,
}

#[derive(Clone, Copy, Debug)]
enum FormatOrEnvelope {
    Format(Format),
    Envelope(Envelope),
}

fn format_or_envelope(name: &str) -> Result<FormatOrEnvelope, String> {
    let format = Format::from_name(name).map(FormatOrEnvelope::Format);
    let envelope = || Envelope::from_name(name).filter(|envelope| *envelope != Envelope::None);
    format
        .or_else(|| envelope().map(FormatOrEnvelope::Envelope))
        .ok_or_else(|| format!("allowed: {}; or an envelope: {}", FormatName::all(), EnvelopeName::all()))
}

fn envelope(name: &str) -> Result<Envelope, String> {
    Envelope::from_name(name).ok_or_else(|| format!("allowed: {}", EnvelopeName::all()))
}

impl Shape {
    fn source(&self) -> Source {
        let (format, implied) = match self.format {
            FormatOrEnvelope::Format(format) => (format, Envelope::None),
            FormatOrEnvelope::Envelope(envelope) => (Format::Auto, envelope),
        };
        let mut source = Source::new(SourceType::Stdin);
        source.format = FormatName(match (&self.log_format, &self.elixir_format) {
            (Some(_), _) => Format::Nginx,
            (None, Some(_)) => Format::Phoenix,
            (None, None) => format,
        });
        source.elixir_format = self.elixir_format.clone().map(LoggerPattern);
        source.log_format = self.log_format.clone().map(NginxLogFormat);
        source.envelope = EnvelopeName(self.envelope.unwrap_or(implied));
        source
    }
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// What stood in the way, for people.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run { config, once } => run::run(&config, once).await,
            Command::Pipe(pipe) => match pipe.config() {
                Ok(config) => pipe.ship(config).await,
                Err(error) => {
                    say(&format!("hivetail pipe: {error}"))?;
                    Ok(ExitCode::from(2))
                }
            },
            Command::Parse(parse) => parse.run(),
            Command::Explain(explain) => explain.run(),
            Command::DeadLetter { config, action } => action.run(&config),
            Command::Completions { shell } => manual::completions(shell),
            Command::Man => manual::page(),
            Command::Config { action } => action.run(),
            Command::Status { state_dir: Some(dir), json, .. } => status::run(&dir, json).await,
            Command::Status { config, state_dir: None, json } => match load(&config) {
                Ok(config) => status::run(&config.state.dir, json).await,
                Err(error) => complain(&error),
            },
            Command::Check { config, offline } => match load(&config) {
                Ok(loaded) => check::run(&config, &loaded, offline).await,
                Err(error) => complain(&error),
            },
        }
    }
}

impl PipeArgs {
    fn config(&self) -> Result<Config, String> {
        let mut config = Config::default();
        if let Some(url) = &self.api_url {
            let url = ApiUrl::try_from(url.clone()).map_err(|error| format!("--api-url {url}: {error}"))?;
            config.honeycomb.api_url = url;
        }
        let mut source = self.shape.source();
        source.service.clone_from(&self.service);
        if let Some(dataset) = &self.dataset {
            let template = Dataset::try_from(dataset.clone());
            source.dataset = Some(template.map_err(|error| format!("--dataset {dataset}: {error}"))?);
        }
        config.source.push(Spanned::new(0..0, source));
        config.spool.when_full = self.when_full;
        Ok(config)
    }

    /// Ships with the first state directory that no other pipe has; if there can be none, without.
    async fn ship(&self, mut config: Config) -> anyhow::Result<ExitCode> {
        let kind = Kind { once: true, keeps_state: true, is_pipe: true };
        if let Some(base) = self.state_base(&config) {
            for number in 1..=PIPES_MAX {
                let suffix = if number == 1 { String::new() } else { format!("-{number}") };
                config.state.dir = PathBuf::from(format!("{}{suffix}", base.display()));
                let shipped = ship(config.clone(), kind).await;
                let Err(error) = shipped else { return shipped };
                match error.downcast_ref() {
                    Some(StartError::State(StoreError::Taken { .. })) => {}
                    Some(StartError::State(StoreError::Unusable { .. })) => {
                        tracing::warn!(
                            %error, "what can't be delivered before the end is lost (set --state-dir)"
                        );
                        break;
                    }
                    _ => return Err(error),
                }
            }
        }
        ship(config, Kind { keeps_state: false, ..kind }).await
    }

    /// The state directory of pipes to that URL and dataset.
    fn state_base(&self, config: &Config) -> Option<PathBuf> {
        if let Some(dir) = &self.state_dir {
            return Some(dir.clone());
        }
        let dataset = self.dataset.as_deref().or(self.service.as_deref()).unwrap_or_default();
        let hash = crc32fast::hash(format!("{}\n{dataset}", config.honeycomb.api_url.0).as_bytes());
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = var("XDG_STATE_HOME").or_else(|| var("HOME").map(|home| home.join(".local/state")));
        if state.is_none() {
            tracing::warn!(
                "neither HOME nor XDG_STATE_HOME is set: what can't be delivered before the end is lost (set --state-dir)"
            );
        }
        Some(state?.join("hivetail/pipe").join(format!("{hash:08x}")))
    }
}

/// How many pipes of the same kind run at once, at most.
const PIPES_MAX: usize = 99;

/// What is to be shipped how.
#[derive(Clone, Copy, Debug)]
struct Kind {
    once: bool,
    keeps_state: bool,
    is_pipe: bool,
}

/// The configuration file, and the nginx configurations that it names.
fn load(path: &Path) -> Result<Config, ConfigError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(&file, &error))?;
    let mut config = Config::parse(&file, &text)?;
    for named in config.named_log_formats() {
        let found = nginx_conf::log_format(named.file, named.name);
        let failed = |error: nginx_conf::NginxConfError| {
            ConfigError::at(&file, &text, named.start, &named.key, &error.to_string())
        };
        *named.format = Some(NginxLogFormat(found.map_err(failed)?));
    }
    Ok(config)
}

async fn ship(config: Config, kind: Kind) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    shutdown::listen(stop.clone())?;
    let Some(job) = job(config, kind)? else { return Ok(ExitCode::from(EX_CONFIG)) };
    run_job(job, &stop).await
}

/// What is to be done; `None` if there is no key, which has been said.
fn job(config: Config, kind: Kind) -> anyhow::Result<Option<Job>> {
    let Kind { once, keeps_state, is_pipe } = kind;
    let environment = api_key::Environment::of_process();
    match api_key::find(environment, config.honeycomb.api_key_file.as_deref()) {
        Ok(api_key) => Ok(Some(Job { config, api_key, once, keeps_state, adopts: is_pipe })),
        Err(error) => complain(&error).map(|_| None),
    }
}

async fn run_job(job: Job, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    let dir = job.config.state.dir.clone();
    source::file::raise_limit();
    // Only `hivetail run` has another one.
    let (_, changes) = mpsc::channel(1);
    match pipeline::run(job, stop.clone(), changes).await {
        Ok(report) => Ok(verdict(&report, stop.is_cancelled(), &dir)),
        Err(error) => cant_start(error),
    }
}

/// Says why nothing was begun: bad configuration, or something that may be different at another time.
fn cant_start(error: StartError) -> anyhow::Result<ExitCode> {
    match error {
        StartError::Nats(_) | StartError::Client(ClientError::Key | ClientError::CaFile { .. }) => {
            complain(&error)
        }
        error => Err(error.into()),
    }
}

/// The exit code tells the truth: 0 only if nothing is lost, and, when the input had an end, nothing is left.
fn verdict(report: &Report, stopped: bool, state_dir: &Path) -> ExitCode {
    let counts = &report.counts;
    if counts.dead_lettered > 0 {
        tracing::warn!(
            lines = counts.dead_lettered,
            dir = %dead_letter_folder(state_dir).display(),
            "lines refused for good: kept as dead letters"
        );
    }
    if report.in_spool > 0 {
        tracing::warn!(
            lines = report.in_spool, dir = %spool::folder(state_dir).display(),
            "lines not delivered yet are in the spool; the next start sends them"
        );
    }
    if counts.spool_dropped > 0 {
        tracing::error!(
            lines = counts.spool_dropped,
            "lines lost: the spool was full, and they were the oldest"
        );
    }
    if counts.shutdown > 0 {
        tracing::error!(
            lines = counts.shutdown,
            "lines lost: their input can't be read again and could not be delivered in time"
        );
    }
    if report.unreachable > 0 {
        tracing::error!(
            lines = report.unreachable,
            "lines lost: their file is gone, or they came through a pipe, and they could not be delivered or kept in time"
        );
    }
    if report.spool_damaged > 0 {
        tracing::error!(
            batches = report.spool_damaged, dir = %spool::folder(state_dir).display(),
            "batches lost: they were damaged in the spool, and are set aside there"
        );
    }
    if counts.open > report.unreachable {
        tracing::warn!(
            lines = counts.open - report.unreachable,
            "lines not delivered yet; the next start reads them again from the checkpoint"
        );
    }
    let lost = counts.shutdown + counts.refused + counts.spool_dropped + report.unreachable > 0;
    let left = counts.open + counts.dead_lettered + report.in_spool > 0;
    if report.failed || lost || report.spool_damaged > 0 || (left && !stopped) {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}

/// Bad configuration: said plainly, since logging may not be what the reader looks at.
fn complain(error: &dyn std::error::Error) -> anyhow::Result<ExitCode> {
    say(&format!("hivetail: {error}"))?;
    Ok(ExitCode::from(EX_CONFIG))
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{text}")
}
