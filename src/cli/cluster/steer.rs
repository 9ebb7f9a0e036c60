//! Saying what shall run where, and watching until it does.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::STATUS;
use crate::{
    cli::admin::{Admin, AdminOptions},
    domain::id::EventId,
    failure::Failure,
    http::admin_cluster::body::{ClusterReport, NodeReport},
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// An event that no node runs for so long, while all answer, is not on its way: nobody asks for it.
const IDLE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, clap::Args)]
pub struct Drain {
    pub node: String,
    #[command(flatten)]
    pub steer: Steer,
}

#[derive(Debug, Clone, clap::Args)]
pub struct Undrain {
    pub node: String,
    /// For the audit.
    #[arg(long, default_value = "from the command line", value_name = "TEXT")]
    pub reason: String,
    #[command(flatten)]
    pub admin: AdminOptions,
}

#[derive(Debug, Clone, clap::Args)]
pub struct Move {
    pub event: EventId,
    /// Where to. Without it: wherever placement has it, which is not waited for.
    pub node: Option<String>,
    #[command(flatten)]
    pub steer: Steer,
}

#[derive(Debug, Clone, clap::Args)]
pub struct Steer {
    /// For the audit.
    #[arg(long, default_value = "from the command line", value_name = "TEXT")]
    pub reason: String,
    /// How long to wait until it is so; 0: not at all. What was asked for stays asked for.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub wait: u64,
    /// Print one JSON object when it is over.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub admin: AdminOptions,
}

impl Drain {
    pub async fn run(self) -> Result<(), Failure> {
        let Self { node, steer } = self;
        let (admin, began) = (Admin::new(steer.admin)?, Instant::now());
        let path = format!("/cluster/nodes/{node}/drain");
        let mut report: ClusterReport = admin.ask(Method::POST, &path, Some(json!({"reason": steer.reason}))).await?;
        let mut progress = Progress::new(&format!("{node} gives its events away"));
        let mut most = 0;
        let left = loop {
            let left = events_left(&report, &node);
            if let Some(left) = left {
                most = most.max(left);
                progress.show(most - left, most);
            }
            if left == Some(0) || began.elapsed() >= Duration::from_secs(steer.wait) {
                break left;
            }
            look(&admin, &mut report).await;
        };
        progress.end();
        let seconds = began.elapsed().as_secs_f64();
        if steer.json {
            println!("{}", json!({"node": node, "moved": most - left.unwrap_or(0), "left": left, "seconds": seconds}));
        }
        match left {
            Some(0) if !steer.json => println!("{node} runs nothing: {most} events given away in {seconds:.1} s"),
            Some(0) => {}
            // It was not to be waited for.
            _ if steer.wait == 0 => {}
            Some(left) => return Err(format!("{node} still runs {left} events, and goes on giving them away").into()),
            None => return Err(format!("{node} does not answer: what it runs is not known").into()),
        }
        Ok(())
    }
}

impl Undrain {
    pub async fn run(self) -> Result<(), Failure> {
        let path = format!("/cluster/nodes/{}/undrain", self.node);
        let body = Some(json!({"reason": self.reason}));
        let _: Value = Admin::new(self.admin)?.ask(Method::POST, &path, body).await?;
        println!("{} may run events again; it is given its share gradually", self.node);
        Ok(())
    }
}

impl Move {
    pub async fn run(self) -> Result<(), Failure> {
        let Self { event, node: to, steer } = self;
        let (admin, began) = (Admin::new(steer.admin)?, Instant::now());
        let path = format!("/cluster/events/{event}/move");
        let body = Some(json!({"to": to, "reason": steer.reason}));
        let mut report: ClusterReport = admin.ask(Method::POST, &path, body).await?;
        let mut progress = Progress::new("the event moves");
        progress.show(0, 1);
        let mut seen = began;
        let owner = loop {
            let owner = owner(&report, event);
            if owner.is_some() || report.nodes.iter().any(|node| !node.answers) {
                seen = Instant::now();
            }
            let is_over = to.is_none() || owner == to || seen.elapsed() >= IDLE;
            if is_over || began.elapsed() >= Duration::from_secs(steer.wait) {
                break owner;
            }
            look(&admin, &mut report).await;
        };
        progress.end();
        let seconds = began.elapsed().as_secs_f64();
        if steer.json {
            println!("{}", json!({"event": event, "to": to, "owner": owner, "seconds": seconds}));
        }
        match (to, owner) {
            (Some(to), Some(owner)) if owner != to && steer.wait > 0 => {
                return Err(format!("{event} still runs on {owner}; that it shall run on {to} is noted").into());
            }
            _ if steer.json => {}
            (Some(to), Some(owner)) if owner != to => println!("{event} shall run on {to}; at this moment: {owner}"),
            (Some(to), Some(_)) => println!("{event} runs on {to} after {seconds:.1} s"),
            (Some(to), None) => println!("{event} will run on {to} when somebody asks for it; no node runs it now"),
            (None, owner) => {
                let owner = owner.unwrap_or_else(|| "no node".to_owned());
                println!("{event} runs wherever placement has it; at this moment: {owner}");
            }
        }
        Ok(())
    }
}

/// Waits a moment and asks again. The node that is asked may be restarting: then what is known stays as it is.
async fn look(admin: &Admin, report: &mut ClusterReport) {
    sleep(LOOK).await;
    match admin.ask(Method::GET, STATUS, None).await {
        Ok(told) => *report = told,
        Err(error) => tracing::debug!(error, "no status"),
    }
}

/// `None`: not known. A node that is gone runs nothing.
fn events_left(report: &ClusterReport, node: &str) -> Option<u64> {
    let found = report.nodes.iter().find(|one| one.node == node);
    let count = |node: &NodeReport| u64::try_from(node.events.len()).unwrap_or(u64::MAX);
    found.map_or(Some(0), |node| node.answers.then(|| count(node)))
}

fn owner(report: &ClusterReport, event: EventId) -> Option<String> {
    let runs = |node: &&NodeReport| node.events.iter().any(|one| one.event == event);
    report.nodes.iter().find(runs).map(|node| node.node.clone())
}

/// A bar on a terminal, else a line now and then, all on standard error.
struct Progress {
    bar: ProgressBar,
    /// What was last said without a terminal.
    said: Option<(u64, u64)>,
    what: String,
}

impl Progress {
    fn new(what: &str) -> Self {
        let style = ProgressStyle::with_template("{prefix} {wide_bar:.cyan/blue} {pos}/{len} {elapsed}");
        let bar = ProgressBar::new(0).with_style(style.expect("a fixed template")).with_prefix(what.to_owned());
        Self { bar, said: None, what: what.to_owned() }
    }

    fn show(&mut self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.said != Some((done, of)) {
            self.said = Some((done, of));
            eprintln!("{}: {done} of {of}", self.what);
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> ClusterReport {
        let event = json!({"event": EventId::from_u128(7), "epoch": 1, "waiting": 0, "holds": 0, "outbox": 0,
            "commits_per_second": 0.0, "active": true});
        let node = |name: &str, answers: bool, events: &[&Value]| {
            json!({"node": name, "boot": "0", "state": "up", "drained": false, "version": "0.1.0", "link": "", "public": "",
                "admin": "", "since": "2026-11-20T18:00:00.000Z", "answers": answers, "links": [],
                "lease_ms_left": null, "events": events})
        };
        let nodes = [node("n1", true, &[]), node("n2", true, &[&event]), node("n3", false, &[])];
        serde_json::from_value(json!({"nodes": nodes})).expect("a report")
    }

    #[test]
    fn a_node_that_is_gone_has_nothing_left_and_of_a_silent_one_nothing_is_known() {
        let left = ["n1", "n2", "n3", "n4"].map(|node| events_left(&report(), node));
        assert_eq!(left, [Some(0), Some(1), None, Some(0)]);
    }

    #[test]
    fn the_owner_is_who_says_that_it_runs_the_event() {
        assert_eq!(owner(&report(), EventId::from_u128(7)).as_deref(), Some("n2"));
        assert_eq!(owner(&report(), EventId::from_u128(8)), None);
    }
}
