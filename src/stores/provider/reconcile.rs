//! The ledger held against a provider's own records, payment by payment. Changes nothing.

use std::{collections::BTreeMap, fmt};

use super::{Over, Page, PaymentProvider, Record};
use crate::{
    domain::{
        id::PaymentId,
        time::{EventTime, Millis},
    },
    stores::{
        database::{
            Database,
            ledger::{self, PaymentBooks},
            payments,
        },
        error::StoreError,
    },
};

const PAGE: u32 = 1_000;
/// Money that nobody has decided about for so long is stuck.
pub const PENDING: Millis = Millis::minutes(10);
/// So long before the first payment of ours a provider is asked for money that it has moved.
const BEFORE: Millis = Millis::minutes(24 * 60);
/// What the provider's clock may be ahead of ours.
const CLOCKS: Millis = Millis::minutes(10);

/// Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The provider has moved money for something that is no payment of ours.
    NotOurs {
        session: String,
        captured_minor: i64,
        refunded_minor: i64,
    },
    /// The ledger has money that the provider knows nothing of.
    NotTheirs {
        session: String,
        payment: PaymentId,
        captured_minor: i64,
    },
    Captured {
        session: String,
        payment: PaymentId,
        ledger_minor: i64,
        provider_minor: i64,
    },
    Refunded {
        session: String,
        payment: PaymentId,
        ledger_minor: i64,
        provider_minor: i64,
    },
    /// Neither tickets nor a refund.
    Pending {
        session: String,
        payment: PaymentId,
        minor: i64,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs { session, captured_minor, refunded_minor } => write!(
                f,
                "session {session}: the provider has captured {captured_minor} and given back {refunded_minor}; no payment of ours"
            ),
            Self::NotTheirs { session, payment, captured_minor } => {
                write!(f, "payment {payment}: {captured_minor} in the ledger; the provider knows no session {session}")
            }
            Self::Captured { session, payment, ledger_minor, provider_minor } => write!(
                f,
                "payment {payment}, session {session}: captured {ledger_minor} in the ledger, {provider_minor} at the provider"
            ),
            Self::Refunded { session, payment, ledger_minor, provider_minor } => write!(
                f,
                "payment {payment}, session {session}: given back {ledger_minor} in the ledger, {provider_minor} at the provider"
            ),
            Self::Pending { session, payment, minor } => {
                write!(f, "payment {payment}, session {session}: {minor} have become neither tickets nor a refund")
            }
        }
    }
}

/// What was compared, and what differs; by session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    pub payments: usize,
    pub sessions: usize,
    pub differences: Vec<Difference>,
}

/// The provider's records are read first: what moves meanwhile is in the ledger already, or shows as a difference that is gone when it is compared again.
pub async fn compare(
    database: &Database,
    provider: &dyn PaymentProvider,
    now: EventTime,
) -> Result<Comparison, StoreError> {
    let first = payments::first_at(database, provider.name()).await?.unwrap_or(now);
    let over = Over { since: first - BEFORE, until: now + CLOCKS };
    let theirs = records(provider, over).await?;
    let ours = books(database, provider.name()).await?;
    let mut differences = Vec::new();
    for (session, (captured_minor, refunded_minor)) in &theirs {
        let (session, captured_minor, refunded_minor) = (session.clone(), *captured_minor, *refunded_minor);
        if !ours.contains_key(&session) && (captured_minor, refunded_minor) != (0, 0) {
            differences.push(Difference::NotOurs { session, captured_minor, refunded_minor });
        }
    }
    for (session, books) in &ours {
        one(session, books, theirs.get(session), now, &mut differences);
    }
    Ok(Comparison { payments: ours.len(), sessions: theirs.len(), differences })
}

fn one(
    session: &str,
    books: &PaymentBooks,
    theirs: Option<&(i64, i64)>,
    now: EventTime,
    differences: &mut Vec<Difference>,
) {
    let (session, payment) = (session.to_owned(), books.payment);
    let (ledger_captured, ledger_refunded) = (books.captured_minor, books.refunded_minor);
    if books.pending_minor != 0 && books.at.is_some_and(|at| now.since(at) >= PENDING) {
        differences.push(Difference::Pending { session: session.clone(), payment, minor: books.pending_minor });
    }
    match theirs {
        // An unpaid session may never have been opened there.
        None if (ledger_captured, ledger_refunded) == (0, 0) => {}
        None => differences.push(Difference::NotTheirs { session, payment, captured_minor: ledger_captured }),
        Some(&(captured, refunded)) => {
            if captured != ledger_captured {
                let (ledger_minor, provider_minor) = (ledger_captured, captured);
                let session = session.clone();
                differences.push(Difference::Captured { session, payment, ledger_minor, provider_minor });
            }
            if refunded != ledger_refunded {
                let (ledger_minor, provider_minor) = (ledger_refunded, refunded);
                differences.push(Difference::Refunded { session, payment, ledger_minor, provider_minor });
            }
        }
    }
}

/// Captured and refunded, by session.
async fn records(provider: &dyn PaymentProvider, over: Over) -> Result<BTreeMap<String, (i64, i64)>, StoreError> {
    let mut all: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let Page { records, next } = provider.records(over, &after, PAGE).await?;
        for Record { session, captured_minor, refunded_minor } in records {
            let (captured, refunded) = all.entry(session).or_default();
            *captured = captured.saturating_add(captured_minor);
            *refunded = refunded.saturating_add(refunded_minor);
        }
        let Some(next) = next else { return Ok(all) };
        after = next;
    }
}

async fn books(database: &Database, provider: &str) -> Result<BTreeMap<String, PaymentBooks>, StoreError> {
    let mut all = BTreeMap::new();
    let mut after = None;
    loop {
        let page = ledger::by_payment(database, provider, after, PAGE).await?;
        let Some((_, last)) = page.last() else { return Ok(all) };
        after = Some(last.payment);
        all.extend(page);
    }
}
