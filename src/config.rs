//! The whole configuration: each layer's own, joined.
//!
//! From the file, then `ONSALE_…` in the environment (`ONSALE_HTTP__LISTEN` is `http.listen`), then flags. Unknown keys are
//! refused wherever they come from.

use std::{collections::HashMap, path::Path};

use config::{Config as Builder, ConfigError, Environment, File, FileFormat};
use serde::{Deserialize, Serialize};

use crate::{actors, cluster, documents, http, stores};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This node's name within the cluster.
    pub node: String,
    pub log: Log,
    pub stores: stores::config::Config,
    pub cluster: cluster::config::Config,
    pub actors: actors::config::Config,
    pub documents: documents::config::Config,
    pub mail: stores::post::config::Config,
    pub wallets: stores::wallets::config::Config,
    pub webhooks: stores::egress::config::Config,
    pub payments: stores::provider::config::Config,
    pub http: http::config::Config,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub format: LogFormat,
    /// Directives such as `info,onsale::http=debug`.
    pub filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: "n1".into(),
            log: Log::default(),
            stores: stores::config::Config::default(),
            cluster: cluster::config::Config::default(),
            actors: actors::config::Config::default(),
            documents: documents::config::Config::default(),
            mail: stores::post::config::Config::default(),
            wallets: stores::wallets::config::Config::default(),
            webhooks: stores::egress::config::Config::default(),
            payments: stores::provider::config::Config::default(),
            http: http::config::Config::default(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info,ractor_cluster=error".into() }
    }
}

/// Keys that hold lists: in the environment and in flags, comma-separated.
const LISTS: [&str; 6] = [
    "stores.etcd",
    "documents.fonts",
    "webhooks.ports",
    "webhooks.allow_networks",
    "http.trusted_proxies",
    "http.allowed_origins",
];
/// Of the test suite and of the command line, no keys of the configuration.
const NOT_OURS: [&str; 4] = ["ONSALE_TEST_", "ONSALE_SIM_", "ONSALE_CONFIG", "ONSALE_TOKEN"];

/// `flags` are (`http.listen`, value) pairs.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[(String, String)],
) -> Result<Config, ConfigError> {
    let environment: HashMap<String, String> =
        environment.into_iter().filter(|(name, _)| !NOT_OURS.iter().any(|prefix| name.starts_with(prefix))).collect();
    let mut builder = Builder::builder();
    if let Some(file) = file {
        builder = builder.add_source(File::from(file).format(FileFormat::Toml));
    }
    let mut variables = Environment::with_prefix("ONSALE")
        .prefix_separator("_")
        .separator("__")
        .try_parsing(true)
        .list_separator(",")
        .source(Some(environment));
    for key in LISTS {
        variables = variables.with_list_parse_key(key);
    }
    builder = builder.add_source(variables);
    for (key, value) in flags {
        builder = if LISTS.contains(&key.as_str()) {
            builder.set_override(key, value.split(',').map(str::to_owned).collect::<Vec<_>>())?
        } else {
            builder.set_override(key, value.as_str())?
        };
    }
    builder.build()?.try_deserialize()
}

impl Config {
    /// As TOML, with passwords in addresses replaced.
    pub fn redacted(&self) -> String {
        let mut shown = self.clone();
        let addresses = [&mut shown.stores.redis, &mut shown.stores.rabbitmq, &mut shown.stores.database];
        for address in addresses.into_iter().chain(&mut shown.stores.etcd) {
            *address = without_password(address);
        }
        toml::to_string(&shown).expect("plain tables and values")
    }
}

/// `scheme://user:password@host` with the password as stars; whatever else could hide one after `?` goes too.
fn without_password(address: &str) -> String {
    let (address, query) = address.split_once('?').map_or((address, ""), |(address, _)| (address, "?…"));
    let Some((scheme, rest)) = address.split_once("://") else { return format!("{address}{query}") };
    let Some((user, host)) = rest.rsplit_once('@') else { return format!("{scheme}://{rest}{query}") };
    match user.split_once(':') {
        Some((name, _)) => format!("{scheme}://{name}:***@{host}{query}"),
        None => format!("{scheme}://{user}@{host}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = directory.path().join("c.toml");
        std::fs::write(&file, "node = \"a\"\n[http]\nlisten = \"f:1\"\nadmin_listen = \"f:2\"\nbody_limit = 1\n")
            .expect("written");
        let environment = environment(&[
            ("ONSALE_HTTP__LISTEN", "e:1"),
            ("ONSALE_HTTP__ADMIN_LISTEN", "e:2"),
            ("ONSALE_STORES__ETCD", "a,b"),
            ("HOME", "/"),
            ("ONSALE_TOKEN", "for onsale stock"),
        ]);
        let flags = [("http.listen".to_owned(), "g:1".to_owned())];
        let config = load(Some(&file), environment, &flags).expect("loads");
        assert_eq!((config.node.as_str(), config.http.listen.as_str()), ("a", "g:1"));
        assert_eq!((config.http.admin_listen.as_str(), config.http.body_limit), ("e:2", 1));
        assert_eq!(config.stores.etcd, ["a", "b"]);
    }

    #[test]
    fn unknown_keys_are_refused_wherever_they_come_from() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = directory.path().join("c.toml");
        std::fs::write(&file, "[http]\nlisten_on = \"x\"\n").expect("written");
        let from_file = load(Some(&file), [], &[]).expect_err("refused").to_string();
        assert!(from_file.contains("listen_on"), "{from_file}");
        let from_environment =
            load(None, environment(&[("ONSALE_HTTP__LISTEN_ON", "x")]), &[]).expect_err("refused").to_string();
        assert!(from_environment.contains("listen_on"), "{from_environment}");
        let from_flags =
            load(None, [], &[("http.nothing".to_owned(), "1".to_owned())]).expect_err("refused").to_string();
        assert!(from_flags.contains("nothing"), "{from_flags}");
    }

    #[test]
    fn the_documented_file_says_every_default() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster.toml");
        let documented = load(Some(&path), [], &[]).expect("cluster.toml loads");
        let defaults = toml::to_string(&Config::default()).expect("plain");
        assert_eq!(toml::to_string(&documented).expect("plain"), defaults);
        // Keys without a value by default stand as comments.
        let text = std::fs::read_to_string(&path).expect("readable");
        for key in ["tls_cert", "tls_key", "root_secret_file"] {
            assert!(text.contains(&format!("# {key} =")), "{key} is not documented");
        }
        for line in defaults.lines().filter(|line| line.contains(" = ")) {
            assert!(text.lines().any(|documented| documented == line), "cluster.toml lacks: {line}");
        }
    }

    #[test]
    fn s_53_passwords_are_not_shown() {
        let mut config = Config::default();
        config.stores.database = "postgres://shop:s3cret@db/onsale?password=s3cret".into();
        config.stores.rabbitmq = "amqp://shop:s3c@ret@mq:5672/%2f".into();
        config.stores.redis = "redis://:s3cret@cache".into();
        let shown = config.redacted();
        assert!(!shown.contains("s3c"), "{shown}");
        assert!(shown.contains("postgres://shop:***@db/onsale"), "{shown}");
    }
}
