//! Money on its way back: begun with what it revokes, and worked off again and again until it is done.

use onsale::domain::{
    id::{OrderId, PaymentId},
    inventory::request::{Answer, Command, Request},
    order::OrderState,
    refund::{GivenBack, kept},
};

use crate::{
    bug::Bug,
    node::{Caller, ToNode},
    stores::database::{PaymentState, RefundRow},
    swarm::Fault,
    world::{Event, Told, World},
};

impl World {
    /// An organizer gives tickets of a sold order back, some of them or all. In one transaction: they let nobody in, and the
    /// refund is begun.
    pub fn refund_tickets(&mut self, payment: PaymentId, order: OrderId) {
        let Some(row) = self.database.orders.get(&order) else { return };
        let lines = row.lines.clone();
        let places = lines.iter().flat_map(|line| (0..line.quantity as usize).map(move |n| (line, line.seats.get(n))));
        let places: Vec<_> = places.collect();
        let all = places.len();
        let count = if self.rng.percent(50) { 1 + self.rng.below(all as u64) as usize } else { all };
        let (mut given_back, mut amount_minor) = (Vec::new(), 0);
        for ((line, seat), position) in places.into_iter().zip(1..).take(count) {
            amount_minor += line.unit_price_minor;
            given_back.push(GivenBack { ticket_type: line.ticket_type.clone(), seat: seat.cloned() });
            self.database.voided.insert((order, position));
        }
        let to = Some(kept(&lines, &given_back));
        let key = payment.as_u128() << 1 | 1;
        self.database.refunds.push(RefundRow { key, payment, order, amount_minor, to, is_back: false });
        if count < all {
            self.saw("a part of a sold order is undone");
            return;
        }
        self.saw("a sold order is undone");
        if let Some(row) = self.database.orders.get_mut(&order) {
            row.known.given_up = true;
        }
        if let Some(row) = self.database.payments.get_mut(&payment) {
            row.state = PaymentState::Refunding;
        }
    }

    /// A payment that bought nothing goes back, all of it. In the transaction of the refusal.
    pub fn give_back(&mut self, payment: PaymentId, order: OrderId) {
        let Some(row) = self.database.payments.get_mut(&payment) else { return };
        if matches!(row.state, PaymentState::Refunding | PaymentState::Refunded) {
            return;
        }
        row.state = PaymentState::Refunding;
        let (key, amount_minor) = (payment.as_u128() << 1, row.amount_minor);
        self.database.refunds.push(RefundRow { key, payment, order, amount_minor, to: None, is_back: false });
    }

    /// Every refund that is not done takes its next step.
    pub fn refunds_due(&mut self) {
        for index in 0..self.database.refunds.len() {
            let Some(row) = self.database.refunds.get(index).cloned() else { continue };
            if let Some(to) = row.to {
                let request = Request { identity: None, command: Command::Reduce { order: row.order, to } };
                let (node, delay) = (self.lease.0, self.short_delay());
                let caller = Caller::Reduce(row.order);
                self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller }));
            }
            if !row.is_back {
                self.ask_provider(index);
            }
        }
    }

    fn ask_provider(&mut self, index: usize) {
        let Some(row) = self.database.refunds.get(index).cloned() else { return };
        // Kept with the refund, so that every attempt names the same one.
        let mut key = row.key;
        if self.bug == Some(Bug::RefundUnderNewKey) {
            key ^= u128::from(self.rng.next()) << 1;
        }
        self.provider.refund(row.payment, key, row.amount_minor);
        if self.strikes(Fault::RefundReplyLost) {
            return;
        }
        // That it is not known to be done does not matter: then it is asked again.
        if !self.transaction().done {
            return;
        }
        if let Some(row) = self.database.refunds.get_mut(index) {
            row.is_back = true;
        }
        if let Some(payment) = self.database.payments.get_mut(&row.payment)
            && payment.state == PaymentState::Refunding
            && self.database.refunds.iter().all(|other| other.payment != row.payment || other.is_back)
        {
            payment.state = PaymentState::Refunded;
        }
        let holds_money = self.database.holds_money(row.order);
        if let Some(order) = self.database.orders.get_mut(&row.order)
            && order.known.state() == OrderState::Refunding
            && !holds_money
        {
            order.known.refunded = true;
        }
    }

    pub fn reduce_answered(&mut self, order: OrderId, told: Told) {
        if !matches!(told, Told::Answer(Answer::Reduced)) || !self.transaction().done {
            return;
        }
        for row in self.database.refunds.iter_mut().filter(|row| row.order == order) {
            row.to = None;
        }
    }
}
