//! `onsale serve`: a node, until it is told to stop.

use std::io::IsTerminal as _;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::ConfigOptions;
use crate::{
    boot::Node,
    config::{Log, LogFormat},
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    config: ConfigOptions,
}

pub fn run(options: Options) -> Result<(), String> {
    let config = options.config.load()?;
    start_log(&config.log)?;
    let limit = rlimit::increase_nofile_limit(u64::MAX).map_err(|error| format!("descriptor limit: {error}"))?;
    let connections = config.http.max_connections as u64;
    if limit < connections {
        tracing::warn!(limit, max_connections = connections, "fewer file descriptors than connections are allowed");
    }
    if config.http.insecure_demo {
        tracing::warn!("insecure_demo relaxes limits: never for a real sale");
    }
    super::block_on(async {
        let node_name = config.node.clone();
        let embedded = config.stores.etcd.is_empty();
        let node = Node::start(config).await?;
        tracing::info!(
            node = %node_name,
            public = %node.address(),
            admin = %node.admin_address(),
            stores = if embedded { "embedded" } else { "servers" },
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
        let told = asked_to_stop().await?;
        tracing::info!(signal = told, "stopping");
        node.stop().await;
        tracing::info!("stopped");
        Ok(())
    })
}

async fn asked_to_stop() -> Result<&'static str, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals: {error}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(tokio::select! {
        _ = terminate.recv() => "TERM",
        _ = interrupt.recv() => "INT",
    })
}

fn start_log(log: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| format!("log.filter: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
