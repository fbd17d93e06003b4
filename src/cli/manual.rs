//! `hivetail completions`, the manual page and `hivetail config`: made of the command line's and the configuration's own
//! description.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;

use super::Cli;
use crate::config::reference;

const NAME: &str = "hivetail";

/// What the page says beside what each command's help says.
const EXIT: &str = r".SH EXIT STATUS
0: all is well. 1: something is lost, or left undelivered at the end of input. 2: wrong usage. 78: bad configuration.
.SH FILES
.TP
/etc/hivetail/config.toml
The configuration of \fBrun\fR, \fBcheck\fR, \fBstatus\fR and \fBdead\-letter\fR.
.TP
/var/lib/hivetail
The state directory: checkpoints, spool, dead letters, admin.sock.
.SH ENVIRONMENT
.TP
HONEYCOMB_API_KEY
The key, unless a file or a systemd credential has it.
.TP
HIVETAIL_LOG
The level of the agent's own log: a level, or levels by module as in hivetail=debug,hyper=warn.
";

/// What to tell of the configuration file.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum ConfigAction {
    /// Print its JSON Schema, for editors.
    Schema,
    /// Print the reference of its keys, in Markdown.
    Reference,
}

impl ConfigAction {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let text = match self {
            Self::Schema => reference::schema_text()?,
            Self::Reference => reference::markdown(),
        };
        writeln!(io::stdout(), "{}", text.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints what a shell completes by.
pub(super) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut io::stdout());
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual page, a section for each command.
pub(super) fn page() -> anyhow::Result<ExitCode> {
    let mut out = Vec::new();
    let mut command = Cli::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    for command in
        command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
    {
        out.extend_from_slice(format!(".SH {}\n", command.get_name().to_uppercase()).as_bytes());
        let page = clap_mangen::Man::new(command.clone());
        let mut options = Vec::new();
        page.render_options_section(&mut options)?;
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        out.extend_from_slice(about.as_bytes());
        out.push(b'\n');
        // Its own heading would be one of the page's.
        let options = String::from_utf8_lossy(&options).replace(".SH OPTIONS\n", "");
        out.extend_from_slice(options.as_bytes());
    }
    out.extend_from_slice(EXIT.as_bytes());
    io::stdout().write_all(&out)?;
    Ok(ExitCode::SUCCESS)
}
