//! Simulated fans, in a process of their own that uses nothing but the public API.
//!
//! Reads accounts from a file, plays one life for each, and prints a JSON line for each step. Trusts nothing that it is
//! told: the audit is made elsewhere, from the stores.

mod client;
mod life;

use std::{path::PathBuf, sync::Arc, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

pub use self::{
    client::{Client, Headers, Pass, REQUESTS, Reply, Socket},
    life::Plan,
};
use crate::{
    domain::id::{EventId, FanId, OrderRef},
    failure::Failure,
};

/// What a fan signs in with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    pub id: FanId,
    pub email: String,
    pub password: String,
}

/// One line on standard output.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    pub fan: FanId,
    pub step: Step,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Joined,
    Admitted,
    Held {
        reference: OrderRef,
        quantity: u32,
        again: bool,
    },
    Paid {
        reference: OrderRef,
        manner: Manner,
    },
    /// The end of the life.
    Done(Outcome),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    Good,
    /// The shop heard of it when the hold had lapsed.
    Late,
    /// The shop is told again and again.
    Repeated,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ticketed {
        reference: OrderRef,
        tickets: u32,
    },
    /// Was told that there is nothing left.
    SoldOut,
    /// Left the queue by choice.
    Left,
    /// Let the hold lapse, by choice or by being slow.
    Lapsed {
        reference: OrderRef,
    },
    /// Declined to pay by choice.
    Declined {
        reference: OrderRef,
    },
    /// Paid too late: the money went back.
    Refunded {
        reference: OrderRef,
    },
    /// Something that must not happen.
    Failed {
        why: String,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Base URL of the public API; of several, comma-separated, each fan goes to one, and to the next when that does not
    /// answer.
    #[arg(long)]
    pub url: String,
    #[arg(long)]
    pub event: EventId,
    /// File with one account (JSON) a line.
    #[arg(long)]
    pub accounts: PathBuf,
    #[arg(long)]
    pub seed: u64,
    /// Seconds over which the fans arrive.
    #[arg(long, default_value_t = 3.0)]
    pub arrive: f64,
    /// Those of a drill: everybody orders.
    #[arg(long)]
    pub drill: bool,
}

/// What fans do, in percent of all; the rest buys straight away.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    pub leave: u32,
    pub lapse: u32,
    pub decline: u32,
    /// The shop hears of their payment when the hold has lapsed.
    pub late: u32,
    /// The shop is told again and again of their payment.
    pub repeated: u32,
}

impl Shares {
    pub const SHOW: Self = Self { leave: 5, lapse: 4, decline: 8, late: 0, repeated: 0 };
    pub const DRILL: Self = Self { leave: 0, lapse: 0, decline: 5, late: 2, repeated: 2 };
}

/// Of all of them, in percent.
pub const RECONNECT: u32 = 15;
pub const RETRY: u32 = 20;

/// What fan number `index` will do: a function of the seed alone.
pub fn plan(seed: u64, index: u64, arrive: f64, shares: Shares) -> Plan {
    let Shares { leave, lapse, decline, late, repeated } = shares;
    let mut random = StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index);
    let intent = match random.random_range(0..100) {
        n if n < leave => life::Intent::Leave,
        n if n < leave + lapse => life::Intent::LetLapse,
        n if n < leave + lapse + decline => life::Intent::Decline,
        n if n < leave + lapse + decline + late => life::Intent::PayLate,
        n if n < leave + lapse + decline + late + repeated => life::Intent::BuyRepeated,
        _ => life::Intent::Buy,
    };
    Plan {
        intent,
        quantity: random.random_range(1..=4),
        reconnects: random.random_range(0..100) < RECONNECT,
        retries: random.random_range(0..100) < RETRY,
        taste: random.random_range(0..3),
        arrives_after: Duration::from_secs_f64(random.random_range(0.0..arrive.max(0.001))),
        thinks: Duration::from_millis(random.random_range(20..300)),
    }
}

/// Plays all lives; ends when the last one has.
pub async fn run(options: Options) -> Result<(), Failure> {
    let accounts = std::fs::read_to_string(&options.accounts)
        .map_err(|error| format!("{}: {error}", options.accounts.display()))?;
    let accounts: Vec<Account> = accounts
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("an account: {error}")))
        .collect::<Result<_, String>>()?;
    let clients = Client::each_first(&options.url)?;
    let (reports, mut printed) = tokio::sync::mpsc::unbounded_channel::<Report>();
    let printer = std::thread::spawn(move || {
        use std::io::Write;
        let mut out = std::io::stdout().lock();
        while let Some(report) = printed.blocking_recv() {
            let line = serde_json::to_string(&report).expect("plain enums");
            // The reader is gone: nobody wants to know any more.
            if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    });
    let mut lives = tokio::task::JoinSet::new();
    for ((index, account), client) in (0..).zip(accounts).zip(clients.iter().cycle()) {
        let shares = if options.drill { Shares::DRILL } else { Shares::SHOW };
        let plan = plan(options.seed, index, options.arrive, shares);
        let life = life::Life::new(Arc::clone(client), options.event, account, plan, reports.clone());
        lives.spawn(life.live());
    }
    drop(reports);
    while lives.join_next().await.is_some() {}
    Ok(printer.join().map_err(|_| "the printer died")?)
}
