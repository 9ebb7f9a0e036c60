//! Orders all the way, from the hold to the ticket in the database: how many a second, how long each takes, and of what there is
//! too little.

mod buyers;
mod report;

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use tokio::time::sleep;

pub use self::buyers::{Options as BuyersOptions, run as buyers};
use self::{
    buyers::Buyers,
    report::{Report, bottleneck},
};
use super::{
    Common,
    load::{self, Fan},
    processors::Used,
    report::Tally,
    stage::{self, Lagging, PER_FAN, Stage},
};
use crate::{
    domain::{
        account::Role,
        claims::{Access, AdmissionClaim, Kind},
        id::EventId,
        order::OrderState,
    },
    failure::Failure,
    http,
    stores::{
        database::{Database, checks, tickets},
        provider::{reconcile, sandbox::Sandbox},
    },
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    orders: u64,
    /// Connections, one request at a time on each.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    buyers: u64,
    /// Orders begun beyond those that have tickets, at most.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    ahead: u64,
    #[arg(long, default_value = "page")]
    way: Way,
    #[command(flatten)]
    common: Common,
}

/// How the shop hears of the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// As a fan pays: the sandbox's form, its books, its webhook.
    Page,
    /// The buyers send the signed webhook themselves: without what is the sandbox's own work.
    Direct,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Direct => "direct",
        }
    }
}

/// Of the stage's one ticket type.
const PRICE_MINOR: i64 = 5_000;
const TOKEN_SECONDS: u64 = 7_200;
const LOOK: Duration = Duration::from_millis(50);
/// For the last tickets, and for what only follows them.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn run(options: Options) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let stage = Stage::open(&options.common.config, Lagging::AsConfigured).await?;
    let measured = measure(&stage, &options).await;
    let left = stage.leave().await;
    let swept = left.sweep().await;
    let report = measured?;
    report.print(options.common.json);
    swept?;
    if report.wrong.is_empty() { Ok(()) } else { Err("the audit found something wrong".into()) }
}

async fn measure(stage: &Stage, options: &Options) -> Result<Report, Failure> {
    let fans = stage.fans();
    let (event, inventory) = stage.open_event().await?;
    stage.admit(&inventory, fans).await?;
    let app = stage.node().app();
    let file = load::file_of(fans.iter().zip(1..).map(|(fan, n)| {
        let claim = AdmissionClaim::of(event, stage::place(n));
        Fan {
            access: app.tokens.sign(Kind::Access, *fan, TOKEN_SECONDS, Access::of(1, vec![Role::Fan])),
            admission: app.tokens.sign(Kind::Admission, *fan, TOKEN_SECONDS, claim),
        }
    }))?;
    let mut key = tempfile::NamedTempFile::with_prefix("onsale-bench-key-")?;
    key.write_all(&**app.webhook_keys.first().ok_or("no key of webhooks")?)?;
    let mut buyers = Buyers::start(&BuyersOptions {
        address: stage.node().address().to_string(),
        event: event.to_string(),
        buyers: options.buyers,
        orders: options.orders,
        ahead: options.ahead,
        per_fan: PER_FAN.into(),
        fans: file.path().to_owned(),
        way: options.way,
        key: key.path().to_owned(),
    })?;
    let (from, to) = watch(&mut buyers, options.orders, &app.database, event).await?;
    let facts_behind = inventory.view().outbox;
    let outcome = buyers.outcome().await?;
    if let Some(refusal) = &outcome.first_refusal {
        eprintln!("  first refusal: {refusal}");
    }
    let mut watched = Tally::default();
    for &(value, count) in &outcome.times {
        watched.times.saturating_record_n(value, count);
    }
    let ms = |quantile| watched.times.value_at_quantile(quantile) as f64 / 1_000.0;
    let seconds = to.at.duration_since(from.at).as_secs_f64();
    let processors = to.used.shares_since(&from.used);
    let tickets = all_ticketed(&app.database, event, outcome.paid).await?;
    Ok(Report {
        stores: stage.config().stores.technologies(),
        way: options.way,
        buyers: options.buyers,
        ahead: options.ahead,
        orders: options.orders,
        seconds,
        orders_per_s: (to.tickets - from.tickets) as f64 / seconds,
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        stages: Counts::stages(&from.counts, &to.counts, seconds),
        bottleneck: bottleneck(&processors),
        processors,
        facts_behind,
        paid: outcome.paid,
        refused: outcome.refused,
        tickets,
        wrong: audit(stage, event, options.way, outcome.paid, tickets).await?,
    })
}

/// What was known at one moment.
struct Look {
    at: Instant,
    tickets: u64,
    counts: Counts,
    used: Used,
}

/// Tells the buyers how many tickets there are, and looks around at a tenth and at nine tenths of them.
async fn watch(buyers: &mut Buyers, orders: u64, database: &Database, event: EventId) -> Result<(Look, Look), Failure> {
    let process = buyers.process()?;
    let mut first = None;
    let (mut told, mut moved) = (0, Instant::now());
    loop {
        sleep(LOOK).await;
        let counts = Counts::now();
        if counts.ticketed() > told {
            (told, moved) = (counts.ticketed(), Instant::now());
            buyers.tell(told).await?;
        }
        let is_due = told * 10 >= orders * if first.is_some() { 9 } else { 1 };
        if is_due {
            let tickets = tickets::count_live(database, event).await?;
            let look = Look {
                at: Instant::now(),
                tickets,
                counts: Counts::now(),
                used: Used::now([(std::process::id(), "node"), (process, "buyers")])?,
            };
            match first.take() {
                None => first = Some(look),
                Some(first) => {
                    // They are not held back any more.
                    buyers.tell(orders).await?;
                    return Ok((first, look));
                }
            }
        }
        if moved.elapsed() > PATIENCE {
            return Err(format!("{told} of {orders} orders have tickets, and no more are coming").into());
        }
    }
}

/// The node's own counters, by name and labels.
struct Counts(String);

impl Counts {
    /// What is shown, and what the lines begin with that count it.
    const STAGES: [(&'static str, &'static str, &'static str); 6] = [
        ("holds", "onsale_http_requests_total{", "/holds\",status=\"201\""),
        ("checkouts", "onsale_http_requests_total{", "/checkout\",status=\"202\""),
        ("paid", "onsale_http_requests_total{", "status=\"303\""),
        ("webhooks", "onsale_http_requests_total{", "/webhook\",status=\"204\""),
        ("settled", "onsale_payments_settled_total{", "outcome=\"ticketed\""),
        ("order facts", "onsale_order_facts_applied_total", ""),
    ];

    fn now() -> Self {
        Self(http::metrics::recorder().render())
    }

    fn of(&self, begins: &str, has: &str) -> u64 {
        let lines = self.0.lines().filter(|line| line.starts_with(begins) && line.contains(has));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Counted when order and tickets are committed.
    fn ticketed(&self) -> u64 {
        let [.., (_, begins, has), _] = Self::STAGES;
        self.of(begins, has)
    }

    fn stages(from: &Self, to: &Self, seconds: f64) -> Vec<report::Stage> {
        let stage = |(name, begins, has): (&'static str, &str, &str)| {
            let count = to.of(begins, has).saturating_sub(from.of(begins, has));
            report::Stage { name, per_s: count as f64 / seconds }
        };
        Self::STAGES.into_iter().map(stage).collect()
    }
}

/// Waits until every paid order has its ticket; how many there are.
async fn all_ticketed(database: &Database, event: EventId, paid: u64) -> Result<u64, Failure> {
    let began = Instant::now();
    loop {
        let tickets = tickets::count_live(database, event).await?;
        if tickets >= paid || began.elapsed() > PATIENCE {
            return Ok(tickets);
        }
        sleep(LOOK * 4).await;
    }
}

/// Each order bought one ticket.
async fn audit(stage: &Stage, event: EventId, way: Way, paid: u64, tickets: u64) -> Result<Vec<String>, Failure> {
    let database = &stage.node().app().database;
    let mut wrong = Vec::new();
    if tickets != paid {
        wrong.push(format!("{paid} orders were paid, and there are {tickets} tickets"));
    }
    let view = stage.read_back(event).await?.view(http::now());
    let sold: u64 = view.ticket_types.iter().map(|row| u64::from(row.sold)).sum();
    let capacity: u64 = view.ticket_types.iter().map(|row| u64::from(row.capacity)).sum();
    if sold != tickets || sold > capacity {
        wrong.push(format!("the journal has sold {sold} of {capacity}, and there are {tickets} tickets"));
    }
    let states = checks::orders_by_state(database, event).await?;
    let ticketed = states.iter().find(|(state, _)| *state == OrderState::Ticketed).map_or(0, |(_, count)| *count);
    if ticketed != tickets {
        wrong.push(format!("{ticketed} orders are ticketed, and there are {tickets} tickets"));
    }
    for (what, orders) in [
        ("tickets without a sale", checks::ticketed_without_sale(database, event).await?),
        ("another number of tickets", checks::miscounted(database, event).await?),
        ("paid twice", checks::paid_twice(database, event).await?),
        ("a ledger that does not balance", checks::unbalanced(database, event).await?),
    ] {
        wrong.extend(orders.iter().map(|order| format!("{what}: {order}")));
    }
    // Without its page the sandbox knows of no money.
    if way == Way::Page {
        let compared = reconcile::compare(database, &Sandbox::new(database.clone()), http::now()).await?;
        wrong.extend(compared.differences.iter().map(ToString::to_string));
    }
    Ok(wrong)
}
