//! How long an event of a cluster is away: nodes as processes of their own, holds asked all the time at one that does not run
//! the event, and a fault for the one that does.
//!
//! Away is the longest time between two holds that were answered, from just before the fault on; each hold is tried again
//! under its key until it is. The journal is read at the end: stored must be what was acknowledged.

mod fault;
mod report;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::ValueEnum as _;
use tokio::time::sleep;

use self::{
    fault::Fault,
    report::{Report, Sight},
};
use super::{
    Common,
    asking::{Asking, BACK, CALM},
    members::{Member, Members},
    sibling::{self, Sibling},
    stage::{Lagging, Stage},
};
use crate::{
    domain::id::EventId,
    failure::Failure,
    stores::{ownership::Ownership, wishes::WishStore},
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Which faults. Without it all, those of etcd's leader with --servers only.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Where `scripts/backends up --etcd 3` keeps the servers.
    #[arg(long)]
    servers: Option<PathBuf>,
    /// How often each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    #[command(flatten)]
    common: Common,
}

const FROZEN: Duration = Duration::from_secs(10);
/// Between two holds.
const PACE: Duration = Duration::from_millis(5);

pub async fn run(options: Options) -> Result<(), Failure> {
    let mut options = options;
    if options.faults.is_empty() {
        let possible = |fault: &&Fault| options.servers.is_some() || !fault.is_of_the_leader();
        options.faults = Fault::value_variants().iter().filter(possible).copied().collect();
    }
    if options.servers.is_none() && options.faults.iter().any(|fault| fault.is_of_the_leader()) {
        return Err("faults of etcd's leader need --servers".into());
    }
    let stage = Stage::open(&options.common.config, Lagging::Unlimited).await?;
    let wishes = sibling::wishes(stage.config()).await?;
    // The stage's node asks and is asked: it runs nothing.
    wishes.drain(&stage.config().node).await?;
    let mut scene = Scene::set(&stage, wishes, options.servers.clone()).await?;
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
    report.print(options.common.json);
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
    members: Option<Members>,
    event: EventId,
    asking: Asking,
}

impl<'a> Scene<'a> {
    async fn set(stage: &'a Stage, wishes: WishStore, servers: Option<PathBuf>) -> Result<Self, Failure> {
        let mut nodes = Vec::new();
        sibling::start_three(stage.config(), &mut nodes).await?;
        let (event, handles) = stage.begin_elsewhere().await?;
        stage.admit(&handles.inventory, stage.fans()).await?;
        let asking = Asking::start(stage, event, 0..stage.fans().len(), PACE)?;
        let endpoints = stage.config().stores.etcd.clone();
        let members = servers.map(|directory| Members { directory, endpoints });
        Ok(Self { stage, wishes, nodes, members, event, asking })
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
        let refused_before = self.asking.told.borrow().refused;
        let leader = match &self.members {
            Some(members) if fault.is_of_the_leader() => Some(members.leader().await?),
            _ => None,
        };
        let began = Instant::now();
        if let Some(leader) = &leader {
            leader.signal(if fault == Fault::FreezeLeader { "STOP" } else { "KILL" }).await?;
        }
        let noticed = self.strike(fault, victim).await?;
        self.until_moved(fault, victim, began).await?;
        let away = self.asking.longest_gap_since(began).await?;
        if let Some(leader) = &leader {
            bring_back(leader, fault, began).await?;
        }
        self.mend(fault, victim, began).await?;
        Ok(Sight {
            away_ms: away.as_secs_f64() * 1e3,
            noticed_ms: noticed.map(|noticed| noticed.as_secs_f64() * 1e3),
            refused: self.asking.told.borrow().refused - refused_before,
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
            Fault::Kill | Fault::KillBoth => node.kill().await?,
            Fault::KillLeader | Fault::FreezeLeader => {}
            Fault::Freeze => node.signal("STOP").await?,
            Fault::Stop => node.stop().await?,
            Fault::Drain => self.wishes.drain(node.name()).await?,
            Fault::Move => self.wishes.pin(self.event, &next).await?,
            Fault::Lease => {
                let name = node.name().to_owned();
                revoke_lease(&self.stage.config().stores.etcd, &name).await?;
            }
        }
        if !matches!(fault, Fault::Kill | Fault::KillBoth | Fault::Freeze) {
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

    /// A node that lost its lease may well take the event again, and one that lost etcd's leader keeps it.
    async fn until_moved(&self, fault: Fault, victim: usize, began: Instant) -> Result<(), Failure> {
        if matches!(fault, Fault::Lease | Fault::KillLeader | Fault::FreezeLeader) {
            sleep(CALM).await;
            return Ok(());
        }
        while self.owner().await? == victim {
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
            Fault::Kill | Fault::KillBoth | Fault::Stop => node.start_again().await?,
            Fault::Freeze => {
                sleep(FROZEN.saturating_sub(began.elapsed())).await;
                node.signal("CONT").await?;
            }
            Fault::Drain => self.wishes.undrain(node.name()).await?,
            Fault::Move | Fault::Lease | Fault::KillLeader | Fault::FreezeLeader => {}
        }
        let began = Instant::now();
        while self.links().await? < self.nodes.len() {
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
        let admin = self.stage.node().admin_address().to_string();
        Ok(sibling::measure(&self.asking.client, &admin, "onsale_cluster_links").await? as usize)
    }

    /// What was acknowledged, of which event.
    async fn end(self) -> (u64, EventId) {
        let acknowledged = self.asking.stop().await;
        sibling::stop_all(self.nodes).await;
        // Undone, they mean nodes and an event that nobody has any more.
        let _ = self.wishes.unpin(self.event).await;
        let _ = self.wishes.undrain(&self.stage.config().node).await;
        (acknowledged, self.event)
    }
}

async fn bring_back(leader: &Member, fault: Fault, began: Instant) -> Result<(), Failure> {
    sleep(FROZEN.saturating_sub(began.elapsed())).await;
    if fault == Fault::FreezeLeader {
        leader.signal("CONT").await?;
        return leader.answers().await;
    }
    leader.start_again().await
}

async fn revoke_lease(etcd: &[String], node: &str) -> Result<(), Failure> {
    let mut client = etcd_client::Client::connect(etcd, None).await?;
    let found = client.get(format!("onsale/node/{node}"), None).await?;
    let lease = found.kvs().first().ok_or("the node is not registered")?.lease();
    client.lease_revoke(lease).await?;
    Ok(())
}
