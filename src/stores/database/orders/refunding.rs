//! Money that goes back: begun together with what it revokes, and ended together with what that makes of the order.
//!
//! Each takes the order's row first. Nothing here asks a provider: a refund that is begun is work that others find, and do.

use serde::Serialize;
use uuid::Uuid;

use super::{Order, put, take};
use crate::{
    domain::{
        id::{FanId, OrderRef, PaymentId, RefundId, TicketId},
        ledger::Entry,
        money::{Currency, Money},
        order::OrderState,
        refund::{RefundKey, RefundReason, RefundState},
        time::EventTime,
    },
    stores::{
        crash_point::Step,
        database::{
            Write,
            audit::{self, Act},
            ledger::{self, Booked},
            outbox,
            payments::{self, Payment, State},
            refunds::{self, Refund, Stock},
            row::json,
            tickets::{self, Ticket},
        },
        error::StoreError,
    },
};

/// Tickets to be revoked, and their money given back.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub reference: OrderRef,
    /// `None`: all that are left.
    pub tickets: Option<&'a [TicketId]>,
    /// Whether their places are for sale again.
    pub restock: bool,
    pub reason: RefundReason,
    pub note: &'a str,
}

/// A rule says no: nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRefunded {
    /// It has no tickets.
    OrderState(OrderState),
    /// Not a ticket of the order, or revoked already.
    NoSuchTicket(TicketId),
}

/// Revokes the tickets and begins their refund: from then on they let nobody in, and the money is the fan's. Counts when the
/// transaction does. [`StoreError::Conflict`] if there is no such order.
pub async fn refund_tickets(
    write: &mut Write,
    wanted: &Wanted<'_>,
    now: EventTime,
) -> Result<Result<Refund, NotRefunded>, StoreError> {
    write.is_step(Step::RefundBegun);
    let mut order = take(write, wanted.reference).await?;
    if order.state != OrderState::Ticketed {
        return Ok(Err(NotRefunded::OrderState(order.state)));
    }
    let live = tickets::live(write, wanted.reference).await?;
    let chosen = match chosen(&live, wanted.tickets) {
        Ok(chosen) => chosen,
        Err(ticket) => return Ok(Err(NotRefunded::NoSuchTicket(ticket))),
    };
    order.known.given_up = chosen.len() == live.len();
    let stock = if wanted.restock { Stock::Wanted } else { Stock::Stays };
    revoke(write, order, &chosen, (wanted.reason, wanted.note, stock), now).await.map(Ok)
}

/// The order was voided, its places with it: what is left of its tickets is revoked, and their money goes back. Any number of
/// times.
pub(super) async fn undo(write: &mut Write, reference: OrderRef, now: EventTime) -> Result<(), StoreError> {
    let mut order = take(write, reference).await?;
    let live = tickets::live(write, reference).await?;
    if live.is_empty() {
        return Ok(());
    }
    order.known.given_up = true;
    let all: Vec<_> = live.iter().collect();
    revoke(write, order, &all, (RefundReason::Voided, "", Stock::Back), now).await.map(drop)
}

async fn revoke(
    write: &mut Write,
    mut order: Order,
    chosen: &[&Ticket],
    (reason, note, stock): (RefundReason, &str, Stock),
    now: EventTime,
) -> Result<Refund, StoreError> {
    let paid_by = match ledger::paid_by(write, order.reference).await? {
        Some(payment) => Some(payment),
        // What costs nothing is in no books.
        None => payments::captured(write, order.reference).await?,
    };
    let paid = payment(write, paid_by).await?;
    // What was asked once for the order goes with its last ticket.
    let once = if order.known.given_up { order.once_minor() } else { 0 };
    let minor = chosen.iter().map(|ticket| ticket.price.minor).fold(once, i64::saturating_add);
    let begin = Begin {
        entry: Entry::RefundBegun,
        amount: Money { minor, currency: paid.amount.currency },
        reason,
        note,
        tickets: u32::try_from(chosen.len()).unwrap_or(u32::MAX),
        stock,
    };
    let refund = begin.write(write, &order, &paid, now).await?;
    for ticket in chosen {
        tickets::revoke(write, ticket.id, refund.id).await?;
    }
    if order.known.given_up {
        order = put(write, order, now).await?;
    }
    if refund.state == RefundState::Done {
        money_is_back(write, order, &paid, now).await?;
    }
    Ok(refund)
}

/// Errs with one that is not there.
fn chosen<'a>(live: &'a [Ticket], wanted: Option<&[TicketId]>) -> Result<Vec<&'a Ticket>, TicketId> {
    let Some(wanted) = wanted else { return Ok(live.iter().collect()) };
    if let Some(missing) = wanted.iter().find(|id| !live.iter().any(|ticket| ticket.id == **id)) {
        return Err(*missing);
    }
    Ok(live.iter().filter(|ticket| wanted.contains(&ticket.id)).collect())
}

async fn payment(write: &mut Write, id: Option<PaymentId>) -> Result<Payment, StoreError> {
    let payment = match id {
        Some(id) => payments::read(write, id).await?,
        None => None,
    };
    payment.ok_or_else(|| StoreError::Corrupt("tickets without a payment".into()))
}

/// A payment that bought nothing goes back, all of it.
pub(super) async fn give_back(
    write: &mut Write,
    order: &Order,
    paid: &Payment,
    reason: RefundReason,
    now: EventTime,
) -> Result<(), StoreError> {
    let begin =
        Begin { entry: Entry::ReturnBegun, amount: paid.amount, reason, note: "", tickets: 0, stock: Stock::Stays };
    let refund = begin.write(write, order, paid, now).await?;
    if refund.state == RefundState::Done {
        money_is_back(write, order.clone(), paid, now).await?;
    }
    Ok(())
}

struct Begin<'a> {
    entry: Entry,
    amount: Money,
    reason: RefundReason,
    note: &'a str,
    tickets: u32,
    stock: Stock,
}

impl Begin<'_> {
    /// Never more than there is: the books are asked first.
    async fn write(
        self,
        write: &mut Write,
        order: &Order,
        paid: &Payment,
        now: EventTime,
    ) -> Result<Refund, StoreError> {
        let reference = order.reference;
        let is_nothing = self.amount.minor == 0;
        if !is_nothing {
            let mut books = ledger::books(write, reference).await?;
            books
                .book(self.entry, self.amount)
                .map_err(|error| StoreError::Corrupt(format!("a refund of {reference} cannot be: {error}")))?;
        }
        let refund = Refund {
            id: RefundId::from_uuid(Uuid::now_v7()),
            reference,
            fan: order.fan,
            payment: paid.id,
            amount: self.amount,
            reason: self.reason,
            note: self.note.to_owned(),
            tickets: self.tickets,
            stock: self.stock,
            state: if is_nothing { RefundState::Done } else { RefundState::Begun },
            failure: String::new(),
            round: 0,
            attempts: 0,
            next_at: now,
            created_at: now,
            updated_at: now,
        };
        refunds::insert(write, &refund).await?;
        let booked = Booked {
            reference,
            payment: paid.id,
            refund: Some(refund.id),
            entry: self.entry,
            amount: self.amount,
            at: now,
        };
        ledger::book(write, &booked).await?;
        tell(write, &refund, now).await?;
        let (begun_minor, _) = refunds::sums(write, paid.id).await?;
        if begun_minor >= paid.amount.minor && (self.tickets == 0 || order.known.given_up) {
            payments::set_state(write, paid.id, State::Refunding, now).await?;
        }
        Ok(refund)
    }
}

/// What the provider has said of a refund under this key, or that it is to be asked anew. Counts when the transaction does; `None`
/// if that changes nothing: a repeat, or a word that comes too late. [`StoreError::Conflict`] if there is no such refund.
pub async fn advance_refund(
    write: &mut Write,
    key: RefundKey,
    to: RefundState,
    failure: &str,
    now: EventTime,
) -> Result<Option<Refund>, StoreError> {
    let id = key.id;
    let reference = read(write, id).await?.reference;
    let order = take(write, reference).await?;
    let mut refund = read(write, id).await?;
    if !refund.state.may_become(to) || !refund.key().heeds(key, to) {
        return Ok(None);
    }
    refunds::set_state(write, &refund, to, failure, now).await?;
    refund = read(write, id).await?;
    tell(write, &refund, now).await?;
    if to == RefundState::Done {
        write.is_step(Step::RefundDone);
        let Refund { payment: payment_id, amount, .. } = refund;
        let entry = Entry::RefundDone;
        let booked = Booked { reference, payment: payment_id, refund: Some(id), entry, amount, at: now };
        ledger::book(write, &booked).await?;
        let paid = payment(write, Some(payment_id)).await?;
        money_is_back(write, order, &paid, now).await?;
        audit::append(write, &act(&refund)).await?;
    }
    Ok(Some(refund))
}

async fn read(write: &mut Write, id: RefundId) -> Result<Refund, StoreError> {
    refunds::read(write, id).await?.ok_or(StoreError::Conflict("there is no such refund"))
}

/// A refund of this payment is done: maybe the last one, and maybe that was the order's last money.
async fn money_is_back(write: &mut Write, mut order: Order, paid: &Payment, now: EventTime) -> Result<(), StoreError> {
    let (_, done_minor) = refunds::sums(write, paid.id).await?;
    let goes_back = payments::read(write, paid.id).await?.is_some_and(|paid| paid.state == State::Refunding);
    if goes_back && done_minor >= paid.amount.minor {
        payments::set_state(write, paid.id, State::Refunded, now).await?;
    }
    if order.known.state() == OrderState::Refunding && !payments::holds_money(write, order.reference).await? {
        order.known.refunded = true;
        put(write, order, now).await?;
    }
    Ok(())
}

/// Puts `refund.STATE` into the outbox, for whoever listens on the bus.
async fn tell(write: &mut Write, refund: &Refund, now: EventTime) -> Result<(), StoreError> {
    let news = News {
        version: 1,
        refund: refund.id,
        reference: refund.reference,
        fan: refund.fan,
        payment: refund.payment,
        amount_minor: refund.amount.minor,
        currency: refund.amount.currency,
        reason: refund.reason,
        tickets: refund.tickets,
        state: refund.state,
        at: now,
    };
    let body = json(&news);
    outbox::push(write, &format!("refund.{}", refund.state.as_str()), &body, now).await.map(drop)
}

/// The whole refund, so that news may come in any order and any number of times.
#[derive(Serialize)]
struct News {
    version: u8,
    refund: RefundId,
    reference: OrderRef,
    fan: FanId,
    payment: PaymentId,
    amount_minor: i64,
    currency: Currency,
    reason: RefundReason,
    tickets: u32,
    state: RefundState,
    at: EventTime,
}

/// The shop itself gives money back, whoever wanted it.
fn act(refund: &Refund) -> Act {
    Act {
        at: refund.updated_at,
        account: None,
        role: "system".into(),
        address: String::new(),
        action: "payment.refund".into(),
        object: refund.reference.to_string(),
        reason: format!("{} {}: {}", refund.amount.minor, refund.amount.currency, refund.reason.as_str()),
        request_id: refund.id.to_string(),
    }
}
