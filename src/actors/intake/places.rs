//! Tells the inventory what an order has, so that the rest of it is free: after a refund, and when a ticket has moved.

use std::sync::Weak;

use crate::{
    actors::{
        directory::{Directory, DirectoryError},
        foundation::Foundation,
    },
    domain::{
        id::OrderRef,
        inventory::request::{Answer, Command, Request},
    },
    stores::{
        database::seat_moves::{self, Places},
        error::StoreError,
    },
};

/// It is to be tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotYet {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Event(String),
}

/// `without`: a move of one of its tickets that is over, one way or the other.
pub(super) async fn keep(
    on: &Foundation,
    directory: &Weak<dyn Directory>,
    reference: OrderRef,
    without: Option<u32>,
) -> Result<(), NotYet> {
    let places = seat_moves::places(&on.database, reference, without).await?;
    let Places { lines: to, number } = places.ok_or_else(|| StoreError::Corrupt("there is no such order".into()))?;
    let directory = directory.upgrade().ok_or_else(|| NotYet::Event("the node is going down".into()))?;
    let event = match directory.event(reference.event).await {
        Ok(event) => event,
        Err(error @ (DirectoryError::UnknownEvent | DirectoryError::Unavailable | DirectoryError::Elsewhere)) => {
            return Err(NotYet::Event(error.to_string()));
        }
    };
    let command = Command::Keep { order: reference.order, number, to };
    match event.inventory.ask(Request { identity: None, command }).await {
        Ok(Answer::Reduced) => Ok(()),
        Ok(other) => Err(NotYet::Event(format!("a reduction was answered with {other:?}"))),
        Err(error) => Err(NotYet::Event(error.to_string())),
    }
}
