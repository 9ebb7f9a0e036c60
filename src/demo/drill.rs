//! A sale in which RabbitMQ and PostgreSQL are killed and started again: when each, and what must be true of the money after it.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Serialize;
use tokio::{process::Command, task::JoinHandle};

use super::{
    Said,
    fans::{Manner, Outcome, Step},
    setting::Setting,
};
use crate::{
    domain::{
        id::EventId,
        ledger::Account,
        time::{EventTime, Millis},
    },
    failure::Failure,
    http::now,
    stores::{
        database::{Database, checks, dead_letters},
        error::StoreError,
        provider::{Providers, reconcile::compare},
    },
};

/// Every order has come to its end so long after the last server is back.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// A server stays away for so long before it is started.
const AWAY: Duration = Duration::from_secs(1);
const SERVERS: [&str; 2] = ["rabbitmq", "postgres"];
/// Of this repository, where a drill is run.
const BACKENDS: &str = "scripts/backends";

/// The more fans shop at once, the longer each takes.
pub fn hold_seconds(fans: u32) -> u32 {
    10 + fans / 500
}

pub struct Drill {
    /// Where the servers are.
    directory: PathBuf,
    killed: usize,
    down: Option<JoinHandle<Result<(), Failure>>>,
    healed_at: Option<EventTime>,
}

/// What there is to say of it.
#[derive(Debug, Serialize)]
pub struct Findings {
    orders: u64,
    declined: usize,
    paid_late: usize,
    /// The shop was told of their payments again and again.
    told_repeatedly: usize,
    /// Orders whose money went back, for their stock had gone to others.
    given_back: usize,
    /// captured, pending, ticketed, refunding, refunded; in minor units
    money: [i64; Account::ALL.len()],
    /// From when the last server was back until the last order came to its end.
    terminal_after_ms: u64,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, declined, paid_late, told_repeatedly, given_back, money, terminal_after_ms } = self;
        let [captured, _, ticketed, _, refunded] = money;
        writeln!(
            f,
            "  {orders} orders: {declined} declined, {paid_late} paid late, {told_repeatedly} told repeatedly"
        )?;
        writeln!(
            f,
            "  captured {captured} = ticketed {ticketed} + refunded {refunded}; {given_back} orders given back"
        )?;
        let seconds = Duration::from_millis(*terminal_after_ms).as_secs_f64();
        write!(f, "  the last order came to its end {seconds:.1} s after the last server was back")
    }
}

impl Drill {
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, killed: 0, down: None, healed_at: None }
    }

    /// Lets the next server die when its time has come, and says what has happened.
    pub async fn look(&mut self, done: usize, fans: usize) -> Result<Option<String>, Failure> {
        if let Some(coming) = self.down.take_if(|coming| coming.is_finished()) {
            coming.await.map_err(|error| format!("a server: {error}"))??;
            self.healed_at = Some(now());
            return Ok(Some("It is back.".into()));
        }
        let Some(server) = SERVERS.get(self.killed).copied() else { return Ok(None) };
        if self.down.is_some() || done < fans * (self.killed + 1) / (SERVERS.len() + 1) {
            return Ok(None);
        }
        self.killed += 1;
        self.down = Some(tokio::spawn(die_and_come_back(self.directory.clone(), server)));
        Ok(Some(format!("{server} is killed.")))
    }

    /// At rest; what is wrong is added.
    pub async fn findings(
        mut self,
        setting: &Setting,
        event: EventId,
        said: &Said,
        wrong: &mut Vec<String>,
    ) -> Result<Findings, Failure> {
        // The last fans may be faster than the last server.
        if let Some(coming) = self.down.take() {
            coming.await.map_err(|error| format!("a server: {error}"))??;
            self.healed_at = Some(now());
        }
        if self.killed < SERVERS.len() {
            wrong.push("the sale was over before every server had been killed".into());
        }
        let healed_at = self.healed_at.ok_or("no server was killed")?;
        let config = &setting.config().stores;
        let database = Database::connect(config).await.map_err(|error| format!("the database: {error}"))?;
        let checked = check(&database, event, healed_at, said, wrong).await;
        database.close().await;
        Ok(checked.map_err(|error| format!("the database: {error}"))?)
    }
}

async fn die_and_come_back(directory: PathBuf, server: &'static str) -> Result<(), Failure> {
    backends("kill", &directory, server).await?;
    tokio::time::sleep(AWAY).await;
    backends("up", &directory, server).await
}

async fn backends(verb: &str, directory: &Path, server: &str) -> Result<(), Failure> {
    let mut command = Command::new(BACKENDS);
    let command = command.arg(verb).arg(directory).arg(server).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().await.map_err(|error| format!("{BACKENDS}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{BACKENDS} {verb} {server}: {status}").into()) }
}

async fn check(
    database: &Database,
    event: EventId,
    healed_at: EventTime,
    said: &Said,
    wrong: &mut Vec<String>,
) -> Result<Findings, StoreError> {
    let money = checks::money(database, event).await?;
    let [captured, pending, ticketed, refunding, refunded] = money;
    if captured != ticketed + refunded || (pending, refunding) != (0, 0) {
        wrong.push(format!("captured, pending, ticketed, refunding, refunded: {money:?}"));
    }
    let dead = dead_letters::count_waiting(database).await?;
    if dead > 0 {
        wrong.push(format!("{dead} messages are dead letters"));
    }
    for order in checks::money_under_way(database, event).await? {
        wrong.push(format!("money that is neither tickets nor back: {order}"));
    }
    for provider in Providers::sandbox(database).all() {
        let compared = compare(database, provider.as_ref(), now()).await?;
        wrong.extend(compared.differences.iter().map(|difference| format!("{}: {difference}", provider.name())));
    }
    let last = checks::last_change(database, event).await?.unwrap_or(healed_at);
    let terminal_after = last.since(healed_at);
    if terminal_after > Millis(PATIENCE.as_millis() as u64) {
        wrong.push(format!("the last order came to its end {} ms after the last server was back", terminal_after.0));
    }
    let ended = |wanted: fn(&Outcome) -> bool| said.outcomes.values().filter(|outcome| wanted(outcome)).count();
    let paid = |wanted: Manner| {
        said.steps.iter().filter(|report| matches!(report.step, Step::Paid { manner, .. } if manner == wanted)).count()
    };
    Ok(Findings {
        orders: checks::orders_by_state(database, event).await?.into_iter().map(|(_, count)| count).sum(),
        declined: ended(|outcome| matches!(outcome, Outcome::Declined { .. })),
        paid_late: paid(Manner::Late),
        told_repeatedly: paid(Manner::Repeated),
        given_back: ended(|outcome| matches!(outcome, Outcome::Refunded { .. })),
        money,
        terminal_after_ms: terminal_after.0,
    })
}
