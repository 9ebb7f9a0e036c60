//! The members of an etcd that `scripts/backends up --etcd 3 DIR` runs: their leader can be killed, frozen and brought back.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use etcd_client::Client;
use tokio::{process::Command, time::sleep};

use crate::{cli::child, failure::Failure};

const START: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

pub struct Members {
    pub directory: PathBuf,
    pub endpoints: Vec<String>,
}

/// One that leads, or did when it was looked for.
pub struct Member {
    endpoint: String,
    /// Where its process id is written.
    file: PathBuf,
    process: u32,
    /// As it was started.
    command: Vec<String>,
}

impl Members {
    pub async fn leader(&self) -> Result<Member, Failure> {
        for endpoint in &self.endpoints {
            let mut client = Client::connect([endpoint], None).await?;
            let status = client.status().await?;
            let id = status.header().map(|header| header.member_id()).unwrap_or_default();
            if status.leader() != id {
                continue;
            }
            let members = client.member_list().await?;
            let name = members.members().iter().find(|member| member.id() == id).map(|member| member.name().to_owned());
            let file = self.directory.join("run").join(name.ok_or("the leader is no member")?);
            let read = |path: &PathBuf| {
                fs::read_to_string(path).map_err(|error| Failure::from(format!("{}: {error}", path.display())))
            };
            let process = read(&file)?.trim().parse::<u32>()?;
            let command = read(&PathBuf::from(format!("/proc/{process}/cmdline")))?;
            let command = command.split_terminator('\0').map(str::to_owned).collect();
            return Ok(Member { endpoint: endpoint.clone(), file, process, command });
        }
        Err("etcd has no leader".into())
    }
}

impl Member {
    /// Such as STOP.
    pub async fn signal(&self, name: &str) -> Result<(), Failure> {
        child::signal(self.process, name).await
    }

    /// After it was killed: returns when it answers. It outlives this process; whoever started the others ends it.
    pub async fn start_again(&self) -> Result<(), Failure> {
        let (program, arguments) = self.command.split_first().ok_or("a process without a program")?;
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn()?;
        fs::write(&self.file, process.id().ok_or("it has ended")?.to_string())?;
        self.answers().await
    }

    pub async fn answers(&self) -> Result<(), Failure> {
        let began = Instant::now();
        let answers = async || Client::connect([&self.endpoint], None).await?.status().await;
        while let Err(error) = answers().await {
            if began.elapsed() > START {
                return Err(error.into());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}
