//! A whole sale to look at: a node, a thousand simulated fans, and an audit made from the stores.
//!
//! Three processes: this one prepares, watches and audits; `onsale serve` is the node; `onsale fans` plays the fans and uses
//! nothing but the public API.

mod audit;
mod display;
mod drill;
pub mod fans;
mod node;
mod setting;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::interval,
};

use self::{
    audit::Audit,
    display::Display,
    drill::{Drill, Findings},
    fans::{Outcome, REQUESTS, Report, Step},
    node::{Fault, Node, Nodes},
    setting::Setting,
};
use crate::{
    cli::signals::Signals,
    domain::id::{EventId, FanId},
    failure::Failure,
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many fans come.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    fans: u32,
    /// How many tickets there are, general admission and seats together.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(3..=100_000))]
    stock: u32,
    /// What the fans do follows from it; taken from the clock unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// End after the audit instead of staying up.
    #[arg(long)]
    exit: bool,
    /// Print one JSON object on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
    /// Kill the node in the middle of the sale (SIGKILL) and start it again; of several, one after the other.
    #[arg(long)]
    crash: bool,
    /// Restart the node in the middle of the sale (SIGTERM); of several, one after the other.
    #[arg(long, conflicts_with = "crash")]
    roll: bool,
    /// How many nodes there are.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Run on these servers instead of embedded stores (`scripts/demo --real` starts them).
    #[arg(long, value_name = "URLS", requires_all = ["redis", "rabbitmq", "database"])]
    etcd: Option<String>,
    #[arg(long, value_name = "URL", requires = "etcd")]
    redis: Option<String>,
    #[arg(long, value_name = "URL", requires = "etcd")]
    rabbitmq: Option<String>,
    #[arg(long, value_name = "URL", requires = "etcd")]
    database: Option<String>,
    /// A drill instead of a show (`scripts/drill`): every fan orders, 5 % decline to pay, 2 % pay when their hold has lapsed,
    /// of 2 % the payment is told repeatedly; RabbitMQ and PostgreSQL, which `scripts/backends` runs in this directory, are
    /// each killed once and started again. Ends after the audit.
    #[arg(long, value_name = "DIR", requires = "etcd", conflicts_with_all = ["crash", "roll"])]
    drill: Option<PathBuf>,
}

/// Whether it is time for the next fault.
const LOOK: Duration = Duration::from_millis(200);

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    fans: u32,
    admitted: u64,
    holds: u64,
    paid_tickets: u64,
    tickets: u64,
    sold_out_answers: u64,
    oversold: u64,
    overtaken: u64,
    seconds: f64,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    drill: Option<Findings>,
    /// "clean", or what is wrong.
    audit: Verdict,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Verdict {
    Clean(&'static str),
    Wrong(Vec<String>),
}

/// What the fans said, the last word of each and what they were promised.
#[derive(Debug, Default)]
pub struct Said {
    pub outcomes: BTreeMap<FanId, Outcome>,
    pub steps: Vec<Report>,
}

pub async fn run(options: Options) -> Result<(), Failure> {
    raise_descriptor_limit(options.fans, options.nodes)?;
    let mut signals = Signals::listen_with_hangup()?;
    let Played { setting, nodes, event, faults } = tokio::select! {
        played = play(&options) => played?,
        // What was begun ends with it: the processes, then their directory.
        signal = signals.next() => return Err(format!("stopped before the end ({signal})").into()),
    };
    if !options.exit && options.drill.is_none() {
        display::how_to_join(&setting, event, options.stock);
        signals.next().await;
    }
    for node in nodes {
        node.stop().await?;
    }
    if faults == 0 {
        return Ok(());
    }
    Err(format!("the audit found {faults} faults; data and the node's log stay in {}", keep(setting)?.display()).into())
}

fn keep(setting: Arc<Setting>) -> Result<PathBuf, Failure> {
    Ok(Arc::into_inner(setting).ok_or("a node is still being started")?.keep())
}

/// A descriptor for each socket and for each request under way, at each end, and some for the rest.
fn raise_descriptor_limit(fans: u32, nodes: u16) -> Result<(), Failure> {
    let limit = rlimit::increase_nofile_limit(u64::MAX).map_err(|error| format!("descriptor limit: {error}"))?;
    let requests = u64::from(fans).min(REQUESTS as u64 * u64::from(nodes));
    let needed = u64::from(fans) + requests + 1_000;
    if limit < needed {
        return Err(format!(
            "{fans} fans need {needed} file descriptors a process, and the hard limit is {limit}: ask for fewer, or raise it"
        )
        .into());
    }
    Ok(())
}

/// A sale that is over, on nodes that are still up.
struct Played {
    setting: Arc<Setting>,
    nodes: Vec<Node>,
    event: EventId,
    faults: usize,
}

async fn play(options: &Options) -> Result<Played, Failure> {
    let seed = options.seed.unwrap_or_else(|| crate::http::now().0);
    match options.drill {
        Some(_) => display::introduce_drill(options.fans),
        None => display::introduce(),
    }
    if options.nodes > 1 && options.etcd.is_none() {
        return Err("several nodes need servers that they share: scripts/demo --real --nodes N".into());
    }
    let setting = Arc::new(Setting::prepare(options).await?);
    let mut nodes = Nodes::start(&setting).await?;
    let event = setting.open_event(options).await?;
    eprintln!("Seed {seed}. Stores: {}. Public API: {}\n", setting.config().stores.technologies(), setting.urls());

    let started = Instant::now();
    let mut drill = options.drill.clone().map(Drill::new);
    let said = watch(&setting, &mut nodes, event, seed, options, drill.as_mut()).await?;
    let seconds = started.elapsed().as_secs_f64();
    let mut audit = settled_audit(&setting, event, options, &said).await?;
    let drill = match drill {
        Some(drill) => Some(drill.findings(&setting, event, &said, &mut audit.wrong).await?),
        None => None,
    };
    let summary = Summary {
        fans: options.fans,
        admitted: audit.admitted,
        holds: audit.holds,
        paid_tickets: audit.paid_tickets,
        tickets: audit.tickets,
        sold_out_answers: said.outcomes.values().filter(|outcome| **outcome == Outcome::SoldOut).count() as u64,
        oversold: audit.oversold,
        overtaken: audit.overtaken,
        seconds: (seconds * 100.0).round() / 100.0,
        seed,
        drill,
        audit: if audit.wrong.is_empty() { Verdict::Clean("clean") } else { Verdict::Wrong(audit.wrong.clone()) },
    };
    if options.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        display::summary(&summary, &audit, &said);
    }
    Ok(Played { setting, nodes: nodes.all().await?, event, faults: audit.wrong.len() })
}

/// Sends the fans, and shows and keeps what they say until the last one has ended.
async fn watch(
    setting: &Setting,
    nodes: &mut Nodes,
    event: EventId,
    seed: u64,
    options: &Options,
    mut drill: Option<&mut Drill>,
) -> Result<Said, Failure> {
    let mut display = Display::new(options.fans, options.stock);
    let mut fans = node::fans(setting, event, seed, drill.is_some())?;
    let output = fans.stdout.take().ok_or("the fans have no output")?;
    let mut lines = BufReader::new(output).lines();
    let mut said = Said::default();
    let fault = Fault::asked(options);
    let mut victims = (0..setting.nodes()).peekable();
    let mut look = interval(LOOK);
    loop {
        let is_time =
            |victim: &usize| said.outcomes.len() >= options.fans as usize * (victim + 1) / (setting.nodes() + 2);
        if let Some(fault) = fault
            && !nodes.is_busy().await?
            && let Some(victim) = victims.next_if(is_time)
        {
            display.note(&format!("Node n{} is {fault}.", victim + 1));
            nodes.befall(victim, fault);
        }
        if let Some(drill) = drill.as_mut()
            && let Some(what) = drill.look(said.outcomes.len(), options.fans as usize).await?
        {
            display.note(&what);
        }
        let line = tokio::select! {
            line = lines.next_line() => line.map_err(|error| format!("the fans: {error}"))?,
            _ = look.tick() => continue,
        };
        let Some(line) = line else { break };
        let report: Report = serde_json::from_str(&line).map_err(|error| format!("the fans said {line:?}: {error}"))?;
        display.show(&report);
        if let Step::Done(outcome) = &report.step {
            said.outcomes.insert(report.fan, outcome.clone());
        }
        said.steps.push(report);
    }
    let status = fans.wait().await.map_err(|error| format!("the fans: {error}"))?;
    display.finish();
    if !status.success() {
        return Err(format!("the fans ended with {status}").into());
    }
    Ok(said)
}

/// What follows a sale takes a moment: the last holds lapse, the last messages arrive. The audit is made again until it is
/// clean or the time for that is up; only then does it count.
async fn settled_audit(setting: &Setting, event: EventId, options: &Options, said: &Said) -> Result<Audit, Failure> {
    let patience = if options.drill.is_some() { drill::PATIENCE } else { Duration::from_secs(30) };
    let deadline = Instant::now() + patience;
    loop {
        let audit = audit::make(setting, event, options.stock, said).await?;
        if audit.wrong.is_empty() || Instant::now() > deadline {
            return Ok(audit);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
