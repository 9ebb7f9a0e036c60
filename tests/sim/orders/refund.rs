//! Money on its way back: begun with what it revokes, and worked off again and again until it is done.

use onsale::domain::{
    id::{OrderId, PaymentId},
    inventory::request::{Answer, Command, Refusal, Request},
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
        let tickets = self.database.live(order).take(count).collect();
        self.refund(key, (payment, order), tickets, restock);
    }

    /// One transaction: the tickets are good no more, and their money is on its way.
    pub fn refund(&mut self, key: u128, (payment, order): (PaymentId, OrderId), tickets: Vec<u32>, restock: bool) {
        let Some(row) = self.database.orders.get(&order) else { return };
        let lines = row.lines.clone();
        let (count, all) = (tickets.len(), self.database.live_tickets(order));
        let (mut given_back, mut amount_minor) = (Vec::new(), 0);
        for &position in &tickets {
            let Some(line) = self.database.line_of(order, position) else { continue };
            let seat = self.database.seat_of((order, position)).map(|seat| seat.parse().expect("a seat"));
            amount_minor += line.unit_price_minor;
            given_back.push(GivenBack { ticket_type: line.ticket_type.clone(), rate: None, seat });
            self.database.voided.insert((order, position));
        }
        if count >= all {
            amount_minor += lines.iter().map(|line| line.once().total_minor()).sum::<i64>();
        }
        let to = restock.then(|| kept(&lines, &given_back));
        let given_back = if restock { given_back } else { Vec::new() };
        let begun = RefundRow::begun(key, (payment, order), amount_minor);
        self.database.refunds.push(RefundRow { to, tickets, given_back, ..begun });
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
        self.database.refunds.push(RefundRow::begun(key, (payment, order), amount_minor));
    }

    /// Every refund that is not done takes its next step.
    pub fn refunds_due(&mut self) {
        for index in 0..self.database.refunds.len() {
            let Some(row) = self.database.refunds.get(index).cloned() else { continue };
            if let Some(to) = row.to {
                let order = row.order;
                // Seats under way from one to the other are not to be freed.
                let command = if self.extras.moves || self.extras.returns {
                    let (to, number) = self.places(order, None);
                    Command::Keep { order, number, to }
                } else {
                    Command::Reduce { order, to }
                };
                self.restock(order, &Request { identity: None, command });
            }
            if !row.is_back {
                self.ask_provider(index);
            }
        }
    }

    fn restock(&mut self, order: OrderId, request: &Request) {
        let node = self.lease.0;
        let carried = self.carry(Step::RestockAsked);
        let known = self.database.refunds.len();
        let caller = if carried.heard { Caller::Reduce(order, known) } else { Caller::Nobody };
        for late in carried.arrivals {
            let (mut delay, request) = (late + self.short_delay(), request.clone());
            // Long enough for a ticket to move meanwhile.
            if self.extras.moves && self.script.is_none() && self.rng.percent(50) {
                delay += self.rng.below(2_500);
            }
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

    /// Of the refunds that were known when it was asked.
    pub fn reduce_answered(&mut self, order: OrderId, known: usize, told: Told) {
        if !matches!(told, Told::Answer(Answer::Reduced)) {
            if matches!(told, Told::Refused(Refusal::OrderMoved)) {
                self.saw("a refund that was worked out before a move frees nothing");
            }
            return;
        }
        let database = self.transaction();
        self.transact(Step::StockBack, database, |world| {
            for row in world.database.refunds.iter_mut().take(known).filter(|row| row.order == order) {
                row.to = None;
            }
        });
    }
}
