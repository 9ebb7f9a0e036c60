//! This program as a process of its own, started and ended by another one of it.

use std::{net::TcpListener, path::Path, process::Stdio, time::Duration};

use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{config::Config, failure::Failure};

/// For a node that was told to stop: longer than it gives itself.
const STOP: Duration = Duration::from_secs(35);

/// Without input; killed when whoever started it lets go.
pub fn itself() -> Result<Command, Failure> {
    let file = std::env::current_exe().map_err(|error| format!("this program's file: {error}"))?;
    let mut command = Command::new(file);
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// A node with this configuration, which is written to the file.
pub fn serve(config: &Config, file: &Path) -> Result<Child, Failure> {
    let text = toml::to_string(config)?;
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    let node = itself()?.args(["serve", "--config"]).arg(file).spawn();
    Ok(node.map_err(|error| format!("the node: {error}"))?)
}

/// Of a child that was not waited for.
pub fn id(node: &Child) -> Result<u32, Failure> {
    Ok(node.id().ok_or("the node has ended by itself")?)
}

/// Such as TERM; by the shell's own `kill`: a bare system has no program of that name.
pub async fn signal(process: u32, name: &str) -> Result<(), Failure> {
    let told = Command::new("sh").args(["-c", &format!("kill -{name} \"$0\""), &process.to_string()]).status().await?;
    if told.success() { Ok(()) } else { Err(format!("process {process} was not sent {name}").into()) }
}

/// Tells a node to stop (SIGTERM); it must end by itself, and well.
pub async fn stop(mut node: Child) -> Result<(), Failure> {
    signal(id(&node)?, "TERM").await?;
    let status = timeout(STOP, node.wait()).await.map_err(|_| "the node did not stop in time")??;
    if status.success() { Ok(()) } else { Err(format!("the node ended with {status}").into()) }
}

/// On loopback: this port if it is free, else any. Somebody else may still take it before the child does.
pub fn free_address(port: u16) -> Result<String, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.map_err(|error| format!("no free port: {error}"))?.to_string())
}
