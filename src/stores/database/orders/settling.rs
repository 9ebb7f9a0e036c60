//! Money meets the inventory's decision: tickets for it, or the way back.
//!
//! Each is one transaction that takes the order's row first, so that of several that settle one order the others find it
//! settled. What it does with money it books.

mod issued;
mod together;

pub(in crate::stores::database) use self::together::{Settle, Unpaid, captured_many};
use super::{Order, put, quantity, refunding::give_back, take};
use crate::{
    domain::{
        id::{FanId, OrderRef, PaymentId},
        inventory::request::{ConfirmRefusal, Line},
        ledger::Entry,
        order::HoldFact,
        refund::RefundReason,
        time::EventTime,
    },
    stores::{
        crash_point::Step,
        database::{
            Database, Query, Write,
            ledger::{self, Booked},
            mails,
            many::{Many, Texts},
            outbox,
            payments::{self, Payment, State},
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
/// there, the payment is of another price, or another one settled it; [`StoreError::Corrupt`] if a seat is on another live ticket: stock was oversold.
pub async fn settle(
    database: &Database,
    reference: OrderRef,
    payment: PaymentId,
    lines: &[Line],
    tickets: &[Ticket],
    now: EventTime,
) -> Result<Settled, StoreError> {
    let settle = Settle { reference, payment, lines: lines.to_vec(), tickets: tickets.to_vec(), now };
    database.inner.desks.settlings.bring(database, settle).await
}

async fn settle_alone(database: &Database, settle: &Settle) -> Result<Settled, StoreError> {
    let Settle { reference, payment, lines, tickets, now } = settle;
    let (reference, payment, now) = (*reference, *payment, *now);
    if usize::try_from(quantity(lines)) != Ok(tickets.len()) {
        return Err(StoreError::Invalid("the tickets are not those of the lines".into()));
    }
    let mut write = database.begin().await?;
    write.is_step(Step::Settled);
    let mut order = take(&mut write, reference).await?;
    let paid = own(&mut write, reference, payment).await?;
    if order.known.settled {
        let by_another = ledger::paid_by(&mut write, reference).await?.is_some_and(|by| by != payment);
        return match paid.state {
            State::Refunding | State::Refunded => Ok(Settled::Already),
            State::Captured if !by_another => Ok(Settled::Already),
            _ => Err(StoreError::Conflict("another payment settled the order")),
        };
    }
    if !capture(&mut write, &paid, now).await? {
        return Err(StoreError::Conflict("the payment's money goes back"));
    }
    if lines.iter().map(Line::total_minor).fold(0, i64::saturating_add) != paid.amount.minor {
        return Err(StoreError::Conflict("the payment is not of the lines' price"));
    }
    order.known.settle();
    order.lines.clone_from(lines);
    let order = put(&mut write, order, now).await?;
    if order.known.hold == HoldFact::Voided {
        give_back(&mut write, &order, &paid, RefundReason::Voided, now).await?;
        write.commit().await?;
        return Ok(Settled::Voided);
    }
    book(&mut write, &paid, Entry::Ticketed, now).await?;
    for ticket in tickets {
        insert_ticket(&mut write, &order, ticket).await?;
    }
    mails::enqueue(&mut write, mails::Kind::Tickets, reference, order.fan, now).await?;
    outbox::push(&mut write, issued::KEY, &issued::body(order.fan, &paid, tickets, now), now).await?;
    write.commit().await?;
    Ok(Settled::Now)
}

/// The inventory has refused: the captured money must go back. An order that another payment paid is not touched by it.
/// Any number of times.
pub async fn settle_refused(
    database: &Database,
    reference: OrderRef,
    payment: PaymentId,
    why: ConfirmRefusal,
    now: EventTime,
) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    write.is_step(Step::ReturnBegun);
    let mut order = take(&mut write, reference).await?;
    let paid = own(&mut write, reference, payment).await?;
    if !capture(&mut write, &paid, now).await? {
        return Ok(());
    }
    let is_second = order.known.settled || why == ConfirmRefusal::AlreadyPaid;
    if !is_second {
        order.known.refuse();
        order = put(&mut write, order, now).await?;
    }
    give_back(&mut write, &order, &paid, why.into(), now).await?;
    write.commit().await
}

/// The provider says that it has the money, which waits for the inventory's decision. Counts when the transaction does; any
/// number of times. [`StoreError::Conflict`] if order or payment are not there.
pub async fn captured(
    write: &mut Write,
    reference: OrderRef,
    payment: PaymentId,
    now: EventTime,
) -> Result<(), StoreError> {
    let mut order = take(write, reference).await?;
    let paid = own(write, reference, payment).await?;
    capture(write, &paid, now).await?;
    if !order.known.captured {
        order.known.captured = true;
        put(write, order, now).await?;
    }
    Ok(())
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
    if own(&mut write, reference, payment).await?.state != State::Open {
        return Ok(false);
    }
    payments::set_state(&mut write, payment, State::Declined, now).await?;
    order.known.checkout_open = false;
    put(&mut write, order, now).await?;
    write.commit().await?;
    Ok(true)
}

async fn own(write: &mut Write, reference: OrderRef, payment: PaymentId) -> Result<Payment, StoreError> {
    let payment = payments::read(write, payment).await?.filter(|payment| payment.reference == reference);
    payment.ok_or(StoreError::Conflict("the order has no such payment"))
}

/// The money is here; booked when that is news. `false` if it goes back.
async fn capture(write: &mut Write, paid: &Payment, now: EventTime) -> Result<bool, StoreError> {
    match paid.state {
        State::Open | State::Declined => {
            payments::set_state(write, paid.id, State::Captured, now).await?;
            book(write, paid, Entry::Captured, now).await?;
            Ok(true)
        }
        State::Captured => Ok(true),
        State::Refunding | State::Refunded => Ok(false),
    }
}

async fn book(write: &mut Write, paid: &Payment, entry: Entry, now: EventTime) -> Result<(), StoreError> {
    ledger::book(write, &booked(paid, entry, now)).await
}

/// Of the whole payment.
fn booked(paid: &Payment, entry: Entry, at: EventTime) -> Booked {
    let Payment { id: payment, reference, amount, .. } = *paid;
    Booked { reference, payment, refund: None, entry, amount, at }
}

async fn insert_ticket(write: &mut Write, order: &Order, ticket: &Ticket) -> Result<(), StoreError> {
    let insert = TICKETS.bound(write.backend(), &[(order.fan, ticket)], bind_ticket);
    match (write.execute(insert).await, &ticket.seat) {
        (Err(StoreError::Conflict(_)), Some(seat)) => {
            let event = order.reference.event;
            Err(StoreError::Corrupt(format!("seat {seat} of event {event} is on another live ticket")))
        }
        (outcome, _) => outcome.map(|_| ()),
    }
}

static TICKETS: Many = Many::new(|| {
    Texts::rows(
        "INSERT INTO tickets (id, event_id, order_reference, fan_id, position, ticket_type, rate, seat, price_minor, \
         currency, state, code, issued_at) VALUES ",
        13,
        " ON CONFLICT (order_reference, position) DO NOTHING",
    )
});

fn bind_ticket(query: Query, (fan, ticket): &(FanId, &Ticket)) -> Query {
    query
        .bind(ticket.id.to_string())
        .bind(ticket.reference.event.to_string())
        .bind(ticket.reference.to_string())
        .bind(fan.to_string())
        .bind(i64::from(ticket.position))
        .bind(ticket.ticket_type.to_string())
        .bind(ticket.rate.as_ref().map(ToString::to_string))
        .bind(ticket.seat.as_ref().map(ToString::to_string))
        .bind(ticket.price.minor)
        .bind(ticket.price.currency.to_string())
        .bind("live")
        .bind(ticket.code.clone())
        .bind(millis(ticket.issued_at))
}
