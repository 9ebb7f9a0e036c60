//! Hosts for nodes: network namespaces on one bridge, between which packets are dropped as a test says, in either direction.
//!
//! Servers stay where they are. Hosts reach them at this side's address on the bridge, where the test relays.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
};

use crate::servers::is_root;

/// What a host no longer hears, or what no longer hears it.
#[derive(Debug, Clone, Copy)]
pub enum Other {
    Host(usize),
    /// A relay.
    Port(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// What the others say.
    ToIt,
    /// What it says.
    FromIt,
    Both,
}

static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rand::random()));

/// Taken away when dropped, after what runs there.
pub struct Net {
    tag: String,
    subnet: String,
    hosts: usize,
}

impl Net {
    /// `None`, and loudly so, where namespaces may not be made.
    pub fn new(hosts: usize) -> Option<Self> {
        if !is_root() {
            return skipped("not root");
        }
        sweep();
        let tag = format!("onsale-{}-{:04x}", std::process::id(), rand::random::<u16>());
        // RFC 2544: for trials like this. Of this process's nets no two are the same.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let subnet = format!("198.{}.{}", 18 + number / 256 % 2, number % 256);
        let net = Self { tag, subnet, hosts };
        if let Err(why) = ip(&["netns", "add", &net.tag]) {
            return skipped(&why);
        }
        net.join().unwrap_or_else(|why| unreachable!("{why}"));
        Some(net)
    }

    /// A bridge in a namespace, where no firewall of this machine is in its way, and everybody's cable to it.
    fn join(&self) -> Result<(), String> {
        let (switch, here) = (self.tag.as_str(), format!("o{:08x}", rand::random::<u32>()));
        ip(&["-n", switch, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", switch, "link", "set", "bridge", "up"])?;
        ip(&["link", "add", &here, "type", "veth", "peer", "name", "here", "netns", switch])?;
        ip(&["address", "add", &format!("{}/24", self.gateway()), "dev", &here])?;
        ip(&["link", "set", &here, "up"])?;
        ip(&["-n", switch, "link", "set", "here", "master", "bridge", "up"])?;
        for host in 0..self.hosts {
            let (name, port) = (self.name(host), format!("host{host}"));
            ip(&["netns", "add", &name])?;
            ip(&["-n", switch, "link", "add", &port, "type", "veth", "peer", "name", "cable", "netns", &name])?;
            ip(&["-n", switch, "link", "set", &port, "master", "bridge", "up"])?;
            ip(&["-n", &name, "address", "add", &format!("{}/24", self.address(host)), "dev", "cable"])?;
            ip(&["-n", &name, "link", "set", "cable", "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            let chain = |name: &str| format!("chain {name} {{ type filter hook {name} priority filter; }}\n");
            self.rules(host, &format!("table inet lost {{\n{}{}}}", chain("input"), chain("output")))?;
        }
        Ok(())
    }

    /// Where relays are to listen.
    pub fn gateway(&self) -> String {
        format!("{}.1", self.subnet)
    }

    pub fn address(&self, host: usize) -> String {
        format!("{}.{}", self.subnet, host + 10)
    }

    fn name(&self, host: usize) -> String {
        format!("{}-{host}", self.tag)
    }

    /// Runs a program there.
    pub fn command(&self, host: usize, program: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("ip");
        // Becomes the program, so that it has its process id.
        command.args(["netns", "exec", &self.name(host), program]);
        command
    }

    /// Packets are dropped and nobody is told.
    pub fn cut(&self, host: usize, others: &[Other], lost: Lost) {
        let mut rules = String::new();
        for other in others {
            let (address, port) = match other {
                Other::Host(other) => (self.address(*other), None),
                Other::Port(port) => (self.gateway(), Some(port)),
            };
            for (chain, way, end) in [("input", Lost::ToIt, 's'), ("output", Lost::FromIt, 'd')] {
                if lost == way || lost == Lost::Both {
                    let port = port.map(|port| format!("tcp {end}port {port} ")).unwrap_or_default();
                    let _ = writeln!(rules, "add rule inet lost {chain} ip {end}addr {address} {port}drop");
                }
            }
        }
        self.rules(host, &rules).unwrap_or_else(|why| unreachable!("{why}"));
    }

    pub fn heal(&self, host: usize) {
        self.rules(host, "flush table inet lost").unwrap_or_else(|why| unreachable!("{why}"));
    }

    fn rules(&self, host: usize, rules: &str) -> Result<(), String> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(host), "nft", "-f", "-"]);
        run(command, rules)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        remove(&self.tag);
    }
}

fn skipped<T>(why: &str) -> Option<T> {
    // Past the test's own output, which is shown of failures only.
    let _ = writeln!(io::stderr(), "NOT RUN, because network namespaces cannot be made: {why}");
    None
}

/// What tests left behind that were killed.
fn sweep() {
    let listed = Command::new("ip").args(["netns", "list"]).output().expect("ip is installed");
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let tag = line.split_whitespace().next().unwrap_or_default();
        let process = tag.strip_prefix("onsale-").and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = ip(&["netns", "delete", tag]);
        }
    }
}

/// All that go by this tag; their cables go with them.
fn remove(tag: &str) {
    let listed = Command::new("ip").args(["netns", "list"]).output();
    let listed = listed.map(|listed| String::from_utf8_lossy(&listed.stdout).into_owned()).unwrap_or_default();
    for name in listed.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| name.starts_with(tag)) {
        let _ = ip(&["netns", "delete", name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("ip");
    command.args(arguments);
    run(command, "")
}

fn run(mut command: Command, input: &str) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let mut stdin = child.stdin.take().expect("piped");
    // Who does not read it says why.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}
