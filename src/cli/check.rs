//! `hivetail check`: is the configuration sound, and whose key is it?

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use super::complain;
use crate::{
    api_key,
    config::Config,
    deliver::{
        client::{Auth, Client, Settings},
        verdict,
    },
    pipeline,
};

/// Says what the configuration amounts to and, unless `offline`, what Honeycomb says of the key.
pub(super) async fn run(path: &Path, config: &Config, offline: bool) -> anyhow::Result<ExitCode> {
    if let Err(error) = pipeline::book(config) {
        return complain(&error);
    }
    let mut out = io::stdout().lock();
    let plan = config.plan().map_err(|minimum| anyhow::anyhow!("memory_bytes below {minimum}"))?;
    let kib = |bytes: usize| bytes / 1024;
    writeln!(out, "{}: sound", path.display())?;
    writeln!(
        out,
        "  sources: {}; memory: {} KiB fixed, {} KiB for joins, {} KiB in flow",
        config.source.len(),
        kib(plan.fixed_bytes),
        kib(plan.join_bytes),
        kib(plan.flow_bytes)
    )?;
    drop(out);
    if offline {
        return Ok(ExitCode::SUCCESS);
    }
    let api_key =
        match api_key::find(api_key::Environment::of_process(), config.honeycomb.api_key_file.as_deref()) {
            Ok(found) => found.key,
            Err(error) => return complain(&error),
        };
    let client =
        Client::new(&Settings { api_url: config.honeycomb.api_url.0.clone(), api_key, http: config.http() })?;
    let mut out = io::stdout().lock();
    let url = &config.honeycomb.api_url.0;
    match client.auth().await {
        Ok(Ok(auth)) => describe(&mut out, url.as_str(), &auth),
        Ok(Err(reply)) => {
            writeln!(out, "  {url} refuses the key: {}", verdict::described(reply.status, &reply.body))?;
            Ok(ExitCode::from(1))
        }
        Err(error) => {
            writeln!(out, "  {url} can't be asked: {error}")?;
            Ok(ExitCode::from(1))
        }
    }
}

fn describe(out: &mut impl Write, url: &str, auth: &Auth) -> anyhow::Result<ExitCode> {
    let environment = match auth.environment.slug.as_str() {
        "" => "classic, without environments",
        slug => slug,
    };
    let may_send = auth.api_key_access.events.unwrap_or(true);
    let yes = |right: bool| if right { "yes" } else { "no" };
    writeln!(out, "  {url}: team {}, environment {environment}", auth.team.slug)?;
    writeln!(
        out,
        "  the key may send events: {}; create datasets: {}",
        yes(may_send),
        yes(auth.api_key_access.create_datasets)
    )?;
    Ok(if may_send { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
