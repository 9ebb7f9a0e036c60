//! `onsale serve`: a node, until it is told to stop.

use super::{ConfigOptions, log, signals::Signals};
use crate::{boot::Node, config::Config, failure::Failure};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    config: ConfigOptions,
}

pub fn run(options: Options) -> Result<(), Failure> {
    let config = options.config.load()?;
    log::start(&config.log)?;
    let limit = rlimit::increase_nofile_limit(u64::MAX).map_err(|error| format!("descriptor limit: {error}"))?;
    let connections = config.http.max_connections as u64;
    if limit < connections {
        tracing::warn!(limit, max_connections = connections, "fewer file descriptors than connections are allowed");
    }
    if config.http.insecure_demo {
        tracing::warn!("insecure_demo relaxes limits: never for a real sale");
    }
    super::block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Failure> {
    // Before anything else: a signal amid the start must find somebody who listens.
    let mut signals = Signals::listen()?;
    let node_name = config.node.clone();
    let stores = config.stores.technologies();
    let node = tokio::select! {
        node = Node::start(config) => node?,
        signal = signals.next() => {
            tracing::info!(signal, "stopping before it was ready");
            return Ok(());
        }
    };
    tracing::info!(
        node = %node_name,
        public = %node.address(),
        admin = %node.admin_address(),
        stores,
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    let signal = tokio::select! {
        signal = signals.next() => signal,
        part = node.poisoned() => {
            tracing::error!(part, "a part has failed: this process ends, the next one recovers what is durable");
            node.abandon().await;
            return Err(format!("the {part} has failed; start again to recover").into());
        }
        () = node.ousted() => {
            tracing::error!(node = %node_name, "another process runs under this node's name: this one ends");
            node.abandon().await;
            return Err(format!("another process runs as {node_name}: no two nodes may have one name").into());
        }
    };
    tracing::info!(signal, "stopping");
    tokio::select! {
        () = node.stop() => tracing::info!("stopped"),
        // Somebody does not want to wait. What was answered is durable anyway.
        signal = signals.next() => return Err(format!("stopped at once by a second signal ({signal})").into()),
    }
    Ok(())
}
