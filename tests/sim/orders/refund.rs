//! Money on its way back: begun with what it revokes, and worked off again and again until it is done.

use onsale::domain::{
    id::{OrderId, PaymentId},
    inventory::request::{Answer, Command, Request},
    ledger::Entry,
    order::OrderState,
    refund::{GivenBack, kept},
};

use crate::{
    bug::Bug,
    node::{Caller, ToNode},
    saga::Step,
    stores::database::{PaymentState, RefundRow},
    swarm::Fault,
    world::{Event, Told, World},
};

impl World {
    /// An organizer gives tickets of a sold order back, some of them or all. In one transaction: they let nobody in, and the
    /// refund is begun. Asked once more, nothing more is done.
    pub fn refund_tickets(&mut self, payment: PaymentId, order: OrderId, count: usize, restock: bool) {
        let key = payment.as_u128() << 1 | 1;
        if self.database.refunds.iter().any(|row| row.key == key) {
            return;
        }
        let Some(row) = self.database.orders.get(&order) else { return };
        let lines = row.lines.clone();
        let places = lines.iter().flat_map(|line| (0..line.quantity as usize).map(move |n| (line, line.seats.get(n))));
        let places: Vec<_> = places.collect();
        let all = places.len();
        let (mut given_back, mut amount_minor) = (Vec::new(), 0);
        for ((line, seat), position) in places.into_iter().zip(1..).take(count) {
            amount_minor += line.unit_price_minor;
            given_back.push(GivenBack {
                ticket_type: line.ticket_type.clone(),
                rate: line.rate().cloned(),
                seat: seat.cloned(),
            });
            self.database.voided.insert((order, position));
        }
        if count >= all {
            amount_minor += lines.iter().map(|line| line.once().total_minor()).sum::<i64>();
        }
        let to = restock.then(|| kept(&lines, &given_back));
        self.database.refunds.push(RefundRow { key, payment, order, amount_minor, to, is_back: false });
        self.database.book(order, Entry::RefundBegun, amount_minor);
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

    /// Some of the order's tickets, or all.
    pub fn tickets_to_refund(&mut self, order: OrderId) -> usize {
        let lines = self.database.orders.get(&order).map(|row| row.lines.iter().map(|line| line.quantity).sum());
        let all: u32 = lines.unwrap_or_default();
        if self.rng.percent(50) { 1 + self.rng.below(all.into()) as usize } else { all as usize }
    }

    /// A payment that bought nothing goes back, all of it. In the transaction of the refusal.
    pub fn give_back(&mut self, payment: PaymentId, order: OrderId) {
        let Some(row) = self.database.payments.get_mut(&payment) else { return };
        if matches!(row.state, PaymentState::Refunding | PaymentState::Refunded) {
            return;
        }
        row.state = PaymentState::Refunding;
        let (key, amount_minor) = (payment.as_u128() << 1, row.amount_minor);
        self.database.book(order, Entry::ReturnBegun, amount_minor);
        self.database.refunds.push(RefundRow { key, payment, order, amount_minor, to: None, is_back: false });
    }

    /// Every refund that is not done takes its next step.
    pub fn refunds_due(&mut self) {
        for index in 0..self.database.refunds.len() {
            let Some(row) = self.database.refunds.get(index).cloned() else { continue };
            if let Some(to) = row.to {
                let request = Request { identity: None, command: Command::Reduce { order: row.order, to } };
                self.restock(row.order, &request);
            }
            if !row.is_back {
                self.ask_provider(index);
            }
        }
    }

    fn restock(&mut self, order: OrderId, request: &Request) {
        let node = self.lease.0;
        let carried = self.carry(Step::RestockAsked);
        let caller = if carried.heard { Caller::Reduce(order) } else { Caller::Nobody };
        for late in carried.arrivals {
            let (delay, request) = (late + self.short_delay(), request.clone());
            self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller }));
        }
    }

    fn ask_provider(&mut self, index: usize) {
        let Some(RefundRow { key, payment, amount_minor, .. }) = self.database.refunds.get(index).cloned() else {
            return;
        };
        // Kept with the refund, so that every attempt names the same one.
        let mut key = key;
        if self.bug == Some(Bug::RefundUnderNewKey) {
            key ^= u128::from(self.rng.next()) << 1;
        }
        let carried = self.carry(Step::RefundAsked);
        for late in &carried.arrivals {
            match late {
                0 => self.provider.refund(payment, key, amount_minor),
                _ => self.later(*late, Event::GiveBack { payment, key, amount_minor }),
            }
        }
        // No answer comes before what was asked.
        if !carried.heard || carried.arrivals.first() != Some(&0) || self.strikes(Fault::RefundReplyLost) {
            return;
        }
        // That it is not known to be done does not matter: then it is asked again.
        let database = self.transaction();
        self.transact(Step::RefundDone, database, |world| world.money_is_back(index));
    }

    fn money_is_back(&mut self, index: usize) {
        let Some(row) = self.database.refunds.get_mut(index).filter(|row| !row.is_back) else { return };
        row.is_back = true;
        let RefundRow { payment, order, amount_minor, .. } = row.clone();
        self.database.book(order, Entry::RefundDone, amount_minor);
        if let Some(paid) = self.database.payments.get_mut(&payment)
            && paid.state == PaymentState::Refunding
            && self.database.refunds.iter().all(|other| other.payment != payment || other.is_back)
        {
            paid.state = PaymentState::Refunded;
        }
        let holds_money = self.database.holds_money(order);
        if let Some(row) = self.database.orders.get_mut(&order)
            && row.known.state() == OrderState::Refunding
            && !holds_money
        {
            row.known.refunded = true;
        }
    }

    pub fn reduce_answered(&mut self, order: OrderId, told: Told) {
        if !matches!(told, Told::Answer(Answer::Reduced)) {
            return;
        }
        let database = self.transaction();
        self.transact(Step::StockBack, database, |world| {
            for row in world.database.refunds.iter_mut().filter(|row| row.order == order) {
                row.to = None;
            }
        });
    }
}
