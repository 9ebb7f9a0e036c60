//! The waiting room, but for what it sends to sockets: joins, promotions, very long queues, draws.

mod crowd;
mod draw;
mod figures;
mod joins;
mod promotions;
mod simulated;
pub mod sockets;
mod waiting;

use self::figures::Figures;
use super::{
    Common,
    stage::{Lagging, Stage},
};
use crate::failure::Failure;

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// What to measure, in this order; the state machine alone comes last in any case. A part's ticks and memory are only its own
    /// where it is the first: what others have left is used again.
    #[arg(long, value_delimiter = ',', default_value = "waiting,draw,joins,sockets,promotions,simulated")]
    parts: Vec<Part>,
    /// How often joins, sockets and promotions are measured; figures are the medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Accounts that join over HTTP.
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    joins: u32,
    /// Connections, or handshakes, at once.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    callers: u32,
    /// Accounts that open a socket, and leave it open.
    #[arg(long, default_value_t = 18_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    sockets: u32,
    /// Fans who are let in.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    promoted: u32,
    /// Fans who wait in the actor.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    waiting: u32,
    /// Entries of the draw.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    entries: u32,
    /// Fans who wait in the state machine alone, without actor and stores.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    simulated: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Over HTTP, by distinct accounts.
    Joins,
    /// New sockets until their first message with a ticket.
    Sockets,
    /// From the front of the queue to signed admission tokens.
    Promotions,
    /// A very long queue in the actor.
    Waiting,
    /// A draw among very many.
    Draw,
    /// The longest queue, in the state machine.
    Simulated,
}

pub async fn run(options: Options) -> Result<(), Failure> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    let needed = u64::from(options.sockets.max(options.callers)) + 500;
    if options.parts.contains(&Part::Sockets) && limit < needed {
        return Err(format!("{needed} file descriptors are needed and {limit} are allowed: fewer --sockets").into());
    }
    let mut figures = Figures::default();
    let mut measured = Ok(());
    if options.parts.iter().any(|part| *part != Part::Simulated) {
        let stage = Stage::open(&options.common.config, Lagging::AsConfigured).await?;
        measured = measure(&stage, &options, &mut figures).await;
        let left = stage.leave().await;
        let swept = left.sweep().await;
        figures.stores = left.config.stores.technologies();
        measured = measured.and(swept);
    }
    if measured.is_ok() && options.parts.contains(&Part::Simulated) {
        eprintln!("the state machine alone ...");
        measured = simulated::run(options.simulated, &mut figures);
    }
    // What was measured before something failed is worth seeing.
    figures.print(options.common.json);
    measured
}

async fn measure(stage: &Stage, options: &Options, figures: &mut Figures) -> Result<(), Failure> {
    for &part in options.parts.iter().filter(|part| **part != Part::Simulated) {
        let runs = if matches!(part, Part::Waiting | Part::Draw) { 1 } else { options.runs };
        for run in 1..=runs {
            eprintln!("{part:?}, {run} of {runs} ...");
            match part {
                Part::Joins => joins::run(stage, options.joins, options.callers, figures).await?,
                Part::Sockets => sockets::measure(stage, options.sockets, options.callers, figures).await?,
                Part::Promotions => promotions::run(stage, options.promoted, figures).await?,
                Part::Waiting => waiting::run(stage, options.waiting, figures).await?,
                Part::Draw => draw::run(stage, options.entries, figures).await?,
                Part::Simulated => {}
            }
        }
    }
    Ok(())
}
