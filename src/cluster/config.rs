//! How a node meets the others, and what must be so before it may.

use std::{io, net::SocketAddr};

use serde::{Deserialize, Serialize};
use tokio::net::lookup_host;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where links from other nodes arrive. Port 0: any free one.
    pub listen: String,
    /// How other nodes reach that: `host` or `host:port`. Empty: `listen`.
    pub advertise: String,
    /// File made by `onsale cluster invite`. Empty: none, which will do on loopback only.
    pub bundle: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: "127.0.0.1:0".into(), advertise: String::new(), bundle: String::new() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    #[error("cluster.{key} = {address:?}: {source}")]
    Address { key: &'static str, address: String, source: io::Error },
    #[error(
        "cluster.{key} = {address:?} is not on loopback: links between machines need cluster.bundle, which \
         `onsale cluster init` and `onsale cluster invite NODE` make"
    )]
    Exposed { key: &'static str, address: String },
    #[error(
        "cluster.listen is every address of this machine: cluster.advertise (--advertise) must say how others reach it"
    )]
    NoAdvertise,
}

impl Config {
    /// Where to listen.
    pub async fn addresses(&self, has_bundle: bool) -> Result<Vec<SocketAddr>, InvalidConfig> {
        let addresses = resolve("listen", &self.listen).await?;
        if !has_bundle && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(InvalidConfig::Exposed { key: "listen", address: self.listen.clone() });
        }
        if self.advertise.is_empty() && addresses.iter().any(|address| address.ip().is_unspecified()) {
            return Err(InvalidConfig::NoAdvertise);
        }
        Ok(addresses)
    }

    /// What to tell others when `bound` is where the listener is. Does not ask whether the name can be resolved here.
    pub fn advertised(&self, bound: SocketAddr) -> String {
        let port = |text: &str| text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        match self.advertise.as_str() {
            "" => bound.to_string(),
            // A bare IPv6 address has colons, but no brackets.
            host if host.parse::<std::net::Ipv6Addr>().is_ok() => format!("[{host}]:{}", bound.port()),
            address if port(address) => address.to_owned(),
            host => format!("{host}:{}", bound.port()),
        }
    }
}

/// What to tell others of another listener of this node: one on every address of the machine is told by the name in `link`.
pub fn reached_at(listener: &str, link: &str) -> String {
    let host = link.rsplit_once(':').map(|(host, _)| host);
    match (listener.parse::<SocketAddr>(), host) {
        (Ok(address), Some(host)) if address.ip().is_unspecified() => format!("{host}:{}", address.port()),
        _ => listener.to_owned(),
    }
}

async fn resolve(key: &'static str, address: &str) -> Result<Vec<SocketAddr>, InvalidConfig> {
    let failed = |source| InvalidConfig::Address { key, address: address.to_owned(), source };
    let found: Vec<_> = lookup_host(address).await.map_err(failed)?.collect();
    if found.is_empty() {
        return Err(failed(io::Error::other("no address")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str, advertise: &str) -> Config {
        Config { listen: listen.into(), advertise: advertise.into(), bundle: String::new() }
    }

    #[tokio::test]
    async fn s_54_off_loopback_a_bundle_is_needed() {
        for (listen, has_bundle, fits) in [
            ("127.0.0.1:0", false, true),
            ("[::1]:0", false, true),
            ("192.0.2.1:7400", false, false),
            ("0.0.0.0:7400", false, false),
            ("[::]:7400", false, false),
            ("192.0.2.1:7400", true, true),
            ("0.0.0.0:7400", true, true),
        ] {
            let checked = config(listen, "n1.example").addresses(has_bundle).await;
            assert_eq!(checked.is_ok(), fits, "{listen}: {checked:?}");
        }
        let nowhere = config("0.0.0.0:7400", "").addresses(true).await;
        assert!(matches!(nowhere, Err(InvalidConfig::NoAdvertise)), "{nowhere:?}");
    }

    #[test]
    fn no_listener_is_told_as_every_address() {
        for (listener, link, told) in [
            ("0.0.0.0:8080", "n1.example:7400", "n1.example:8080"),
            ("[::]:8080", "[fe80::1]:7400", "[fe80::1]:8080"),
            ("127.0.0.1:9090", "n1.example:7400", "127.0.0.1:9090"),
            ("10.0.0.1:8080", "n1.example:7400", "10.0.0.1:8080"),
            ("shop.example:8080", "10.0.0.1:7400", "shop.example:8080"),
        ] {
            assert_eq!(reached_at(listener, link), told);
        }
    }

    #[test]
    fn others_are_told_what_is_configured_or_else_what_is_bound() {
        let bound = "10.0.0.1:7400".parse().expect("an address");
        for (advertise, told) in [
            ("", "10.0.0.1:7400"),
            ("n1.example", "n1.example:7400"),
            ("n1.example:1", "n1.example:1"),
            ("10.0.0.2", "10.0.0.2:7400"),
            ("fe80::1", "[fe80::1]:7400"),
            ("[fe80::1]:1", "[fe80::1]:1"),
        ] {
            assert_eq!(config("10.0.0.1:7400", advertise).advertised(bound), told, "{advertise}");
        }
    }
}
