//! Tickets that their holders would give back, and who looks for takers: as many as the inventory says somebody waits for.
//!
//! A ticket that is put up stays good until somebody takes it; that is one transaction with its refund.

use onsale::domain::{
    code::Code,
    id::{OrderId, PaymentId},
    inventory::{
        request::{Answer, Command, Request},
        waitlist::{Returning, WaitlistAnswer, WaitlistCommand},
    },
    order::OrderState,
};

use crate::{
    bug::Bug,
    node::{Caller, ToNode},
    orders::Transaction,
    saga::Step,
    stores::database::ReturnState,
    swarm::Fault,
    world::{Event, Told, World},
};

impl World {
    /// Once a second. What was put up is looked after as long as there are tickets.
    pub fn give_tickets_back(&mut self) {
        if !self.extras.returns {
            return;
        }
        if !self.healed() && self.rng.percent(40) {
            self.put_up();
        }
        let wanted = self.database.returns.values().any(|one| *one == ReturnState::Wanted);
        if wanted {
            self.look_for_takers();
            // Whoever had it too long has lost it to another.
            if self.strikes(Fault::ClientRepeats) {
                self.look_for_takers();
            }
        }
    }

    fn put_up(&mut self) {
        let orders = self.database.orders.iter().filter(|(_, row)| row.known.state() == OrderState::Ticketed);
        let tickets: Vec<(OrderId, u32)> =
            orders.flat_map(|(&order, _)| self.database.live(order).map(move |position| (order, position))).collect();
        if tickets.is_empty() {
            return;
        }
        let ticket = self.rng.pick(&tickets);
        let is_kept = self.rng.percent(20);
        if !self.transaction().done {
            return;
        }
        match self.database.returns.get(&ticket) {
            Some(ReturnState::Wanted) if is_kept => {
                self.database.returns.insert(ticket, ReturnState::Withdrawn);
                self.saw("a ticket that was to be given back is kept after all");
            }
            None | Some(ReturnState::Withdrawn) => {
                self.database.returns.insert(ticket, ReturnState::Wanted);
            }
            Some(_) => {}
        }
    }

    /// By the script: one of the order's tickets, the same one each time. Says whether its holder knows.
    pub fn put_up_one(&mut self, order: OrderId) -> bool {
        let before = self.database.returns.keys().next().copied();
        let first = self.database.live(order).next().map(|position| (order, position));
        let Some(ticket) = before.or(first) else { return false };
        let put = self.transact(Step::OfferedBack, Transaction::GOOD, |world| {
            world.database.returns.entry(ticket).or_insert(ReturnState::Wanted);
        });
        put.heard
    }

    fn offered_back(&self) -> Vec<((OrderId, u32), Code)> {
        let wanted = self.database.returns.iter().filter(|(_, state)| **state == ReturnState::Wanted);
        let of_type = |(ticket, _): (&(OrderId, u32), _)| Some((*ticket, self.database.type_of(*ticket)?));
        wanted.filter_map(of_type).collect()
    }

    fn look_for_takers(&mut self) {
        let mut returning: Vec<Returning> = Vec::new();
        for (_, ticket_type) in self.offered_back() {
            match returning.iter_mut().find(|returning| returning.ticket_type == ticket_type) {
                Some(returning) => returning.tickets += 1,
                None => returning.push(Returning { coming: self.coming(&ticket_type), ticket_type, tickets: 1 }),
            }
        }
        let command = Command::Waitlist(WaitlistCommand::Wanted(returning));
        let request = Request { identity: None, command };
        let node = self.lease.0;
        let carried = self.carry(Step::TakersAsked);
        let caller = if carried.heard { Caller::Takers } else { Caller::Nobody };
        for late in carried.arrivals {
            let (delay, request) = (late + self.short_delay(), request.clone());
            self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller }));
        }
    }

    /// Places that will be free, and are not yet.
    fn coming(&self, ticket_type: &Code) -> u32 {
        let under_way = self.database.refunds.iter().filter(|row| row.to.is_some());
        let places = under_way.flat_map(|row| &row.given_back);
        places.filter(|place| place.ticket_type == *ticket_type).count() as u32
    }

    pub fn takers_found(&mut self, told: Told) {
        let Told::Answer(Answer::Waitlist(WaitlistAnswer::Wanted(wanted))) = told else { return };
        for (ticket_type, count) in wanted {
            let offered = self.offered_back().into_iter().filter(|(_, of_type)| *of_type == ticket_type);
            let mut tickets: Vec<_> = offered.map(|(ticket, _)| ticket).collect();
            if self.bug == Some(Bug::TakeReturnTwice) {
                let taken = self.database.returns.iter().filter(|(_, state)| **state == ReturnState::Taken);
                tickets.splice(0..0, taken.map(|(ticket, _)| *ticket));
            }
            for ticket in tickets.into_iter().take(count as usize) {
                self.take_back(ticket);
            }
        }
    }

    fn take_back(&mut self, ticket: (OrderId, u32)) {
        let database = self.transaction();
        let Some(payment) = self.paid_by(ticket.0) else { return };
        self.transact(Step::TakenBack, database, |world| world.take(ticket, payment));
    }

    /// If it is still to be given back.
    fn take(&mut self, (order, position): (OrderId, u32), payment: PaymentId) {
        let before = self.database.returns.get(&(order, position)).copied();
        let is_again = before == Some(ReturnState::Taken) && self.bug == Some(Bug::TakeReturnTwice);
        if before != Some(ReturnState::Wanted) && !is_again {
            return;
        }
        let is_good = self.database.live(order).any(|live| live == position);
        let state = if is_good { ReturnState::Taken } else { ReturnState::Void };
        self.database.returns.insert((order, position), state);
        if is_good || is_again {
            self.saw("a ticket is given back for who waits");
            let key = payment.as_u128() << 1 | u128::from(position + 1) << 100 | 1;
            self.refund(key + (u128::from(is_again) << 110), (payment, order), vec![position], true);
        }
    }
}
