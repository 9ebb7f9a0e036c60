//! What doors have scanned. A scan counts when its row is there; a ticket's turns are numbered, and the table takes none twice.

use super::{
    Database, Query, Write,
    audit::{self, Act},
    fault,
    page::{self, Cursor, Page},
    row::{Row, millis},
    statement,
    tickets::State,
};
use crate::{
    domain::{
        code::{Code, SeatId},
        door::{Direction, Found, Outcome, decide},
        id::{EventId, FanId, ScanId, TicketId},
        time::EventTime,
    },
    stores::error::StoreError,
};

/// As the door asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    pub id: ScanId,
    pub event: EventId,
    pub code: Read,
    pub direction: Direction,
    /// Somebody at the door answers for it.
    pub force: Option<Act>,
    /// The door had no network and let the person pass: it is told afterwards.
    pub offline: bool,
    pub scanned_at: EventTime,
    pub received_at: EventTime,
    pub device: String,
    pub account: FanId,
    pub reason: String,
}

/// What the code on the ticket says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Signed by us.
    Ticket(TicketId),
    /// Signed by us, and not for this event.
    OtherEvent,
    /// Signed by us, and its time is over.
    Stale(TicketId),
    Nothing,
}

/// As it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    pub id: ScanId,
    pub ticket: Option<TicketId>,
    pub turn: Option<u32>,
    pub direction: Direction,
    pub outcome: Outcome,
    pub forced: bool,
    pub offline: bool,
    pub scanned_at: EventTime,
    pub received_at: EventTime,
    pub device: String,
    pub account: FanId,
    pub reason: String,
}

/// With the last scan before it that counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub scan: Scanned,
    pub before: Option<Scanned>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub ticket: TicketId,
    pub ticket_type: Code,
    pub rate: Option<Code>,
    pub seat: Option<SeatId>,
    pub state: State,
    pub is_inside: bool,
    /// The name on it; empty: the account's.
    pub holder: String,
    issued_at: EventTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub live: u64,
    pub void: u64,
    /// Came in at least once.
    pub entered: u64,
    pub inside: u64,
}

/// Two doors that scan one ticket at once: the second looks again.
const ATTEMPTS: u32 = 8;

/// Decides all of them in their order and stores them in one transaction: durable when it returns. One whose id is there already is
/// answered as it was then.
pub async fn record(database: &Database, scans: &[Scan]) -> Result<Vec<Answered>, StoreError> {
    for _ in 0..ATTEMPTS {
        match try_to_record(database, scans).await {
            Err(StoreError::Conflict(_)) => {}
            Err(error) if fault::is_collision(&error) => {}
            answered => return answered,
        }
    }
    Err(fault::contended())
}

async fn try_to_record(database: &Database, scans: &[Scan]) -> Result<Vec<Answered>, StoreError> {
    let mut write = database.begin().await?;
    let mut answered = Vec::with_capacity(scans.len());
    for scan in scans {
        answered.push(one(&mut write, scan).await?);
    }
    write.commit().await?;
    Ok(answered)
}

async fn one(write: &mut Write, scan: &Scan) -> Result<Answered, StoreError> {
    let stored = select("WHERE event_id = $1 AND id = $2");
    if let Some(row) = write.fetch_optional(stored.bind(scan.event.to_string()).bind(scan.id.to_string())).await? {
        let stored = of_row(&row)?;
        let before = match (stored.ticket, stored.turn) {
            // Of what was refused, what it was refused for.
            (Some(ticket), turn) => last_turn(write, ticket, turn, stored.received_at).await?,
            (None, _) => None,
        };
        return Ok(Answered { scan: stored, before });
    }
    let (ticket, outcome, before) = match scan.code {
        Read::Nothing => (None, Outcome::Unknown, None),
        Read::OtherEvent => (None, Outcome::OtherEvent, None),
        Read::Stale(ticket) => (Some(ticket), Outcome::Stale, None),
        Read::Ticket(ticket) => {
            // Takes its row: whoever replaces it at the same time is before this scan, or sees it.
            let state = sqlx::query("UPDATE tickets SET state = state WHERE id = $1 AND event_id = $2 RETURNING state");
            let state = state.bind(ticket.to_string()).bind(scan.event.to_string());
            match write.fetch_optional(state).await? {
                None => (None, Outcome::Unknown, None),
                Some(row) => {
                    let is_live = row.named::<State>("state")? == State::Live;
                    let before = last_turn(write, ticket, None, EventTime(i64::MAX as u64)).await?;
                    let is_inside = before.as_ref().is_some_and(|before| before.direction == Direction::In);
                    (Some(ticket), decide(Found { is_live, is_inside }, scan.direction, scan.force.is_some()), before)
                }
            }
        }
    };
    let turn = (outcome == Outcome::Accepted).then(|| before.as_ref().and_then(|before| before.turn).unwrap_or(0) + 1);
    let scanned = Scanned {
        id: scan.id,
        ticket,
        turn,
        direction: scan.direction,
        outcome,
        forced: scan.force.is_some(),
        offline: scan.offline,
        scanned_at: scan.scanned_at,
        received_at: scan.received_at,
        device: scan.device.clone(),
        account: scan.account,
        reason: scan.reason.clone(),
    };
    insert(write, scan.event, &scanned).await?;
    if let Some(act) = &scan.force {
        audit::append(write, act).await?;
    }
    Ok(Answered { scan: scanned, before })
}

/// Whether anybody has come in with it.
pub(super) async fn was_used(write: &mut Write, ticket: TicketId) -> Result<bool, StoreError> {
    let first = sqlx::query("SELECT id FROM scans WHERE ticket_id = $1 AND turn IS NOT NULL LIMIT 1");
    Ok(write.fetch_optional(first.bind(ticket.to_string())).await?.is_some())
}

/// Before this turn, or the last that had been received by then.
async fn last_turn(
    write: &mut Write,
    ticket: TicketId,
    below: Option<u32>,
    by: EventTime,
) -> Result<Option<Scanned>, StoreError> {
    let last = select(
        "WHERE ticket_id = $1 AND turn IS NOT NULL AND turn < $2 AND received_at <= $3 ORDER BY turn DESC LIMIT 1",
    );
    let last = last.bind(ticket.to_string()).bind(below.map_or(i64::MAX, i64::from)).bind(millis(by));
    write.fetch_optional(last).await?.map(|row| of_row(&row)).transpose()
}

pub(super) async fn insert(write: &mut Write, event: EventId, scan: &Scanned) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO scans (id, event_id, ticket_id, turn, direction, outcome, forced, offline, scanned_at, received_at, device, \
         account_id, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(scan.id.to_string())
    .bind(event.to_string())
    .bind(scan.ticket.map(|ticket| ticket.to_string()))
    .bind(scan.turn.map(i64::from))
    .bind(scan.direction.as_str())
    .bind(scan.outcome.as_str())
    .bind(i64::from(scan.forced))
    .bind(i64::from(scan.offline))
    .bind(millis(scan.scanned_at))
    .bind(millis(scan.received_at))
    .bind(scan.device.clone())
    .bind(scan.account.to_string())
    .bind(scan.reason.clone());
    write.execute(insert).await.map(|_| ())
}

/// In the order in which they came. `conflicts`: those only that a door had let pass, and that were refused when they came here.
pub async fn list(
    database: &Database,
    event: EventId,
    conflicts: bool,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Scanned>, StoreError> {
    let (at, id) = page::above(cursor);
    let select = match conflicts {
        false => select("WHERE event_id = $1 AND (received_at, id) > ($2, $3) ORDER BY received_at, id LIMIT $4"),
        true => select(
            "WHERE event_id = $1 AND (received_at, id) > ($2, $3) AND offline = 1 AND turn IS NULL \
             ORDER BY received_at, id LIMIT $4",
        ),
    };
    let select = select.bind(event.to_string()).bind(at).bind(id).bind(page::rows_and_one(limit));
    let scans = database.fetch_all(select).await?.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(scans, limit, |scan| (scan.received_at, scan.id.to_string())))
}

/// Every ticket of the event, void ones too: what a door needs to do without the network.
pub async fn tickets(
    database: &Database,
    event: EventId,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Listed>, StoreError> {
    let (at, id) = page::above(cursor);
    let select = sqlx::query(
        "SELECT id, ticket_type, rate, seat, state, holder, issued_at, \
         (SELECT direction FROM scans WHERE ticket_id = tickets.id AND turn IS NOT NULL ORDER BY turn DESC LIMIT 1) AS last_way \
         FROM tickets WHERE event_id = $1 AND (issued_at, id) > ($2, $3) ORDER BY issued_at, id LIMIT $4",
    );
    let select = select.bind(event.to_string()).bind(at).bind(id).bind(page::rows_and_one(limit));
    let listed = |row: &Row| {
        Ok::<_, StoreError>(Listed {
            ticket: row.parsed("id")?,
            ticket_type: row.parsed("ticket_type")?,
            rate: row.parsed_if_any("rate")?,
            seat: row.parsed_if_any("seat")?,
            state: row.named("state")?,
            is_inside: row.text_if_any("last_way")? == Some("in"),
            holder: row.string("holder")?,
            issued_at: row.time("issued_at")?,
        })
    };
    let tickets = database.fetch_all(select).await?.iter().map(listed).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(tickets, limit, |listed| (listed.issued_at, listed.ticket.to_string())))
}

pub async fn counts(database: &Database, event: EventId) -> Result<Counts, StoreError> {
    let of_event = |sql| sqlx::query(sql).bind(event.to_string());
    let all = of_event("SELECT COUNT(*) AS count FROM tickets WHERE event_id = $1");
    let live = super::tickets::count_live(database, event).await?;
    let entered = of_event(
        "SELECT COUNT(DISTINCT ticket_id) AS count FROM scans WHERE event_id = $1 AND turn IS NOT NULL AND direction = 'in'",
    );
    let inside = of_event(
        "SELECT COUNT(*) AS count FROM scans WHERE event_id = $1 AND turn IS NOT NULL AND direction = 'in' AND NOT EXISTS \
         (SELECT 1 FROM scans later WHERE later.ticket_id = scans.ticket_id AND later.turn > scans.turn)",
    );
    Ok(Counts {
        live,
        void: database.count(all).await?.saturating_sub(live),
        entered: database.count(entered).await?,
        inside: database.count(inside).await?,
    })
}

/// [`Scanned`]s, as [`of_row`] reads them.
fn select(which: &'static str) -> Query {
    const COLUMNS: &str =
        "id, ticket_id, turn, direction, outcome, forced, offline, scanned_at, received_at, device, account_id, reason";
    statement(["SELECT ", COLUMNS, " FROM scans ", which])
}

fn of_row(row: &Row) -> Result<Scanned, StoreError> {
    Ok(Scanned {
        id: row.parsed("id")?,
        ticket: row.parsed_if_any("ticket_id")?,
        turn: row.number_if_any("turn")?,
        direction: row.named("direction")?,
        outcome: row.named("outcome")?,
        forced: row.number::<u8>("forced")? != 0,
        offline: row.number::<u8>("offline")? != 0,
        scanned_at: row.time("scanned_at")?,
        received_at: row.time("received_at")?,
        device: row.string("device")?,
        account: row.parsed("account_id")?,
        reason: row.string("reason")?,
    })
}
