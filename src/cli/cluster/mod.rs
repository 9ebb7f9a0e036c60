//! `onsale cluster`: what lets nodes into a cluster, made offline by whoever keeps the authority; and what operators do with the
//! nodes, as a client of the admin API.

mod steer;
mod table;

use std::path::PathBuf;

use reqwest::Method;
use serde_json::Value;

use self::{
    steer::{Drain, Move, Undrain},
    table::{Events, table},
};
use super::admin::{Admin, AdminOptions};
use crate::{cluster::bundle::Authority, failure::Failure, http::admin_cluster::body::ClusterReport};

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Make the root secret, the cookie and the certificate authority of a new cluster.
    Init {
        /// Where they are kept, off the nodes.
        #[arg(long, default_value = "onsale-cluster", value_name = "DIR")]
        dir: PathBuf,
    },
    /// Make the bundle that lets one node in: copy it to the node, and start that with --bundle.
    Invite {
        /// The node's name, as in `onsale serve --node`.
        node: String,
        /// As given to `init`.
        #[arg(long, default_value = "onsale-cluster", value_name = "DIR")]
        dir: PathBuf,
        /// The file to make. Without it: NODE.bundle in DIR.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show the nodes and what each of them runs.
    Status {
        /// All events, not only the first 20.
        #[arg(long)]
        events: bool,
        /// What the admin API answers.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        admin: AdminOptions,
    },
    /// Have a node give all its events to the others and take none; waits until it runs nothing.
    Drain(Drain),
    /// Let a node run events again.
    Undrain(Undrain),
    /// Have an event run on a node from now on; waits until it does.
    Move(Move),
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Init { dir } => println!("{}", Authority::init(&dir)?.display()),
        Command::Invite { node, dir, out } => {
            let bundle = Authority::open(&dir)?.invite(&node)?;
            let path = out.unwrap_or_else(|| dir.join(format!("{node}.bundle")));
            bundle.write(&path)?;
            println!("{}", path.display());
        }
        Command::Status { events, json, admin } => status(&Admin::new(admin)?, events, json).await?,
        Command::Drain(options) => options.run().await?,
        Command::Undrain(options) => options.run().await?,
        Command::Move(options) => options.run().await?,
    }
    Ok(())
}

const STATUS: &str = "/cluster";

async fn status(admin: &Admin, all_events: bool, json: bool) -> Result<(), Failure> {
    if json {
        // As it came: also what a later version tells.
        let told: Value = admin.ask(Method::GET, STATUS, None).await?;
        println!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(());
    }
    let report: ClusterReport = admin.ask(Method::GET, STATUS, None).await?;
    print!("{}", table(&report, if all_events { Events::All } else { Events::First }));
    Ok(())
}
