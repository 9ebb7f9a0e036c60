//! Checkout, webhooks, the two outboxes' readers, refunds: from a hold to a ticket or to the money back.

mod bus;
mod checkout;
mod refund;
mod settle;

use onsale::domain::{
    id::{OrderId, PaymentId},
    order::OrderState,
};

use crate::{stores::database::OrderRow, swarm::Fault, world::World};

/// A payment on its way from the bus into the books.
pub struct Settling {
    payment: PaymentId,
    order: OrderId,
    attempt: u64,
}

/// What became of a transaction, as far as its author can tell.
struct Transaction {
    done: bool,
    heard: bool,
}

impl World {
    fn transaction(&mut self) -> Transaction {
        if self.strikes(Fault::DatabaseFails) {
            return Transaction { done: false, heard: false };
        }
        let heard = !self.strikes(Fault::DatabaseReplyLost);
        if !heard {
            self.saw("a transaction is done and nobody knows");
        }
        Transaction { done: true, heard }
    }

    /// The row, the payment, then the provider: each of them any number of times.
    pub fn open_orders(&self) -> usize {
        let open = |row: &&OrderRow| {
            !matches!(row.known.state(), OrderState::Ticketed | OrderState::Cancelled | OrderState::Refunded)
        };
        let refunds = self.database.refunds.iter().filter(|row| !row.is_back || row.to.is_some());
        self.database.orders.values().filter(open).count() + refunds.count()
    }
}
