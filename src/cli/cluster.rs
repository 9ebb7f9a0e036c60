//! `onsale cluster`: what lets nodes into a cluster. Made offline, by whoever keeps the authority.

use std::path::PathBuf;

use crate::{cluster::bundle::Authority, failure::Failure};

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
}

pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Init { dir } => println!("{}", Authority::init(&dir)?.display()),
        Command::Invite { node, dir, out } => {
            let bundle = Authority::open(&dir)?.invite(&node)?;
            let path = out.unwrap_or_else(|| dir.join(format!("{node}.bundle")));
            bundle.write(&path)?;
            println!("{}", path.display());
        }
    }
    Ok(())
}
