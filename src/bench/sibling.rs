//! Another node on the servers of the stage, as a process of its own.

use std::{
    path::PathBuf,
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
const LOOK: Duration = Duration::from_millis(20);

pub struct Sibling {
    config: Config,
    file: PathBuf,
    /// `None` while it is down.
    child: Option<Child>,
    client: reqwest::Client,
}

/// What operators want is told the cluster this way too.
pub async fn wishes(of: &Config) -> Result<WishStore, Failure> {
    let stores = &of.stores;
    let others = [&stores.redis, &stores.rabbitmq, &stores.database];
    if stores.etcd.is_empty() || others.iter().any(|server| server.is_empty()) {
        return Err("several nodes need servers that they share: --etcd, --redis, --rabbitmq and --database".into());
    }
    Ok(WishStore::new(Arc::new(Etcd::new(&stores.etcd).await?)))
}

/// Beside the stage's node.
pub async fn start_three(of: &Config, nodes: &mut Vec<Sibling>) -> Result<(), Failure> {
    for letter in ["a", "b", "c"] {
        nodes.push(Sibling::start(of, letter).await?);
    }
    Ok(())
}

pub async fn stop_all(nodes: Vec<Sibling>) {
    for mut node in nodes {
        if let Err(error) = node.stop().await {
            eprintln!("{}: {error}", node.name());
        }
    }
}

impl Sibling {
    /// Returns when it is ready.
    pub async fn start(of: &Config, letter: &str) -> Result<Self, Failure> {
        let directory = &of.stores.data_dir;
        let mut config = of.clone();
        config.node = format!("{}-{letter}", of.node);
        config.stores.data_dir = directory.join(letter);
        config.http.listen = child::free_address(0)?;
        config.http.admin_listen = child::free_address(0)?;
        // As the stage's node has it, unless a file is given for all.
        config.http.root_secret_file.get_or_insert_with(|| directory.join("root.secret"));
        let file = directory.join(format!("{letter}.toml"));
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut sibling = Self { config, file, child: None, client };
        sibling.start_again().await?;
        Ok(sibling)
    }

    pub fn name(&self) -> &str {
        &self.config.node
    }

    pub fn address(&self) -> &str {
        &self.config.http.listen
    }

    /// Returns when it is ready.
    pub async fn start_again(&mut self) -> Result<(), Failure> {
        let child = self.child.insert(child::serve(&self.config, &self.file)?);
        let began = Instant::now();
        let url = format!("http://{}/api/v1/health/ready", self.config.http.listen);
        while !is_ok(&self.client, &url).await {
            if child.try_wait()?.is_some() || began.elapsed() > START {
                return Err(format!("{} did not become ready", self.config.node).into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Returns when the event's node is reached from here.
    pub async fn reaches(&self, event: EventId) -> Result<(), Failure> {
        let began = Instant::now();
        let url = format!("http://{}/api/v1/events/{event}/availability", self.address());
        while !is_ok(&self.client, &url).await {
            if began.elapsed() > START {
                return Err(format!("{} does not reach the event", self.name()).into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// What its metrics say; 0 before the first time.
    pub async fn measure(&self, name: &str) -> Result<f64, Failure> {
        measure(&self.client, &self.config.http.admin_listen, name).await
    }

    pub fn process(&self) -> Result<u32, Failure> {
        child::id(self.child.as_ref().ok_or("it is down")?)
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        match self.child.take() {
            Some(mut child) => Ok(child.kill().await?),
            None => Ok(()),
        }
    }

    pub async fn signal(&self, name: &str) -> Result<(), Failure> {
        child::signal(self.process()?, name).await
    }

    pub async fn stop(&mut self) -> Result<(), Failure> {
        match self.child.take() {
            Some(child) => child::stop(child).await,
            None => Ok(()),
        }
    }
}

pub async fn measure(client: &reqwest::Client, admin: &str, name: &str) -> Result<f64, Failure> {
    let text = client.get(format!("http://{admin}/metrics")).send().await?.text().await?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.map_or(Ok(0.0), str::parse)?)
}

async fn is_ok(client: &reqwest::Client, url: &str) -> bool {
    client.get(url).send().await.is_ok_and(|answer| answer.status() == StatusCode::OK)
}
