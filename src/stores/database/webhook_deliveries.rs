//! What webhook endpoints are told: noted before the message it tells of is forgotten, taken by one sender at a time, and what became
//! of each attempt.
//!
//! A message is noted once for each endpoint, however often it comes by. A sender that dies amid sending leaves a delivery taken
//! for a while; then it goes out again, under the same message's id.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use uuid::Uuid;

use super::{
    Database, Query, Write,
    many::{Many, ROWS, Texts},
    page::{self, Cursor, Page},
    row::{Row, millis},
    statement,
    webhook_endpoints::{self, text},
};
use crate::{
    domain::{
        id::EventId,
        time::{EventTime, Millis},
    },
    stores::{crash_point::Step, error::StoreError},
};

/// How long it is tried to deliver one.
pub const TRIED_FOR: Millis = Millis::minutes(3 * 24 * 60);
/// The log goes back so far.
pub const KEPT_FOR: Millis = Millis::minutes(30 * 24 * 60);

/// Something that happened in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    pub event: EventId,
    pub topic: &'static str,
    /// As on the broker.
    pub message_id: String,
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Ascending.
    pub id: Uuid,
    pub endpoint: Uuid,
    pub message_id: String,
    pub topic: String,
    /// JSON.
    pub body: String,
    pub state: State,
    pub attempts: u32,
    /// Not before; while somebody is at it, when another may.
    pub next_at: EventTime,
    pub give_up_at: EventTime,
    pub last_outcome: String,
    pub created_at: EventTime,
    pub delivered_at: Option<EventTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Waiting,
    Delivered,
    /// Tried for too long; a person may have it sent again.
    Failed,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    pub at: EventTime,
    pub duration_ms: u64,
    /// `None`: there was no answer.
    pub status: Option<u16>,
    pub error: String,
}

static LISTENING: Many = Many::new(|| {
    let before = "SELECT e.id AS event_id, w.id AS endpoint_id, w.topics FROM events e JOIN webhook_endpoints w \
                  ON w.organizer_id = e.organizer_id JOIN accounts a ON a.id = w.organizer_id \
                  WHERE w.state = 'active' AND a.status = 'active' AND e.id IN ";
    Texts::list(before, "")
});

static INSERT: Many = Many::new(|| {
    let before = "INSERT INTO webhook_deliveries (id, endpoint_id, message_id, topic, body, state, attempts, next_at, \
                  give_up_at, last_outcome, created_at) VALUES ";
    Texts::rows(before, 11, " ON CONFLICT (endpoint_id, message_id) DO NOTHING")
});

/// Notes it for each endpoint that listens; any number of times. Where nobody listens, one read and no write.
pub async fn note(database: &Database, news: &[News], now: EventTime) -> Result<(), StoreError> {
    let events: Vec<EventId> = news.iter().map(|one| one.event).collect::<BTreeSet<_>>().into_iter().collect();
    let mut listening: HashMap<EventId, Vec<(Uuid, String)>> = HashMap::new();
    for some in events.chunks(ROWS) {
        for row in database
            .fetch_all(LISTENING.bound(database.backend(), some, |query, event| query.bind(event.to_string())))
            .await?
        {
            let endpoint = (row.parsed("endpoint_id")?, row.string("topics")?);
            listening.entry(row.parsed("event_id")?).or_default().push(endpoint);
        }
    }
    let noted: Vec<(Uuid, Uuid, &News)> = news
        .iter()
        .flat_map(|one| listening.get(&one.event).into_iter().flatten().map(move |endpoint| (endpoint, one)))
        .filter(|((_, topics), one)| topics.split(' ').any(|topic| topic == one.topic))
        .map(|((endpoint, _), one)| (Uuid::now_v7(), *endpoint, one))
        .collect();
    if noted.is_empty() {
        return Ok(());
    }
    let mut write = database.begin().await?;
    write.is_step(Step::HookNoted);
    for some in noted.chunks(ROWS) {
        let insert = INSERT.bound(write.backend(), some, |query, (id, endpoint, one)| {
            let to = (one.topic, one.message_id.as_str(), one.body.as_str());
            bind(query, *id, *endpoint, to, now, now + TRIED_FOR)
        });
        write.execute(insert).await?;
    }
    write.commit().await
}

/// A message of its own to one endpoint, tried once: whether it is heard.
pub async fn ping(write: &mut Write, endpoint: Uuid, body: &str, now: EventTime) -> Result<Uuid, StoreError> {
    let (id, message) = (Uuid::now_v7(), text(Uuid::now_v7()));
    let rows = [(id, message)];
    let insert = INSERT.bound(write.backend(), &rows, |query, (id, message)| {
        bind(query, *id, endpoint, ("ping", message.as_str(), body), now, now)
    });
    write.execute(insert).await?;
    Ok(id)
}

fn bind(
    query: Query,
    id: Uuid,
    endpoint: Uuid,
    (topic, message, body): (&str, &str, &str),
    now: EventTime,
    give_up_at: EventTime,
) -> Query {
    query
        .bind(text(id))
        .bind(text(endpoint))
        .bind(message.to_owned())
        .bind(topic.to_owned())
        .bind(body.to_owned())
        .bind(State::Waiting.as_str())
        .bind(0_i64)
        .bind(millis(now))
        .bind(millis(give_up_at))
        .bind("")
        .bind(millis(now))
}

fn select(which: &'static str) -> Query {
    const COLUMNS: &str = "d.id, d.endpoint_id, d.message_id, d.topic, d.body, d.state, d.attempts, d.next_at, d.give_up_at, \
         d.last_outcome, d.created_at, d.delivered_at";
    statement(["SELECT ", COLUMNS, " FROM webhook_deliveries d ", which])
}

/// Those that may go out now, the longest waiting first; of one endpoint at most so many, so that one that is down leaves room.
pub async fn due(database: &Database, now: EventTime, each: u32, limit: u32) -> Result<Vec<Delivery>, StoreError> {
    let select = select(
        "JOIN (SELECT w.id, ROW_NUMBER() OVER (PARTITION BY w.endpoint_id ORDER BY w.next_at, w.id) AS place \
         FROM webhook_deliveries w JOIN webhook_endpoints e ON e.id = w.endpoint_id AND e.state = 'active' \
         WHERE w.state = 'waiting' AND w.next_at <= $1) p ON p.id = d.id AND p.place <= $2 ORDER BY d.next_at LIMIT $3",
    );
    let select = select.bind(millis(now)).bind(i64::from(each)).bind(i64::from(limit));
    database.fetch_all(select).await?.iter().map(of_row).collect()
}

pub async fn by_id(database: &Database, endpoint: Uuid, id: Uuid) -> Result<Option<Delivery>, StoreError> {
    let select = select("WHERE d.id = $1 AND d.endpoint_id = $2").bind(text(id)).bind(text(endpoint));
    database.fetch_optional(select).await?.map(|row| of_row(&row)).transpose()
}

/// Of an endpoint, newest first.
pub async fn list(
    database: &Database,
    endpoint: Uuid,
    state: Option<State>,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Delivery>, StoreError> {
    let (at, id) = page::below(cursor);
    let select = select(
        "WHERE d.endpoint_id = $1 AND (d.created_at, d.id) < ($2, $3) AND ($4 = '' OR d.state = $4) \
         ORDER BY d.created_at DESC, d.id DESC LIMIT $5",
    )
    .bind(text(endpoint))
    .bind(at)
    .bind(id)
    .bind(state.map_or("", State::as_str))
    .bind(page::rows_and_one(limit));
    let deliveries = database.fetch_all(select).await?.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(deliveries, limit, |delivery| (delivery.created_at, text(delivery.id))))
}

/// By number.
pub async fn attempts(database: &Database, id: Uuid) -> Result<Vec<Attempt>, StoreError> {
    let select = sqlx::query(
        "SELECT number, at, duration_ms, status, error FROM webhook_attempts WHERE delivery_id = $1 ORDER BY number LIMIT 200",
    );
    let attempt = |row: &Row| {
        Ok(Attempt {
            number: row.number("number")?,
            at: row.time("at")?,
            duration_ms: row.number("duration_ms")?,
            status: row.number_if_any("status")?,
            error: row.string("error")?,
        })
    };
    database.fetch_all(select.bind(text(id))).await?.iter().map(attempt).collect()
}

/// For one attempt: until then nobody else takes it. `None` if somebody has.
pub async fn take(database: &Database, delivery: Delivery, until: EventTime) -> Result<Option<Delivery>, StoreError> {
    let update = sqlx::query(
        "UPDATE webhook_deliveries SET next_at = $3, attempts = attempts + 1 WHERE id = $1 AND attempts = $2 AND state NOT IN ('delivered', 'failed')",
    )
    .bind(text(delivery.id))
    .bind(i64::from(delivery.attempts))
    .bind(millis(until));
    let mut write = database.begin().await?;
    write.is_step(Step::HookTaken);
    let is_mine = write.execute(update).await? == 1;
    write.commit().await?;
    Ok(is_mine.then_some(Delivery { attempts: delivery.attempts + 1, next_at: until, ..delivery }))
}

/// What became of the attempt that [`take`] began. Nothing if it has been taken again since. An endpoint that `is_gone` is told
/// nothing more.
pub async fn record(
    database: &Database,
    delivery: &Delivery,
    (state, next_at): (State, EventTime),
    attempt: &Attempt,
    is_gone: bool,
) -> Result<(), StoreError> {
    let outcome = attempt.status.map_or_else(|| attempt.error.clone(), |status| format!("answered {status}"));
    let update = sqlx::query(
        "UPDATE webhook_deliveries SET state = $3, next_at = $4, last_outcome = $5, delivered_at = COALESCE($6, delivered_at) \
         WHERE id = $1 AND attempts = $2 AND state NOT IN ('delivered', 'failed')",
    )
    .bind(text(delivery.id))
    .bind(i64::from(delivery.attempts))
    .bind(state.as_str())
    .bind(millis(next_at))
    .bind(outcome)
    .bind((state == State::Delivered).then_some(millis(attempt.at)));
    let insert = sqlx::query(
        "INSERT INTO webhook_attempts (delivery_id, number, at, duration_ms, status, error) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (delivery_id, number) DO NOTHING",
    )
    .bind(text(delivery.id))
    .bind(i64::from(attempt.number))
    .bind(millis(attempt.at))
    .bind(i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX))
    .bind(attempt.status.map(i64::from))
    .bind(attempt.error.clone());
    let mut write = database.begin().await?;
    write.is_step(Step::HookRecorded);
    if write.execute(update).await? == 1 {
        write.execute(insert).await?;
    }
    if is_gone {
        webhook_endpoints::is_gone(&mut write, delivery.endpoint, attempt.at).await?;
    }
    write.commit().await
}

/// It goes out again under the same message's id, and is tried for as long as a new one.
pub async fn send_again(write: &mut Write, id: Uuid, now: EventTime) -> Result<(), StoreError> {
    let update =
        sqlx::query("UPDATE webhook_deliveries SET state = 'waiting', next_at = $2, give_up_at = $3 WHERE id = $1");
    write.execute(update.bind(text(id)).bind(millis(now)).bind(millis(now + TRIED_FOR))).await.map(|_| ())
}

/// How many are forgotten, at most `limit`: those from before.
pub async fn forget(database: &Database, before: EventTime, limit: u32) -> Result<u64, StoreError> {
    let mut write = database.begin().await?;
    let old = "(SELECT id FROM webhook_deliveries WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
    let bound = |query: Query| query.bind(millis(before)).bind(i64::from(limit));
    write.execute(bound(statement(["DELETE FROM webhook_attempts WHERE delivery_id IN ", old]))).await?;
    let forgotten = write.execute(bound(statement(["DELETE FROM webhook_deliveries WHERE id IN ", old]))).await?;
    write.commit().await?;
    Ok(forgotten)
}

fn of_row(row: &Row) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: row.parsed("id")?,
        endpoint: row.parsed("endpoint_id")?,
        message_id: row.string("message_id")?,
        topic: row.string("topic")?,
        body: row.string("body")?,
        state: row.named("state")?,
        attempts: row.number("attempts")?,
        next_at: row.time("next_at")?,
        give_up_at: row.time("give_up_at")?,
        last_outcome: row.string("last_outcome")?,
        created_at: row.time("created_at")?,
        delivered_at: row.time_if_any("delivered_at")?,
    })
}
