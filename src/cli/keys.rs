//! `onsale keys`: a client of the admin API. Any node can be asked.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::admin::{Admin, AdminOptions};
use crate::failure::Failure;

const STATUS: &str = "/keys";
const ROTATE: &str = "/keys/rotate";

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Show which generations of keys there are, and which each node goes by.
    Status {
        #[command(flatten)]
        admin: AdminOptions,
    },
    /// Make a new generation of keys, and wait until it signs at every node.
    Rotate {
        /// For the audit.
        #[arg(long)]
        reason: String,
        /// Do not wait.
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        admin: AdminOptions,
    },
}

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_secs(1);
/// Answers that do not come while one waits: a node may be restarted meanwhile.
const MOST_SILENT: u32 = 30;

#[derive(Deserialize)]
struct Report {
    generations: Vec<Generation>,
    nodes: Vec<Node>,
    settled: bool,
}

#[derive(Deserialize)]
struct Generation {
    generation: u32,
    state: String,
    signs_at: String,
    believed_until: Option<String>,
}

#[derive(Deserialize)]
struct Node {
    node: String,
    believes: u32,
    signs: u32,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Status { admin } => {
            print(&Admin::new(admin)?.ask(Method::GET, STATUS, None).await?);
            Ok(())
        }
        Command::Rotate { reason, no_wait, admin } => {
            let admin = Admin::new(admin)?;
            let report: Report = admin.ask(Method::POST, ROTATE, Some(json!({"reason": reason}))).await?;
            print(&report);
            if no_wait || report.settled { Ok(()) } else { wait(&admin).await }
        }
    }
}

/// Until the new generation signs everywhere.
async fn wait(admin: &Admin) -> Result<(), Failure> {
    let (mut told, mut silent) = (String::new(), 0);
    loop {
        tokio::time::sleep(LOOK).await;
        let report: Report = match admin.ask(Method::GET, STATUS, None).await {
            Ok(report) => report,
            Err(failure) if silent >= MOST_SILENT => return Err(failure),
            Err(_) => {
                silent += 1;
                continue;
            }
        };
        silent = 0;
        let line = progress(&report);
        if line != told {
            println!("{line}");
            told = line;
        }
        if report.settled {
            return Ok(());
        }
    }
}

fn progress(report: &Report) -> String {
    let newest = report.generations.last().map_or(0, |newest| newest.generation);
    let all = report.nodes.len();
    let (believe, sign) = (count(report, |node| node.believes >= newest), count(report, |node| node.signs >= newest));
    format!("generation {newest}: believed by {believe} of {all} nodes, signs at {sign}")
}

fn count(report: &Report, is_so: impl Fn(&Node) -> bool) -> usize {
    report.nodes.iter().filter(|node| is_so(node)).count()
}

fn print(report: &Report) {
    println!("{:<12} {:<10} {:<26} believed until", "generation", "state", "signs from");
    for row in &report.generations {
        let until = row.believed_until.as_deref().unwrap_or("-");
        println!("{:<12} {:<10} {:<26} {until}", row.generation, row.state, row.signs_at);
    }
    println!("\n{:<34} {:>8} {:>8}", "node", "believes", "signs");
    for row in &report.nodes {
        println!("{:<34} {:>8} {:>8}", row.node, row.believes, row.signs);
    }
    println!("\n{}", progress(report));
}
