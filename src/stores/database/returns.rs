//! Tickets that their holders would give back, and who looks for takers.
//!
//! A ticket that is put up stays valid until somebody takes it; that is one transaction with its refund. Whoever was scanned
//! has used the ticket, and whoever has given it back cannot be scanned: both want the ticket's first turn at the door, and the
//! table of scans gives each turn once.

use serde::Deserialize;
use uuid::Uuid;

use super::{
    Database, Write,
    orders::{self, NotRefunded, Wanted},
    refunds::Refund,
    row::{Row, millis},
    scans,
    tickets::{State as TicketState, Ticket},
};
use crate::{
    domain::{
        code::Code,
        door::{Direction, Outcome},
        id::{EventId, FanId, OrderRef, ScanId, TicketId},
        refund::RefundReason,
        time::EventTime,
    },
    stores::{crash_point::Step, error::StoreError},
};

/// Tickets of one event that are looked at together.
const AT_ONCE: i64 = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Valid, until somebody takes it.
    Wanted,
    Taken,
    Withdrawn,
    /// Scanned, or revoked otherwise.
    Void,
}

/// Why a ticket is not given back: nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReturned {
    Scanned,
    Void,
    Withdrawn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    pub ticket: TicketId,
    pub ticket_type: Code,
    pub reference: OrderRef,
    pub fan: FanId,
}

/// An event whose tickets somebody should find takers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub event: EventId,
    pub next_at: EventTime,
}

/// Again: the same. Durable when it returns.
pub async fn put_up(
    database: &Database,
    ticket: &Ticket,
    now: EventTime,
) -> Result<Result<(), NotReturned>, StoreError> {
    let mut write = database.begin().await?;
    write.is_step(Step::OfferedBack);
    let state = sqlx::query("SELECT state FROM tickets WHERE id = $1").bind(ticket.id.to_string());
    let state = write.fetch_optional(state).await?.map(|row| row.named::<TicketState>("state")).transpose()?;
    if state != Some(TicketState::Live) {
        return Ok(Err(NotReturned::Void));
    }
    if is_scanned(&mut write, ticket.id).await? {
        return Ok(Err(NotReturned::Scanned));
    }
    let event = ticket.reference.event.to_string();
    let put = sqlx::query(
        "INSERT INTO ticket_returns (ticket_id, event_id, ticket_type, state, asked_at, updated_at) \
         VALUES ($1, $2, $3, 'wanted', $4, $4) ON CONFLICT (ticket_id) DO UPDATE SET state = 'wanted', \
         asked_at = excluded.asked_at, updated_at = excluded.updated_at WHERE ticket_returns.state <> 'wanted'",
    );
    let put = put.bind(ticket.id.to_string()).bind(event.clone()).bind(ticket.ticket_type.to_string());
    write.execute(put.bind(millis(now))).await?;
    let look = sqlx::query(
        "INSERT INTO return_looks (event_id, next_at) VALUES ($1, $2) \
         ON CONFLICT (event_id) DO UPDATE SET next_at = excluded.next_at",
    );
    write.execute(look.bind(event).bind(millis(now))).await?;
    write.commit().await.map(Ok)
}

/// Says what it was: only what is still offered is withdrawn.
pub async fn withdraw(database: &Database, ticket: TicketId, now: EventTime) -> Result<Option<State>, StoreError> {
    let mut write = database.begin().await?;
    if settle(&mut write, ticket, "withdrawn", now).await? {
        write.commit().await?;
        return Ok(Some(State::Wanted));
    }
    state_of(&mut write, ticket).await
}

/// Which of these are offered.
pub async fn offered_of(database: &Database, fan: FanId) -> Result<Vec<TicketId>, StoreError> {
    let select = sqlx::query(
        "SELECT ticket_id FROM ticket_returns JOIN tickets ON tickets.id = ticket_returns.ticket_id \
         WHERE tickets.fan_id = $1 AND tickets.state = 'live' AND ticket_returns.state = 'wanted'",
    );
    let rows = database.fetch_all(select.bind(fan.to_string())).await?;
    rows.iter().map(|row| row.parsed("ticket_id")).collect()
}

/// (offered now, ever taken)
pub async fn counts(database: &Database, event: EventId) -> Result<(u64, u64), StoreError> {
    let count = |state: &'static str| {
        let select = "SELECT COUNT(*) AS count FROM ticket_returns WHERE event_id = $1 AND state = $2";
        database.count(sqlx::query(select).bind(event.to_string()).bind(state))
    };
    Ok((count("wanted").await?, count("taken").await?))
}

pub async fn due(database: &Database, now: EventTime, limit: u32) -> Result<Vec<Look>, StoreError> {
    let select =
        sqlx::query("SELECT event_id, next_at FROM return_looks WHERE next_at <= $1 ORDER BY next_at LIMIT $2");
    let rows = database.fetch_all(select.bind(millis(now)).bind(i64::from(limit))).await?;
    rows.iter().map(|row| Ok(Look { event: row.parsed("event_id")?, next_at: row.time("next_at")? })).collect()
}

/// For this worker alone until then; or, when it is done, not before then. `None` if another was faster, or a ticket was put up
/// meanwhile.
pub async fn move_look(database: &Database, look: Look, next_at: EventTime) -> Result<Option<Look>, StoreError> {
    let update = sqlx::query("UPDATE return_looks SET next_at = $3 WHERE event_id = $1 AND next_at = $2");
    let update = update.bind(look.event.to_string()).bind(millis(look.next_at)).bind(millis(next_at));
    let mut write = database.begin().await?;
    let is_mine = write.execute(update).await? == 1;
    write.commit().await?;
    Ok(is_mine.then_some(Look { next_at, ..look }))
}

/// The longest offered first.
pub async fn offered(database: &Database, event: EventId) -> Result<Vec<Offered>, StoreError> {
    let select = sqlx::query(
        "SELECT ticket_id, ticket_returns.ticket_type AS ticket_type, order_reference, fan_id \
         FROM ticket_returns JOIN tickets ON tickets.id = ticket_returns.ticket_id \
         WHERE ticket_returns.event_id = $1 AND ticket_returns.state = 'wanted' ORDER BY asked_at, ticket_id LIMIT $2",
    );
    let of_row = |row: &Row| {
        Ok(Offered {
            ticket: row.parsed("ticket_id")?,
            ticket_type: row.parsed("ticket_type")?,
            reference: row.parsed("order_reference")?,
            fan: row.parsed("fan_id")?,
        })
    };
    database.fetch_all(select.bind(event.to_string()).bind(AT_ONCE)).await?.iter().map(of_row).collect()
}

/// Of each type: places that will be free, and are not yet.
pub async fn coming(database: &Database, event: EventId) -> Result<Vec<(Code, u32)>, StoreError> {
    let select = sqlx::query(
        "SELECT tickets.ticket_type AS ticket_type, COUNT(*) AS count FROM refunds JOIN tickets \
         ON tickets.refund_id = refunds.id WHERE refunds.event_id = $1 AND refunds.stock = 'wanted' \
         GROUP BY tickets.ticket_type",
    );
    let rows = database.fetch_all(select.bind(event.to_string())).await?;
    rows.iter().map(|row| Ok((row.parsed("ticket_type")?, row.number("count")?))).collect()
}

/// Somebody takes it: from then on it lets nobody in, and its money goes back. Counts when the transaction does.
/// [`StoreError::Conflict`]: a door, or somebody else, is at the same ticket; look again.
pub async fn take(
    write: &mut Write,
    offered: &Offered,
    now: EventTime,
) -> Result<Result<Refund, NotReturned>, StoreError> {
    if !settle(write, offered.ticket, "taken", now).await? {
        return Ok(Err(NotReturned::Withdrawn));
    }
    if is_scanned(write, offered.ticket).await? {
        return Ok(Err(NotReturned::Scanned));
    }
    let tickets = [offered.ticket];
    let wanted = Wanted {
        reference: offered.reference,
        tickets: Some(&tickets),
        restock: true,
        reason: RefundReason::Returned,
        note: "given back to who waits",
    };
    let refund = match orders::refund_tickets(write, &wanted, now).await? {
        Ok(refund) => refund,
        Err(NotRefunded::OrderState(_) | NotRefunded::NoSuchTicket(_)) => return Ok(Err(NotReturned::Void)),
    };
    let turn = scans::Scanned {
        id: ScanId::from_uuid(Uuid::now_v7()),
        ticket: Some(offered.ticket),
        turn: Some(1),
        direction: Direction::Out,
        outcome: Outcome::Void,
        forced: false,
        offline: false,
        scanned_at: now,
        received_at: now,
        device: "given back".into(),
        account: offered.fan,
        reason: String::new(),
    };
    scans::insert(write, offered.reference.event, &turn).await?;
    Ok(Ok(refund))
}

/// It can be given back no more.
pub async fn void(database: &Database, ticket: TicketId, now: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    settle(&mut write, ticket, "void", now).await?;
    write.commit().await
}

/// `false` if it was not offered any more.
async fn settle(write: &mut Write, ticket: TicketId, state: &'static str, now: EventTime) -> Result<bool, StoreError> {
    let update =
        sqlx::query("UPDATE ticket_returns SET state = $2, updated_at = $3 WHERE ticket_id = $1 AND state = 'wanted'");
    Ok(write.execute(update.bind(ticket.to_string()).bind(state).bind(millis(now))).await? == 1)
}

async fn state_of(write: &mut Write, ticket: TicketId) -> Result<Option<State>, StoreError> {
    let select = sqlx::query("SELECT state FROM ticket_returns WHERE ticket_id = $1");
    write.fetch_optional(select.bind(ticket.to_string())).await?.map(|row| row.named("state")).transpose()
}

async fn is_scanned(write: &mut Write, ticket: TicketId) -> Result<bool, StoreError> {
    let select = sqlx::query("SELECT turn FROM scans WHERE ticket_id = $1 AND turn IS NOT NULL LIMIT 1");
    Ok(write.fetch_optional(select.bind(ticket.to_string())).await?.is_some())
}
