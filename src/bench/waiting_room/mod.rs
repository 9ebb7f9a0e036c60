//! Very many sockets in one queue that moves each second: how fast all are told their positions, and what a socket costs.
//!
//! Beside it the usual way to do the same: a stream of server-sent events for each fan, with a question to Redis a second.

mod crowd;
mod rival;
mod waves;

use std::{
    io::{BufWriter, Write},
    path::Path,
    process::Stdio,
    time::Duration,
};

use serde::Serialize;
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

use self::{crowd::Way, waves::Waves};
pub use self::{
    crowd::{Options as CrowdOptions, run as crowd},
    rival::{Options as RivalOptions, run as rival},
};
use super::{
    Common, memory,
    sibling::{self, Sibling},
    stage::{self, Lagging, Stage},
};
use crate::{
    cli::child,
    domain::{
        account::Role,
        claims::{Access, Kind},
        id::{EventId, FanId},
        inventory::configuration::{Configuration, QueueSettings},
    },
    failure::Failure,
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Sockets of each node; a process here may have 20,000 descriptors or fewer.
    #[arg(long, default_value_t = 19_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sockets: u32,
    /// Nodes that share the event; more than one need servers that they share.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    nodes: u32,
    /// Seconds of the measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Leave out the usual way, which needs --redis.
    #[arg(long)]
    alone: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report {
    stores: String,
    nodes: u32,
    results: Vec<Row>,
}

/// Of all nodes together, unless said.
#[derive(Debug, Serialize)]
struct Row {
    way: Way,
    sockets: u32,
    opened_per_s: f64,
    messages_per_s: f64,
    bytes_per_message: f64,
    /// From the first position of a sweep that is written until the last one is received; median of all nodes' sweeps.
    sweep_ms: f64,
    sweep_worst_ms: f64,
    /// From the first position of a sweep until one's own is received, of all sweeps and nodes.
    delay_p50_ms: f64,
    delay_p99_ms: f64,
    /// Of one core, the servers' together.
    cpu_percent: f64,
    /// User memory of the servers.
    resident_kb_per_socket: f64,
    /// The kernel's, of both ends of the connection.
    kernel_kb_per_socket: f64,
}

/// Tokens outlive the longest run.
const TOKEN_SECONDS: u64 = 3_600;
/// Two fans a second go: everybody else moves up with each publication.
const RATE_PER_MINUTE: u32 = 120;

pub async fn run(options: Options) -> Result<(), Failure> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    if limit < u64::from(options.sockets) + 500 {
        return Err(format!(
            "{} sockets need more than the {limit} file descriptors that are allowed",
            options.sockets
        )
        .into());
    }
    let mut config = options.common.config.clone();
    config.set.push(format!("http.max_connections={}", options.sockets + 1_000));
    config.set.push("actors.queue_front=100000000".into());
    let stage = Stage::open(&config, Lagging::AsConfigured).await?;
    let mut siblings = Vec::new();
    let ours = ours(&stage, &mut siblings, &options).await;
    sibling::stop_all(siblings).await;
    let rivals = match &ours {
        Ok(_) if !options.alone && !stage.config().stores.redis.is_empty() => Some(rivals(&stage, &options).await),
        _ => None,
    };
    let left = stage.leave().await;
    let swept = left.sweep().await;
    let mut results = vec![ours?];
    results.extend(rivals.transpose()?);
    let report = Report { stores: left.config.stores.technologies(), nodes: options.nodes, results };
    report.print(options.common.json);
    swept
}

async fn ours(stage: &Stage, siblings: &mut Vec<Sibling>, options: &Options) -> Result<Row, Failure> {
    let settings = QueueSettings { rate_per_minute: RATE_PER_MINUTE, ..stage::configuration().queue };
    let event = stage.make_event_with(Configuration { queue: settings, ..stage::configuration() }).await?;
    stage.node().directory().activate(event).await?;
    let mut servers = vec![Server { process: std::process::id(), address: stage.node().address().to_string() }];
    if options.nodes > 1 {
        sibling::wishes(stage.config()).await?;
    }
    for number in 1..options.nodes {
        let sibling = Sibling::start(stage.config(), &format!("w{number}")).await?;
        sibling.reaches(event).await?;
        servers.push(Server { process: sibling.process()?, address: sibling.address().to_owned() });
        siblings.push(sibling);
    }
    let path = format!("/api/v1/events/{event}/queue/socket");
    let tokens = |count| tokens(stage, count);
    measure(Way::Sweep, &servers, &path, tokens, options).await
}

/// As many accounts as sockets. Nobody looks them up: a signed token of a session that has not ended is enough to join.
fn tokens(stage: &Stage, count: u32) -> Result<NamedTempFile, Failure> {
    let file = NamedTempFile::with_prefix("onsale-bench-fans-")?;
    let mut lines = BufWriter::new(&file);
    for _ in 0..count {
        let access = Access::of(1, vec![Role::Fan]);
        let fan = FanId::random(rand::random());
        writeln!(lines, "{}", stage.node().app().tokens.sign(Kind::Access, fan, TOKEN_SECONDS, access))?;
    }
    lines.flush()?;
    drop(lines);
    Ok(file)
}

async fn rivals(stage: &Stage, options: &Options) -> Result<Row, Failure> {
    let key = format!("onsale-bench:{}", EventId::from_uuid(uuid::Uuid::now_v7()));
    let redis = &stage.config().stores.redis;
    let mut children = Vec::new();
    let mut servers = Vec::new();
    for number in 0..options.nodes {
        let arguments = ["--redis", redis, "--key", &key];
        let fans = (number * options.sockets).to_string();
        let more = ["--first", &fans, "--fans", &options.sockets.to_string()];
        let (server, mut lines) = speak(child::itself()?.args(["bench", "rival"]).args(arguments).args(more))?;
        let address = lines.next_line().await?.ok_or("the other server did not start")?;
        servers.push(Server { process: child::id(&server)?, address });
        children.push((server, lines));
    }
    let numbers = |count: u32| {
        let file = NamedTempFile::with_prefix("onsale-bench-fans-")?;
        let lines: String = (0..count).map(|number| format!("{number}\n")).collect();
        std::fs::write(file.path(), lines)?;
        Ok(file)
    };
    let measured = measure(Way::Asking, &servers, "/stream", numbers, options).await;
    drop(children);
    measured
}

struct Server {
    process: u32,
    address: String,
}

async fn measure(
    way: Way,
    servers: &[Server],
    path: &str,
    tokens: impl Fn(u32) -> Result<NamedTempFile, Failure>,
    options: &Options,
) -> Result<Row, Failure> {
    let resident = |server: &Server| memory::resident_mb(server.process);
    let before = servers.iter().map(resident).collect::<Result<Vec<_>, _>>()?;
    let (kernel_before, mut crowds, mut opened) = (memory::kernel_mb()?, Vec::new(), 0.0);
    let all = f64::from(options.sockets) * servers.len() as f64;
    eprintln!("{way:?}: opening {all} sockets ...");
    for server in servers {
        let file = tokens(options.sockets)?;
        let mut crowd = Crowd::start(way, &server.address, path, file.path(), options.seconds)?;
        opened += crowd.is_here().await?;
        crowds.push((crowd, file));
    }
    eprintln!("  listening for {} s ...", options.seconds);
    let cpu_before = cpu(servers)?;
    let began = std::time::Instant::now();
    for (crowd, _) in &mut crowds {
        crowd.go();
    }
    tokio::time::sleep(Duration::from_secs(u64::from(options.seconds))).await;
    let cpu_seconds = (cpu(servers)? - cpu_before).as_secs_f64() / began.elapsed().as_secs_f64();
    let after = servers.iter().map(resident).collect::<Result<Vec<_>, _>>()?;
    let kernel = memory::kernel_mb()? - kernel_before;
    let mut waves = Waves::default();
    for (crowd, _) in crowds {
        waves.add(crowd.outcome().await?);
    }
    let grown: f64 = after.iter().zip(&before).map(|(after, before)| after - before).sum();
    Ok(Row {
        way,
        sockets: options.sockets * options.nodes,
        opened_per_s: all / opened,
        messages_per_s: waves.messages as f64 / f64::from(options.seconds),
        bytes_per_message: waves.bytes as f64 / waves.messages.max(1) as f64,
        sweep_ms: waves.sweep_ms(),
        sweep_worst_ms: waves.worst_ms(),
        delay_p50_ms: waves.delay_ms(0.5),
        delay_p99_ms: waves.delay_ms(0.99),
        cpu_percent: cpu_seconds * 100.0,
        resident_kb_per_socket: grown * 1_000.0 / all,
        kernel_kb_per_socket: kernel * 1_000.0 / all,
    })
}

fn cpu(servers: &[Server]) -> Result<Duration, Failure> {
    servers.iter().map(|server| memory::cpu_time(server.process)).sum()
}

/// The sockets' other ends, in a process of their own.
struct Crowd {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Crowd {
    fn start(way: Way, address: &str, path: &str, tokens: &Path, seconds: u32) -> Result<Self, Failure> {
        let mut command = child::itself()?;
        command.args(["bench", "crowd", "--address", address, "--path", path, "--way", way.name()]);
        command.args(["--seconds", &seconds.to_string(), "--tokens"]).arg(tokens).stdin(Stdio::piped());
        let (child, lines) = speak(&mut command)?;
        Ok(Self { child, lines })
    }

    /// When every socket has its first message; the seconds that took.
    async fn is_here(&mut self) -> Result<f64, Failure> {
        let line = self.lines.next_line().await?.ok_or("the crowd did not come")?;
        Ok(line.parse().map_err(|_| format!("the crowd: {line}"))?)
    }

    fn go(&mut self) {
        // The end of its input.
        drop(self.child.stdin.take());
    }

    async fn outcome(mut self) -> Result<crowd::Outcome, Failure> {
        let line = self.lines.next_line().await?.ok_or("the crowd ended without an outcome")?;
        let outcome = serde_json::from_str(&line)?;
        self.child.wait().await?;
        Ok(outcome)
    }
}

fn speak(command: &mut tokio::process::Command) -> Result<(Child, Lines<BufReader<ChildStdout>>), Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or("no output")?;
    Ok((child, BufReader::new(stdout).lines()))
}

impl Report {
    fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("plain fields"));
            return;
        }
        println!("{}; {} node(s); each socket a position of its own each second", self.stores, self.nodes);
        println!(
            "{:>7} {:>8} {:>8} {:>9} {:>6} {:>9} {:>9} {:>8} {:>8} {:>6} {:>10} {:>10}",
            "way",
            "sockets",
            "opened/s",
            "told/s",
            "bytes",
            "sweep ms",
            "worst ms",
            "p50 ms",
            "p99 ms",
            "CPU %",
            "user kB",
            "kernel kB"
        );
        for row in &self.results {
            println!(
                "{:>7} {:>8} {:>8.0} {:>9.0} {:>6.0} {:>9.0} {:>9.0} {:>8.0} {:>8.0} {:>6.0} {:>10.1} {:>10.1}",
                row.way.name(),
                row.sockets,
                row.opened_per_s,
                row.messages_per_s,
                row.bytes_per_message,
                row.sweep_ms,
                row.sweep_worst_ms,
                row.delay_p50_ms,
                row.delay_p99_ms,
                row.cpu_percent,
                row.resident_kb_per_socket,
                row.kernel_kb_per_socket,
            );
        }
    }
}
