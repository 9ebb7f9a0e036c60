//! Money and tickets of many orders in one transaction.
//!
//! Done here is what nearly all of them are: money that comes for an order without any, and tickets for money that is here. Every
//! write names what it goes by (an order's revision, a payment's state), so a race that was lost shows, and undoes the whole.

use std::collections::HashMap;

use super::{Settled, TICKETS, bind_ticket, booked, issued, settle_alone};
use crate::{
    domain::{
        id::{OrderRef, PaymentId},
        inventory::request::Line,
        ledger::Entry,
        order::HoldFact,
        time::EventTime,
    },
    stores::{
        crash_point::Step,
        database::{
            Database, Write, ledger, mails,
            many::ROWS,
            orders::{Order, changed, quantity, table},
            outbox,
            payments::{self, Payment, State},
            tickets::Ticket,
            together::Work,
        },
        error::StoreError,
    },
};

/// Orders and payments of which it is said that the money is here.
pub(in crate::stores::database) struct Unpaid {
    orders: HashMap<OrderRef, Order>,
    payments: HashMap<PaymentId, Payment>,
}

/// One of them that is.
pub(in crate::stores::database) struct Captured {
    order: Order,
    payment: Payment,
    at: EventTime,
}

impl Unpaid {
    pub async fn read(write: &mut Write, told: &[(OrderRef, PaymentId)]) -> Result<Self, StoreError> {
        let (references, ids): (Vec<_>, Vec<_>) = told.iter().copied().unzip();
        let orders = table::take(write, &references).await?;
        Ok(Self { orders, payments: payments::read_many(write, &ids).await? })
    }

    /// Once for each order: `None` if it, or its payment, is not there, or has money already.
    pub fn take(&mut self, reference: OrderRef, payment: PaymentId, at: EventTime) -> Option<Captured> {
        let is_news = |payment: &&Payment| {
            payment.reference == reference && matches!(payment.state, State::Open | State::Declined)
        };
        let payment = self.payments.get(&payment).filter(is_news)?.clone();
        let order = self.orders.remove(&reference).filter(|order| !order.known.captured)?;
        Some(Captured { order, payment, at })
    }
}

/// [`super::captured`] for many; `false` if somebody was in between: then nothing may be committed.
pub(in crate::stores::database) async fn captured_many(
    write: &mut Write,
    all: Vec<Captured>,
) -> Result<bool, StoreError> {
    let paid: Vec<_> = all.iter().map(|captured| (captured.payment.id, captured.at)).collect();
    let entries: Vec<_> = all.iter().map(|captured| booked(&captured.payment, Entry::Captured, captured.at)).collect();
    let has_it = |Captured { mut order, at, .. }| {
        order.known.captured = true;
        changed(order, at)
    };
    let mut orders: Vec<Order> = all.into_iter().map(has_it).collect();
    // Orders first, as everywhere: whoever has the order may change its payments.
    if !table::update_many(write, &mut orders).await? || !payments::capture_many(write, &paid).await? {
        return Ok(false);
    }
    ledger::book_many(write, &entries).await?;
    Ok(true)
}

/// [`super::settle`] of one order.
#[derive(Debug, Clone)]
pub(in crate::stores::database) struct Settle {
    pub(super) reference: OrderRef,
    pub(super) payment: PaymentId,
    pub(super) lines: Vec<Line>,
    pub(super) tickets: Vec<Ticket>,
    pub(super) now: EventTime,
}

impl Settle {
    /// Whether this is an order that waits for just these tickets, and its money is here.
    fn is_plain(&self, order: &Order, paid: &Payment) -> bool {
        let price = self.lines.iter().map(Line::total_minor).fold(0, i64::saturating_add);
        !order.known.settled
            && order.known.hold != HoldFact::Voided
            && paid.reference == self.reference
            && paid.state == State::Captured
            && paid.amount.minor == price
            && usize::try_from(quantity(&self.lines)) == Ok(self.tickets.len())
    }
}

impl Work for Settle {
    type Done = Settled;

    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<Settled>>, StoreError> {
        let references: Vec<_> = all.iter().map(|one| one.reference).collect();
        let ids: Vec<_> = all.iter().map(|one| one.payment).collect();
        let mut write = database.begin().await?;
        write.is_step(Step::Settled);
        let mut orders = table::take(&mut write, &references).await?;
        let payments = payments::read_many(&mut write, &ids).await?;
        let mut done = Vec::with_capacity(all.len());
        let mut plain = Vec::with_capacity(all.len());
        for one in all {
            // Taken out: of two that settle one order the second is not plain.
            let found = orders.remove(&one.reference).zip(payments.get(&one.payment));
            let found = found.filter(|(order, paid)| one.is_plain(order, paid));
            done.push(found.is_some().then_some(Settled::Now));
            plain.extend(found.map(|(order, paid)| (one, order, paid)));
        }
        if !write_plain(&mut write, &plain).await? {
            return Ok(vec![None; all.len()]);
        }
        write.commit().await?;
        Ok(done)
    }

    async fn alone(self, database: &Database) -> Result<Settled, StoreError> {
        settle_alone(database, &self).await
    }
}

/// `false` if somebody was in between.
async fn write_plain(write: &mut Write, plain: &[(&Settle, Order, &Payment)]) -> Result<bool, StoreError> {
    let settled = |(one, order, _): &(&Settle, Order, &Payment)| {
        let mut order = order.clone();
        order.known.settle();
        order.lines.clone_from(&one.lines);
        changed(order, one.now)
    };
    let mut orders: Vec<Order> = plain.iter().map(settled).collect();
    if !table::update_many(write, &mut orders).await? {
        return Ok(false);
    }
    // Only whoever has the order changes its payments: from here on they stand as they are.
    let ids: Vec<_> = plain.iter().map(|(_, _, paid)| paid.id).collect();
    let paid = payments::read_many(write, &ids).await?;
    if plain.iter().any(|(_, _, before)| paid.get(&before.id) != Some(*before)) {
        return Ok(false);
    }
    let entries: Vec<_> = plain.iter().map(|(one, _, paid)| booked(paid, Entry::Ticketed, one.now)).collect();
    ledger::book_many(write, &entries).await?;
    let tickets: Vec<_> =
        plain.iter().flat_map(|(one, order, _)| one.tickets.iter().map(|ticket| (order.fan, ticket))).collect();
    let mut added = 0;
    for some in tickets.chunks(ROWS) {
        added += write.execute(TICKETS.bound(write.backend(), some, bind_ticket)).await?;
    }
    if added != tickets.len() as u64 {
        return Ok(false);
    }
    let mails: Vec<_> = plain.iter().map(|(one, order, _)| (one.reference, order.fan, one.now)).collect();
    mails::enqueue_many(write, mails::Kind::Tickets, &mails).await?;
    let body = |(one, order, paid): &(&Settle, Order, &Payment)| issued::body(order.fan, paid, &one.tickets, one.now);
    let bodies: Vec<_> = plain.iter().map(body).collect();
    let news: Vec<_> =
        plain.iter().zip(&bodies).map(|((one, ..), body)| (issued::KEY, body.as_str(), one.now)).collect();
    outbox::push_many(write, &news).await?;
    Ok(true)
}
