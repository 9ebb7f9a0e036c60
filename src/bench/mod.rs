//! Benchmarks, each beside what it is compared to, in one run.

mod asking;
mod cas;
mod commit;
mod http;
mod load;
mod members;
mod memory;
mod orders;
mod processors;
mod queue;
mod recovery;
mod report;
mod restart;
mod sibling;
mod socket;
mod spread;
mod stage;
mod stock;
mod sweep;
mod waiting_room;

use std::time::Duration;

use self::{
    report::Report,
    sibling::Sibling,
    stage::{Lagging, Stage},
};
use crate::{
    cli::{self, ConfigOptions},
    config::Config,
    failure::Failure,
    stores::wishes::WishStore,
};

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Holds on one hot ticket type: one by one, by our commit path, over HTTP, and an HTTP request that does nothing.
    Hold(HoldOptions),
    /// How long a node needs, and how much memory, to be back with an event of very many reservations.
    Restart(restart::Options),
    /// How long an event of a cluster is away when its node or etcd's leader is killed or frozen, and more.
    Recovery(recovery::Options),
    /// Very many events over three nodes: how they are spread, what memory they take, how fast they leave a node.
    Spread(spread::Options),
    /// Very many sockets in one queue: how fast all are told their positions, and what a socket costs.
    WaitingRoom(waiting_room::Options),
    /// Sockets that only listen, as a process of their own.
    #[command(hide = true)]
    Crowd(waiting_room::CrowdOptions),
    /// What the waiting room is compared to, as a process of its own.
    #[command(hide = true)]
    Rival(waiting_room::RivalOptions),
    /// Very many who watch an event's stock: how soon each sees that a seat is taken, and what that costs.
    Stock(stock::Options),
    /// Those, as a process of their own.
    #[command(hide = true)]
    Viewers(stock::ViewersOptions),
    /// The waiting room: joins, new sockets, promotions, a million waiting, a draw among a million, ten million simulated.
    Queue(Box<queue::Options>),
    /// Orders all the way from hold to ticket in the database, and what is short: `--etcd`, `--redis`, `--rabbitmq`, `--database`.
    Orders(orders::Options),
    /// Their buyers, as a process of their own.
    #[command(hide = true)]
    Buyers(orders::BuyersOptions),
    /// The load generator, as a process of its own.
    #[command(hide = true)]
    Load(load::Options),
    /// The same for sockets.
    #[command(hide = true)]
    Sockets(queue::sockets::Options),
}

/// What every benchmark takes.
#[derive(Debug, Clone, clap::Args)]
struct Common {
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigOptions,
}

#[derive(Debug, Clone, clap::Args)]
pub struct HoldOptions {
    /// Callers at once, comma-separated.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256,1024")]
    callers: Vec<usize>,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How often all of it is measured; rows show the medians.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Which of cas, commit, http, remote, noop; remote needs servers that two nodes share.
    #[arg(long, value_delimiter = ',', default_value = "cas,commit,http,noop")]
    modes: Vec<Mode>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Read, compare-and-swap, at most ten tries.
    Cas,
    /// Our commit path, without HTTP.
    Commit,
    /// Holds over HTTP, with admission and idempotency key.
    Http,
    /// The same, asked of a node that does not run the event.
    Remote,
    /// A POST with the same headers, middleware and token check that does nothing: the limit.
    Noop,
}

pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Hold(options) => cli::block_on(hold(options)),
        Command::Restart(options) => cli::block_on(restart::run(options)),
        Command::Recovery(options) => cli::block_on(recovery::run(options)),
        Command::Spread(options) => cli::block_on(spread::run(options)),
        Command::WaitingRoom(options) => cli::block_on(waiting_room::run(options)),
        Command::Crowd(options) => cli::block_on(waiting_room::crowd(options)),
        Command::Rival(options) => cli::block_on(waiting_room::rival(options)),
        Command::Stock(options) => cli::block_on(stock::run(options)),
        Command::Viewers(options) => cli::block_on(stock::viewers(options)),
        Command::Queue(options) => cli::block_on(queue::run(*options)),
        Command::Orders(options) => cli::block_on(orders::run(options)),
        Command::Buyers(options) => cli::block_on(orders::buyers(options)),
        Command::Sockets(options) => cli::block_on(queue::sockets::run(options)),
        Command::Load(options) => cli::block_on(load::run(options)),
    }
}

async fn hold(options: HoldOptions) -> Result<(), Failure> {
    let most = options.callers.iter().copied().max().ok_or("no callers")?;
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    if limit < most as u64 * 2 + 500 {
        return Err(format!("{most} callers need more than the {limit} file descriptors that are allowed").into());
    }
    let stage = Stage::open(&options.common.config, Lagging::Unlimited).await?;
    let front = match options.modes.contains(&Mode::Remote) {
        true => Some(Front::start(stage.config()).await?),
        false => None,
    };
    let measured = measure_all(&stage, front.as_ref().map(|front| &front.node), &options).await;
    if let Some(front) = front {
        front.stop().await?;
    }
    let left = stage.leave().await;
    let swept = left.sweep().await;
    let report = measured?;
    report.print(&left.config.stores.technologies(), options.common.json);
    swept?;
    if report.stored != report.acknowledged || report.oversold > 0 {
        return Err("the journals do not hold what was acknowledged".into());
    }
    Ok(())
}

/// A node that runs no event and carries requests to the stage's.
struct Front {
    node: Sibling,
    wishes: WishStore,
}

impl Front {
    async fn start(of: &Config) -> Result<Self, Failure> {
        let wishes = sibling::wishes(of).await?;
        let node = Sibling::start(of, "front").await?;
        wishes.drain(node.name()).await?;
        Ok(Self { node, wishes })
    }

    async fn stop(mut self) -> Result<(), Failure> {
        self.node.stop().await?;
        Ok(self.wishes.undrain(self.node.name()).await?)
    }
}

async fn measure_all(stage: &Stage, sibling: Option<&Sibling>, options: &HoldOptions) -> Result<Report, Failure> {
    let duration = Duration::from_secs_f64(options.seconds);
    let mut report = Report::default();
    for _ in 0..options.runs {
        for &callers in &options.callers {
            for &mode in &options.modes {
                eprintln!("{mode:?} with {callers} callers ...");
                let row = match mode {
                    Mode::Cas => cas::run(stage, callers, duration).await,
                    Mode::Commit => commit::run(stage, callers, duration, &mut report).await,
                    Mode::Http | Mode::Remote | Mode::Noop => {
                        http::run(stage, sibling, mode, callers, duration, &mut report).await
                    }
                };
                report.rows.push(row.map_err(|error| format!("{mode:?} with {callers} callers: {error}"))?);
            }
        }
    }
    Ok(report)
}
