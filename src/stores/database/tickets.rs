//! Tickets, as read. They are written by the settling of an order, and revoked by refunds and by what voids an order.

use serde::Deserialize;

use super::{
    Database, Query, Write,
    page::{self, Cursor, Page},
    row::{Row, millis},
    statement,
};
use crate::{
    domain::{
        code::{Code, SeatId},
        id::{EventId, FanId, OrderRef, RefundId, TicketId},
        money::Money,
        time::EventTime,
    },
    stores::error::StoreError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub id: TicketId,
    pub reference: OrderRef,
    pub fan: FanId,
    /// Within the order, from 1.
    pub position: u32,
    pub ticket_type: Code,
    /// At which of its rates it was bought, if it was.
    pub rate: Option<Code>,
    pub seat: Option<SeatId>,
    pub price: Money,
    pub state: State,
    /// Signed; see `domain::ticket`.
    pub code: String,
    pub issued_at: EventTime,
    /// The name on it; empty: the account's.
    pub holder: String,
    /// Of a void one.
    pub replaced_by: Option<TicketId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Live,
    Void,
}

/// [`Ticket`]s, as [`of_row`] reads them.
fn select(which: &'static str) -> Query {
    const COLUMNS: &str = "id, order_reference, fan_id, position, ticket_type, rate, seat, price_minor, currency, state, code, \
         issued_at, holder, replaced_by";
    statement(["SELECT ", COLUMNS, " FROM tickets ", which])
}

/// Another fan's ticket is not there.
pub async fn of_fan(database: &Database, id: TicketId, fan: FanId) -> Result<Option<Ticket>, StoreError> {
    let select = select("WHERE id = $1 AND fan_id = $2");
    let select = select.bind(id.to_string()).bind(fan.to_string());
    database.fetch_optional(select).await?.map(|row| of_row(&row)).transpose()
}

/// A fan's own, newest first.
pub async fn list(
    database: &Database,
    fan: FanId,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Ticket>, StoreError> {
    let (at, id) = page::below(cursor);
    let select = select("WHERE fan_id = $1 AND (issued_at, id) < ($2, $3) ORDER BY issued_at DESC, id DESC LIMIT $4")
        .bind(fan.to_string())
        .bind(at)
        .bind(id)
        .bind(page::rows_and_one(limit));
    let tickets = database.fetch_all(select).await?.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(tickets, limit, |ticket| (ticket.issued_at, ticket.id.to_string())))
}

/// By position.
pub async fn of_order(database: &Database, reference: OrderRef) -> Result<Vec<Ticket>, StoreError> {
    let select = select("WHERE order_reference = $1 ORDER BY position");
    database.fetch_all(select.bind(reference.to_string())).await?.iter().map(of_row).collect()
}

/// Those of an order that let somebody in, by position, as of within the transaction.
pub(super) async fn live(write: &mut Write, reference: OrderRef) -> Result<Vec<Ticket>, StoreError> {
    let select = select("WHERE order_reference = $1 AND state = 'live' ORDER BY position");
    write.fetch_all(select.bind(reference.to_string())).await?.iter().map(of_row).collect()
}

/// Whoever's it is.
pub(super) async fn read(write: &mut Write, id: TicketId) -> Result<Option<Ticket>, StoreError> {
    write.fetch_optional(select("WHERE id = $1").bind(id.to_string())).await?.map(|row| of_row(&row)).transpose()
}

/// Whoever's it is: for the shop's own work.
pub async fn by_id(database: &Database, id: TicketId) -> Result<Option<Ticket>, StoreError> {
    database.fetch_optional(select("WHERE id = $1").bind(id.to_string())).await?.map(|row| of_row(&row)).transpose()
}

/// Another has its place: it lets nobody in any more. `false` if it was void already.
pub(super) async fn replace(write: &mut Write, id: TicketId, by: TicketId) -> Result<bool, StoreError> {
    let update = sqlx::query("UPDATE tickets SET state = 'void', replaced_by = $2 WHERE id = $1 AND state = 'live'");
    Ok(write.execute(update.bind(id.to_string()).bind(by.to_string())).await? == 1)
}

/// One more of its order.
pub(super) async fn add(write: &mut Write, ticket: &Ticket) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO tickets (id, event_id, order_reference, fan_id, position, ticket_type, rate, seat, price_minor, \
         currency, state, code, issued_at, holder) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'live', $11, $12, $13)",
    )
    .bind(ticket.id.to_string())
    .bind(ticket.reference.event.to_string())
    .bind(ticket.reference.to_string())
    .bind(ticket.fan.to_string())
    .bind(i64::from(ticket.position))
    .bind(ticket.ticket_type.to_string())
    .bind(ticket.rate.as_ref().map(ToString::to_string))
    .bind(ticket.seat.as_ref().map(ToString::to_string))
    .bind(ticket.price.minor)
    .bind(ticket.price.currency.to_string())
    .bind(ticket.code.clone())
    .bind(millis(ticket.issued_at))
    .bind(ticket.holder.clone());
    write.execute(insert).await.map(|_| ())
}

/// The highest in the order.
pub(super) async fn last_position(write: &mut Write, reference: OrderRef) -> Result<u32, StoreError> {
    let last = sqlx::query(
        "SELECT CAST(COALESCE(MAX(position), 0) AS BIGINT) AS last FROM tickets WHERE order_reference = $1",
    );
    let row = write.fetch_optional(last.bind(reference.to_string())).await?;
    row.map_or(Ok(0), |row| row.number("last"))
}

/// It lets nobody in any more.
pub(super) async fn revoke(write: &mut Write, id: TicketId, refund: RefundId) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE tickets SET state = 'void', refund_id = $2 WHERE id = $1 AND state = 'live'");
    match write.execute(update.bind(id.to_string()).bind(refund.to_string())).await? {
        1 => Ok(()),
        _ => Err(StoreError::Corrupt(format!("ticket {id} was revoked while its order was taken"))),
    }
}

pub async fn count_live(database: &Database, event: EventId) -> Result<u64, StoreError> {
    let select = sqlx::query("SELECT COUNT(*) AS count FROM tickets WHERE event_id = $1 AND state = 'live'");
    database.count(select.bind(event.to_string())).await
}

fn of_row(row: &Row) -> Result<Ticket, StoreError> {
    Ok(Ticket {
        id: row.parsed("id")?,
        reference: row.parsed("order_reference")?,
        fan: row.parsed("fan_id")?,
        position: row.number("position")?,
        ticket_type: row.parsed("ticket_type")?,
        rate: row.parsed_if_any("rate")?,
        seat: row.parsed_if_any("seat")?,
        price: row.money("price_minor")?,
        state: row.named("state")?,
        code: row.string("code")?,
        issued_at: row.time("issued_at")?,
        holder: row.string("holder")?,
        replaced_by: row.parsed_if_any("replaced_by")?,
    })
}
