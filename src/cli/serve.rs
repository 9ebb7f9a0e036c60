//! `onsale serve`: a node, until it is told to stop.

use std::io::IsTerminal as _;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::ConfigOptions;
use crate::{
    boot::Node,
    config::{Config, Log, LogFormat},
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
    super::block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), String> {
    // Before anything else: a signal amid the start must find somebody who listens.
    let mut signals = Signals::listen()?;
    let node_name = config.node.clone();
    let embedded = config.stores.etcd.is_empty();
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
        stores = if embedded { "embedded" } else { "servers" },
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    let signal = tokio::select! {
        signal = signals.next() => signal,
        store = node.poisoned() => {
            tracing::error!(store, "a store has failed: this process ends, the next one recovers what is durable");
            node.abandon().await;
            return Err(format!("the {store} has failed; start again to recover"));
        }
    };
    tracing::info!(signal, "stopping");
    tokio::select! {
        () = node.stop() => tracing::info!("stopped"),
        // Somebody does not want to wait. What was answered is durable anyway.
        signal = signals.next() => return Err(format!("stopped at once by a second signal ({signal})")),
    }
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("signals: {error}"));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "TERM",
            _ = self.interrupt.recv() => "INT",
        }
    }
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
