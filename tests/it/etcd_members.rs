//! etcd members of one test's own: to be killed, to hang, to run out of space.

use std::{process::Command, time::Duration};

use etcd_client::Client;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{
    harness::eventually,
    servers::{Process, free_port},
};

const START_DEADLINE: Duration = Duration::from_secs(60);

pub struct Members {
    urls: Vec<String>,
    commands: Vec<Command>,
    processes: Vec<Option<Process>>,
    _folder: TempDir,
}

impl Members {
    /// Ready when it returns.
    pub async fn start(count: usize, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let url = |_| format!("http://127.0.0.1:{}", free_port());
        let urls: Vec<String> = (0..count).map(url).collect();
        let peers: Vec<String> = (0..count).map(url).collect();
        let named: Vec<String> = peers.iter().enumerate().map(|(n, peer)| format!("m{n}={peer}")).collect();
        let commands = urls.iter().zip(&peers).enumerate().map(|(n, (url, peer))| {
            let mut command = Command::new("etcd");
            command.args(["--name", &format!("m{n}"), "--initial-cluster", &named.join(",")]);
            command.args(["--listen-client-urls", url, "--advertise-client-urls", url]);
            command.args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]);
            command.arg("--data-dir").arg(folder.path().join(format!("m{n}"))).args(options);
            command
        });
        let mut commands: Vec<_> = commands.collect();
        let processes = commands.iter_mut().map(|command| Some(Process::start(command))).collect();
        let members = Self { urls, commands, processes, _folder: folder };
        timeout(START_DEADLINE, members.leader()).await.expect("the members elect a leader in time");
        members
    }

    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Waits until one of those asked says that it is.
    pub async fn leader(&self) -> usize {
        eventually("a member says that it leads", async || {
            for (n, url) in self.urls.iter().enumerate() {
                let Ok(client) = Client::connect([url], None).await else { continue };
                let mut maintenance = client.maintenance_client();
                let Ok(Ok(status)) = timeout(Duration::from_secs(1), maintenance.status()).await else { continue };
                if status.header().is_some_and(|header| header.member_id() == status.leader()) {
                    return Some(n);
                }
            }
            None
        })
        .await
    }

    pub fn kill(&mut self, member: usize) {
        self.processes[member] = None;
    }

    /// With what it knew when it was killed.
    pub fn start_again(&mut self, member: usize) {
        self.processes[member] = Some(Process::start(&mut self.commands[member]));
    }

    pub fn hang(&self, member: usize) {
        self.signal(member, "STOP");
    }

    pub fn go_on(&self, member: usize) {
        self.signal(member, "CONT");
    }

    fn signal(&self, member: usize, name: &str) {
        self.processes[member].as_ref().expect("not killed").signal(name);
    }
}
