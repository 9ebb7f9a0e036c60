//! The other two processes: the node, and the fans.

use std::{
    fs::File,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::process::{Child, Command};

use super::setting::Setting;
use crate::domain::id::EventId;

pub struct Node {
    child: Child,
}

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(35);

impl Node {
    /// Returns when the node says that it is ready.
    pub async fn start(setting: &Setting) -> Result<Self, String> {
        let path = setting.directory().join("node.log");
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut child = itself()?
            .args(setting.serve_arguments())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("the node: {error}"))?;
        let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
        let deadline = Instant::now() + START;
        loop {
            let ready = client.get(format!("{}/health/ready", setting.url())).send().await;
            if ready.is_ok_and(|reply| reply.status().is_success()) {
                return Ok(Self { child });
            }
            let ended = child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(format!("the node did not become ready:\n{}", tail.join("\n")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGKILL.
    pub async fn kill(mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("killing the node: {error}"))
    }

    /// SIGTERM; it must end by itself, and well.
    pub async fn stop(mut self) -> Result<(), String> {
        let pid = self.child.id().ok_or("the node has ended by itself")?;
        let sent = crate::cli::terminate(pid).await;
        if !sent.is_ok_and(|status| status.success()) {
            return Err("the node could not be told to stop".into());
        }
        let status = tokio::time::timeout(STOP, self.child.wait())
            .await
            .map_err(|_| "the node did not stop in time".to_owned())?
            .map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the node ended with {status}")) }
    }
}

pub fn fans(setting: &Setting, event: EventId, seed: u64) -> Result<Child, String> {
    itself()?
        .args([
            "fans",
            "--url",
            setting.url(),
            "--event",
            &event.to_string(),
            "--seed",
            &seed.to_string(),
            "--accounts",
        ])
        .arg(setting.accounts_file())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("the fans: {error}"))
}

fn itself() -> Result<Command, String> {
    std::env::current_exe().map(Command::new).map_err(|error| format!("this program's file: {error}"))
}
