//! The other two processes: the node, and the fans.

use std::{
    fs::{self, File},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::process::Child;

use super::setting::Setting;
use crate::{
    cli::child::{self, itself},
    domain::id::EventId,
    failure::Failure,
};

pub struct Node(Child);

const START: Duration = Duration::from_secs(60);
/// Of the log, when the node does not start.
const LAST_LINES: usize = 20;

impl Node {
    /// Returns when the node says that it is ready.
    pub async fn start(setting: &Setting) -> Result<Self, Failure> {
        let path = setting.directory().join("node.log");
        let log = File::options().create(true).append(true).open(&path);
        let log = log.map_err(|error| format!("{}: {error}", path.display()))?;
        let mut node = itself()?
            .args(setting.serve_arguments())
            // Ctrl-C is for the demonstration, which then stops the node.
            .process_group(0)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("the node: {error}"))?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let deadline = Instant::now() + START;
        loop {
            let ready = client.get(format!("{}/health/ready", setting.url())).send().await;
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
pub fn fans(setting: &Setting, event: EventId, seed: u64) -> Result<Child, Failure> {
    let fans = itself()?
        .args(["fans", "--url", setting.url(), "--event", &event.to_string(), "--seed", &seed.to_string()])
        .arg("--accounts")
        .arg(setting.accounts_file())
        .stdout(Stdio::piped())
        .spawn();
    Ok(fans.map_err(|error| format!("the fans: {error}"))?)
}
