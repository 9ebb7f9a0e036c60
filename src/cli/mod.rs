//! Subcommands that are no module of their own, and what all of them share: where the configuration comes from.

pub mod account;
pub mod admin;
pub mod child;
pub mod cluster;
pub mod keys;
pub mod log;
pub mod queue;
pub mod reconcile;
pub mod serve;
pub mod signals;
pub mod stock;
pub mod verify_draw;

use std::{future::Future, path::PathBuf, time::Duration};

use crate::{
    config::{self, Config},
    failure::Failure,
};

/// Flags that every command with a configuration takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigOptions {
    /// Configuration file; see cluster.toml.
    #[arg(long, env = "ONSALE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// This node's name.
    #[arg(long)]
    pub node: Option<String>,
    /// Directory of the embedded stores.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the public API.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Address of the admin API and metrics.
    #[arg(long, value_name = "HOST:PORT")]
    pub admin_listen: Option<String>,
    /// How other nodes reach this one.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub advertise: Option<String>,
    /// What lets this node into its cluster; see `onsale cluster invite`.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// etcd client addresses, comma-separated.
    #[arg(long, value_name = "URLS")]
    pub etcd: Option<String>,
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    #[arg(long, value_name = "URL")]
    pub rabbitmq: Option<String>,
    /// PostgreSQL.
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    #[arg(long, value_name = "PEM")]
    pub tls_cert: Option<PathBuf>,
    #[arg(long, value_name = "PEM")]
    pub tls_key: Option<PathBuf>,
    /// A new self-signed certificate, for a trial.
    #[arg(long)]
    pub tls_self_signed: bool,
    /// text or json
    #[arg(long)]
    pub log_format: Option<String>,
    /// Any other key of the configuration, such as http.body_limit=1024.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigOptions {
    pub fn load(&self) -> Result<Config, Failure> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let named = [
            ("node", self.node.clone()),
            ("stores.data_dir", path(&self.data_dir)),
            ("http.listen", self.listen.clone()),
            ("http.admin_listen", self.admin_listen.clone()),
            ("cluster.advertise", self.advertise.clone()),
            ("cluster.bundle", path(&self.bundle)),
            ("stores.etcd", self.etcd.clone()),
            ("stores.redis", self.redis.clone()),
            ("stores.rabbitmq", self.rabbitmq.clone()),
            ("stores.database", self.database.clone()),
            ("http.tls_cert", path(&self.tls_cert)),
            ("http.tls_key", path(&self.tls_key)),
            ("http.tls_self_signed", self.tls_self_signed.then(|| "true".to_owned())),
            ("log.format", self.log_format.clone()),
        ];
        let mut flags: Vec<(String, String)> =
            named.into_iter().filter_map(|(key, value)| value.map(|value| (key.to_owned(), value))).collect();
        for pair in &self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("--set {pair}: KEY=VALUE is expected"))?;
            flags.push((key.to_owned(), value.to_owned()));
        }
        Ok(config::load(self.config.as_deref(), std::env::vars(), &flags)
            .map_err(|error| format!("configuration: {error}"))?)
    }
}

/// For blocking work that is still under way when a command has ended, such as a password's hash.
const LEFT_OVER: Duration = Duration::from_secs(1);

pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(LEFT_OVER);
    result
}

/// Prints the API's description.
pub fn openapi() -> Result<(), Failure> {
    let text = crate::http::openapi::document().to_pretty_json()?;
    println!("{text}");
    Ok(())
}
