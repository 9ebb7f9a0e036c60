//! Orders: a row follows from the facts known about it, whatever order they came in.

use super::{
    Database, Write,
    page::{Cursor, Page},
    tickets::Ticket,
};
use crate::{
    domain::{
        id::{EventId, FanId, OrderRef, PaymentId},
        inventory::{
            fact::OrderFact,
            request::{HoldView, Line},
        },
        money::Money,
        order::{Known, OrderState},
        time::EventTime,
    },
    stores::error::StoreError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub reference: OrderRef,
    pub fan: FanId,
    /// Follows from `known`.
    pub state: OrderState,
    pub known: Known,
    pub lines: Vec<Line>,
    pub total: Money,
    pub event_version: u32,
    pub expires_at: EventTime,
    /// Raised by each change.
    pub revision: u64,
    pub created_at: EventTime,
    pub updated_at: EventTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Now,
    /// The same payment had settled it before; the tickets of then stay.
    Already,
}

/// Writes the order of a hold if it is not there yet; the answer is what is there.
pub async fn ensure(
    _database: &Database,
    _event: EventId,
    _hold: &HoldView,
    _now: EventTime,
) -> Result<Order, StoreError> {
    todo!("database helper")
}

/// Any number of times, in any order. Makes the row if it is not there; a voided order's tickets become void with it.
pub async fn apply_fact(_database: &Database, _event: EventId, _fact: &OrderFact) -> Result<(), StoreError> {
    todo!("database helper")
}

/// [`apply_fact`] for many, in one transaction.
pub async fn apply_facts(_database: &Database, _facts: &[(EventId, OrderFact)]) -> Result<(), StoreError> {
    todo!("database helper")
}

/// Whoever's it is: for the shop's own work, not for a fan's request.
pub async fn by_reference(_database: &Database, _reference: OrderRef) -> Result<Option<Order>, StoreError> {
    todo!("database helper")
}

/// Another fan's order is not there.
pub async fn of_fan(_database: &Database, _reference: OrderRef, _fan: FanId) -> Result<Option<Order>, StoreError> {
    todo!("database helper")
}

/// A fan's own, newest first.
pub async fn list(
    _database: &Database,
    _fan: FanId,
    _cursor: Option<&Cursor>,
    _limit: u32,
) -> Result<Page<Order>, StoreError> {
    todo!("database helper")
}

/// A checkout is open at the provider. [`StoreError::Conflict`] if there is no such order.
pub async fn open_checkout(_write: &mut Write, _reference: OrderRef, _now: EventTime) -> Result<Order, StoreError> {
    todo!("database helper")
}

/// The checkout ended without money: declined or given up. The hold may still be paid by another.
pub async fn close_checkout(_write: &mut Write, _reference: OrderRef, _now: EventTime) -> Result<Order, StoreError> {
    todo!("database helper")
}

/// The inventory has confirmed: payment captured, order ticketed, tickets there, in one transaction; any number of times.
///
/// `tickets` are numbered from 1; those of the first settling stay. [`StoreError::Conflict`] if order or payment are not
/// there or another payment settled it; [`StoreError::Corrupt`] if a seat is on another live ticket: stock was oversold.
pub async fn settle(
    _database: &Database,
    _reference: OrderRef,
    _payment: PaymentId,
    _lines: &[Line],
    _tickets: &[Ticket],
    _now: EventTime,
) -> Result<Settled, StoreError> {
    todo!("database helper")
}

/// The inventory has refused: the captured money must go back. An order that another payment settled stays ticketed.
pub async fn settle_refused(
    _database: &Database,
    _reference: OrderRef,
    _payment: PaymentId,
    _now: EventTime,
) -> Result<(), StoreError> {
    todo!("database helper")
}

/// The provider has given the money back.
pub async fn refunded(
    _database: &Database,
    _reference: OrderRef,
    _payment: PaymentId,
    _now: EventTime,
) -> Result<(), StoreError> {
    todo!("database helper")
}
