//! Benchmarks, each beside what it is compared to, in one run.

mod cas;
mod commit;
mod http;
mod load;
mod report;
mod restart;
mod stage;

use std::time::Duration;

use self::{
    report::{Report, Row},
    stage::{Lagging, Stage},
};
use crate::cli::{self, ConfigOptions};

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Holds on one hot ticket type: one by one, by our commit path, over HTTP, and an HTTP request that does nothing.
    Hold(HoldOptions),
    /// How long a node needs, and how much memory, to be back with an event of very many reservations.
    Restart(restart::Options),
    /// The load generator, as a process of its own.
    #[command(hide = true)]
    Load(load::Options),
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
    /// Which of cas, commit, http, noop.
    #[arg(long, value_delimiter = ',', default_value = "cas,commit,http,noop")]
    modes: Vec<Mode>,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigOptions,
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
    /// A POST with the same headers, middleware and token check that does nothing: the limit.
    Noop,
}

pub fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Hold(options) => cli::block_on(hold(options)),
        Command::Restart(options) => cli::block_on(restart::run(options)),
        Command::Load(options) => cli::block_on(load::run(options)),
    }
}

async fn hold(options: HoldOptions) -> Result<(), String> {
    let most = options.callers.iter().copied().max().ok_or("no callers")?;
    let limit = rlimit::increase_nofile_limit(u64::MAX).map_err(|error| error.to_string())?;
    if limit < most as u64 * 2 + 500 {
        return Err(format!("{most} callers need more than the {limit} file descriptors that are allowed"));
    }
    let duration = Duration::from_secs_f64(options.seconds);
    let mut report = Report::default();
    let stage = Stage::open(&options.config, Lagging::Unlimited).await?;
    for _ in 0..options.runs {
        for &callers in &options.callers {
            for &mode in &options.modes {
                eprintln!("{mode:?} with {callers} callers ...");
                let row = measure(&stage, mode, callers, duration, &mut report).await?;
                report.rows.push(row);
            }
        }
    }
    stage.close().await;
    report.print(stage.kind(), options.json);
    if report.stored != report.acknowledged || report.oversold > 0 {
        return Err("the journals do not hold what was acknowledged".into());
    }
    Ok(())
}

async fn measure(
    stage: &Stage,
    mode: Mode,
    callers: usize,
    duration: Duration,
    report: &mut Report,
) -> Result<Row, String> {
    match mode {
        Mode::Cas => cas::run(stage, callers, duration).await,
        Mode::Commit => commit::run(stage, callers, duration, report).await,
        Mode::Http => http::run(stage, Mode::Http, callers, duration, report).await,
        Mode::Noop => http::run(stage, Mode::Noop, callers, duration, report).await,
    }
}
