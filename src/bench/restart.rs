//! Back after a restart: an event with very many reservations is made through the real commit path, the node is stopped, and
//! a fresh process starts on the same stores.
//!
//! Measured from the start of the process until it says that it is ready, until the event answers a strong read, and the most
//! memory it had by then.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde::Serialize;
use serde_json::Value;
use tokio::process::Child;
use uuid::Uuid;

use super::{
    Common, memory,
    stage::{self, Lagging, Stage},
};
use crate::{
    actors::inventory::{AskError, Handle, recovery},
    cli::child,
    config::Config,
    domain::{
        account::Role,
        claims::{Access, Kind},
        id::{EventId, FanId, OrderRef},
        inventory::request::{Answer, HoldView, Refusal, Want},
    },
    failure::Failure,
    stores,
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Reservations in the event's journal.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    reservations: u32,
    /// How often a process is started and measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Order messages that the broker does not have yet: well below actors.outbox_limit, at which nothing more is sold.
    /// Without it, as many as are left when the node stops.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    unpublished: Option<u32>,
    /// Make no snapshot before the first start, so that one is due then: the most memory that a start can take.
    #[arg(long)]
    snapshot_due: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report {
    stores: String,
    reservations: u32,
    results: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    snapshot_mb: f64,
    segments_mb: f64,
    /// Order messages that were not with the broker yet.
    unpublished: u64,
    /// The node says that it is ready.
    ready_s: f64,
    /// The event has answered a strong read.
    first_read_s: f64,
    /// Most resident memory until then,
    peak_mb: f64,
    /// and until some seconds later, when the node had begun its work.
    peak_later_mb: f64,
}

/// Reservations of one fan.
const EACH: u32 = 2;
const CALLERS: u32 = 1_024;
/// While too many order messages wait for the broker.
const LAGGING: Duration = Duration::from_millis(20);
const SNAPSHOT_AT: &str = "actors.snapshot_tail_bytes";
const TOKEN_SECONDS: u64 = 3_600;
const START: Duration = Duration::from_secs(120);
const LATER: Duration = Duration::from_secs(5);

/// What the fresh process is asked for.
struct Asked {
    event: EventId,
    reference: OrderRef,
    access: String,
}

pub async fn run(options: Options) -> Result<(), Failure> {
    let mut config = options.common.config.clone();
    if options.snapshot_due {
        config.set.push(format!("{SNAPSHOT_AT}={}", i64::MAX));
    }
    let stage = Stage::open(&config, Lagging::AsConfigured).await?;
    let began = Instant::now();
    let asked = fill(&stage, &options).await?;
    eprintln!("{} reservations made in {:.1} s", options.reservations, began.elapsed().as_secs_f64());
    let mut left = stage.leave().await;
    left.config.actors.snapshot_tail_bytes = options.common.config.load()?.actors.snapshot_tail_bytes;
    let measured = measure_all(&left.config, &asked, &options).await;
    let swept = left.sweep().await;
    let results = measured?;
    let stores = left.config.stores.technologies();
    Report { stores, reservations: options.reservations, results }.print(options.common.json);
    swept
}

async fn fill(stage: &Stage, options: &Options) -> Result<Asked, Failure> {
    let reservations = options.reservations;
    let (event, inventory) = match options.unpublished {
        Some(unpublished) => stage.open_inventory(unpublished.into()).await?,
        None => stage.open_event().await?,
    };
    // The first has an account, so it can ask for its hold later; the inventory asks nobody who they are.
    let first = *stage.fans().first().ok_or("the stage has fans")?;
    let others = (1..reservations.div_ceil(EACH)).map(|_| FanId::from_uuid(Uuid::new_v4()));
    let fans: Arc<[FanId]> = std::iter::once(first).chain(others).collect();
    stage.admit(&inventory, &fans).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 1..CALLERS {
        tasks.spawn(reserve(inventory.clone(), fans.clone(), caller, reservations));
    }
    let hold =
        reserve(inventory.clone(), fans.clone(), 0, reservations).await?.ok_or("the first fan holds something")?;
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    if options.unpublished.is_some() {
        // Nobody else ends it.
        inventory.drain().await;
    }
    let access = stage.node().app().tokens.sign(Kind::Access, first, TOKEN_SECONDS, Access::of(1, vec![Role::Fan]));
    Ok(Asked { event, reference: OrderRef { event, order: hold.order }, access })
}

/// Every `CALLERS`-th reservation is this caller's. Gives back the first.
async fn reserve(
    inventory: Handle,
    fans: Arc<[FanId]>,
    caller: u32,
    reservations: u32,
) -> Result<Option<HoldView>, Failure> {
    let mut first = None;
    let want = Want::Quantities(vec![(stage::HOT.parse().expect("a code"), 1)]);
    for n in (caller..reservations).step_by(CALLERS as usize) {
        let at = n / EACH;
        let fan = *fans.get(at as usize).ok_or("as many fans as are needed")?;
        let request = stage::hold(fan, at + 1, want.clone());
        let held = loop {
            match inventory.ask(request.clone()).await {
                Ok(Answer::Held(held)) => break *held,
                Ok(other) => return Err(format!("a hold was answered {other:?}").into()),
                Err(AskError::Refused(Refusal::OrdersLagging) | AskError::Overloaded | AskError::TooLate) => {
                    tokio::time::sleep(LAGGING).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        first.get_or_insert(held);
    }
    Ok(first)
}

async fn measure_all(config: &Config, asked: &Asked, options: &Options) -> Result<Vec<Row>, Failure> {
    let file = config.stores.data_dir.join("bench.toml");
    let mut rows = Vec::new();
    for run in 1..=options.runs {
        eprintln!("start {run} of {} ...", options.runs);
        rows.push(measure(config, &file, asked, options.reservations).await?);
    }
    Ok(rows)
}

async fn measure(config: &Config, file: &Path, asked: &Asked, reservations: u32) -> Result<Row, Failure> {
    let mut row = look_at_journal(config, asked.event).await?;
    let mut config = config.clone();
    config.http.listen = child::free_address(0)?;
    config.http.admin_listen = child::free_address(0)?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{}/api/v1", config.http.listen);

    let began = Instant::now();
    let mut node = child::serve(&config, file)?;
    let ready = client.get(format!("{url}/health/ready"));
    row.ready_s = until_ok(&mut node, began, ready).await?.1;
    let read = client.get(format!("{url}/holds/{}", asked.reference)).bearer_auth(&asked.access);
    let (hold, first_read_s) = until_ok(&mut node, began, read).await?;
    row.first_read_s = first_read_s;
    row.peak_mb = memory::peak_mb(child::id(&node)?)?;
    if hold["state"] != "held" {
        return Err(format!("the hold came back as {hold}").into());
    }
    let availability = client.get(format!("{url}/events/{}/availability", asked.event));
    let (availability, _) = until_ok(&mut node, began, availability).await?;
    if availability["ticket_types"][0]["free"] != u64::from(stage::STOCK - reservations) {
        return Err(format!("after {reservations} reservations the stock is {availability}").into());
    }
    tokio::time::sleep(LATER).await;
    row.peak_later_mb = memory::peak_mb(child::id(&node)?)?;
    child::stop(node).await?;
    Ok(row)
}

/// Asks until the answer is 200; gives its body and when that was.
async fn until_ok(node: &mut Child, began: Instant, request: reqwest::RequestBuilder) -> Result<(Value, f64), Failure> {
    loop {
        let attempt = request.try_clone().ok_or("a request without body can be repeated")?;
        let last = match attempt.send().await {
            Ok(answer) if answer.status() == StatusCode::OK => {
                let at = began.elapsed().as_secs_f64();
                return Ok((answer.json().await?, at));
            }
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        if let Some(status) = node.try_wait()? {
            return Err(format!("the node ended with {status}").into());
        }
        if began.elapsed() > START {
            return Err(format!("the node does not come back: {last}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn look_at_journal(config: &Config, event: EventId) -> Result<Row, Failure> {
    let journal = stores::open_journal(&config.stores).await?;
    let folded = recovery::recover(&*journal, event).await?;
    Ok(Row {
        snapshot_mb: mb(folded.snapshot_bytes),
        segments_mb: mb(folded.tail_bytes),
        unpublished: folded.inventory.unpublished(),
        ready_s: 0.0,
        first_read_s: 0.0,
        peak_mb: 0.0,
        peak_later_mb: 0.0,
    })
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl Report {
    fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("plain fields"));
            return;
        }
        println!("stores: {}; reservations: {}", self.stores, self.reservations);
        println!(
            "{:>12}{:>13}{:>13}{:>9}{:>14}{:>10}{:>15}",
            "snapshot MB", "segments MB", "unpublished", "ready s", "first read s", "peak MB", "peak later MB"
        );
        for row in &self.results {
            println!(
                "{:>12.1}{:>13.1}{:>13}{:>9.2}{:>14.2}{:>10.0}{:>15.0}",
                row.snapshot_mb,
                row.segments_mb,
                row.unpublished,
                row.ready_s,
                row.first_read_s,
                row.peak_mb,
                row.peak_later_mb
            );
        }
    }
}
