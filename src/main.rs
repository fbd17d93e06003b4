//! The `hivetail` command: logging, runtime, command line, exit code. All else is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use hivetail::{cli::Cli, telemetry};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(complaint) = telemetry::init(std::env::var("HIVETAIL_LOG").ok().as_deref()) {
        tracing::warn!(complaint, "HIVETAIL_LOG is not understood; allowed: a level, or module=level pairs");
    }
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let result = runtime.block_on(cli.run());
            // A thread may be blocked reading stdin for ever.
            runtime.shutdown_background();
            result
        });
    result.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}
