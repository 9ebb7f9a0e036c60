//! Where organizers want to be told of what happens in their events.

use serde::Deserialize;
use uuid::Uuid;

use super::{
    Database, Query, Write,
    row::{Row, millis},
    statement,
};
use crate::{
    domain::{id::FanId, time::EventTime},
    stores::error::StoreError,
};

/// What may be asked for, as `docs/asyncapi.json` names it.
pub const TOPICS: [&str; 10] = [
    "order.created",
    "order.offered",
    "order.payment-success",
    "order.payment-cancelled",
    "ticket.issued",
    "ticket.replaced",
    "refund.begun",
    "refund.asked",
    "refund.failed",
    "refund.done",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Ascending.
    pub id: Uuid,
    pub organizer: FanId,
    pub url: String,
    pub description: String,
    /// Of [`TOPICS`].
    pub topics: Vec<String>,
    pub state: State,
    /// From 1.
    pub secret_version: u32,
    /// The secret of the version before signs too, until then.
    pub previous_until: EventTime,
    pub created_at: EventTime,
    pub updated_at: EventTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Active,
    /// Its organizer wants it so: nothing new is noted for it.
    Paused,
    /// It has answered 410.
    Gone,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Gone => "gone",
        }
    }
}

/// `false` if the organizer has as many as may be.
pub async fn add(write: &mut Write, endpoint: &Endpoint, most: u32) -> Result<bool, StoreError> {
    // Two at the same moment may make one too many.
    let insert = sqlx::query(
        "INSERT INTO webhook_endpoints (id, organizer_id, url, description, topics, state, secret_version, previous_until, \
         created_at, updated_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $9 \
         WHERE (SELECT COUNT(*) FROM webhook_endpoints WHERE organizer_id = $2) < $10",
    )
    .bind(text(endpoint.id))
    .bind(endpoint.organizer.to_string())
    .bind(endpoint.url.clone())
    .bind(endpoint.description.clone())
    .bind(endpoint.topics.join(" "))
    .bind(endpoint.state.as_str())
    .bind(i64::from(endpoint.secret_version))
    .bind(millis(endpoint.previous_until))
    .bind(millis(endpoint.created_at))
    .bind(i64::from(most));
    Ok(write.execute(insert).await? == 1)
}

fn select(which: &'static str) -> Query {
    const COLUMNS: &str =
        "id, organizer_id, url, description, topics, state, secret_version, previous_until, created_at, updated_at";
    statement(["SELECT ", COLUMNS, " FROM webhook_endpoints ", which])
}

/// Oldest first.
pub async fn of_organizer(database: &Database, organizer: FanId) -> Result<Vec<Endpoint>, StoreError> {
    let select = select("WHERE organizer_id = $1 ORDER BY id");
    database.fetch_all(select.bind(organizer.to_string())).await?.iter().map(of_row).collect()
}

pub async fn by_id(database: &Database, id: Uuid) -> Result<Option<Endpoint>, StoreError> {
    database.fetch_optional(select("WHERE id = $1").bind(text(id))).await?.map(|row| of_row(&row)).transpose()
}

/// URL, description, topics and state; `false` if it is not there.
pub async fn update(write: &mut Write, endpoint: &Endpoint, now: EventTime) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "UPDATE webhook_endpoints SET url = $2, description = $3, topics = $4, state = $5, updated_at = $6 WHERE id = $1",
    )
    .bind(text(endpoint.id))
    .bind(endpoint.url.clone())
    .bind(endpoint.description.clone())
    .bind(endpoint.topics.join(" "))
    .bind(endpoint.state.as_str())
    .bind(millis(now));
    Ok(write.execute(update).await? == 1)
}

/// The next secret; the one of before signs too until `until`. `false` if somebody else was first.
pub async fn rotate(
    write: &mut Write,
    endpoint: &Endpoint,
    until: EventTime,
    now: EventTime,
) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "UPDATE webhook_endpoints SET secret_version = secret_version + 1, previous_until = $3, updated_at = $4 \
         WHERE id = $1 AND secret_version = $2",
    )
    .bind(text(endpoint.id))
    .bind(i64::from(endpoint.secret_version))
    .bind(millis(until))
    .bind(millis(now));
    Ok(write.execute(update).await? == 1)
}

/// It has said that it will never answer again.
pub async fn is_gone(write: &mut Write, id: Uuid, now: EventTime) -> Result<(), StoreError> {
    let update =
        sqlx::query("UPDATE webhook_endpoints SET state = 'gone', updated_at = $2 WHERE id = $1 AND state = 'active'");
    write.execute(update.bind(text(id)).bind(millis(now))).await.map(|_| ())
}

/// With all that was noted for it.
pub async fn delete(write: &mut Write, id: Uuid) -> Result<(), StoreError> {
    for delete in [
        "DELETE FROM webhook_attempts WHERE delivery_id IN (SELECT id FROM webhook_deliveries WHERE endpoint_id = $1)",
        "DELETE FROM webhook_deliveries WHERE endpoint_id = $1",
        "DELETE FROM webhook_endpoints WHERE id = $1",
    ] {
        write.execute(sqlx::query(delete).bind(text(id))).await?;
    }
    Ok(())
}

pub(super) fn text(id: Uuid) -> String {
    id.simple().to_string()
}

fn of_row(row: &Row) -> Result<Endpoint, StoreError> {
    Ok(Endpoint {
        id: row.parsed("id")?,
        organizer: row.parsed("organizer_id")?,
        url: row.string("url")?,
        description: row.string("description")?,
        topics: row.text("topics")?.split_whitespace().map(str::to_owned).collect(),
        state: row.named("state")?,
        secret_version: row.number("secret_version")?,
        previous_until: row.time("previous_until")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
