//! The whole agent over one million ingress-nginx lines: `run --once`, zstd, to `hive --sink` on this machine.
//!
//! Prints CPU per event (user + system of the agent's process), events/s, peak memory and wire bytes, and in the
//! same run the floor: CPU for reading and splitting that file plus zstd level 1 of the same bodies. Figures on a
//! shared machine are noisy; the ratio to the floor is what to quote.
//!
//! `cargo bench --bench end_to_end -- [LINES]`

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod sink;

use std::{
    fs::{self, File},
    io::{BufWriter, Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use hivetail::{
    ack::{Claim, Ledger},
    batch::{Batch, Batcher, Key, Run},
    budget::{PASS_BYTES, Reservation},
    config::{Source, SourceType},
    dataset::Template,
    deliver::compress::{Compression, Compressor},
    encode::Constants,
    frame::LineBuffer,
    pass::{Moment, Pass, StreamFacts},
    spare::Spares,
};
use hivetail_parsers::Timestamp;
use nix::sys::resource::{UsageWho, getrusage};

const LINES_DEFAULT: u64 = 1_000_000;
const BODY_BYTES_MAX: usize = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lines = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(LINES_DEFAULT);
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("ingress.log");
    write_log(&log, lines)?;
    let file_bytes = fs::metadata(&log)?.len();
    println!("{lines} lines, {} bytes each", file_bytes / lines);

    let (mut hive, url) = sink::start()?;
    let agent = run_agent(dir.path(), &log, &url)?;
    let shipped = agent_summary(&agent.stderr, "accepted").unwrap_or(0);
    hive.kill()?;
    hive.wait()?;
    let per_event = |time: Duration| time.as_secs_f64() * 1e6 / lines as f64;

    let (split, zstd) = floor(&log)?;
    let floor = split + zstd;
    println!("accepted           {shipped}");
    println!("agent CPU          {:.3} µs/event", per_event(agent.cpu));
    println!(
        "floor              {:.3} µs/event (read and split {:.3}, zstd-1 {:.3})",
        per_event(floor),
        per_event(split),
        per_event(zstd)
    );
    println!("agent / floor      {:.2}", agent.cpu.as_secs_f64() / floor.as_secs_f64());
    println!(
        "throughput         {:.0} events/s, {:.0} MB/s of log",
        lines as f64 / agent.wall.as_secs_f64(),
        file_bytes as f64 / 1e6 / agent.wall.as_secs_f64()
    );
    println!("peak memory        {:.1} MB", agent.peak_bytes as f64 / 1e6);
    let wire = agent_summary(&agent.stderr, "wire_bytes").unwrap_or(0);
    println!("wire               {:.1} bytes/event", wire as f64 / lines as f64);
    Ok(())
}

/// Lines as ingress-nginx writes them, all different, the same in every run.
fn write_log(path: &Path, lines: u64) -> std::io::Result<()> {
    const AGENTS: [&str; 4] = [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36",
        "Overcast/3.0 (+http://overcast.fm/; iOS podcast app)",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5",
        "AppleCoreMedia/1.0.0.21F90 (iPhone; U; CPU OS 17_5_1 like Mac OS X; en_us)",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for n in 0..lines {
        let (a, b, c) = (random(), random(), random());
        let status = if a % 50 == 0 { 503 } else { 200 };
        let bytes = b % 100_000;
        let ms = c % 900;
        writeln!(
            out,
            "{}.{}.{}.{} - - [21/Nov/2026:20:{:02}:{:02} +0000] \"GET /podcast/{}/{} HTTP/2.0\" {status} {bytes} \"-\" \
             \"{}\" {} 0.{ms:03} [default-podsite-80] [] 10.0.{}.{}:4000 {bytes} 0.{ms:03} {status} {a:016x}{b:016x}",
            a % 223 + 1,
            b % 256,
            c % 256,
            a % 254 + 1,
            n / 60_000 % 60,
            n / 1000 % 60,
            a % 700,
            b % 5000,
            AGENTS[(c % 4) as usize],
            a % 400 + 100,
            b % 4,
            c % 250,
        )?;
    }
    out.flush()
}

struct AgentRun {
    cpu: Duration,
    wall: Duration,
    peak_bytes: u64,
    stderr: String,
}

/// The agent is the only child that has been waited for, so the children's usage is its own.
fn run_agent(dir: &Path, log: &Path, url: &str) -> Result<AgentRun, Box<dyn std::error::Error>> {
    let config = dir.join("config.toml");
    fs::write(
        &config,
        format!(
            "[honeycomb]\napi_url = \"{url}\"\n[state]\ndir = {:?}\n[[source]]\ntype = \"file\"\npaths = [{:?}]\n\
         service = \"ingress\"\n",
            dir.join("state"),
            log,
        ),
    )?;
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_hivetail"))
        .args(["run", "--once", "-c"])
        .arg(&config)
        .env("HONEYCOMB_API_KEY", "bench")
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = String::new();
    child.stderr.take().ok_or("no stderr")?.read_to_string(&mut stderr)?;
    let status = child.wait()?;
    let wall = start.elapsed();
    if !status.success() {
        return Err(format!("the agent failed: {stderr}").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let peak_bytes = u64::try_from(usage.max_rss())? * 1024;
    Ok(AgentRun { cpu: cpu(UsageWho::RUSAGE_CHILDREN)?, wall, peak_bytes, stderr })
}

fn agent_summary(stderr: &str, key: &str) -> Option<u64> {
    let summary = stderr.lines().rev().find(|line| line.contains("\"summary\""))?;
    serde_json::from_str::<serde_json::Value>(summary).ok()?[key].as_u64()
}

fn cpu(who: UsageWho) -> Result<Duration, Box<dyn std::error::Error>> {
    let usage = getrusage(who)?;
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_micros((value.tv_sec() * 1_000_000 + value.tv_usec()).unsigned_abs())
    };
    Ok(time(usage.user_time()) + time(usage.system_time()))
}

/// CPU for reading and splitting the file, and for compressing the bodies that it becomes.
fn floor(log: &Path) -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let before = cpu(UsageWho::RUSAGE_THREAD)?;
    let mut file = File::open(log)?;
    let mut piece = vec![0; 256 * 1024];
    let mut newlines = 0;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        newlines += memchr::memchr_iter(b'\n', &piece[..read]).count();
    }
    let split = cpu(UsageWho::RUSAGE_THREAD)? - before;
    assert!(std::hint::black_box(newlines) > 0);

    let mut compressor = Compressor::new(Compression::Zstd)?;
    let mut zstd = Duration::ZERO;
    for_each_body(log, |batch| {
        let before = cpu(UsageWho::RUSAGE_THREAD).unwrap_or_default();
        std::hint::black_box(compressor.compress(&batch.body).map(|body| body.len()).unwrap_or_default());
        zstd += cpu(UsageWho::RUSAGE_THREAD).unwrap_or_default() - before;
    })?;
    Ok((split, zstd))
}

fn for_each_body(log: &Path, mut each: impl FnMut(Batch)) -> Result<(), Box<dyn std::error::Error>> {
    let mut source = Source::new(SourceType::File);
    source.service = Some("ingress".to_owned());
    let mut pass = Pass::new(
        &source,
        &Template::field("service.name"),
        Arc::default(),
        Spares::default(),
        0,
        &Arc::default(),
    );
    let mut constants = Constants::default();
    constants.push("service.name", "ingress");
    constants.push("log.file.path", &log.to_string_lossy());
    constants.push("log.file.id", "0123456789abcdef");
    let facts = StreamFacts { tells_offset: true, ..StreamFacts::new(constants) };
    let mut buffer = LineBuffer::new(1 << 20);
    let mut batcher = Batcher::new(BODY_BYTES_MAX, Spares::default());
    let mut ledger = Ledger::default();
    let stream = ledger.open_stream(hivetail::ack::End::default());
    let mut file = File::open(log)?;
    while buffer.fill(|room, _| file.read(room))? > 0 {
        while buffer.has_line() {
            let chunk = pass.run(buffer.lines(), &facts, Moment::at(Timestamp::from_ns(0)), PASS_BYTES);
            buffer.take(chunk.end);
            let span = ledger.open_span(stream, chunk.end, chunk.passed, &chunk.held);
            for run in chunk.runs {
                let key = Key { dataset: run.dataset, replayable: true };
                let claims = run.claims.into_iter().map(|claim| Claim { span, ..claim }).collect();
                let (events, ends, reservation) = (run.events, run.ends, Reservation::default());
                let run = Run { key, events, ends, claims, reservation };
                batcher.add(run, tokio::time::Instant::now(), &mut each);
            }
        }
    }
    batcher.seal_all(each);
    Ok(())
}
