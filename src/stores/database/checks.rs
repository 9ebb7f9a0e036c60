//! What an audit of one event asks: each answer can be held against the journal, or must be empty.

use super::Database;
use crate::{
    domain::{
        code::SeatId,
        id::{EventId, OrderRef},
        order::OrderState,
    },
    stores::error::StoreError,
};

pub async fn orders_by_state(_database: &Database, _event: EventId) -> Result<Vec<(OrderState, u64)>, StoreError> {
    todo!("database helper")
}

/// Seats on more than one live ticket. Must be empty.
pub async fn seats_sold_twice(_database: &Database, _event: EventId) -> Result<Vec<(SeatId, u64)>, StoreError> {
    todo!("database helper")
}

/// Orders that have live tickets and are not ticketed. Must be empty.
pub async fn ticketed_without_sale(_database: &Database, _event: EventId) -> Result<Vec<OrderRef>, StoreError> {
    todo!("database helper")
}

/// Ticketed orders with more or fewer live tickets than their lines say. Must be empty.
pub async fn miscounted(_database: &Database, _event: EventId) -> Result<Vec<OrderRef>, StoreError> {
    todo!("database helper")
}

/// Orders with more than one payment that was captured and did not go back. Must be empty.
pub async fn paid_twice(_database: &Database, _event: EventId) -> Result<Vec<OrderRef>, StoreError> {
    todo!("database helper")
}
