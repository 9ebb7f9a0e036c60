//! Tickets on their way to other seats, and the queue of what is still to be done about them.
//!
//! A move is written before the inventory gives the order its second seat. Whether the ticket then gets there or not, the row is
//! due in the end, and whoever takes it up tells the inventory what the order has now.

use super::{
    Database, Query, Write, refunds,
    row::{Row, millis},
    statement,
};
use crate::{
    domain::{
        code::{Code, SeatId},
        id::{OrderRef, TicketId},
        inventory::request::Line,
        refund::kept,
        time::{EventTime, Millis},
    },
    stores::{crash_point::Step, error::StoreError},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatMove {
    pub reference: OrderRef,
    /// Within the order, from 1.
    pub number: u32,
    pub ticket: TicketId,
    /// Where to.
    pub seat: SeatId,
    pub next_at: EventTime,
    pub attempts: u32,
}

/// [`SeatMove`]s, as [`of_row`] reads them.
fn select(which: &'static str) -> Query {
    statement(["SELECT order_reference, number, ticket_id, seat, next_at, attempts FROM seat_moves ", which])
}

/// The next move of the order, left alone until `next_at`. Durable when it returns.
pub async fn begin(
    database: &Database,
    (reference, ticket, seat): (OrderRef, TicketId, &SeatId),
    next_at: EventTime,
    now: EventTime,
) -> Result<SeatMove, StoreError> {
    let mut write = database.begin().await?;
    write.is_step(Step::MoveBegun);
    let insert = sqlx::query(
        "INSERT INTO seat_moves (order_reference, number, ticket_id, seat, next_at, attempts, created_at) \
         SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, 0, $5 FROM seat_moves WHERE order_reference = $1 \
         RETURNING order_reference, number, ticket_id, seat, next_at, attempts",
    )
    .bind(reference.to_string())
    .bind(ticket.to_string())
    .bind(seat.to_string())
    .bind(millis(next_at))
    .bind(millis(now));
    let row = write.fetch_optional(insert).await?;
    let begun = of_row(&row.ok_or_else(|| StoreError::Corrupt("a row was added and is not there".into()))?)?;
    write.commit().await?;
    Ok(begun)
}

/// It is due from `next_at` on, unless somebody has taken it up since it was read: `false`. Counts when the transaction does.
pub async fn put(write: &mut Write, one: &SeatMove, next_at: EventTime) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "UPDATE seat_moves SET next_at = $4 WHERE order_reference = $1 AND number = $2 AND next_at = $3 AND done_at IS NULL",
    );
    let update = update.bind(one.reference.to_string()).bind(i64::from(one.number));
    Ok(write.execute(update.bind(millis(one.next_at)).bind(millis(next_at))).await? == 1)
}

/// Those with something to do now, the longest due first.
pub async fn due(database: &Database, now: EventTime, limit: u32) -> Result<Vec<SeatMove>, StoreError> {
    let select = select("WHERE done_at IS NULL AND next_at <= $1 ORDER BY next_at LIMIT $2");
    database.fetch_all(select.bind(millis(now)).bind(i64::from(limit))).await?.iter().map(of_row).collect()
}

/// Takes it for this worker alone, until `lease` has passed; `None` if another was faster.
pub async fn take_up(
    database: &Database,
    one: &SeatMove,
    now: EventTime,
    lease: Millis,
) -> Result<Option<SeatMove>, StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query(
        "UPDATE seat_moves SET next_at = $4, attempts = attempts + 1 \
         WHERE order_reference = $1 AND number = $2 AND next_at = $3 AND done_at IS NULL",
    );
    let next_at = now + lease;
    let update = update.bind(one.reference.to_string()).bind(i64::from(one.number));
    let taken = write.execute(update.bind(millis(one.next_at)).bind(millis(next_at))).await? == 1;
    write.commit().await?;
    Ok(taken.then(|| SeatMove { next_at, attempts: one.attempts + 1, ..one.clone() }))
}

pub async fn done(database: &Database, one: &SeatMove, now: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    write.is_step(Step::MoveDone);
    let update = sqlx::query("UPDATE seat_moves SET done_at = $3 WHERE order_reference = $1 AND number = $2");
    let update = update.bind(one.reference.to_string()).bind(i64::from(one.number)).bind(millis(now));
    write.execute(update).await?;
    write.commit().await
}

/// What an order has, as the inventory is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    pub lines: Vec<Line>,
    /// Number of the last move that this knows of.
    pub number: u32,
}

/// Lines without what goes back to stock, and the seats of moves that are under way; but for the move `without`, which is over one
/// way or the other. `None` if there is no such order.
pub async fn places(
    database: &Database,
    reference: OrderRef,
    without: Option<u32>,
) -> Result<Option<Places>, StoreError> {
    // One look at all of it: a move that is not seen here has not been begun.
    let mut write = database.begin().await?;
    let take = sqlx::query("UPDATE orders SET revision = revision WHERE reference = $1 RETURNING lines");
    let Some(order) = write.fetch_optional(take.bind(reference.to_string())).await? else { return Ok(None) };
    let bought: Vec<Line> = order.json("lines")?;
    let given_back = refunds::given_back(&mut write, reference).await?;
    let moves = sqlx::query(
        "SELECT m.number, m.seat, m.done_at, t.ticket_type, t.rate FROM seat_moves m JOIN tickets t ON t.id = m.ticket_id \
         WHERE m.order_reference = $1",
    );
    let moves = write.fetch_all(moves.bind(reference.to_string())).await?;
    let (mut lines, mut number) = (kept(&bought, &given_back), 0);
    for row in &moves {
        let this: u32 = row.number("number")?;
        number = number.max(this);
        if row.number_if_any::<i64>("done_at")?.is_none() && Some(this) != without {
            let rate: Option<Code> = row.parsed_if_any("rate")?;
            under_way(&mut lines, (&row.parsed("ticket_type")?, rate.as_ref()), row.parsed("seat")?);
        }
    }
    write.commit().await?;
    Ok(Some(Places { lines, number }))
}

fn under_way(lines: &mut [Line], (ticket_type, rate): (&Code, Option<&Code>), seat: SeatId) {
    let line = lines.iter_mut().find(|line| line.ticket_type == *ticket_type && line.rate() == rate);
    if let Some(line) = line.filter(|line| !line.seats.contains(&seat)) {
        line.seats.push(seat);
        line.quantity += 1;
    }
}

fn of_row(row: &Row) -> Result<SeatMove, StoreError> {
    Ok(SeatMove {
        reference: row.parsed("order_reference")?,
        number: row.number("number")?,
        ticket: row.parsed("ticket_id")?,
        seat: row.parsed("seat")?,
        next_at: row.time("next_at")?,
        attempts: row.number("attempts")?,
    })
}
