//! Checkout, webhooks, the two outboxes' readers, refunds: from a hold to a ticket or to the money back.

mod bus;
mod cards;
mod checkout;
mod mailing;
mod moving;
mod refund;
mod returning;
mod settle;

pub use self::{checkout::LOOK_MS, settle::takes_others};
use onsale::domain::{
    id::{OrderId, PaymentId},
    order::OrderState,
};

use crate::{stores::database::OrderRow, swarm::Fault, world::World};

/// A payment on its way from the bus into the books.
pub struct Settling {
    payment: PaymentId,
    order: OrderId,
    /// Of the outbox.
    row: u64,
    attempt: u64,
    /// The next answer gets lost.
    is_deaf: bool,
}

/// What became of a transaction, as far as its author can tell.
#[derive(Debug, Clone, Copy)]
pub struct Transaction {
    pub done: bool,
    pub heard: bool,
    /// Its author dies.
    pub crashed: bool,
}

impl Transaction {
    pub const GOOD: Self = Self { done: true, heard: true, crashed: false };
}

impl World {
    fn transaction(&mut self) -> Transaction {
        if self.strikes(Fault::DatabaseFails) {
            return Transaction { done: false, heard: false, crashed: false };
        }
        let heard = !self.strikes(Fault::DatabaseReplyLost);
        if !heard {
            self.saw("a transaction is done and nobody knows");
        }
        Transaction { done: true, heard, crashed: false }
    }

    /// The row, the payment, then the provider: each of them any number of times.
    pub fn open_orders(&self) -> usize {
        let open = |row: &&OrderRow| {
            !matches!(row.known.state(), OrderState::Ticketed | OrderState::Cancelled | OrderState::Refunded)
        };
        let refunds = self.database.refunds.iter().filter(|row| !row.is_back || row.to.is_some());
        let moves = self.database.moves.values().filter(|row| !row.is_done);
        self.database.orders.values().filter(open).count() + refunds.count() + moves.count()
    }
}
