//! The sandbox provider's own books: as foreign to the shop as any provider's.

mod cards;
mod refunds;
mod together;

use serde::Deserialize;
use uuid::Uuid;

pub use self::{
    cards::Card,
    refunds::{GivenBack, NotGiven, RecordedSession, give_back, sessions},
};

pub(super) use self::together::{ById, Create, Decide, Deliver};
use super::{
    Database, Write,
    row::{Row, millis},
};
use crate::{
    domain::{
        id::OrderRef,
        money::Money,
        time::{EventTime, Millis},
    },
    stores::{crash_point::Step, error::StoreError},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: String,
    pub reference: OrderRef,
    pub amount: Money,
    pub state: State,
    pub card: Card,
    pub return_url: String,
    pub created_at: EventTime,
    pub updated_at: EventTime,
}

/// Open becomes paid, declined or cancelled; paid becomes refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    Paid,
    Declined,
    Cancelled,
    Refunded,
}

/// How long the money of [`Card::Processing`] is under way.
pub const PROCESSING: Millis = Millis::seconds(8);

impl Session {
    pub fn is_processing(&self, now: EventTime) -> bool {
        self.state == State::Paid && self.card == Card::Processing && now < self.updated_at + PROCESSING
    }
}

/// What the fan, or the shop, has decided about a session.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    pub to: State,
    /// Which of the test cards was used.
    pub card: Card,
    pub says: &'a [Said],
}

/// A message to the shop, told from then on.
#[derive(Debug, Clone)]
pub struct Said {
    pub body: String,
    pub at: EventTime,
}

/// A webhook that waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: String,
    pub body: String,
    /// Made so far.
    pub attempts: u32,
    pub next_at: EventTime,
}

/// Does nothing if the session is there: the same request again.
pub async fn create(write: &mut Write, session: &Session) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO sandbox_sessions (id, order_reference, amount_minor, currency, state, return_url, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
    )
    .bind(session.id.clone())
    .bind(session.reference.to_string())
    .bind(session.amount.minor)
    .bind(session.amount.currency.to_string())
    .bind(session.state.as_str())
    .bind(session.return_url.clone())
    .bind(millis(session.created_at))
    .bind(millis(session.updated_at));
    write.execute(insert).await.map(|_| ())
}

/// [`create`] in a transaction of its own.
pub async fn create_now(database: &Database, session: Session) -> Result<(), StoreError> {
    database.inner.desks.sandbox_sessions.bring(database, Create(session)).await
}

pub async fn by_id(database: &Database, id: &str) -> Result<Option<Session>, StoreError> {
    database.inner.desks.sandbox_read.bring(database, ById(id.to_owned())).await
}

fn of_row(row: &Row) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.string("id")?,
        reference: row.parsed("order_reference")?,
        amount: row.money("amount_minor")?,
        state: row.named("state")?,
        card: row.parsed("card")?,
        return_url: row.string("return_url")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// Moves the session and lays down what is to be told, in one transaction. `false` if it is in that state already;
/// [`StoreError::Conflict`] if it cannot get there.
pub async fn decide(database: &Database, id: &str, decision: Decision<'_>, now: EventTime) -> Result<bool, StoreError> {
    if !matches!(decision.to, State::Paid | State::Declined | State::Cancelled) {
        return Err(StoreError::Conflict("nobody decides that"));
    }
    let Decision { to, card, says } = decision;
    let decide = Decide { id: id.to_owned(), to, card, says: says.to_vec(), now };
    database.inner.desks.sandbox_decisions.bring(database, decide).await
}

async fn decide_alone(database: &Database, decide: Decide) -> Result<bool, StoreError> {
    let Decide { id, to, card, says, now } = decide;
    let mut write = database.begin().await?;
    let update = sqlx::query(
        "UPDATE sandbox_sessions SET state = $2, card = $3, updated_at = $4 WHERE id = $1 AND state = 'open'",
    );
    let update = update.bind(id.clone()).bind(to.as_str()).bind(card.as_str()).bind(millis(now));
    if write.execute(update).await? == 0 {
        let select = sqlx::query("SELECT state FROM sandbox_sessions WHERE id = $1");
        let row = write.fetch_optional(select.bind(id)).await?;
        let state = row.map(|row| row.named::<State>("state")).transpose()?;
        return if state == Some(to) {
            Ok(false)
        } else {
            Err(StoreError::Conflict("the session cannot come to that state"))
        };
    }
    say(&mut write, &says).await?;
    write.is_step(Step::Captured);
    write.commit().await?;
    Ok(true)
}

async fn say(write: &mut Write, says: &[Said]) -> Result<(), StoreError> {
    for Said { body, at } in says {
        let insert = sqlx::query("INSERT INTO sandbox_webhooks (id, body, attempts, next_at) VALUES ($1, $2, 0, $3)");
        let insert = insert.bind(Uuid::now_v7().to_string()).bind(body.clone()).bind(millis(*at));
        write.execute(insert).await?;
    }
    Ok(())
}

/// Webhooks to deliver now, the longest due first.
pub async fn due(database: &Database, now: EventTime, limit: u32) -> Result<Vec<Webhook>, StoreError> {
    let select = sqlx::query(
        "SELECT id, body, attempts, next_at FROM sandbox_webhooks WHERE delivered_at IS NULL AND next_at <= $1 \
         ORDER BY next_at LIMIT $2",
    );
    let rows = database.fetch_all(select.bind(millis(now)).bind(i64::from(limit))).await?;
    rows.iter()
        .map(|row| {
            Ok(Webhook {
                id: row.string("id")?,
                body: row.string("body")?,
                attempts: row.number("attempts")?,
                next_at: row.time("next_at")?,
            })
        })
        .collect()
}

pub async fn delivered(database: &Database, id: &str, now: EventTime) -> Result<(), StoreError> {
    database.inner.desks.sandbox_deliveries.bring(database, Deliver { id: id.to_owned(), now }).await
}

async fn delivered_alone(database: &Database, id: String, now: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query(
        "UPDATE sandbox_webhooks SET delivered_at = $2, attempts = attempts + 1 WHERE id = $1 AND COALESCE(delivered_at, 0) = 0",
    );
    let mut write = database.begin().await?;
    write.is_step(Step::WebhookDelivered);
    write.execute(update.bind(id).bind(millis(now))).await?;
    write.commit().await
}

/// Counts the attempt.
pub async fn deliver_later(database: &Database, id: &str, next_at: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query(
        "UPDATE sandbox_webhooks SET next_at = $2, attempts = attempts + 1 WHERE id = $1 AND COALESCE(delivered_at, 0) = 0",
    );
    let mut write = database.begin().await?;
    write.execute(update.bind(id.to_owned()).bind(millis(next_at))).await?;
    write.commit().await
}

impl State {
    /// As serde spells it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
        }
    }
}
