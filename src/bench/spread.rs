//! Very many events over three nodes, each a process of its own: how evenly they are spread, what one of them costs in
//! memory, how long it takes to get all of them off a node, and what a fourth node changes that joins in the middle.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tokio::time::sleep;

use super::{
    Common,
    asking::Asking,
    memory,
    sibling::{self, Sibling},
    stage::{self, Lagging, Stage},
};
use crate::{
    actors::directory::EventHandles,
    domain::{id::EventId, inventory::request::Want},
    failure::Failure,
    stores::wishes::WishStore,
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Events.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(3..=10_000))]
    events: u32,
    /// Fans at each event, with a hold each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    fans: u32,
    /// How often a node is emptied; each in its turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report {
    events: u32,
    fans: u32,
    /// Events of each node.
    spread: BTreeMap<String, usize>,
    furthest_from_even_percent: f64,
    /// For an event that runs and at which nobody is,
    idle_kb: f64,
    /// and with fans and their holds.
    active_kb: f64,
    emptied: Vec<Emptied>,
    joined: Joined,
    /// Holds at the events of which that was counted.
    stored: u64,
    acknowledged: u64,
}

/// Another node, from when it is ready.
#[derive(Debug, Serialize)]
struct Joined {
    /// Until it runs its first event,
    first_s: f64,
    /// and so many after ten seconds.
    events_after_ten_s: usize,
    /// Meanwhile, holds at some of the events: answered, refused though tried again, and the longest time without an answer at
    /// one of the events.
    answered: u64,
    refused: u64,
    longest_gap_ms: f64,
}

#[derive(Debug, Serialize)]
struct Emptied {
    events: usize,
    seconds: f64,
}

/// Events begun at once, by whoever asks for them.
const AT_ONCE: usize = 32;
/// Events at which fans ask for holds while a node joins, each of them so many fans, this often.
const WATCHED: usize = 20;
const WATCHED_FANS: u32 = 500;
const PACE: Duration = Duration::from_millis(20);
const TEN: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);
/// For memory to be given back that only work under way needed.
const CALM: Duration = Duration::from_secs(5);

pub async fn run(options: Options) -> Result<(), Failure> {
    let stage = Stage::open(&options.common.config, Lagging::Unlimited).await?;
    let wishes = sibling::wishes(stage.config()).await?;
    // The stage's node asks for the events: it runs none.
    wishes.drain(&stage.config().node).await?;
    let mut scene = Scene { stage: &stage, wishes, nodes: Vec::new(), watched: Vec::new() };
    let played = scene.play(&options).await;
    let watched = scene.end().await;
    let mut stored = 0;
    for event in watched {
        stored += stage.count_holds(event).await?.0;
    }
    let swept = stage.leave().await.sweep().await;
    let report = Report { stored, ..played? };
    report.print(options.common.json);
    swept?;
    if stored != report.acknowledged {
        return Err("the journals do not hold what was acknowledged".into());
    }
    Ok(())
}

struct Scene<'a> {
    stage: &'a Stage,
    wishes: WishStore,
    nodes: Vec<Sibling>,
    /// Where fans hold on.
    watched: Vec<EventId>,
}

impl Scene<'_> {
    async fn play(&mut self, options: &Options) -> Result<Report, Failure> {
        sibling::start_three(self.stage.config(), &mut self.nodes).await?;
        let count = options.events;
        let empty = self.memory_kb()?;
        eprintln!("{count} events begin ...");
        let events: Vec<(EventId, EventHandles)> = stream::iter(0..count)
            .map(|_| self.stage.begin_elsewhere())
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        sleep(CALM).await;
        let idle = self.memory_kb()?;
        eprintln!("{} fans at each of them ...", options.fans);
        let admitted = |at: usize| if at < WATCHED { options.fans.max(WATCHED_FANS) } else { options.fans };
        stream::iter(events.iter().enumerate())
            .map(|(at, (_, handles))| self.populate(handles, admitted(at), options.fans))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        sleep(CALM).await;
        let active = self.memory_kb()?;
        let spread = self.spread().await?;
        let mut emptied = Vec::new();
        for run in 0..options.runs as usize {
            let node = self.nodes[run % self.nodes.len()].name();
            emptied.push(self.empty(node, count as usize).await?);
        }
        self.watched = events.iter().take(WATCHED).map(|(event, _)| *event).collect();
        let joined = self.join(options.fans).await?;
        let even = f64::from(count) / spread.len() as f64;
        let off = spread.values().map(|of_one| (*of_one as f64 / even - 1.0).abs());
        Ok(Report {
            events: count,
            fans: options.fans,
            furthest_from_even_percent: off.fold(0.0, f64::max) * 100.0,
            spread,
            idle_kb: (idle - empty) / f64::from(count),
            active_kb: (active - empty) / f64::from(count),
            emptied,
            acknowledged: joined.answered + self.watched.len() as u64 * u64::from(options.fans),
            stored: 0,
            joined,
        })
    }

    async fn join(&mut self, holding: u32) -> Result<Joined, Failure> {
        eprintln!("a fourth node joins ...");
        // Whoever holds something already may not have so many more.
        let fans = holding as usize..WATCHED_FANS.max(holding + 1) as usize;
        let asking = self.watched.iter().map(|event| Asking::start(self.stage, *event, fans.clone(), PACE));
        let asking = asking.collect::<Result<Vec<_>, _>>()?;
        let node = Sibling::start(self.stage.config(), "d").await?;
        let (ready, mut first_s) = (Instant::now(), None);
        while ready.elapsed() < TEN {
            if first_s.is_none() && node.measure("onsale_events_running").await? > 0.0 {
                first_s = Some(ready.elapsed().as_secs_f64());
            }
            sleep(LOOK).await;
        }
        let events_after_ten_s = node.measure("onsale_events_running").await? as usize;
        self.nodes.push(node);
        let (mut answered, mut refused, mut longest_gap) = (0, 0, Duration::ZERO);
        for asking in asking {
            longest_gap = longest_gap.max(asking.longest_gap_since(ready).await?);
            refused += asking.told.borrow().refused;
            answered += asking.stop().await;
        }
        let first_s = first_s.ok_or("the fourth node runs nothing after ten seconds")?;
        Ok(Joined { first_s, events_after_ten_s, answered, refused, longest_gap_ms: longest_gap.as_secs_f64() * 1e3 })
    }

    /// All nodes'.
    fn memory_kb(&self) -> Result<f64, Failure> {
        self.nodes.iter().map(|node| Ok(memory::resident_mb(node.process()?)? * 1e3)).sum()
    }

    async fn populate(&self, handles: &EventHandles, admitted: u32, holding: u32) -> Result<(), Failure> {
        let fans = &self.stage.fans()[..admitted as usize];
        self.stage.admit(&handles.inventory, fans).await?;
        let want = Want::Quantities(vec![(stage::HOT.parse().expect("a code"), 1)]);
        for (fan, n) in fans.iter().zip(1..=holding) {
            let request = stage::hold(*fan, n, want.clone());
            handles.inventory.ask(request).await?;
        }
        Ok(())
    }

    /// How many events run on each node.
    async fn spread(&self) -> Result<BTreeMap<String, usize>, Failure> {
        let mut spread = BTreeMap::new();
        for node in &self.nodes {
            spread.insert(node.name().to_owned(), node.measure("onsale_events_running").await? as usize);
        }
        Ok(spread)
    }

    /// Drains the node until others run all that it had, and then has them back.
    async fn empty(&self, node: &str, all: usize) -> Result<Emptied, Failure> {
        let before = self.settled(all, |_| true).await?;
        let events = before.get(node).copied().unwrap_or_default();
        eprintln!("{events} events leave {node} ...");
        let began = Instant::now();
        self.wishes.drain(node).await?;
        self.settled(all, |spread| spread.get(node) == Some(&0)).await?;
        let seconds = began.elapsed().as_secs_f64();
        self.wishes.undrain(node).await?;
        self.settled(all, |spread| spread.get(node) == Some(&events)).await?;
        Ok(Emptied { events, seconds })
    }

    /// Waits until every event runs, and as is asked.
    async fn settled(
        &self,
        all: usize,
        is_so: impl Fn(&BTreeMap<String, usize>) -> bool,
    ) -> Result<BTreeMap<String, usize>, Failure> {
        let began = Instant::now();
        loop {
            let spread = self.spread().await?;
            if spread.values().sum::<usize>() == all && is_so(&spread) {
                return Ok(spread);
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("the events do not settle: {spread:?} of {all}").into());
            }
            sleep(LOOK).await;
        }
    }

    async fn end(self) -> Vec<EventId> {
        sibling::stop_all(self.nodes).await;
        // Left, it means a node that nobody has any more.
        let _ = self.wishes.undrain(&self.stage.config().node).await;
        self.watched
    }
}

impl Report {
    fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("plain fields"));
            return;
        }
        let spread: Vec<String> = self.spread.values().map(usize::to_string).collect();
        println!(
            "{} events over {} nodes: {}; {:.1} % from even at most",
            self.events,
            self.spread.len(),
            spread.join(", "),
            self.furthest_from_even_percent
        );
        println!(
            "memory of one: {:.0} kB running and idle, {:.0} kB with {} fans and holds",
            self.idle_kb, self.active_kb, self.fans
        );
        for emptied in &self.emptied {
            println!("{} events off a node in {:.1} s", emptied.events, emptied.seconds);
        }
        let joined = &self.joined;
        println!(
            "a fourth node: runs its first event after {:.1} s, {} after 10 s; {} holds answered meanwhile, {} refused, \
             {:.0} ms at most between two at one event",
            joined.first_s, joined.events_after_ten_s, joined.answered, joined.refused, joined.longest_gap_ms
        );
        println!("stored {}, acknowledged {}", self.stored, self.acknowledged);
    }
}
