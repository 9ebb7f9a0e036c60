//! Money meets the inventory's decision: tickets for it, or the way back.
//!
//! Each is one transaction that takes the order's row first, so that of several that settle one order the others find it
//! settled.

use super::{Order, put, quantity, take};
use crate::{
    domain::{
        id::{OrderRef, PaymentId},
        inventory::request::{ConfirmRefusal, Line},
        order::{HoldFact, OrderState},
        time::EventTime,
    },
    stores::{
        database::{
            Database, Write, mails,
            payments::{self, State},
            row::millis,
            tickets::Ticket,
        },
        error::StoreError,
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Now,
    /// The same payment had settled it before; the tickets of then stay.
    Already,
    /// Sold and voided since: there are no tickets, and the money must go back.
    Voided,
}

/// The inventory has confirmed: payment captured, order ticketed, tickets there and their mail waiting, in one transaction; any number of times.
///
/// `tickets` are numbered from 1; those of the first settling stay. [`StoreError::Conflict`] if order or payment are not
/// there or another payment settled it; [`StoreError::Corrupt`] if a seat is on another live ticket: stock was oversold.
pub async fn settle(
    database: &Database,
    reference: OrderRef,
    payment: PaymentId,
    lines: &[Line],
    tickets: &[Ticket],
    now: EventTime,
) -> Result<Settled, StoreError> {
    if usize::try_from(quantity(lines)) != Ok(tickets.len()) {
        return Err(StoreError::Invalid("the tickets are not those of the lines".into()));
    }
    let mut write = database.begin().await?;
    let mut order = take(&mut write, reference).await?;
    if order.known.settled {
        return match state_of(&mut write, reference, payment).await? {
            State::Captured | State::Refunding | State::Refunded => Ok(Settled::Already),
            State::Open | State::Declined => Err(StoreError::Conflict("another payment settled the order")),
        };
    }
    order.known.settle();
    order.lines = lines.to_vec();
    let order = put(&mut write, order, now).await?;
    if order.known.hold == HoldFact::Voided {
        take_back(&mut write, reference, payment, now).await?;
        write.commit().await?;
        return Ok(Settled::Voided);
    }
    capture(&mut write, reference, payment, now).await?;
    for ticket in tickets {
        insert_ticket(&mut write, &order, ticket).await?;
    }
    mails::enqueue(&mut write, mails::Kind::Tickets, reference, order.fan, now).await?;
    write.commit().await?;
    Ok(Settled::Now)
}

/// The inventory has refused: the captured money must go back. An order that another payment paid is not touched by it.
pub async fn settle_refused(
    database: &Database,
    reference: OrderRef,
    payment: PaymentId,
    why: ConfirmRefusal,
    now: EventTime,
) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let mut order = take(&mut write, reference).await?;
    let is_second = order.known.settled || why == ConfirmRefusal::AlreadyPaid;
    if take_back(&mut write, reference, payment, now).await? && !is_second {
        order.known.refuse();
        put(&mut write, order, now).await?;
    }
    write.commit().await
}

/// The provider has declined, or the checkout was given up: the hold may still be paid by another. `false` if that was known,
/// or the money has come after all.
pub async fn decline(
    database: &Database,
    reference: OrderRef,
    payment: PaymentId,
    now: EventTime,
) -> Result<bool, StoreError> {
    let mut write = database.begin().await?;
    let mut order = take(&mut write, reference).await?;
    if state_of(&mut write, reference, payment).await? != State::Open {
        return Ok(false);
    }
    payments::set_state(&mut write, payment, State::Declined, now).await?;
    order.known.checkout_open = false;
    put(&mut write, order, now).await?;
    write.commit().await?;
    Ok(true)
}

/// The provider has given the money back. [`StoreError::Conflict`] if it was not to.
pub async fn refunded(
    database: &Database,
    reference: OrderRef,
    payment: PaymentId,
    now: EventTime,
) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let mut order = take(&mut write, reference).await?;
    match state_of(&mut write, reference, payment).await? {
        State::Refunded => return Ok(()),
        State::Refunding => payments::set_state(&mut write, payment, State::Refunded, now).await?,
        _ => return Err(StoreError::Conflict("the payment is not to go back")),
    }
    if order.known.state() == OrderState::Refunding && !payments::holds_money(&mut write, reference).await? {
        order.known.refunded = true;
        put(&mut write, order, now).await?;
    }
    write.commit().await
}

async fn state_of(write: &mut Write, reference: OrderRef, payment: PaymentId) -> Result<State, StoreError> {
    match payments::state(write, payment).await? {
        Some((owner, state)) if owner == reference => Ok(state),
        _ => Err(StoreError::Conflict("the order has no such payment")),
    }
}

async fn capture(write: &mut Write, reference: OrderRef, payment: PaymentId, now: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query(
        "UPDATE payments SET state = 'captured', updated_at = $3 WHERE id = $1 AND order_reference = $2 \
         AND state IN ('open', 'declined', 'captured')",
    );
    let update = update.bind(payment.to_string()).bind(reference.to_string()).bind(millis(now));
    match write.execute(update).await? {
        0 => Err(StoreError::Conflict("the order has no such payment, or its money goes back")),
        _ => Ok(()),
    }
}

/// The money is here, and must go back. `false` if that was known.
async fn take_back(
    write: &mut Write,
    reference: OrderRef,
    payment: PaymentId,
    now: EventTime,
) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "UPDATE payments SET state = 'refunding', updated_at = $3 WHERE id = $1 AND order_reference = $2 \
         AND state IN ('open', 'declined', 'captured')",
    );
    let update = update.bind(payment.to_string()).bind(reference.to_string()).bind(millis(now));
    if write.execute(update).await? == 0 {
        state_of(write, reference, payment).await?;
        return Ok(false);
    }
    Ok(true)
}

async fn insert_ticket(write: &mut Write, order: &Order, ticket: &Ticket) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO tickets (id, event_id, order_reference, fan_id, position, ticket_type, seat, price_minor, currency, \
         state, code, issued_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'live', $10, $11) \
         ON CONFLICT (order_reference, position) DO NOTHING",
    )
    .bind(ticket.id.to_string())
    .bind(order.reference.event.to_string())
    .bind(order.reference.to_string())
    .bind(order.fan.to_string())
    .bind(i64::from(ticket.position))
    .bind(ticket.ticket_type.to_string())
    .bind(ticket.seat.as_ref().map(ToString::to_string))
    .bind(ticket.price.minor)
    .bind(ticket.price.currency.to_string())
    .bind(ticket.code.clone())
    .bind(millis(ticket.issued_at));
    match (write.execute(insert).await, &ticket.seat) {
        (Err(StoreError::Conflict(_)), Some(seat)) => {
            let event = order.reference.event;
            Err(StoreError::Corrupt(format!("seat {seat} of event {event} is on another live ticket")))
        }
        (outcome, _) => outcome.map(|_| ()),
    }
}
