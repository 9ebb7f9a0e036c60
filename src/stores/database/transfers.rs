//! Tickets that fans give away. Whoever brings the code that was made for it gets a new ticket, in one transaction with the end of
//! the old one; until then the giver has it, and may change his mind.

use serde::Deserialize;
use uuid::Uuid;

use super::{
    Database, Query, Write,
    orders::{Change, Issue, NotReplaced, replace_ticket},
    page::{self, Cursor, Page},
    row::{Row, millis},
    statement, tickets,
};
use crate::{
    domain::{
        id::{FanId, TicketId},
        time::EventTime,
    },
    stores::{crash_point::Step, error::StoreError},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub id: Uuid,
    pub ticket: TicketId,
    /// Who gives.
    pub fan: FanId,
    pub state: State,
    pub expires_at: EventTime,
    pub accepted_by: Option<FanId>,
    pub new_ticket: Option<TicketId>,
    pub created_at: EventTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    Accepted,
    Withdrawn,
}

impl Transfer {
    pub fn is_open(&self, now: EventTime) -> bool {
        self.state == State::Open && now < self.expires_at
    }
}

/// A rule says no: nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTransferred {
    NoSuchTransfer,
    /// Withdrawn, expired, or accepted by another.
    Ended,
    Ticket(NotReplaced),
}

/// [`Transfer`]s, as [`of_row`] reads them.
fn select(which: &'static str) -> Query {
    const COLUMNS: &str = "id, ticket_id, fan_id, state, expires_at, accepted_by, new_ticket_id, created_at";
    statement(["SELECT ", COLUMNS, " FROM transfers ", which])
}

/// `code` is the hash of what the other must bring. An earlier one of the same ticket ends with it.
pub async fn begin(write: &mut Write, transfer: &Transfer, code: &str) -> Result<(), StoreError> {
    write.is_step(Step::TransferOpened);
    withdraw_of(write, transfer.ticket, transfer.created_at).await?;
    let insert = sqlx::query(
        "INSERT INTO transfers (id, code, ticket_id, fan_id, state, expires_at, created_at) \
         VALUES ($1, $2, $3, $4, 'open', $5, $6)",
    )
    .bind(transfer.id.to_string())
    .bind(code.to_owned())
    .bind(transfer.ticket.to_string())
    .bind(transfer.fan.to_string())
    .bind(millis(transfer.expires_at))
    .bind(millis(transfer.created_at));
    write.execute(insert).await.map(|_| ())
}

async fn withdraw_of(write: &mut Write, ticket: TicketId, now: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query(
        "UPDATE transfers SET state = 'withdrawn', settled_at = $2 WHERE ticket_id = $1 AND state = 'open'",
    );
    write.execute(update.bind(ticket.to_string()).bind(millis(now))).await.map(|_| ())
}

/// The giver keeps it. `false` if it is not his, or has ended.
pub async fn withdraw(write: &mut Write, id: Uuid, fan: FanId, now: EventTime) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "UPDATE transfers SET state = 'withdrawn', settled_at = $3 WHERE id = $1 AND fan_id = $2 AND state = 'open'",
    );
    let update = update.bind(id.to_string()).bind(fan.to_string()).bind(millis(now));
    Ok(write.execute(update).await? == 1)
}

pub async fn by_id(database: &Database, id: Uuid) -> Result<Option<Transfer>, StoreError> {
    let select = select("WHERE id = $1").bind(id.to_string());
    database.fetch_optional(select).await?.map(|row| of_row(&row)).transpose()
}

pub async fn by_code(database: &Database, code: &str) -> Result<Option<Transfer>, StoreError> {
    let select = select("WHERE code = $1").bind(code.to_owned());
    database.fetch_optional(select).await?.map(|row| of_row(&row)).transpose()
}

/// The bringer's ticket; again: the same. Counts when the transaction does.
pub async fn accept(
    write: &mut Write,
    (code, by): (&str, FanId),
    issue: Issue<'_>,
    now: EventTime,
) -> Result<Result<tickets::Ticket, NotTransferred>, StoreError> {
    // Takes its row: of two that bring the code the second finds it settled.
    let take = sqlx::query("UPDATE transfers SET state = state WHERE code = $1").bind(code.to_owned());
    write.execute(take).await?;
    let row = write.fetch_optional(select("WHERE code = $1").bind(code.to_owned())).await?;
    let Some(transfer) = row.map(|row| of_row(&row)).transpose()? else {
        return Ok(Err(NotTransferred::NoSuchTransfer));
    };
    if let (true, Some(new)) = (transfer.accepted_by == Some(by), transfer.new_ticket) {
        let ticket = tickets::read(write, new).await?;
        return Ok(ticket.ok_or(NotTransferred::Ended));
    }
    if !transfer.is_open(now) {
        return Ok(Err(NotTransferred::Ended));
    }
    let ticket = (transfer.ticket, Some(transfer.fan));
    let new = match replace_ticket(write, ticket, Change::Fan(by), issue, now).await? {
        Ok(new) => new,
        Err(why) => return Ok(Err(NotTransferred::Ticket(why))),
    };
    let update = sqlx::query(
        "UPDATE transfers SET state = 'accepted', accepted_by = $2, new_ticket_id = $3, settled_at = $4 WHERE id = $1",
    )
    .bind(transfer.id.to_string())
    .bind(by.to_string())
    .bind(new.id.to_string())
    .bind(millis(now));
    write.execute(update).await?;
    Ok(Ok(new))
}

/// What a fan has given, or is giving, newest first.
pub async fn of_fan(
    database: &Database,
    fan: FanId,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Transfer>, StoreError> {
    let (at, id) = page::below(cursor);
    let select = select("WHERE fan_id = $1 AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4")
        .bind(fan.to_string())
        .bind(at)
        .bind(id)
        .bind(page::rows_and_one(limit));
    let transfers = database.fetch_all(select).await?.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(transfers, limit, |transfer| (transfer.created_at, transfer.id.to_string())))
}

fn of_row(row: &Row) -> Result<Transfer, StoreError> {
    Ok(Transfer {
        id: row.parsed("id")?,
        ticket: row.parsed("ticket_id")?,
        fan: row.parsed("fan_id")?,
        state: row.named("state")?,
        expires_at: row.time("expires_at")?,
        accepted_by: row.parsed_if_any("accepted_by")?,
        new_ticket: row.parsed_if_any("new_ticket_id")?,
        created_at: row.time("created_at")?,
    })
}
