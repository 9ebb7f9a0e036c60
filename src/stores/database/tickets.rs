//! Tickets, as read. They are written by the settling of an order, and by nothing else.

use super::{
    Database,
    page::{Cursor, Page},
};
use crate::{
    domain::{
        code::{Code, SeatId},
        id::{EventId, FanId, OrderRef, TicketId},
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
    pub seat: Option<SeatId>,
    pub price: Money,
    pub state: State,
    /// Signed; see `domain::ticket`.
    pub code: String,
    pub issued_at: EventTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Live,
    Void,
}

/// Another fan's ticket is not there.
pub async fn of_fan(_database: &Database, _id: TicketId, _fan: FanId) -> Result<Option<Ticket>, StoreError> {
    todo!("database helper")
}

/// A fan's own, newest first.
pub async fn list(
    _database: &Database,
    _fan: FanId,
    _cursor: Option<&Cursor>,
    _limit: u32,
) -> Result<Page<Ticket>, StoreError> {
    todo!("database helper")
}

/// By position.
pub async fn of_order(_database: &Database, _reference: OrderRef) -> Result<Vec<Ticket>, StoreError> {
    todo!("database helper")
}

pub async fn count_live(_database: &Database, _event: EventId) -> Result<u64, StoreError> {
    todo!("database helper")
}
