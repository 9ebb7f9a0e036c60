//! How long an event of a cluster is away: nodes as processes of their own, holds asked all the time at one that does not run
//! the event, and a fault for the one that does.
//!
//! Away is the longest time between two holds that were answered, from just before the fault on; each hold is tried again
//! under its key until it is. The journal is read at the end: stored must be what was acknowledged.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde::Serialize;
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use uuid::Uuid;

use super::{
    sibling::{self, Sibling},
    stage::{self, Lagging, PER_FAN, Stage},
};
use crate::{
    cli::ConfigOptions,
    domain::{
        claims::{Access, AdmissionClaim, Kind},
        id::EventId,
    },
    failure::Failure,
    stores::{ownership::Ownership, wishes::WishStore},
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Which faults.
    #[arg(long, value_delimiter = ',', default_value = "kill,freeze,lease,stop,drain,move")]
    faults: Vec<Fault>,
    /// How often each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT after ten seconds.
    Freeze,
    /// The node's lease is revoked in etcd.
    Lease,
    /// SIGTERM.
    Stop,
    /// An operator drains the node.
    Drain,
    /// An operator moves the event.
    Move,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "killed (SIGKILL)",
            Self::Freeze => "frozen for 10 s",
            Self::Lease => "lease revoked",
            Self::Stop => "told to stop",
            Self::Drain => "drained",
            Self::Move => "event moved",
        })
    }
}

/// What was seen of one fault.
#[derive(Debug, Serialize)]
struct Sight {
    away_ms: f64,
    /// Until the other nodes had no link to it.
    noticed_ms: Option<f64>,
    /// Answers that were no holds, though they were tried again.
    refused: u64,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    faults: BTreeMap<Fault, Vec<Sight>>,
    stored: u64,
    acknowledged: u64,
    oversold: u64,
}

const NODES: [&str; 3] = ["a", "b", "c"];
/// Before a fault, and after the event is back.
const CALM: Duration = Duration::from_millis(1_500);
const FROZEN: Duration = Duration::from_secs(10);
/// For the event to be somewhere else, and answer.
const BACK: Duration = Duration::from_secs(40);
/// Between two holds.
const PACE: Duration = Duration::from_millis(5);
const TOKEN_SECONDS: u64 = 7_200;

pub async fn run(options: Options) -> Result<(), Failure> {
    let stage = Stage::open(&options.config, Lagging::Unlimited).await?;
    let wishes = sibling::wishes(stage.config()).await?;
    // The stage's node asks and is asked: it runs nothing.
    wishes.drain(&stage.config().node).await?;
    let mut scene = Scene::set(&stage, wishes).await?;
    let played = scene.play_all(&options).await;
    let acknowledged = scene.end().await;
    let left = async {
        played.as_ref().map_err(|error| error.to_string())?;
        stage.count_holds(acknowledged.1).await
    }
    .await;
    let swept = stage.leave().await.sweep().await;
    let (stored, oversold) = left?;
    let report = Report { faults: played?, stored, acknowledged: acknowledged.0, oversold };
    report.print(options.json);
    swept?;
    if stored != report.acknowledged || oversold > 0 {
        return Err("the journal does not hold what was acknowledged".into());
    }
    Ok(())
}

struct Scene<'a> {
    stage: &'a Stage,
    wishes: WishStore,
    nodes: Vec<Sibling>,
    event: EventId,
    asking: Asking,
}

impl<'a> Scene<'a> {
    async fn set(stage: &'a Stage, wishes: WishStore) -> Result<Self, Failure> {
        let mut nodes = Vec::new();
        for letter in NODES {
            nodes.push(Sibling::start(stage.config(), letter).await?);
        }
        let event = stage.make_event().await?;
        let until = Instant::now() + BACK;
        let handles = loop {
            match stage.node().app().directory.event(event).await {
                Ok(handles) => break handles,
                Err(error) if Instant::now() > until => return Err(error.into()),
                Err(_) => sleep(PACE).await,
            }
        };
        stage.admit(&handles.inventory, stage.fans()).await?;
        let asking = Asking::start(stage, event)?;
        Ok(Self { stage, wishes, nodes, event, asking })
    }

    async fn play_all(&mut self, options: &Options) -> Result<BTreeMap<Fault, Vec<Sight>>, Failure> {
        let mut seen: BTreeMap<Fault, Vec<Sight>> = BTreeMap::new();
        for run in 1..=options.runs {
            for &fault in &options.faults {
                let sight = self.play(fault).await?;
                eprintln!("{run} of {}: {fault}: away {:.0} ms", options.runs, sight.away_ms);
                seen.entry(fault).or_default().push(sight);
            }
        }
        Ok(seen)
    }

    async fn play(&mut self, fault: Fault) -> Result<Sight, Failure> {
        sleep(CALM).await;
        let victim = self.owner().await?;
        let before = self.asking.told.borrow().clone();
        let began = Instant::now();
        let noticed = self.strike(fault, victim).await?;
        self.until_moved(fault, victim, began).await?;
        let away = self.asking.longest_gap_since(began).await?;
        self.mend(fault, victim, began).await?;
        let after = self.asking.told.borrow().clone();
        Ok(Sight {
            away_ms: away.as_secs_f64() * 1e3,
            noticed_ms: noticed.map(|noticed| noticed.as_secs_f64() * 1e3),
            refused: after.refused - before.refused,
        })
    }

    /// Which of the nodes runs the event.
    async fn owner(&self) -> Result<usize, Failure> {
        let until = Instant::now() + BACK;
        loop {
            let owner = self.ownership().owner(self.event).await?;
            let at = owner.and_then(|owner| self.nodes.iter().position(|node| node.name() == owner.node));
            match at {
                Some(at) => return Ok(at),
                None if Instant::now() > until => return Err("nobody runs the event".into()),
                None => sleep(PACE).await,
            }
        }
    }

    fn ownership(&self) -> &dyn Ownership {
        &*self.stage.node().stores().ownership
    }

    async fn strike(&mut self, fault: Fault, victim: usize) -> Result<Option<Duration>, Failure> {
        let began = Instant::now();
        let links = self.links().await?;
        let next = self.nodes[(victim + 1) % self.nodes.len()].name().to_owned();
        let node = &mut self.nodes[victim];
        match fault {
            Fault::Kill => node.kill().await?,
            Fault::Freeze => node.signal("STOP").await?,
            Fault::Stop => node.stop().await?,
            Fault::Drain => self.wishes.drain(node.name()).await?,
            Fault::Move => self.wishes.pin(self.event, &next).await?,
            Fault::Lease => {
                let name = node.name().to_owned();
                revoke_lease(&self.stage.config().stores.etcd, &name).await?;
            }
        }
        if !matches!(fault, Fault::Kill | Fault::Freeze) {
            return Ok(None);
        }
        while self.links().await? >= links {
            if began.elapsed() > BACK {
                return Err("nobody notices".into());
            }
            sleep(PACE).await;
        }
        Ok(Some(began.elapsed()))
    }

    /// A node that lost its lease may well take the event again.
    async fn until_moved(&self, fault: Fault, victim: usize, began: Instant) -> Result<(), Failure> {
        if fault == Fault::Lease {
            sleep(CALM).await;
        }
        while fault != Fault::Lease && self.owner().await? == victim {
            if began.elapsed() > BACK {
                return Err(format!("{fault}: the event stays where it was").into());
            }
            sleep(PACE).await;
        }
        Ok(())
    }

    async fn mend(&mut self, fault: Fault, victim: usize, began: Instant) -> Result<(), Failure> {
        let node = &mut self.nodes[victim];
        match fault {
            Fault::Kill | Fault::Stop => node.start_again().await?,
            Fault::Freeze => {
                sleep(FROZEN.saturating_sub(began.elapsed())).await;
                node.signal("CONT").await?;
            }
            Fault::Drain => self.wishes.undrain(node.name()).await?,
            Fault::Move | Fault::Lease => {}
        }
        let began = Instant::now();
        while self.links().await? < NODES.len() {
            if began.elapsed() > BACK {
                return Err("the links do not come back".into());
            }
            sleep(PACE).await;
        }
        // Where it is now it stays until the next fault.
        let owner = self.owner().await?;
        Ok(self.wishes.pin(self.event, self.nodes[owner].name()).await?)
    }

    /// To how many nodes the stage's has a link.
    async fn links(&self) -> Result<usize, Failure> {
        let url = format!("http://{}/metrics", self.stage.node().admin_address());
        let text = self.asking.client.get(url).send().await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix("onsale_cluster_links "));
        Ok(line.and_then(|count| count.parse::<f64>().ok()).ok_or("the node counts no links")? as usize)
    }

    /// What was acknowledged, of which event.
    async fn end(self) -> (u64, EventId) {
        let acknowledged = self.asking.stop().await;
        for mut node in self.nodes {
            if let Err(error) = node.stop().await {
                eprintln!("{}: {error}", node.name());
            }
        }
        // Undone, they mean nodes and an event that nobody has any more.
        let _ = self.wishes.unpin(self.event).await;
        let _ = self.wishes.undrain(&self.stage.config().node).await;
        (acknowledged, self.event)
    }
}

/// Holds asked one after the other, each until it is answered.
struct Asking {
    client: reqwest::Client,
    told: watch::Receiver<Told>,
    stop: watch::Sender<bool>,
    work: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Told {
    acknowledged: u64,
    refused: u64,
    /// When holds were answered: the last of them.
    at: Vec<Instant>,
}

impl Asking {
    fn start(stage: &Stage, event: EventId) -> Result<Self, Failure> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let tokens = &stage.node().app().tokens;
        let fans: Vec<(String, String)> = (1..)
            .zip(stage.fans())
            .map(|(n, fan)| {
                let claim = AdmissionClaim { evt: event, plc: stage::place(n) };
                let access = tokens.sign(Kind::Access, *fan, TOKEN_SECONDS, Access { sv: 1 });
                (access, tokens.sign(Kind::Admission, *fan, TOKEN_SECONDS, claim))
            })
            .collect();
        let (sender, told) = watch::channel(Told::default());
        let (stop, stopped) = watch::channel(false);
        let url = format!("http://{}/api/v1/events/{event}/holds", stage.node().address());
        let work = tokio::spawn(ask(client.clone(), url, fans, sender, stopped));
        Ok(Self { client, told, stop, work })
    }

    /// The time between two answers, the longest that touches what came after `since`; waits until it is over.
    async fn longest_gap_since(&self, since: Instant) -> Result<Duration, Failure> {
        let calm = Instant::now() + CALM;
        let mut told = self.told.clone();
        let is_over = |told: &Told| told.at.last().is_some_and(|last| *last > calm);
        let told = tokio::time::timeout(BACK, told.wait_for(is_over)).await;
        let told = told.map_err(|_| "the event does not answer any more")??;
        let gaps = told.at.windows(2).filter(|pair| pair[1] > since);
        Ok(gaps.map(|pair| pair[1] - pair[0]).max().unwrap_or_default())
    }

    async fn stop(self) -> u64 {
        let _ = self.stop.send(true);
        let _ = self.work.await;
        self.told.borrow().acknowledged
    }
}

async fn ask(
    client: reqwest::Client,
    url: String,
    fans: Vec<(String, String)>,
    told: watch::Sender<Told>,
    stopped: watch::Receiver<bool>,
) {
    let body = json!({"items": [{"ticket_type": stage::HOT, "quantity": 1}]});
    for (access, admission) in &fans {
        for _ in 0..PER_FAN {
            let key = Uuid::new_v4().to_string();
            loop {
                let request = client.post(&url).bearer_auth(access).header("Onsale-Admission", admission);
                let status = request.header("Idempotency-Key", &key).json(&body).send().await.map(|a| a.status());
                if status.as_ref().is_ok_and(|status| *status == StatusCode::CREATED) {
                    break;
                }
                told.send_modify(|told| told.refused += 1);
                if *stopped.borrow() {
                    return;
                }
                sleep(PACE).await;
            }
            told.send_modify(|told| {
                told.acknowledged += 1;
                told.at.push(Instant::now());
            });
            if *stopped.borrow() {
                return;
            }
            sleep(PACE).await;
        }
    }
}

async fn revoke_lease(etcd: &[String], node: &str) -> Result<(), Failure> {
    let mut client = etcd_client::Client::connect(etcd, None).await?;
    let found = client.get(format!("onsale/node/{node}"), None).await?;
    let lease = found.kvs().first().ok_or("the node is not registered")?.lease();
    client.lease_revoke(lease).await?;
    Ok(())
}

impl Report {
    fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("plain fields"));
            return;
        }
        println!(
            "{:<18}{:>6}{:>12}{:>12}{:>12}{:>16}{:>10}",
            "node", "runs", "away min s", "median s", "max s", "noticed max s", "refused"
        );
        for (fault, sights) in &self.faults {
            let mut away: Vec<f64> = sights.iter().map(|sight| sight.away_ms / 1e3).collect();
            away.sort_by(f64::total_cmp);
            let noticed = sights.iter().filter_map(|sight| sight.noticed_ms).reduce(f64::max);
            let noticed = noticed.map_or("-".to_owned(), |noticed| format!("{:.2}", noticed / 1e3));
            let refused: u64 = sights.iter().map(|sight| sight.refused).sum();
            let at = |index: usize| away.get(index).copied().unwrap_or_default();
            println!(
                "{fault:<18}{:>6}{:>12.2}{:>12.2}{:>12.2}{noticed:>16}{refused:>10}",
                away.len(),
                at(0),
                at(away.len() / 2),
                at(away.len().saturating_sub(1)),
            );
        }
        println!("stored {}, acknowledged {}, oversold {}", self.stored, self.acknowledged, self.oversold);
    }
}
