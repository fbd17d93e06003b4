//! NATS: what a message costs, from a flood as fast as one connection can publish. Needs nats-server; prints figures.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "printing is what a bench does")]
#![expect(
    clippy::disallowed_methods,
    reason = "what is measured runs in other processes, which tell nothing when they are done"
)]

mod sink;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use async_nats::Client;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const MESSAGES: u64 = 500_000;
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let Ok(mut server) = server(dir.path()) else {
        println!("nats                 not measured: nats-server is not installed");
        return Ok(());
    };
    let (mut hive, api_url) = sink::start()?;
    let result = flood(dir.path(), server.id(), &api_url);
    for child in [&mut server, &mut hive] {
        child.kill()?;
        child.wait()?;
    }
    result
}

fn server(dir: &Path) -> std::io::Result<Child> {
    let mut command = Command::new("nats-server");
    command.args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"]).arg(dir);
    command.arg("-l").arg(dir.join("log")).stderr(Stdio::null()).spawn()
}

/// Publishes all messages, and waits until the agent has taken all of them.
fn flood(dir: &Path, server: u32, api_url: &str) -> Outcome<()> {
    let ports = dir.join(format!("nats-server_{server}.ports"));
    let url = until(|| {
        let ports: serde_json::Value = serde_json::from_str(&fs::read_to_string(&ports).ok()?).ok()?;
        Some(ports["nats"][0].as_str()?.to_owned())
    })?;
    let config = dir.join("config.toml");
    fs::write(
        &config,
        format!(
            "[honeycomb]\napi_url = {api_url:?}\n[state]\ndir = {:?}\n[[source]]\ntype = \"nats\"\nurl = {url:?}\n",
            dir.join("state")
        ),
    )?;
    let agent = Path::new(env!("CARGO_BIN_EXE_hivetail"));
    let mut agent = Command::new(agent)
        .args(["run", "-c"])
        .arg(&config)
        .env("HONEYCOMB_API_KEY", "bench")
        .stderr(Stdio::null())
        .spawn()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(async_nats::connect(&url))?;
    let read = || number(dir, "lines_read").unwrap_or(0);
    until(|| {
        runtime.block_on(publish(&client, 1)).ok()?;
        (read() > 0).then_some(())
    })?;
    let (before, cpu_before, start) = (read(), cpu_ms(agent.id())?, Instant::now());
    runtime.block_on(publish(&client, MESSAGES))?;
    let published = start.elapsed();
    let lost = until(|| {
        let lost = number(dir, "nats_messages_lost").unwrap_or(0);
        (read() - before + lost >= MESSAGES).then_some(lost)
    })?;
    let used_ms = cpu_ms(agent.id())? - cpu_before;
    println!(
        "nats published       {:.0}/s, all taken {:.1} s later",
        MESSAGES as f64 / published.as_secs_f64(),
        (start.elapsed() - published).as_secs_f64()
    );
    println!("nats agent CPU       {:.3} µs/message", used_ms as f64 * 1_000.0 / MESSAGES as f64);
    println!("nats lost            {lost}");
    println!("nats peak memory     {} MB", peak_kb(agent.id())? / 1_000);
    agent.kill()?;
    agent.wait()?;
    Ok(())
}

async fn publish(client: &Client, count: u64) -> Outcome<()> {
    for n in 0..count {
        let message = format!(
            "{{\"event\":{{\"provider\":\"app\"}},\"fly\":{{\"app\":{{\"instance\":\"0e286551c30586\",\"name\":\"my-app\"}},\"region\":\"sjc\"}},\
             \"host\":\"0ad1\",\"log\":{{\"level\":\"info\"}},\"message\":\"14:58:44.102 request_id=F9-{n} [info] Sent 200 in 15ms\",\
             \"timestamp\":\"2026-11-22T20:34:37.253080674Z\"}}"
        );
        client.publish("logs.my-app.sjc.0e286551c30586", message.into()).await?;
    }
    client.flush().await?;
    Ok(())
}

/// One of the agent's numbers.
fn number(dir: &Path, name: &str) -> Option<u64> {
    let agent = env!("CARGO_BIN_EXE_hivetail");
    let output =
        Command::new(agent).args(["status", "--json", "--state-dir"]).arg(dir.join("state")).output().ok()?;
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    status["numbers"][name].as_u64()
}

fn cpu_ms(pid: u32) -> Outcome<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no name")?.1.split_whitespace().collect();
    // User and system time, in hundredths of a second.
    Ok((fields[11].parse::<u64>()? + fields[12].parse::<u64>()?) * 10)
}

fn peak_kb(pid: u32) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
    Ok(line.split_whitespace().next().ok_or("no number")?.parse()?)
}

fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Outcome<T> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err("waited too long".into())
}
