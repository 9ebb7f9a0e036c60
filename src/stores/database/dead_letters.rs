//! Dead letters: messages that could not be taken in, kept until a person has each sent again or dropped.
//!
//! | state | may become |
//! |---|---|
//! | waiting | redriven, dropped |
//! | redriven, dropped | waiting, when it dies again |

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;

use super::{
    Database, Query, Write,
    page::{self, Cursor, Page},
    row::{Row, millis},
    statement,
};
use crate::{
    domain::time::EventTime,
    stores::{error::StoreError, order_bus::Message},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Of the message: the same one has the same.
    pub id: String,
    pub message: Message,
    pub deaths: u64,
    pub state: State,
    /// The last time.
    pub died_at: EventTime,
    pub settled_at: Option<EventTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Waiting,
    Redriven,
    Dropped,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Redriven => "redriven",
            Self::Dropped => "dropped",
        }
    }
}

/// It waits from now on, whatever had become of it. Told again it counts one death more, which does no harm.
pub async fn add(database: &Database, message: &Message, now: EventTime) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO dead_letters (id, routing_key, message_id, body, deaths, state, died_at) \
         VALUES ($1, $2, $3, $4, 1, 'waiting', $5) ON CONFLICT (id) DO UPDATE \
         SET deaths = dead_letters.deaths + 1, state = 'waiting', died_at = excluded.died_at, settled_at = NULL",
    )
    .bind(id_of(message))
    .bind(message.routing_key.clone())
    .bind(message.id.clone())
    .bind(BASE64.encode(&message.body))
    .bind(millis(now));
    let mut write = database.begin().await?;
    write.execute(insert).await?;
    write.commit().await
}

fn id_of(message: &Message) -> String {
    let mut digest = Context::new(&SHA256);
    for part in [message.routing_key.as_bytes(), message.id.as_bytes(), &message.body] {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// [`DeadLetter`]s, as [`of_row`] reads them.
fn select(which: &'static str) -> Query {
    const COLUMNS: &str = "id, routing_key, message_id, body, deaths, state, died_at, settled_at";
    statement(["SELECT ", COLUMNS, " FROM dead_letters ", which])
}

pub async fn by_id(database: &Database, id: &str) -> Result<Option<DeadLetter>, StoreError> {
    let select = select("WHERE id = $1");
    database.fetch_optional(select.bind(id.to_owned())).await?.map(|row| of_row(&row)).transpose()
}

/// The last that died first.
pub async fn list(
    database: &Database,
    state: Option<State>,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<DeadLetter>, StoreError> {
    let (at, id) = page::below(cursor);
    let select =
        select("WHERE (died_at, id) < ($1, $2) AND ($3 = '' OR state = $3) ORDER BY died_at DESC, id DESC LIMIT $4")
            .bind(at)
            .bind(id)
            .bind(state.map_or("", State::as_str))
            .bind(page::rows_and_one(limit));
    let letters = database.fetch_all(select).await?.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(letters, limit, |letter| (letter.died_at, letter.id.clone())))
}

pub async fn count_waiting(database: &Database) -> Result<u64, StoreError> {
    database.count(sqlx::query("SELECT COUNT(*) AS count FROM dead_letters WHERE state = 'waiting'")).await
}

/// [`StoreError::Conflict`] if it does not wait, or has died again since it was read.
pub async fn settle(write: &mut Write, letter: &DeadLetter, to: State, now: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query(
        "UPDATE dead_letters SET state = $3, settled_at = $4 WHERE id = $1 AND deaths = $2 AND state = 'waiting'",
    )
    .bind(letter.id.clone())
    .bind(i64::try_from(letter.deaths).unwrap_or(i64::MAX))
    .bind(to.as_str())
    .bind(millis(now));
    match write.execute(update).await? {
        0 => Err(StoreError::Conflict("the dead letter does not wait")),
        _ => Ok(()),
    }
}

fn of_row(row: &Row) -> Result<DeadLetter, StoreError> {
    let body = BASE64.decode(row.text("body")?).map_err(|error| StoreError::Corrupt(format!("body: {error}")))?;
    Ok(DeadLetter {
        id: row.string("id")?,
        message: Message { routing_key: row.string("routing_key")?, id: row.string("message_id")?, body },
        deaths: row.number("deaths")?,
        state: row.named("state")?,
        died_at: row.time("died_at")?,
        settled_at: row.time_if_any("settled_at")?,
    })
}
