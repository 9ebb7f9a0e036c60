//! Payments: our side of what happens at a provider. At most one is open for an order.
//!
//! | state | may become |
//! |---|---|
//! | open | captured, declined |
//! | declined | captured (the provider's word on money is final, in whatever order it arrives) |
//! | captured | refunding (all of it goes back; a part of it changes nothing here) |
//! | refunding | refunded |
//! | refunded | – |

pub mod outstanding;

use std::{collections::HashMap, str::FromStr};

use super::{
    Database, Query, Write, fault,
    many::{Many, ROWS, Texts},
    row::{Row, millis},
    statement,
    together::Work,
};
use crate::{
    domain::{
        id::{OrderRef, PaymentId},
        money::Money,
        time::EventTime,
    },
    stores::{crash_point::Step, error::StoreError},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub reference: OrderRef,
    /// `sandbox`, …
    pub provider: String,
    /// The provider's own name of it; the payment's id until the provider has told.
    pub provider_session: String,
    pub amount: Money,
    pub state: State,
    /// The provider's hosted page; empty until the provider has told.
    pub url: String,
    pub created_at: EventTime,
    pub updated_at: EventTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Captured,
    Declined,
    Refunding,
    Refunded,
}

impl State {
    /// The table above.
    pub fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Open, Self::Captured | Self::Declined)
                | (Self::Declined, Self::Captured)
                | (Self::Captured, Self::Refunding)
                | (Self::Refunding, Self::Refunded)
        )
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
        }
    }
}

const COLUMNS: &str =
    "id, order_reference, provider, provider_session, amount_minor, currency, state, url, created_at, updated_at";

/// [`Payment`]s, as [`of_row`] reads them.
fn select(which: &'static str) -> Query {
    statement(["SELECT ", COLUMNS, " FROM payments ", which])
}

/// Writes this open payment, unless the order has an open one: the answer is the one that is open now.
/// [`StoreError::Conflict`] if the order is paid already, or the provider's session is another order's.
pub async fn open(write: &mut Write, payment: &Payment) -> Result<Payment, StoreError> {
    let insert = sqlx::query(
        "INSERT INTO payments (id, order_reference, provider, provider_session, amount_minor, currency, state, url, \
         created_at, updated_at) SELECT $1, $2, $3, $4, $5, $6, 'open', $7, $8, $8 WHERE NOT EXISTS \
         (SELECT 1 FROM payments WHERE order_reference = $2 AND state = 'captured') ON CONFLICT DO NOTHING",
    )
    .bind(payment.id.to_string())
    .bind(payment.reference.to_string())
    .bind(payment.provider.clone())
    .bind(payment.provider_session.clone())
    .bind(payment.amount.minor)
    .bind(payment.amount.currency.to_string())
    .bind(payment.url.clone())
    .bind(millis(payment.created_at));
    write.is_step(Step::PaymentOpened);
    write.execute(insert).await?;
    let select = select("WHERE order_reference = $1 AND state = 'open'");
    match write.fetch_optional(select.bind(payment.reference.to_string())).await? {
        Some(row) => of_row(&row),
        None => Err(StoreError::Conflict("no payment can be opened for the order")),
    }
}

pub async fn by_id(database: &Database, id: PaymentId) -> Result<Option<Payment>, StoreError> {
    let select = select("WHERE id = $1");
    database.fetch_optional(select.bind(id.to_string())).await?.map(|row| of_row(&row)).transpose()
}

/// When the first of this provider's was opened.
pub async fn first_at(database: &Database, provider: &str) -> Result<Option<EventTime>, StoreError> {
    let select = statement(["SELECT created_at FROM payments WHERE provider = $1 ORDER BY created_at LIMIT 1"]);
    database.fetch_optional(select.bind(provider.to_owned())).await?.map(|row| row.time("created_at")).transpose()
}

pub async fn by_provider_session(
    database: &Database,
    provider: &str,
    session: &str,
) -> Result<Option<Payment>, StoreError> {
    let which = BySession { provider: provider.to_owned(), session: session.to_owned() };
    database.inner.desks.payments_read.bring(database, which).await
}

pub(super) struct BySession {
    provider: String,
    session: String,
}

static BY_SESSION: Many = Many::new(|| {
    let before = ["SELECT ", COLUMNS, " FROM payments JOIN (VALUES "].concat();
    Texts::rows(&before, 2, ") AS v ON payments.provider = v.column1 AND payments.provider_session = v.column2")
});

impl Work for BySession {
    type Done = Option<Payment>;

    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<Option<Payment>>>, StoreError> {
        let mut found = HashMap::new();
        for some in all.chunks(ROWS) {
            let select = BY_SESSION.bound(database.backend(), some, |query, Self { provider, session }| {
                query.bind(provider.clone()).bind(session.clone())
            });
            for row in database.fetch_all(select).await? {
                let payment = of_row(&row)?;
                found.insert((payment.provider.clone(), payment.provider_session.clone()), payment);
            }
        }
        Ok(all.iter().map(|one| Some(found.get(&(one.provider.clone(), one.session.clone())).cloned())).collect())
    }

    async fn alone(self, database: &Database) -> Result<Option<Payment>, StoreError> {
        let select = select("WHERE provider = $1 AND provider_session = $2");
        let select = select.bind(self.provider).bind(self.session);
        database.fetch_optional(select).await?.map(|row| of_row(&row)).transpose()
    }
}

/// All of an order, newest first.
pub async fn of_order(database: &Database, reference: OrderRef) -> Result<Vec<Payment>, StoreError> {
    let select = select("WHERE order_reference = $1 ORDER BY created_at DESC, id DESC");
    database.fetch_all(select.bind(reference.to_string())).await?.iter().map(of_row).collect()
}

/// By the table above; nothing to do if it is there already. [`StoreError::Conflict`] if there is no such payment or the table
/// has no such way. [`StoreError::Unavailable`] if somebody else was in between: where it stands now is to be asked anew.
pub async fn set_state(write: &mut Write, id: PaymentId, to: State, now: EventTime) -> Result<(), StoreError> {
    let (_, from) = state(write, id).await?.ok_or(StoreError::Conflict("there is no such payment"))?;
    if from == to {
        return Ok(());
    }
    if !from.may_become(to) {
        return Err(StoreError::Conflict("the payment cannot come to that state"));
    }
    let update =
        sqlx::query("UPDATE payments SET state = $3, updated_at = $4, look_at = NULL WHERE id = $1 AND state = $2");
    let update = update.bind(id.to_string()).bind(from.as_str()).bind(to.as_str()).bind(millis(now));
    match write.execute(update).await? {
        0 => Err(fault::contended()),
        _ => Ok(()),
    }
}

static SELECT: Many = Many::new(|| Texts::list(&["SELECT ", COLUMNS, " FROM payments WHERE id IN "].concat(), ""));
static CAPTURE: Many = Many::new(|| {
    let before = "UPDATE payments SET state = 'captured', updated_at = v.column2, look_at = NULL";
    Texts::updates(before, 2, "payments.id", " AND payments.state IN ('open', 'declined')")
});

/// [`read`] for many: those that are there.
pub(super) async fn read_many(write: &mut Write, ids: &[PaymentId]) -> Result<HashMap<PaymentId, Payment>, StoreError> {
    let mut payments = HashMap::with_capacity(ids.len());
    for some in ids.chunks(ROWS) {
        for row in write.fetch_all(SELECT.bound(write.backend(), some, |query, id| query.bind(id.to_string()))).await? {
            let payment = of_row(&row)?;
            payments.insert(payment.id, payment);
        }
    }
    Ok(payments)
}

/// Their money is here; `false` if any, which must be different ones, cannot come to that, or was there already.
pub(super) async fn capture_many(write: &mut Write, captured: &[(PaymentId, EventTime)]) -> Result<bool, StoreError> {
    let mut changed = 0;
    for some in captured.chunks(ROWS) {
        let update =
            CAPTURE.bound(write.backend(), some, |query, (id, at)| query.bind(id.to_string()).bind(millis(*at)));
        changed += write.execute(update).await?;
    }
    Ok(changed == captured.len() as u64)
}

/// As of within the transaction.
pub(super) async fn read(write: &mut Write, id: PaymentId) -> Result<Option<Payment>, StoreError> {
    let select = select("WHERE id = $1");
    write.fetch_optional(select.bind(id.to_string())).await?.map(|row| of_row(&row)).transpose()
}

/// One of the order whose money is here and does not go back, as of within the transaction.
pub(super) async fn captured(write: &mut Write, reference: OrderRef) -> Result<Option<PaymentId>, StoreError> {
    let select = sqlx::query("SELECT id FROM payments WHERE order_reference = $1 AND state = 'captured' LIMIT 1");
    let row = write.fetch_optional(select.bind(reference.to_string())).await?;
    row.map(|row| row.parsed("id")).transpose()
}

/// Whose it is, and where it stands, as of within the transaction.
pub(super) async fn state(write: &mut Write, id: PaymentId) -> Result<Option<(OrderRef, State)>, StoreError> {
    let select = sqlx::query("SELECT order_reference, state FROM payments WHERE id = $1");
    let Some(row) = write.fetch_optional(select.bind(id.to_string())).await? else { return Ok(None) };
    Ok(Some((row.parsed("order_reference")?, row.parsed("state")?)))
}

/// Whether money for the order is here that has not gone back.
pub(super) async fn holds_money(write: &mut Write, reference: OrderRef) -> Result<bool, StoreError> {
    let select = sqlx::query(
        "SELECT id FROM payments WHERE order_reference = $1 AND state IN ('captured', 'refunding') LIMIT 1",
    );
    Ok(write.fetch_optional(select.bind(reference.to_string())).await?.is_some())
}

fn of_row(row: &Row) -> Result<Payment, StoreError> {
    Ok(Payment {
        id: row.parsed("id")?,
        reference: row.parsed("order_reference")?,
        provider: row.string("provider")?,
        provider_session: row.string("provider_session")?,
        amount: row.money("amount_minor")?,
        state: row.parsed("state")?,
        url: row.string("url")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a state of a payment")]
pub struct NotAState;

impl FromStr for State {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        let all = [Self::Open, Self::Captured, Self::Declined, Self::Refunding, Self::Refunded];
        all.into_iter().find(|state| state.as_str() == text).ok_or(NotAState)
    }
}
