//! The other processes: the nodes, and the fans.

use std::{
    fmt,
    fs::{self, File},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{process::Child, task::JoinHandle};

use super::{Options, setting::Setting};
use crate::{
    cli::child::{self, itself},
    domain::id::EventId,
    failure::Failure,
};

pub struct Node(Child);

/// All of them; one at a time may be down.
pub struct Nodes {
    setting: Arc<Setting>,
    up: Vec<Option<Node>>,
    /// Which one, and how it is brought back.
    down: Option<(usize, JoinHandle<Result<Node, Failure>>)>,
}

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Killed,
    Restarted,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "killed (SIGKILL) and started again",
            Self::Restarted => "told to stop (SIGTERM) and started again",
        })
    }
}

impl Fault {
    pub fn asked(options: &Options) -> Option<Self> {
        if options.crash {
            return Some(Self::Killed);
        }
        options.roll.then_some(Self::Restarted)
    }
}

/// A node that was killed stays away for as long as the others need to take over what it ran.
const AWAY: Duration = Duration::from_secs(10);

impl Nodes {
    pub async fn start(setting: &Arc<Setting>) -> Result<Self, Failure> {
        let mut up = Vec::new();
        for number in 0..setting.nodes() {
            up.push(Some(Node::start(setting, number).await?));
        }
        Ok(Self { setting: Arc::clone(setting), up, down: None })
    }

    /// Whether one is down.
    pub async fn is_busy(&mut self) -> Result<bool, Failure> {
        if self.down.as_ref().is_some_and(|(_, coming)| coming.is_finished()) {
            self.settle().await?;
        }
        Ok(self.down.is_some())
    }

    async fn settle(&mut self) -> Result<(), Failure> {
        let Some((number, coming)) = self.down.take() else { return Ok(()) };
        let node = coming.await.map_err(|error| format!("a node: {error}"))??;
        if let Some(place) = self.up.get_mut(number) {
            *place = Some(node);
        }
        Ok(())
    }

    pub fn befall(&mut self, number: usize, fault: Fault) {
        let Some(mut node) = self.up.get_mut(number).and_then(Option::take) else { return };
        let setting = Arc::clone(&self.setting);
        let coming = async move {
            match fault {
                Fault::Killed => {
                    node.kill().await?;
                    let is_alone = setting.nodes() == 1;
                    tokio::time::sleep(if is_alone { Duration::ZERO } else { AWAY }).await;
                }
                Fault::Restarted => node.stop().await?,
            }
            Node::start(&setting, number).await
        };
        self.down = Some((number, tokio::spawn(coming)));
    }

    /// When all are up.
    pub async fn all(mut self) -> Result<Vec<Node>, Failure> {
        self.settle().await?;
        Ok(self.up.into_iter().flatten().collect())
    }
}

const START: Duration = Duration::from_secs(60);
/// Of the log, when the node does not start.
const LAST_LINES: usize = 20;

impl Node {
    /// Returns when the node says that it is ready.
    pub async fn start(setting: &Setting, number: usize) -> Result<Self, Failure> {
        let path = setting.directory().join(format!("node-{}.log", number + 1));
        let log = File::options().create(true).append(true).open(&path);
        let log = log.map_err(|error| format!("{}: {error}", path.display()))?;
        let mut node = itself()?
            .args(setting.serve_arguments(number))
            // Ctrl-C is for the demonstration, which then stops the node.
            .process_group(0)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("the node: {error}"))?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let deadline = Instant::now() + START;
        loop {
            let ready = client.get(format!("{}/health/ready", setting.url(number))).send().await;
            if ready.is_ok_and(|reply| reply.status().is_success()) {
                return Ok(Self(node));
            }
            if node.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
                return Err(format!("the node did not become ready:\n{}", last.join("\n")).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        Ok(self.0.kill().await.map_err(|error| format!("killing the node: {error}"))?)
    }

    pub async fn stop(self) -> Result<(), Failure> {
        child::stop(self.0).await
    }
}

/// They say on standard output what happens to them.
pub fn fans(setting: &Setting, event: EventId, seed: u64, is_drill: bool) -> Result<Child, Failure> {
    let mut fans = itself()?;
    fans.arg("fans").args(is_drill.then_some("--drill"));
    let fans = fans
        .args(["--url", &setting.urls(), "--event", &event.to_string(), "--seed", &seed.to_string()])
        .arg("--accounts")
        .arg(setting.accounts_file())
        .stdout(Stdio::piped())
        .spawn();
    Ok(fans.map_err(|error| format!("the fans: {error}"))?)
}
