//! A sold order taken back.

use onsale::domain::{
    id::OrderId,
    inventory::request::{Answer, Command, Request},
    order::HoldFact,
};

use crate::{
    node::{Caller, ToNode},
    stores::database::PaymentState,
    world::{Event, Told, World},
};

impl World {
    /// An operator takes a sold order back: stock first, then tickets, then money.
    pub fn undo_wanted(&mut self) {
        let wanted: Vec<OrderId> =
            self.database.orders.iter().filter(|(_, row)| row.void_wanted).map(|(order, _)| *order).collect();
        for order in wanted {
            let request = Request { identity: None, command: Command::Void { order } };
            let (node, delay) = (self.lease.0, self.short_delay());
            self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller: Caller::Void(order) }));
        }
    }

    pub fn void_answered(&mut self, order: OrderId, told: Told) {
        if !matches!(told, Told::Answer(Answer::Voided)) {
            return;
        }
        let paid_by = self.model.orders.get(&order).and_then(|order| order.payment);
        let Some(payment) = paid_by else { return };
        if self.database.orders.get(&order).is_none_or(|row| !row.void_wanted) {
            return;
        }
        let transaction = self.transaction();
        if !transaction.done {
            return;
        }
        self.saw("a sold order is undone");
        self.database.void_tickets(order);
        if let Some(row) = self.database.orders.get_mut(&order) {
            row.known.hold = row.known.hold.max(HoldFact::Voided);
        }
        if let Some(row) = self.database.payments.get_mut(&payment)
            && row.state != PaymentState::Refunded
        {
            row.state = PaymentState::Refunding;
        }
        if transaction.heard
            && self.finish_refund(payment, order)
            && let Some(row) = self.database.orders.get_mut(&order)
        {
            row.void_wanted = false;
        }
    }
}
