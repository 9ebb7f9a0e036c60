//! Another node on the servers of the stage, as a process of its own. It runs no event: it carries requests to the stage's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use tokio::process::Child;

use crate::{
    cli::child,
    config::Config,
    domain::id::EventId,
    failure::Failure,
    stores::{etcd::Etcd, wishes::WishStore},
};

const START: Duration = Duration::from_secs(60);

pub struct Sibling {
    child: Child,
    address: String,
    name: String,
    wishes: WishStore,
    client: reqwest::Client,
}

impl Sibling {
    pub async fn start(of: &Config) -> Result<Self, Failure> {
        let stores = &of.stores;
        let others = [&stores.redis, &stores.rabbitmq, &stores.database];
        if stores.etcd.is_empty() || others.iter().any(|server| server.is_empty()) {
            return Err("two nodes need servers that they share: --etcd, --redis, --rabbitmq and --database".into());
        }
        let mut config = of.clone();
        config.node = format!("{}-front", of.node);
        config.stores.data_dir = stores.data_dir.join("front");
        config.http.listen = child::free_address(0)?;
        config.http.admin_listen = child::free_address(0)?;
        // As the stage's node has it, unless a file is given for all.
        let own = stores.data_dir.join("root.secret");
        config.http.root_secret_file = of.http.root_secret_file.clone().or(Some(own));
        let wishes = WishStore::new(Arc::new(Etcd::new(&stores.etcd).await?));
        wishes.drain(&config.node).await?;
        let child = child::serve(&config, &stores.data_dir.join("front.toml"))?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut sibling = Self { child, address: config.http.listen, name: config.node, wishes, client };
        let began = Instant::now();
        while !sibling.answers("/health/ready").await {
            if sibling.child.try_wait()?.is_some() || began.elapsed() > START {
                return Err("the other node did not become ready".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(sibling)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns when the event's node is reached from here.
    pub async fn reaches(&self, event: EventId) -> Result<(), Failure> {
        let began = Instant::now();
        let path = format!("/events/{event}/availability");
        while !self.answers(&path).await {
            if began.elapsed() > START {
                return Err("the other node does not reach the event".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn answers(&self, path: &str) -> bool {
        let answer = self.client.get(format!("http://{}/api/v1{path}", self.address)).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    pub async fn stop(self) -> Result<(), Failure> {
        child::stop(self.child).await?;
        Ok(self.wishes.undrain(&self.name).await?)
    }
}
